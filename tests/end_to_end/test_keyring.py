"""Keys that stand in a keyring alone, put there by its own command."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.end_to_end.harness import MAKER, ROOT, until

KEYRING = 'keyring = "tickd"\n'


@pytest.fixture
def held(bench, tmp_path_factory):
    """What a child needs to find the keyring, whose file stands apart from what must hold no key."""
    file = tmp_path_factory.mktemp("keyring") / "file"
    return {"PYTHON_KEYRING_BACKEND": "tests.file_keyring.FileKeyring", "TICKD_TEST_KEYRING": str(file)}


def put(held, name, secret):
    command = [sys.executable, "-m", "keyring", "set", "tickd", name]
    env = {**held, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, input=secret, text=True, check=True, env=env, cwd=ROOT)


def configured(bench, urls, **more):
    path = bench.config(urls, MAKER, **more)
    path.write_text(KEYRING + path.read_text())
    return path


@pytest.mark.parametrize("kind", ["binance", "ccxt"])
def test_a_daemon_trades_with_keys_that_only_the_keyring_has(bench, held, kind):
    exchange = bench.exchange("--symbol", "BTC/USDT")
    for name, secret in exchange.keys.items():
        put(held, name, secret)
    path = configured(bench, exchange.urls, kind=kind)
    daemon = bench.daemon(bench.tickd("run", path, "--live", "--json", env=held))
    daemon.ready()
    until(lambda: len(exchange.open_orders()) == 2, "two orders stand")
    assert daemon.child.end() == 0
    assert exchange.open_orders() == []


@pytest.mark.parametrize("verb", ["run", "flatten"])
def test_a_locked_or_an_empty_keyring_ends_with_one_sentence_and_78(bench, held, verb):
    path = configured(bench, {"spot": "http://127.0.0.1:1"})
    words = ("run", path, "--live") if verb == "run" else ("flatten", "--direct", path, "--yes")
    child = bench.run(*words, env=held, code=78)
    assert child.complaint == (
        "neither the environment variable TICKD_KEY nor the keyring has the venue's key; put it there: "
        "keyring set tickd TICKD_KEY"
    )
    (bench.folder / "locked").write_text("locked")
    locked = {**held, "TICKD_TEST_KEYRING": str(bench.folder / "locked")}
    child = bench.run(*words, env=locked, code=78)
    assert child.complaint == "the keyring that holds TICKD_KEY is locked: unlock it and start again"

"""Secrets that are searched for everywhere, after a session in which everything went wrong."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.tape.reader import read_tape
from tests.end_to_end.harness import (
    CANARY_KEY,
    CANARY_SECRET,
    CROSS,
    MAKER,
    Bench,
    Exchange,
    fetch,
    free_port,
    secrets_in,
)
from tests.end_to_end.lossy import Lossy

RAW = bytes(range(7, 39))
PRIVATE = Ed25519PrivateKey.from_private_bytes(RAW)
PEM = PRIVATE.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
PUBLIC = (
    PRIVATE.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
#: what of the Ed25519 key must be nowhere, in any writing
OF_PEM = [
    PEM.splitlines()[1],
    base64.b64encode(RAW).decode().rstrip("="),
    RAW.hex(),
    quote(PEM.splitlines()[1]),
]

#: it trades for a while, and then fails with all it can find out
TRAITOR = """
import os

PARAMS = {"qty": 0.001}
STATES = 1
INSTRUMENTS = 1
TIMER_S = 0.0


def decide(now_ns, why, rows, book, position, working, account, state, params, out):
    state[0] += 1
    if state[0] > 400:
        raise RuntimeError(f"{os.environ['TICKD_KEY']} {os.environ.get('TICKD_SECRET')}")
    return -1
"""


@pytest.fixture
def bench(tmp_path):
    one = Bench(tmp_path)
    yield one
    one.close()


def start(bench, key_type):
    """Return an exchange, the daemon's environment, and what the file says of its key."""
    env = {"TICKD_SIMULATOR_KEY": CANARY_KEY}
    if key_type == "hmac":
        env["TICKD_SIMULATOR_SECRET"] = CANARY_SECRET
        keys, more = {"TICKD_KEY": CANARY_KEY, "TICKD_SECRET": CANARY_SECRET}, ""
    else:
        env["TICKD_SIMULATOR_PUBLIC_KEY"] = PUBLIC
        credentials = bench.folder.parent / f"{bench.folder.name}-credentials"
        credentials.mkdir(mode=0o700)
        (credentials / "TICKD_SECRET").write_text(PEM)
        keys = {"TICKD_KEY": CANARY_KEY, "CREDENTIALS_DIRECTORY": str(credentials)}
        more = 'key_type = "ed25519"'
    command = [
        sys.executable,
        "-m",
        "daemon.simulator",
        "--with-parent",
        "--no-limits",
        "--symbol",
        "BTC/USDT",
    ]
    return Exchange(bench.start(command, "exchange", env, stdin=-1)), keys, more


def searched(text, where):
    for secret in (CANARY_KEY, CANARY_SECRET, *OF_PEM):
        assert secret not in text, where


@pytest.mark.parametrize("key_type", ["hmac", pytest.param("ed25519", marks=pytest.mark.heavy)])
def test_no_secret_is_anywhere_after_a_session_in_which_everything_went_wrong(bench, key_type):
    exchange, keys, key = start(bench, key_type)
    port = free_port()
    (bench.folder / "traitor.py").write_text(TRAITOR)
    traitor = '[[strategy]]\nname = "traitor.py:decide"\nwarmup_ticks = 20\n'
    with Lossy(exchange) as line:
        path = bench.config(line.urls, CROSS, MAKER, traitor)
        path.write_text(path.read_text().replace("[risk]", f"{key}\n[risk]", 1))
        for how in ("echo", "garble", "echo", "cut", "mute", "echo"):
            line.lose("order.place", how)
        line.lose("order.cancel", "echo")
        env = {**keys, "TICKD__HTTP__PORT": str(port), "TICKD__TAPE__RECORD": "true"}
        child = bench.tickd("run", path, "--live", "--json", "--debug", env=env)
        daemon = bench.daemon(child)
        daemon.until(lambda state: state["venue_reconnects"] > 0, "the connection was cut", 300.0)
        state = daemon.until(lambda state: state["state"] == "HALTED", "the strategy failed", 300.0)
        assert "raised RuntimeError: ***" in str(state)
        assert sum(state["orders"]["rejected"].values()) > 0
        for where in (daemon.socket, port):
            for target in ("/state", "/metrics", "/frames", "/healthz", "/readyz", "/nowhere"):
                searched(fetch(where, target)[1], target)
        searched(Path(f"/proc/{child.popen.pid}/cmdline").read_text(), "the process's arguments")
        assert child.end() == 0

        wrong = {**keys, "TICKD_KEY": CANARY_KEY[::-1]}
        refused = bench.run("run", path, "--live", "--debug", env=wrong, code=78)
        assert "Traceback" in refused.err
    bench.run("journal", bench.folder / "var" / "one" / "journal-live", "--json")
    bench.run("config", "show", path, env=keys)
    (session,) = (bench.folder / "var" / "one" / "tape-live").iterdir()
    # the traitor reads the keys, so its replay needs them
    verdict = json.loads(bench.run("replay", "--verify", session, "--json", env=keys).out)
    assert verdict["complete"], verdict["why_short"]
    for entry in read_tape(session):  # what is packed in the file
        searched(entry.payload.decode("latin-1"), entry.stream)
    assert secrets_in(bench.folder) == []
    for file in bench.folder.rglob("*"):
        if file.is_file() and not file.name.endswith("-exchange.out"):
            searched(file.read_bytes().decode("latin-1"), file.name)

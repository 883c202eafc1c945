"""What cannot work is refused: one sentence, the right exit code, no order sent."""

from __future__ import annotations

import gzip
import json
import socket
import statistics
import subprocess
import sys
import time

import pytest

from tests.end_to_end.harness import CANARY_SECRET, MAKER, ROOT, TICKD, free_port

PAPER = {"mode": "paper", "kind": "paper"}
#: whoever asks this exchange fails, and with another exit code than a wrong configuration
NOWHERE = {"spot": "http://127.0.0.1:1"}
ML = """
[[strategy]]
name = "ml"
model = "{model}"
"""


def refused(bench, *words, code, env=None):
    """Run a command that must be refused; return its one sentence."""
    child = bench.run(*words, code=code, env=env)
    said = [line for line in child.err.splitlines() if not line.startswith("compiling: ")]
    assert len(said) == 1, child.err
    assert child.out == ""
    assert "bug" not in child.complaint
    return child.complaint


# --- configuration ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("[loop]\nspni = true", "loop has no key 'spni'; did you mean 'spin'?"),
        ("[jurnal]\nsync = 'os'", "the file has no key 'jurnal'; did you mean 'journal'?"),
        ("[loop]\ncpu = 'first'", "loop.cpu: expected int, got str"),
        ("[reconcile]\nrest_ms_min = -1", "reconcile.rest_ms_min: expected int >= 0"),
        ("[journal]\nsync = 'never'", "journal.sync is 'never', and can be group or os or intent"),
        ("[paper]\nfee_maker = 'free'", "paper.fee_maker: invalid decimal string"),
        ("[loop", "is not valid TOML"),
    ],
)
def test_a_wrong_configuration_names_the_key_and_the_nearest_one(bench, more, sentence):
    path = bench.config(NOWHERE, MAKER, more=more, **PAPER)
    assert sentence in refused(bench, "run", path, code=78)


@pytest.mark.parametrize(
    ("strategy", "sentence"),
    [
        (
            MAKER.replace("market_maker", "market_makr"),
            "strategy 'market_makr' is unknown; use one of ema_cross",
        ),
        (
            MAKER.replace("half_spread_bps", "half_spred_bps"),
            "has no parameter 'half_spred_bps'; it has qty, half",
        ),
        (ML.format(model="nowhere"), "the model bundle nowhere: model.txt does not exist; train one with"),
    ],
)
def test_a_strategy_that_cannot_be_had_is_named_before_anybody_is_asked(bench, strategy, sentence):
    path = bench.config(NOWHERE, strategy, **PAPER)
    assert sentence in refused(bench, "run", path, code=78)
    assert not list(bench.folder.glob("var/*/journal*/lock"))
    assert sentence in refused(bench, "config", "show", path, code=78)


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        (
            {"EXCHANGE": "kraken", "MARKET": "usdm"},
            "feed.market 'usdm' of kraken is not supported; there is spot",
        ),
        ({"PROXY": "localhost:3128"}, "proxy"),
    ],
)
def test_what_a_start_would_refuse_of_the_feed_is_refused_where_the_file_is_checked(
    bench, environment, sentence
):
    path = bench.config(NOWHERE, MAKER, **PAPER)
    env = {f"TICKD__FEED__{key}": value for key, value in environment.items()}
    for verb in (("run",), ("config", "show")):
        assert sentence in refused(bench, *verb, path, env=env, code=78)


def test_an_override_of_an_unknown_key_is_refused_with_the_nearest_one(bench):
    path = bench.config(NOWHERE, MAKER, **PAPER)
    sentence = refused(bench, "run", path, code=78, env={"TICKD__FEED__STALE_SM": "5"})
    assert sentence == "TICKD__FEED__STALE_SM: there is no key feed.stale_sm; did you mean 'stale_ms'?"


def test_real_orders_want_the_file_and_the_command_line_to_say_so(bench, exchange):
    live, paper = bench.config(exchange.urls, MAKER), bench.config(exchange.urls, MAKER, name="two", **PAPER)
    assert "say --live too" in refused(bench, "run", live, code=2, env=exchange.keys)
    assert "both must ask for it" in refused(bench, "run", paper, "--live", code=2, env=exchange.keys)


def test_shown_configurations_hold_no_secret(bench, exchange):
    path = bench.config(exchange.urls, MAKER)
    shown = bench.run("config", "show", path, env=exchange.keys).out
    assert 'key_env = "TICKD_KEY"' in shown
    assert exchange.key not in shown


# --- what a daemon needs around it --------------------------------------------------------------------------
def test_without_keys_nobody_is_asked(bench):
    sentence = refused(bench, "run", bench.config(NOWHERE, MAKER), "--live", code=78)
    told = "neither a systemd credential nor the environment variable TICKD_KEY has the venue's key; "
    assert sentence == f"{told}put it there"


@pytest.mark.parametrize("wrong", ["TICKD_KEY", "TICKD_SECRET"])
def test_wrong_keys_are_one_sentence(bench, exchange, wrong):
    config = bench.config(exchange.urls, MAKER)
    sentence = refused(
        bench, "run", config, "--live", code=78, env={**exchange.keys, wrong: CANARY_SECRET[::-1]}
    )
    assert "was refused" in sentence
    assert "code -" in sentence


def test_a_key_that_may_withdraw_is_refused_unless_the_file_allows_it(bench):
    exchange = bench.exchange("--symbol", "BTC/USDT", "--withdrawals")
    sentence = refused(bench, "run", bench.config(exchange.urls, MAKER), "--live", code=78, env=exchange.keys)
    assert sentence.startswith(
        "the venue's key may withdraw: make one at Binance that may only read and trade"
    )
    daemon = bench.live(exchange, MAKER, env={"TICKD__VENUE__ALLOW_WITHDRAWALS": "true"})
    daemon.ready()
    assert daemon.child.end() == 0
    assert "the venue's key may withdraw, which venue.allow_withdrawals allows" in daemon.log.read_text()


def test_an_exchange_that_cannot_be_reached_is_named(bench):
    port = free_port()
    sentence = refused(
        bench, "run", bench.config({"spot": f"http://127.0.0.1:{port}"}, MAKER, **PAPER), code=1
    )
    assert f"http://127.0.0.1:{port}/api/v3/exchangeInfo failed" in sentence


def test_a_symbol_that_is_not_listed_is_named(bench, exchange):
    path = bench.config(exchange.urls, MAKER, **PAPER)
    path.write_text(path.read_text().replace("BTC/USDT", "BTX/USDT"))
    sentence = refused(bench, "run", path, code=78)
    assert sentence == "binance spot does not list BTX/USDT; correct feed.symbols"


def test_demo_keys_stay_on_loopback(bench):
    path = bench.config({"spot": "http://api.example.com"}, MAKER, mode="demo", kind="paper")
    assert "host api.example.com is not among those" in refused(bench, "run", path, code=78)


def test_a_busy_port_ends_it_before_an_order_leaves(bench, exchange):
    orders = len(exchange.orders())
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        env = {**exchange.keys, "TICKD__HTTP__PORT": str(port)}
        sentence = refused(bench, "run", bench.config(exchange.urls, MAKER), "--live", code=1, env=env)
    assert sentence.startswith(f"http.port {port} cannot be opened (Address already in use)")
    assert len(exchange.orders()) == orders


def test_a_busy_socket_is_left_to_the_daemon_that_answers_on_it(bench, exchange):
    daemon = bench.live(exchange, MAKER)
    daemon.ready()
    other = bench.config(exchange.urls, MAKER, name="two", **PAPER)
    sentence = refused(bench, "run", other, code=1, env={"TICKD__HTTP__SOCKET": "var/one/tickd.sock"})
    assert sentence.startswith("another daemon answers on var/one/tickd.sock")
    assert daemon.state()["state"] == "READY"
    sentence = refused(bench, "run", other, code=78, env={"TICKD__HTTP__SOCKET": str(other)})
    assert "is no socket; move that file away" in sentence
    assert daemon.child.end() == 0


def test_a_socket_that_a_killed_daemon_left_is_taken_over(bench, exchange):
    daemon = bench.live(exchange, MAKER)
    daemon.ready()
    daemon.child.kill()
    assert daemon.socket.exists()
    assert bench.run("state", code=4).complaint.startswith("no daemon answers on var/one/tickd.sock")
    again = bench.live(exchange, MAKER)
    again.ready()
    assert again.child.end() == 0


def test_a_log_that_cannot_be_written_is_named(bench, exchange):
    path = bench.config(exchange.urls, MAKER, **PAPER)
    (bench.folder / "taken").write_text("")
    sentence = refused(bench, "run", path, code=78, env={"TICKD__LOG__FILE": "taken/one.log"})
    assert sentence.startswith("log.file taken/one.log cannot be written")


# --- models -------------------------------------------------------------------------------------------------
def foreign_feature(model, manifest):
    model = model.replace(b"feature_names=spread_bps", b"feature_names=moonphase")
    return model, manifest._replace(features=("moonphase", *manifest.features[1:]))


def other_code(model, manifest):
    return model, manifest._replace(feature_code="0" * 64)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (foreign_feature, "moonphase"),
        (other_code, "was trained on other feature code (000000000000, ours "),
    ],
)
def test_a_model_of_other_features_is_refused_before_anybody_is_asked(bench, change, words):
    from daemon.research.bundle import feature_code
    from strategies.model import load, seal

    demo = ROOT / "models" / "demo"
    text = (demo / "model.txt").read_bytes()
    whole = load(text, (demo / "manifest.json").read_bytes(), feature_code()).manifest
    text, manifest = change(text, whole)
    folder = bench.folder / "model"
    folder.mkdir()
    (folder / "model.txt").write_bytes(text)
    (folder / "manifest.json").write_bytes(seal(text, manifest))
    sentence = refused(bench, "run", bench.config(NOWHERE, ML.format(model="model"), **PAPER), code=78)
    assert sentence.startswith("the model bundle model is refused: ")
    assert words in sentence


# --- captures -----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def lines(captures):
    with gzip.open(captures / "binance-spot-btcusdt-20240808.gz") as file:
        return [next(file) for _ in range(8000)]


def truncated(lines):
    return gzip.compress(b"".join(lines))[:-5000]


def foreign_line(lines):
    return gzip.compress(b"".join([*lines[:6000], b"what is this?\n", *lines[6000:]]))


def empty(lines):
    return b""


def no_frames(lines):
    return gzip.compress(b"")


@pytest.mark.parametrize(
    ("verb", "broken", "sentence"),
    [
        ("replay", truncated, "is a truncated gzip: it ends at byte"),
        ("replay", foreign_line, "line 6001 is no frame"),
        ("replay", empty, "holds no frames"),
        ("replay", no_frames, "holds no frames"),
        ("demo", truncated, "is a truncated gzip: it ends at byte"),
        ("demo", empty, "holds no frames"),
    ],
)
def test_a_broken_capture_is_one_sentence(bench, lines, verb, broken, sentence):
    path = bench.folder / "broken.gz"
    path.write_bytes(broken(lines))
    words = ["--speed", "max"] if verb == "demo" else []
    child = bench.run(verb, *(["--tape", path] if verb == "demo" else [path]), *words, code=1)
    assert sentence in child.complaint
    assert child.out.count("ran  ") == 0


def test_a_capture_line_that_is_no_json_is_counted_and_left_out(bench, lines):
    path = bench.folder / "odd.gz"
    bad = b'1723112000000000000 {"stream":"btcusdt@trade","data":{"e":"trade",}}\n'
    path.write_bytes(gzip.compress(b"".join([*lines[:6000], bad, *lines[6000:]])))
    whole = bench.folder / "whole.gz"
    whole.write_bytes(gzip.compress(b"".join(lines)))
    results = [json.loads(bench.run("replay", one, "--json").out) for one in (path, whole)]
    assert [one["errors"] for one in results] == [{"json": 1}, {}]
    assert results[0]["events"] == results[1]["events"]


def test_a_capture_that_is_not_there_is_named(bench):
    assert (
        refused(bench, "replay", "no.gz", code=2)
        == "the tape or capture no.gz does not exist; check the name"
    )
    sentence = refused(bench, "demo", "--tape", "no.gz", code=2)
    assert sentence == "the tape no.gz does not exist; check the name"


# --- the command line ---------------------------------------------------------------------------------------
def test_help_answers_at_once():
    def seconds(command):
        began = time.perf_counter()
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - began

    rounds = [(seconds([sys.executable, "-c", "pass"]), seconds([*TICKD, "--help"])) for _ in range(5)]
    bare, helped = (statistics.median(times) for times in zip(*rounds, strict=True))
    assert helped < 15 * bare, (helped, bare)  # 6 times here, and 0.07 s


def test_the_console_script_runs_the_same(bench):
    script = ROOT / ".venv" / "bin" / "tickd"
    child = bench.start([script, "--version"], "script")
    assert child.wait() == 0
    assert child.out == "tickd 0.1.0\n"

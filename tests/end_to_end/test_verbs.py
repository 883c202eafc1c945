"""The verbs beside trading: replay, simulate."""

from __future__ import annotations

import json
import signal
import socket

import pytest

from tests.end_to_end.harness import CANARY_KEY, CANARY_SECRET, SOON_S, TICKD, until

KEYS = {"TICKD_SIMULATOR_KEY": CANARY_KEY, "TICKD_SIMULATOR_SECRET": CANARY_SECRET}


def test_the_exchange_speaks_json_to_programs_and_ends_with_a_signal(bench):
    child = bench.tickd("simulate", "--symbol", "BTC/USDT")
    ready = json.loads(until(lambda: child.out.partition("\n")[0], "it is ready", 300))
    assert ready["event"] == "ready"
    assert ready["spot"].startswith("http://127.0.0.1:")
    assert child.end(signal.SIGINT) == 0
    assert json.loads(child.out.splitlines()[-1]) == {"event": "stopped"}


def test_the_exchange_speaks_words_to_people(bench):
    command = [*TICKD, "simulate", "--symbol", "BTC/USDT"]
    drawn, code = bench.in_terminal(command, KEYS, stop="export TICKD_KEY=")
    assert code == 0
    lines = drawn.replace("\r", "").splitlines()
    at = next(n for n, line in enumerate(lines) if "ready" in line)
    assert lines[at].endswith("the simulated exchange is ready; Ctrl-C ends it")
    assert lines[at + 1].startswith("spot    http://127.0.0.1:")
    assert lines[at + 2] == f"export TICKD_KEY={CANARY_KEY} TICKD_SECRET={CANARY_SECRET}"
    assert lines[-1].endswith("stopped")


def test_an_exchange_that_cannot_be_had_is_refused_in_a_sentence(bench):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        child = bench.run("simulate", "--symbol", "BTC/USDT", "--port", port, code=1, seconds=SOON_S)
    assert child.complaint.startswith(f"the simulated exchange cannot listen on 127.0.0.1:{port}")
    assert "--speed" in bench.run("simulate", "--speed", "fast", code=2).complaint
    assert "is not understood" in bench.run("simulate", "--symbol", "%", code=2).complaint


@pytest.mark.heavy
def test_a_model_is_trained_and_then_replayed_by_two_commands(bench, captures):
    made = bench.run("train", "--synthetic", "--minutes", "10", "--out", "bundle", "--json", seconds=600).json
    assert made["folder"] == "bundle"
    tape = captures / "binance-spot-btcusdt-20240808.gz"
    replayed = bench.run("replay", tape, "--strategy", "ml", "--model", "bundle", "--json").json
    assert replayed["decisions"] > 40_000

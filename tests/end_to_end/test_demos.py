"""`tickd demo`: three processes, one command; in a terminal, in a pipe, on real captures, interrupted."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.end_to_end.harness import (
    CANARY_KEY,
    CANARY_SECRET,
    READY_S,
    TICKD,
    Daemon,
    fetch,
    free_port,
    metric_of,
    until,
)

#: of other exchanges, as a person's environment may hold them: a demo must not take them
KEYS = {
    "TICKD_SIMULATOR_KEY": CANARY_KEY,
    "TICKD_SIMULATOR_SECRET": CANARY_SECRET,
    "TICKD_KEY": CANARY_KEY,
    "TICKD_SECRET": CANARY_SECRET,
    "TICKD_SIMULATOR_PUBLIC_KEY": "no key",
    "TICKD__VENUE__KEY_ENV": "TICKD_OTHER",
    "TICKD_OTHER": CANARY_KEY,
}


def family(pid):
    """Return the running processes that descend from one."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found, new = set(), {pid}
    while new:
        found |= new
        new = {one for one, parent in parents.items() if parent in found} - found
    return found - {pid}


def alive(pids):
    return {pid for pid in pids if Path(f"/proc/{pid}/exe").exists()}


def keys_of(pids):
    """Return the key and the secret that processes of a demo were given, which are not the environment's."""
    given = set()
    for pid in pids:
        for pair in Path(f"/proc/{pid}/environ").read_text().split("\0"):
            name, _, value = pair.partition("=")
            if name in {"TICKD_KEY", "TICKD_SECRET"} and b"daemon.cli" in command_of(pid):
                given.add(value)
    assert not given & {CANARY_KEY, CANARY_SECRET}
    return given


def command_of(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def demo(bench, *words):
    child = bench.tickd("demo", *words, env=KEYS)
    return child, Daemon(child, bench.folder, "demo")


def test_it_trades_until_interrupted_and_sums_up_in_json(bench):
    port = free_port()
    child, daemon = demo(bench, "--json", "--seconds", "120", "--port", port, "--svg", "demo.svg")
    daemon.ready()
    daemon.until(lambda state: state["orders"]["fills"] > 0, "the model has traded", 90)
    assert fetch(port, "/healthz") == (200, "ok\n")
    assert metric_of(fetch(port, "/metrics")[1], "tickd_fills_total") > 0
    assert "READY" in bench.run("state", "--name", "demo").out
    until(lambda: "tick to order p50" in child.err, "a plain line shows it, out of the way of the summary")
    processes = family(child.popen.pid)
    assert len(processes) >= 2
    made = keys_of(processes)
    assert len(made) == 2
    assert child.end(signal.SIGINT) == 0
    assert not alive(processes)
    for path in (path for path in bench.folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        assert not any(one.encode() in data for one in made | {CANARY_KEY, CANARY_SECRET}), path
    (line,) = child.out.splitlines()
    summary = json.loads(line)
    assert (summary["state"], summary["mode"], summary["venue"]) == ("STOPPED", "demo", "binance")
    assert summary["orders"]["fills"] > 0
    assert summary["orders"]["unknown"] == 0
    left = {path.name for path in (bench.folder / "var" / "demo").iterdir()}
    assert left == {"demo.toml", "demo.log", "journal", "tape"}  # as docs/operating.md says
    (session,) = (bench.folder / "var" / "demo" / "tape").iterdir()
    assert f"tickd replay --verify var/demo/tape/{session.name}" in child.err
    verdict = json.loads(bench.run("replay", "--verify", session, "--json").out)
    assert verdict["complete"], verdict["why_short"]
    assert verdict["records"] == verdict["records_of_session"] > 10
    assert "not_ready" not in summary["orders"]["refusals"]
    assert {one["stage"] for one in summary["latency"]} >= {
        "decide",
        "risk",
        "record",
        "send",
        "order",
        "ack",
    }
    assert (bench.folder / "demo.svg").read_text().startswith("<svg")
    lines = bench.run("journal", "var/demo/journal", "--json").out.splitlines()
    assert sum(json.loads(one)["record"] == "Placed" for one in lines) == summary["orders"]["placed"]


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_a_real_capture_arrives_whole(bench, captures, market):
    tape = captures / f"binance-{market}-btcusdt-20240808.gz"
    summary = bench.run("demo", "--tape", tape, "--speed", "max", "--json", env=KEYS).json
    (one,) = summary["instruments"]
    assert {kind: one[kind] for kind in ("trades", "quotes", "depths", "snapshots")} == events_of(tape)
    assert (one["book_synced"], one["book_gaps"], one["book_resyncs"]) == (True, 0, 1)
    assert summary["feed_errors"] == {}
    assert summary["feed_reconnects"] == 0
    assert summary["orders"]["fills"] > 0, "orders are large enough for the listing"
    assert "notional_min" not in summary["orders"]["refusals"]


def events_of(tape):
    """Count a capture's lines by what they are, by the plainest means."""
    kinds = {"trade": "trades", "bookTicker": "quotes", "depth": "depths"}
    found = Counter()
    with gzip.open(tape) as file:
        for line in file:
            message = json.loads(line.split(b" ", 1)[1])
            kind = kinds[message["stream"].split("@")[1]] if "stream" in message else "snapshots"
            found[kind] += 1
    return found


def test_an_interrupt_before_anything_runs_is_no_error(bench):
    child, _ = demo(bench, "--seconds", "60")
    until(lambda: "starting the simulated exchange" in child.err, "it starts", READY_S)
    processes = family(child.popen.pid)
    assert child.end(signal.SIGINT) == 0
    assert child.err.endswith("\ninterrupted before it traded; nothing is left running\n")
    assert child.out == ""
    assert not alive(processes)


@pytest.mark.heavy
def test_a_second_interrupt_ends_it_at_once_and_leaves_nothing_behind(bench):
    child, daemon = demo(bench, "--seconds", "60", "--strategy", "market_maker")
    daemon.ready()
    processes = family(child.popen.pid)
    exchange = next(pid for pid in processes if b"daemon.simulator" in command_of(pid))
    os.kill(exchange, signal.SIGSTOP)  # so that the first takes its time
    child.send(signal.SIGINT)
    until(lambda: (daemon.state() or {"state": "gone"})["state"] in {"DRAINING", "gone"}, "it ends")
    assert child.end(signal.SIGINT) == 130
    os.kill(exchange, signal.SIGCONT)
    until(lambda: not alive(processes), "its processes have ended too")


@pytest.mark.heavy
def test_a_killed_demo_leaves_nothing_behind(bench):
    child, daemon = demo(bench, "--seconds", "60", "--strategy", "market_maker")
    daemon.ready()
    processes = family(child.popen.pid)
    child.kill()
    until(lambda: not alive(processes), "its processes have ended too")


@pytest.mark.heavy
def test_a_dead_exchange_or_daemon_ends_it_with_a_sentence(bench):
    for module, name in (("daemon.simulator", "the simulated exchange"), ("daemon.cli", "the daemon")):
        child, daemon = demo(bench, "--seconds", "60", "--strategy", "market_maker")
        daemon.ready()
        (victim,) = [pid for pid in family(child.popen.pid) if module.encode() in command_of(pid)]
        os.kill(victim, signal.SIGKILL)
        assert child.wait() == 1
        assert child.complaint == f"{name} was killed by signal 9; start again"


def test_what_its_daemon_refuses_is_said_once_with_the_same_exit_code(bench):
    child = bench.run("demo", "--strategy", "nonsense", code=2, env=KEYS)
    assert child.complaint.startswith("strategy 'nonsense' is unknown; use one of ema_cross")


@pytest.mark.heavy
def test_a_second_demo_in_the_same_folder_is_refused(bench):
    child, daemon = demo(bench, "--seconds", "60", "--strategy", "market_maker")
    daemon.ready()
    second = bench.run("demo", code=1, env=KEYS)
    assert second.complaint.startswith("a demo is running in var/demo already")
    assert daemon.state()["state"] == "READY"
    assert child.end() == 0


def test_in_a_terminal_it_is_drawn_live(bench):
    text, code = bench.in_terminal([*TICKD, "demo", "--seconds", "2", "--strategy", "ema_cross"], env=KEYS)
    assert code == 0
    assert "\x1b[" in text
    assert "latency by stage" in text
    assert "tickd demo (demo) " in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    assert "ended STOPPED" in text
    assert re.search(r"\d+ trades, \d+ quotes, \d+ depth updates, 1 snapshot", text)

"""A daemon that trades: what it answers while it runs, the commands it takes, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.end_to_end.harness import (
    CANARIES,
    CANARY_TOKEN,
    CROSS,
    MAKER,
    READY_S,
    ROOT,
    fetch,
    free_port,
    metric_of,
    until,
)

#: below one lot of BTC/USDT, of which an exchange takes no order
LOT = 0.00001


def standing(exchange, count):
    return until(
        lambda: len(exchange.open_orders()) == count or None, f"{count} orders stand at the exchange"
    )


def test_it_answers_over_its_socket_and_its_port_while_it_trades(bench, exchange):
    port = free_port()
    env = {"TICKD__HTTP__PORT": str(port), "TICKD_TOKEN": CANARY_TOKEN}
    daemon = bench.live(exchange, CROSS, env=env)
    daemon.ready()
    state = daemon.filled()
    for where in (daemon.socket, port):
        assert fetch(where, "/healthz") == (200, "ok\n")
        status, body = fetch(where, "/readyz")
        assert (status, json.loads(body)["state"]) == (200, "READY")
        status, text = fetch(where, "/metrics")
        assert status == 200
        told = text + json.dumps(state) + body
        assert not [one for one in CANARIES if one in told]
        assert len(list(text_string_to_metric_families(text))) > 30
        assert metric_of(text, 'tickd_state{state="READY"}') == 1
        assert metric_of(text, "tickd_fills_total") >= state["orders"]["fills"]
        assert metric_of(text, 'tickd_stage_latency_seconds_count{stage="order"}') > 0
        assert fetch(where, "/nowhere")[0] == 404
        assert fetch(where, "/state", headers={"Origin": "http://a.example"})[0] == 403
    assert fetch(port, "/state", headers={"Host": "a.example"})[0] == 403
    assert fetch(port, "/halt", "POST")[0] == 401
    status, body = fetch(port, "/halt", "POST", {"Authorization": f"Bearer {CANARY_TOKEN}"})
    assert (status, json.loads(body)) == (202, {"accepted": "halt", "state": "HALTED"})
    assert daemon.socket.stat().st_mode & 0o777 == 0o600
    assert daemon.child.end() == 0
    assert not daemon.socket.exists()


def test_the_summary_is_json_and_the_journal_lists_every_order(bench, exchange):
    daemon = bench.live(exchange, CROSS)
    daemon.ready()
    daemon.filled(3)
    assert daemon.child.end() == 0
    summary = daemon.child.json
    assert (summary["state"], summary["reason"], summary["feed_errors"]) == ("STOPPED", "", {})
    (one,) = summary["instruments"]
    assert (one["gate"], one["snapshots"], one["book_synced"], one["book_gaps"]) == ("", 1, True, 0)
    assert "not_ready" not in summary["orders"]["refusals"]  # nothing was asked for while it warmed up
    lines = bench.run("journal", "var/one/journal-live", "--json").out.splitlines()
    placed = [one for one in map(json.loads, lines) if one["record"] == "Placed"]
    assert len(placed) == summary["orders"]["placed"]
    listed = bench.run("journal", "var/one/journal-live").out
    assert "  place  " in listed
    order = next(line.split()[3] for line in listed.splitlines() if "  trade  " in line)
    steps = bench.run("journal", "var/one/journal-live", "--waterfall", order).out.splitlines()
    assert "  tick  " in steps[1]
    assert any("first word" in line for line in steps)
    assert any("fill, end" in line for line in steps)


def test_the_journal_explains_orders_and_comes_to_what_the_daemon_said(bench, exchange):
    daemon = bench.live(exchange, CROSS)
    daemon.ready()
    daemon.filled(3)
    assert daemon.child.end() == 0
    said, folder = daemon.child.json, "var/one/journal-live"
    (line,) = json.loads(bench.run("journal", folder, "--summary", "--json").out)["lines"]
    (one,) = said["instruments"]
    assert (line["orders"], line["fills"]) == (said["orders"]["placed"], said["orders"]["fills"])
    assert float(line["realised"]) == pytest.approx(one["realised"], abs=1e-9)
    assert float(line["fees"]) == pytest.approx(one["fees"], abs=1e-9)
    assert float(line["position"]) == pytest.approx(one["position"], abs=1e-12)
    assert "slippage is against" in bench.run("journal", folder, "--summary").out
    (pair,) = json.loads(bench.run("journal", folder, "--slippage", folder, "--json").out)["pairs"]
    assert pair["this"] == pair["other"]
    assert (pair["this"]["orders"], pair["this"]["fills"]) == (line["orders"], line["fills"])
    fills = bench.run("journal", folder, "--show", "fills", "--symbol", one["symbol"], "--last", "3").out
    order = fills.splitlines()[-1].split()[2]
    story = bench.run("journal", folder, "--order", order).out
    for words in ("decided to", "it had seen spread_bps ", "risk approved it", "filled ", "it ended "):
        assert words in story
    said = bench.run("journal", folder, "--show", "orders", "--csv", "orders.csv").out
    assert said == f"{line['orders']} rows are in orders.csv\n"
    assert len((bench.folder / "orders.csv").read_text().splitlines()) == line["orders"] + 1
    since = ("--show", "refusals", "--since", "2026-01-31T12:00:00")
    assert bench.run("journal", folder, *since).out.startswith("time (UTC)")


def test_halt_cancels_and_lasts_until_resume_and_flatten_ends_flat(bench, exchange):
    daemon = bench.live(exchange, CROSS, MAKER)
    daemon.ready()
    daemon.until(lambda state: abs(state["instruments"][0]["position"]) > 0.001, "a position")
    standing(exchange, 2)

    said = bench.run("halt", "--reason", "lunch").out
    assert said == "halt accepted; the daemon is HALTED\n"
    standing(exchange, 0)
    halted = daemon.state()
    assert (halted["state"], halted["reason"], halted["kill_switch"]) == ("HALTED", "lunch", True)
    later = daemon.until(lambda state: state["feed_frames"] > halted["feed_frames"] + 200, "200 more frames")
    assert later["state"] == "HALTED"
    assert exchange.open_orders() == []
    risen = abs(later["instruments"][0]["position"]) - abs(halted["instruments"][0]["position"])
    assert risen < LOT, "a halted daemon may only bring its position nearer to zero"
    assert fetch(daemon.socket, "/readyz")[0] == 503

    assert bench.run("resume").out == "resume accepted; the daemon is READY\n"
    standing(exchange, 2)
    daemon.filled()

    first, *_, last = bench.run("flatten").out.splitlines()
    assert first == "flatten accepted; the daemon is HALTED"
    assert last == "flatten is done: no order stands, nothing but dust is held"
    flat = daemon.until(
        lambda state: abs(state["instruments"][0]["position"]) < LOT, "the position is closed"
    )
    assert flat["reason"] == "flatten"
    standing(exchange, 0)
    assert daemon.child.end() == 0
    assert daemon.child.json["reason"] == "flatten"


def test_a_halt_outlives_a_restart(bench, exchange):
    daemon = bench.live(exchange, MAKER)
    daemon.ready()
    bench.run("halt", "--reason", "no more")
    assert daemon.child.end() == 0
    again = bench.live(exchange, MAKER)  # the same name, so the same journal
    state = again.until(lambda state: state["state"] == "HALTED", "it is HALTED again", READY_S)
    assert state["reason"] == "no more"
    bench.run("resume")
    standing(exchange, 2)
    assert again.child.end(signal.SIGTERM) == 0
    assert exchange.open_orders() == []


def test_an_interrupt_cancels_at_the_venue_and_exits_0(bench, exchange):
    daemon = bench.live(exchange, MAKER)
    daemon.ready()
    standing(exchange, 2)
    assert daemon.child.end(signal.SIGINT) == 0
    assert exchange.open_orders() == []
    by_state = daemon.child.json["orders"]["by_state"]
    assert by_state.keys() <= {"CANCELED", "FILLED"}
    assert bench.run("state", code=4).complaint.startswith("no daemon runs here")


def test_a_second_signal_exits_at_once_with_130(bench):
    exchange = bench.exchange("--symbol", "BTC/USDT")
    daemon = bench.live(exchange, MAKER)
    daemon.ready()
    standing(exchange, 2)
    exchange.child.send(
        signal.SIGSTOP
    )  # so that the cancellations are not answered, and the end takes its time
    daemon.child.send(signal.SIGTERM)
    daemon.until(lambda state: state["state"] == "DRAINING", "it ends")
    began = time.monotonic()
    daemon.child.send(signal.SIGINT)
    assert daemon.child.wait() == 130
    assert time.monotonic() - began < 2.0, "the drain alone would have taken 3 s"
    assert daemon.child.out == ""


def test_a_signal_before_it_is_ready_ends_it_too(bench):
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes connections and says nothing
        urls = {"spot": f"http://127.0.0.1:{deaf.getsockname()[1]}"}
        child = bench.tickd("paper", bench.config(urls, MAKER, mode="paper", kind="paper"))
        until((bench.folder / "var/one/journal-paper/lock").exists, "it has begun", READY_S)
        assert child.end() == 0


def test_it_ends_with_its_parent(bench, exchange):
    path = bench.config(exchange.urls, MAKER)
    child = bench.tickd(
        "run", path, "--live", "--json", "--with-parent", env=exchange.keys, stdin=subprocess.PIPE
    )
    bench.daemon(child).ready()
    standing(exchange, 2)
    child.popen.stdin.close()
    assert child.wait() == 0
    assert exchange.open_orders() == []
    assert child.json["state"] == "STOPPED"


def test_it_ends_by_itself_after_its_seconds_with_a_table(bench, exchange):
    child = bench.run(
        "run", bench.config(exchange.urls, CROSS), "--live", "--seconds", "2", env=exchange.keys
    )
    assert "ended STOPPED" in child.out
    assert ", 1 snapshot " in child.out
    assert "not_ready" not in child.out
    assert "gate" not in child.out


def test_paper_trades_on_the_exchanges_feed_without_keys(bench, exchange):
    before = len(exchange.orders())
    config = bench.config(exchange.urls, CROSS)  # a live configuration, rehearsed
    child = bench.tickd("paper", config, "--json")
    daemon = bench.daemon(child, "one")
    daemon.ready()
    state = daemon.filled(3)
    assert (state["mode"], state["venue"]) == ("paper", "paper")
    assert child.end() == 0
    assert len(exchange.orders()) == before


def test_top_shows_it_line_by_line_until_it_is_gone(bench, exchange):
    daemon = bench.live(exchange, MAKER)
    daemon.ready()
    ended, left = (bench.tickd("top", "--interval", "0.1") for _ in range(2))
    until(lambda: min(one.out.count("READY ") for one in (ended, left)) > 2, "both show three lines")
    for _ in range(3):  # one that was not heard is seen once in hundreds: a person would press it again
        ended.send(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            ended.popen.wait(10)
            break
    assert ended.wait() == 0
    assert "BTC/USDT" in bench.run("state").out
    assert daemon.child.end() == 0
    assert left.wait() == 4
    assert "no daemon answers" in left.complaint


RAISES = """
PARAMS = {}
STATES = 1
INSTRUMENTS = 1
TIMER_S = 0.0


def decide(now_ns, why, rows, book, position, working, account, state, params, out):
    state[0] += 1
    if state[0] > 50:
        raise ArithmeticError("the model went mad")
    return -1
"""


def test_a_strategy_that_raises_halts_and_the_daemon_stays_up(bench, exchange):
    (bench.folder / "mad.py").write_text(RAISES)
    mad = '[[strategy]]\nname = "mad.py:decide"\nwarmup_ticks = 1\n'
    daemon = bench.live(exchange, mad, MAKER)
    state = daemon.until(lambda state: state["state"] == "HALTED", "it is HALTED", READY_S)
    assert state["reason"] == "strategy mad raised ArithmeticError: the model went mad"
    standing(exchange, 0)
    daemon.until(lambda one: one["feed_frames"] > state["feed_frames"] + 100, "100 more frames")
    assert daemon.child.end() == 0


def cpu_share(daemon, frames=150):
    """Return the share of a core it took, over so many frames: a busy machine gives both less."""
    first, used, began = daemon.state()["feed_frames"], cpu_s(daemon), time.monotonic()
    daemon.until(lambda state: state["feed_frames"] > first + frames, f"{frames} frames")
    return (cpu_s(daemon) - used) / (time.monotonic() - began)


def cpu_s(daemon):
    fields = Path(f"/proc/{daemon.child.popen.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpus_by_thread(pid):
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        lines = (line.partition(":\t") for line in (task / "status").read_text().splitlines())
        found[int(task.name)] = {name: value for name, _, value in lines}["Cpus_allowed_list"]
    return found


def test_a_spinning_loop_takes_its_core_for_itself_and_another_one_sleeps(bench, exchange):
    cpu = min(os.sched_getaffinity(0))
    shares = []
    for name, env in (("calm", {}), ("spin", {"TICKD__LOOP__SPIN": "true", "TICKD__LOOP__CPU": str(cpu)})):
        config = bench.config(exchange.urls, MAKER, name=name, mode="paper", kind="paper")
        daemon = bench.daemon(bench.tickd("run", config, env=env), name)
        daemon.ready()
        shares.append(cpu_share(daemon))
        cpus = cpus_by_thread(daemon.child.popen.pid)
        assert daemon.child.end() == 0
    assert shares[1] > 2 * shares[0], shares
    own = cpus.pop(daemon.child.popen.pid)
    assert own == str(cpu)
    assert any(allowed != own for allowed in cpus.values()), "the journal's thread must not share that core"


def test_the_configuration_for_low_latency_trades_as_it_is_shipped(bench, exchange):
    rest = exchange.urls["spot"]
    ws = rest.replace("http", "ws", 1)
    here = {
        "FEED__REST_URL": rest,
        "FEED__WS_URL": ws,
        "VENUE__REST_URL": rest,
        "VENUE__WS_URL": f"{ws}/ws-api/v3",
        "VENUE__KEY_TYPE": "hmac",  # of the exchange that is here
        "VENUE__PRIVATE_KEY_FILE": "",
        "LOOP__CPU": str(min(os.sched_getaffinity(0))),
        "RISK__DAILY_LOSS_MAX": "50000",  # the account holds coins, whose price moves
        "RISK__DRAWDOWN_MAX": "50000",
        "STRATEGY__0__PARAMS__BAND_BPS": "0.0",  # it would trade once in minutes
        "STRATEGY__0__TUNING__EMA_FAST": "2.0",
        "STRATEGY__0__TUNING__EMA_SLOW": "6.0",
    }
    env = {**exchange.keys, **{f"TICKD__{key}": value for key, value in here.items()}}
    command = bench.tickd("run", ROOT / "configs" / "lowlatency.toml", "--live", env=env)
    daemon = bench.daemon(command, "lowlatency")
    daemon.ready()
    daemon.filled()
    state = daemon.state()
    assert state["instruments"][0]["depths"] == 0
    assert "order_notional_max" not in state["orders"]["refusals"]
    assert daemon.metric("tickd_gc_pause_seconds_count") > 0
    assert daemon.child.end() == 0


def test_a_core_that_is_not_there_is_named(bench, exchange):
    config = bench.config(exchange.urls, MAKER, mode="paper", kind="paper")
    child = bench.run("run", config, env={"TICKD__LOOP__CPU": "4000"}, code=78)
    assert child.complaint.startswith("loop.cpu is 4000, and this process may use 0")

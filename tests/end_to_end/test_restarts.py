"""Killed in the middle, started again: positions and ids go on where the journal left them."""

from __future__ import annotations

import random
import time

import pytest

from daemon.memory_checkpoint import decode
from tests.end_to_end.agreement import check_agreement
from tests.end_to_end.harness import CROSS, MAKER, until


def client_ids(exchange):
    return [one["clientOrderId"] for one in exchange.orders()]


def test_a_killed_daemon_continues_its_position_and_its_ids(bench):
    exchange = bench.exchange("--symbol", "BTC/USDT")
    before = exchange.holds()
    daemon = bench.live(exchange, CROSS, MAKER)
    daemon.ready()
    daemon.filled(3)
    daemon.child.kill()
    daemon = bench.live(exchange, CROSS, MAKER)
    daemon.ready()
    daemon.filled(3)
    state = check_agreement(bench, exchange, daemon, before)
    assert state["orders"]["rejected"] == {}
    assert daemon.child.end() == 0
    runs = {one.split("-")[1] for one in client_ids(exchange)}
    assert len(runs) == 2
    summary = bench.run("journal", "var/one/journal-live", "--summary", "--json").json
    assert (summary["runs"], summary["runs_cut"], summary["last_run_open"]) == (2, 1, False)


@pytest.mark.heavy(seconds=90)
def test_a_daemon_killed_at_twelve_random_moments_still_agrees_with_its_exchange(bench):
    exchange = bench.exchange("--symbol", "BTC/USDT")
    before = exchange.holds()
    moments = random.Random(12)
    for _ in range(12):
        daemon = bench.live(exchange, CROSS, MAKER)
        daemon.until(lambda state: state["orders"]["placed"] > 0, "its first order", 300)
        time.sleep(moments.random())
        daemon.child.kill()
    daemon = bench.live(exchange, CROSS, MAKER)
    daemon.ready()
    daemon.filled(2)
    check_agreement(bench, exchange, daemon, before)
    assert daemon.child.end() == 0


def test_the_exchange_may_go_and_come_back(bench):
    exchange = bench.exchange("--symbol", "BTC/USDT")
    port = exchange.urls["spot"].rpartition(":")[2]
    daemon = bench.live(exchange, MAKER)
    daemon.ready()
    until(lambda: len(exchange.open_orders()) == 2, "two orders stand")
    exchange.child.kill()
    lost = daemon.until(lambda state: not state["venue_up"] and not state["feed_connected"], "it has noticed")
    assert lost["instruments"][0]["book_synced"] is False
    again = bench.exchange("--symbol", "BTC/USDT", "--port", port)
    back = daemon.until(
        lambda state: (
            state["venue_up"]
            and state["feed_connected"]
            and state["instruments"][0]["book_synced"]
            and state["instruments"][0]["gate"] not in {"venue_down", "not_ready"}
        ),
        "it is back",
        60,
    )
    assert back["feed_reconnects"] >= 1
    # its orders are unknown to this new exchange: they stay reserved, and their instrument closed to new risk
    assert back["instruments"][0]["gate"] in {"unknown_order", ""}
    assert again.open_orders() == []
    assert daemon.child.end() == 0


def test_two_daemons_do_not_share_a_journal(bench, exchange):
    daemon = bench.live(exchange, MAKER)
    daemon.ready()
    second = bench.live(exchange, MAKER)
    assert second.child.wait() == 1
    assert second.child.complaint.startswith("another daemon is running on the journal var/one/journal-live")
    assert daemon.state()["state"] == "READY"
    assert daemon.child.end() == 0


#: so often that a kill at random is likely to come into a write
CHECKPOINTS = "[journal]\ncheckpoint_s = 0.02\n"


def strategy_of(state):
    (one,) = state["strategies"]
    return one


def test_a_killed_daemon_goes_on_from_its_checkpoint_and_says_so(bench):
    exchange = bench.exchange("--symbol", "BTC/USDT")
    daemon = bench.live(exchange, CROSS, more=CHECKPOINTS)
    assert strategy_of(daemon.ready())["began"] == "anew"
    daemon.until(lambda state: state["checkpoints"] >= 2, "a checkpoint of a warm strategy")
    daemon.child.kill()
    daemon = bench.live(exchange, CROSS, more=CHECKPOINTS)
    one = strategy_of(daemon.ready())
    assert one["began"].startswith("restored from ")
    assert (one["cold_ticks"], one["gaps"], one["on_gap"]) == (0, 1, "mark")
    assert daemon.child.end() == 0
    (path,) = daemon.journal.glob("*.checkpoint")
    path.write_bytes(path.read_bytes()[:-1])
    daemon = bench.live(exchange, CROSS, more=CHECKPOINTS)
    assert "memories.checkpoint is torn" in strategy_of(daemon.ready())["began"]
    assert daemon.child.end() == 0


@pytest.mark.heavy(seconds=100)
def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(bench):
    exchange = bench.exchange("--symbol", "BTC/USDT")
    moments = random.Random(7)
    for number in range(20):
        daemon = bench.live(exchange, CROSS, more=CHECKPOINTS)
        began = strategy_of(daemon.ready())["began"]
        assert began == "anew" if number == 0 else began.startswith("restored from ")
        daemon.until(lambda state: state["checkpoints"] >= 1, "a checkpoint")
        time.sleep(moments.random() / 10)
        daemon.child.kill()
        (path,) = daemon.journal.glob("*.checkpoint")
        (memory,) = decode(path.read_bytes())
        assert memory.name == "ema_cross"

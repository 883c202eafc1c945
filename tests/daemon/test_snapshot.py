from __future__ import annotations

import json
import math

import msgspec
import pytest

from daemon import __version__
from daemon.config import PaperConfig, RiskConfig, StrategyConfig
from daemon.events import ExecutionReport
from daemon.snapshot import held, take_status
from daemon.spans import Spans
from kernels import dtypes as d


@pytest.fixture
def script(new_script):
    return new_script()


def status_of(floor, started_ns=None):
    started_ns = floor.time.now_ns() if started_ns is None else started_ns
    return take_status(floor.core, floor.feed, name="x", mode="paper", started_ns=started_ns)


def numbers(node):
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from numbers(one)
    elif isinstance(node, (int, float)):
        yield node


def test_before_anything_came_what_is_unknown_is_none(new_floor, script):
    floor = new_floor(script, start=False)
    status = status_of(floor)
    (btc,) = status.instruments
    assert (btc.feed_age_s, btc.bid, btc.ask, status.equity) == (None, None, None, None)
    assert (status.state, status.uptime_s, status.drains, status.decisions) == ("STARTING", 0.0, 0, 0)
    assert (status.name, status.mode, status.version, status.quote) == ("x", "paper", __version__, "USDT")
    assert (btc.symbol, btc.base, btc.gate, btc.stale) == ("BTC/USDT", "BTC", "not_ready", False)
    assert status.orders.by_state == {}


def test_what_the_feed_brought_is_told(new_floor, script):
    floor = new_floor(script, streams=("trade", "quote", "depth"))
    begun_ns = floor.time.now_ns()
    floor.depth(11, "", "")
    floor.snapshot(10)
    for _ in range(3):
        floor.quote(100.0, 100.02, last=False)
    floor.trade()
    floor.trade()
    floor.depth(30, "", "")  # 12 was next
    floor.feed.on_frame(b"{", True)
    floor.later(1.5)
    status = status_of(floor, begun_ns)
    (btc,) = status.instruments
    assert (btc.trades, btc.quotes, btc.depths, btc.snapshots) == (2, 3, 2, 1)
    assert (btc.book_synced, btc.book_gaps, btc.book_resyncs) == (False, 1, 1)
    assert (btc.bid, btc.ask, btc.feed_age_s) == (100.0, 100.02, 1.5)
    assert status.feed_errors == {"json": 1}
    assert (status.feed_frames, status.drains, status.coalesced) == (9, 5, 3)
    assert status.uptime_s == 1.507
    assert status.events == 7
    assert btc.gate == "book_gap"


def test_what_is_held_is_told_by_itself(new_floor, new_script):
    first, second = new_script(), new_script()
    floor = new_floor(first, second, bases=("BTC", "ETH"))
    assert held(floor.core) == []
    floor.go_long(0.5)
    (btc,) = held(floor.core)
    whole = next(one for one in status_of(floor).instruments if one.symbol == "BTC/USDT")
    names = ("symbol", "base", "position", "avg_price", "realised", "unrealised", "fees")
    assert [getattr(btc, name) for name in names] == [getattr(whole, name) for name in names]
    assert btc.position == 0.5


def test_timers_and_fills_do_not_hide_what_was_coalesced(new_floor, new_script):
    script = new_script()
    floor = new_floor(script, new_script(2), bases=("BTC", "ETH"))
    floor.go_long()
    floor.later(5)
    floor.quote(last=False)
    floor.quote(last=False)
    status = status_of(floor)
    assert (status.feed_frames, status.drains, status.coalesced) == (5, 3 + 1 + 5, 2)


def test_what_is_held_is_told_with_what_it_cost(new_floor, script):
    paper = PaperConfig(latency_in_us=1000, latency_out_us=1000, balances={"USDT": 1000})
    floor = new_floor(script, paper=paper)
    floor.open_market()
    script.target(2.0, 100.02)
    floor.quote(100.0, 100.02)
    script.wants = None
    floor.later(0.01)
    floor.quote(110.0, 110.02)
    floor.later(0.1)
    status = status_of(floor)
    (btc,) = status.instruments
    assert btc.position == pytest.approx(1.998)  # the fee is taken in BTC
    assert btc.avg_price == pytest.approx(100.02)
    assert btc.unrealised == pytest.approx(1.998 * 9.99)
    assert btc.realised == 0.0
    assert btc.fees == pytest.approx(0.002 * 100.02, rel=1e-3)
    assert status.equity == pytest.approx(1000 - 200.04 + 1.998 * 110.01)
    assert status.day_pnl == pytest.approx(status.equity - 1000)
    assert (status.drawdown, status.venue, status.venue_up, status.venue_reconnects) == (
        0.0,
        "paper",
        True,
        0,
    )
    assert status.pnl == pytest.approx(1.998 * 9.99 - 0.002 * 100.02, rel=1e-3)


def test_what_strategies_hold_of_one_instrument_is_netted(new_floor, new_script):
    scripts = [new_script(), new_script(), new_script()]
    floor = new_floor(*scripts, market="usdm")
    floor.open_market()
    for script, qty in zip(scripts, (0.3, -0.1, -0.2), strict=True):
        script.target(qty, 100.02 if qty > 0 else 100.0)
    floor.quote()
    floor.later(0.01)
    (btc,) = status_of(floor).instruments
    assert [floor.position(number) for number in range(3)] == [0.3, -0.1, -0.2]
    assert (btc.position, btc.avg_price) == (0.0, 0.0)
    scripts[2].target(0.0, 100.02)
    floor.quote()
    floor.later(0.01)
    (btc,) = status_of(floor).instruments
    assert btc.position == pytest.approx(0.2)
    assert btc.avg_price == pytest.approx((0.3 * 100.02 - 0.1 * 100.0) / 0.2)
    assert btc.realised == pytest.approx(-0.2 * 0.02)


def test_orders_are_counted_by_where_they_stand(new_floor, script):
    floor = new_floor(script, risk=RiskConfig(order_notional_max=150.0))
    floor.open_market()
    script.rest((d.BUY, 99.9, 1.0), (d.BUY, 99.8, 1.0), (d.BUY, 99.7, 2.0))
    floor.quote()
    floor.later(0.2)
    script.rest((d.BUY, 99.9, 0.5))  # one less of it, none of the other
    floor.quote()
    floor.later(0.2)
    orders = status_of(floor).orders
    assert (orders.placed, orders.amended, orders.cancelled, orders.fills) == (2, 1, 1, 0)
    assert orders.by_state == {"WORKING": 1, "CANCELED": 1}
    assert orders.refusals == {"order_notional_max": 1}
    floor.quote(99.88, 99.9)
    floor.trade(99.88, 0.5, sold=True)
    floor.later(0.01)
    orders = status_of(floor).orders
    assert (orders.by_state, orders.fills) == ({"FILLED": 1, "CANCELED": 1}, 1)
    assert (orders.rejected, orders.unknown, orders.unknown_age_s) == ({}, 0, 0.0)


def test_an_order_that_never_left_is_not_told_as_the_venues_rejection(new_floor, script):
    floor = new_floor(script, latency_ms=9000)
    floor.open_market()
    script.rest((d.BUY, 99.9, 1.0), (d.BUY, 99.8, 1.0))
    floor.quote()
    script.wants = None
    words = (("not sent: the venue is down", 0), ("no", -2010))
    for order, (reason, code) in zip(floor.sent(), words, strict=True):
        floor.engine.on_report(
            ExecutionReport(
                kind="REJECTED",
                client_order_id=order.client_order_id,
                instrument=0,
                wire_ns=floor.time.now_ns(),
                reason=reason,
                code=code,
            )
        )
    orders = status_of(floor).orders
    assert (orders.by_state, orders.rejected, orders.unsent) == ({"REJECTED": 2}, {"-2010": 1}, 1)


def test_an_order_of_unknown_fate_is_told_with_its_age(new_floor, script):
    floor = new_floor(script, latency_ms=9000)
    floor.open_market()
    script.rest((d.BUY, 99.9, 1.0))
    floor.quote()
    floor.later(3.0)
    orders = status_of(floor).orders
    assert (orders.by_state, orders.unknown) == ({"UNKNOWN": 1}, 1)
    assert orders.unknown_age_s == pytest.approx(1.0)  # it was given two


def test_a_thrown_kill_switch_tells_its_reason(new_floor, script):
    floor = new_floor(script)
    floor.command("halt", "lunch")
    status = status_of(floor)
    assert (status.state, status.kill_switch, status.reason) == ("HALTED", True, "lunch")
    floor.command("resume")
    status = status_of(floor)
    assert (status.state, status.kill_switch, status.reason) == ("READY", False, "")


def test_the_journal_is_told_as_it_grows(new_floor, script):
    floor = new_floor(script)
    before = status_of(floor)
    assert before.journal_bytes == floor.core.journal.size > 0
    floor.command("halt")
    after = status_of(floor)
    assert after.journal_records - before.journal_records >= 2  # the command, the latch
    assert after.journal_bytes > before.journal_bytes
    journal = floor.core.journal
    assert (after.journal_syncs, after.journal_unsynced) == (journal.syncs, journal.unsynced)


def test_digest_and_decisions_are_those_of_every_strategy(new_floor, new_script):
    floor = new_floor(new_script(), new_script())
    floor.quote()
    floor.quote()
    status = status_of(floor)
    parts = status.digest.split("-")
    assert status.decisions == 4
    assert [int(part, 16) for part in parts] == [int(one.memory[0]["digest"]) for one in floor.core.runtimes]
    assert all(len(part) == 16 and int(part, 16) for part in parts)


def test_spans_are_told_by_stage(new_floor, script):
    spans = Spans()
    floor = new_floor(script, spans=spans)
    floor.open_market()
    script.rest((d.BUY, 99.9, 1.0))
    floor.quote()
    floor.later(0.01)
    stages = {one.stage: one for one in status_of(floor).latency}
    assert {name: one.count for name, one in stages.items()} == {
        "decode": 2,
        "decide": 2,
        "risk": 1,
        "record": 1,
        "send": 1,
        "order": 1,
        "ack": 1,
        "turn": 0,
    }
    assert stages["ack"].p50_s == pytest.approx(0.002, rel=0.01)  # there and back


@pytest.mark.parametrize("life", ["before anything came", "in the middle of it"])
def test_the_status_is_finite_json(new_floor, script, life):
    floor = new_floor(script, start=False)
    if life != "before anything came":
        floor.start()
        floor.go_long(2.0)
    data = json.loads(msgspec.json.encode(status_of(floor)), parse_constant=pytest.fail)
    assert all(math.isfinite(number) for number in numbers(data))
    assert (data["equity"] is None) == (life == "before anything came")


def test_what_a_strategy_that_is_gone_left_behind_is_told_too(new_floor, script):
    floor = new_floor(script, bases=("BTC", "ETH"))
    floor.go_long(1.0)
    left = StrategyConfig(name="ema_cross", symbols=("ETH/USDT",))
    later = floor.restarted(left, bases=("BTC", "ETH"))
    later.quote(110.0, 110.02)
    later.later(0.1)
    btc, _ = status_of(later).instruments
    assert (btc.position, btc.bid, btc.ask) == (1.0, 110.0, 110.02)
    assert btc.unrealised == pytest.approx(110.01 - 100.02)
    (told,) = status_of(later).left_behind
    assert told.startswith("nobody minds 1 BTC of ")
    assert status_of(floor).left_behind == []


def test_a_strategy_that_failed_is_named_until_a_person_resumes(new_floor, script):
    floor = new_floor(script)
    script.answer = lambda: 1 // 0
    floor.quote()
    status = status_of(floor)
    assert status.strategy_faults == {"probe": "raised ZeroDivisionError: integer division or modulo by zero"}
    script.answer = None
    floor.command("resume")
    assert status_of(floor).strategy_faults == {}


def test_what_never_came_or_came_in_vain_is_told(new_floor, script):
    floor = new_floor(script, streams=("trade", "quote", "depth"))
    floor.depth(11, "", "")
    floor.depth(13, "", "")  # without a snapshot, and 12 is missing
    floor.trade()
    for _ in range(2):
        next(floor._trade_ids)
    floor.trade()
    (btc,) = status_of(floor).instruments
    assert (btc.trades_missed, btc.depths_dropped) == (2, 1)

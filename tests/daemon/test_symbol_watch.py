"""A symbol that its exchange has closed: nothing is tried, and trading goes on once it is open again."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from daemon.errors import ConfigError
from daemon.events import ExecutionReport
from daemon.orders.audit import Alarm
from kernels.dtypes import BUY

SECOND = 1_000_000_000


@pytest.fixture
def script(new_script):
    return new_script()


def said(floor, *statuses):
    return [replace(one, status=status) for one, status in zip(floor.instruments, statuses, strict=True)]


def rejected(floor, reason):
    report = ExecutionReport(kind="REJECTED", client_order_id="x", instrument=0, wire_ns=1, reason=reason)
    floor.engine.market.symbols.on_rejected(report)


async def later(floor, seconds):
    for _ in range(round(seconds * 10)):
        floor.time.advance(floor.time.now_ns() + SECOND // 10)
        for _ in range(5):
            await asyncio.sleep(0)


def test_nothing_leaves_in_a_closed_symbol_and_what_reduces_does_not_either(new_floor, script):
    floor = new_floor(script)
    floor.go_long(2.0)
    floor.audits.clear()
    floor.engine.market.symbols.take(said(floor, "BREAK"))
    assert floor.gate() == "market_closed"
    (alarm,) = [audit for audit in floor.audits if isinstance(audit, Alarm)]
    assert alarm.kind == "market_closed"
    assert alarm.text == "BTC/USDT is BREAK at binance: no order leaves until it is TRADING"
    floor.engine.market.symbols.take(said(floor, "HALT"))
    assert len([audit for audit in floor.audits if isinstance(audit, Alarm)]) == 1
    for wanted, price in ((3.0, 100.1), (0.0, 99.9)):
        script.target(wanted, price)
        floor.quote()
        floor.later(0.01)
    assert floor.sent() == []
    assert floor.refused()["market_closed"] == 2
    floor.engine.market.symbols.take(said(floor, "TRADING"))
    assert floor.gate() == ""
    floor.quote()
    floor.later(0.01)
    assert floor.position() == 0.0


@pytest.mark.parametrize("words", ["Market is closed.", "Symbol is closed.", "MarketClosed: binance {}"])
def test_a_rejection_that_says_so_closes_at_once(new_floor, script, words):
    floor = new_floor(script)
    floor.open_market()
    rejected(floor, words)
    rejected(floor, words)
    assert floor.gate() == "market_closed"
    (text,) = [audit.text for audit in floor.audits if isinstance(audit, Alarm)]
    assert text.startswith("BTC/USDT is closed at binance: ")
    floor.engine.market.symbols.take(said(floor, "TRADING"))
    assert floor.gate() == ""


def test_a_flatten_waits_for_the_market_and_then_closes(new_floor, script):
    floor = new_floor(script)
    floor.go_long(2.0)
    floor.audits.clear()
    floor.engine.market.symbols.take(said(floor, "BREAK"))
    floor.command("flatten")
    floor.quote()
    floor.later(1.0)
    assert (floor.sent(), floor.position()) == ([], 2.0)
    floor.engine.market.symbols.take(said(floor, "TRADING"))
    floor.quote()
    floor.later(0.2)
    assert floor.position() == 0.0


def test_only_the_closed_symbol_is_closed(new_floor, new_script):
    floor = new_floor(new_script(2), bases=("BTC", "ETH"))
    floor.open_market()
    floor.engine.market.symbols.take(said(floor, "TRADING", "BREAK"))
    assert (floor.gate(0), floor.gate(1)) == ("", "market_closed")


def test_it_is_asked_about_while_there_is_a_reason_to(new_floor, script):
    floor = new_floor(script)
    floor.open_market()
    answers, asked = [], []

    async def ask():
        asked.append(floor.time.now_ns())
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer and said(floor, answer)

    async def main():
        task = asyncio.ensure_future(
            floor.engine.market.symbols.run(ask, floor.seams, floor.core.doors.take_symbols)
        )
        await later(floor, 20)
        rejected(floor, "not sent: the venue is down")
        await later(floor, 20)
        assert asked == []  # no reason, no question

        answers.extend(["TRADING", "BREAK"])
        rejected(floor, "Filter failure: NOTIONAL")
        await later(floor, 0.1)
        rejected(floor, "Filter failure: NOTIONAL")
        await later(floor, 1.0)
        assert len(asked) == 1  # not so soon again
        await later(floor, 1.2)
        assert (len(asked), floor.gate()) == (2, "market_closed")

        answers.extend([None, ConfigError("binance spot lists no BTC/USDT"), "BREAK", "TRADING"])
        await later(floor, 30)
        assert (len(asked), answers, floor.gate()) == (6, [], "stale_feed")  # no quote came meanwhile
        task.cancel()

    asyncio.run(main())
    floor.quote()
    floor.trade(100.0)
    floor.later(0.2)
    script.target(1.0, 100.1)
    floor.quote()
    floor.later(0.01)
    assert [order.side for order in floor.sent()] == [BUY]


def test_a_coarse_word_for_a_market_is_not_asked_for_at_once_after_it_refused_as_closed(new_floor, script):
    floor = new_floor(script)
    floor.open_market()
    symbols, asked = floor.engine.market.symbols, []

    async def ask():
        asked.append(floor.time.now_ns())
        return [replace(one, exchange="kraken") for one in floor.instruments]  # always open, as it has it

    async def main():
        task = asyncio.ensure_future(symbols.run(ask, floor.seams, symbols.take_statuses, coarse=True))
        await later(floor, 0.1)
        for turn in range(1, 4):
            rejected(floor, "MarketClosed: there")
            await later(floor, 59)
            assert (len(asked), floor.gate()) == (turn - 1, "market_closed")
            await later(floor, 2)
            assert (len(asked), 0 in floor.engine.risk.suspended) == (turn, False)
            await later(floor, 60)
        alarms = [audit for audit in floor.audits if isinstance(audit, Alarm)]
        texts = [one.text for one in alarms if one.kind == "market_closed"]
        assert [text.partition(":")[0] for text in texts] == [
            f"BTC/USDT is closed at {name}" for name in ("binance", "kraken", "kraken")
        ]

        rejected(floor, "OrderImmediatelyFillable: there")
        await later(floor, 0.1)
        assert len(asked) == 4  # it may be why
        for _ in range(5):
            rejected(floor, "OrderImmediatelyFillable: there")
            await later(floor, 10)
        assert len(asked) == 4  # a list of all its markets
        await later(floor, 20)
        assert len(asked) == 5
        task.cancel()

    asyncio.run(main())

"""The watch over the market: an instrument that is silent or lags adds no risk, and is let go again."""

from __future__ import annotations

import re

import pytest

from daemon.config import RiskConfig
from daemon.orders.audit import Alarm
from daemon.snapshot import take_status
from kernels.dtypes import BUY, QUOTE, SELL
from kernels.ring import CAPACITY, push

MS = 1_000_000
LAGS = RiskConfig(feed_lag_ms_max=100)


@pytest.fixture
def script(new_script):
    return new_script()


def trade(floor, lag_ms: int, index: int = 0) -> None:
    """Let a trade come that the exchange stamped so long ago, and the watch see it."""
    floor.trade(100.0, index=index, at_ms=floor.time.now_ns() // MS + 1 - lag_ms)
    floor.later(0.1)


def lag_s(floor, index: int = 0):
    status = take_status(floor.core, floor.feed, name="x", mode="paper", started_ns=0)
    return status.instruments[index].feed_lag_s


def test_a_feed_that_lags_adds_no_risk_until_it_has_caught_up(new_floor, script):
    floor = new_floor(script, risk=LAGS)
    floor.go_long(2.0)
    trade(floor, 30)
    floor.audits.clear()
    trade(floor, 131)
    assert (floor.gate(), lag_s(floor)) == ("feed_lag", 0.101)
    script.target(3.0, 100.02)
    floor.quote()
    assert (floor.sent(), floor.refused()["feed_lag"]) == ([], 1)
    script.target(1.0, 99.9)
    floor.quote()
    floor.later(0.01)
    assert [order.side for order in floor.sent()] == [SELL]
    trade(floor, 130)
    assert (floor.gate(), lag_s(floor)) == ("", 0.1)
    script.target(3.0, 100.02)
    floor.quote()
    assert [order.side for order in floor.sent()] == [SELL, BUY]


def test_clocks_that_differ_are_no_lag(new_floor, script):
    for ahead_ms in (-5000, 5000):
        floor = new_floor(script, risk=LAGS)
        floor.open_market()
        trade(floor, ahead_ms)
        trade(floor, ahead_ms + 100)
        assert (floor.gate(), lag_s(floor)) == ("", 0.1)


def test_what_clocks_differ_by_is_the_lowest_lag(new_floor, script):
    floor = new_floor(script)
    floor.open_market()

    def skew_s():
        status = take_status(floor.core, floor.feed, name="x", mode="paper", started_ns=0)
        return status.instruments[0].feed_skew_s

    assert skew_s() is None
    for lag_ms, lowest_s in ((80, 0.08), (50, 0.05), (90, 0.05), (-40, -0.04)):
        trade(floor, lag_ms)
        assert skew_s() == lowest_s


def test_only_the_instrument_that_lags_is_closed(new_floor, new_script):
    floor = new_floor(new_script(2), bases=("BTC", "ETH"), risk=LAGS)
    floor.open_market()
    trade(floor, 30, index=1)
    trade(floor, 500, index=1)
    assert (floor.gate(0), floor.gate(1)) == ("", "feed_lag")
    assert (lag_s(floor, 0), lag_s(floor, 1)) == (None, 0.47)


def test_without_a_limit_it_is_shown_and_closes_nothing(new_floor, script):
    floor = new_floor(script)
    floor.open_market()
    trade(floor, 0)
    trade(floor, 60_000)
    assert (floor.gate(), lag_s(floor)) == ("", 60.0)


def test_quotes_that_carry_no_stamp_leave_the_lag_unknown(new_floor, script):
    floor = new_floor(script, risk=LAGS)
    floor.open_market()
    assert (floor.gate(), lag_s(floor)) == ("", None)


def told_of_silence(floor) -> list[tuple[str, str]]:
    """Return kind and text of what was told since the last call."""
    told = [(audit.kind, audit.text) for audit in floor.audits if isinstance(audit, Alarm)]
    floor.audits.clear()
    return told


def test_a_silence_is_told_once_and_so_is_its_end(new_floor, script):
    floor = new_floor(script)
    floor.open_market()
    floor.audits.clear()
    limit_s = floor.config.feed.stale_ms / 1000
    floor.later(limit_s - 0.1)
    assert told_of_silence(floor) == []
    floor.later(0.2)
    ((kind, text),) = told_of_silence(floor)
    assert (kind, floor.gate()) == ("feed_silent", "stale_feed")
    assert re.fullmatch(r"no market data of BTC/USDT for \S+ s: no order that adds risk leaves", text)
    floor.later(60)
    assert told_of_silence(floor) == []
    floor.quote()
    floor.later(0.1)
    ((kind, text),) = told_of_silence(floor)
    assert (kind, floor.gate()) == ("feed_back", "")
    (after_s,) = re.findall(r"market data of BTC/USDT comes again, after (\S+) s", text)
    assert float(after_s) == pytest.approx(limit_s + 60, abs=0.5)
    floor.later(limit_s + 0.1)
    assert [kind for kind, _ in told_of_silence(floor)] == ["feed_silent"]


def test_the_silence_of_many_is_one_alarm_and_of_those_that_never_spoke_too(new_floor, new_script):
    floor = new_floor(new_script(), bases=("BTC", "ETH", "XRP", "ADA", "SOL", "DOT", "LTC"))
    floor.audits.clear()
    limit_s = floor.config.feed.stale_ms / 1000
    floor.later(limit_s - 0.1)
    assert told_of_silence(floor) == []  # it has only just begun
    floor.later(0.3)
    ((kind, text),) = told_of_silence(floor)
    assert kind == "feed_silent"
    assert text.startswith(
        "no market data of BTC/USDT, ETH/USDT, XRP/USDT, ADA/USDT, SOL/USDT and 2 more for "
    )
    for index in (0, 1):
        floor.quote(index=index)
        floor.later(0.1)
    assert [kind for kind, _ in told_of_silence(floor)] == []  # within the second
    floor.later(1.0)
    ((kind, text),) = told_of_silence(floor)
    assert (kind, "of BTC/USDT, ETH/USDT comes again" in text) == ("feed_back", True)


def overflow(floor, lost: int) -> None:
    """Let so many ticks too many come at once, past the feed that would have had them taken in time."""
    for number in range(CAPACITY + lost):
        push(floor.rings, 0, QUOTE, floor.time.now_ns(), 0, number, 100.0, 1.0, 100.02, 1.0)
    floor.engine.on_tick(0)
    floor.engine.drain(floor.time.now_ns())


def test_a_ring_that_overflowed_is_counted_and_told_and_not_ten_times_a_second(new_floor, script):
    floor = new_floor(script)
    floor.open_market()

    def told() -> list[str]:
        alarms = [audit for audit in floor.audits if isinstance(audit, Alarm)]
        return [one.text for one in alarms if one.kind == "ring_overflow"]

    overflow(floor, 5)
    floor.later(0.1)
    assert told() == ["5 ticks of BTC/USDT were overwritten before everybody had taken them"]
    overflow(floor, 7)
    floor.later(30)
    assert len(told()) == 1
    floor.later(30)
    assert told()[1:] == ["7 ticks of BTC/USDT were overwritten before everybody had taken them"]
    status = take_status(floor.core, floor.feed, name="x", mode="paper", started_ns=0)
    assert status.instruments[0].ring_overflow == 12

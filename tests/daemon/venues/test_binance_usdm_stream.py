from __future__ import annotations

from typing import Any

import pytest

from daemon.clock import VirtualTime
from daemon.venues.binance_usdm_frames import UsdmFrames
from daemon.venues.binance_usdm_stream import UsdmSession, UserStream
from tests.daemon.venues.test_binance_usdm_frames import ALGO, FUNDING, INSTRUMENT, TRADE


class Wire:
    def __init__(self) -> None:
        self.closed = 0

    def send(self, payload: bytes) -> None:
        raise AssertionError("nothing is asked here")

    def close(self) -> None:
        self.closed += 1


class Owner:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.reports: list[Any] = []
        self.funded: list[Any] = []
        self.calls: list[str] = []
        self.errors: list[str] = []
        self.ended: list[str] = []
        self.asked: list[tuple[Any, ...]] = []
        self.known = False

    def on_report(self, report: Any) -> None:
        self.reports.append(report)

    def knows(self, *what: Any) -> bool:
        self.asked.append(what)
        return self.known

    def on_funding(self, funding: Any) -> None:
        self.funded.append(funding)

    def on_margin_call(self, text: str, wire_ns: int) -> None:
        self.calls.append(text)

    def on_frame_error(self, error: Any) -> None:
        self.errors.append(error.reason)

    def on_closed(self, session: Any, reason: str) -> None:
        self.ended.append(reason)


class Pair:
    """A session and its stream, each on a wire."""

    def __init__(self) -> None:
        time, frames = VirtualTime(5), UsdmFrames([INSTRUMENT])
        self.owner, self.api, self.user = Owner(), Wire(), Wire()
        owner: Any = self.owner
        self.session = UsdmSession(owner, frames, time)
        self.session.begin(self.api)
        self.stream = UserStream(self.session, owner, frames, time)
        self.stream.begin(self.user)
        self.session.stream = self.stream


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_orders_stops_and_funding_are_handed_on(pair: Pair) -> None:
    pair.stream.on_frame(TRADE, True)
    pair.stream.on_frame(ALGO % (b"NEW", b""), True)
    pair.stream.on_frame(ALGO % (b"TRIGGERED", b""), True)
    pair.stream.on_frame(FUNDING % b"FUNDING_FEE", True)
    pair.stream.on_frame(FUNDING % b"ORDER", True)
    assert [report.kind for report in pair.owner.reports] == ["TRADE", "NEW"]
    assert len(pair.owner.funded) == 1


def test_what_is_known_already_is_not_told_again(pair: Pair) -> None:
    pair.owner.known = True
    pair.stream.on_frame(TRADE, True)
    assert pair.owner.reports == []
    assert pair.owner.asked == [("TRADE", "demo-7-1", 15, 77)]


@pytest.mark.parametrize(
    "event",
    [
        b'{"e":"TRADE_LITE","s":"BTCUSDT"}',
        b'{"e":"ACCOUNT_CONFIG_UPDATE","ac":{}}',
        b'{"e":"MARGIN_CALL"}',
        b'{"e":"GRID_UPDATE"}',
        b'{"e":"STRATEGY_UPDATE"}',
    ],
)
def test_what_concerns_no_order_is_passed_over(pair: Pair, event: bytes) -> None:
    pair.stream.on_frame(event, True)
    assert (pair.owner.reports, pair.owner.errors, pair.api.closed) == ([], [], 0)


def test_a_call_for_margin_is_one_sentence(pair: Pair) -> None:
    position = (
        b'{"s":"ETHUSDT","ps":"LONG","pa":"1.327","mt":"CROSSED","iw":"0","mp":"187.17127","up":"-1.166074",'
        b'"mm":"1.614445"}'
    )
    pair.stream.on_frame(
        b'{"e":"MARGIN_CALL","E":1587727187525,"cw":"3.16812045","p":[' + position + b"]}", True
    )
    (said,) = pair.owner.calls
    assert said == (
        "the exchange calls for margin, add some or reduce: 1.327 ETHUSDT at a mark price of 187.17127, "
        "open profit -1.166074, maintenance margin 1.614445"
    )
    assert (pair.owner.errors, pair.api.closed) == ([], 0)


def test_an_event_nobody_has_heard_of_is_counted_and_does_no_harm(pair: Pair) -> None:
    pair.stream.on_frame(b'{"e":"NOVELTY"}', True)
    assert (pair.owner.errors, pair.api.closed) == (["event"], 0)


def test_an_event_that_may_have_been_a_fill_and_cannot_be_read_ends_both(pair: Pair) -> None:
    pair.stream.on_frame(TRADE.replace(b'"z":"0.015"', b'"z":"much"'), True)
    assert pair.owner.errors == ["number"]
    assert (pair.api.closed, pair.user.closed) == (1, 1)


def test_the_key_s_end_is_the_session_s(pair: Pair) -> None:
    pair.stream.on_frame(b'{"e":"listenKeyExpired","listenKey":"x"}', True)
    assert (pair.api.closed, pair.user.closed) == (1, 1)
    pair.session.on_close("closed by us")
    assert pair.owner.ended == ["the user data stream's key ended"]


def test_either_one_s_end_is_the_other_s(pair: Pair) -> None:
    pair.stream.on_close("cut")
    assert (pair.api.closed, pair.user.closed) == (1, 0)
    other = Pair()
    other.session.on_close("cut")
    assert other.user.closed == 1
    assert other.owner.ended == ["cut"]


@pytest.mark.parametrize("end", ["close", "on_close"])
def test_a_session_that_ends_before_its_stream_is_open_ends_alone(end: str) -> None:
    pair = Pair()
    pair.session.stream = None
    getattr(pair.session, end)("cut")
    assert (pair.owner.ended, pair.user.closed) == (["cut"] if end == "on_close" else [], 0)

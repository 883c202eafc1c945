"""Frames of what ccxt gave, byte for byte: what they become, what is refused, what a loss does to a book."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from daemon.errors import FrameError
from daemon.events import Depth, Snapshot, Tick
from daemon.feeds.base import FRAME_REASONS
from daemon.feeds.ccxt import DEPTH, CcxtDecoder
from daemon.feeds.refusal import FRAME_BYTES_MAX
from daemon.feeds.trade_names import trade_id
from daemon.instruments import Instrument, make_instrument
from kernels import book as books
from kernels.dtypes import BUY, QUOTE, SELL, TRADE

WIRE = 1_740_394_561_700_000_000
MS = 1_000_000

TRADES = (
    b'{"t":"trade","s":"BTC/USDT","d":[{"i":"674510826","T":1740394561685,"p":"95634.9","q":"0.5","S":"buy"},'
    b'{"i":"a-1","T":null,"p":"95635.0","q":"0.25","S":"sell"}]}'
)
QUOTE_FRAME = (
    b'{"t":"quote","s":"BTC/USDT","T":1740394561685,"b":"95634.9","B":"1.5","a":"95635.0","A":"2.0"}'
)
BOOK = (
    b'{"t":"book","s":"BTC/USDT","T":1740394561685,"o":123456,"n":1,"b":[["95634.9","1.5"],["95634.0","2"]],'
    b'"a":[["95635.0","2"]]}'
)
CHANGE = (
    b'{"t":"depth","s":"BTC/USDT","T":1740394561785,"o":123457,"n":2,"b":[["95634.9","0"]],'
    b'"a":[["95634.8","3"]]}'
)
LOST = b'{"t":"lost","s":"BTC/USDT","n":4,"why":"InvalidNonce: \\"b\\":[[1,2]]"}'


def make(market: Any = "spot", size: str = "1", index: int = 0, base: str = "BTC") -> Instrument:
    return make_instrument(
        index, "ccxt:okx", market, f"{base}/USDT", tick_size="0.1", lot_size="0.001", qty_min="0.001",
        qty_max="9000", notional_min="5", contract_size=Decimal(size),
    )  # fmt: skip


def fresh() -> CcxtDecoder:
    return CcxtDecoder([make(), make(index=1, base="ETH")])


def reason(payload: bytes) -> str:
    with pytest.raises(FrameError) as caught:
        fresh().decode(payload, WIRE)
    assert caught.value.reason in FRAME_REASONS
    assert "\n" not in str(caught.value)
    return caught.value.reason


def test_trades_become_one_event_each() -> None:
    assert fresh().decode(TRADES, WIRE) == [
        Tick(TRADE, 0, WIRE, 1740394561685 * MS, 95634.9, 0.5, 1.0, 0.0, 674510826),
        Tick(TRADE, 0, WIRE, 0, 95635.0, 0.25, -1.0, 0.0, trade_id("a-1")),
    ]


def test_a_trade_without_a_name_is_known_by_what_it_says(bench) -> None:
    nameless = TRADES.replace(b'"674510826"', b"null").replace(b'"a-1"', b"null")
    one = make()
    it = bench(one, decoder=CcxtDecoder([one]))
    for _ in range(2):  # a reconnect repeats them
        it.core.process(nameless, WIRE, True)
    assert len(it.sink.ticks) == 2
    assert it.core.lanes[0].trade_ids.repeated == 2


def test_quotes_are_numbered_by_when_they_came() -> None:
    decoder = fresh()
    told = decoder.decode(QUOTE_FRAME, WIRE)
    assert told == Tick(QUOTE, 0, WIRE, 1740394561685 * MS, 95634.9, 1.5, 95635.0, 2.0, WIRE // 1000)
    timeless = QUOTE_FRAME.replace(b"1740394561685", b"null").replace(b'"2.0"', b'"3"')
    other = decoder.decode(timeless, WIRE)
    assert isinstance(other, Tick)
    assert (other.exch_ns, other.id) == (0, WIRE // 1000 + 1)


def test_a_book_comes_whole_and_then_its_changes() -> None:
    assert fresh().decode(BOOK, WIRE) == Snapshot(0, WIRE, 1, BOOK, in_stream=True)
    assert fresh().decode(CHANGE, WIRE) == Depth(0, WIRE, 1740394561785 * MS, 2, 2, 1, CHANGE)


def test_instruments_are_told_apart_by_their_symbol() -> None:
    for payload in (QUOTE_FRAME, BOOK, CHANGE):
        told = fresh().decode(payload.replace(b"BTC/USDT", b"ETH/USDT"), WIRE)
        assert not isinstance(told, list)
        assert told.instrument == 1  # type: ignore[union-attr]


def test_contracts_become_so_much_of_the_base(bench) -> None:
    one = make("usdm", "0.01")
    decoder = CcxtDecoder([one])
    trades, quote, book = (
        payload.replace(b"BTC/USDT", b"BTC/USDT:USDT") for payload in (TRADES, QUOTE_FRAME, BOOK)
    )
    assert [tick.b for tick in decoder.decode(trades, WIRE)] == [0.005, 0.0025]  # type: ignore[union-attr]
    told = decoder.decode(quote, WIRE)
    assert isinstance(told, Tick)
    assert (told.b, told.d) == (0.015, 0.02)
    it = bench(one, decoder=decoder)
    it.core.process(book, WIRE, True)
    assert books.levels(it.core.lanes[0].book, SELL)[1].tolist() == [20]  # lots of 0.001 BTC


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", "json"),
        (b"{", "json"),
        (b"pong", "json"),
        (b"[]", "type"),
        (b"null", "type"),
        (b"{}", "type"),
        (b" " * (FRAME_BYTES_MAX + 1), "size"),
        (TRADES + b"}", "json"),
        (BOOK.replace(b"BTC/", b"XRP/"), "symbol"),
        (BOOK.replace(b'"book"', b'"candle"'), "stream"),
        (BOOK.replace(b'"n":1', b'"n":-1'), "id"),
        (BOOK.replace(b'"n":1,', b""), "type"),
        (BOOK.replace(b"1740394561685", b"-1"), "time"),
        (CHANGE.replace(b"1740394561785", b"9000000000000"), "time"),
        (TRADES.replace(b'"buy"', b"null"), "type"),
        (TRADES.replace(b'"95634.9"', b'"0"'), "price"),
        (TRADES.replace(b'"95634.9"', b'""'), "price"),
        (TRADES.replace(b'"95634.9"', b'"nan"'), "price"),
        (TRADES.replace(b'"0.5"', b'"0"'), "qty"),
        (TRADES.replace(b'"a-1"', b'"' + b"a" * 129 + b'"'), "id"),
        (QUOTE_FRAME.replace(b'"95634.9"', b'""'), "price"),
        (QUOTE_FRAME.replace(b'"2.0"', b'"-1"'), "qty"),
        (QUOTE_FRAME.replace(b'"95634.9"', b'"95636"'), "crossed"),
    ],
)
def test_what_is_no_frame_is_refused(payload: bytes, expected: str) -> None:
    assert reason(payload) == expected


@pytest.mark.parametrize("payload", [TRADES, QUOTE_FRAME, BOOK, CHANGE, LOST])
def test_every_truncation_is_refused(payload: bytes) -> None:
    for end in range(len(payload)):
        assert reason(payload[:end]) == "json"


# --- through the core ---------------------------------------------------------------------------------------


class Played:
    def __init__(self, bench) -> None:
        one = make()
        self.it = bench(one, decoder=CcxtDecoder([one]))
        self.core, self.sink, self.lane = self.it.core, self.it.sink, self.it.core.lanes[0]

    def play(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.core.process(payload, WIRE, True)


def numbered(frame: bytes, number: int) -> bytes:
    return frame.replace(b'"n":1,', b'"n":%d,' % number).replace(b'"n":2,', b'"n":%d,' % number)


def test_a_change_that_a_recording_lacks_loses_the_book(bench) -> None:
    it = Played(bench)
    it.play(BOOK, CHANGE, numbered(CHANGE, 4))
    assert it.lane.gaps == {"gap": 1}
    assert it.it.requests == [0]
    it.play(numbered(CHANGE, 5), numbered(BOOK, 6), numbered(CHANGE, 7))
    assert it.sink.statuses == [(0, True, "snapshot"), (0, False, "gap"), (0, True, "snapshot")]
    assert [one[2:] for one in it.sink.books] == [
        (956_349, 956_350),
        (956_340, 956_348),
        (956_349, 956_350),
        (956_340, 956_348),
    ]
    assert it.core.errors == {}


def test_a_loss_is_a_gap_and_asks_for_the_book_once(bench) -> None:
    it = Played(bench)
    it.play(BOOK, CHANGE, LOST)
    assert (it.lane.gaps, it.it.requests) == ({"gap": 1}, [0])
    it.play(LOST.replace(b'"n":4', b'"n":6'))  # again, before it came
    assert (it.lane.gaps, it.it.requests) == ({"gap": 1}, [0])
    it.play(numbered(BOOK, 7), numbered(CHANGE, 8))
    assert it.lane.sync.synced
    assert it.core.errors == {}


def test_a_book_out_of_order_loses_it_and_so_does_a_price_between_ticks(bench) -> None:
    it = Played(bench)
    it.play(BOOK, CHANGE.replace(b'"95634.8"', b'"95633.0"'))
    assert it.lane.gaps == {"crossed": 1}
    it.play(numbered(BOOK, 3), numbered(CHANGE, 4).replace(b'"95634.8"', b'"95634.85"'))
    assert it.lane.gaps == {"crossed": 1, "levels": 1}
    assert it.core.errors == {"grid": 1}


def test_no_more_levels_are_kept_than_are_told(bench) -> None:
    it = Played(bench)
    bids = ",".join(f'["{price}.0","1"]' for price in range(90_000, 90_000 + DEPTH + 5))
    it.play(BOOK.replace(b'["95634.9","1.5"],["95634.0","2"]', bids.encode()))
    assert len(books.levels(it.lane.book, BUY)[0]) == DEPTH

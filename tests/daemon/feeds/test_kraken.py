"""Kraken's frames, byte for byte: what they become, what a book of theirs survives, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from daemon.errors import FrameError
from daemon.events import Depth, Snapshot, Tick
from daemon.feeds.base import FRAME_REASONS, Control
from daemon.feeds.kraken import KrakenDecoder
from daemon.feeds.refusal import FRAME_BYTES_MAX
from daemon.instruments import make_instrument
from kernels import book as books
from kernels.dtypes import BUY, QUOTE, SELL, TRADE
from tests.daemon.feeds.conftest import Bench

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon.instruments import Instrument

WIRE = 1_723_161_254_087_896_568
STAMP = '"timestamp":"2023-09-25T07:49:37.708706Z"'
STAMP_NS = 1_695_628_177_708_706_000

TRADES = (
    b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":29430.2,'
    b'"qty":0.5,"ord_type":"market","trade_id":41,"timestamp":"2023-09-25T07:49:37.708706Z"},'
    b'{"symbol":"BTC/USD","side":"buy","price":29430.3,"qty":1.00000000,"ord_type":"limit","trade_id":42,'
    b'"timestamp":"2023-09-25T07:49:37.708706Z"}]}'
)
TICKER = (
    b'{"channel":"ticker","type":"snapshot","data":[{"symbol":"BTC/USD","bid":29430.2,"bid_qty":2.50000000,'
    b'"ask":29430.3,"ask_qty":0.00000000,"last":29430.2,"volume":163.28908096,"vwap":29404.3,"low":29000.0,'
    b'"high":29999.9,"change":250.0,"change_pct":0.24,"timestamp":"2023-09-25T07:49:37.708706Z"}]}'
)
BOOK = (
    b'{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[{"price":99.9,"qty":1.00000000},'
    b'{"price":99.8,"qty":2.00000000}],"asks":[{"price":100.0,"qty":0.50000000}],"checksum":%d}]}'
)
UPDATE = (
    b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[%s],"asks":[%s],"checksum":%d,'
    b'"timestamp":"2023-09-25T07:49:37.708706Z"}]}'
)


def make(symbol: str = "BTC/USD", index: int = 0, places: tuple[int, int] = (1, 8)) -> Instrument:
    return make_instrument(
        index,
        "kraken",
        "spot",
        symbol,
        tick_size=f"1e-{places[0]}",
        lot_size=f"1e-{places[1]}",
        qty_min="0.0001",
        qty_max="1e9",
        notional_min="0.5",
        exchange_symbol=symbol,
        checksum_places=places,
    )


DECODER = KrakenDecoder([make(), make("ETH/USDT", 1, (5, 8))])


def crc(asks: str, bids: str) -> int:
    import zlib

    return zlib.crc32((asks + bids).encode())


WHOLE = crc("100050000000", "999100000000998200000000")


def refusal(payload: bytes) -> FrameError:
    with pytest.raises(FrameError) as caught:
        DECODER.decode(payload, WIRE)
    assert caught.value.reason in FRAME_REASONS
    assert "\n" not in str(caught.value)
    return caught.value


# --- what frames become ------------------------------------------------------------------------------------
def test_each_trade_of_a_frame_is_a_tick() -> None:
    assert DECODER.decode(TRADES, WIRE) == [
        Tick(TRADE, 0, WIRE, STAMP_NS, 29430.2, 0.5, -1.0, 0.0, 41),
        Tick(TRADE, 0, WIRE, STAMP_NS, 29430.3, 1.0, 1.0, 0.0, 42),
    ]


def test_a_snapshot_of_trades_is_history() -> None:
    assert DECODER.decode(TRADES.replace(b"update", b"snapshot"), WIRE) == Control("reply")


def test_a_ticker_is_a_quote_that_its_stamp_numbers() -> None:
    number = STAMP_NS // 1000
    quote = Tick(QUOTE, 0, WIRE, STAMP_NS, 29430.2, 2.5, 29430.3, 0.0, number)
    decoder = KrakenDecoder([make()])
    assert decoder.decode(TICKER, WIRE) == [quote]
    assert decoder.decode(TICKER, WIRE) == [quote]  # again: the same number
    [moved] = decoder.decode(TICKER.replace(b"2.5", b"2.6"), WIRE)
    assert moved.id == number + 1


def test_a_ticker_of_before_it_was_stamped_is_numbered_by_when_it_came() -> None:
    decoder = KrakenDecoder([make()])
    plain = TICKER.replace(b',"timestamp":"2023-09-25T07:49:37.708706Z"', b"")
    [quote] = decoder.decode(plain, WIRE)
    assert (quote.exch_ns, quote.id) == (0, WIRE // 1000)


def test_a_book_begins_with_a_snapshot_and_goes_on_with_updates() -> None:
    [begin] = DECODER.decode(BOOK % 7, WIRE)
    assert isinstance(begin, Snapshot)
    assert (begin.instrument, begin.wire_ns, begin.in_stream, begin.checksum) == (0, WIRE, True, 7)
    [update] = DECODER.decode(UPDATE % (b'{"price":1.0,"qty":2}', b"", 8), WIRE)
    assert isinstance(update, Depth)
    assert (update.exch_ns, update.checksum, update.prev_id == begin.last_id) == (STAMP_NS, 8, True)
    assert update.payload.startswith(b'{"symbol":"BTC/USD","bids":[{"price":1.0')


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b'{"channel":"heartbeat"}', Control("heartbeat")),
        (
            (
                b'{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online",'
                b'"api_version":"v2","connection_id":12}]}'
            ),
            Control("reply"),
        ),
        (
            b'{"channel":"status","type":"update","data":[{"system":"maintenance","api_version":"v2"}]}',
            Control("error", "its system is maintenance"),
        ),
        (
            (
                b'{"method":"subscribe","result":{"channel":"book","depth":1000,"snapshot":true,'
                b'"symbol":"BTC/USD"},"success":true,"time_in":"2023-09-25T09:04:31.742599Z",'
                b'"time_out":"2023-09-25T09:04:31.742648Z"}'
            ),
            Control("reply"),
        ),
        (
            (
                b'{"error":"Currency pair not supported BTC/USX","method":"subscribe","success":false,'
                b'"symbol":"BTC/USX","time_in":"2023-09-25T09:04:31.742599Z"}'
            ),
            Control("error", "subscribe: Currency pair not supported BTC/USX"),
        ),
        (b'{"method":"pong","time_in":"2023-09-25T09:04:31.742599Z"}', Control("reply")),
    ],
)
def test_what_is_no_market_data_is_a_control(payload: bytes, said: Control) -> None:
    found = DECODER.decode(payload, WIRE)
    assert found in (said, [said])


def test_the_order_of_members_and_blanks_do_not_matter() -> None:
    for frame in (TRADES, BOOK % 7):
        turned = json.dumps(dict(reversed(json.loads(frame).items())), indent=1).encode()
        assert len(DECODER.decode(turned, WIRE)) == len(DECODER.decode(frame, WIRE))


# --- what is refused ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("frame", "old", "new", "expected"),
    [
        (TRADES, b"29430.2", b"0", "price"),
        (TRADES, b"29430.2", b"-1", "price"),
        (TRADES, b"29430.2", b"1e308", "price"),
        (TRADES, b"29430.2", b"1e999", "price"),
        (TRADES, b"29430.2", b"null", "price"),
        (TRADES, b"29430.2", b"NaN", "json"),
        (TRADES, b"29430.2", b'"29430.2"', "price"),
        (TRADES, b'"qty":0.5', b'"qty":0', "qty"),
        (TRADES, b'"qty":0.5,', b"", "type"),
        (TRADES, b'"trade_id":41', b'"trade_id":-1', "id"),
        (TRADES, b'"trade_id":41', b'"trade_id":4611686018427387904', "id"),
        (TRADES, b'"sell"', b'"both"', "type"),
        (TRADES, b"2023-09-25T07", b"2023-99-25T07", "time"),
        (TRADES, b"2023-09-25T07", b"1923-09-25T07", "time"),
        (TRADES, b'"symbol":"BTC/USD"', b'"symbol":"XBT/USD"', "symbol"),
        (TRADES, b'"symbol":"BTC/USD"', b'"symbol":7', "symbol"),
        (TRADES, b'"type":"update"', b'"type":"other"', "type"),
        (TRADES, b'"channel":"trade"', b'"channel":"ohlc"', "stream"),
        (TRADES, b'"channel":"trade",', b"", "type"),
        (TRADES, b"}]}", b"}]", "json"),
        (TICKER, b'"bid":29430.2', b'"bid":29430.4', "crossed"),
        (TICKER, b'"bid":29430.2', b'"bid":0', "price"),
        (TICKER, b'"ask":29430.3', b'"ask":null', "price"),
        (TICKER, b'"ask_qty":0.0', b'"ask_qty":-0.1', "qty"),
        (TICKER, b'"bid_qty":2.5', b'"bid_qty":1e15', "qty"),
        (BOOK % 7, b'"symbol":"BTC/USD"', b'"symbol":"BTC/EUR"', "symbol"),
        (BOOK % 7, b'"checksum":7', b'"checksum":4294967296', "type"),
        (BOOK % 7, b',"checksum":7', b"", "type"),
        (BOOK % 7, b'"type":"snapshot"', b'"type":"whole"', "type"),
        (BOOK % 7, b'"data":[{', b'"data":[7,{', "type"),
        (UPDATE % (b"", b"", 7), b"2023-09-25T07", b"x", "time"),
        (UPDATE % (b"", b"", 7), b"}]}", b"", "json"),
    ],
)
def test_a_bad_frame_is_refused_for_its_reason(frame: bytes, old: bytes, new: bytes, expected: str) -> None:
    assert old in frame
    error = refusal(frame.replace(old, new, 1))
    assert error.reason == expected
    # whose update was it? where that cannot be known no book is trusted
    named = b'"book"' in frame and expected != "symbol"
    assert list(error.books) == ([0, 1] if expected == "json" else [0] if named else [])


@pytest.mark.parametrize("payload", [b"", b"[]", b"7", b"\xff\xfe", b"{}", b'{"channel":7}', b"[" * 100_000])
def test_what_is_no_frame_at_all_is_refused(payload: bytes) -> None:
    assert refusal(payload).reason in {"json", "type", "stream"}


def test_what_is_larger_than_any_frame_is_not_read() -> None:
    assert refusal(b'{"channel":"heartbeat"}' + b" " * FRAME_BYTES_MAX).reason == "size"


# --- through the core: what goes wrong, and how it is told -------------------------------------------------
class Played:
    """A core of one instrument, and what it was told."""

    def __init__(self, depth: int = 1000, **more: Any) -> None:
        self.it = Bench([make(**more)], KrakenDecoder([make(**more)], depth))
        self.core, self.sink, self.lane = self.it.core, self.it.sink, self.it.core.lanes[0]

    def say(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.core.process(payload, WIRE, True)

    def levels(self) -> tuple[list[int], list[int]]:
        """Return the prices of bids and asks, best first."""
        bids, asks = (books.levels(self.lane.book, side)[0][::-1].tolist() for side in (BUY, SELL))
        return bids, asks


@pytest.fixture
def played() -> Callable[..., Played]:
    return Played


def test_a_book_that_comes_to_its_checksum_follows(played) -> None:
    it = played()
    better = crc("999700000000100050000000", "998200000000")
    it.say(BOOK % WHOLE, UPDATE % (b'{"price":99.9,"qty":0.00000000}', b'{"price":99.9,"qty":7}', better))
    assert it.sink.statuses == [(0, True, "snapshot")]
    assert it.levels() == ([998], [999, 1000])
    assert it.core.errors == {}


def test_a_wrong_checksum_loses_the_book_until_the_stream_begins_anew(played) -> None:
    it = played()
    it.say(BOOK % WHOLE, UPDATE % (b'{"price":99.9,"qty":3}', b"", WHOLE))
    assert it.sink.statuses == [(0, True, "snapshot"), (0, False, "checksum")]
    assert it.it.requests == [0]
    it.say(UPDATE % (b"", b"", WHOLE))  # what still comes before it does
    assert it.lane.sync.held == 1
    assert len(it.sink.statuses) == 2
    it.say(BOOK % WHOLE)
    assert it.sink.statuses[-1] == (0, True, "snapshot")
    assert it.levels() == ([999, 998], [1000])
    assert it.lane.gaps == {"checksum": 1}
    assert it.it.requests == [0]


def test_a_lost_update_is_found_by_the_next(played) -> None:
    it = played()
    after_both = crc("100150000000" + "1002100000000", "999100000000998200000000")
    it.say(
        BOOK % WHOLE, UPDATE % (b"", b'{"price":100.2,"qty":1.0}', after_both)
    )  # the one for 100.1 is lost
    assert it.sink.statuses[-1] == (0, False, "checksum")


def test_an_update_that_was_refused_loses_the_book_though_no_checksum_would_tell(played) -> None:
    it = played()
    it.say(BOOK % WHOLE, (UPDATE % (b'{"price":99.9,"qty":3}', b"", 1))[:-30])
    assert it.core.errors == {"json": 1}
    assert it.sink.statuses[-1] == (0, False, "refused")
    it.say(UPDATE % (b"", b"", WHOLE))
    assert it.sink.statuses[-1] == (0, False, "refused")
    assert it.it.requests == [0]


def test_a_refused_trade_leaves_the_book_alone(played) -> None:
    it = played()
    it.say(BOOK % WHOLE, TRADES.replace(b"29430.2", b"0"))
    assert (it.core.errors, it.sink.statuses) == ({"price": 1}, [(0, True, "snapshot")])


def test_a_repeated_snapshot_is_the_book_from_now_on(played) -> None:
    it = played()
    it.say(
        BOOK % WHOLE,
        UPDATE
        % (b'{"price":99.7,"qty":1}', b"", crc("100050000000", "999100000000998200000000997100000000")),
    )
    it.say(BOOK % WHOLE)
    assert it.levels() == ([999, 998], [1000])
    assert [synced for _, synced, _ in it.sink.statuses] == [True, True]


def test_updates_before_any_snapshot_wait_and_ask_for_one(played) -> None:
    it = played()
    it.say(UPDATE % (b"", b"", 1), UPDATE % (b"", b"", 1))
    assert (it.it.requests, it.sink.statuses, it.sink.books) == ([0], [], [])


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (b'{"price":99.95,"qty":1}', "grid"),
        (b'{"price":0,"qty":1}', "not_positive"),
        (b'{"price":99.9,"qty":-1}', "not_positive"),
        (b'{"price":99.9,"qty":1e-05}', "levels"),
        (b'{"price":99.9}', "levels"),
        (b'{"price":99999999999999999999,"qty":1}', "overflow"),
    ],
)
def test_levels_that_are_none_are_counted_and_lose_the_book(played, level: bytes, expected: str) -> None:
    it = played()
    it.say(BOOK % WHOLE, UPDATE % (level, b"", WHOLE))
    assert it.core.errors == {expected: 1}
    assert it.sink.statuses[-1] == (0, False, "levels")
    assert it.it.requests == [0]


def test_what_lies_behind_the_depth_asked_for_is_forgotten(played) -> None:
    it = played(depth=2)
    better = crc("100050000000", "999100000000998200000000997100000000"[:24])
    it.say(BOOK % WHOLE, UPDATE % (b'{"price":99.7,"qty":1}', b"", better))
    assert it.levels() == ([999, 998], [1000])


def test_trades_that_come_again_after_a_cut_count_once(played) -> None:
    it = played()
    it.say(BOOK % WHOLE, TRADES, TICKER)
    it.core.disconnected([0])
    it.say(TRADES, TICKER)
    assert [tick.id for tick in it.sink.ticks if tick.kind == TRADE] == [41, 42]
    assert len(it.sink.ticks) == 3
    assert it.sink.statuses[-1] == (0, False, "disconnected")
    it.say(BOOK % WHOLE, TRADES.replace(b"41", b"43").replace(b"42", b"44"))
    assert [tick.id for tick in it.sink.ticks if tick.kind == TRADE] == [41, 42, 43, 44]
    assert it.sink.statuses[-1] == (0, True, "snapshot")


def test_a_missing_trade_is_a_gap(played) -> None:
    it = played()
    it.say(TRADES, TRADES.replace(b"41", b"45").replace(b"42", b"46"))
    assert it.sink.gaps == [(0, "trades were missed")]


# --- messages of others -------------------------------------------------------------------------------------
def test_every_checksum_of_a_recorded_book_holds(played, samples: Path) -> None:
    path = samples / "kraken" / "python-kraken-sdk_Apache2" / "orderbook-v2.json"
    recorded = json.loads(path.read_text())
    it = played(depth=10)
    frames = [recorded["init"], *recorded["updates"]]
    assert len(frames) == 510
    for number, frame in enumerate(frames, 1):
        it.say(json.dumps(frame).encode())
        assert len(it.sink.books) == number  # each came to its checksum, or the book were lost
    assert it.sink.statuses == [(0, True, "snapshot")]
    assert (it.core.errors, it.lane.gaps, it.lane.snapshots, it.lane.depth.count) == ({}, {}, 1, 509)


def test_the_checksums_of_a_recorded_book_are_looked_at(played, samples: Path) -> None:
    path = samples / "kraken" / "python-kraken-sdk_Apache2" / "orderbook-v2.json"
    recorded = json.loads(path.read_text())
    it = played(depth=10)
    del recorded["updates"][100]
    for frame in (recorded["init"], *recorded["updates"]):
        it.say(json.dumps(frame).encode())
    assert it.sink.statuses == [(0, True, "snapshot"), (0, False, "checksum")]


def jkorf(samples: Path, name: str) -> list[bytes]:
    """Return what the exchange sends in one of JKorf's files: an answer behind '<', frames behind '='."""
    path = (
        samples / "kraken" / "jkorf_MIT" / "Kraken.Net.UnitTests" / "Subscriptions" / "Spot" / f"{name}.txt"
    )
    lines, _, frame = path.read_text("utf-8-sig").rpartition("\n=")
    answer = next(line[2:] for line in lines.splitlines() if line.startswith("<"))
    return [answer.replace("|1|", "1").encode(), frame.encode()]


@pytest.mark.parametrize(
    ("name", "kind", "price"), [("Trades", TRADE, 0.5117), ("Ticker", QUOTE, 0.10025), ("AggBook", None, 0)]
)
def test_messages_of_another_client_are_read(
    samples: Path, name: str, kind: int | None, price: float
) -> None:
    answer, frame = jkorf(samples, name)
    assert DECODER.decode(answer, WIRE) == Control("reply")
    [event] = DECODER.decode(frame, WIRE)
    assert event.instrument == 1
    if kind is None:
        assert (event.in_stream, event.checksum) == (True, 2439117997)
    else:
        assert (event.kind, event.a) == (kind, price)


def test_the_book_of_another_client_comes_to_its_checksum(played, samples: Path) -> None:
    it = played(symbol="ETH/USDT", places=(4, 8))
    it.say(jkorf(samples, "AggBook")[1])
    assert it.sink.statuses == [(0, True, "snapshot")]

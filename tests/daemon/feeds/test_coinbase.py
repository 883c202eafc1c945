"""Coinbase's frames, byte for byte: what they become, what a book of theirs survives, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from daemon.errors import FrameError
from daemon.events import Depth, Snapshot, Tick
from daemon.feeds.base import FRAME_REASONS, Control
from daemon.feeds.coinbase import CoinbaseDecoder, sequence_of
from daemon.feeds.refusal import FRAME_BYTES_MAX
from daemon.instruments import make_instrument
from kernels import book as books
from kernels.dtypes import BUY, QUOTE, SELL, TRADE
from kernels.levels import LEVELS_MAX
from tests.daemon.feeds.conftest import Bench

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon.instruments import Instrument

WIRE = 1_728_026_011_500_000_000
STAMP_NS = 1_728_026_011_158_697_000

TRADES = (
    b'{"channel":"market_trades","client_id":"","timestamp":"2024-10-04T07:13:31.158696693Z","sequence_num":2,'
    b'"events":[{"type":"update","trades":[{"product_id":"BTC-USD","trade_id":"42","price":"2375.57",'
    b'"size":"0.5","time":"2024-10-04T07:13:31.088388Z","side":"BUY"},{"product_id":"BTC-USD","trade_id":"41",'
    b'"price":"2375.56","size":"1.25","time":"2024-10-04T07:13:31.084859Z","side":"SELL"}]}]}'
)
TICKER = (
    b'{"channel":"ticker","timestamp":"2024-10-04T07:13:31.158696693Z","sequence_num":3,"events":[{"type":'
    b'"update","tickers":[{"type":"ticker","product_id":"BTC-USD","price":"21932.98","volume_24_h":"16038.2",'
    b'"low_24_h":"21835.29","high_24_h":"23011.18","low_52_w":"15460","high_52_w":"48240",'
    b'"price_percent_chg_24_h":"-4.15775596190603","best_bid":"21931.98","best_bid_quantity":"8000.21",'
    b'"best_ask":"21933.98","best_ask_quantity":"8038.07770938"}]}]}'
)
HEAD = b'{"channel":"l2_data","client_id":"","timestamp":"2024-10-04T07:13:31.158696693Z","sequence_num":%d,'
BEGIN = b'"events":[{"type":"snapshot","product_id":"BTC-USD","updates":[%s]}]}'
CHANGE = b'"events":[{"type":"update","product_id":"BTC-USD","updates":[%s]}]}'


def level(side: str, price: str, qty: str) -> bytes:
    return (
        f'{{"side":"{side}","event_time":"1970-01-01T00:00:00Z","price_level":"{price}","new_quantity":"{qty}"}}'
    ).encode()


LEVELS = b",".join(
    (level("bid", "100.00", "1.5"), level("bid", "99.99", "2"), level("offer", "100.01", "0.00000001"))
)
BOOK = HEAD % 4 + BEGIN % LEVELS
UPDATE = HEAD % 5 + CHANGE % level("bid", "100.00", "3")


def make(symbol: str = "BTC/USD", index: int = 0) -> Instrument:
    return make_instrument(
        index,
        "coinbase",
        "spot",
        symbol,
        tick_size="0.01",
        lot_size="0.00000001",
        qty_min="0.00000001",
        qty_max="3400",
        notional_min="1",
        exchange_symbol=symbol.replace("/", "-"),
    )


DECODER = CoinbaseDecoder([make(), make("ETH/USDT", 1)])


def refusal(payload: bytes) -> FrameError:
    with pytest.raises(FrameError) as caught:
        DECODER.decode(payload, WIRE)
    assert caught.value.reason in FRAME_REASONS
    assert "\n" not in str(caught.value)
    return caught.value


# --- what frames become ------------------------------------------------------------------------------------
def test_trades_come_newest_first_and_are_told_in_order_by_who_took() -> None:
    assert DECODER.decode(TRADES, WIRE) == [
        Tick(TRADE, 0, WIRE, 1_728_026_011_084_859_000, 2375.56, 1.25, 1.0, 0.0, 41),
        Tick(TRADE, 0, WIRE, 1_728_026_011_088_388_000, 2375.57, 0.5, -1.0, 0.0, 42),
    ]


def test_a_snapshot_of_trades_is_history() -> None:
    assert DECODER.decode(TRADES.replace(b"update", b"snapshot"), WIRE) == Control("reply")


def test_a_ticker_is_a_quote_that_its_stamp_numbers() -> None:
    decoder = CoinbaseDecoder([make()])
    number = STAMP_NS // 1000
    quote = Tick(QUOTE, 0, WIRE, STAMP_NS, 21931.98, 8000.21, 21933.98, 8038.07770938, number)
    assert decoder.decode(TICKER, WIRE) == [quote]
    assert decoder.decode(TICKER, WIRE) == [quote]
    [moved] = decoder.decode(TICKER.replace(b"8000.21", b"8000.20"), WIRE)
    assert moved.id == number + 1


def test_a_book_begins_with_a_snapshot_and_goes_on_with_updates() -> None:
    [begin] = DECODER.decode(BOOK, WIRE)
    assert isinstance(begin, Snapshot)
    assert (begin.instrument, begin.wire_ns, begin.in_stream, begin.checksum) == (0, WIRE, True, -1)
    [update] = DECODER.decode(UPDATE, WIRE)
    assert isinstance(update, Depth)
    assert (update.exch_ns, update.checksum, update.prev_id == begin.last_id) == (STAMP_NS, -1, True)


def test_a_frame_may_tell_of_several_books() -> None:
    both = HEAD % 9 + b'"events":[%s,%s]}' % (
        b'{"type":"update","product_id":"ETH-USDT","updates":[]}',
        b'{"type":"snapshot","product_id":"BTC-USD","updates":[]}',
    )
    assert [(type(one), one.instrument) for one in DECODER.decode(both, WIRE)] == [(Depth, 1), (Snapshot, 0)]


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (
            (
                b'{"channel":"heartbeats","client_id":"","timestamp":"2024-10-04T07:04:40.825062088Z",'
                b'"sequence_num":1,"events":[{"current_time":"2024-10-04 07:04:40.820713045 +0000 UTC '
                b'm=+66987.628148662","heartbeat_counter":66987}]}'
            ),
            [Control("heartbeat")],
        ),
        (
            (
                b'{"channel":"subscriptions","client_id":"","timestamp":"2024-10-04T07:13:08.600625889Z",'
                b'"sequence_num":1,"events":[{"subscriptions":{"level2":["BTC-USD"]}}]}'
            ),
            Control("reply"),
        ),
        (
            b'{"type":"error","message":"too many L2 streams requested in a single session"}',
            Control("error", "too many L2 streams requested in a single session"),
        ),
    ],
)
def test_what_is_no_market_data_is_a_control(payload: bytes, said: object) -> None:
    assert DECODER.decode(payload, WIRE) == said


# --- the connection's numbers ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("payload", "number"),
    [
        (TRADES, 2),
        (BOOK, 4),
        (b'{\n  "channel": "ticker",\n  "sequence_num": 0,\n  "events": []\n}', 0),
        (b'{"events":[],"channel":"ticker","sequence_num":17}', 17),
        (b'{"events":[{"note":"%s"}],"channel":"ticker","sequence_num":18}' % (b"x" * 400), 18),
        (
            b'{"channel":"l2_data","sequence_num":5,"events":[{"type":"upd',
            5,
        ),  # cut, and numbered all the same
        (b'{"type":"error","message":"x"}', -1),
        (b'{"sequence_num":-1}', -1),
        (b'{"sequence_num":99999999999999999999}', -1),
        (b'{"channel":"l2_data","sequ', -1),
        (b"", -1),
    ],
)
def test_a_frame_is_numbered_among_its_connections(payload: bytes, number: int) -> None:
    assert sequence_of(payload) == number
    assert DECODER.sequence is sequence_of


# --- what is refused ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("frame", "old", "new", "expected"),
    [
        (TRADES, b'"2375.57"', b'"0"', "price"),
        (TRADES, b'"2375.57"', b'"-1"', "price"),
        (TRADES, b'"2375.57"', b'"1e308"', "price"),
        (TRADES, b'"2375.57"', b'"nan"', "price"),
        (TRADES, b'"2375.57"', b'"inf"', "price"),
        (TRADES, b'"2375.57"', b'""', "price"),
        (TRADES, b'"2375.57"', b"null", "price"),
        (TRADES, b'"size":"0.5"', b'"size":"0"', "qty"),
        (TRADES, b'"size":"0.5",', b"", "type"),
        (TRADES, b'"trade_id":"42"', b'"trade_id":"x"', "id"),
        (TRADES, b'"trade_id":"42"', b'"trade_id":"-42"', "id"),
        (TRADES, b'"BUY"', b'"buy"', "type"),
        (TRADES, b'"time":"2024-10', b'"time":"2024-13', "time"),
        (TRADES, b'"time":"2024-10', b'"time":"9024-10', "time"),
        (TRADES, b"BTC-USD", b"XRP-USD", "symbol"),
        (TRADES, b'"type":"update"', b'"type":"other"', "type"),
        (TRADES, b"market_trades", b"candles", "stream"),
        (TRADES, b'"channel":"market_trades",', b"", "type"),
        (TRADES, b"]}]}", b"]}]", "json"),
        (TICKER, b'"best_bid":"21931.98"', b'"best_bid":"21934"', "crossed"),
        (TICKER, b'"best_bid":"21931.98",', b"", "type"),
        (TICKER, b'"best_ask":"21933.98"', b'"best_ask":"0"', "price"),
        (TICKER, b'"8000.21"', b'"-8000.21"', "qty"),
        (TICKER, b'"timestamp":"2024-10-04T07:13:31.158696693Z"', b'"timestamp":""', "time"),
        (BOOK, b"BTC-USD", b"XRP-USD", "symbol"),
        (BOOK, b'"type":"snapshot"', b'"type":"whole"', "type"),
        (BOOK, b'"events":[{', b'"events":[7,{', "type"),
        (BOOK, b"2024-10-04T", b"1924-10-04T", "time"),
        (UPDATE, b"]}]}", b"]}", "json"),
    ],
)
def test_a_bad_frame_is_refused_for_its_reason(frame: bytes, old: bytes, new: bytes, expected: str) -> None:
    assert old in frame
    error = refusal(frame.replace(old, new, 1))
    assert error.reason == expected
    named = b"l2_data" in frame and expected != "symbol"
    assert list(error.books) == ([0, 1] if expected == "json" else [0] if named else [])


@pytest.mark.parametrize("payload", [b"", b"[]", b"7", b"\xff\xfe", b"{}", b'{"channel":7}', b"[" * 100_000])
def test_what_is_no_frame_at_all_is_refused(payload: bytes) -> None:
    assert refusal(payload).reason in {"json", "type", "stream"}


def test_what_is_larger_than_any_frame_is_not_read() -> None:
    assert refusal(UPDATE + b" " * FRAME_BYTES_MAX).reason == "size"


# --- through the core: what goes wrong, and how it is told -------------------------------------------------
class Played:
    """A core of one instrument, and what it was told."""

    def __init__(self) -> None:
        self.it = Bench([make()], CoinbaseDecoder([make()]))
        self.core, self.sink, self.lane = self.it.core, self.it.sink, self.it.core.lanes[0]

    def say(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.core.process(payload, WIRE, True)

    def levels(self) -> tuple[list[int], list[int]]:
        """Return the prices of bids and asks, best first."""
        bids, asks = (books.levels(self.lane.book, side)[0][::-1].tolist() for side in (BUY, SELL))
        return bids, asks


@pytest.fixture
def played() -> Callable[[], Played]:
    return Played


def test_a_book_follows_its_snapshot(played) -> None:
    it = played()
    it.say(
        BOOK, UPDATE, HEAD % 6 + CHANGE % (level("bid", "99.99", "0") + b"," + level("offer", "100.03", "1"))
    )
    assert it.sink.statuses == [(0, True, "snapshot")]
    assert it.levels() == ([10000], [10001, 10003])
    assert books.levels(it.lane.book, BUY)[1].tolist() == [300_000_000]
    assert it.core.errors == {}


def test_a_repeated_snapshot_is_the_book_from_now_on(played) -> None:
    it = played()
    it.say(BOOK, UPDATE, HEAD % 6 + CHANGE % level("bid", "90.00", "1"), BOOK)
    assert it.levels() == ([10000, 9999], [10001])
    assert [synced for _, synced, _ in it.sink.statuses] == [True, True]


def test_updates_before_any_snapshot_wait_and_ask_for_one(played) -> None:
    it = played()
    it.say(UPDATE, UPDATE)
    assert (it.it.requests, it.sink.statuses, it.sink.books) == ([0], [], [])


def test_an_update_that_was_refused_loses_the_book_though_its_number_was_read(played) -> None:
    it = played()
    it.say(BOOK, UPDATE[:-10])
    assert sequence_of(UPDATE[:-10]) == 5
    assert it.core.errors == {"json": 1}
    assert it.sink.statuses[-1] == (0, False, "refused")
    assert it.it.requests == [0]
    it.say(UPDATE, BOOK)
    assert it.sink.statuses[-1] == (0, True, "snapshot")
    assert it.lane.gaps == {"refused": 1}


def test_a_refused_trade_leaves_the_book_alone(played) -> None:
    it = played()
    it.say(BOOK, TRADES.replace(b"2375.57", b"0"))
    assert (it.core.errors, it.sink.statuses) == ({"price": 1}, [(0, True, "snapshot")])


def test_a_book_that_crosses_is_lost(played) -> None:
    it = played()
    it.say(BOOK, HEAD % 5 + CHANGE % level("bid", "100.01", "1"))
    assert it.sink.statuses[-1] == (0, False, "crossed")
    assert it.it.requests == [0]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (level("bid", "99.999", "1"), "grid"),
        (level("bid", "0", "1"), "not_positive"),
        (level("bid", "99.99", "-1"), "not_positive"),
        (level("bid", "99.99", "1e-5"), "levels"),
        (level("middle", "99.99", "1"), "levels"),
        (level("bid", "9" * 20, "1"), "overflow"),
        (b'{"side":"bid"}', "levels"),
        (b",".join([level("bid", "99.99", "1")] * (LEVELS_MAX + 1)), "levels_max"),
    ],
)
def test_levels_that_are_none_are_counted_and_lose_the_book(played, wrong: bytes, expected: str) -> None:
    it = played()
    it.say(BOOK, HEAD % 5 + CHANGE % wrong)
    assert it.core.errors == {expected: 1}
    assert it.sink.statuses[-1] == (0, False, "levels")
    assert it.it.requests == [0]


def test_a_busy_products_snapshot_is_taken_whole_and_followed(played) -> None:
    it, count = played(), 40_000
    bids = [level("bid", f"{(5_000_000 - n) / 100:.2f}", "0.5") for n in range(count)]
    asks = [level("offer", f"{(5_000_001 + n) / 100:.2f}", "0.5") for n in range(count)]
    snapshot = HEAD % 4 + BEGIN % b",".join(bids + asks)
    assert 4 << 20 < len(snapshot) < FRAME_BYTES_MAX
    it.say(snapshot, HEAD % 5 + CHANGE % level("bid", "50000.00", "0"))
    assert it.core.errors == {}
    assert [len(side) for side in it.levels()] == [count - 1, count]
    assert it.sink.books[-1][2:] == (4_999_999, 5_000_001)


def test_trades_that_come_again_after_a_cut_count_once(played) -> None:
    it = played()
    it.say(BOOK, TRADES, TICKER)
    it.core.disconnected([0])
    it.say(TRADES.replace(b"update", b"snapshot"), TRADES, TICKER)
    assert [tick.id for tick in it.sink.ticks if tick.kind == TRADE] == [41, 42]
    assert len(it.sink.ticks) == 3
    assert it.sink.statuses[-1] == (0, False, "disconnected")
    it.say(TRADES.replace(b'"41"', b'"57"').replace(b'"42"', b'"60"'), BOOK)
    assert [tick.id for tick in it.sink.ticks if tick.kind == TRADE] == [41, 42, 57, 60]
    assert it.sink.statuses[-1] == (0, True, "snapshot")
    assert it.sink.gaps == [(0, "the connection was cut")]


# --- messages of others -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "kind", "prices"),
    [
        ("Trades", TRADE, [(22381690, 2375.56), (22381691, 2375.56)]),
        ("Ticker", QUOTE, [(1_675_974_637_167_360, 21931.98)]),
        ("Heartbeat", None, "heartbeat"),
    ],
)
def test_messages_of_another_client_are_read(samples: Path, name: str, kind: int | None, prices) -> None:
    folder = samples / "coinbase" / "jkorf_MIT" / "Coinbase.Net.UnitTests" / "Subscriptions" / "AdvancedTrade"
    lines, _, frame = (folder / f"{name}.txt").read_text("utf-8-sig").rpartition("\n=")
    answer = next(line[2:] for line in lines.splitlines() if line.startswith("<"))
    assert DECODER.decode(answer.encode(), WIRE) == Control("reply")
    assert sequence_of(answer.encode()) == json.loads(answer)["sequence_num"]
    found = DECODER.decode(frame.encode(), WIRE)
    if kind is None:
        assert found == [Control(prices)]
    else:
        assert [(tick.kind, tick.instrument) for tick in found] == [(kind, 1)] * len(prices)
        assert [(tick.id, tick.a) for tick in found] == prices

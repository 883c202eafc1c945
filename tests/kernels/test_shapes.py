"""Frames of a known shape: the kernel gives what the typed decoder gives, to the bit, or does nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from daemon.feeds.binance import FIELDS
from daemon.feeds.shapes import learn
from kernels import book as books
from kernels import shapes
from kernels.dtypes import DEPTH, QUOTE, TRADE
from kernels.levels import make_grid, make_scratch
from kernels.ring import new_rings
from kernels.shapes import (
    CHAIN_LAST,
    MISS,
    MISS_DEPTH,
    STREAM,
)

MS = 1_000_000


def trade(
    number="7", price="61837.63000000", qty="0.02000000", time="1723161255342", maker="true", event="5"
):
    return (
        f'{{"data":{{"e":"trade","E":{event},"t":{number},"p":"{price}","q":"{qty}","T":{time},"m":{maker}}}}}'
    ).encode()


def quote(number="7", bid="61800.20", bid_qty="2.5", ask="61800.30", ask_qty="3"):
    return f'{{"u":{number},"b":"{bid}","B":"{bid_qty}","a":"{ask}","A":"{ask_qty}"}}'.encode()


def depth(first, last, prev=None, bids='["100.1","2"]', asks='["100.3","4"]', event="5"):
    pu = "" if prev is None else f'"pu":{prev},'
    return f'{{"E":{event},"U":{first},"u":{last},{pu}"b":[{bids}],"a":[{asks}]}}'.encode()


def stream_of(kind: int, frame: bytes, last: int = 0, easy_max: int = 1 << 60) -> np.ndarray:
    """Return a stream that knows the frame's shape and is at id `last`."""
    stream = np.zeros(1, dtype=STREAM)
    stream["kind"], stream["time_unit_ns"] = kind, MS
    stream["chain"][0] = last, easy_max
    assert learn(stream, frame, FIELDS[kind])
    return stream


def read(frame: bytes, like: bytes, kind: int = TRADE, **chain: int):
    """Return the tick that a frame becomes on a stream of frames `like` another, or None."""
    rings = new_rings(1)
    came = shapes.read(frame, stream_of(kind, like, **chain), rings, 99)
    assert (came == MISS) == (rings["head"][0] == 0)
    return None if came == MISS else rings["rows"][0, 0].item()


# --- trades and quotes -------------------------------------------------------------------------------------
def test_a_trade_becomes_a_tick() -> None:
    assert read(trade("8", "61837.64", "12", maker="false"), trade()) == (
        TRADE,
        99,
        1723161255342 * MS,
        8,
        61837.64,
        12.0,
        1.0,
        0.0,
    )


def test_a_quote_without_a_time_becomes_a_tick() -> None:
    assert read(quote(), quote("3"), QUOTE) == (QUOTE, 99, 0, 7, 61800.2, 2.5, 61800.3, 3.0)


def test_what_was_read_is_counted_stamped_and_moves_the_sequence() -> None:
    stream, rings = stream_of(TRADE, trade(), last=7), new_rings(1)
    assert shapes.read(trade("8"), stream, rings, 55) == 1
    assert (stream["count"][0], stream["newest_ns"][0], stream["chain"][0, CHAIN_LAST]) == (1, 55, 8)
    assert shapes.read(trade("8"), stream, rings, 56) == MISS  # a repetition
    assert (stream["count"][0], stream["newest_ns"][0]) == (1, 55)


@pytest.mark.parametrize(
    ("number", "easy_max", "plain"), [(6, 9, False), (7, 9, False), (8, 1, True), (9, 1, False)]
)
def test_only_what_is_plainly_the_next_is_read(number: int, easy_max: int, plain: bool) -> None:
    got = read(trade(str(number)), trade(), last=7, easy_max=easy_max)
    assert (got is not None) == plain


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        trade()[:-1],
        trade() + b" ",
        trade() + b"}",
        b" " + trade(),
        trade().replace(b'"p"', b'"P"'),
        trade().replace(b":", b": ", 1),
        trade(price=""),
        trade(price="."),
        trade(price="1."),
        trade(price=".1"),
        trade(price="01.5"),
        trade(price="1.5.5"),
        trade(price="-1.5"),
        trade(price="1e5"),
        trade(price="NaN"),
        trade(price="0"),
        trade(price="0.000"),
        trade(qty="0"),
        trade(price="1234567890123456"),  # 16 digits may not be exact
        trade(qty="1234567890.12345678"),
        trade(price="123456789012345.6"),
        trade(number=""),
        trade(number="01"),
        trade(number="-1"),
        trade(number="1" * 19),
        trade(number='"5"'),
        trade(time="9000000000000"),
        trade(maker="tru"),
        trade(maker="null"),
        trade(event="x"),
    ],
)
def test_what_differs_from_the_shape_or_cannot_be_is_left_alone(frame: bytes) -> None:
    assert read(frame, trade()) is None


def test_a_crossed_quote_is_left_to_the_decoder() -> None:
    assert read(quote(bid="61800.40"), quote(), QUOTE) is None
    assert read(quote(bid="61800.30"), quote(), QUOTE) is not None


@given(
    whole=some.integers(0, 10**9),
    decimals=some.text("0123456789", max_size=8),
    number=some.integers(1, 10**18 - 1),
)
def test_a_decimal_is_the_float_that_python_reads(whole: int, decimals: str, number: int) -> None:
    text = f"{whole}.{decimals}" if decimals else str(whole)
    got = read(trade(str(number), text, text), trade())
    digits = len(str(whole)) + len(decimals.rstrip("0"))
    if float(text) == 0.0 or digits > 15:
        assert got is None
    else:
        assert (got[3], got[4], got[5]) == (number, float(text), float(text))


@given(some.binary(max_size=200))
def test_any_bytes_are_read_safely(frame: bytes) -> None:
    for kind, like in ((TRADE, trade()), (QUOTE, quote())):
        stream = stream_of(kind, like)
        assert shapes.read(frame, stream, new_rings(1), 1) == MISS
        assert shapes.read(like[: len(frame)] + frame, stream, new_rings(1), 1) in {MISS, 1}


# --- depth -------------------------------------------------------------------------------------------------
class Book:
    """A book in sync at an id, and the stream that changes it."""

    def __init__(self, like: bytes, last: int, easy_max: int = 1) -> None:
        self.stream = stream_of(DEPTH, like, last, easy_max)
        self.book = books.make()
        self.grid = make_grid(1, 1, 0, 1)
        self.scratch = make_scratch()

    def read(self, frame: bytes) -> int:
        return shapes.read_depth(frame, self.stream, self.book, self.grid, self.scratch, 77)

    @property
    def top(self) -> tuple[int, int]:
        return books.best_bid(self.book), books.best_ask(self.book)


def test_an_update_that_follows_changes_the_book() -> None:
    it = Book(depth(1, 5), 5)
    assert it.read(depth(6, 9, bids='["100.1","2"],["99.0","1"]')) == 3
    assert it.top == (1001, 1003)
    assert (it.stream["chain"][0, CHAIN_LAST], it.stream["count"][0], it.stream["newest_ns"][0]) == (9, 1, 77)
    assert it.read(depth(10, 10, bids="", asks='["100.2","1"]')) == 1
    assert it.top == (1001, 1002)


@pytest.mark.parametrize(
    ("first", "last", "follows"), [(5, 7, True), (6, 6, True), (7, 9, False), (3, 5, False), (7, 6, False)]
)
def test_spots_updates_follow_by_their_range(first: int, last: int, follows: bool) -> None:
    it = Book(depth(1, 5), 5)
    assert (it.read(depth(first, last)) != MISS_DEPTH) == follows
    assert (it.top != (0, 0)) == follows


@pytest.mark.parametrize(("prev", "follows"), [(5, True), (4, False), (6, False)])
def test_futures_updates_follow_by_the_previous_id(prev: int, follows: bool) -> None:
    it = Book(depth(1, 5, 1), 5)
    assert (it.read(depth(90, 99, prev)) != MISS_DEPTH) == follows


def test_nothing_is_read_while_the_book_does_not_follow_plainly() -> None:
    assert Book(depth(1, 5), 5, easy_max=0).read(depth(6, 6)) == MISS_DEPTH


def test_levels_that_cannot_be_leave_everything_as_it_was() -> None:
    it = Book(depth(1, 5), 5)
    for asks in (
        '["100.35","1"]',
        '["100.3"]',
        '["-1","1"]',
        '["100.3","1"',
        # no JSON, or not written as exchanges do: for who can tell
        '["100.3","1"]{',
        '["100.3","1",]',
        '["100.3","1",2]',
        "[100.3,1]",
        "[00100.3,01]",
        ' ["100.3","1"]',
        '["100.3","1"] ',
        '["100.3", "1"]',
        '["100.3","1"],',
        ',["100.3","1"]',
        '["100.3\x01","1"]',
    ):
        assert it.read(depth(6, 6, asks=asks)) == MISS_DEPTH, asks
    for event in ("9000000000000", "999999999999999999", "-1", "05", '"5"'):
        assert it.read(depth(6, 6, event=event)) == MISS_DEPTH, event
    assert it.top == (0, 0)
    assert it.stream["chain"][0, CHAIN_LAST] == 5


def test_a_book_that_ends_up_crossed_is_told() -> None:
    assert Book(depth(1, 5), 5).read(depth(6, 6, bids='["100.3","1"]')) == books.CROSSED

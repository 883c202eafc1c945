"""Learning a shape: what it takes for a value, what for text, and when it gives up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from daemon.errors import FrameError
from daemon.events import Tick
from daemon.feeds.binance import FIELDS, BinanceDecoder
from daemon.feeds.shapes import learn
from kernels import book as books
from kernels import shapes
from kernels.dtypes import DEPTH, QUOTE, TRADE
from kernels.levels import make_grid, make_scratch
from kernels.ring import new_rings


def new_stream(kind: int) -> np.ndarray:
    stream = np.zeros(1, dtype=shapes.STREAM)
    stream["kind"], stream["time_unit_ns"] = kind, 1_000_000
    stream["chain"][0] = -1, 1 << 62
    return stream


def text_of(stream: np.ndarray) -> bytes:
    record = stream[0]
    return record["text"][: record["part"][record["parts"] - 1, 0]].tobytes()


def test_names_values_and_what_may_vary_are_told_apart(frames) -> None:
    stream = new_stream(TRADE)
    assert learn(stream, frames.trade(5), FIELDS[TRADE])
    assert text_of(stream) == (
        b'{"stream":"btcusdt@trade","data":{"e":"trade","E":,"s":"BTCUSDT","t":,"p":"","q":"","T":,"m":,"M":true}}'
    )


def test_a_depth_updates_levels_are_values(frames) -> None:
    stream = new_stream(DEPTH)
    assert learn(stream, frames.depth(5, 6, 4, '["1.0","2"],["0.5","1"]', ""), FIELDS[DEPTH])
    assert text_of(stream).endswith(b'"E":,"s":"BTCUSDT","U":,"u":,"pu":,"b":,"a":}}')
    assert learn(stream, frames.depth(5, 6), FIELDS[DEPTH])  # pu may be missing


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"[]",
        b'{"t":5,"p":"1.5","q":"1"}',  # no side
        b'{"t":5,"p":"1.5","p":"1.5","q":"1","m":true}',  # which of the two?
        b'{"t":5,"p":[],"q":"1","m":true}',
        b'{"t":5,"p":"1.5","q":"1","m":true,"x":"' + b"x" * shapes.TEXT_MAX + b'"}',
        b'{"t":5,"p":"1.5","q":"1","m":true,' + b",".join(b'"x%d":1' % n for n in range(20)) + b"}",
        b'{"t":5,"p":"1234567890.12345678","q":"1","m":true}',  # only the typed decoder reads so many digits
        b'{"t":"5","p":"1.5","q":"1","m":null}',
    ],
)
def test_a_frame_that_no_kernel_could_read_teaches_nothing(frame: bytes) -> None:
    stream = new_stream(TRADE)
    assert not learn(stream, frame, FIELDS[TRADE])
    assert stream["parts"][0] == 0
    assert learn(stream, b'{"t":5,"p":"1.5","q":"1","m":true}', FIELDS[TRADE])
    assert not learn(stream, frame, FIELDS[TRADE])
    assert shapes.read(b'{"t":6,"p":"1.5","q":"1","m":true}', stream, new_rings(1), 1) == 1


def test_a_shape_is_taken_only_if_the_kernel_reads_what_the_typed_decoder_read() -> None:
    stream = new_stream(TRADE)
    frame = b'{"t":5,"p":"1.5","q":"2","m":true}'
    told = []
    assert not learn(stream, frame, FIELDS[TRADE], lambda *read: bool(told.append(read)))
    assert stream["parts"][0] == 0
    assert told == [([5, 0, 0, -1, 0], [1.5, 2.0, -1.0, 0.0])]


changes = some.lists(
    some.tuples(
        some.integers(0, 250), some.sampled_from([b"", b"0", b"9", b".", b"-", b'"', b"e", b" ", b"\x80"])
    ),
    max_size=3,
)


@given(data=some.data(), edits=changes)
def test_what_the_kernel_reads_is_what_the_typed_decoder_reads(instrument, frames, data, edits) -> None:
    """One frame teaches, another of random values and a few random edits is read by both."""
    number = data.draw(some.integers(0, 10**12))
    price = data.draw(some.decimals(0, 10**6, places=data.draw(some.integers(0, 8))))
    qty = data.draw(some.decimals(0, 10**6, places=data.draw(some.integers(0, 8))))
    if data.draw(some.booleans()):
        kind, like = TRADE, frames.trade(1)
        frame = frames.trade(
            number, f"{price:f}", f"{qty:f}", maker=data.draw(some.sampled_from(["true", "false"]))
        )
    else:
        kind, like = QUOTE, frames.quote(1)
        frame = frames.quote(number, f"{price:f}", f"{price + qty:f}", qty=f"{qty:f}")
    for at, piece in edits:
        frame = frame[:at] + piece + frame[at + 1 :]
    stream, rings = new_stream(kind), new_rings(1)
    assert learn(stream, like, FIELDS[kind])
    if shapes.read(frame, stream, rings, 7) == shapes.MISS:
        return
    try:
        tick = BinanceDecoder([instrument()]).decode(frame, 7)
    except FrameError as error:  # pragma: no cover - the failure this looks for
        pytest.fail(f"the kernel read what the decoder refuses: {error}")
    assert isinstance(tick, Tick)
    read = rings["rows"][0, 0].item()
    assert read == (tick.kind, 7, tick.exch_ns, tick.id, tick.a, tick.b, tick.c, tick.d)


levels = some.lists(
    some.tuples(
        some.decimals(0, 10**5, places=2).map(lambda price: f"{price:f}"),
        some.decimals(0, 10**3, places=5).map(lambda qty: f"{qty:f}"),
    ),
    max_size=4,
)


@given(bids=levels, asks=levels, last=some.integers(11, 20), edits=changes)
def test_what_the_kernel_does_to_a_book_is_what_the_slow_way_does(
    instrument, frames, bids, asks, last, edits
) -> None:
    """A depth update with a few random edits: both ways give one book, or the kernel leaves it alone."""
    one = instrument()
    frame = frames.depth(
        11, last, None, *(",".join(f'["{p}","{q}"]' for p, q in side) for side in (bids, asks))
    )
    for at, piece in edits:
        frame = frame[:at] + piece + frame[at + 1 :]
    stream = new_stream(DEPTH)
    assert learn(stream, frames.depth(1, 10), FIELDS[DEPTH])
    stream["chain"][0] = 10, 1
    grid = make_grid(one.price.places, one.price.num, one.qty.places, one.qty.num)
    scratch, book, twin = make_scratch(), books.make(), books.make()
    code = shapes.read_depth(frame, stream, book, grid, scratch, 7)
    if code == shapes.MISS_DEPTH:
        assert book.tobytes() == twin.tobytes()
        return
    try:
        depth = BinanceDecoder([one]).decode(frame, 7)
    except FrameError as error:  # pragma: no cover - the failure this looks for
        pytest.fail(f"the kernel read what the decoder refuses: {error}")
    assert depth.first_id <= 11 <= depth.last_id == stream["chain"][0, 0]
    assert books.update(twin, frame, grid, make_scratch()) == code
    assert book.tobytes() == twin.tobytes()

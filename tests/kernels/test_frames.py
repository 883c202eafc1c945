"""Many frames a call: what the kernel reads is what a plain decoder reads, the rest it leaves alone."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from daemon.feeds.binance import FIELDS
from daemon.feeds.shapes import learn
from daemon.tape.columns import no_depth, no_ticks
from kernels import frames
from kernels.dtypes import DEPTH, QUOTE, TRADE
from kernels.levels import make_grid
from kernels.shapes import STREAM

MS = 1_000_000
KINDS = (QUOTE, TRADE, DEPTH)


def trade(number=7, price="61837.63000000", qty="0.02000000", time=1723161255342, maker="true"):
    return (
        f'{{"stream":"b@trade","data":{{"e":"trade","t":{number},"p":"{price}","q":"{qty}","T":{time},"m":{maker}}}}}'
    ).encode()


def quote(number=7, bid="61800.20", bid_qty="2.5", ask="61800.30", ask_qty="3"):
    return (
        f'{{"stream":"b@bookTicker","data":{{"u":{number},"b":"{bid}","B":"{bid_qty}","a":"{ask}","A":"{ask_qty}"}}}}'
    ).encode()


def depth(first=5, last=7, bids='["100.1","2"]', asks='["100.3","4"],["100.4","0.00000000"]', event=5):
    return (
        f'{{"stream":"b@depth","data":{{"E":{event},"U":{first},"u":{last},"b":[{bids}],"a":[{asks}]}}}}'
    ).encode()


def streams():
    known = np.zeros(3, STREAM)
    for at, (kind, like) in enumerate(zip(KINDS, (quote(), trade(), depth()), strict=True)):
        known[at]["kind"], known[at]["time_unit_ns"] = kind, MS
        assert learn(known[at : at + 1], like, FIELDS[kind])
    return known


def read(*payloads, places=(2, 5)):
    """Return (frame that stopped it, tick columns, depth columns) of these frames."""
    buf = b"".join(payloads)
    ends = np.cumsum([len(one) for one in payloads], dtype=np.int64)
    starts = ends - np.array([len(one) for one in payloads], np.int64)
    wire = np.arange(len(payloads), dtype=np.int64) + 1_000
    ticks, levels = no_ticks(len(payloads)), no_depth(len(buf) // frames.LEVEL_BYTES + len(payloads))
    grids = np.tile(make_grid(places[0], 1, places[1], 1), (3, 1))
    last = np.ones(len(payloads), np.int64)
    k, n, m = frames.read(buf, starts, ends, wire, last, 0, 40, 1, streams(), grids, ticks, 0, levels, 0)
    return k, ticks[:, :n], levels[:, :m]


def test_a_trade_a_quote_and_a_depth_update_become_exact_counts():
    k, ticks, levels = read(trade(), quote(), depth())
    assert k == 3
    assert ticks.T.tolist() == [
        [40, 1, 1_000, 1723161255342 * MS, 1, TRADE, 7, -1, 6_183_763, 2_000, 0, 0],
        [41, 2, 1_001, 0, 1, QUOTE, 7, 0, 6_180_020, 250_000, 6_180_030, 300_000],
    ]
    assert levels.T.tolist() == [
        [42, 3, 1_002, 5 * MS, 1, 0, 5, 7, -1, 1, 10_010, 200_000],
        [42, 3, 1_002, 5 * MS, 1, 0, 5, 7, -1, -1, 10_030, 400_000],
        [42, 3, 1_002, 5 * MS, 1, 0, 5, 7, -1, -1, 10_040, 0],
    ]


def test_an_update_without_a_level_still_tells_its_ids():
    k, _, levels = read(depth(8, 9, bids="", asks=""))
    assert (k, levels[:, 0].tolist()) == (1, [40, 1, 1_000, 5 * MS, 1, 0, 8, 9, -1, 0, 0, 0])


@pytest.mark.parametrize(
    "bad",
    [
        trade(price="61837.635"),  # finer than the grid
        trade(qty="0.020000001"),
        trade(price="0.00"),
        trade(qty="0"),
        trade(price="-1"),
        trade(time=9_999_999_999_999),
        trade()[:-1],
        trade() + b" ",
        quote(bid="61800.40"),
        depth(first=9, last=8),
        depth(bids='["0","1"]'),
        depth(bids='["100.123","1"]'),
        depth(bids='["100.1","1","x"]'),
        depth(bids='["100.1","1"],'),
        b'{"stream":"c@trade"}',
        b"{}",
    ],
)
def test_what_is_not_plain_stops_it_and_nothing_of_it_is_read(bad):
    k, ticks, levels = read(trade(), depth(), bad, trade(8))
    assert (k, ticks.shape[1], levels.shape[1]) == (2, 1, 3)


numbers = some.decimals(min_value=Decimal("0.01"), max_value=10**9, places=2, allow_nan=False)


@settings(max_examples=120)
@given(
    some.lists(
        some.tuples(
            some.integers(0, 10**17),
            numbers,
            some.lists(some.tuples(numbers, some.integers(0, 10**6)), max_size=4),
        ),
        max_size=6,
    )
)
def test_it_reads_what_a_slow_decoder_reads(events):
    payloads, expected = [], []
    for number, price, levels in events:
        payloads += [
            trade(number=number, price=price),
            depth(number, number + 1, bids=",".join(f'["{one}","{size}"]' for one, size in levels), asks=""),
        ]
        said = json.loads(payloads[-1])["data"]["b"]
        expected += [(int(Decimal(one) * 100), int(size) * 10**5) for one, size in said] or [(0, 0)]
    k, ticks, depths = read(*payloads)
    assert k == len(payloads)
    assert [int(json.loads(one)["data"]["t"]) for one in payloads[::2]] == ticks[6].tolist()
    assert [int(Decimal(json.loads(one)["data"]["p"]) * 100) for one in payloads[::2]] == ticks[8].tolist()
    assert list(zip(depths[10].tolist(), depths[11].tolist(), strict=True)) == expected


# --- lines --------------------------------------------------------------------------------------------------
def split(chunk):
    starts, ends, wire = np.zeros((3, chunk.count(b"\n") + 1), np.int64)
    count, fault = frames.split(chunk, starts, ends, wire)
    lines = [(int(wire[k]), chunk[starts[k] : ends[k]]) for k in range(count)]
    return lines, fault


def test_lines_are_cut_into_stamps_and_frames():
    assert split(b'12 {"a":1}\n13 {}') == ([(12, b'{"a":1}'), (13, b"{}")], 0)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"", frames.NO_FRAME),
        (b"12", frames.NO_FRAME),
        (b"12 ", frames.NO_FRAME),
        (b"12 {", frames.NO_FRAME),
        (b"12 [1]", frames.NO_FRAME),
        (b"x {}", frames.NO_FRAME),
        (b"-1 {}", frames.NO_FRAME),
        (b"4102444800000000000 {}", frames.NO_TIME),
        (b"9999999999999999999 {}", frames.NO_TIME),
        (b"99999999999999999999 {}", frames.NO_TIME),
    ],
)
def test_a_line_that_is_none_stops_it_with_its_reason(line, fault):
    assert split(b"1 {}\n" + line + b"\n2 {}") == ([(1, b"{}")], fault)

"""Typed ticks as events: what the exchange's own decoder read of the frames that they were converted from."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from daemon.events import Depth, Snapshot, Tick
from daemon.feeds.exchanges import find_exchange
from daemon.research.backtest_verb import instrument_of
from daemon.tape.ticks import Block, Header, read_header, read_ticks
from daemon.tape.ticks_feed import TickReader
from kernels.columns import D_COLUMNS, T_COLUMNS, T_END, T_KIND, T_SEQ
from kernels.dtypes import TRADE
from tests.daemon.research.conftest import converted
from tests.daemon.research.test_backtest import lively


def levels(payload):
    """Return the levels of a depth message as numbers, by side."""
    told = msgspec.json.decode(payload)
    told = told.get("data", told)
    return [
        [[float(price), float(size)] for price, size, *_ in told[next(key for key in keys if key in told)]]
        for keys in (("b", "bids"), ("a", "asks"))
    ]


def test_it_says_what_the_decoder_read_of_the_frames(tmp_path):
    lines = lively(600, seed=31)
    path = converted(lines, tmp_path)
    header = read_header(path)
    decoder = find_exchange("binance", "spot").decoder([instrument_of(header)])
    read = [decoder.decode(line[20:], int(line[:19])) for line in lines]
    told = [pair for block in read_ticks(path) for pair in TickReader(header).events(block)]
    assert len(told) == len(read)
    assert all(last for _, last in told)
    kinds = set()
    for mine, theirs in zip((event for event, _ in told), read, strict=True):
        kinds.add(type(theirs))
        assert type(mine) is type(theirs)
        if isinstance(theirs, Tick):
            assert mine == theirs
            continue
        assert levels(mine.payload) == levels(theirs.payload)
        names = ["wire_ns", "last_id"] + (["first_id", "prev_id"] if isinstance(theirs, Depth) else [])
        assert [getattr(mine, name) for name in names] == [getattr(theirs, name) for name in names]
    assert kinds == {Tick, Depth, Snapshot}


@pytest.mark.parametrize("ends", [(1, 1, 1, 1), (0, 1, 0, 1)])
def test_a_drain_ends_behind_the_last_of_what_a_frame_said(ends):
    ticks = np.zeros((T_COLUMNS, 4), np.int64)
    ticks[T_KIND] = TRADE
    ticks[T_SEQ] = 5, 5, 6, 7
    ticks[T_END] = ends
    block = Block(ticks, np.zeros((D_COLUMNS, 0), np.int64))
    header = Header(exchange="okx", market="spot", symbol="A/B", exchange_symbol="A-B", tick="1", lot="1")
    lasts = [last for _, last in TickReader(header).events(block)]
    assert lasts == [False, True, bool(ends[2]), True]

"""Typed ticks as what an exchange's frames said, one after the other, for a feed core to take.

A replay of ticks has no frames: what was read of them once stands in the file. Everything behind the decoder,
ids, books and the engine, is the live one (FeedCore.take).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from daemon.events import Depth, Snapshot, Tick
from daemon.tape.ticks import places
from kernels.columns import (
    D_END,
    D_EXCH_NS,
    D_FIRST,
    D_LAST,
    D_PREV,
    D_PRICE,
    D_SEQ,
    D_SIDE,
    D_SIZE,
    D_SNAPSHOT,
    D_WIRE_NS,
    T_A,
    T_B,
    T_C,
    T_D,
    T_END,
    T_EXCH_NS,
    T_ID,
    T_KIND,
    T_SEQ,
    T_SIDE,
    T_WIRE_NS,
)
from kernels.dtypes import QUOTE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.tape.ticks import Block, Header

    Event = Tick | Depth | Snapshot


class TickReader:
    """Makes events of the blocks of one instrument's ticks."""

    def __init__(self, header: Header) -> None:
        """header: of the file that the ticks are from."""
        self._places = places(header.tick), places(header.lot)

    def events(self, block: Block) -> Iterator[tuple[Event, bool]]:
        """Yield each event, and whether nothing more was readable after it."""
        said = [*self._ticks(block), *self._depth(block)]
        said.sort(key=_seq)  # stable: what one frame said stays in its order
        for (seq, event, last), (following, _, _) in zip(said, [*said[1:], (-1, None, False)], strict=True):
            yield event, last and seq != following

    def _ticks(self, block: Block) -> Iterator[tuple[int, Event, bool]]:
        price_step, size_step = (10**one for one in self._places)
        for row in block.ticks.T.tolist():
            quote = row[T_KIND] == QUOTE
            tick = Tick(
                row[T_KIND],
                0,
                row[T_WIRE_NS],
                row[T_EXCH_NS],
                row[T_A] / price_step,  # of whole numbers: the float nearest to the exchange's decimals
                row[T_B] / size_step,
                row[T_C] / price_step if quote else float(row[T_SIDE]),
                row[T_D] / size_step if quote else 0.0,
                row[T_ID],
            )
            yield row[T_SEQ], tick, bool(row[T_END])

    def _depth(self, block: Block) -> Iterator[tuple[int, Event, bool]]:
        """Yield depth messages, their levels as text again, which is what a book is read from."""
        d = block.depth
        begins = np.flatnonzero(np.diff(d[D_SEQ], prepend=-1)).tolist()
        ends = [*begins[1:], d.shape[1]] if begins else []
        for begin, end in zip(begins, ends, strict=True):
            rows = d[:, begin:end]
            told = rows[:, 0].tolist()
            payload = b'{"b":[%s],"a":[%s]}' % (self._levels(rows, 1), self._levels(rows, -1))
            event: Event
            if told[D_SNAPSHOT]:
                event = Snapshot(0, told[D_WIRE_NS], told[D_LAST], payload)
            else:
                ids = told[D_FIRST], told[D_LAST], told[D_PREV]
                event = Depth(0, told[D_WIRE_NS], told[D_EXCH_NS], *ids, payload)
            yield told[D_SEQ], event, bool(told[D_END])

    def _levels(self, rows: np.ndarray, side: int) -> bytes:
        mine = rows[:, rows[D_SIDE] == side]
        price, size = self._places
        pairs = zip(mine[D_PRICE].tolist(), mine[D_SIZE].tolist(), strict=True)
        return ",".join(f'["{_text(one, price)}","{_text(other, size)}"]' for one, other in pairs).encode()


def _seq(said: tuple[int, Event, bool]) -> int:
    return said[0]


def _text(count: int, decimals: int) -> str:
    whole, part = divmod(count, 10**decimals)
    return f"{whole}.{part:0{decimals}d}" if decimals else str(whole)

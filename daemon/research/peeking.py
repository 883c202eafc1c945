"""Where a record is cut for a lookahead proof, and what its future becomes there.

Cuts are drawn by a seed: half of them spread over the record, half right before or right behind an event
at which something was sent. What follows a cut keeps its form and its times, and says something else: prices
are moved by percents, sizes are others, who took trades is turned round.
"""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from daemon.research.market import Events, Market
from daemon.tape.ticks import Block, read_ticks
from kernels.backtest_state import L_LOTS, L_TICKS
from kernels.columns import D_SEQ, T_SEQ
from kernels.dtypes import DEPTH, QUOTE, TRADE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from daemon.instruments import Instrument
    from daemon.research.packed import Record
    from daemon.tape.ticks import Header

    Ints = NDArray[np.int64]

#: events before a cut that are given together with what follows it: so far back a reader ahead is seen
SEEN: Final = 512
_MOVED: Final = (1.03, 0.97)


class Cut(NamedTuple):
    """A place in a record: before the event of this number, from 0."""

    number: int  # of the cut, from 1
    event: int
    block: int
    at: int  # the event's place in its block; at least 1
    wire_ns: int  # the event's time


class Before(NamedTuple):
    """The events before a cut, in two parts, and with the second what is said to follow."""

    first: Callable[[], Iterator[Events]]  # a block at a time
    last: Events


def choose_cuts(record: Record, sent_ns: Ints, count: int, seed: int) -> list[Cut]:
    """Return so many different cuts in the order of the record, fewer where it has no more places.

    sent_ns: when something left for the venue.
    """
    blocks = [block.unpack().events["tick"]["wire_ns"].copy() for block in record.blocks]
    sizes = np.array([len(one) for one in blocks])
    begins = np.concatenate([[0], np.cumsum(sizes)])
    times = np.maximum.accumulate(np.concatenate(blocks))
    places = np.setdiff1d(np.arange(1, len(times)), begins)
    if not len(places):
        return []
    rng = np.random.default_rng(seed)
    near: list[int] = []
    if len(sent_ns):
        drawn = rng.permutation(np.unique(sent_ns))[: count // 2]
        for turn, moment in enumerate(drawn.tolist()):
            # before the first event of that time, or behind the last one
            near.append(int(np.searchsorted(times, moment, side="right" if turn % 2 else "left")))
    chosen = set(np.intersect1d(np.array(near, np.int64), places).tolist())
    spread = ((np.arange(count) + rng.random(count)) * len(places) / count).astype(np.int64)  # one a stretch
    order = rng.permutation(places[spread])
    for place in order.tolist():
        if len(chosen) < count:
            chosen.add(place)
    while len(chosen) < min(count, len(places)):
        chosen.add(int(rng.choice(places)))
    cuts = []
    for number, event in enumerate(sorted(chosen), 1):
        block = int(np.searchsorted(begins, event, side="right")) - 1
        at = event - int(begins[block])
        cuts.append(Cut(number, event, block, at, int(blocks[block][at])))
    return cuts


def before(record: Record, cut: Cut, instrument: Instrument | None) -> Before:
    """Return what comes before a cut; instrument: what follows is altered on its grid, None: it ends."""
    events, levels = record.blocks[cut.block].unpack()
    begin = max(0, cut.at - SEEN)
    first = partial(_first, record, cut.block, begin)
    if instrument is None:
        return Before(first, Events(events[begin : cut.at], levels))
    altered = alter(Events(events, levels), cut.at, instrument, _MOVED[cut.number % 2])
    return Before(first, Events(altered.events[begin:], altered.levels))


def _first(record: Record, blocks: int, events: int) -> Iterator[Events]:
    for block in record.blocks[:blocks]:
        yield block.unpack()
    if events:
        market = record.blocks[blocks].unpack()
        yield market._replace(events=market.events[:events])


def alter(market: Events, begin: int, instrument: Instrument, factor: float) -> Events:
    """Return events of which those from number `begin` on say something else."""
    events, levels = market.events.copy(), market.levels.copy()
    tick, rest = instrument.price.as_float, events["tick"][begin:]
    lot = instrument.qty.as_float
    for kind, prices, sizes in ((TRADE, "a", "b"), (QUOTE, "ac", "bd")):
        mine = rest["kind"] == kind
        for name in prices:
            rest[name][mine] = np.maximum(np.rint(rest[name][mine] * factor / tick), 1) * tick
        for name in sizes:
            rest[name][mine] = np.rint(rest[name][mine] / lot + 1) * 2 * lot
        if kind == TRADE:
            rest["c"][mine] *= -1
    told = events[begin:][rest["kind"] == DEPTH]
    if len(told):
        mine = levels[int(told["first"][0]) :]
        mine[:, L_TICKS] = np.maximum(np.rint(mine[:, L_TICKS] * factor), 1)
        mine[:, L_LOTS] *= 2
    return Events(events, levels)


def read_ahead(
    path: Path, instrument: Instrument, header: Header, cuts: Sequence[Cut], sizes: Sequence[int]
) -> Cut | None:
    """Return the first cut near which a record that ends there is read as other events; None: there is none.

    What ticks are news, and which of them end a drain, is found out block by block: that must not look ahead
    either. Where ticks have no frame's end near a cut, the one before it is taken. sizes: of the blocks.
    """
    market, number = Market(instrument, header), 0
    for block in read_ticks(path):
        parts = [
            (cut, deepcopy(market).take(_until(block, cut.at / sizes[number])))
            for cut in cuts
            if cut.block == number
        ]
        whole = market.take(block)
        for cut, found in parts:
            events = whole.events[: len(found.events)].tobytes()
            levels = whole.levels[: len(found.levels)].tobytes()
            if (events, levels) != (found.events.tobytes(), found.levels.tobytes()):
                return cut
        number += bool(len(whole.events))
    return None


def _until(block: Block, share: float) -> Block:
    """Return the first part of a block, whole frames of it."""
    seqs = np.unique(np.concatenate([block.ticks[T_SEQ], block.depth[D_SEQ]]))
    last = seqs[min(int(share * len(seqs)), len(seqs) - 1)]
    return Block(block.ticks[:, block.ticks[T_SEQ] <= last], block.depth[:, block.depth[D_SEQ] <= last])

"""Typed ticks as the events of a compiled backtest: what the feed would have made of them, in its order.

A file of ticks holds what an exchange said, repetitions and gaps included. Which tick is news, where ids are
missing and which depth updates a book follows is decided here by the very state machines of the live feed
(daemon/feeds/sync.py); the kernel only applies (kernels.backtest).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from daemon.errors import ConfigError, FileFormatError
from daemon.events import Depth
from daemon.feeds.exchanges import find_exchange
from daemon.feeds.sync import APPLY, DROP, GAP, HELD_MAX, BookSync, IdChain, TradeNames
from daemon.tape.ticks import places
from kernels.backtest_state import (
    EV_END,
    EV_FRESH,
    EV_GAP,
    EV_LOST,
    EV_SYNCED,
    EV_TOLD,
    EV_WHOLE,
    EVENT,
    L_LOTS,
    L_TICKS,
    NOTHING,
)
from kernels.columns import (
    D_END,
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
from kernels.dtypes import DEPTH, QUOTE, TRADE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from daemon.instruments import Instrument, Scale
    from daemon.tape.ticks import Block, Header

    Ints = NDArray[np.int64]

#: as daemon/feeds/lane.py has them: beyond it an id is a stray one
_TRADE_STEP_MAX: Final = 10_000_000
_QUOTE_STEP_MAX: Final = 10**12
_NO_LEVELS: Final[Any] = np.zeros((0, 2), np.int64)


class Events(NamedTuple):
    """A stretch of the market, as kernels.backtest takes it."""

    events: NDArray[np.void]  # EVENT[n]
    levels: Ints  # [m, 2]


class _Change(NamedTuple):
    """What a depth message does to the book: rows of EVENT without its time, and the levels of each."""

    flags: int
    bids: Ints
    asks: Ints


class Market:
    """One instrument's feed between two blocks of its ticks."""

    def __init__(self, instrument: Instrument, header: Header) -> None:
        """Begin it; header: of the file that the ticks are from."""
        decoder = find_exchange(instrument.exchange, instrument.market).decoder([instrument])
        self._price_step = 10 ** places(header.tick)
        self._size_step = 10 ** places(header.lot)
        self._instrument = instrument
        self._plain_books = instrument.exchange == "binance"
        self._trade_chain = np.array([-1, 0], np.int64)
        self._quote_chain = self._trade_chain.copy()
        self._contiguous = decoder.trade_ids == "contiguous"
        self._trade_ids: IdChain | TradeNames = (
            TradeNames()
            if decoder.trade_ids == "names"
            else IdChain(
                contiguous=self._contiguous,
                step_max=_TRADE_STEP_MAX if self._contiguous else _QUOTE_STEP_MAX,
                chain=self._trade_chain,
            )
        )
        self._quote_ids = IdChain(contiguous=False, step_max=_QUOTE_STEP_MAX, chain=self._quote_chain)
        self._sync = BookSync()
        self._waiting: dict[int, _Change] = {}  # by the last id of an update that waits for a snapshot

    def take(self, block: Block) -> Events:
        """Return the events of the next block.

        Raises FileFormatError for a price off the instrument's grid, and ConfigError for books that are kept
        in a way that is not known here.
        """
        ticks = self._ticks(block.ticks)
        depth, levels = self._depth(block.depth)
        if len(depth) == 0:
            events = ticks
        else:
            seqs = np.concatenate([block.ticks[T_SEQ], depth["first_seq"]])
            events = np.concatenate([ticks, depth["event"]])[np.argsort(seqs, kind="stable")]
            seqs.sort(kind="stable")
            # a frame of several events ends its drain behind the last of them
            events["flags"][:-1][seqs[1:] == seqs[:-1]] &= ~EV_END
        return Events(np.ascontiguousarray(events), levels)

    # --- trades and quotes ---------------------------------------------------------------------------------
    def _ticks(self, t: Ints) -> NDArray[np.void]:
        events = np.zeros(t.shape[1], EVENT)
        tick = events["tick"]
        quote = t[T_KIND] == QUOTE
        tick["kind"], tick["wire_ns"], tick["exch_ns"] = t[T_KIND], t[T_WIRE_NS], t[T_EXCH_NS]
        tick["id"] = t[T_ID]
        # two whole floats: the quotient is the float nearest to the exchange's decimals
        tick["a"] = t[T_A] / self._price_step
        tick["b"] = t[T_B] / self._size_step
        tick["c"] = np.where(quote, t[T_C] / self._price_step, t[T_SIDE])
        tick["d"] = np.where(quote, t[T_D] / self._size_step, 0.0)
        events["flags"] = np.where(t[T_END] != 0, EV_END, 0)
        for kind, ids, chain in (
            (TRADE, self._trade_ids, self._trade_chain),
            (QUOTE, self._quote_ids, self._quote_chain),
        ):
            at = np.flatnonzero(t[T_KIND] == kind)
            if len(at):
                self._admit(events, at, t[T_ID, at], ids, chain)
        if len(events) > 1:
            seqs = t[T_SEQ]
            events["flags"][:-1][seqs[1:] == seqs[:-1]] &= ~EV_END
        return events

    def _admit(
        self, events: NDArray[np.void], at: Ints, numbers: Ints, ids: IdChain | TradeNames, chain: Ints
    ) -> None:
        """Make repetitions nothing, and mark where ids are missing."""
        if numbers.min() < 0:
            return  # the exchange numbers nothing
        if isinstance(ids, IdChain) and chain[0] >= 0 and chain[1] > 0:
            steps = np.diff(numbers, prepend=chain[0])
            if steps.min() > 0 and steps.max() <= chain[1]:  # all of them plainly follow
                chain[0] = numbers[-1]
                return
        for place, number in zip(at.tolist(), numbers.tolist(), strict=True):
            gaps = ids.gaps
            if not ids.admit(number):
                events["tick"]["kind"][place] = NOTHING
            elif ids.gaps > gaps:
                events["flags"][place] |= EV_GAP

    # --- depth ---------------------------------------------------------------------------------------------
    def _depth(self, d: Ints) -> tuple[NDArray[np.void], Ints]:
        """Return the events of depth messages, each with its seq, and their levels."""
        rows: list[tuple[int, int, int, int, int, int]] = []
        parts: list[Ints] = []
        if d.shape[1] and not self._plain_books:
            raise ConfigError(
                f"books of {self._instrument.exchange} are cut or checked as its feed says, which a compiled "
                "backtest does not do: leave depth out, or use tickd replay"
            )
        levels = self._levels(d)
        count = 0
        for told, begin, middle, end in self._messages(d):
            changes = self._message(told, levels[begin:middle], levels[middle:end])
            for number, change in enumerate(changes):
                last = number == len(changes) - 1 and told[D_END] != 0
                flags = change.flags | (EV_END if last else 0)
                bids, asks = len(change.bids), len(change.asks)
                rows.append((told[D_SEQ], told[D_WIRE_NS], flags, count, bids, asks))
                parts += [change.bids, change.asks]
                count += bids + asks
        found = np.zeros(len(rows), [("first_seq", "i8"), ("event", EVENT)])
        if rows:
            event = found["event"]
            table = np.array(rows, np.int64).T
            found["first_seq"], event["tick"]["wire_ns"], event["flags"] = table[:3]
            event["first"], event["bids"], event["asks"] = table[3:]
            event["tick"]["kind"] = DEPTH
        return found, np.concatenate(parts) if parts else _NO_LEVELS

    @staticmethod
    def _messages(d: Ints) -> Iterator[tuple[list[int], int, int, int]]:
        """Yield of each message its first row, and where its bids begin, its asks, and where those end."""
        begins = np.flatnonzero(np.diff(d[D_SEQ], prepend=-1))
        if len(begins):
            bids, asks = (np.add.reduceat(d[D_SIDE] == side, begins, dtype=np.int64) for side in (1, -1))
            middles = begins + bids
            spans = zip(begins.tolist(), middles.tolist(), (middles + asks).tolist(), strict=True)
            for told, span in zip(d[:, begins].T.tolist(), spans, strict=True):
                yield told, *span

    def _message(self, told: list[int], bids: Ints, asks: Ints) -> list[_Change]:
        """Return what a depth message does, as daemon/feeds/bookkeeper.py has it; told: its first row."""
        if told[D_SNAPSHOT]:
            return self._snapshot(told[D_LAST], _best_first(bids, 1), _best_first(asks, -1))
        first, last, prev = told[D_FIRST], told[D_LAST], told[D_PREV]
        verdict = self._sync.offer(Depth(0, told[D_WIRE_NS], 0, first, last, prev, b""))
        if verdict == APPLY:
            return [_Change(EV_FRESH | EV_TOLD, bids, asks)]
        if verdict == DROP:
            return [_Change(0, _NO_LEVELS, _NO_LEVELS)]
        lost = 0
        if verdict == GAP:
            self._waiting.clear()
            lost = EV_LOST
        self._waiting[last] = _Change(0, bids, asks)
        if len(self._waiting) > HELD_MAX:  # what the sync has let go as well
            del self._waiting[next(iter(self._waiting))]
        return [_Change(EV_FRESH | lost, _NO_LEVELS, _NO_LEVELS)]

    def _snapshot(self, last_id: int, bids: Ints, asks: Ints) -> list[_Change]:
        held = None if self._sync.synced else self._sync.adopt(last_id)
        if held is None:  # the book is the fresher one, or this is too old for what waits
            return [_Change(0, _NO_LEVELS, _NO_LEVELS)]
        changes = [_Change(EV_WHOLE, bids, asks), *(self._waiting[one.last_id] for one in held)]
        self._waiting.clear()
        changes[-1] = changes[-1]._replace(flags=changes[-1].flags | EV_SYNCED | EV_TOLD)
        return changes

    def _levels(self, d: Ints) -> Ints:
        """Return the levels of all messages: of each its bids, its asks, and last a row that has none."""
        message = np.cumsum(np.diff(d[D_SEQ], prepend=-1) != 0)
        order = np.lexsort(((d[D_SIDE] != 1).astype(np.int64) + (d[D_SIDE] == 0), message))
        prices, sizes = (np.where(d[D_SIDE] != 0, d[column], 0)[order] for column in (D_PRICE, D_SIZE))
        levels = np.empty((d.shape[1], 2), np.int64)
        levels[:, L_TICKS] = self._counted(prices, self._price_step, self._instrument.price, exact=True)
        levels[:, L_LOTS] = self._counted(sizes, self._size_step, self._instrument.qty, exact=False)
        return levels

    def _counted(self, counts: Ints, per_unit: int, scale: Scale, *, exact: bool) -> Ints:
        """Return counts of the file's steps as counts of the instrument's; sizes to the nearest lot."""
        unit = 10**scale.places
        if unit == per_unit and scale.num == 1:
            return counts
        upper, lower = counts * unit, per_unit * scale.num
        if exact and np.any(upper % lower):
            raise FileFormatError(
                f"a price of {self._instrument.symbol} is no multiple of its tick size {scale.step}: "
                "name the instrument's own rules"
            )
        nearest: Ints = (2 * upper + lower) // (2 * lower)
        return nearest


def _best_first(levels: Ints, sign: int) -> Ints:
    """Turn a side round where its worst price is first (kernels.book)."""
    if len(levels) > 1 and sign * levels[0, L_TICKS] < sign * levels[-1, L_TICKS]:
        return levels[::-1]
    return levels

"""Gates: reasons why no order that adds risk may leave.

They close an instrument, everything, or a strategy that warms up. Reasons come and go
independently, so they are bits; each desk's memory shows the gravest one per row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernels.dtypes import (
    GATE_BOOK_GAP,
    GATE_FEED_LAG,
    GATE_HALTED,
    GATE_LIQUIDATION,
    GATE_LOW_BUDGET,
    GATE_MARKET_CLOSED,
    GATE_NOT_READY,
    GATE_STALE_FEED,
    GATE_TICK_AGE,
    GATE_UNKNOWN_ORDER,
    GATE_UNPRICED,
    GATE_VENUE_DOWN,
    GATE_WINDOW,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.orders.desk import Desk

#: gravest first: what a person should be told
GRAVITY: Final = (
    GATE_HALTED,
    GATE_NOT_READY,
    GATE_VENUE_DOWN,
    GATE_MARKET_CLOSED,
    GATE_UNKNOWN_ORDER,
    GATE_LIQUIDATION,
    GATE_UNPRICED,
    GATE_LOW_BUDGET,
    GATE_BOOK_GAP,
    GATE_STALE_FEED,
    GATE_FEED_LAG,
    GATE_TICK_AGE,
    GATE_WINDOW,
)
_BIT: Final = {code: 1 << place for place, code in enumerate(GRAVITY)}
_WARMING: Final = _BIT[GATE_NOT_READY]
#: the gravest reason in a set of bits
_GRAVEST: Final = [
    next((code for code in GRAVITY if bits & _BIT[code]), 0) for bits in range(1 << len(GRAVITY))
]


class Gates:
    """Which gates are closed. All begin closed: NOT_READY everywhere, until start-up says otherwise."""

    __slots__ = ("_by_instrument", "_everywhere", "rows", "shared")

    def __init__(self, instruments: int, desks: Iterable[Desk]) -> None:
        self._by_instrument = [0] * instruments
        self._everywhere = _BIT[GATE_NOT_READY]
        #: each strategy's desk and row in an instrument
        self.rows: list[list[tuple[Desk, int]]] = [[] for _ in range(instruments)]
        #: whether more may be held or on order in it than one strategy's memory shows
        self.shared = [False] * instruments
        for desk in desks:
            self.add_desk(desk)

    def add_desk(self, desk: Desk) -> None:
        """Show the gates in another desk's memory too."""
        for row, instrument in enumerate(desk.instruments):
            self.rows[instrument].append((desk, row))
            self.shared[instrument] |= len(self.rows[instrument]) > 1
            self._show(instrument)

    def gate(self, instrument: int) -> int:
        """Return the gravest reason that closes an instrument for every strategy, 0 when open."""
        return _GRAVEST[self._by_instrument[instrument] | self._everywhere]

    def close(self, instrument: int, code: int) -> None:
        """Close an instrument for a reason, a GATE_* code."""
        bits = self._by_instrument[instrument]
        if not bits & _BIT[code]:
            self._by_instrument[instrument] = bits | _BIT[code]
            self._show(instrument)

    def open(self, instrument: int, code: int) -> None:
        """Take one reason away from an instrument; others stay."""
        bits = self._by_instrument[instrument]
        if bits & _BIT[code]:
            self._by_instrument[instrument] = bits & ~_BIT[code]
            self._show(instrument)

    def close_all(self, code: int) -> None:
        """Close everything for a reason."""
        self._everywhere |= _BIT[code]
        self._show_all()

    def open_all(self, code: int) -> None:
        """Take a reason that closed everything away; others, and those of single instruments, stay."""
        self._everywhere &= ~_BIT[code]
        self._show_all()

    def set_ready(self, desk: Desk, ready: bool) -> None:
        """Let a strategy trade, or only warm up."""
        desk.ready = ready
        for instrument in desk.instruments:
            self._show(instrument)

    def _show(self, instrument: int) -> None:
        bits = self._by_instrument[instrument] | self._everywhere
        for desk, row in self.rows[instrument]:
            desk.gate[row] = _GRAVEST[bits if desk.ready else bits | _WARMING]

    def _show_all(self) -> None:
        for instrument in range(len(self.rows)):
            self._show(instrument)

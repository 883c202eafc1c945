"""The newest bid and ask of every instrument, whoever owns it: account and positions are valued at them."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

from kernels.dtypes import B_ASK_TICKS, B_BID_TICKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from daemon.instruments import Instrument


class Touch:
    """Called with an instrument's index; the quote's where quotes are streamed, else the book's."""

    def __init__(self, instruments: Sequence[Instrument], rings: NDArray[np.void]) -> None:
        """Read quotes from the feed's `rings` (kernels.ring)."""
        self._instruments = instruments
        self.rings = rings
        self._bids: NDArray[np.float64] = rings["quote"]["a"]
        self._asks: NDArray[np.float64] = rings["quote"]["c"]
        self._books: list[NDArray[np.int64] | None] = [None] * len(instruments)

    def on_book(self, instrument: int, book: NDArray[np.int64]) -> None:
        """Take an instrument's book (kernels.book); it is read when asked."""
        self._books[instrument] = book

    def forget_book(self, instrument: int) -> None:
        """Believe an instrument's book no longer: it lost the exchange's sequence."""
        self._books[instrument] = None

    def __call__(self, instrument: int) -> tuple[float, float]:
        """Return bid and ask; NaN for what nobody has shown yet."""
        bid = self._bids.item(instrument)
        if bid == bid:  # noqa: PLR0124 - NaN before the first quote
            return bid, self._asks.item(instrument)
        book = self._books[instrument]
        if book is None:
            return nan, nan
        price = self._instruments[instrument].price
        bids, asks = book[B_BID_TICKS], book[B_ASK_TICKS]
        return (
            price.value(int(bids[n])) if (n := bids[0]) else nan,
            price.value(int(asks[n])) if (n := asks[0]) else nan,
        )

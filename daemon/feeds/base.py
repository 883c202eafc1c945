"""What a feed tells, and to whom. The engine is the sink; a replay and a test can be one too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from daemon.events import Tick


class FeedSink(Protocol):
    """Who hears market data, on the stack of the frame that brought it."""

    def on_tick(self, tick: Tick) -> None:
        """Take a trade or a quote; nothing is decided yet."""

    def on_book(self, instrument: int, wire_ns: int, book: NDArray[np.void]) -> None:
        """Take a book (a kernels.dtypes.BOOK array of length 1, owned by the feed) that has just changed."""

    def on_book_status(self, instrument: int, synced: bool, reason: str) -> None:
        """Learn that an instrument's book follows the exchange's sequence, or that it stopped doing so."""

    def drain(self, wire_ns: int) -> None:
        """Learn that nothing more was readable after the frame received at `wire_ns`: decide now."""

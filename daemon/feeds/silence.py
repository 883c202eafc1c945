"""How long each instrument has been silent, from when each of its streams last said something new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from daemon.entry import bound
from daemon.feeds.lane import KINDS
from kernels import outlook
from kernels.dtypes import DEPTH, QUOTE, TRADE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from daemon.feeds.base import Stream

_NAMES: Final[dict[int, Stream]] = {TRADE: "trade", QUOTE: "quote", DEPTH: "depth"}


class Silence:
    """Looked at ten times a second, over all instruments at once."""

    def __init__(self, records: NDArray[np.void], streams: Sequence[Stream]) -> None:
        """Watch the lanes' streams (daemon.feeds.lane.new_records), whose time is 0 before they spoke."""
        self._records = records
        self._newest_ns: NDArray[np.int64] = records["newest_ns"]
        # the columns whose silence counts: one, or two
        looked_at = [kind for kind in (QUOTE, DEPTH) if _NAMES[kind] in streams] or [TRADE]
        self._first, *_, self._last = 2 * [KINDS.index(kind) for kind in looked_at]
        self._asked_ns = 0
        self._ages = bound(outlook.ages)

    def ages_ns(self, now_ns: int) -> NDArray[np.int64]:
        """Return how long ago each instrument's most silent stream spoke; over 100 years when one never did.

        Quotes and depth are looked at, each by itself, because one stream can stall while the others and the
        pings go on; and only what is news, because a stream can also repeat itself. Trades may be rare in an
        honest market and only count where nothing else is streamed.
        """
        if now_ns < self._asked_ns:  # the clock was set back: else silence hides behind what it was before
            np.minimum(self._newest_ns, now_ns, out=self._newest_ns)
        self._asked_ns = now_ns
        ages_ns = np.empty(len(self._records), dtype=np.int64)
        self._ages(self._records, self._first, self._last, now_ns, ages_ns)
        return ages_ns

    def clock_stepped(self, step_ns: int) -> None:
        """Take the step of a clock that was set anew: nobody is silent for longer or shorter by it."""
        newest_ns = self._newest_ns
        newest_ns[newest_ns > 0] += step_ns
        self._asked_ns += step_ns

    def newest_ns(self, instruments: NDArray[np.intp]) -> int:
        """Return when anything last came of these instruments, 0 before the first."""
        return int(self._newest_ns[instruments].max())

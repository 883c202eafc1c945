"""How long each instrument has been silent, from when each of its streams last said something new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from daemon.feeds.lane import KINDS
from kernels.dtypes import DEPTH, QUOTE, TRADE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from daemon.feeds.base import Stream

_NEVER_NS: Final = 1 << 62
_NAMES: Final[dict[int, Stream]] = {TRADE: "trade", QUOTE: "quote", DEPTH: "depth"}


class Silence:
    """Looked at ten times a second, over all instruments at once."""

    def __init__(self, newest_ns: NDArray[np.int64], streams: Sequence[Stream]) -> None:
        """Watch the lanes' times, int64[instruments, KINDS] in ns, 0 where a stream never spoke."""
        self._newest_ns = newest_ns
        # the columns whose silence counts: one, or two
        looked_at = [kind for kind in (QUOTE, DEPTH) if _NAMES[kind] in streams] or [TRADE]
        self._first_ns, *_, self._last_ns = 2 * [newest_ns[:, KINDS.index(kind)] for kind in looked_at]
        self._asked_ns = 0

    def ages_ns(self, now_ns: int) -> NDArray[np.int64]:
        """Return how long ago each instrument's most silent stream spoke; over 100 years when one never did.

        Quotes and depth are looked at, each by itself, because one stream can stall while the others and the
        pings go on; and only what is news, because a stream can also repeat itself. Trades may be rare in an
        honest market and only count where nothing else is streamed.
        """
        newest_ns = self._newest_ns
        if now_ns < self._asked_ns:  # the clock was set back: else silence hides behind what it was before
            np.minimum(newest_ns, now_ns, out=newest_ns)
        self._asked_ns = now_ns
        spoken_ns = np.minimum(self._first_ns, self._last_ns)
        return np.where(spoken_ns, now_ns - spoken_ns, _NEVER_NS)

    def clock_stepped(self, step_ns: int) -> None:
        """Take the step of a clock that was set anew: nobody is silent for longer or shorter by it."""
        newest_ns = self._newest_ns
        newest_ns[newest_ns > 0] += step_ns
        self._asked_ns += step_ns

    def newest_ns(self, instruments: NDArray[np.intp]) -> int:
        """Return when anything last came of these instruments, 0 before the first."""
        return int(self._newest_ns[instruments].max())

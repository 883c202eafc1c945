"""The market's mid when each order of a backtest was decided on, and what fills cost against it.

The kernels tell when an order left and not what the market was then; the record has the quotes. The mid is
that of the newest quote that was stamped at or before the decision, exactly, in half ticks. Where a record
has no quotes there is none, and nothing is measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kernels.dtypes import PLACE, QUOTE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from daemon.instruments import Scale

    Ints = NDArray[np.int64]


class Slippage(NamedTuple):
    """What fills cost more than the mid they were decided at; amounts in half ticks times lots."""

    fills: int  # that could be measured
    cost: int  # above 0: a cost
    value: int  # of them, at their prices

    @property
    def bps(self) -> float | None:
        """Return the cost in basis points of the value; None where nothing was measured."""
        return self.cost / self.value * 1e4 if self.value else None


class Decided:
    """Follows a record's quotes and the orders that were decided on."""

    def __init__(self, price: Scale) -> None:
        self._step = price.as_float
        self._newest_ns = -(2**63)
        self._keys: list[Ints] = []
        self._halves: list[Ints] = []
        self.first = 0  # half ticks; 0: there was no quote
        self.last = 0

    def take(self, events: NDArray[np.void], sent: NDArray[np.void]) -> None:
        """Take the next events of a record, and what left for the venue while they were taken."""
        tick = events["tick"][events["tick"]["kind"] == QUOTE]
        # a quote whose stamp is older than its predecessor's was read behind it
        times = np.maximum.accumulate(np.append(self._newest_ns, tick["wire_ns"]))
        bids, asks = (np.rint(tick[side] / self._step).astype(np.int64) for side in ("a", "c"))
        halves = np.append(self.last, bids + asks)
        placed = sent[sent["verb"] == PLACE]
        self._keys.append(placed["key"].copy())
        self._halves.append(halves[np.searchsorted(times, placed["now_ns"], side="right") - 1])
        self._newest_ns, self.last = int(times[-1]), int(halves[-1])
        if not self.first and len(halves) > 1:
            self.first = int(halves[1])

    def slippage(self, fills: Any) -> Slippage:
        """Return what FILL_ROW[n] cost against the mids that their orders were decided at."""
        if not self._keys:
            return Slippage(0, 0, 0)
        keys, halves = np.concatenate(self._keys), np.concatenate(self._halves)  # keys ascend
        decided = halves[np.searchsorted(keys, fills["key"])]
        known = fills[decided > 0]
        columns = (known[name].tolist() for name in ("side", "lots", "ticks"))
        cost = value = 0
        for side, lots, ticks, half in zip(*columns, decided[decided > 0].tolist(), strict=True):
            cost += side * lots * (2 * ticks - half)
            value += 2 * ticks * lots
        return Slippage(len(known), cost, value)

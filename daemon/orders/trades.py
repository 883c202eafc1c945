"""Which trades were accounted for: each counts once, however often and late the venue tells it.

A trade is known by its id and our side: when two orders of ours meet, both sides carry one id.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: trades remembered per instrument; what is older than all counts as seen, ids being given in rising order
REMEMBERED: Final = 16_384


class TradeIds:
    """The trades of one instrument, bounded, as keys: twice the id, and one more for a sell.

    The lowest key is forgotten first, not the oldest: an absurdly large id is only remembered, and cannot
    make every true one look forgotten.
    """

    __slots__ = ("_heap", "_seen", "floor")

    def __init__(self, keys: Iterable[int] = (), floor: int = -1) -> None:
        """Remember what `dump` returned and `floor` was."""
        self._seen = set(keys)
        self._heap = list(self._seen)
        heapify(self._heap)
        self.floor = floor  # the highest key forgotten

    def add(self, trade_id: int, side: int) -> bool:
        """Remember a trade; return whether it is new."""
        key = 2 * trade_id + (side < 0)
        if key <= self.floor or key in self._seen:
            return False
        self._seen.add(key)
        heappush(self._heap, key)
        if len(self._heap) > REMEMBERED:
            self.floor = heappop(self._heap)
            self._seen.discard(self.floor)
        return True

    def has(self, trade_id: int, side: int) -> bool:
        """Whether a trade was accounted for."""
        key = 2 * trade_id + (side < 0)
        return key <= self.floor or key in self._seen

    def dump(self) -> list[int]:
        """Return the remembered keys, the lowest first."""
        return sorted(self._seen)

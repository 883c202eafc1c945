"""Which trades were accounted for: each trade id counts once, however often and late the venue tells it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: ids remembered per instrument; what is older than all counts as seen, ids being given in rising order
REMEMBERED: Final = 16_384


class TradeIds:
    """The trade ids of one instrument, bounded."""

    __slots__ = ("_order", "_seen", "floor", "highest")

    def __init__(self, ids: Iterable[int] = (), floor: int = -1) -> None:
        self._order: deque[int] = deque()
        self._seen: set[int] = set()
        self.floor = floor  # the highest id already forgotten
        self.highest = floor
        for trade_id in ids:
            self.add(trade_id)

    def add(self, trade_id: int) -> bool:
        """Remember an id; return whether it is new."""
        if trade_id <= self.floor or trade_id in self._seen:
            return False
        self._seen.add(trade_id)
        self._order.append(trade_id)
        self.highest = max(self.highest, trade_id)
        if len(self._order) > REMEMBERED:
            oldest = self._order.popleft()
            self._seen.discard(oldest)
            self.floor = max(self.floor, oldest)
        return True

    def __contains__(self, trade_id: int) -> bool:
        return trade_id <= self.floor or trade_id in self._seen

    def dump(self) -> list[int]:
        """Return the remembered ids in the order they came."""
        return list(self._order)

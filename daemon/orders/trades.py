"""Which trades were accounted for: each counts once, however often and late the venue tells it.

A trade is known by its id and our side: when two orders of ours meet, both sides carry one id. Where an
exchange names its trades by text, the id is a hash of it (`hashed_id`).
"""

from __future__ import annotations

from hashlib import blake2b
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: trades remembered per instrument; what is older than all counts as seen, ids being given in rising order
REMEMBERED: Final = 16_384
#: ids from here on are hashes: they do not rise, so of them the oldest is forgotten, not the lowest
HASHED: Final = 1 << 61


def hashed_id(text: str) -> int:
    """Return the id of a trade that is known by a text; two of 16,384 are the same once in 1e10 tries."""
    return HASHED | int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) >> 3


class TradeIds:
    """The trades of one instrument, bounded, as keys: twice the id, and one more for a sell.

    The lowest key is forgotten first, not the oldest: an absurdly large id is only remembered, and cannot
    make every true one look forgotten.
    """

    __slots__ = ("_hashed", "_heap", "_seen", "floor")

    def __init__(self, keys: Iterable[int] = (), floor: int = -1) -> None:
        """Remember what `dump` returned and `floor` was."""
        keys = list(keys)
        self._hashed = dict.fromkeys(key for key in keys if key >= 2 * HASHED)  # the oldest first
        self._seen = set(keys) - self._hashed.keys()
        self._heap = list(self._seen)
        heapify(self._heap)
        self.floor = floor  # the highest key forgotten

    def add(self, trade_id: int, side: int) -> bool:
        """Remember a trade; return whether it is new."""
        key = 2 * trade_id + (side < 0)
        if trade_id >= HASHED:
            return self._add_hashed(key)
        if key <= self.floor or key in self._seen:
            return False
        self._seen.add(key)
        heappush(self._heap, key)
        if len(self._heap) > REMEMBERED:
            self.floor = heappop(self._heap)
            self._seen.discard(self.floor)
        return True

    def _add_hashed(self, key: int) -> bool:
        if key in self._hashed:
            return False
        self._hashed[key] = None
        if len(self._hashed) > REMEMBERED:
            del self._hashed[next(iter(self._hashed))]
        return True

    def has(self, trade_id: int, side: int) -> bool:
        """Whether a trade was accounted for."""
        key = 2 * trade_id + (side < 0)
        return key <= self.floor or key in self._seen or key in self._hashed

    def dump(self) -> list[int]:
        """Return the remembered keys, the lowest first; then the hashed ones, the oldest first."""
        return sorted(self._seen) + list(self._hashed)

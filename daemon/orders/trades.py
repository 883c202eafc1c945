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
#: ids from here on are hashes: they do not rise, so of them the earliest is forgotten, not the lowest
HASHED: Final = 1 << 61


def hashed_id(text: str) -> int:
    """Return the id of a trade that is known by a text; two of 16,384 are the same once in 1e10 tries."""
    return HASHED | int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) >> 3


class TradeIds:
    """The trades of one instrument, bounded, as keys: twice the id, and one more for a sell.

    The lowest key is forgotten first, not the oldest: an absurdly large id is only remembered, and cannot
    make every true one look forgotten. Of hashes, which tell no order, it is the earliest by the exchange's
    clock, for the same reason; what is not later than one that is forgotten counts as seen.
    """

    __slots__ = ("_earliest", "_hashed", "_heap", "_latest_ns", "_seen", "_told", "floor", "floor_ns")

    def __init__(
        self, keys: Iterable[int] = (), floor: int = -1, times: Iterable[int] = (), floor_ns: int = 0
    ) -> None:
        """Remember what `dump` and `dump_times` returned, and `floor` and `floor_ns` were."""
        self._seen: set[int] = set()
        self._hashed: dict[int, int] = {}  # key -> when it was, 0 where nobody told
        self._earliest: list[tuple[int, int, int]] = []  # a heap of (when, which it was of all, key)
        self._told = self._latest_ns = 0
        self.floor = floor  # the highest key forgotten
        self.floor_ns = floor_ns  # when the latest trade was of which the hash is forgotten
        of_hashes = iter(times)
        for key in keys:
            if key >= 2 * HASHED:
                self._remember(key, next(of_hashes, 0))  # a version before this one kept no times
            else:
                self._seen.add(key)
        self._heap = list(self._seen)
        heapify(self._heap)

    def add(self, trade_id: int, side: int, exch_ns: int = 0) -> bool:
        """Remember a trade, made at `exch_ns` by the exchange's clock; return whether it is new."""
        key = 2 * trade_id + (side < 0)
        if self.has(trade_id, side, exch_ns):
            return False
        if trade_id >= HASHED:
            self._remember(key, exch_ns)
            return True
        self._seen.add(key)
        heappush(self._heap, key)
        if len(self._heap) > REMEMBERED:
            self.floor = heappop(self._heap)
            self._seen.discard(self.floor)
        return True

    def _remember(self, key: int, exch_ns: int) -> None:
        self._hashed[key] = exch_ns
        self._told += 1
        self._latest_ns = max(self._latest_ns, exch_ns)
        heappush(self._earliest, (exch_ns or self._latest_ns, self._told, key))
        if len(self._hashed) > REMEMBERED:
            _, _, forgotten = heappop(self._earliest)
            self.floor_ns = max(self.floor_ns, self._hashed.pop(forgotten))

    def has(self, trade_id: int, side: int, exch_ns: int = 0) -> bool:
        """Whether a trade was accounted for."""
        key = 2 * trade_id + (side < 0)
        if trade_id >= HASHED:
            return key in self._hashed or 0 < exch_ns <= self.floor_ns
        return key <= self.floor or key in self._seen

    def dump(self) -> list[int]:
        """Return the remembered keys, the lowest first; then the hashed ones, in the order they were told."""
        return sorted(self._seen) + list(self._hashed)

    def dump_times(self) -> list[int]:
        """Return when the trades of the hashed keys were, in the order of `dump`."""
        return list(self._hashed.values())

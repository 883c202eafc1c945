"""Whose orders an exchange's order numbers are: ours by our ids, others' by whatever they are called."""

from __future__ import annotations

from typing import Final

#: the latest so many are remembered, for the trades of snapshots
KEPT: Final = 50_000


class OrderNames:
    """Client order ids by instrument and order number.

    A number alone names no order: exchanges count in each symbol, and two of them may well be at the same.
    """

    __slots__ = ("_names",)

    def __init__(self) -> None:
        self._names: dict[tuple[int, str], str] = {}

    def remember(self, instrument: int, number: str, name: str) -> None:
        """Remember whose order it is; the earliest is forgotten."""
        self._names[instrument, number] = name
        if len(self._names) > KEPT:
            del self._names[next(iter(self._names))]

    def find(self, instrument: int, number: str) -> str:
        """Return its client order id, "" where that is not known."""
        return self._names.get((instrument, number), "")

    def __len__(self) -> int:
        return len(self._names)

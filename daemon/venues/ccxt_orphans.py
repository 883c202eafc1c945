"""Trades that a stream tells of before it is known whose order they are of. Sans-IO."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

#: more than are on their way at once; what is forgotten a snapshot tells
KEPT: Final = 1_000


class Orphans:
    """The latest of them, as ccxt has them."""

    def __init__(self) -> None:
        self._waiting: deque[Any] = deque(maxlen=KEPT)

    def keep(self, raw: Any) -> None:
        """Let a trade wait."""
        self._waiting.append(raw)

    def of_order(self, symbol: str, number: str) -> list[Any]:
        """Return the trades of an order, in the order they came; they wait no more."""
        mine = [
            raw for raw in self._waiting if raw.get("symbol") == symbol and str(raw.get("order")) == number
        ]
        if mine:
            self._waiting = deque((raw for raw in self._waiting if raw not in mine), maxlen=KEPT)
        return mine

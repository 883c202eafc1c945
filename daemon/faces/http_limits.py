"""How often the daemon may be asked, and by what it knows a command that it has taken already."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: ids of commands that are remembered
IDS_MAX: Final = 1024


class Bucket:
    """So many requests at once, and from then on so many a second."""

    def __init__(self, burst: int, per_s: float, mono_ns: Callable[[], int]) -> None:
        self._burst = burst
        self._per_ns = per_s / 1e9
        self._mono_ns = mono_ns
        self._left = float(burst)
        self._then_ns = mono_ns()

    def take(self) -> bool:
        """Count one more request; return False for one too many, which is not counted."""
        now_ns = self._mono_ns()
        self._left = min(self._burst, self._left + (now_ns - self._then_ns) * self._per_ns)
        self._then_ns = now_ns
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Taken:
    """The ids of the commands taken last."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, one: str) -> bool:
        return one in self._ids

    def add(self, one: str) -> None:
        """Remember an id; the oldest of too many is forgotten."""
        self._ids[one] = None
        if len(self._ids) > IDS_MAX:
            self._ids.popitem(last=False)

    def discard(self, one: str) -> None:
        """Forget an id: its command was not taken after all."""
        self._ids.pop(one, None)

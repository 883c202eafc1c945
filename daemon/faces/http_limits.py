"""How often the daemon may be asked, what answering may cost it, and which commands it has taken already."""

from __future__ import annotations

import asyncio
import types
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: ids of commands that are remembered
IDS_MAX: Final = 1024
#: of the loop's time, the making of one kind of answer may take one part in so many
PARTS: Final = 20

T = TypeVar("T")


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


class Reused(Generic[T]):
    """One kind of answer, which is given again until what it cost has been worked off.

    Made in 0.3 ms it is 6 ms old at most, in 20 ms (500 instruments, say) 0.4 s: however often it is asked
    for, one second of the loop has a twentieth for it. A limit on the count would hold for neither.
    """

    def __init__(self, make: Callable[[], T], mono_ns: Callable[[], int]) -> None:
        self._make = make
        self._mono_ns = mono_ns
        self._made: tuple[T] | None = None
        self._until_ns = 0

    def get(self) -> T:
        """Return the answer: the one before, or one that is made now."""
        began_ns = self._mono_ns()
        if self._made is None or began_ns >= self._until_ns:
            self._made = (self._make(),)
            ended_ns = self._mono_ns()
            self._until_ns = ended_ns + (PARTS - 1) * (ended_ns - began_ns)
        return self._made[0]

    def forget(self) -> None:
        """Make it anew when it is asked for next: it is known to be another."""
        self._made = None


class Pieced:
    """As `Reused`, of an answer that is made in pieces: between two the loop has a turn for what waits.

    Who asks while it is made waits for the same.
    """

    def __init__(self, make: Callable[[], Iterable[bytes]], mono_ns: Callable[[], int]) -> None:
        self._make = make
        self._mono_ns = mono_ns
        self._making = asyncio.Lock()
        self._made: bytes | None = None
        self._until_ns = 0
        self._forgotten = 0  # times

    async def get(self) -> bytes:
        """Return the answer: the one before, or one that is made now."""
        async with self._making:
            began_ns = self._mono_ns()
            if self._made is not None and began_ns < self._until_ns:
                return self._made
            forgotten, cost_ns, pieces = self._forgotten, 0, []
            for piece in self._make():
                pieces.append(piece)
                cost_ns += self._mono_ns() - began_ns
                await _turn()
                began_ns = self._mono_ns()
            made = b"".join(pieces)
            self._until_ns = began_ns + (PARTS - 1) * cost_ns
            self._made = made if forgotten == self._forgotten else None
            return made

    def forget(self) -> None:
        """Make it anew when it is asked for next: it is known to be another."""
        self._made = None
        self._forgotten += 1


@types.coroutine
def _turn() -> Iterator[None]:
    """Let everything run that is due."""
    yield


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

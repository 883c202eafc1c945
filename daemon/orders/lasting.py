"""What of the differences that looks find lasts, and what a trade on its way makes of a moment.

A look falls between a trade and its report, or the venue's lists are behind one that was told: each looks
like a difference of the trade's size, and where a strategy trades the same size all the time, the next does
too. So a look around which a trade was told shows nothing, but that all agrees; and between two looks that
find the same no trade must be told. Where trades are told between all looks, many must find the same, and
none that all agrees: some of them with no trade told around, for trades may keep step with the looks.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.orders.money import Apart
    from daemon.seams import Clock

#: how far a venue's lists may be behind what it told by itself: queries have been seen to lag by so much
LAG_NS: Final = 20_000_000_000
#: a trade that was told so long before a look was asked for is in it, but for one of many looks
_AROUND_NS: Final = 1_000_000_000
#: where trades are told between all looks, this many must have found the same, for so long; of these, so many
#: with no trade told around
_LOOKS_MIN: Final = 5
_QUIET_MIN: Final = 1
_LOOKS_NS: Final = 20_000_000_000
#: different ones of one thing that are remembered
_KEPT: Final = 64


class _Found(msgspec.Struct):
    """A difference that was found; times are of the monotonic clock."""

    apart: Apart
    first_ns: int
    told_ns: int = -1  # the latest trade, when it was last found with none told around
    still_ns: int = 0  # since when it is found so, with none told in between
    looks: int = 0
    quiet: int = 0  # of these, without a trade told around


class Lasting:
    """The differences of one kind, since each was last found to be none."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._found: dict[str, deque[_Found]] = {}

    def look(self, apart: Sequence[Apart], told_ns: Mapping[str, int], asked_ns: int) -> list[Apart]:
        """Return those that last, of all that a look found which was asked for at `asked_ns`.

        told_ns: when the latest trade was told that may move each; without one nothing does.
        """
        now_ns = self._clock.mono_ns()
        self._found = {one.of: self._found.get(one.of) or deque(maxlen=_KEPT) for one in apart}
        return [one for one in apart if self._lasts(one, told_ns.get(one.of, 0), asked_ns, now_ns)]

    def _lasts(self, apart: Apart, told_ns: int, asked_ns: int, now_ns: int) -> bool:
        before = self._found[apart.of]
        found = next((one for one in before if one.apart.same(apart)), None)
        if found is None:
            found = _Found(apart, now_ns)
            before.append(found)
        found.looks += 1
        if told_ns <= asked_ns - _AROUND_NS:
            found.quiet += 1
            if found.told_ns != told_ns:
                found.told_ns, found.still_ns = told_ns, now_ns
            if now_ns - found.still_ns >= LAG_NS:
                return True
        many = found.looks >= _LOOKS_MIN and found.quiet >= _QUIET_MIN
        return many and now_ns - found.first_ns >= _LOOKS_NS

    @property
    def recurs(self) -> bool:
        """Whether any of what is found now was found before: the next looks may show that it lasts."""
        return any(one.looks > 1 for before in self._found.values() for one in before)

    def forget(self, of: str) -> None:
        """Begin anew with one: what was found of it has been settled."""
        self._found.pop(of, None)

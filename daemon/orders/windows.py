"""Trading windows: the days and hours, UTC, in which risk may be added.

    parse_windows(("mon-fri 08:00-16:30", "sat 10:00-24:00"))

A window may run past midnight ("sun 22:00-02:00"); it then begins on the days that are named. None at all:
always.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from daemon.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FORM: Final = re.compile(r"([a-z]{3})(?:-([a-z]{3}))? +([0-9]{2}):([0-5][0-9])-([0-9]{2}):([0-5][0-9])")
_MINUTE_NS: Final = 60_000_000_000
_DAY_MIN: Final = 24 * 60
_WEEK_MIN: Final = 7 * _DAY_MIN
#: 1970 began on a Thursday
_EPOCH_MIN: Final = 3 * _DAY_MIN


class Windows:
    """The minutes of a week in which risk may be added, as merged [from, to) spans."""

    __slots__ = ("_edges",)

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        edges: list[int] = []
        for begin, end in sorted(spans):
            if edges and begin <= edges[-1]:
                edges[-1] = max(edges[-1], end)
            else:
                edges += (begin, end)
        self._edges = edges  # open from an even place to the next odd one

    def open(self, now_ns: int) -> bool:
        """Whether risk may be added at a time."""
        if not self._edges:
            return True
        minute = (now_ns // _MINUTE_NS + _EPOCH_MIN) % _WEEK_MIN
        return bool(bisect_right(self._edges, minute) % 2)


ALWAYS: Final = Windows(())


def parse_windows(texts: Iterable[str]) -> Windows:
    """Return the windows that a configuration names; raises ConfigError."""
    spans: list[tuple[int, int]] = []
    for text in texts:
        found = _FORM.fullmatch(text.strip().lower())
        first, last = (found[1], found[2] or found[1]) if found else ("", "")
        if found is None or first not in _DAYS or last not in _DAYS:
            raise ConfigError(f'risk.windows: {text!r} is no window; write it like "mon-fri 08:00-16:30"')
        begin, end = int(found[3]) * 60 + int(found[4]), int(found[5]) * 60 + int(found[6])
        if begin >= _DAY_MIN or end > _DAY_MIN or begin == end:
            raise ConfigError(f"risk.windows: {text!r} names no hours of a day, from 00:00 to 24:00")
        day = _DAYS.index(first)
        for number in range(day, day + (_DAYS.index(last) - day) % 7 + 1):
            spans += _in_week(number % 7 * _DAY_MIN + begin, (end - begin) % _DAY_MIN or _DAY_MIN)
    return Windows(spans)


def day_offset_ns(text: str) -> int:
    """Return how long after midnight UTC a day begins that begins at "HH:MM"."""
    hours, _, minutes = text.partition(":")
    return (int(hours) * 60 + int(minutes)) * _MINUTE_NS


def _in_week(begin: int, length: int) -> list[tuple[int, int]]:
    """Return a span as it lies in a week: what runs past its end goes on at its beginning."""
    end = begin + length
    if end <= _WEEK_MIN:
        return [(begin, end)]
    return [(begin, _WEEK_MIN), (0, end - _WEEK_MIN)]

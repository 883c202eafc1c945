"""Times as text (RFC 3339), and numbers for quotes that their exchange only stamps.

A stamp is read to the microsecond; what an exchange writes behind that is rounded.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from msgspec import Meta

from daemon.errors import FrameError

#: what msgspec reads a time as
Stamp = Annotated[datetime, Meta(tz=True)]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_END: Final = datetime(2262, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def nanoseconds(stamp: datetime) -> int:
    """Return a time as nanoseconds UTC; raises FrameError for one that they have no room for."""
    if not _EPOCH <= stamp < _END:
        raise FrameError("time", f"{stamp.isoformat()} is no time of a market")
    return (stamp - _EPOCH) // _MICROSECOND * 1000


class QuoteNumbers:
    """Gives each quote its stamp in microseconds as its id, and one more to those that share one.

    Microseconds, because the distance between two quotes of a quiet market must be no stray id's (lane.py).
    """

    __slots__ = ("_last",)

    def __init__(self, instruments: int) -> None:
        self._last: list[tuple[int, int, object]] = [(-1, -1, None)] * instruments

    def number(self, instrument: int, exch_ns: int, said: object) -> int:
        """Return the id of the quote that says this: the last one's where it is the same."""
        us = exch_ns // 1000
        number, last_us, last_said = self._last[instrument]
        if us < last_us:
            return us  # an older one, and so a smaller id
        if us == last_us and said == last_said:
            return number
        number = max(us, number + 1)
        self._last[instrument] = (number, us, said)
        return number

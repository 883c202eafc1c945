"""What the markets of Binance have of their own, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from daemon.venues.binance_frames import OrderFrames
from daemon.venues.binance_requests import OrderRequests
from daemon.venues.binance_rest import RestReader
from daemon.venues.binance_session import AMEND, CANCEL, PLACE, QUERY, REPLACE, TIME, TRADES, Session

if TYPE_CHECKING:
    from collections.abc import Mapping


class Protocol(NamedTuple):
    """What another market of the exchange has of its own."""

    frames: type[OrderFrames]
    requests: type[OrderRequests]
    rest: type[RestReader]
    session: type[Session]
    clock: str  # the request that tells the exchange's time
    weights: Mapping[int, int]


SPOT: Final = Protocol(
    OrderFrames,
    OrderRequests,
    RestReader,
    Session,
    "time",
    {PLACE: 1, CANCEL: 1, AMEND: 4, QUERY: 4, TRADES: 5, TIME: 1, REPLACE: 1},
)

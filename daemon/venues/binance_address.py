"""The venue's budget as others see it who ask from the same address: the feed, for its books."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.seams import Clock
    from daemon.venues.binance_limits import Budget
    from daemon.venues.server_clock import ServerClock


class AddressBudget:
    """Limits (daemon/feeds/snapshots.py): books have the readers' part of the weight, which orders outlive.

    What is asked at a first start is heavy, 25,000 for 500 books on Spot: without a count the exchange would
    answer 429, and then no cancel leaves either.
    """

    def __init__(self, budget: Budget, server: ServerClock, clock: Clock, weight: int) -> None:
        """`weight`: of a request."""
        self._budget = budget
        self._server = server
        self._clock = clock
        self._weight = weight

    def waits_ms(self) -> int:
        """Return how long a request has to wait; 0: it need not, and counts as sent."""
        time_ms = self._time_ms()
        waits_ms = self._budget.reading_waits_ms(time_ms, self._weight)
        if not waits_ms:
            self._budget.take(time_ms, self._weight)
        return waits_ms

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take the counts over that an answer tells."""
        self._budget.learn_headers(headers, self._time_ms())

    def limited(self, status: int, wait_ms: int) -> None:
        """Send nothing for so long: the feed or a handshake was told to keep still."""
        self._budget.block(status, self._time_ms(), wait_ms=wait_ms)

    def _time_ms(self) -> int:
        return self._server.time_ms(self._clock.now_ns())

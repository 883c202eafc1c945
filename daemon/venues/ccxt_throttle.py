"""ccxt's rate limiter, with a way to be refused: an order leaves now or not at all.

What only reads has half of it: a look at the account is many requests, and neither orders nor cancels wait
until it is over. Of a window it has that half whatever orders use of the other, and a countdown.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from ccxt.async_support.base.throttler import Throttler

if TYPE_CHECKING:
    from collections.abc import Callable


#: the part of a window, or of a bucket, that is left to who only reads
READING_SHARE: Final = 0.5


class Throttle(Throttler):  # type: ignore[misc] # ccxt is untyped
    """ccxt's queue, of who reads, and numbers. `take` never waits, `first` waits before all readers."""

    queue: deque[tuple[asyncio.Future[None], float | None]]
    timestamps: list[dict[str, float]]
    running: bool

    def __init__(self, config: dict[str, Any], loop: Any, now_ms: Callable[[], float]) -> None:
        """`now_ms` is the monotonic clock."""
        super().__init__(config, loop)
        self._now_ms = now_ms
        self._filled_ms = now_ms()
        self._urgent: deque[tuple[asyncio.Future[None], float | None]] = deque()

    def take(self, cost: float | None) -> bool:
        """Count a request that leaves now; False: it would have to wait, and is not counted."""
        return not self._urgent and self._fits(cost)

    def _fits(self, cost: float | None, *, reads: bool = False) -> bool:
        config = self.config
        cost = config["cost"] if cost is None else cost
        now_ms = self._now_ms()
        if config["algorithm"] == "leakyBucket":
            # ccxt fills the bucket while somebody waits, we whenever we look; it never holds more than one
            elapsed_ms = now_ms - self._filled_ms
            self._filled_ms = now_ms
            config["tokens"] = min(config["tokens"] + elapsed_ms * config["refillRate"], config["capacity"])
            if config["tokens"] < (config["capacity"] * READING_SHARE if reads else 0):
                return False
            config["tokens"] -= cost
            return True
        self.timestamps = [one for one in self.timestamps if one["timestamp"] > now_ms - config["windowSize"]]
        used, most = sum(one["cost"] for one in self.timestamps), config["maxWeight"]
        read = sum(one["read"] for one in self.timestamps)
        if used + cost > most or (reads and read and read + cost > most * READING_SHARE):
            return False
        self.timestamps.append({"timestamp": now_ms, "cost": cost, "read": cost if reads else 0.0})
        return True

    async def looper(self) -> None:
        """Let those who wait go in their turn; ccxt's own goes by the wall clock, which may be set back."""
        while waiting := self._urgent or self.queue:
            turn, cost = waiting[0]
            if not self._fits(cost, reads=waiting is self.queue):
                await asyncio.sleep(self._wait_s())
                continue
            waiting.popleft()
            if not turn.done():
                turn.set_result(None)
            await asyncio.sleep(0)  # whose turn it is goes first
        self.running = False

    def _wait_s(self) -> float:
        config = self.config
        if config["algorithm"] == "leakyBucket":
            return float(config["delay"])
        oldest_ms: float = self.timestamps[0]["timestamp"]
        return float(max(oldest_ms + config["windowSize"] - self._now_ms(), 1.0)) / 1000

    def first(self, cost: float | None) -> asyncio.Future[None]:
        """Wait for the next place, before all others; needs one that `take` did not get."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._urgent.append((turn, cost))
        if not self.running:
            self.running = True
            self.looping = asyncio.ensure_future(self.looper())
        return turn

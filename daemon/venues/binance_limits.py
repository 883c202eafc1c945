"""How much Binance still lets us ask: used weight, order counts, and a latch for all requests. Sans-IO.

Counts are the exchange's own, as answers tell them, or what was sent where that is more: an answer does not
know of what is still on its way. An interval's count starts again at its beginning, by the exchange's clock.
New orders stop at a part of the request weight, so that cancels and queries keep the rest, and those that
add risk at a part of the order counts: quotes use up a day's, and positions have to be closed. After a 429 or
418 nothing is sent until the time that the exchange names, or for as long as it says: the first stays where
it is when the exchange's clock is found to be another than we took it for, the second lasts as long as
before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from daemon.venues.binance_wire import RateLimit

#: the part of the request weight that new orders may use up
ORDERS_SHARE: Final = 0.8
#: the part of the order counts that orders which add risk may use up
ADDING_SHARE: Final = 0.9
#: the part of the weight for snapshots: one of hundreds of symbols takes minutes, and orders go on
READING_SHARE: Final = 0.5
#: and how much may be used in all when they ask, by whoever shares the address
_READING_UPTO: Final = 0.9
#: what the limit is taken for while the exchange has told none: the lower one of its markets
_LIMIT_ASSUMED: Final = 2400
#: how long to wait after a 429 or 418 that names no time
BACKOFF_MS: Final = {429: 10_000, 418: 120_000}
#: added to what one names: a time is by the exchange's clock, of which ours is an estimate, a wait is in
#: whole seconds, and who asks a moment too early is banned for longer
_UNSURE_MS: Final = 500

#: orders granted at once, and for how long at most
_GRANT_MAX: Final = 1_000
_GRANT_MS: Final = 1_000

_MINUTE_MS: Final = 60_000
_WEIGHT: Final = "REQUEST_WEIGHT"
_ORDERS: Final = "ORDERS"
_KINDS: Final = frozenset({_WEIGHT, _ORDERS})
_SPANS_MS: Final = {"SECOND": 1_000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000}
_HEADER_SPANS_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Window:
    """One limit over one interval."""

    __slots__ = ("count", "limit", "number", "span_ms")

    def __init__(self, span_ms: int) -> None:
        self.span_ms = span_ms
        self.limit = 0  # 0: not known yet, so nothing is refused by it
        self.number = 0  # which interval the count belongs to
        self.count = 0

    def __str__(self) -> str:
        return f"{self.count} of {self.limit} in {self.span_ms // 1000} s"

    def now(self, time_ms: int) -> int:
        """Return the count of the interval that `time_ms` lies in."""
        number = time_ms // self.span_ms
        if number != self.number:
            self.number = number
            self.count = 0
        return self.count

    def is_used(self, time_ms: int, share: float) -> bool:
        """Whether so much of the limit, where it is known, is used in the interval of `time_ms`."""
        used = self.now(time_ms)
        return bool(self.limit) and used >= self.limit * share


class Budget:
    """All limits of one account and address; times are the exchange's, in ms."""

    def __init__(self) -> None:
        self._weight = {_MINUTE_MS: Window(_MINUTE_MS)}
        self._reading = Window(_MINUTE_MS)  # what snapshots used of that
        self._orders: dict[int, Window] = {}
        #: told for how many ms nothing may be sent, after a 429 or 418: it holds for the whole address
        self.on_block: Callable[[int], object] = _nobody
        self._blocked_until_ms = 0  # as the exchange named it
        self._waits_until_ms = 0  # as we counted it from its answer
        self._granted = 0  # weight of the orders that need no look at the windows
        self._granted_at_first = 0
        self._grant_weight = 1
        self._granted_from_ms = 0
        self._granted_until_ms = 0

    def take_order(self, time_ms: int, weight: int, *, reduces: bool = False) -> str:
        """Count a new order, as `take` does; one that reduces risk has the whole of the order counts.

        Looking at each window costs a microsecond, so it is done for many orders at once: so many as there is
        certainly room for, before the first interval ends, are granted, and counted when next it is looked.
        """
        if self._granted > 0 and self._granted_from_ms <= time_ms < self._granted_until_ms:
            self._granted -= weight
            return ""
        refusal = self.take(time_ms, weight, order=True, reduces=reduces)
        if not refusal:
            self._grant(time_ms, weight)
        return refusal

    def take(self, time_ms: int, weight: int, *, order: bool = False, reduces: bool = False) -> str:
        """Count a request that is about to be sent; return why it may not be, empty when it may."""
        self._settle()
        if blocked_ms := self.blocked_ms(time_ms):
            return f"rate limited for {blocked_ms / 1000:.1f} s more"
        weights, counts = self._weight.values(), list(self._orders.values()) if order else []
        for window in weights:
            if window.is_used(time_ms, ORDERS_SHARE if order else 1.0):
                return f"request weight used up ({window})"
        for window in counts:
            if window.is_used(time_ms, 1.0 if reduces else ADDING_SHARE):
                return f"order count used up ({window})"
        for window in weights:
            window.count += weight
        for window in counts:
            window.count += 1
        return ""

    def is_short(self, time_ms: int) -> bool:
        """Whether new orders have used up their share of the weight, or of a count that is not soon anew."""
        self._settle()
        if any(window.is_used(time_ms, ORDERS_SHARE) for window in self._weight.values()):
            return True
        return any(
            window.span_ms > _MINUTE_MS and window.is_used(time_ms, ADDING_SHARE)
            for window in self._orders.values()
        )

    def blocked_ms(self, time_ms: int) -> int:
        """Return for how long nothing may be sent, after a 429 or 418."""
        return max(self._blocked_until_ms - time_ms, self._waits_until_ms - time_ms, 0)

    def clock_moved(self, step_ms: int) -> None:
        """Wait as long as before, though the exchange's clock is known anew: so much further on.

        A time that the exchange named is by that clock, and stays.
        """
        self._waits_until_ms += step_ms

    def reading_waits_ms(self, time_ms: int, weight: int) -> int:
        """Return how long a snapshot's request has to wait: limited, or for its part of the weight.

        0: it need not, and counts as one.
        """
        self._settle()
        if blocked_ms := self.blocked_ms(time_ms):
            return blocked_ms
        window, reading = self._weight[_MINUTE_MS], self._reading
        limit = window.limit or _LIMIT_ASSUMED
        read, used = reading.now(time_ms), window.now(time_ms)
        crowded = used and used + weight > limit * _READING_UPTO
        if crowded or (read and read + weight > limit * READING_SHARE):
            return (reading.number + 1) * _MINUTE_MS - time_ms
        reading.count = read + weight
        return 0

    def _grant(self, time_ms: int, weight: int) -> None:
        """Promise room for the orders to come, after one of `weight` was counted at `time_ms`."""
        room = _GRANT_MAX
        until_ms = time_ms + _GRANT_MS
        for window in self._weight.values():
            until_ms = min(until_ms, (time_ms // window.span_ms + 1) * window.span_ms)
            if window.limit:
                room = min(room, int(window.limit * ORDERS_SHARE - window.count) // weight)
        for window in self._orders.values():
            until_ms = min(until_ms, (time_ms // window.span_ms + 1) * window.span_ms)
            if window.limit:
                room = min(room, int(window.limit * ADDING_SHARE) - window.count)
        self._granted = self._granted_at_first = max(room, 0) * weight
        self._grant_weight = weight
        self._granted_from_ms, self._granted_until_ms = time_ms, until_ms

    def _settle(self) -> None:
        """Count what was sent under a grant, and end it."""
        sent = (self._granted_at_first - self._granted) // self._grant_weight
        self._granted = self._granted_at_first = 0
        if sent:
            for window in self._weight.values():
                window.count += sent * self._grant_weight
            for window in self._orders.values():
                window.count += sent

    def learn(self, limits: Iterable[RateLimit], time_ms: int) -> None:
        """Take the counts of an answer over."""
        self._settle()
        for limit in limits:
            span_ms = _SPANS_MS.get(limit.interval, 0) * limit.intervalNum
            kind = limit.rateLimitType
            if span_ms and kind in _KINDS:
                window = self._window(kind, span_ms)
                window.limit = limit.limit
                window.count = max(window.now(time_ms), limit.count)

    def learn_headers(self, headers: Mapping[str, str], time_ms: int) -> None:
        """Take the counts of an HTTP answer's X-MBX-* headers over."""
        self._settle()
        for name, value in headers.items():
            kind, _, span = name.lower().rpartition("-")
            weight = kind == "x-mbx-used-weight"
            span_ms = _HEADER_SPANS_MS.get(span[-1:], 0)
            if not (weight or kind == "x-mbx-order-count") or not span_ms:
                continue
            if span[:-1].isdecimal() and value.isdecimal():
                window = self._window(_WEIGHT if weight else _ORDERS, span_ms * int(span[:-1]))
                window.count = max(window.now(time_ms), int(value))

    def block(self, status: int, time_ms: int, until_ms: int = 0, *, wait_ms: int = 0) -> None:
        """Latch after a 429 or 418 that names a time, a wait or neither; the latest end counts.

        A time that seems to be over is kept, too: by the exchange's clock, once it is known, it may not be.
        """
        self._settle()
        self._blocked_until_ms = max(self._blocked_until_ms, until_ms + _UNSURE_MS)
        if until_ms <= time_ms:
            wait_ms = wait_ms + _UNSURE_MS if wait_ms else BACKOFF_MS.get(status, BACKOFF_MS[429])
            self._waits_until_ms = max(self._waits_until_ms, time_ms + wait_ms)
        self.on_block(self.blocked_ms(time_ms))

    def used(self, time_ms: int) -> dict[str, tuple[int, int]]:
        """Return (count, limit) by name, such as request_weight_60s; limit 0: not known."""
        self._settle()
        rows = {
            f"request_weight_{w.span_ms // 1000}s": (w.now(time_ms), w.limit) for w in self._weight.values()
        }
        rows |= {f"orders_{w.span_ms // 1000}s": (w.now(time_ms), w.limit) for w in self._orders.values()}
        return rows

    def _window(self, kind: str, span_ms: int) -> Window:
        windows = self._weight if kind == _WEIGHT else self._orders
        window = windows.get(span_ms)
        if window is None:
            window = windows[span_ms] = Window(span_ms)
        return window


def _nobody(_: int) -> None:
    """Tell nobody."""

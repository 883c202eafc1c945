"""Rate limits: request weight per address, unfilled orders per account, connections, and bans.

Intervals are calendar ones: a minute's count starts again at its full minute. Going over the weight answers
429; going on after that bans the address (418), longer each time, and a ban is honoured until its end.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from daemon.simulator.errors import TOO_MANY_ORDERS, TOO_MANY_REQUESTS, ApiError

_SECOND_NS: Final = 1_000_000_000
_MINUTE_NS: Final = 60 * _SECOND_NS
_DAY_NS: Final = 86_400 * _SECOND_NS
#: 429s within one minute's interval after which the address is banned
STRIKES_MAX: Final = 10
#: published, and never reached: each request weighs at least 1
RAW_REQUESTS_5M: Final = 300_000
BAN_NS_FIRST: Final = 2 * _MINUTE_NS
BAN_NS_MAX: Final = 3 * _DAY_NS


class Limits(msgspec.Struct, frozen=True):
    """The limits in force; 0 means none (soak tests relax them)."""

    weight_1m: int = 6_000
    orders_10s: int = 100
    orders_1d: int = 200_000
    orders_1m: int = 0  # of the futures, which count no days
    connections_5m: int = 300
    messages_1s: int = 5
    streams: int = 1_024

    def published(self, *, rest: bool, futures: bool) -> list[dict[str, Any]]:
        """Return the `rateLimits` of exchangeInfo: those of both doors, and of each its own."""
        rows = [
            ("REQUEST_WEIGHT", "MINUTE", 1, self.weight_1m),
            ("ORDERS", "SECOND", 10, self.orders_10s),
            ("ORDERS", "MINUTE", 1, self.orders_1m),
            ("ORDERS", "DAY", 1, self.orders_1d),
        ]
        if not futures:
            raw = RAW_REQUESTS_5M if self.weight_1m else 0
            connections = ("CONNECTIONS", "MINUTE", 5, self.connections_5m)
            rows.append(("RAW_REQUESTS", "MINUTE", 5, raw) if rest else connections)
        return [_row(*row) for row in rows if row[3]]


def _row(kind: str, interval: str, number: int, limit: int, count: int | None = None) -> dict[str, Any]:
    row: dict[str, Any] = {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
    if count is not None:
        row["count"] = count
    return row


class Window:
    """A count that starts again with each calendar interval."""

    __slots__ = ("_slot", "count", "length_ns")

    def __init__(self, length_ns: int) -> None:
        self.length_ns = length_ns
        self.count = 0
        self._slot = -1

    def roll(self, now_ns: int) -> None:
        """Forget the count of an interval that has ended."""
        slot = now_ns // self.length_ns
        if slot != self._slot:
            self._slot = slot
            self.count = 0

    def ends_ns(self) -> int:
        """Return when the current interval ends."""
        return (self._slot + 1) * self.length_ns


class AddressLimits:
    """What one address has used: weight, connections, strikes, bans."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._weight = Window(_MINUTE_NS)
        self._connections = Window(5 * _MINUTE_NS)
        self._strikes = 0
        self._bans = 0
        self.banned_until_ns = 0

    def spend(self, weight: int, now_ns: int) -> None:
        """Count a request's weight; raises ApiError 429 over the limit, 418 while banned."""
        if now_ns < self.banned_until_ns:
            raise self._banned(now_ns)
        before = self._weight.ends_ns()
        self._weight.roll(now_ns)
        if self._weight.ends_ns() != before:
            self._strikes = 0
        self._weight.count += weight
        if not self._limits.weight_1m or self._weight.count <= self._limits.weight_1m:
            return
        self._strikes += 1
        if self._strikes > STRIKES_MAX:
            self.ban(min(BAN_NS_FIRST << self._bans, BAN_NS_MAX), now_ns)
            raise self._banned(now_ns)
        raise ApiError(
            TOO_MANY_REQUESTS,
            f"Too much request weight used; current limit is {self._limits.weight_1m} request weight "
            "per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
            429,
            retry_data(now_ns, self._weight.ends_ns()),
        )

    def headers(self, now_ns: int) -> dict[str, str]:
        """Return what an answer tells of the weight: nothing where it has no limit."""
        if not self._limits.weight_1m:
            return {}
        weight = str(self.used(now_ns))
        return {"X-MBX-USED-WEIGHT": weight, "X-MBX-USED-WEIGHT-1M": weight}

    def ban(self, length_ns: int, now_ns: int) -> None:
        """Refuse everything from this address for `length_ns`."""
        self._bans += 1
        self._strikes = 0
        self.banned_until_ns = now_ns + length_ns

    def connect(self, now_ns: int) -> bool:
        """Count a websocket connection; returns whether it is allowed."""
        self._connections.roll(now_ns)
        self._connections.count += 1
        limit = self._limits.connections_5m
        return now_ns >= self.banned_until_ns and (not limit or self._connections.count <= limit)

    def used(self, now_ns: int) -> int:
        """Return the weight used in the current minute."""
        self._weight.roll(now_ns)
        return self._weight.count

    def rows(self, now_ns: int) -> list[dict[str, Any]]:
        """Return the REQUEST_WEIGHT row of a WebSocket API answer; none where it has no limit."""
        limit = self._limits.weight_1m
        return [_row("REQUEST_WEIGHT", "MINUTE", 1, limit, self.used(now_ns))] if limit else []

    def _banned(self, now_ns: int) -> ApiError:
        until_ms = self.banned_until_ns // 1_000_000
        return ApiError(
            TOO_MANY_REQUESTS,
            f"Way too much request weight used; IP banned until {until_ms}. "
            "Please use WebSocket Streams for live updates to avoid bans.",
            418,
            retry_data(now_ns, self.banned_until_ns),
        )


class OrderLimits:
    """An account's unfilled orders: an order counts when placed and is taken off at its first fill."""

    def __init__(self, limits: Limits) -> None:
        self._windows = [("SECOND", 10, Window(10 * _SECOND_NS), limits.orders_10s)]
        if limits.orders_1m:
            self._windows.append(("MINUTE", 1, Window(_MINUTE_NS), limits.orders_1m))
        else:
            self._windows.append(("DAY", 1, Window(_DAY_NS), limits.orders_1d))

    def check(self, now_ns: int) -> None:
        """Raise ApiError when one more order would go over a limit."""
        for interval, number, window, limit in self._windows:
            window.roll(now_ns)
            if limit and window.count >= limit:
                raise ApiError(
                    TOO_MANY_ORDERS,
                    f"Too many new orders; current limit is {limit} orders per {number} {interval}.",
                    429,
                    retry_data(now_ns, window.ends_ns()),
                )

    def count(self, now_ns: int) -> None:
        """Count a placed order."""
        for _, _, window, _ in self._windows:
            window.roll(now_ns)
            window.count += 1

    def filled(self, now_ns: int) -> None:
        """Take an order off at its first fill."""
        for _, _, window, _ in self._windows:
            window.roll(now_ns)
            window.count = max(0, window.count - 1)

    def rows(self, now_ns: int) -> list[dict[str, Any]]:
        """Return the ORDERS rows of a WebSocket API answer: of the current ten seconds, and day or minute.

        One without a limit is left out.
        """
        for _, _, window, _ in self._windows:
            window.roll(now_ns)
        return [_row("ORDERS", *row[:2], row[3], row[2].count) for row in self._windows if row[3]]

    def headers(self, now_ns: int) -> dict[str, str]:
        """Return the same as REST tells it."""
        return {
            f"X-MBX-ORDER-COUNT-{row['intervalNum']}{row['interval'][0]}": str(row["count"])
            for row in self.rows(now_ns)
        }


def retry_data(now_ns: int, until_ns: int) -> dict[str, Any]:
    """Return what a refusal says of when to come again."""
    return {"serverTime": now_ns // 1_000_000, "retryAfter": -(-until_ns // 1_000_000)}

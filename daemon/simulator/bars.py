"""Klines: bars of one second and one minute kept per symbol, every longer interval summed up from minutes."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from daemon.simulator.symbols import notional, text

_SECOND_MS: Final = 1_000
_MINUTE_MS: Final = 60_000
_WEEK_MS: Final = 7 * 86_400_000
#: the week starts on Monday; 1970-01-01 was a Thursday
_WEEK_SHIFT_MS: Final = 4 * 86_400_000
_LONGEST_MONTH_MS: Final = 31 * 86_400_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)

INTERVALS: Final[dict[str, int]] = {
    "1s": 1_000,
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "6h": 21_600_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": 86_400_000,
    "3d": 259_200_000,
    "1w": _WEEK_MS,
    "1M": 0,  # as long as its month
}
#: bars kept: an hour of seconds, a week of minutes
SECONDS_MAX: Final = 3_600
MINUTES_MAX: Final = 10_080


class Bar:
    """One bar; prices and volumes in units, times in ms."""

    __slots__ = (
        "close",
        "count",
        "first_id",
        "high",
        "last_id",
        "low",
        "open",
        "open_ms",
        "quote_volume",
        "taker_quote_volume",
        "taker_volume",
        "volume",
    )

    def __init__(self, open_ms: int, price: int, trade_id: int) -> None:
        self.open_ms = open_ms
        self.open = self.high = self.low = self.close = price
        self.volume = self.quote_volume = self.taker_volume = self.taker_quote_volume = self.count = 0
        self.first_id = self.last_id = trade_id

    def add(self, trade_id: int, price: int, qty: int, buyer_is_maker: bool) -> None:
        """Take one trade."""
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        paid = notional(price, qty)
        self.volume += qty
        self.quote_volume += paid
        if not buyer_is_maker:
            self.taker_volume += qty
            self.taker_quote_volume += paid
        self.count += 1
        self.last_id = trade_id

    def join(self, later: Bar) -> None:
        """Take in the bar that follows."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume
        self.quote_volume += later.quote_volume
        self.taker_volume += later.taker_volume
        self.taker_quote_volume += later.taker_quote_volume
        self.count += later.count
        self.last_id = later.last_id

    def copy_at(self, open_ms: int) -> Bar:
        """Return a copy that opens at `open_ms`."""
        bar = Bar(open_ms, self.open, self.first_id)
        bar.join(self)
        return bar

    def row(self, length_ms: int) -> list[Any]:
        """Return the bar as a row of GET /klines."""
        return [
            self.open_ms,
            text(self.open),
            text(self.high),
            text(self.low),
            text(self.close),
            text(self.volume),
            self.open_ms + length_ms - 1,
            text(self.quote_volume),
            self.count,
            text(self.taker_volume),
            text(self.taker_quote_volume),
            "0",
        ]

    def event(self, symbol: str, interval: str, event_ms: int, closed: bool) -> dict[str, Any]:
        """Return the bar as a `kline` event."""
        return {
            "e": "kline",
            "E": event_ms,
            "s": symbol,
            "k": {
                "t": self.open_ms,
                "T": self.open_ms + length_ms(self.open_ms, interval) - 1,
                "s": symbol,
                "i": interval,
                "f": self.first_id,
                "L": self.last_id,
                "o": text(self.open),
                "c": text(self.close),
                "h": text(self.high),
                "l": text(self.low),
                "v": text(self.volume),
                "n": self.count,
                "x": closed,
                "q": text(self.quote_volume),
                "V": text(self.taker_volume),
                "Q": text(self.taker_quote_volume),
                "B": "0",
            },
        }


def opens(time_ms: int, interval: str) -> int:
    """Return when the bar that holds `time_ms` opened (UTC)."""
    if interval == "1M":
        date = _EPOCH + timedelta(milliseconds=time_ms)
        return (date.replace(day=1, hour=0, minute=0, second=0, microsecond=0) - _EPOCH) // _MS
    length = INTERVALS[interval]
    shift = _WEEK_SHIFT_MS if length == _WEEK_MS else 0
    return (time_ms - shift) // length * length + shift


def length_ms(open_ms: int, interval: str) -> int:
    """Return how long the bar is that opened then."""
    return INTERVALS[interval] or opens(open_ms + _LONGEST_MONTH_MS, interval) - open_ms


class Bars:
    """A symbol's bars."""

    def __init__(self) -> None:
        self._seconds: deque[Bar] = deque(maxlen=SECONDS_MAX)
        self._minutes: deque[Bar] = deque(maxlen=MINUTES_MAX)

    def add(self, trade_id: int, price: int, qty: int, buyer_is_maker: bool, time_ms: int) -> None:
        """Take one trade; a time before the current bar's counts to the current bar."""
        for bars, length in ((self._seconds, _SECOND_MS), (self._minutes, _MINUTE_MS)):
            open_ms = time_ms // length * length
            if not bars or bars[-1].open_ms < open_ms:
                bars.append(Bar(open_ms, price, trade_id))
            bars[-1].add(trade_id, price, qty, buyer_is_maker)

    def rows(self, interval: str) -> list[Bar]:
        """Return the bars of an interval, oldest first, the last one still open."""
        if interval == "1s":
            return list(self._seconds)
        if interval == "1m":
            return list(self._minutes)
        summed: list[Bar] = []
        for minute in self._minutes:
            open_ms = opens(minute.open_ms, interval)
            if summed and summed[-1].open_ms == open_ms:
                summed[-1].join(minute)
            else:
                summed.append(minute.copy_at(open_ms))
        return summed

    def current(self, interval: str) -> Bar | None:
        """Return the bar that is still open, or None before the first trade."""
        if interval in ("1s", "1m"):
            bars = self._seconds if interval == "1s" else self._minutes
            return bars[-1] if bars else None
        if not self._minutes:
            return None
        open_ms = opens(self._minutes[-1].open_ms, interval)
        bar: Bar | None = None
        for minute in reversed(self._minutes):
            if minute.open_ms < open_ms:
                break
            later, bar = bar, minute.copy_at(open_ms)
            if later is not None:
                bar.join(later)
        return bar

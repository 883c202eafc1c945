"""The statistics of the last 24 hours, as REST and the two ticker streams write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.simulator.symbols import UNIT, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.simulator.marketdata import MarketData


def _percent(change: int, base: int) -> str:
    """Return change over base in percent, to three decimals, as the exchange writes it."""
    thousandths = abs(change) * 100_000 // base if base else 0
    return f"{'-' if change < 0 else ''}{thousandths // 1_000}.{thousandths % 1_000:03d}"


def day_view(market: MarketData, time: Callable[[int], int]) -> dict[str, Any]:
    """Return ticker/24hr; `time` turns the market's milliseconds into the answer's unit."""
    day = market.day()
    last = market.trades[-1] if market.trades else None
    bid, bid_qty, ask, ask_qty = market.touch()
    return {
        "symbol": market.symbol.name,
        "priceChange": text(day.close - day.open),
        "priceChangePercent": _percent(day.close - day.open, day.open),
        "weightedAvgPrice": text(day.quote_volume * UNIT // day.volume if day.volume else 0),
        "prevClosePrice": text(day.open),
        "lastPrice": text(day.close),
        "lastQty": text(last.qty if last else 0),
        "bidPrice": text(bid),
        "bidQty": text(bid_qty),
        "askPrice": text(ask),
        "askQty": text(ask_qty),
        "openPrice": text(day.open),
        "highPrice": text(day.high),
        "lowPrice": text(day.low),
        "volume": text(day.volume),
        "quoteVolume": text(day.quote_volume),
        "openTime": time(day.open_ms),
        "closeTime": time(market.time_ms),
        "firstId": day.first_id,
        "lastId": day.last_id,
        "count": day.count,
    }


def day_ticker(market: MarketData, event_ms: int) -> dict[str, Any]:
    """Return a `24hrTicker` event."""
    view = day_view(market, lambda ms: ms)
    fields = {
        "p": "priceChange",
        "P": "priceChangePercent",
        "w": "weightedAvgPrice",
        "x": "prevClosePrice",
        "c": "lastPrice",
        "Q": "lastQty",
        "b": "bidPrice",
        "B": "bidQty",
        "a": "askPrice",
        "A": "askQty",
        "o": "openPrice",
        "h": "highPrice",
        "l": "lowPrice",
        "v": "volume",
        "q": "quoteVolume",
        "O": "openTime",
        "C": "closeTime",
        "F": "firstId",
        "L": "lastId",
        "n": "count",
    }
    event: dict[str, Any] = {"e": "24hrTicker", "E": event_ms, "s": market.symbol.name}
    return event | {short: view[long] for short, long in fields.items()}


def mini_ticker(market: MarketData, event_ms: int) -> dict[str, Any]:
    """Return a `24hrMiniTicker` event."""
    day = market.day()
    return {
        "e": "24hrMiniTicker",
        "E": event_ms,
        "s": market.symbol.name,
        "c": text(day.close),
        "o": text(day.open),
        "h": text(day.high),
        "l": text(day.low),
        "v": text(day.volume),
        "q": text(day.quote_volume),
    }

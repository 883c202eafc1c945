"""The public methods that the futures have otherwise than spot: tickers, marks and fundings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from daemon.simulator.methods import NONE, Method, symbol_weight
from daemon.simulator.public import per_symbol
from daemon.simulator.symbols import text
from daemon.simulator.tickers import day_view
from daemon.simulator.usdm.exchange import FUNDING_RATE, FuturesExchange

if TYPE_CHECKING:
    from daemon.simulator.marketdata import MarketData
    from daemon.simulator.methods import Call

#: of the day's ticker, what spot alone tells
_SPOT_ONLY: Final = ("prevClosePrice", "bidPrice", "bidQty", "askPrice", "askQty")


def price_ticker(call: Call) -> Any:
    """Return the last prices."""

    def view(market: MarketData) -> dict[str, Any]:
        price = market.symbol.price_text(market.last_price)
        return {"symbol": market.symbol.name, "price": price, "time": call.ms(market.time_ms)}

    return per_symbol(call, view)


def book_ticker(call: Call) -> Any:
    """Return the best bids and asks."""
    return per_symbol(call, lambda market: market.quote_view() | {"time": call.ms(market.time_ms)})


def day_ticker(call: Call) -> Any:
    """Return the statistics of the last 24 hours."""

    def view(market: MarketData) -> dict[str, Any]:
        return {name: value for name, value in day_view(market, call.ms).items() if name not in _SPOT_ONLY}

    return per_symbol(call, view)


def mark_event(exchange: FuturesExchange, market: MarketData, event_ms: int) -> dict[str, Any]:
    """Return a `markPriceUpdate` event; the mark is the last price here, as are its mean and the index."""
    mark = text(market.last_price)
    event = {"e": "markPriceUpdate", "E": event_ms, "s": market.symbol.name}
    prices = dict.fromkeys(("p", "ap", "i", "P"), mark)
    return event | prices | {"r": text(FUNDING_RATE), "T": exchange.next_funding_ns // 1_000_000}


def premium_index(call: Call) -> Any:
    """Return the marks, and the next funding."""
    exchange = call.exchange
    assert isinstance(exchange, FuturesExchange)

    def view(market: MarketData) -> dict[str, Any]:
        mark = text(market.last_price or market.average_price())
        prices = dict.fromkeys(("markPrice", "indexPrice", "estimatedSettlePrice"), mark)
        rates = {"lastFundingRate": text(FUNDING_RATE), "interestRate": text(FUNDING_RATE)}
        times = {"nextFundingTime": call.time(exchange.next_funding_ns), "time": call.time(call.now_ns)}
        return {"symbol": market.symbol.name} | prices | rates | times

    return per_symbol(call, view)


def funding_rates(call: Call) -> list[dict[str, Any]]:
    """Return the fundings that were: of a symbol or of all, within a span, the latest."""
    assert isinstance(call.exchange, FuturesExchange)
    symbol, limit = call.params.optional("symbol"), call.params.limit(100, 1_000)
    start, end = call.params.time_ms("startTime"), call.params.time_ms("endTime")
    found = [
        row
        for row in call.exchange.fundings
        if symbol in (None, row["symbol"])
        and (start is None or row["fundingTime"] >= start)
        and (end is None or row["fundingTime"] <= end)
    ]
    return found[-limit:] if start is None else found[:limit]


METHODS: Final = (
    Method("GET", "ticker/price", "ticker.price", NONE, symbol_weight(1, 2), price_ticker),
    Method("GET", "v2/ticker/price", "", NONE, symbol_weight(1, 2), price_ticker),
    Method("GET", "ticker/bookTicker", "ticker.book", NONE, symbol_weight(2, 5), book_ticker),
    Method("GET", "ticker/24hr", "", NONE, symbol_weight(1, 40), day_ticker),
    Method("GET", "premiumIndex", "", NONE, symbol_weight(1, 10), premium_index),
    Method("GET", "fundingRate", "", NONE, 1, funding_rates),
)

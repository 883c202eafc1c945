"""The public methods: time, rules, depth, trades, klines, tickers; spot and futures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.simulator.bars import INTERVALS, length_ms
from daemon.simulator.errors import BAD_INTERVAL
from daemon.simulator.methods import NONE, Method, depth_weight, read_symbols, symbol_weight
from daemon.simulator.symbols import futures_listing, notional, spot_listing, text
from daemon.simulator.tickers import day_view

if TYPE_CHECKING:
    from daemon.simulator.marketdata import Trade
    from daemon.simulator.methods import Call


def ping(call: Call) -> dict[str, Any]:
    """Answer that the exchange is there."""
    del call
    return {}


def server_time(call: Call) -> dict[str, Any]:
    """Return the exchange's clock."""
    return {"serverTime": call.time(call.now_ns)}


def exchange_info(call: Call) -> dict[str, Any]:
    """Return the rules of the symbols."""
    names = read_symbols(call)
    for ignored in ("permissions", "showPermissionSets", "symbolStatus"):
        call.params.optional(ignored)
    symbols = [
        market.symbol for name, market in call.exchange.markets.items() if names is None or name in names
    ]
    futures = any(symbol.market != "spot" for symbol in symbols)
    info: dict[str, Any] = {
        "timezone": "UTC",
        "serverTime": call.time(call.now_ns),
        "rateLimits": call.limits.published(rest=call.rest, futures=futures),
        "exchangeFilters": [],
        "symbols": [futures_listing(symbol) if futures else spot_listing(symbol) for symbol in symbols],
    }
    if futures:
        assets = sorted({symbol.quote if symbol.market == "usdm" else symbol.base for symbol in symbols})
        info["assets"] = [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": "0"} for asset in assets
        ]
    return info


def depth(call: Call) -> dict[str, Any]:
    """Return the book."""
    market = call.exchange.market(call.params.text("symbol"))
    call.params.optional("symbolStatus")
    futures = market.symbol.market != "spot"
    limit = call.params.limit(500 if futures else 100, 1_000 if futures else 5_000)
    book = market.served(limit)
    view: dict[str, Any] = {"lastUpdateId": book.lastUpdateId}
    if futures:
        view |= {"E": call.time(call.now_ns), "T": call.time(call.now_ns)}
    call.exchange.on_depth_served(market.symbol.name)
    return view | {"bids": book.bids, "asks": book.asks}


def _trade_row(call: Call, trade: Trade) -> dict[str, Any]:
    return {
        "id": trade.trade_id,
        "price": text(trade.price),
        "qty": text(trade.qty),
        "quoteQty": text(notional(trade.price, trade.qty)),
        "time": call.ms(trade.time_ms),
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": True,
    }


def recent_trades(call: Call) -> list[dict[str, Any]]:
    """Return the latest public trades, oldest first."""
    market = call.exchange.market(call.params.text("symbol"))
    limit = call.params.limit(500, 1_000)
    return [_trade_row(call, trade) for trade in list(market.trades)[-limit:]]


def historical_trades(call: Call) -> list[dict[str, Any]]:
    """Return public trades from an id on."""
    market = call.exchange.market(call.params.text("symbol"))
    limit, first = call.params.limit(500, 1_000), call.params.integer("fromId")
    if first is None:
        return [_trade_row(call, trade) for trade in list(market.trades)[-limit:]]
    return [_trade_row(call, trade) for trade in market.trades if trade.trade_id >= first][:limit]


def aggregate_trades(call: Call) -> list[dict[str, Any]]:
    """Return aggregate trades; here each trade is an aggregate of its own."""
    market = call.exchange.market(call.params.text("symbol"))
    limit, first = call.params.limit(500, 1_000), call.params.integer("fromId")
    start, end = call.params.time_ms("startTime"), call.params.time_ms("endTime")
    found = [
        trade
        for trade in market.trades
        if (first is None or trade.trade_id >= first)
        and (start is None or trade.time_ms >= start)
        and (end is None or trade.time_ms <= end)
    ]
    wanted = found[-limit:] if first is None and start is None else found[:limit]
    return [
        {
            "a": trade.trade_id,
            "p": text(trade.price),
            "q": text(trade.qty),
            "f": trade.trade_id,
            "l": trade.trade_id,
            "T": call.ms(trade.time_ms),
            "m": trade.buyer_is_maker,
            "M": True,
        }
        for trade in wanted
    ]


def klines(call: Call) -> list[list[Any]]:
    """Return bars of an interval."""
    market = call.exchange.market(call.params.text("symbol"))
    interval = call.params.choice("interval", tuple(INTERVALS), BAD_INTERVAL, "Invalid interval.")
    limit = call.params.limit(500, 1_000)
    start, end = call.params.time_ms("startTime"), call.params.time_ms("endTime")
    call.params.optional("timeZone")
    bars = [
        bar
        for bar in market.bars.rows(interval)
        if (start is None or bar.open_ms >= start) and (end is None or bar.open_ms <= end)
    ]
    wanted = bars[-limit:] if start is None else bars[:limit]
    return [bar.row(length_ms(bar.open_ms, interval)) for bar in wanted]


def average_price(call: Call) -> dict[str, Any]:
    """Return the five-minute average price."""
    market = call.exchange.market(call.params.text("symbol"))
    return {"mins": 5, "price": text(market.average_price()), "closeTime": call.ms(market.time_ms)}


def per_symbol(call: Call, view: Any) -> Any:
    """Return one view for `symbol`, a list for `symbols` or none."""
    single = "symbol" in call.params
    names = read_symbols(call)
    call.params.optional("symbolStatus")
    views = [view(market) for name, market in call.exchange.markets.items() if names is None or name in names]
    return views[0] if single else views


def price_ticker(call: Call) -> Any:
    """Return the last prices."""
    return per_symbol(call, lambda market: {"symbol": market.symbol.name, "price": text(market.last_price)})


def book_ticker(call: Call) -> Any:
    """Return the best bids and asks."""
    return per_symbol(call, lambda market: market.quote_view())


def day_ticker(call: Call) -> Any:
    """Return the statistics of the last 24 hours."""
    call.params.optional("type")
    return per_symbol(call, lambda market: day_view(market, call.ms))


SPOT = (
    Method("GET", "ping", "ping", NONE, 1, ping),
    Method("GET", "time", "time", NONE, 1, server_time),
    Method("GET", "exchangeInfo", "exchangeInfo", NONE, 20, exchange_info),
    Method("GET", "depth", "depth", NONE, depth_weight, depth),
    Method("GET", "trades", "trades.recent", NONE, 25, recent_trades),
    Method("GET", "historicalTrades", "trades.historical", NONE, 25, historical_trades),
    Method("GET", "aggTrades", "trades.aggregate", NONE, 4, aggregate_trades),
    Method("GET", "klines", "klines", NONE, 2, klines),
    Method("GET", "uiKlines", "uiKlines", NONE, 2, klines),
    Method("GET", "avgPrice", "avgPrice", NONE, 2, average_price),
    Method("GET", "ticker/24hr", "ticker.24hr", NONE, symbol_weight(2, 80), day_ticker),
    Method("GET", "ticker/price", "ticker.price", NONE, symbol_weight(2, 4), price_ticker),
    Method("GET", "ticker/bookTicker", "ticker.book", NONE, symbol_weight(2, 4), book_ticker),
)

#: what the futures' servers answer to
FUTURES = tuple(
    method
    for method in SPOT
    if method.path
    in (
        "ping",
        "time",
        "exchangeInfo",
        "depth",
        "trades",
        "aggTrades",
        "klines",
        "ticker/24hr",
        "ticker/price",
        "ticker/bookTicker",
    )
)

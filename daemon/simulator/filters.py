"""The filters an order must pass, in the order in which the exchange checks them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.simulator.errors import INVALID_MESSAGE, ApiError, filter_failure
from daemon.simulator.order import STOPS
from daemon.simulator.symbols import notional

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.simulator.account import Balance
    from daemon.simulator.marketdata import MarketData
    from daemon.simulator.newrequest import NewOrder
    from daemon.simulator.order import Order
    from daemon.simulator.symbols import Symbol


def check_order(new: NewOrder, market: MarketData, mine: Iterable[Order], base: Balance) -> None:
    """Raise ApiError -1013 by the first filter that fails.

    `mine` are the account's open orders here, `base` what it has of the symbol's base.
    """
    symbol = market.symbol
    average = market.average_price()
    if new.type in ("LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"):
        _price(new.price, symbol, "price")
        _percent(new.price, average, symbol)
    if new.stop_price or new.type in STOPS:
        _price(new.stop_price, symbol, "stopPrice")
    _quantity(new, symbol)
    _notional(new, average, symbol)
    orders = list(mine)
    _numbers(new, symbol, orders)
    _position(new, symbol, orders, base)


def _price(price: int, symbol: Symbol, name: str) -> None:
    if price == 0:
        raise ApiError(INVALID_MESSAGE, f"Invalid {name}.")
    if price < symbol.tick or price > symbol.price_max or price % symbol.tick:
        raise filter_failure("PRICE_FILTER")


def _percent(price: int, average: int, symbol: Symbol) -> None:
    if not average:
        return
    down = int(Decimal(symbol.multiplier_down) * average)
    if price > average * symbol.multiplier_up or price < down:
        raise filter_failure("PERCENT_PRICE_BY_SIDE")


def _quantity(new: NewOrder, symbol: Symbol) -> None:
    if new.quote_qty:
        return
    if new.qty == 0:
        raise ApiError(INVALID_MESSAGE, "Invalid quantity.")
    check_lot(new.qty, symbol)
    if new.type in ("MARKET", "STOP_LOSS", "TAKE_PROFIT") and new.qty > symbol.market_qty_max:
        raise filter_failure("MARKET_LOT_SIZE")


def check_lot(qty: int, symbol: Symbol) -> None:
    """Raise ApiError unless `qty` is a whole number of lots within the limits."""
    if qty < symbol.qty_min or qty > symbol.qty_max or qty % symbol.lot:
        raise filter_failure("LOT_SIZE")


def _notional(new: NewOrder, average: int, symbol: Symbol) -> None:
    if new.price:
        worth = notional(new.price, new.qty)
        if worth > symbol.notional_max:
            raise filter_failure("NOTIONAL")
    elif new.quote_qty:
        worth = new.quote_qty
    else:
        worth = notional(new.stop_price or average, new.qty)
    if worth < symbol.notional_min:
        raise filter_failure("NOTIONAL")


def _numbers(new: NewOrder, symbol: Symbol, orders: list[Order]) -> None:
    if len(orders) >= symbol.orders_max:
        raise filter_failure("MAX_NUM_ORDERS")
    if new.type in STOPS and sum(order.is_stop for order in orders) >= symbol.stops_max:
        raise filter_failure("MAX_NUM_ALGO_ORDERS")


def _position(new: NewOrder, symbol: Symbol, orders: list[Order], base: Balance) -> None:
    """Refuse a buy that would bring what the account has, and is buying, over the most that it may have."""
    if new.side < 0 or not symbol.position_max:
        return
    buying = new.qty + sum(order.leaves for order in orders if order.side > 0)
    if base.free + base.locked + buying > symbol.position_max:
        raise filter_failure("MAX_POSITION")

"""What a futures order must pass before margin is looked at, each refusal with a code of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.simulator.errors import BAD_PRECISION, ApiError
from daemon.simulator.symbols import UNIT, notional

if TYPE_CHECKING:
    from daemon.simulator.newrequest import NewOrder
    from daemon.simulator.symbols import Symbol

#: how far a limit price may be beyond the mark, in percent
PERCENT: Final = 5


def check_order(new: NewOrder, symbol: Symbol, mark: int, open_orders: int) -> None:
    """Raise ApiError by the first rule that fails; `open_orders` of the account in the symbol."""
    if symbol.status != "TRADING":
        raise ApiError(-4140, "Invalid symbol status for opening position.")
    for price in (new.price, new.stop_price):
        if price:
            _check_grid(price, symbol.tick, ApiError(-4014, "Price not increased by tick size."))
            if price > symbol.price_max:
                raise ApiError(-4002, "Price greater than max price.")
    if new.type in ("LIMIT", "STOP", "TAKE_PROFIT"):
        _check_price(new, mark, symbol)
    _check_grid(new.qty, symbol.lot, ApiError(-4023, "Qty not increased by step size."))
    if new.qty < symbol.qty_min:
        raise ApiError(-4003, "Quantity less than or equal to zero.")
    if new.qty > (symbol.qty_max if new.price else symbol.market_qty_max):
        raise ApiError(-4005, "Quantity greater than max quantity.")
    if not new.reduce_only and notional(new.price or mark, new.qty) < symbol.notional_min:
        least = symbol.notional_min // UNIT
        raise ApiError(
            -4164, f"Order's notional must be no smaller than {least} (unless you choose reduce only)."
        )
    if open_orders >= symbol.orders_max:
        raise ApiError(-2025, "Reach max open order limit.")


def _check_grid(amount: int, step: int, refusal: ApiError) -> None:
    """Raise ApiError: more decimals than the listing has are another refusal than a wrong step."""
    places = 10 ** (len(str(step)) - len(str(step).rstrip("0")))
    if amount % places:
        raise ApiError(BAD_PRECISION, "Precision is over the maximum defined for this asset.")
    if amount % step:
        raise refusal


def _check_price(new: NewOrder, mark: int, symbol: Symbol) -> None:
    if not new.price:
        raise ApiError(-4001, "Price less than 0.")
    if not mark:
        return
    if new.side > 0 and new.price * 100 > mark * (100 + PERCENT):
        raise ApiError(
            -4016, f"Limit price can't be higher than {symbol.price_text(mark * (100 + PERCENT) // 100)}."
        )
    if new.side < 0 and new.price * 100 < mark * (100 - PERCENT):
        raise ApiError(
            -4024, f"Limit price can't be lower than {symbol.price_text(mark * (100 - PERCENT) // 100)}."
        )

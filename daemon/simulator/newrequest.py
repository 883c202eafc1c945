"""Reading a new order out of a request: what each order type needs, and what it must not have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from daemon.simulator.errors import (
    BAD_COMBINATION,
    ILLEGAL_CHARS,
    INVALID_ORDER_TYPE,
    INVALID_PARAMETER,
    INVALID_SIDE,
    INVALID_TIF,
    PARAM_NOT_REQUIRED,
    ApiError,
    missing,
    rejected,
)
from daemon.simulator.symbols import ORDER_TYPES, STP_MODES, UNIT

if TYPE_CHECKING:
    from decimal import Decimal

    from daemon.simulator.params import Params

CLIENT_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,36}")
CLIENT_ID_TEXT: Final = "^[a-zA-Z0-9-_]{1,36}$"
RESPONSES: Final = ("ACK", "RESULT", "FULL")

#: type -> (needs a price, needs a timeInForce, needs a stopPrice)
_NEEDS: Final[dict[str, tuple[bool, bool, bool]]] = {
    "LIMIT": (True, True, False),
    "LIMIT_MAKER": (True, False, False),
    "MARKET": (False, False, False),
    "STOP_LOSS": (False, False, True),
    "STOP_LOSS_LIMIT": (True, True, True),
    "TAKE_PROFIT": (False, False, True),
    "TAKE_PROFIT_LIMIT": (True, True, True),
}


class NewOrder(msgspec.Struct, kw_only=True):
    """A new order as asked for; amounts in units, 0 where the type has none."""

    side: int
    type: str
    tif: str
    price: int
    qty: int
    quote_qty: int
    stop_price: int
    client_id: str  # "" for one made by the exchange
    response: str
    stp: str
    strategy: dict[str, int] = {}
    reduce_only: bool = False  # of futures


def read_order(params: Params) -> NewOrder:
    """Return the order that the parameters ask for; raises ApiError in the exchange's words."""
    side = params.choice("side", ("BUY", "SELL"), INVALID_SIDE, "Invalid side.")
    kind = params.choice("type", ORDER_TYPES, INVALID_ORDER_TYPE, "Invalid orderType.")
    needs_price, needs_tif, needs_stop = _NEEDS[kind]
    price = _needed(params, "price", needs_price)
    stop_price = _needed(params, "stopPrice", needs_stop)
    tif = "GTC"
    if needs_tif:
        tif = params.choice("timeInForce", ("GTC", "IOC", "FOK"), INVALID_TIF, "Invalid timeInForce.")
    elif params.optional("timeInForce") is not None:
        raise _not_required("timeInForce")
    qty, quote_qty = _quantity(params, kind)
    for name in ("icebergQty", "trailingDelta", "pegPriceType", "pegOffsetType", "pegOffsetValue"):
        if params.optional(name) is not None:
            raise rejected(_UNSUPPORTED[name])
    response = params.optional("newOrderRespType") or ("FULL" if kind in ("LIMIT", "MARKET") else "ACK")
    if response not in RESPONSES:
        raise ApiError(INVALID_PARAMETER, "Data sent for parameter 'newOrderRespType' is not valid.")
    stp = params.optional("selfTradePreventionMode") or "EXPIRE_MAKER"
    if stp not in STP_MODES:
        raise ApiError(INVALID_PARAMETER, "Data sent for parameter 'selfTradePreventionMode' is not valid.")
    return NewOrder(
        side=1 if side == "BUY" else -1,
        type=kind,
        tif=tif,
        price=_units(price),
        qty=_units(qty),
        quote_qty=_units(quote_qty),
        stop_price=_units(stop_price),
        client_id=read_client_id(params, "newClientOrderId"),
        response=response,
        stp=stp,
        strategy=_strategy(params),
    )


_UNSUPPORTED: Final = {
    "icebergQty": "Iceberg orders are not supported for this symbol.",
    "trailingDelta": "Trailing stop orders are not supported for this symbol.",
    "pegPriceType": "Pegged orders are not supported for this symbol.",
    "pegOffsetType": "Pegged orders are not supported for this symbol.",
    "pegOffsetValue": "Pegged orders are not supported for this symbol.",
}


def _units(value: Decimal | None) -> int:
    return 0 if value is None else int(value * UNIT)


def _needed(params: Params, name: str, needed: bool) -> Decimal | None:
    """Return a decimal that a type must have, or must not have."""
    value = params.decimal(name)
    if needed and value is None:
        raise missing(name)
    if not needed and value is not None:
        raise _not_required(name)
    return value


def _quantity(params: Params, kind: str) -> tuple[Decimal | None, Decimal | None]:
    """Return quantity and quoteOrderQty; only MARKET may have the latter, and then not both."""
    qty, quote_qty = params.decimal("quantity"), params.decimal("quoteOrderQty")
    if kind != "MARKET":
        if quote_qty is not None:
            raise _not_required("quoteOrderQty")
        if qty is None:
            raise missing("quantity")
    elif qty is None and quote_qty is None:
        raise ApiError(-1102, "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!")
    elif qty is not None and quote_qty is not None:
        raise ApiError(BAD_COMBINATION, "Combination of optional parameters invalid.")
    return qty, quote_qty


def _not_required(name: str) -> ApiError:
    return ApiError(PARAM_NOT_REQUIRED, f"Parameter '{name}' sent when not required.")


def _strategy(params: Params) -> dict[str, int]:
    strategy_id, strategy_type = params.integer("strategyId"), params.integer("strategyType")
    if strategy_type is not None and strategy_type < 1_000_000:
        raise ApiError(-1134, "`strategyType` was less than 1000000.")
    if strategy_id is None:
        return {}
    return {"strategyId": strategy_id, "strategyType": strategy_type or 1_000_000}


def read_client_id(params: Params, name: str) -> str:
    """Return a client order id, "" where none was sent; raises ApiError -1100 for other characters."""
    value = params.optional(name)
    if value is None:
        return ""
    if not CLIENT_ID.fullmatch(value):
        raise ApiError(
            ILLEGAL_CHARS,
            f"Illegal characters found in parameter '{name}'; legal range is '{CLIENT_ID_TEXT}'.",
        )
    return value

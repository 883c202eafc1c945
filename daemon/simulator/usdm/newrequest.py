"""Reading a futures order, or a conditional one, out of a request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from daemon.simulator.errors import (
    ILLEGAL_CHARS,
    INVALID_ORDER_TYPE,
    INVALID_PARAMETER,
    INVALID_SIDE,
    INVALID_TIF,
    ApiError,
    missing,
)
from daemon.simulator.newrequest import NewOrder
from daemon.simulator.symbols import STP_MODES, UNIT
from daemon.simulator.usdm.order import CONDITIONAL

if TYPE_CHECKING:
    from daemon.simulator.params import Params

_CLIENT_ID_TEXT: Final = "^[\\.A-Z\\:/a-z0-9_-]{1,36}$"
_CLIENT_ID: Final = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
TIFS: Final = ("GTC", "IOC", "FOK", "GTX")
#: what may be said and changes nothing here
_IGNORED: Final = ("workingType", "priceProtect", "closePosition", "goodTillDate", "priceMatch")


def read_order(params: Params) -> NewOrder:
    """Return the order that the parameters ask for; raises ApiError in the exchange's words."""
    kind = params.text("type")
    if kind in CONDITIONAL:
        raise ApiError(
            -4120,
            "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
        )
    if kind not in ("LIMIT", "MARKET"):
        raise ApiError(INVALID_ORDER_TYPE, "Invalid orderType.")
    tif = "GTC"
    if kind == "LIMIT":
        tif = params.choice("timeInForce", TIFS, INVALID_TIF, "Invalid timeInForce.")
    response = params.optional("newOrderRespType") or "ACK"
    if response not in ("ACK", "RESULT"):
        raise ApiError(INVALID_PARAMETER, "Data sent for parameter 'newOrderRespType' is not valid.")
    return _read(params, kind, tif, "newClientOrderId", "price" if kind == "LIMIT" else "", "", response)


def read_algo(params: Params) -> NewOrder:
    """Return the conditional order that the parameters ask for; its trigger is `stop_price`."""
    message = "Data sent for parameter 'algoType' is not valid."
    params.choice("algoType", ("CONDITIONAL",), INVALID_PARAMETER, message)
    kind = params.choice("type", CONDITIONAL, INVALID_ORDER_TYPE, "Invalid orderType.")
    tif = params.optional("timeInForce") or "GTC"
    if tif not in TIFS:
        raise ApiError(INVALID_TIF, "Invalid timeInForce.")
    price = "" if kind.endswith("_MARKET") else "price"
    params.optional("newOrderRespType")
    return _read(params, kind, tif, "clientAlgoId", price, "triggerPrice", "ACK")


def _read(
    params: Params, kind: str, tif: str, id_name: str, price: str, trigger: str, response: str
) -> NewOrder:
    side = params.choice("side", ("BUY", "SELL"), INVALID_SIDE, "Invalid side.")
    if (params.optional("positionSide") or "BOTH") != "BOTH":
        raise ApiError(-4061, "Order's position side does not match user's setting.")
    stp = params.optional("selfTradePreventionMode") or "EXPIRE_MAKER"
    if stp not in STP_MODES:
        raise ApiError(INVALID_PARAMETER, "Data sent for parameter 'selfTradePreventionMode' is not valid.")
    for name in _IGNORED:
        params.optional(name)
    return NewOrder(
        side=1 if side == "BUY" else -1,
        type=kind,
        tif=tif,
        price=_amount(params, price) if price else 0,
        qty=_amount(params, "quantity"),
        quote_qty=0,
        stop_price=_amount(params, trigger) if trigger else 0,
        client_id=read_client_id(params, id_name),
        response=response,
        stp=stp,
        reduce_only=params.flag("reduceOnly", default=False),
    )


def _amount(params: Params, name: str) -> int:
    value = params.decimal(name)
    if value is None:
        raise missing(name)
    return int(value * UNIT)


def read_client_id(params: Params, name: str) -> str:
    """Return a client order id, "" where none was sent; raises ApiError for other characters."""
    value = params.optional(name)
    if value is None:
        return ""
    if len(value) > 36:
        raise ApiError(-4015, "Client order id is not valid.")
    if not _CLIENT_ID.fullmatch(value):
        raise ApiError(
            ILLEGAL_CHARS,
            f"Illegal characters found in parameter '{name}'; legal range is '{_CLIENT_ID_TEXT}'.",
        )
    return value

"""The table of API methods: one row serves a REST route and a WebSocket API method alike.

A handler takes a Call and returns what is encoded as JSON; it raises ApiError to refuse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from daemon.simulator.errors import INVALID_PARAMETER, ApiError, bad_key, bad_symbol

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.simulator.account import Account
    from daemon.simulator.auth import Key
    from daemon.simulator.exchange import Exchange
    from daemon.simulator.params import Params
    from daemon.simulator.rates import Limits

NONE: Final = "NONE"
TRADE: Final = "TRADE"
USER_DATA: Final = "USER_DATA"
USER_STREAM: Final = "USER_STREAM"  # a key, and no signature


class Call(NamedTuple):
    """One request, authenticated, on its way to a handler."""

    exchange: Exchange
    params: Params
    now_ns: int
    unit_ns: int  # of the times in the answer: a million, or a thousand with timeUnit=MICROSECOND
    limits: Limits
    signer: Account | None
    key: Key | None = None  # with which it signed, over REST
    rest: bool = False  # or by the WebSocket API

    @property
    def account(self) -> Account:
        """The account that signed."""
        assert self.signer is not None, "only signed methods ask for the account"
        return self.signer

    def time(self, ns: int) -> int:
        """Return a time in the answer's unit."""
        return ns // self.unit_ns

    def ms(self, market_ms: int) -> int:
        """Return a time known in ms in the answer's unit."""
        return market_ms * 1_000_000 // self.unit_ns


class Method(NamedTuple):
    """One row: REST verb and path under the API's prefix, WebSocket API name."""

    verb: str
    path: str
    name: str
    security: str
    weight: int | Callable[[Params], int]
    handler: Callable[[Call], Any]
    places_orders: bool = False

    def cost(self, params: Params) -> int:
        """Return the request's weight."""
        return self.weight if isinstance(self.weight, int) else self.weight(params)


def authorize(key: Key, method: Method) -> None:
    """Raise ApiError -2015 when the key may not do this."""
    if method.security == TRADE and not key.can_trade:
        raise bad_key()


def depth_weight(params: Params) -> int:
    """Return what a depth request costs; the documentation's steps."""
    try:
        limit = params.limit(100, 5_000)
    except ApiError:
        return 5
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1_000 else 250


def symbol_weight(one: int, every: int) -> Callable[[Params], int]:
    """Return the weight of a request that may name one symbol or none."""
    return lambda params: one if "symbol" in params else every


def trades_weight(params: Params) -> int:
    """Return what myTrades costs."""
    return 5 if "orderId" in params else 20


def test_weight(params: Params) -> int:
    """Return what order.test costs."""
    return 20 if "computeCommissionRates" in params else 1


def read_symbols(call: Call) -> list[str] | None:
    """Return the symbols named by `symbol` or `symbols`, or None for all."""
    one, many = call.params.optional("symbol"), call.params.optional("symbols")
    if one is not None and many is not None:
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    if one is not None:
        return [call.exchange.market(one).symbol.name]
    if many is None:
        return None
    if not (many.startswith("[") and many.endswith("]")):
        raise ApiError(INVALID_PARAMETER, "Data sent for parameter 'symbols' is not valid.")
    names = [name.strip().strip('"') for name in many[1:-1].split(",") if name.strip()]
    if not names:
        raise bad_symbol()
    return [call.exchange.market(name).symbol.name for name in names]

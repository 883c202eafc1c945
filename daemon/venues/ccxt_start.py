"""What is checked of an exchange before the first order: it refuses by name what it cannot do.

- ccxt has what we need (`has`), and says that the exchange knows immediate-or-cancel, post-only and stops;
- the market's tick, lot and limits are those that the feed's prices and our quantities are counted in;
- each request is made, and not sent: it must say its kind, our id, and price and quantity to the last digit.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ccxt.base.decimal_to_precision import DECIMAL_PLACES, TICK_SIZE
from ccxt.base.errors import BaseError, NetworkError

from daemon.errors import ConfigError
from daemon.venues.ccxt_client import TICKET, DryError, Ticket, numbers
from daemon.venues.ccxt_errors import KEY_REFUSED, reason_of
from kernels.dtypes import BUY, REST, SELL, STOP, TARGET

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from daemon.instruments import Instrument
    from daemon.venues.ccxt_requests import Requests

_NEEDED: Final = (
    "createOrder",
    "cancelOrder",
    "fetchBalance",
    "fetchMyTrades",
    "fetchOpenOrders",
    "fetchOrder",
)
_KINDS: Final = {TARGET: "an immediate-or-cancel order", REST: "a post-only order", STOP: "a protective stop"}
#: how exchanges say in a request that an order is of that kind: one that ccxt does not know it leaves out
_SIGNS: Final = {
    TARGET: re.compile(r"ioc|immediate", re.IGNORECASE),
    REST: re.compile(r"post|poc|maker", re.IGNORECASE),
    STOP: re.compile(r"stop", re.IGNORECASE),
}
#: whole numbers with digits of their own, so that one is not found in place of another
_TICKS: Final = 123_457
_LOTS: Final = 76_543


class Rules(NamedTuple):
    """A market's rules; None: the exchange has no such limit."""

    tick_size: Decimal
    lot_size: Decimal
    qty_min: Decimal | None
    qty_max: Decimal | None
    notional_min: Decimal | None


def read_rules(market: Any, precision_mode: int) -> Rules:
    """Return the rules in a market of ccxt, whose numbers are text; raises ValueError."""
    limits = market["limits"]

    def limit(of: str, end: str) -> Decimal | None:
        value = (limits.get(of) or {}).get(end)
        return None if value is None else Decimal(value)

    def step(of: str) -> Decimal:
        value = market["precision"][of]
        if value is None or precision_mode not in {TICK_SIZE, DECIMAL_PLACES}:
            raise ValueError("has no fixed steps of price and quantity")
        return Decimal(value) if precision_mode == TICK_SIZE else Decimal(1).scaleb(-int(Decimal(value)))

    return Rules(
        step("price"), step("amount"), limit("amount", "min"), limit("amount", "max"), limit("cost", "min")
    )


def check_features(client: Any, *, stops: bool) -> None:
    """Raise ConfigError where ccxt, the exchange or the keys lack what orders need."""
    name = client.id
    if client.requiredCredentials.get("password") and not client.password:
        raise ConfigError(f"{name} wants a password with its keys; put it into what venue.password_env names")
    for verb in _NEEDED:
        if client.has.get(verb) is not True:
            raise ConfigError(f"ccxt cannot {verb} at {name}, so orders cannot be sent there")
    can = ((client.features or {}).get("spot") or {}).get("createOrder") or {}
    in_force = can.get("timeInForce") or {}
    if not in_force.get("IOC"):
        raise ConfigError(f"{name} has no immediate-or-cancel orders, which targets are sent as")
    if not in_force.get("PO"):
        raise ConfigError(f"{name} has no post-only orders, which resting orders are sent as")
    if not stops:
        return
    if not can.get("stopLossPrice"):
        why = "has no protective stops"
    elif ((client.features["spot"].get("fetchOpenOrders")) or {}).get("trigger"):
        why = "keeps stops apart from orders, where they get another number when they trigger"
    else:
        return
    raise ConfigError(f"{name} {why}; set venue.stops = false to trade there without any")


def check_rules(client: Any, instrument: Instrument) -> None:
    """Raise ConfigError unless a market is traded by the rules that its instrument has from the feed."""
    market = client.markets.get(instrument.symbol)
    name, symbol = client.id, instrument.symbol
    if market is None or not market["spot"]:
        raise ConfigError(f"{name} has no spot market {symbol}; correct feed.symbols")
    if market["active"] is False:
        raise ConfigError(f"{symbol} is not open for trading at {name}")
    try:
        rules = read_rules(market, client.precisionMode)
    except ValueError as error:
        raise ConfigError(f"{symbol} at {name} {error}") from None
    for what, theirs, ours in (
        ("tick size", rules.tick_size, instrument.tick_size),
        ("lot size", rules.lot_size, instrument.lot_size),
    ):
        if theirs != ours:
            raise ConfigError(
                f"the {what} of {symbol} is {theirs:f} at {name} and {ours:f} in the feed "
                f"({instrument.exchange}): prices and orders must come from one exchange"
            )
    stricter = (
        (rules.qty_min is not None and rules.qty_min > instrument.qty_min)
        or (rules.qty_max is not None and 0 < rules.qty_max < instrument.qty_max)
        or (rules.notional_min is not None and rules.notional_min > instrument.notional_min)
    )
    if stricter:
        raise ConfigError(
            f"{name} limits orders in {symbol} more narrowly than the feed ({instrument.exchange})"
        )


async def rehearse(requests: Requests, instrument: Instrument, client_order_id: str, *, stops: bool) -> None:
    """Make each request about an order without sending it.

    Raises ConfigError where one cannot be made or does not say what it should, ccxt's NetworkError where what
    it must know first could not be had. Sets whether an order is cancelled and asked about by our id.
    """
    symbol, name = instrument.symbol, requests.client.id
    their_id = requests.form.theirs(client_order_id)
    price, qty = instrument.price.text(_TICKS), instrument.qty.text(_LOTS)
    for kind in (TARGET, REST, STOP) if stops else (TARGET, REST):
        side = SELL if kind == STOP else BUY
        said = await _dry(
            their_id,
            requests.create(instrument, kind, side, price, qty, client_order_id),
            f"ccxt cannot make {_KINDS[kind]} for {symbol} at {name}",
        )
        for what, text in (("price", price), ("quantity", qty)):
            if not numbers(text) <= numbers(said):
                raise ConfigError(f"ccxt does not send the {what} of {_KINDS[kind]} to {name} exactly")
        if not _SIGNS[kind].search(said.partition(" ")[2].replace(their_id, "")):
            raise ConfigError(f"ccxt does not say to {name} that an order is {_KINDS[kind]}")
        if their_id not in said:
            raise ConfigError(
                f"ccxt does not send our id of {_KINDS[kind]} to {name}, so none could be found again"
            )
    await _dry(
        their_id,
        requests.cancel_number(symbol, "4711", client_order_id),
        f"ccxt cannot cancel at {name}",
    )
    if not requests.form.listed_only:
        requests.cancels_by_id = await _says(their_id, requests.cancel_id(symbol, client_order_id))
        requests.tells_by_id = await _says(their_id, requests.fetch_id(symbol, client_order_id))


async def _dry(dry: str, call: Coroutine[Any, Any, Any], fault: str) -> str:
    """Return the request that a call would have made."""
    ticket = Ticket(patient=True, dry=dry)
    before = TICKET.set(ticket)
    try:
        await call
    except DryError:
        return ticket.request
    except (NetworkError, *KEY_REFUSED):
        raise
    except Exception as error:  # whatever it is, that request cannot be made
        raise ConfigError(f"{fault} ({reason_of(error)})") from None
    finally:
        TICKET.reset(before)
    raise ConfigError(f"{fault}: it made no request")


async def _says(dry: str, call: Coroutine[Any, Any, Any]) -> bool:
    """Whether a request names an order by our id, and by no number that nobody gave."""
    try:
        said = await _dry(dry, call, "")
    except (ConfigError, BaseError) as error:
        if isinstance(error, NetworkError):
            raise
        return False
    return dry in said and "None" not in said and "null" not in said

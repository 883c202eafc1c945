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
from daemon.venues.ccxt_account import list_told, order_lists
from daemon.venues.ccxt_client import TICKET, DryError, Ticket, numbers, word
from daemon.venues.ccxt_errors import KEY_REFUSED, reason_of
from daemon.venues.ccxt_exchanges import STOPS
from kernels.dtypes import BUY, REST, SELL, STOP, TARGET

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from daemon.instruments import Instrument
    from daemon.venues.ccxt_client import CcxtSettings
    from daemon.venues.ccxt_exchanges import ExchangeForm
    from daemon.venues.ccxt_ids import ClientIds
    from daemon.venues.ccxt_requests import Requests

#: a position is what was traded, so every trade must be found again, whoever failed to tell of it
_NEEDED: Final = ("createOrder", "cancelOrder", "fetchBalance", "fetchMyTrades", "fetchOpenOrders")
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


def check_features(client: Any, ids: ClientIds, *, post_only: bool, stops: bool) -> None:
    """Raise ConfigError where ccxt, the exchange or the keys lack what orders need."""
    name = client.id
    if client.requiredCredentials.get("password") and not client.password:
        raise ConfigError(f"{name} wants a password with its keys; put it into what venue.password_env names")
    lacking = [
        what for what, needed in client.requiredCredentials.items() if needed and not getattr(client, what)
    ]
    if lacking:
        raise ConfigError(
            f"{name} wants {' and '.join(lacking)}: name what holds each in [venue.credentials]"
        )
    if not client.has.get("spot"):
        raise ConfigError(f"ccxt has no spot markets of {name}, so orders cannot be sent there")
    for verb in _NEEDED:
        if client.has.get(verb) is not True:
            raise ConfigError(f"ccxt cannot {verb} at {name}, so orders cannot be sent there")
    spot = (client.features or {}).get("spot") or {}
    can = spot.get("createOrder") or {}
    in_force = can.get("timeInForce") or {}
    if not in_force.get("IOC"):
        raise ConfigError(f"{name} has no immediate-or-cancel orders, which targets are sent as")
    if post_only and not in_force.get("PO"):
        raise ConfigError(
            f"{name} has no post-only orders, which resting orders are sent as; set venue.post_only = false "
            "to trade there without any"
        )
    _check_lists(client, ids)
    if not stops:
        return
    if not can.get("stopLossPrice"):
        why = "has no protective stops"
    elif (spot.get("fetchOpenOrders") or {}).get("trigger"):
        why = "keeps stops apart from orders, where they get another number when they trigger"
    elif name not in STOPS:
        why = "is not known to keep a stop's number when it triggers"
    else:
        return
    raise ConfigError(f"{name} {why}; set venue.stops = false to trade there without any")


def _check_lists(client: Any, ids: ClientIds) -> None:
    """Raise ConfigError where an order whose answer is lost could not be found, nor a list be read whole."""
    name, form, ended = client.id, ids.form, order_lists(client)
    if not ended and not (form.id_query and client.has.get("fetchOrder") is True):
        raise ConfigError(
            f"ccxt neither lists {name}'s ended orders nor asks about one by our id, so what became of an "
            "order whose answer is lost could never be known"
        )
    for verb in ("fetchMyTrades", *ended):
        if not list_told(client, verb).get("limit") and not form.rows:
            raise ConfigError(
                f"ccxt does not say how many rows {name} tells at once ({verb}); look it up there and set "
                "venue.form.rows"
            )
    probe = ids.at(217_000_000, 12)
    read_back = _read_back(client, form, form.id_prefix + ids.theirs(probe))
    if read_back is not None and ids.ours(read_back) != probe:
        raise ConfigError(
            f"ccxt does not read a client order id of {name} as {form.id_answer or form.id!r}, so no order "
            "of ours could be recognised"
        )


def _read_back(client: Any, form: ExchangeForm, theirs: str) -> str | None:
    """Return the client order id that ccxt reads in an order of theirs; None: it wants more than that."""
    try:
        return str(client.parse_order({form.id_answer or form.id: theirs}).get("clientOrderId") or "")
    except Exception:  # an order that only has an id is none to some: the first real one shows it
        return None


def check_rules(client: Any, instrument: Instrument) -> None:
    """Raise ConfigError unless a market is traded by the rules that its instrument has from the feed.

    One that is not open now may be so later (daemon/symbol_watch.py).
    """
    market = client.markets.get(instrument.symbol)
    name, symbol = client.id, instrument.symbol
    if market is None or not market["spot"]:
        raise ConfigError(f"{name} has no spot market {symbol}; correct feed.symbols")
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


async def check_markets(
    requests: Requests, instruments: Iterable[Instrument], settings: CcxtSettings
) -> None:
    """Load the markets, check the rules of ours, and make each request about an order; raises as those do."""
    await requests.client.load_markets()
    longest = requests.ids.at(10**8, 10**5)
    kinds = [TARGET, *[REST] * settings.post_only, *[STOP] * settings.stops]
    for instrument in instruments:
        check_rules(requests.client, instrument)
        await rehearse(requests, instrument, longest, kinds)


async def rehearse(
    requests: Requests, instrument: Instrument, client_order_id: str, kinds: Iterable[int]
) -> None:
    """Make each request about an order without sending it.

    Raises ConfigError where one cannot be made or does not say what it should, ccxt's NetworkError where what
    it must know first could not be had. Sets in whose words it is said, and whether an order is cancelled and
    asked about by our id.
    """
    symbol, form, name = instrument.symbol, requests.form, requests.client.id
    their_id = requests.ids.theirs(client_order_id)
    for kind in kinds:
        await _rehearse_order(requests, instrument, kind, client_order_id)
    await dry_run(
        their_id,
        requests.cancel_number(symbol, "4711", client_order_id),
        f"ccxt cannot cancel at {name}",
    )
    if form.id_query:
        names = {form.id, form.id_answer, form.id_query}
        theirs = form.id_prefix + their_id
        requests.cancels_by_id = await _says(theirs, names, requests.cancel_id(symbol, client_order_id))
        requests.tells_by_id = await _says(theirs, names, requests.fetch_id(symbol, client_order_id))


async def _rehearse_order(
    requests: Requests, instrument: Instrument, kind: int, client_order_id: str
) -> None:
    form, name = requests.form, requests.client.id
    their_id, what = requests.ids.theirs(client_order_id), _KINDS[kind]
    price, qty = instrument.price.text(_TICKS), instrument.qty.text(_LOTS)

    async def said() -> Ticket:
        return await dry_run(
            their_id,
            requests.create(instrument, kind, SELL if kind == STOP else BUY, price, qty, client_order_id),
            f"ccxt cannot make {what} for {instrument.symbol} at {name}",
        )

    def says_id() -> bool:
        return (form.id, form.id_prefix + their_id) in ticket.fields

    words = {TARGET: form.immediate, REST: form.post_only}.get(kind) or {}

    def says_kind() -> bool:
        if words:  # of an exchange that the file tells of: a word of ccxt's own may mean nothing there
            lower = {(key, value.lower()) for key, value in ticket.fields}
            return all((key, word(value).lower()) in lower for key, value in words.items())
        return bool(_SIGNS[kind].search(ticket.request.partition(" ")[2].replace(their_id, "")))

    ticket = await said()
    if ticket.request.startswith("GET "):  # whatever is in between takes it for reading, and may repeat it
        raise ConfigError(f"ccxt sends {what} to {name} by GET, which may arrive twice")
    if not says_id():
        requests.id_word = form.id
        ticket = await said()
    if words and not says_kind():
        requests.words[kind] = words
        ticket = await said()
    for part, text in (("price", price), ("quantity", qty)):
        if not numbers(text) <= numbers(ticket.request):
            raise ConfigError(f"ccxt does not send the {part} of {what} to {name} exactly")
    if not says_kind():
        raise ConfigError(f"ccxt does not say to {name} that an order is {what}")
    if not says_id():
        raise ConfigError(
            f"ccxt does not send our id of {what} to {name} as {form.id!r}, so none could be found again"
        )


async def dry_run(
    dry: str, call: Coroutine[Any, Any, Any], fault: str, weight: float | None = None
) -> Ticket:
    """Return the request that a call would have made."""
    ticket = Ticket(patient=True, dry=dry, weight=weight)
    before = TICKET.set(ticket)
    try:
        await call
    except DryError:
        return ticket
    except (NetworkError, *KEY_REFUSED):
        raise
    except Exception as error:  # whatever it is, that request cannot be made
        raise ConfigError(f"{fault} ({reason_of(error)})") from None
    finally:
        TICKET.reset(before)
    raise ConfigError(f"{fault}: it made no request")


async def _says(their_id: str, names: set[str], call: Coroutine[Any, Any, Any]) -> bool:
    """Whether a request names an order by our id, in its path or by name, and by no number of nobody's."""
    try:
        ticket = await dry_run(their_id, call, "")
    except (ConfigError, BaseError) as error:
        if isinstance(error, NetworkError):
            raise
        return False
    path, _, rest = ticket.request.partition("?")
    if "None" in path + rest or "null" in path + rest:
        return False
    return their_id in path.partition(" ")[2].partition(" ")[0] or any(
        (name, their_id) in ticket.fields for name in names
    )

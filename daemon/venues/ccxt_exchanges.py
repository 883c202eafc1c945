"""The exchanges that the ccxt venue trades at, and what of their orders ccxt does not say.

An exchange stands here because its client order ids are known to be limited so, and ccxt is known to send
them. For any other the file says it, as `[venue.form]`. What else is known of an exchange is asked of ccxt
when the venue starts (daemon/venues/ccxt_start.py), where words are looked for in requests that are made and
not sent.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from daemon.errors import ConfigError
from daemon.venues.ccxt_ids import ClientIds

#: room for the digits of an id: run, and a million orders a run
_RUN_DIGITS: Final = 9
_SEQ_DIGITS: Final = 6
#: how long the ids of a kind are, whatever the name
_LENGTHS: Final = {"uuid": 36, "number": 19}


class ExchangeForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an exchange takes our orders, as its documentation says of the request that places one."""

    id: str = ""  # what the request calls a client order id
    id_length: Annotated[int, Meta(ge=0, le=1000)] = 0  # the longest it takes, without the prefix
    #: what it must be: any text, letters and digits alone, a UUID, or a number of up to 63 bits
    id_kind: Literal["text", "alphanumeric", "uuid", "number"] = "text"
    id_prefix: str = ""  # what ccxt puts before it, and the exchange repeats
    id_answer: str = ""  # what answers call it; empty: the same
    #: what a request about one order calls it; empty: there is none, and lists of orders are searched
    id_query: str = ""
    id_cancel: str = ""  # the parameter that keeps a cancel from giving an order another id
    #: what makes a limit order take or go, and only make; empty: what ccxt makes of its own words
    immediate: dict[str, Any] = {}
    post_only: dict[str, Any] = {}
    rows: Annotated[int, Meta(ge=0, le=100_000)] = 0  # the most in one list, where ccxt does not say
    options: dict[str, Any] = {}  # of ccxt itself


_BINANCE: Final = ExchangeForm(
    id="newClientOrderId",
    id_length=36,
    id_answer="clientOrderId",
    id_query="origClientOrderId",
    id_cancel="newClientOrderId",
    options={"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False},
)
_BYBIT: Final = ExchangeForm(id="orderLinkId", id_length=36)
_GATE: Final = ExchangeForm(id="text", id_length=28, id_prefix="t-", id_query="text")
_OKX: Final = ExchangeForm(id="clOrdId", id_length=32, id_kind="alphanumeric", id_query="clOrdId")

EXCHANGES: Final[dict[str, ExchangeForm]] = {
    "bigone": ExchangeForm(
        id="client_order_id",
        id_length=36,
        immediate={"immediate_or_cancel": True},
        post_only={"post_only": True},
    ),
    "binance": _BINANCE,
    "binanceus": _BINANCE,
    "bingx": ExchangeForm(  # no dash there either; one order is told by our id for two hours alone
        id="newClientOrderId",
        id_length=40,
        id_kind="alphanumeric",
        id_answer="clientOrderID",
        immediate={"timeInForce": "IOC"},
        post_only={"timeInForce": "PostOnly"},
    ),
    "bitget": ExchangeForm(id="clientOid", id_length=36, id_query="clientOid"),
    "bybit": _BYBIT,
    "bybiteu": _BYBIT,
    "bybitid": _BYBIT,
    "cryptocom": ExchangeForm(
        id="client_oid",
        id_length=36,
        immediate={"time_in_force": "IMMEDIATE_OR_CANCEL"},
        post_only={"exec_inst": "POST_ONLY"},
    ),
    "gate": _GATE,
    "gateeu": _GATE,
    "htx": ExchangeForm(id="client-order-id", id_length=64, id_query="clientOrderId"),
    "kraken": ExchangeForm(id="cl_ord_id", id_length=36, id_kind="uuid", rows=50),
    "kucoin": ExchangeForm(id="clientOid", id_length=40, id_query="clientOid", rows=100),
    "mexc": ExchangeForm(
        id="newClientOrderId", id_length=32, id_answer="clientOrderId", id_query="origClientOrderId"
    ),
    "myokx": _OKX,
    "okx": _OKX,
    "okxus": _OKX,
}

#: where protective stops are known to stand among orders, and to keep their number once they trigger
STOPS: Final = frozenset({"binance", "binanceus", "kraken"})


class Countdown(NamedTuple):
    """How an exchange counts down to the cancelling of all orders, as its documentation says."""

    word: str  # what the request calls the seconds
    least_s: int
    most_s: int
    market: str = ""  # which ccxt must be told of
    weight: float | None = None  # what the limiter counts one as; None: as ccxt does


#: OKX limits it by itself, once a second; ccxt's weight would keep orders back for a second after each
_OKX_COUNTDOWN: Final = Countdown("timeOut", 10, 120, weight=1.0)
#: where a countdown that is not told again cancels all spot orders. That ccxt has a call of that name at an
#: exchange says little: Bybit's cancels once a private stream ends that asked for it, Bitvavo's only orders
#: that name a group.
COUNTDOWNS: Final[dict[str, Countdown]] = {
    "bingx": Countdown("timeOut", 10, 120, market="spot"),
    "htx": Countdown("timeout", 5, 600),
    "kraken": Countdown("timeout", 30, 600),  # one weighs 3 of the 10 that ccxt sends Kraken in ten seconds
    "myokx": _OKX_COUNTDOWN,
    "okx": _OKX_COUNTDOWN,
    "okxus": _OKX_COUNTDOWN,
}


def check_countdown(exchange: str, seconds: int, *, stops: bool) -> None:
    """Raise ConfigError where an exchange does not count down from so many seconds; of 0 nobody does."""
    if not seconds:
        return
    known = COUNTDOWNS.get(exchange)
    if known is None:
        raise ConfigError(
            f"{exchange} is not known to cancel all orders after a countdown, so venue.dead_man_s must be 0 "
            f"there; those that do are {', '.join(COUNTDOWNS)}"
        )
    if not known.least_s <= seconds <= known.most_s:
        raise ConfigError(
            f"venue.dead_man_s is {seconds}, and at {exchange} must be between {known.least_s} and "
            f"{known.most_s}, or 0"
        )
    if stops:
        raise ConfigError(
            f"the countdown of {exchange} cancels protective stops too, which are there for when the daemon "
            "is dead: set venue.stops = false or venue.dead_man_s = 0"
        )


def find_form(
    exchange: str, name: str, told: ExchangeForm | None = None, *, post_only: bool = True
) -> ExchangeForm:
    """Return how an exchange takes the orders of the daemon `name`; raises ConfigError.

    told: what its file says of it. post_only: whether orders may rest.
    """
    form = _complete(exchange, told or ExchangeForm(), post_only=post_only)
    if form.id_kind in _LENGTHS:
        return form
    room = form.id_length - (_RUN_DIGITS + _SEQ_DIGITS + 2) - len(ClientIds(form, name).cancel_mark)
    if room < 1:
        raise ConfigError(
            f"client order ids of {form.id_length} characters are too short for those of this daemon, so "
            f"orders cannot be sent to {exchange}"
        )
    if len(name) > room:
        raise ConfigError(
            f"the name {name!r} makes client order ids longer than the {form.id_length} characters that "
            f"{exchange} takes; a name there has {room} at most"
        )
    if form.id_kind == "alphanumeric" and not name.isalnum():
        raise ConfigError(
            f"{exchange} takes letters and digits alone in client order ids, so the name {name!r} must be "
            "of them too"
        )
    return form


def _complete(exchange: str, told: ExchangeForm, *, post_only: bool) -> ExchangeForm:
    """Return the form that holds. Two truths about one exchange would be one too many: ours is tested."""
    known = EXCHANGES.get(exchange)
    if known is not None:
        if told not in (ExchangeForm(), known):
            raise ConfigError(f"venue.form is known for {exchange}; leave the section out")
        return known
    length = _LENGTHS.get(told.id_kind, 0)
    if length and (told.id_length not in {0, length} or told.id_cancel):
        raise ConfigError(
            f'venue.form: ids of id_kind = "{told.id_kind}" have {length} characters, and no cancel can give '
            "one: leave id_length and id_cancel out"
        )
    told = replace(told, id_length=length or told.id_length)
    wanted = ("id", "id_length", "immediate", *["post_only"] * post_only)
    missing = [key for key in wanted if not getattr(told, key)]
    if missing:
        raise ConfigError(
            f"venue.exchange {exchange!r} is not among those known here ({', '.join(EXCHANGES)}): "
            "look up in its documentation, at the request that places a spot order, what a client order id "
            "is called and how long it may be, and what makes a limit order immediate-or-cancel and "
            f"post-only, and write it into [venue.form], which lacks {', '.join(missing)} (configs/ccxt.toml "
            "shows it whole)"
        )
    return replace(told, options={"defaultType": "spot", **told.options})

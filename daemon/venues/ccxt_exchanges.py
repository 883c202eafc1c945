"""The exchanges that the ccxt venue trades at, and the client order ids they take: ccxt does not say.

Each stands here because its client order ids are known to be limited so, and ccxt is known to send them. What
else is known of an exchange is asked of ccxt when the venue starts (daemon/venues/ccxt_start.py).
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from daemon.errors import ConfigError

#: room for the digits of an id: run, and a million orders a run
_RUN_DIGITS: Final = 9
_SEQ_DIGITS: Final = 6
#: what a cancel calls the order from then on, where it must be called something
CANCEL_MARK: Final = "-c"
_OURS: Final = re.compile(r"(.+)r([0-9]+)s([0-9]+)")


class ExchangeForm(msgspec.Struct, frozen=True):
    """How an exchange takes a client order id, and what ccxt must be told to trade spot there."""

    id_length: int
    alphanumeric: bool = False  # letters and digits alone: no dash
    prefix: str = ""  # what ccxt puts before an id, and the exchange repeats
    listed_only: bool = (
        False  # ccxt names no single order there by our id: lists of orders are searched for it
    )
    cancel_mark: str = ""  # the parameter that keeps a cancel from giving an order another id
    options: dict[str, Any] = {}

    def theirs(self, client_order_id: str) -> str:
        """Return an id of ours in the exchange's form; one of somebody else's as it is."""
        parts = client_order_id.rsplit("-", 2)
        if not self.alphanumeric or len(parts) < 3:
            return client_order_id
        return f"{parts[0]}r{parts[1]}s{parts[2]}"

    def ours(self, text: str) -> str:
        """Return the id that `theirs` made `text` of."""
        text = text.removeprefix(self.prefix).removesuffix(CANCEL_MARK if self.cancel_mark else "")
        found = _OURS.fullmatch(text) if self.alphanumeric else None
        return "-".join(found.groups()) if found else text


_BINANCE: Final = ExchangeForm(
    36,
    cancel_mark="newClientOrderId",
    options={"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False},
)
_OKX: Final = ExchangeForm(32, alphanumeric=True)

EXCHANGES: Final[dict[str, ExchangeForm]] = {
    "binance": _BINANCE,
    "binanceus": _BINANCE,
    "bitget": ExchangeForm(36),
    "bybit": ExchangeForm(36, listed_only=True),
    "gate": ExchangeForm(28, prefix="t-"),
    "htx": ExchangeForm(64),
    "kraken": ExchangeForm(18, listed_only=True),
    "kucoin": ExchangeForm(40),
    "mexc": ExchangeForm(32),
    "myokx": _OKX,
    "okx": _OKX,
    "okxus": _OKX,
}


def find_form(exchange: str, name: str) -> ExchangeForm:
    """Return how an exchange takes the ids of the daemon `name`; raises ConfigError."""
    form = EXCHANGES.get(exchange)
    if form is None:
        raise ConfigError(
            f"venue.exchange {exchange!r} is not among those whose client order ids are known "
            f"({', '.join(EXCHANGES)})"
        )
    room = form.id_length - (_RUN_DIGITS + _SEQ_DIGITS + 2) - (len(CANCEL_MARK) if form.cancel_mark else 0)
    if len(name) > room:
        raise ConfigError(
            f"the name {name!r} makes client order ids longer than the {form.id_length} characters that "
            f"{exchange} takes; a name there has {room} at most"
        )
    if form.alphanumeric and not name.isalnum():
        raise ConfigError(
            f"{exchange} takes letters and digits alone in client order ids, so the name {name!r} must be "
            "of them too"
        )
    return form

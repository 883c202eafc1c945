"""What an exception of ccxt says about an order: little, unless it stands here.

Refused for certain is only what the exchange itself refused in a complete answer (below), in words that leave
no doubt, and what never left. Everything else, ccxt's NetworkErrors above all (RequestTimeout,
ExchangeNotAvailable, DDoSProtection, RateLimitExceeded, OnMaintenance, InvalidNonce), its base classes, a
broken answer, and any exception of Python, says nothing about the order, which must be asked about.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ccxt.base import errors as ccxt

from daemon.events import NOT_SENT
from daemon.redact import redact

if TYPE_CHECKING:
    from daemon.events import ReportKind
    from daemon.venues.ccxt_client import Ticket

_TEXT_MAX: Final = 200
#: ccxt has such words among refusals: "Order creation timeout" and "Submitted to the system for processing!"
#: (Bybit), "Network timeout, please try again later" (KuCoin), and ids used twice, which can only be ours
_DOUBTFUL: Final = re.compile(r"duplicat|repeat|time.?out|processing|later", re.IGNORECASE)

#: definite refusals, by their exact class: a subclass of tomorrow may mean something else
DEFINITE: Final[dict[type[Exception], str]] = {
    ccxt.InsufficientFunds: "the account lacks the funds",
    ccxt.InvalidOrder: "it breaks a rule of the market",
    ccxt.OrderImmediatelyFillable: "a post-only order would have taken",
    ccxt.OrderNotFillable: "it could not be filled at once",
    ccxt.ContractUnavailable: "the market does not trade",
    ccxt.BadRequest: "the request was not understood",
    ccxt.BadSymbol: "there is no such market",
    ccxt.AuthenticationError: "the key or its signature was not accepted",
    ccxt.PermissionDenied: "the key may not do that",
    ccxt.AccountNotEnabled: "the account may not trade",
    ccxt.AccountSuspended: "the account is suspended",
    ccxt.MarketClosed: "the market is closed",
    ccxt.RestrictedLocation: "the exchange does not serve this place",
    ccxt.ManualInteractionNeeded: "the exchange wants a person to act",
}
#: the key is refused: no new attempt mends that
KEY_REFUSED: Final = (ccxt.AuthenticationError,)


def report_of(error: Exception, ticket: Ticket, refused: ReportKind) -> ReportKind:
    """Return what a failed request about an order is reported as; `refused` where it surely did nothing."""
    if not ticket.left:
        return refused
    if type(error) is ccxt.OrderNotFound and refused == "CANCEL_REJECTED":
        return refused  # which has an order asked about, too
    if ticket.answered or ticket.status >= 500 or type(error) not in DEFINITE:
        return "TIMEOUT"
    return "TIMEOUT" if _DOUBTFUL.search(str(error)) else refused


def reason_of(error: Exception, ticket: Ticket | None = None) -> str:
    """Return a sentence about a failure, without secrets."""
    said = redact(" ".join(str(error).split()))[:_TEXT_MAX]
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return f"{NOT_SENT}: {said or text}" if ticket is not None and not ticket.left else text

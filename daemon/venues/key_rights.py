"""What an exchange lets a live key do beside trading: one that may withdraw is refused at the start.

A stolen key that trades loses money slowly and leaves a record; one that withdraws takes everything at once.
Binance is asked here, exchanges of ccxt in daemon/venues/ccxt_rights.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from daemon.errors import ConfigError, VenueError
from daemon.venues.binance_frames import decoded
from daemon.venues.binance_rest import NOT_FOUND
from daemon.venues.hosts import PLACES

if TYPE_CHECKING:
    from daemon.config import VenueConfig
    from daemon.instruments import Market
    from daemon.venues.binance_rest import RestReader

#: Binance's: the key, its signature or its permissions are wrong, or it is not of this address
KEY_REFUSED: Final = frozenset({-1022, -2014, -2015})
_PATH: Final = "/sapi/v1/account/apiRestrictions"


class Rights(NamedTuple):
    """What a key may do, as far as the exchange tells."""

    withdraws: bool
    anywhere: bool = False  # whether it works from any address
    trades: bool = True


class _Restrictions(msgspec.Struct):
    """Theirs; what is missing is not a right that we must fear, but withdrawals must be told."""

    enableWithdrawals: bool  # noqa: N815 - theirs
    ipRestrict: bool = False  # noqa: N815
    enableSpotAndMarginTrading: bool = True  # noqa: N815
    enableFutures: bool = True  # noqa: N815


_RESTRICTIONS: Final = msgspec.json.Decoder(_Restrictions)


async def refuse_withdrawals(rest: RestReader, venue: VenueConfig, market: Market) -> list[str]:
    """Return what a person should know of the key, which is to trade on `market`.

    Raises ConfigError where it is refused, or may withdraw and venue.allow_withdrawals does not say so,
    VenueError and NetError where production does not tell.
    """
    if venue.environment == "testnet":
        return [unchecked("the testnet")]
    try:
        told = await rest.get(_PATH, {}, 1, lambda body: decoded(_RESTRICTIONS, body))
    except VenueError as error:
        if error.code in KEY_REFUSED:
            raise refused("Binance", str(error)) from None
        host = urlsplit(venue.rest_url).hostname
        if error.status != NOT_FOUND or host is None or host in PLACES["production"].hosts:
            raise
        return [unchecked(host)]
    trades = told.enableSpotAndMarginTrading if market == "spot" else told.enableFutures
    rights = Rights(told.enableWithdrawals, not told.ipRestrict, trades)
    return judge(rights, "Binance", allowed=venue.allow_withdrawals)


def refused(exchange: str, said: str) -> ConfigError:
    """Return the error of a key that an exchange does not take: no new attempt mends that."""
    return ConfigError(
        f"{exchange} refuses the key: {said}; see that [venue] names the key and the secret of this exchange "
        "and environment, and there what the key may do and from which addresses"
    )


def judge(rights: Rights, exchange: str, *, allowed: bool) -> list[str]:
    """Return what a person should know of a key; raises ConfigError for one that may not be used."""
    if rights.withdraws and not allowed:
        raise ConfigError(
            f"the venue's key may withdraw: make one at {exchange} that may only read and trade, "
            "or set venue.allow_withdrawals = true"
        )
    told = []
    if rights.withdraws:
        told.append("the venue's key may withdraw, which venue.allow_withdrawals allows")
    if rights.anywhere:
        told.append(f"the venue's key works from any address: restrict it to this host's at {exchange}")
    if not rights.trades:
        told.append("the venue's key may not trade: every order will be rejected")
    return told


def unchecked(who: str) -> str:
    """Return the sentence about a key of which nobody tells."""
    return f"{who} does not tell what a key may do: that it cannot withdraw is not checked"

"""What Binance lets a live key do beside trading: one that may withdraw is refused before the first order.

A stolen key that trades loses money slowly and leaves a record; one that withdraws takes everything at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from daemon.errors import ConfigError, VenueError
from daemon.venues.binance_frames import decoded
from daemon.venues.hosts import PLACES

if TYPE_CHECKING:
    from daemon.config import VenueConfig
    from daemon.venues.binance_rest import RestReader

_PATH: Final = "/sapi/v1/account/apiRestrictions"
_NOT_FOUND: Final = -404  # how RestReader tells an HTTP status without an error code


class _Rights(msgspec.Struct):
    """Theirs; what is missing is not a right that we must fear, but withdrawals must be told."""

    enableWithdrawals: bool  # noqa: N815 - theirs
    ipRestrict: bool = False  # noqa: N815
    enableSpotAndMarginTrading: bool = True  # noqa: N815


_RIGHTS: Final = msgspec.json.Decoder(_Rights)


async def refuse_withdrawals(rest: RestReader, venue: VenueConfig) -> list[str]:
    """Return what a person should know of the key.

    Raises ConfigError where it may withdraw and venue.allow_withdrawals does not say so, VenueError and
    NetError where production does not tell.
    """
    unchecked = "does not tell what a key may do: that it cannot withdraw is not checked"
    if venue.environment == "testnet":
        return [f"the testnet {unchecked}"]
    try:
        rights = await rest.get(_PATH, {}, 1, lambda body: decoded(_RIGHTS, body))
    except VenueError as error:
        host = urlsplit(venue.rest_url).hostname
        if error.code != _NOT_FOUND or host is None or host in PLACES["production"].hosts:
            raise
        return [f"{host} {unchecked}"]
    if rights.enableWithdrawals and not venue.allow_withdrawals:
        raise ConfigError(
            "the venue's key may withdraw: make one at Binance that may only read and trade, "
            "or set venue.allow_withdrawals = true"
        )
    told = []
    if rights.enableWithdrawals:
        told.append("the venue's key may withdraw, which venue.allow_withdrawals allows")
    if not rights.ipRestrict:
        told.append("the venue's key works from any address: restrict it to this host's at Binance")
    if not rights.enableSpotAndMarginTrading:
        told.append("the venue's key may not trade: every order will be rejected")
    return told

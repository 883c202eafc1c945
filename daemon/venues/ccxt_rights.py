"""What an exchange of ccxt lets a live key do beside trading, where it tells.

ccxt has no word for it, so each exchange is asked by a request of its own. One stands here because it
documents the answer; of the others nobody knows whether a key may withdraw, and a person must say that it was
looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ccxt.base.errors import BaseError, NetworkError

from daemon.errors import ConfigError, NetError, VenueError
from daemon.venues.ccxt_client import TICKET, Ticket, connect_client, make_client
from daemon.venues.ccxt_errors import KEY_REFUSED, reason_of
from daemon.venues.hosts import LOOPBACK
from daemon.venues.key_rights import Rights, judge, refused, unchecked

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from daemon.seams import Clock
    from daemon.venues.ccxt_client import CcxtSettings

_NOT_FOUND: Final = 404


async def refuse_withdrawals(
    settings: CcxtSettings, clock: Clock, context: ssl.SSLContext | None, *, allowed: bool
) -> list[str]:
    """Return what a person should know of the key, over a connection that is closed again.

    Raises ConfigError where it is refused or may withdraw, or where nobody tells, VenueError where an
    exchange that tells did not, all of them unless `allowed`; NetError where it could not be asked.
    """
    name = settings.exchange
    ask = _ASKERS.get(name)
    if ask is None:
        return _untold(name, allowed=allowed)
    client = make_client(settings, settings.find_form().options, clock)
    session = connect_client(client, settings.proxy, context)
    ticket = Ticket(patient=True)
    before = TICKET.set(ticket)
    try:
        if client.has.get("fetchTime") is True:
            await client.load_time_difference()
        rights = await ask(client)
    except (LookupError, TypeError, ValueError, AttributeError, BaseError) as error:
        if ticket.status == _NOT_FOUND:
            host = urlsplit(settings.rest_url).hostname or name
            return _untold(
                host, allowed=allowed or host in LOOPBACK
            )  # a simulated one has nothing to withdraw
        text = f"{name} was asked what the key may do, and did not tell: {reason_of(error)}"
        if isinstance(error, KEY_REFUSED) and not allowed:
            raise refused(name, reason_of(error)) from None
        if isinstance(error, NetworkError):
            raise NetError(text) from None
        if not allowed:
            raise VenueError(0, text) from None
        return [unchecked(name)]
    finally:
        TICKET.reset(before)
        await client.close()
        await session.close()
    return judge(rights, name, allowed=allowed)


def _untold(who: str, *, allowed: bool) -> list[str]:
    """Go on without knowing, where a person said so."""
    if allowed:
        return [unchecked(who)]
    raise ConfigError(
        f"{who} does not tell what a key may do: see there that this one cannot withdraw, and set "
        "venue.allow_withdrawals = true"
    )


# --- what each is asked -------------------------------------------------------------------------------------
async def _binance(client: Any) -> Rights:
    told = await client.sapi_get_account_apirestrictions()
    return Rights(
        told["enableWithdrawals"] is not False,
        told.get("ipRestrict") is not True,
        told.get("enableSpotAndMarginTrading") is not False,
    )


async def _bybit(client: Any) -> Rights:
    told = (await client.private_get_v5_user_query_api())["result"]
    words = [word for of in told["permissions"].values() for word in of]
    return Rights(_withdraws(words), "*" in (told.get("ips") or ["*"]), told["readOnly"] == 0)


async def _htx(client: Any) -> Rights:
    whose = {"uid": (await client.spot_private_get_v2_user_uid())["data"], "accessKey": client.apiKey}
    (told,) = (await client.spot_private_get_v2_user_api_key(whose))["data"]
    words = told["permission"].split(",")
    return Rights(_withdraws(words), not told.get("ipAddresses"), "trade" in words)


async def _kraken(client: Any) -> Rights:
    words = (await client.private_post_getapikeyinfo())["result"]["permissions"]
    return Rights(_withdraws(words), trades="modify-trades" in words)


async def _kucoin(client: Any) -> Rights:
    told = (await client.private_get_user_api_key())["data"]
    words = [word.strip() for word in told["permission"].split(",")]
    # "Transfer" was what older keys may withdraw by
    return Rights(_withdraws(words) or "Transfer" in words, not told.get("ipWhitelist"))


async def _okx(client: Any) -> Rights:
    (told,) = (await client.private_get_account_config())["data"]
    words = told["perm"].split(",")
    return Rights(_withdraws(words), not told.get("ip"), "trade" in words)


def _withdraws(words: list[str]) -> bool:
    """Whether any right is one to withdraw; a key that may do nothing is not what was asked about."""
    if not any(words):
        raise KeyError("it names no right")
    return any("withdraw" in word.lower() for word in words)


_ASKERS: Final[dict[str, Callable[[Any], Awaitable[Rights]]]] = {
    "binance": _binance,
    "bybit": _bybit,
    "bybiteu": _bybit,
    "bybitid": _bybit,
    "htx": _htx,
    "kraken": _kraken,
    "kucoin": _kucoin,
    "myokx": _okx,
    "okx": _okx,
    "okxus": _okx,
}

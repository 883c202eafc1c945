"""The network of a feed through ccxt: a Net (daemon/seams.py) whose addresses are `ccxt:NAME/MARKET`.

A websocket there is ccxt's exchange with whatever sockets it opens; a request is answered with the rules of
the market's instruments. Everything above (reconnects, watchdog, recording, the cache of rules) is as with
any other exchange. Proxy, certificates and addresses of one's own are the configuration's, as everywhere;
ccxt's rate limiter waits, and nothing is asked while the exchange wants us to keep still.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import ccxt.pro
import msgspec
from ccxt.base.errors import DDoSProtection, RateLimitExceeded

from daemon.config_checks import PREFIX
from daemon.errors import ConfigError, NetError, nearest
from daemon.feeds.ccxt_rest import Rules
from daemon.feeds.ccxt_streams import CcxtStreams
from daemon.seams import Response
from daemon.venues.ccxt_client import CcxtSettings, connect_client, make_client
from daemon.venues.ccxt_errors import reason_of
from daemon.venues.ccxt_exchanges import EXCHANGES
from daemon.venues.ccxt_start import read_rules

if TYPE_CHECKING:
    import ssl
    from collections.abc import Collection, Mapping

    import aiohttp

    from daemon.config import FeedConfig
    from daemon.seams import Clock, Handler

_TOO_MANY: Final = 429
#: within so long the markets are not asked for again: there are all of them in an answer, or in several
_TOLD_NS: Final = 60_000_000_000
#: what of a market of ccxt says that it is of ours
_KINDS: Final = {"spot": ("spot",), "usdm": ("swap", "linear"), "coinm": ("swap", "inverse")}


class CcxtNet:
    """Opens ccxt's exchange; `close` gives back what is open."""

    def __init__(
        self,
        config: FeedConfig,
        clock: Clock,
        tls: ssl.SSLContext | None = None,
        hosts: Collection[str] | None = None,
    ) -> None:
        """`hosts` as in daemon/net.py; raises ConfigError where ccxt does not know the exchange."""
        self._name = name = config.exchange.removeprefix(PREFIX)
        if name not in ccxt.pro.exchanges:
            raise ConfigError(
                f"feed.exchange: ccxt.pro has no exchange {name!r}{nearest(name, ccxt.pro.exchanges)}"
            )
        for url in (config.rest_url, config.ws_url):
            if hosts is not None and urlsplit(url).hostname not in hosts:
                raise ConfigError(
                    f"{config.exchange} may reach {', '.join(sorted(hosts))} alone: "
                    "name feed.rest_url and feed.ws_url there"
                )
        self._config = config
        self._clock = clock
        self._tls = tls
        self._spare: _Opened | None = None  # opened for its rules, and not used yet
        self._streams: set[CcxtStreams] = set()
        self._told: dict[str, tuple[Response, int]] = {}  # rules by address, and when they were asked for

    async def connect(self, url: str, handler: Handler) -> CcxtStreams:
        """Open the exchange, without any stream yet; raises NetError where its markets cannot be had."""
        del url  # there is one
        opened, self._spare = self._spare, None
        if opened is None or opened.client.still_s:
            if opened is not None:
                await opened.close()
            opened = await self._open()
        streams = CcxtStreams(opened.client, handler, self._clock, opened.close)
        self._streams = {one for one in self._streams if one.ending is None or not one.ending.done()}
        self._streams.add(streams)
        return streams

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Response:
        """Return the rules of a market's instruments (daemon/feeds/ccxt_rest.py); raises NetError."""
        del method, headers, body, timeout_s  # ccxt has its own, and its own limit for each request
        now_ns = self._clock.mono_ns()
        told, told_ns = self._told.get(url, (None, 0))
        if told is not None and now_ns - told_ns < _TOLD_NS:
            return told
        try:
            opened = await self._open()
        except NetError as error:
            if error.status != _TOO_MANY:
                raise
            return Response(_TOO_MANY, {"Retry-After": str(error.retry_after_s)}, str(error).encode())
        if self._spare is not None:
            await self._spare.close()
        self._spare = opened
        client = opened.client
        kinds = _KINDS[url.rpartition("/")[2]]
        rows = [
            rules_of(market, client.precisionMode)
            for market in client.markets.values()
            if all(market.get(kind) for kind in kinds)
        ]
        told = Response(200, {}, msgspec.json.encode(rows))
        self._told[url] = told, now_ns
        return told

    async def close(self) -> None:
        """End everything."""
        for streams in self._streams:
            streams.close()
            if streams.ending is not None:
                await streams.ending
        if self._spare is not None:
            spare, self._spare = self._spare, None
            await spare.close()

    async def _open(self) -> _Opened:
        config = self._config
        settings = CcxtSettings(
            exchange=self._name,
            name="feed",
            credentials={},
            rest_url=config.rest_url,
            ws_url=config.ws_url,
        )
        form = EXCHANGES.get(self._name)
        options = form.options if form is not None and config.market == "spot" else {}
        client = make_client(settings, options, self._clock)
        client.number = float  # ccxt's books compare prices
        client.options["adjustForTimeDifference"] = False  # nothing is signed
        opened = _Opened(client, connect_client(client, config.proxy, self._tls))
        try:
            await client.load_markets()
        except asyncio.CancelledError:
            await opened.close()
            raise
        except Exception as error:  # ccxt raises whatever an odd answer makes of it
            still_s = math.ceil(client.still_s)
            await opened.close()
            limited = bool(still_s) or isinstance(error, (RateLimitExceeded, DDoSProtection))
            raise NetError(
                f"{config.exchange} tells no markets: {reason_of(error)}",
                _TOO_MANY if limited else 0,
                still_s,
            ) from None
        return opened


class _Opened:
    """A client of ccxt with its connections."""

    def __init__(self, client: Any, session: aiohttp.ClientSession) -> None:
        self.client = client
        self._session = session

    async def close(self) -> None:
        """Give back the connections."""
        try:
            await self.client.close()
        finally:
            await self._session.close()


def rules_of(market: Any, precision_mode: int) -> Rules:
    """Return a market's rules; without steps where ccxt tells none that hold at every price."""
    plain = {
        part: {key: _texts(value) for key, value in (market.get(part) or {}).items()}
        for part in ("precision", "limits")
    }
    active = market.get("active") is not False
    size = str(market.get("contractSize") or 1)
    try:
        rules = read_rules(plain, precision_mode)
    except (ValueError, KeyError):
        return Rules(market["symbol"], "", "", active=active)
    qty_min, qty_max, notional_min = ("" if limit is None else str(limit) for limit in rules[2:])
    tick, lot = str(rules.tick_size), str(rules.lot_size)
    return Rules(market["symbol"], tick, lot, qty_min, qty_max, notional_min, size, active)


def _texts(value: Any) -> Any:
    """Return numbers as text, to the digit."""
    if isinstance(value, dict):
        return {key: _texts(one) for key, one in value.items()}
    return value if value is None else str(value)

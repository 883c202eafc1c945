"""ccxt's exchanges, made safe for orders: one order is one request, now, and we know whether it left.

ccxt is left to do what it knows, addresses, signatures, parameters, words. What would send an order twice or
late is closed here, below everything in it that could (read in ccxt 4.5 and aiohttp 3.14):

- ccxt's own retries (`maxRetriesOnFailure`) are off, and so are redirects, which repeat a POST elsewhere;
- aiohttp repeats PUT and DELETE when a kept connection turns out to be closed: each attempt passes `_once`,
  which lets one writing request of an order through and no other, whoever asks for it;
- ccxt's rate limiter queues: an order that would have to wait is refused (daemon/venues/ccxt_throttle.py);
- ccxt goes on asking an exchange that told it to keep still, and is banned for longer: nothing passes;
- ccxt knows addresses that nobody configured, and takes some from answers: only the exchange's are asked
  (daemon/venues/ccxt_hosts.py).

Numbers stay text from the exchange's JSON to our Decimals: ccxt's own would be floats.
"""

from __future__ import annotations

import json
import re
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

import aiohttp
import ccxt.async_support
import ccxt.pro
import msgspec
from ccxt.async_support.base.exchange import Exchange
from ccxt.base.errors import DDoSProtection, RateLimitExceeded

from daemon.errors import ConfigError, NetError, nearest
from daemon.venues.ccxt_exchanges import ExchangeForm, find_form
from daemon.venues.ccxt_hosts import Reach
from daemon.venues.ccxt_throttle import Throttle
from daemon.wire import retry_after_s

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from daemon.seams import Clock

#: reading requests have so long; those about orders the venue's own time
READ_TIMEOUT_MS: Final = 10_000
#: how long to keep still where the exchange does not say: after too many requests, which are counted over
#: seconds, and after a ban, of which Bybit's is over in ten minutes and Kraken's in fifteen
_STILL_S: Final = 10
_BANNED_S: Final = 600


class CcxtSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which exchange, how it is reached, and its times. `rest_url` and `ws_url` replace its hosts."""

    exchange: str
    name: str  # the daemon's: its client order ids begin with it
    credentials: Mapping[str, str]
    form: ExchangeForm = ExchangeForm()  # what the file tells of an exchange that is not in the table
    rest_url: str = ""
    ws_url: str = ""
    hosts: tuple[str, ...] = ()  # others that the keys may reach
    proxy: str = ""
    post_only: bool = True
    stops: bool = True
    recv_window_ms: int = 5000
    timeout_ms: int = 2000
    backoff_s_max: float = 30.0  # between two attempts to connect
    countdown_ms: int = 0  # after which the exchange cancels all orders, unless told again; 0: never

    def find_form(self) -> ExchangeForm:
        """Return how the exchange takes orders; raises ConfigError."""
        return find_form(self.exchange, self.name, self.form, post_only=self.post_only)


#: ccxt's words for too many requests
_TOO_MUCH: Final = (RateLimitExceeded, DDoSProtection)


class Ticket:
    """One request about orders: whether it may wait, and how far it came."""

    __slots__ = ("answered", "dry", "fields", "left", "patient", "request", "status", "weight")

    def __init__(self, *, patient: bool, dry: str = "", weight: float | None = None) -> None:
        """`patient`: late is better than not at all. `dry`: send nothing that writes or carries this text.

        `weight`: what the rate limit counts it as; None: as ccxt does.
        """
        self.patient = patient
        self.dry = dry
        self.weight = weight
        self.left = False  # its bytes may have left
        self.status = 0  # of the HTTP answer
        self.answered = False  # the exchange took it; what is raised after that is our failure to read
        self.request = ""  # what a dry one would have sent
        self.fields: set[tuple[str, str]] = set()  # likewise, name by name

    def leave(self, method: str) -> bool:
        """Let a request pass, return whether it writes; raises NetError for a second one that does."""
        if method == "GET":
            return False
        if self.left:
            raise NetError("a second request for one order was kept back")
        self.left = True
        return True


class DryError(Exception):
    """A dry request is complete, and is not sent."""


#: what the running task asks about; None: it only reads
TICKET: Final[ContextVar[Ticket | None]] = ContextVar("ticket", default=None)
#: where the running task wants lists put down whole as it is told them, each as what they are of, and what
#: reads each of their rows: of an exchange that lists all symbols together ccxt leaves out the others'
LISTS: Final[ContextVar[list[tuple[str, list[Callable[[], Any]]]] | None]] = ContextVar("lists", default=None)


class Guarded(Exchange):  # type: ignore[misc] # ccxt is untyped
    """Stands before an exchange of ccxt in the order of its bases."""

    number = str
    on_json_response = staticmethod(partial(json.loads, parse_float=str))
    timeout_on_exit = 0
    clock: Clock
    order_timeout_ms: int
    reach: Reach
    #: told for how many ms nothing may be sent: it holds for the whole address
    on_still: Callable[[int], object] = staticmethod(bool)
    _still_until_ns = 0  # on the monotonic clock

    @property
    def still_s(self) -> float:
        """Return for how long nothing may be sent; 0.0: the exchange did not tell us to keep still."""
        return max(0, self._still_until_ns - self.clock.mono_ns()) / 1e9

    def keep_still(self, seconds: float) -> None:
        """Send nothing for so long; the latest end counts."""
        self._still_until_ns = max(self._still_until_ns, self.clock.mono_ns() + int(seconds * 1e9))
        self.on_still(int(self.still_s * 1000))

    @property
    def timeout(self) -> int:
        """Return how long a request may take, in ms."""
        return READ_TIMEOUT_MS if TICKET.get() is None else self.order_timeout_ms

    @timeout.setter
    def timeout(self, value: int) -> None:
        """Take ccxt's own default, which is not used."""

    def init_throttler(self, cost: Any = None) -> None:  # noqa: ARG002 - ccxt's own signature
        """Make the rate limiter."""
        self.throttler = Throttle(self.tokenBucket, self.asyncio_loop, lambda: self.clock.mono_ns() / 1e6)

    async def throttle(self, cost: float | None = None) -> None:
        """Wait for the rate limit; raises NetError where a request about an order must not wait."""
        ticket = TICKET.get()
        if ticket is not None and ticket.weight is not None:
            cost = ticket.weight
        if ticket is None or ticket.dry:
            await self.throttler(cost)
        elif not self.throttler.take(cost):
            if not ticket.patient:
                raise NetError("it would have to wait for the rate limit")
            await self.throttler.first(cost)

    def parse_trades(self, trades: Any, market: Any = None, *more: Any, **named: Any) -> Any:
        """Read a list of trades."""
        _put_down("trades", trades, self.parse_trade, market)
        return super().parse_trades(trades, market, *more, **named)

    def parse_orders(self, orders: Any, market: Any = None, *more: Any, **named: Any) -> Any:
        """Read a list of orders."""
        _put_down("orders", orders, self.parse_order, market)
        return super().parse_orders(orders, market, *more, **named)

    async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        """Make one request, unless it is dry."""
        ticket = TICKET.get()
        if ticket is not None and ticket.dry:
            text = unquote(f"{method} {url} {body or ''}")
            if method != "GET" or ticket.dry in text:
                ticket.request, ticket.fields = text, fields(url, body or "")
                raise DryError
        try:
            answer = await super().fetch(url, method, headers, body)
        except DDoSProtection as error:
            if "lockout" in str(error):  # of Kraken, by a plain answer
                self.keep_still(_BANNED_S)
            raise
        if ticket is not None and ticket.left:
            ticket.answered = True
        return answer


def _put_down(what: str, rows: Any, read: Callable[[Any, Any], Any], market: Any) -> None:
    lists = LISTS.get()
    if lists is not None:
        rows = rows.values() if isinstance(rows, dict) else rows or ()
        lists.append((what, [partial(read, row, market) for row in rows]))


async def _once(
    client: Guarded, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Let an order's request pass once, and no redirect: each attempt of aiohttp comes by here, streams' too.

    What ccxt raises for too many requests it also raises for an order rate, or a full list of stops: what
    the exchange wants is told by its status.
    """
    client.reach.check(request.url.host or "")
    if client.still_s:
        raise RateLimitExceeded(f"{client.id} wants us to keep still for {client.still_s:.1f} s more")
    ticket = TICKET.get()
    writes = ticket is not None and ticket.leave(request.method)
    try:
        answer = await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        if ticket is not None and writes:
            ticket.left = False  # there was no connection to leave by
        raise
    if ticket is not None:
        ticket.status = answer.status
    if answer.status == 429:
        client.keep_still(retry_after_s(answer.headers) or _STILL_S)
    elif client.httpExceptions.get(str(answer.status)) in _TOO_MUCH:  # 418, and 403 of Bybit
        client.keep_still(retry_after_s(answer.headers) or _BANNED_S)
    if 300 <= answer.status < 400:
        answer.close()
        raise aiohttp.ClientError(f"a redirect (HTTP {answer.status}) is not followed")
    return answer


def make_client(settings: CcxtSettings, options: Mapping[str, Any], clock: Clock) -> Any:
    """Return an exchange of ccxt without connections; `options` are ccxt's own. Raises ConfigError."""
    ours = {"clock": clock, "order_timeout_ms": settings.timeout_ms}
    kind: Any = type(settings.exchange, (Guarded, _find_class(settings.exchange)), ours)
    client = kind(
        {
            **settings.credentials,
            "enableRateLimit": True,
            # where ccxt knows an exchange's window it is counted as the exchange does, and a burst may leave
            "rateLimiterAlgorithm": "rollingWindow",
            "options": {
                **options,
                "maxRetriesOnFailure": 0,
                "adjustForTimeDifference": True,
                "recvWindow": settings.recv_window_ms,
            },
        }
    )
    client.urls["api"] = _moved(client.urls["api"], settings.rest_url, settings.ws_url)
    client.reach = Reach(client, settings)
    client.logger.setLevel("WARNING")  # at debug level it shows keys and signatures
    return client


def _find_class(name: str) -> Any:
    """Return ccxt's class for an exchange: the one with streams, where there is one."""
    known = ccxt.async_support.exchanges
    if name not in known:
        raise ConfigError(f"venue.exchange: ccxt has no exchange {name!r}{nearest(name, known)}")
    return getattr(ccxt.pro if name in ccxt.pro.exchanges else ccxt.async_support, name)


def connect_client(client: Any, proxy: str, context: ssl.SSLContext | None) -> aiohttp.ClientSession:
    """Give a client its connections; needs a running loop. Who calls it closes the session."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context or True, limit=0, keepalive_timeout=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=(partial(_once, client),),
        proxy=proxy or None,
    )
    client.session, client.own_session = session, False
    client.open()
    return session


def fields(url: str, body: str) -> set[tuple[str, str]]:
    """Return what a request says by name, in query and body, whatever is within what; of an object, ""."""
    found = set(parse_qsl(urlsplit(url).query))
    try:
        nodes = [("", json.loads(body))]
    except ValueError:
        return found | set(parse_qsl(body))
    while nodes:
        name, node = nodes.pop()
        if isinstance(node, dict):
            found.add((name, ""))
            nodes += node.items()
        elif isinstance(node, list):
            nodes += [(name, one) for one in node]
        else:
            found.add((name, word(node)))
    return found


def word(value: Any) -> str:
    """Return a value as requests have it."""
    return value if isinstance(value, str) else json.dumps(value)


def numbers(text: str) -> set[str]:
    """Return the numbers in a request, in their shortest form."""
    return {
        (found.rstrip("0").rstrip(".") if "." in found else found)
        for found in re.findall(r"(?<![\w.-])[0-9]+(?:\.[0-9]+)?(?![\w.])", text)
    }


def _moved(node: Any, rest_url: str, ws_url: str) -> Any:
    """Return ccxt's addresses with other hosts."""
    if isinstance(node, dict):
        return {key: _moved(value, rest_url, ws_url) for key, value in node.items()}
    if not isinstance(node, str):
        return node
    parts = urlsplit(node)
    host = urlsplit(ws_url if parts.scheme in {"ws", "wss"} else rest_url)
    return urlunsplit((host.scheme, host.netloc, *parts[2:])) if host.netloc else node

"""The network: websockets by the library that a configuration names, HTTP by aiohttp.

The transports (daemon/net_picows.py, daemon/net_websockets.py) differ in speed and in what they can; which
one it is shows nowhere above. A proxy serves websockets and HTTP alike.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from daemon.clock import SystemClock
from daemon.config import FeedConfig
from daemon.config_checks import PREFIX
from daemon.errors import ConfigError, NetError, unread
from daemon.feeds.refusal import FRAME_BYTES_MAX
from daemon.proxy import parse_proxy
from daemon.redact import bare_url
from daemon.seams import Response
from daemon.wire import DeclinedError, Line, Terms, sentence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping

    from daemon.config import LineConfig, Transport
    from daemon.seams import Handler, Net

    Opener = Callable[[str, Handler, Terms, ssl.SSLContext | None], Awaitable[Line]]

#: exchangeInfo of every symbol is about 20 MB
BODY_BYTES_MAX: Final = 64 << 20
_PART_BYTES: Final = 1 << 16
_OK: Final = 200
CONNECT_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 2.0


def make_net(config: LineConfig, hosts: Collection[str] | None = None) -> Net:
    """Make what a section of the configuration describes; raises ConfigError."""
    if isinstance(config, FeedConfig) and config.exchange.startswith(PREFIX):
        return _through_ccxt(config, hosts)
    return RealNet(
        hosts=hosts,
        tls=trust(config.ca_file) if config.ca_file else None,
        transport=config.transport,
        compress=config.compress,
        proxy=config.proxy,
    )


def _through_ccxt(config: FeedConfig, hosts: Collection[str] | None) -> Net:
    """Return the network of a feed through ccxt, which is imported here: it takes a second and 100 MB."""
    if find_spec("ccxt") is None:
        raise ConfigError(
            f"feed.exchange {config.exchange!r} needs the package ccxt; install it: scripts/setup ccxt"
        )
    from daemon.feeds.ccxt_net import CcxtNet  # noqa: PLC0415 - see above

    if config.proxy:
        parse_proxy(config.proxy)
    tls = trust(config.ca_file) if config.ca_file else None
    return CcxtNet(config, SystemClock(), tls, hosts)


def trust(ca_file: str) -> ssl.SSLContext:
    """Return what verifies by the certificates in `ca_file` alone, "": the system's; raises ConfigError."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except FileNotFoundError as error:
        raise ConfigError(f"the file of certificates {ca_file} {unread(error)}") from None
    except OSError as error:  # of TLS too, which has its words elsewhere
        raise ConfigError(f"the file of certificates {ca_file} cannot be read ({sentence(error)})") from None


def show_certificate(tls: ssl.SSLContext, certificate_file: str, key_file: str) -> None:
    """Have `tls` show a certificate of our own to who asks for one; raises ConfigError.

    A key with a passphrase is refused, and nobody is asked for it: a daemon has no one to ask.
    """
    try:
        tls.load_cert_chain(certificate_file, key_file, password="")
    except OSError as error:
        raise ConfigError(
            f"the certificate {certificate_file} and the key {key_file} cannot be used together: "
            f"{sentence(error)}"
        ) from None


def _opener(transport: Transport) -> Opener:
    """Import the transport of that name: a daemon loads the one it uses."""
    if transport == "picows":
        from daemon.net_picows import open_socket  # noqa: PLC0415 - see above

        return open_socket
    from daemon.net_websockets import open_socket as open_other  # noqa: PLC0415 - see above

    return open_other


class RealNet:
    """Websockets and HTTP over real sockets.

    `hosts`, where given, are the only ones this process may speak to: with test keys, a mistyped URL must not
    reach production; a proxy must be among them too. With `body_bytes_max` 0 no answer is read beyond its
    headers. `tls` defaults to the system's trust store.
    """

    def __init__(
        self,
        *,
        hosts: Collection[str] | None = None,
        tls: ssl.SSLContext | None = None,
        transport: Transport = "picows",
        compress: bool = False,
        proxy: str = "",
        frame_bytes_max: int = FRAME_BYTES_MAX,
        body_bytes_max: int = BODY_BYTES_MAX,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        close_timeout_s: float = CLOSE_TIMEOUT_S,
    ) -> None:
        self._hosts = None if hosts is None else frozenset(hosts)
        self._tls = tls
        self._body_bytes_max = body_bytes_max
        self._open = _opener(transport)
        self._proxy = parse_proxy(proxy) if proxy else None
        if self._proxy is not None:
            self._check_host(self._proxy.host)
        self._terms = Terms(frame_bytes_max, connect_timeout_s, close_timeout_s, self._proxy, compress, set())
        self._session: aiohttp.ClientSession | None = None

    async def connect(self, url: str, handler: Handler) -> Line:
        """Open a websocket; raises NetError when it cannot be had, ConfigError for a host not allowed."""
        secure = self._check(url, {"ws": False, "wss": True})
        limit_s = self._terms.connect_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await self._open(url, handler, self._terms, self._context() if secure else None)
        except TimeoutError:
            raise NetError(f"{bare_url(url)} did not answer within {limit_s:g} s") from None
        except DeclinedError as error:
            text = f"cannot connect to {bare_url(url)}: {sentence(error)}"
            raise NetError(text, error.status, error.retry_after_s) from None
        except (OSError, ValueError) as error:
            raise NetError(f"cannot connect to {bare_url(url)}: {sentence(error)}") from None

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Response:
        """Make one HTTP request. `url` must be percent-encoded already: it is sent byte for byte, as signed.

        Raises NetError, which says nothing about what the other side did; ConfigError for a host not allowed.
        """
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=self._terms.connect_timeout_s)
        async with self._asking(method, url, headers, body, timeout) as answer:
            return Response(answer.status, answer.headers, await self._body(answer))

    async def download(self, url: str, take: Callable[[bytes], object], silent_s: float) -> Response:
        """GET something of any size: of an answer of 200 `take` is given each part, and its body is empty.

        Raises as `request` does, where the connection is silent for so long too, or ends early.
        """
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self._terms.connect_timeout_s, sock_read=silent_s
        )
        async with self._asking("GET", url, {}, b"", timeout) as answer:
            if answer.status != _OK:
                return Response(answer.status, answer.headers, await self._body(answer))
            async for part in answer.content.iter_chunked(_PART_BYTES):
                take(part)
            return Response(answer.status, answer.headers, b"")

    @asynccontextmanager
    async def _asking(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, limits: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        secure = self._check(url, {"http": False, "https": True})
        proxy = self._proxy
        if proxy is not None and not secure:  # it reads the request itself, and not only the way to it
            headers = {**headers, **proxy.headers}
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        try:
            async with self._session.request(
                method,
                URL(url, encoded=True),
                headers=headers,
                data=body or None,
                timeout=limits,
                allow_redirects=False,
                proxy=proxy and proxy.bare,
                proxy_headers=proxy and proxy.headers,
                ssl=self._context() if secure else True,
            ) as answer:
                yield answer
        except TimeoutError:
            limit_s = limits.total or limits.sock_read
            raise NetError(f"{method} {bare_url(url)} was not answered within {limit_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NetError(f"{method} {bare_url(url)} failed: {sentence(error)}") from None

    async def close(self) -> None:
        """Give back the HTTP connections, and cut the websockets that nobody closed."""
        for socket in list(self._terms.sockets):
            await socket.abort()
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        if not self._body_bytes_max:
            return b""
        parts: list[bytes] = []
        size = 0
        async for part in answer.content.iter_chunked(_PART_BYTES):
            size += len(part)
            if size > self._body_bytes_max:
                raise ValueError(f"the answer exceeds {self._body_bytes_max} bytes")
            parts.append(part)
        return b"".join(parts)

    def _check(self, url: str, schemes: dict[str, bool]) -> bool:
        """Return whether `url` is encrypted; raises ConfigError unless its scheme and host are allowed."""
        parts = urlsplit(url)
        secure = schemes.get(parts.scheme)
        if secure is None or not parts.hostname:
            raise ConfigError(
                f"{bare_url(url)} is no {'/'.join(schemes)} address; correct it in the configuration"
            )
        self._check_host(parts.hostname)
        return secure

    def _check_host(self, host: str) -> None:
        if self._hosts is not None and host not in self._hosts:
            allowed = ", ".join(sorted(self._hosts)) or "none"
            raise ConfigError(f"host {host} is not among those this configuration allows ({allowed})")

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

"""The network: websockets by picows, HTTP by aiohttp. The only module that opens a socket to an exchange.

picows calls back once per frame on the loop's own stack and says which frame is the last of what was read;
that is a drain's end. Two things would lose that mark: a ping, or the first fragment of a long message, may
be what ends the read. So a message that is not the last is kept back until the next frame shows what follows
it, which happens within the same read: it costs a branch and no time.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import aiohttp
from picows import WSCloseCode, WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from yarl import URL

from daemon.errors import ConfigError, NetError
from daemon.redact import bare_url, redact
from daemon.seams import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from daemon.seams import Handler

#: a 5,000-level depth snapshot is 0.4 MB; nothing an exchange sends on a stream is larger than this
FRAME_BYTES_MAX: Final = 4 << 20
#: exchangeInfo of every symbol is about 20 MB
BODY_BYTES_MAX: Final = 64 << 20
CONNECT_TIMEOUT_S: Final = 10.0
#: how long the other side has to answer our close frame
CLOSE_TIMEOUT_S: Final = 2.0
#: a read takes at most this much at once, so this bounds a drain (about 1,500 quotes)
READ_BUFFER_BYTES: Final = 256 << 10

# bound once: an enum's attribute costs 40 ns a frame
_TEXT = WSMsgType.TEXT
_DATA = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION)
_CONTINUATION = WSMsgType.CONTINUATION
_PING = WSMsgType.PING
_CLOSE = WSMsgType.CLOSE

#: picows reports through `on_close` here; its own log would be a second, unredacted voice
_SILENT = logging.getLogger("picows.silent")
_SILENT.setLevel(logging.CRITICAL + 1)
_SILENT.addHandler(logging.NullHandler())


class Socket(WSListener):
    """One websocket: the Wire that the code above sends on, and the listener that picows calls."""

    def __init__(self, url: str, handler: Handler, frame_bytes_max: int, sockets: set[Socket]) -> None:
        self._where = bare_url(url)
        self._sockets = sockets
        self._handler = handler
        self._on_frame: Callable[[bytes, bool], None] = handler.on_frame
        self._frame_bytes_max = frame_bytes_max
        self._transport: WSTransport | None = None
        self._sendable = False
        self._held: bytes | None = None
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._fault = ""
        self._ended: asyncio.Task[None] | None = None

    # --- Wire ----------------------------------------------------------------------------------------------
    def send(self, payload: bytes) -> None:
        """Write one text frame; raises NetError, and then nothing was written."""
        transport = self._transport
        if not self._sendable or transport is None:
            raise NetError(f"{self._where} takes nothing now: {self._fault or 'the connection is closed'}")
        if transport.underlying_transport.is_closing():  # lost, and `on_close` is on its way
            raise NetError(f"{self._where} takes nothing now: the connection was lost")
        transport.send(_TEXT, payload)

    def close(self) -> None:
        """Send a close frame, and cut the connection if the other side does not answer it."""
        self._shut(WSCloseCode.OK, "closed by us")

    # --- WSListener ----------------------------------------------------------------------------------------
    def on_ws_connected(self, transport: WSTransport) -> None:
        """Become sendable."""
        self._transport = transport
        self._sendable = True
        self._sockets.add(self)
        self._ended = asyncio.get_running_loop().create_task(_ended(transport))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Assemble messages, hand them on, answer control frames."""
        payload: bytes | None = None
        kind = frame.msg_type
        if kind is _TEXT and frame.fin and not self._parts:
            payload = frame.get_payload_as_bytes()
        elif kind in _DATA:
            payload = self._assemble(kind, frame)
        else:
            self._control(transport, kind, frame)
        last = frame.last_in_buffer
        held, self._held = self._held, None
        try:
            if held is not None:
                self._on_frame(held, bool(last and payload is None))
            if payload is not None:
                if last:
                    self._on_frame(payload, True)
                else:
                    self._held = payload
        except Exception as error:  # whatever it is, it is a bug above, and told to who runs the loop
            self._on_bug(error)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Hand on what was kept back, then say why it ended."""
        self._sendable = False
        held, self._held = self._held, None
        if held is not None:
            try:
                self._on_frame(held, True)
            except Exception as error:
                self._on_bug(error)
        self._sockets.discard(self)
        self._handler.on_close(redact(self._fault or _close_reason(transport)))

    async def abort(self) -> None:
        """Cut the connection without ceremony and wait until it is gone."""
        if self._transport is not None and self._ended is not None:
            self._fault = self._fault or "cut by us"
            self._transport.disconnect(graceful=False)
            await self._ended

    def pause_writing(self) -> None:
        """Refuse to send while the other side does not read: an order in a full buffer would leave late."""
        self._sendable = False
        self._fault = "the other side does not read"

    def resume_writing(self) -> None:
        """Send again."""
        self._fault = ""
        self._sendable = self._transport is not None and not self._transport.is_close_frame_sent

    # --- parts ---------------------------------------------------------------------------------------------
    def _on_bug(self, error: Exception) -> None:
        """Report what the handler raised, give it no further frame, and end the connection."""
        self._on_frame = _ignore
        self._held = None
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"the handler of {self._where} raised", "exception": error}
        )
        self._shut(WSCloseCode.INTERNAL_ERROR, f"our handler raised {type(error).__name__}")

    def _assemble(self, kind: WSMsgType, frame: WSFrame) -> bytes | None:
        """Collect a fragment; return the whole message with its last one."""
        if (kind == _CONTINUATION) != bool(self._parts):
            self._shut(WSCloseCode.PROTOCOL_ERROR, "a fragment came out of order")
            return None
        part = frame.get_payload_as_bytes()
        self._parts_bytes += len(part)
        if self._parts_bytes > self._frame_bytes_max:
            self._parts.clear()
            self._shut(WSCloseCode.MESSAGE_TOO_BIG, f"a message exceeds {self._frame_bytes_max} bytes")
            return None
        self._parts.append(part)
        if not frame.fin:
            return None
        whole = b"".join(self._parts)
        self._parts.clear()
        self._parts_bytes = 0
        return whole

    def _control(self, transport: WSTransport, kind: WSMsgType, frame: WSFrame) -> None:
        if kind == _PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind == _CLOSE:
            self._sendable = False
            if not transport.is_close_frame_sent:
                transport.send_close(WSCloseCode.OK)
            transport.disconnect()

    def _shut(self, code: WSCloseCode, fault: str) -> None:
        transport = self._transport
        if transport is None or transport.is_disconnected or transport.is_close_frame_sent:
            return
        self._sendable = False
        self._fault = fault
        transport.send_close(code)
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, transport.disconnect, False)


def _ignore(payload: bytes, last: bool) -> None:
    """Take no frame any more."""


async def _ended(transport: WSTransport) -> None:
    """Wait for the end, and retrieve the error picows keeps of it: unretrieved it would be printed later."""
    with suppress(Exception):
        await transport.wait_disconnected()


def _close_reason(transport: WSTransport) -> str:
    """Say who closed the connection and why, from the close frames exchanged."""
    handshake = transport.close_handshake
    if handshake is None:
        return "the connection was lost"
    info, who = handshake.sent, "we closed"
    if handshake.recv is not None and (info is None or handshake.recv_then_sent):
        info, who = handshake.recv, "the other side closed"
    assert info is not None, "a handshake without a close frame"
    reason = f" ({info.reason})" if info.reason else ""
    return f"{who} with code {getattr(info.code, 'value', info.code)}{reason}"


class RealNet:
    """Websockets and HTTP over real sockets.

    `hosts`, where given, are the only ones this process may speak to: with test keys, a mistyped URL must not
    reach production. `tls` defaults to the system's trust store.
    """

    def __init__(
        self,
        *,
        hosts: Collection[str] | None = None,
        tls: ssl.SSLContext | None = None,
        frame_bytes_max: int = FRAME_BYTES_MAX,
        body_bytes_max: int = BODY_BYTES_MAX,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self._hosts = None if hosts is None else frozenset(hosts)
        self._tls = tls
        self._frame_bytes_max = frame_bytes_max
        self._body_bytes_max = body_bytes_max
        self._connect_timeout_s = connect_timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._sockets: set[Socket] = set()

    async def connect(self, url: str, handler: Handler) -> Socket:
        """Open a websocket; raises NetError when it cannot be had, ConfigError for a host not allowed."""
        secure = self._check(url, {"ws": False, "wss": True})
        socket = Socket(url, handler, self._frame_bytes_max, self._sockets)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await ws_connect(
                    lambda: socket,
                    url,
                    ssl_context=self._context() if secure else None,
                    websocket_handshake_timeout=self._connect_timeout_s,
                    logger_name=_SILENT,
                    enable_auto_pong=False,  # the listener answers pings: see the module's docstring
                    max_frame_size=self._frame_bytes_max,
                    max_redirects=0,  # a redirect could lead past the allowed hosts
                    read_buffer_init_size=READ_BUFFER_BYTES,
                )
        except TimeoutError:
            raise NetError(f"{bare_url(url)} did not answer within {self._connect_timeout_s:g} s") from None
        except (OSError, WSError, ValueError) as error:
            raise NetError(f"cannot connect to {bare_url(url)}: {_sentence(error)}") from None
        return socket

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Response:
        """Make one HTTP request. `url` must be percent-encoded already: it is sent byte for byte, as signed.

        Raises NetError, which says nothing about what the other side did; ConfigError for a host not allowed.
        """
        secure = self._check(url, {"http": False, "https": True})
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        try:
            async with self._session.request(
                method,
                URL(url, encoded=True),
                headers=headers,
                data=body or None,
                timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=self._connect_timeout_s),
                allow_redirects=False,
                ssl=self._context() if secure else True,
            ) as answer:
                content = await self._body(answer)
                return Response(answer.status, answer.headers, content)
        except TimeoutError:
            raise NetError(f"{method} {bare_url(url)} was not answered within {timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NetError(f"{method} {bare_url(url)} failed: {_sentence(error)}") from None

    async def close(self) -> None:
        """Give back the HTTP connections, and cut the websockets that nobody closed."""
        for socket in list(self._sockets):
            await socket.abort()
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in answer.content.iter_chunked(1 << 16):
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
        if self._hosts is not None and parts.hostname not in self._hosts:
            allowed = ", ".join(sorted(self._hosts)) or "none"
            raise ConfigError(
                f"host {parts.hostname} is not among those this configuration allows ({allowed})"
            )
        return secure

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def _sentence(error: BaseException) -> str:
    """Return what an exception says, redacted and on one line; its type where it says nothing."""
    text: Any = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return redact(" ".join(str(text).split()))

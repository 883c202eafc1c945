"""A websocket by picows: the fast one, and what a configuration has that names none.

picows calls back once per frame on the loop's own stack and says which frame is the last of what was read;
that is a drain's end. Two things would lose that mark: pings, or the first fragments of a long message, may
be what ends the read. So a message that is not the last is kept back until another follows it or the read
ends, which happens within the same read: it costs a branch and no time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from picows import (
    WSCloseCode,
    WSError,
    WSFrame,
    WSHandshakeError,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

from daemon.proxy import tunnel
from daemon.wire import MESSAGE_TOO_BIG, PROTOCOL_ERROR, SILENT, DeclinedError, Line, closed_by, keep_alive

if TYPE_CHECKING:
    import ssl

    from picows import WSParsedURL

    from daemon.seams import Handler
    from daemon.wire import Terms

#: what a read takes at once (about 1,500 quotes); picows doubles it whenever a read has filled it, so that in
#: the end the kernel's own buffer (tcp_rmem) bounds a drain and this memory
READ_BUFFER_BYTES: Final = 256 << 10

# bound once: an enum's attribute costs 40 ns a frame
_TEXT = WSMsgType.TEXT
_DATA = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION)
_CONTINUATION = WSMsgType.CONTINUATION
_PING = WSMsgType.PING
_CLOSE = WSMsgType.CLOSE


async def open_socket(url: str, handler: Handler, terms: Terms, tls: ssl.SSLContext | None) -> Socket:
    """Open a websocket; raises OSError."""
    socket = Socket(url, handler, terms)

    async def through(place: WSParsedURL) -> Any:
        return terms.proxy and await tunnel(terms.proxy, place.host, place.port)

    try:
        await ws_connect(
            lambda: socket,
            url,
            ssl_context=tls,
            websocket_handshake_timeout=terms.connect_timeout_s,
            logger_name=SILENT,
            enable_auto_pong=False,  # the listener answers pings: see the module's docstring
            max_frame_size=terms.frame_bytes_max,
            max_redirects=0,  # a redirect could lead past the allowed hosts
            read_buffer_init_size=READ_BUFFER_BYTES,
            socket_factory=through,
        )
    except WSHandshakeError as error:
        if error.response is None:
            raise ConnectionError(str(error)) from None
        raise DeclinedError(str(error), int(error.response.status), error.response.headers) from None
    except WSError as error:
        raise ConnectionError(str(error)) from None
    return socket


class Socket(Line, WSListener):
    """One websocket: the Wire that the code above sends on, and the listener that picows calls."""

    def __init__(self, url: str, handler: Handler, terms: Terms) -> None:
        super().__init__(url, handler, terms)
        self._transport: WSTransport | None = None
        self._held: bytes | None = None
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._ended: asyncio.Task[None] | None = None

    # --- Wire ----------------------------------------------------------------------------------------------
    def send(self, payload: bytes) -> None:
        """Write one text frame; raises NetError, and then nothing was written."""
        transport = self._transport
        if not self._sendable or transport is None:
            raise self._refusal()
        if transport.underlying_transport.is_closing():  # lost, and `on_close` is on its way
            raise self._refusal("the connection was lost")
        transport.send(_TEXT, payload)

    async def abort(self) -> None:
        """Cut the connection without ceremony and wait until it is gone."""
        if self._transport is not None and self._ended is not None:
            self._fault = self._fault or "cut by us"
            self._transport.disconnect(graceful=False)
            await self._ended

    # --- WSListener ----------------------------------------------------------------------------------------
    def on_ws_connected(self, transport: WSTransport) -> None:
        """Become sendable."""
        self._transport = transport
        keep_alive(transport.underlying_transport)
        self._begin()
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
        held = self._held
        try:
            if held is not None and (last or payload is not None):
                self._held = None
                self._on_frame(held, payload is None)
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
        self._end(_close_reason(transport))

    def resume_writing(self) -> None:
        """Send again, unless it is over."""
        if self._transport is not None and not self._transport.is_close_frame_sent:
            self._fault = ""
            self._sendable = True

    # --- parts ---------------------------------------------------------------------------------------------
    def _on_bug(self, error: Exception) -> None:
        self._held = None
        super()._on_bug(error)

    def _assemble(self, kind: WSMsgType, frame: WSFrame) -> bytes | None:
        """Collect a fragment; return the whole message with its last one."""
        if (kind == _CONTINUATION) != bool(self._parts):
            self._shut(PROTOCOL_ERROR, "a fragment came out of order")
            return None
        part = frame.get_payload_as_bytes()
        self._parts_bytes += len(part)
        if self._parts_bytes > self._terms.frame_bytes_max:
            self._parts.clear()
            self._shut(MESSAGE_TOO_BIG, f"a message exceeds {self._terms.frame_bytes_max} bytes")
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

    def _shut(self, code: int, fault: str) -> None:
        transport = self._transport
        if transport is None or transport.is_disconnected or transport.is_close_frame_sent:
            return
        self._sendable = False
        self._fault = fault
        transport.send_close(WSCloseCode(code))
        asyncio.get_running_loop().call_later(self._terms.close_timeout_s, transport.disconnect, False)


async def _ended(transport: WSTransport) -> None:
    """Wait for the end, and retrieve the error picows keeps of it: unretrieved it would be printed later."""
    try:
        await transport.wait_disconnected()
    except Exception as error:  # its frames lead back to the transport that keeps it: see Line._end
        error.__traceback__ = None


def _close_reason(transport: WSTransport) -> str:
    """Say who closed the connection and why, from the close frames exchanged."""
    handshake = transport.close_handshake
    if handshake is None:
        return "the connection was lost"
    info, who = handshake.sent, "we"
    if handshake.recv is not None and (info is None or handshake.recv_then_sent):
        info, who = handshake.recv, "the other side"
    assert info is not None, "a handshake without a close frame"
    code: Any = info.code  # an int where picows has no name for it
    return closed_by(who, getattr(code, "value", code), info.reason or "")

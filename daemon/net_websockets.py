"""A websocket by the `websockets` library: the one that can compress. Imported only where it is chosen.

Its protocol does no input or output of its own: bytes go in, and events and bytes to send come out. So frames
reach the handler as plain calls on the loop's own stack here too, and the last message of a read is known.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, PayloadTooBig, WebSocketException
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from daemon.proxy import tunnel
from daemon.wire import SILENT, DeclinedError, Line, closed_by, keep_alive, sentence

if TYPE_CHECKING:
    import ssl

    from websockets.protocol import Event

    from daemon.seams import Handler
    from daemon.wire import Terms

# bound once: an enum's attribute costs 40 ns a frame
_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
_OPEN, _CLOSING = State.OPEN, State.CLOSING


async def open_socket(url: str, handler: Handler, terms: Terms, tls: ssl.SSLContext | None) -> Socket:
    """Open a websocket; raises OSError."""
    loop = asyncio.get_running_loop()
    try:
        socket = Socket(url, handler, terms)
        host, port = socket.address
        name = host if tls else None
        if terms.proxy is None:
            await loop.create_connection(lambda: socket, host, port, ssl=tls, server_hostname=name)
        else:
            line = await tunnel(terms.proxy, host, port)
            await loop.create_connection(lambda: socket, sock=line, ssl=tls, server_hostname=name)
        try:
            await socket.opened
        except BaseException:
            await socket.abort()
            raise
    except InvalidStatus as error:
        raise DeclinedError(str(error), error.response.status_code, error.response.headers) from None
    except WebSocketException as error:
        raise ConnectionError(str(error)) from None
    return socket


class Socket(Line, asyncio.Protocol):
    """One websocket: the Wire that the code above sends on, and the protocol that the loop calls."""

    def __init__(self, url: str, handler: Handler, terms: Terms) -> None:
        super().__init__(url, handler, terms)
        uri = parse_uri(url)
        self.address = (uri.host, uri.port)
        extensions = [ClientPerMessageDeflateFactory()] if terms.compress else None
        self._protocol = ClientProtocol(
            uri, extensions=extensions, max_size=terms.frame_bytes_max, logger=SILENT
        )
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._cut: asyncio.TimerHandle | None = None
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()

    # --- Wire ----------------------------------------------------------------------------------------------
    def send(self, payload: bytes) -> None:
        """Write one text frame; raises NetError, and then nothing was written."""
        transport = self._transport
        if not self._sendable or transport is None:
            raise self._refusal()
        if transport.is_closing():  # lost, and `on_close` is on its way
            raise self._refusal("the connection was lost")
        self._protocol.send_text(payload)
        self._flush()

    async def abort(self) -> None:
        """Cut the connection without ceremony and wait until it is gone."""
        if self._transport is not None:
            self._fault = self._fault or "cut by us"
            self._transport.abort()
            await self._gone

    # --- asyncio.Protocol ----------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to speak websocket."""
        self._transport = cast("asyncio.Transport", transport)
        keep_alive(transport)
        self._protocol.send_request(self._protocol.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Take what was read at once: assemble messages, hand them on, answer control frames."""
        protocol = self._protocol
        protocol.receive_data(data)
        events = protocol.events_received()
        if protocol.writes:
            self._flush()
        if not self.opened.done():
            self._answered(events)
        messages = self._assemble(events)
        final = len(messages) - 1
        for number, message in enumerate(messages):
            try:
                self._on_frame(message, number == final)
            except Exception as error:  # whatever it is, it is a bug above, and told to who runs the loop
                self._on_bug(error)
        if protocol.state is _CLOSING:
            self._wind_up()

    def connection_lost(self, error: Exception | None) -> None:
        """Say why it ended."""
        del error
        self._protocol.receive_eof()
        self._protocol.parser.close()  # it and its error's frames lead back to the protocol: see Line._end
        if self._protocol.parser_exc is not None:
            self._protocol.parser_exc.__traceback__ = None
        if not self.opened.done():
            self.opened.set_exception(
                self._protocol.handshake_exc or ConnectionError("the connection was lost")
            )
        elif self in self._terms.sockets:
            self._end(self._close_reason())
        self._gone.set_result(None)

    def resume_writing(self) -> None:
        """Send again, unless it is over."""
        if self._protocol.state is _OPEN:
            self._fault = ""
            self._sendable = True

    # --- parts ---------------------------------------------------------------------------------------------
    def _flush(self) -> None:
        # the library marks a half-close with an empty string, which joins to nothing: we close as a whole
        assert self._transport is not None, "bytes before a connection"
        self._transport.write(b"".join(self._protocol.data_to_send()))

    def _answered(self, events: list[Event]) -> None:
        """Take the answer to the handshake, once it is whole."""
        if self._protocol.handshake_exc is not None:
            self.opened.set_exception(self._protocol.handshake_exc)
        elif events:
            self._begin()
            self.opened.set_result(None)

    def _assemble(self, events: list[Event]) -> list[bytes]:
        """Return the messages that are whole now; their size and order were checked by the library."""
        messages = []
        for event in events:
            if not isinstance(event, Frame) or event.opcode not in _DATA:
                continue
            if event.fin and not self._parts:
                messages.append(bytes(event.data))
                continue
            self._parts.append(bytes(event.data))
            if event.fin:
                messages.append(b"".join(self._parts))
                self._parts.clear()
        return messages

    def _wind_up(self) -> None:
        """End the connection, where the other side closed it or broke the protocol, or we have begun to."""
        assert self._transport is not None, "an end before a connection"
        broken = self._protocol.parser_exc
        if broken is not None and self._cut is None:
            too_big = isinstance(broken, PayloadTooBig)
            limit = f"a message exceeds {self._terms.frame_bytes_max} bytes"
            self._fault = limit if too_big else sentence(broken)
        if self._protocol.close_rcvd is not None:
            self._transport.close()
        self._sendable = False
        self._cut_later()

    def _shut(self, code: int, fault: str) -> None:
        if self._transport is None or self._transport.is_closing() or self._protocol.state is not _OPEN:
            return
        self._sendable = False
        self._fault = fault
        self._protocol.send_close(code)
        self._flush()
        self._cut_later()

    def _cut_later(self) -> None:
        """Wait only so long for the other side to close, or to read what is still to be sent."""
        assert self._transport is not None, "an end before a connection"
        if self._cut is None:
            loop = asyncio.get_running_loop()
            self._cut = loop.call_later(self._terms.close_timeout_s, self._transport.abort)

    def _close_reason(self) -> str:
        """Say who closed the connection and why, from the close frames exchanged."""
        protocol = self._protocol
        if protocol.close_rcvd is not None:
            return closed_by("the other side", protocol.close_rcvd.code, protocol.close_rcvd.reason)
        return "the connection was lost"

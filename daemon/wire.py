"""What a websocket is to us, whichever library speaks on it: what it refuses, and how it ends.

daemon/net_picows.py and daemon/net_websockets.py are the two, under the same tests.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from daemon.errors import NetError
from daemon.redact import bare_url, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daemon.proxy import Proxy
    from daemon.seams import Handler

#: a library's own log would be a second, unredacted voice beside `on_close`
SILENT: Final = logging.getLogger("tickd.silent")
SILENT.setLevel(logging.CRITICAL + 1)
SILENT.addHandler(logging.NullHandler())

OK: Final = 1000
PROTOCOL_ERROR: Final = 1002
MESSAGE_TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011

#: a line on which nothing moves is asked after 10 s whether its other end is there, and is lost without an
#: answer after 25 s, as it is if what we sent is not acknowledged for so long: the exchanges' own pings come
#: every 20 s or 3 min, and a private stream may rightly say nothing for hours
_KEEPALIVE: Final = {
    "TCP_KEEPIDLE": 10,
    "TCP_KEEPALIVE": 10,  # its name on macOS
    "TCP_KEEPINTVL": 5,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 25_000,  # ms; of Linux
}


class Terms(NamedTuple):
    """How a websocket is opened and what is borne on it. `sockets` holds whichever are open."""

    frame_bytes_max: int
    connect_timeout_s: float
    #: how long the other side has to answer our close frame
    close_timeout_s: float
    proxy: Proxy | None
    compress: bool
    sockets: set[Line]


class DeclinedError(ConnectionError):
    """An HTTP answer came in place of a websocket."""

    def __init__(self, text: str, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after_s = retry_after_s(headers)


def retry_after_s(headers: Mapping[str, str]) -> int:
    """Return the seconds that a Retry-After header asks for; 0 where it does not say a number."""
    text = headers.get("Retry-After", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


def failed_there(status: int) -> bool:
    """Whether an HTTP status tells of a failure over there, and not of what was asked.

    408 is one too: Binance's USD-M has waited in vain for a part of itself.
    """
    return status >= 500 or status == 408


class Line(ABC):
    """A Wire: the part that knows no library."""

    def __init__(self, url: str, handler: Handler, terms: Terms) -> None:
        self._where = bare_url(url)
        self._terms = terms
        self._handler: Handler | None = handler
        self._on_frame: Callable[[bytes, bool], None] = handler.on_frame
        self._sendable = False
        self._fault = ""

    # --- Wire ----------------------------------------------------------------------------------------------
    @abstractmethod
    def send(self, payload: bytes) -> None:
        """Write one text frame; raises NetError, and then nothing was written."""

    def close(self) -> None:
        """Send a close frame, and cut the connection if the other side does not answer it."""
        self._shut(OK, "closed by us")

    @abstractmethod
    async def abort(self) -> None:
        """Cut the connection without ceremony and wait until it is gone."""

    def pause_writing(self) -> None:
        """Refuse to send while the other side does not read: an order in a full buffer would leave late."""
        self._sendable = False
        self._fault = "the other side does not read"

    # --- parts ---------------------------------------------------------------------------------------------
    @abstractmethod
    def _shut(self, code: int, fault: str) -> None:
        """Send a close frame, unless one was sent, and see to it that the connection ends."""

    def _refusal(self, why: str = "") -> NetError:
        return NetError(
            f"{self._where} takes nothing now: {why or self._fault or 'the connection is closed'}"
        )

    def _on_bug(self, error: Exception) -> None:
        """Report what the handler raised, give it no further frame, and end the connection."""
        self._on_frame = _ignore
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"the handler of {self._where} raised", "exception": error}
        )
        self._shut(INTERNAL_ERROR, f"our handler raised {type(error).__name__}")

    def _begin(self) -> None:
        self._sendable = True
        self._terms.sockets.add(self)

    def _end(self, reason: str) -> None:
        """Tell the handler, once, why it is over, and let go of it.

        It knows us too, and what the collector has frozen (daemon/garbage.py) is freed by no collection: in a
        ring each connection would leave its read buffer behind.
        """
        self._sendable = False
        self._terms.sockets.discard(self)
        handler, self._handler, self._on_frame = self._handler, None, _ignore
        if handler is not None:
            handler.on_close(redact(self._fault or reason))


def keep_alive(transport: asyncio.BaseTransport) -> None:
    """Have the system find out that a connection's other end is gone, though nothing is sent to it."""
    with suppress(OSError):  # it is gone already, and its end on its way
        descriptor = os.dup(transport.get_extra_info("socket").fileno())
        with socket.socket(fileno=descriptor) as line:  # a loop's own stand-in for it may take no options
            line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEPALIVE.items():
                option = getattr(socket, name, None)  # not every platform has each
                if option is not None:
                    line.setsockopt(socket.IPPROTO_TCP, option, value)


def closed_by(who: str, code: int, reason: str) -> str:
    """Say which side closed a connection, and why."""
    return f"{who} closed with code {code}" + (f" ({reason})" if reason else "")


def sentence(error: BaseException) -> str:
    """Return what an exception says, redacted and on one line; its type where it says nothing."""
    text: Any = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return redact(" ".join(str(text).split()))


def _ignore(payload: bytes, last: bool) -> None:
    """Take no frame any more."""

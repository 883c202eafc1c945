"""Market streams: who listens to what, and the SUBSCRIBE protocol of one connection.

A connection is raw (/ws: payloads alone) or combined (/stream: {"stream":..,"data":..}); SET_PROPERTY
switches.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from daemon.errors import DECODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable

_STREAM: Final = re.compile(r"!?[a-z0-9_]+@?[a-zA-Z0-9_@:+.]*|[a-zA-Z0-9]{64}")  # or a listen key
_METHODS: Final = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class Outbox(Protocol):
    """The writing side of one websocket connection."""

    def send(self, payload: bytes) -> None:
        """Queue one text frame."""

    def close(self, code: int, reason: str) -> None:
        """Close the connection."""


def _combine(stream: str, data: bytes) -> bytes:
    return b'{"stream":"%b","data":%b}' % (stream.encode(), data)


def in_microseconds(data: bytes) -> bytes:
    """Return a payload with its times, which are in ms, in microseconds."""
    told = msgspec.json.decode(data)
    for event in told if isinstance(told, list) else (told,):
        for part, names in ((event, "ETOC"), (event.get("k", {}), "tT")):
            part.update({name: part[name] * 1_000 for name in names if isinstance(part.get(name), int)})
    return msgspec.json.encode(told)


class Hub:
    """Streams and their listeners, in the order in which they subscribed."""

    def __init__(self) -> None:
        self._topics: dict[str, list[MarketSession]] = {}
        self.sessions: list[MarketSession] = []
        self.on_change: Callable[[], None] = lambda: None
        self.version = 0  # counts changes of who listens to what
        self.micro = False  # whether any connection has asked for microseconds
        self.meddle: Callable[[str, bytes, Callable[[str, bytes], None]], None] | None = None

    def streams(self) -> list[str]:
        """Return every stream that someone listens to."""
        return list(self._topics)

    def publish(self, stream: str, data: bytes) -> None:
        """Send a payload to the stream's listeners."""
        if stream not in self._topics:
            return
        if self.meddle is None:
            self._send(stream, data)
        else:
            self.meddle(stream, data, self._send)

    def has(self, stream: str) -> bool:
        """Whether anybody listens to the stream."""
        return stream in self._topics

    def tell(self, stream: str, data: bytes) -> None:
        """Send an event of a user's to the stream's listeners; what spoils market data leaves it alone."""
        self._send(stream, data)

    def _send(self, stream: str, data: bytes) -> None:
        combined = b""
        for session in self._topics.get(stream, ()):
            if session.micro:
                session.send(stream, in_microseconds(data))
            elif session.combined:
                combined = combined or _combine(stream, data)
                session.outbox.send(combined)
            else:
                session.outbox.send(data)

    def publish_combined(self, stream: str, frame: bytes) -> None:
        """Send a frame that already is in combined form, byte for byte; raw listeners get its data."""
        sessions = self._topics.get(stream)
        if sessions is None:
            return
        if self.meddle is not None or self.micro:
            self.publish(stream, frame[len(stream) + 20 : -1])
            return
        for session in sessions:
            session.outbox.send(frame if session.combined else frame[len(stream) + 20 : -1])

    def add(self, stream: str, session: MarketSession) -> None:
        """Let a session listen."""
        sessions = self._topics.setdefault(stream, [])
        if session not in sessions:
            sessions.append(session)
            self.version += 1

    def remove(self, stream: str, session: MarketSession) -> None:
        """Let a session listen no more."""
        sessions = self._topics.get(stream, [])
        if session in sessions:
            sessions.remove(session)
            self.version += 1
            if not sessions:
                del self._topics[stream]


class MarketSession:
    """One connection to the market streams."""

    def __init__(
        self,
        hub: Hub,
        outbox: Outbox,
        streams: list[str],
        combined: bool,
        streams_max: int,
        micro: bool = False,
    ) -> None:
        self.combined = combined
        self.micro = micro  # its times are in microseconds
        hub.micro |= micro
        self.outbox = outbox
        self._hub = hub
        self._streams: dict[str, None] = {}
        self._streams_max = streams_max
        hub.sessions.append(self)
        if streams:
            self._subscribe(streams)

    def send(self, stream: str, data: bytes) -> None:
        """Send a stream's payload in the connection's form."""
        self.outbox.send(_combine(stream, data) if self.combined else data)

    def closed(self) -> None:
        """Forget the connection."""
        for stream in self._streams:
            self._hub.remove(stream, self)
        self._streams.clear()
        if self in self._hub.sessions:
            self._hub.sessions.remove(self)
        self._hub.on_change()

    def receive(self, text: bytes) -> None:
        """Take one request and answer it."""
        try:
            request = msgspec.json.decode(text)
        except DECODE_ERRORS as error:
            self._refuse(3, f"Invalid JSON: {error}", None)
            return
        if not isinstance(request, dict):
            self._refuse(2, "Invalid request: expected an object", None)
            return
        self._handle(request)

    def _handle(self, request: dict[str, Any]) -> None:
        identifier = request.get("id")
        method = request.get("method")
        if isinstance(identifier, (bool, float, list, dict)):
            self._refuse(2, "Invalid request: request ID must be an unsigned integer", None)
        elif method is None:
            self._refuse(2, "Invalid request: missing field `method`", identifier)
        elif method not in _METHODS:
            names = ", ".join(f"`{name}`" for name in _METHODS)
            self._refuse(
                2, f"Invalid request: unknown variant `{method}`, expected one of {names}", identifier
            )
        elif method == "LIST_SUBSCRIPTIONS":
            self._answer(list(self._streams), identifier)
        elif method in ("SET_PROPERTY", "GET_PROPERTY"):
            self._property(method, request.get("params"), identifier)
        else:
            self._change(method, request.get("params"), identifier)

    def _change(self, method: str, streams: Any, identifier: Any) -> None:
        if not isinstance(streams, list) or not all(isinstance(stream, str) for stream in streams):
            self._refuse(2, "Invalid request: params must be an array of strings", identifier)
            return
        bad = next((stream for stream in streams if not _STREAM.fullmatch(stream)), None)
        if bad is not None:
            self._refuse(2, f"Invalid request: invalid stream {bad}", identifier)
            return
        if method == "UNSUBSCRIBE":
            for stream in streams:
                if self._streams.pop(stream, 0) is None:
                    self._hub.remove(stream, self)
            self._answer(None, identifier)
            self._hub.on_change()
            return
        if self._streams_max and len(self._streams.keys() | streams) > self._streams_max:
            self.outbox.close(1008, f"a connection may listen to {self._streams_max} streams")
            return
        self._answer(None, identifier)
        self._subscribe(streams)

    def _subscribe(self, streams: list[str]) -> None:
        for stream in streams:
            self._streams[stream] = None
            self._hub.add(stream, self)
        self._hub.on_change()

    def _property(self, method: str, params: Any, identifier: Any) -> None:
        if not isinstance(params, list) or not params or not isinstance(params[0], str):
            self._refuse(2, "Invalid request: property name must be a string", identifier)
        elif params[0] != "combined":
            self._refuse(0, "Unknown property", identifier)
        elif len(params) > (2 if method == "SET_PROPERTY" else 1):
            self._refuse(2, "Invalid request: too many parameters", identifier)
        elif method == "GET_PROPERTY":
            self._answer(self.combined, identifier)
        elif len(params) < 2 or not isinstance(params[1], bool):
            self._refuse(1, "Invalid value type: expected Boolean", identifier)
        else:
            self.combined = params[1]
            self._answer(None, identifier)

    def _answer(self, result: Any, identifier: Any) -> None:
        self.outbox.send(msgspec.json.encode({"result": result, "id": identifier}))

    def _refuse(self, code: int, message: str, identifier: Any) -> None:
        self.outbox.send(msgspec.json.encode({"code": code, "msg": message, "id": identifier}))

"""The exchange behind the weather: what befalls whole messages, whichever way they came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.simulator.gateway import LOST, Answer, Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.simulator.streams import Outbox
    from tests.simulation.world import World

#: websockets that carry orders, or what is told of them
ORDER_PATHS = ("/ws-api", "/ws-fapi", "/private")
_UNAVAILABLE = Answer(503, {}, b"<html>Service Unavailable</html>")


class Gate:
    """A gateway for daemon/simulator/server.py, or for the network of messages: the real one is behind it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._gateway = world.gateway

    def request(self, method: str, target: str, headers: Any, body: str, address: str) -> Answer:
        """Answer a request, or let it meet what the weather has for it."""
        return self.meet(self._world.weather.http(), method, target, headers, body, address)

    def meet(
        self, fate: str, method: str, target: str, headers: Mapping[str, str], body: str, address: str
    ) -> Answer:
        """Answer a request of which it is known what befalls it."""
        if fate == "503":
            return _UNAVAILABLE
        if fate == "lost request":
            return LOST
        answer = self._gateway.request(method, target, headers, body, address)
        return LOST if fate == "lost answer" else answer

    def connect(self, target: str, outbox: Outbox, address: str) -> Session:
        """Open a websocket path of which each message passes by the weather."""
        door = Door(self._world, outbox, orders=target.startswith(ORDER_PATHS))
        opened = self._gateway.connect(target, door, address)
        if opened.session is not None:
            door.hear = opened.session.receive
            opened.session.receive = door.receive  # type: ignore[method-assign]
        return opened

    def shutdown(self) -> None:
        """Announce the end."""
        self._gateway.shutdown()


class Door:
    """The exchange's end of one websocket. `put` takes what leaves it past the weather."""

    def __init__(self, world: World, outbox: Outbox, *, orders: bool) -> None:
        self._world = world
        self._outbox = outbox
        self.orders = orders
        self.hear: Any = None
        self.put = outbox.send
        self.close = outbox.close

    def send(self, payload: bytes) -> None:
        """Let the exchange say something."""
        for one in self._world.weather.tells(self, payload):
            self.put(one)

    def receive(self, payload: bytes) -> None:
        """Let the exchange hear something."""
        if self.orders:
            self._world.checks.arrived(payload)
        if not self._world.weather.loses_up(self, payload):
            self.hear(payload)

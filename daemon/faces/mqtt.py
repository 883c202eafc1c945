"""MQTT: a broker is told of orders, fills, positions, alerts and health (docs/mqtt.md), and tells us nothing.

What happens waits in the outbox; one task sends it, a few events a message, one message at a time, each
until the broker has acknowledged it: a publish costs the loop 0.2 ms, an event in it some microseconds. So a
broker that is gone, frozen or slow costs the oldest of what waits, counted, and the trading nothing. What is
(status, positions, health) is made when it is sent, and so is never old.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from daemon.errors import NetError
from daemon.faces.mqtt_client import STUBBORN, TAKEN_OVER, BusClient, Parcel
from daemon.faces.mqtt_messages import Teller
from daemon.faces.mqtt_outbox import Outbox
from daemon.pause import Backoff, pause, within
from daemon.snapshot import held
from daemon.status import MqttStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from daemon.config import Config
    from daemon.core import Core
    from daemon.faces.mqtt_access import Access
    from daemon.faces.mqtt_messages import Message
    from daemon.seams import Seams
    from daemon.status import Status

#: between two looks into the outbox; an audit wakes nobody
LOOK_S: Final = 0.02
#: so many events in hand, of all topics, and where more wait a shorter pause: who trades has the loop first
EVENTS_MAX: Final = 16
BACKLOG_PAUSE_S: Final = 0.005
#: a broker that does not acknowledge in that is frozen
SEND_S: Final = 2.0
#: for the last words, at the end
END_S: Final = 2.0
_FIRST_S, _CAP_S = 0.25, 2.0
#: of refusals that only a person can mend
_STUBBORN_FIRST_S, _STUBBORN_CAP_S = 2.0, 30.0
#: a connection that held for so long was one
_HELD_NS: Final = 10_000_000_000
#: so many in a row that did not, and the reason may be ours
_SHORT: Final = 3
#: between two words on positions that change, and on drops
_SECOND_NS: Final = 1_000_000_000
_DROPS_NS: Final = 10_000_000_000
#: how long nothing is told on a topic that the broker refused
_MUTE_NS: Final = 60_000_000_000
#: a message that ended so many connections is given up
_TRIES: Final = 3


class Bus:
    """One daemon on one broker. `outbox` observes the orders; `run` is a task of the daemon's."""

    def __init__(
        self,
        config: Config,
        access: Access,
        seams: Seams,
        log: FilteringBoundLogger,
        dial: Callable[[Access, Parcel], BusClient] = BusClient,
    ) -> None:
        mqtt = config.mqtt
        self.outbox = Outbox(mqtt.queue)
        self.connected = False
        self._connections = 0
        self.failure = ""
        self.refused: dict[str, int] = {}
        self._access = access
        self._short = 0  # connections in a row that soon were lost
        self._muted: dict[str, int] = {}  # topics that the broker refuses, and until when
        self._root = f"{mqtt.topic}/{config.name}"
        self._name = config.name
        self._health_ns = int(mqtt.health_s * 1e9)
        self._seams = seams
        self._now = seams.clock.now_ns
        self._dial = dial
        self._log = log
        self._quick = Backoff(_FIRST_S, _CAP_S, seams.random)
        self._stubborn = Backoff(_STUBBORN_FIRST_S, _STUBBORN_CAP_S, seams.random)
        self._sending: list[int] = []  # the numbers of the events in the message that is on its way
        self._tries = 0  # of these
        self._ending = False
        self._task: asyncio.Task[None] | None = None
        self._core: Core
        self._read: Callable[[], Status]
        self._teller: Teller
        self._state_told = ""
        self._fills_told = -1
        self._drops_told = 0
        self._drops_due_ns = self._positions_due_ns = self._health_due_ns = 0

    def attach(self, core: Core, read: Callable[[], Status]) -> None:
        """Learn what there is to tell of; until then audits only wait."""
        orders = core.orders
        self._core, self._read = core, read
        self._teller = Teller(self._name, orders.ids.run, orders.instruments, orders.desks)

    def status(self) -> MqttStatus:
        """Return what every face shows."""
        return MqttStatus(
            broker=self._access.where,
            connected=self.connected,
            queued=self.outbox.waiting,
            published=self.outbox.told,
            dropped=self.outbox.dropped,
            refused=dict(self.refused),
            reconnects=max(0, self._connections - 1),
            failure=self.failure,
        )

    # --- its life --------------------------------------------------------------------------------
    async def run(self) -> None:
        """Connect, tell, and connect again; never raises: a bus that fails is told of, and tried again."""
        self._task = asyncio.current_task()
        while not self._ending:
            began_ns = self._now()
            try:
                await self._hold(self._dial(self._access, self._parcel("status", self._will(), retain=True)))
            except NetError as error:
                self._lost(str(error), error.status, began_ns)
                await self._wait(error)
            except Exception as error:  # whatever is wrong with it: trading goes on
                self._log.error("mqtt_failed", exc_info=error)
                self._lost(f"{type(error).__name__}: {error}", 0, began_ns)
                self.outbox.give_up(self.outbox.hand)
                await self._wait(None)

    async def end(self) -> None:
        """Tell what is left and that the daemon is STOPPED, where the broker takes it; harmless twice."""
        self._ending = True
        task, self._task = self._task, None
        if task is None:
            return
        if self.connected:
            with suppress(TimeoutError):
                await within(self._seams, END_S, asyncio.shield(task))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self.connected = False
        if left := self.outbox.waiting:
            self._log.warning("mqtt_left", count=left)

    async def _hold(self, client: BusClient) -> None:
        """Tell a broker until it is over; raises NetError unless that is the daemon's own end."""
        await client.open()
        pump, lost = asyncio.ensure_future(self._pump(client)), asyncio.ensure_future(client.lost())
        try:
            await asyncio.wait({pump, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not pump.done():
                raise lost.result()
            pump.result()
            await client.close()
        finally:
            for task in (pump, lost):
                task.cancel()
            await asyncio.gather(pump, lost, return_exceptions=True)
            client.abort()

    async def _wait(self, error: NetError | None) -> None:
        """Let time pass before the next attempt, the more of it the longer it goes wrong."""
        stubborn = error is not None and error.status in STUBBORN
        await pause(self._seams, (self._stubborn if stubborn else self._quick).next_s())

    def _lost(self, reason: str, code: int, began_ns: int) -> None:
        """Say why there is no connection, each reason once, and count what was being sent."""
        if self._now() - began_ns > _HELD_NS:
            self._quick.reset()
            self._stubborn.reset()
            self._short = 0
        elif self.connected:
            self._short += 1
        self.connected = False
        if code == TAKEN_OVER or self._short >= _SHORT:  # not every broker gives the code
            name = self._access.client_id
            reason += f"; another client may call itself {name!r}: give each daemon its own name"
        if self._sending:
            self._tries += 1
            if self._tries >= _TRIES:
                self._tries = 0
                self.outbox.give_up(self._sending)
            self._sending = []
        if reason != self.failure:
            self._log.warning("mqtt_down", reason=reason, queued=self.outbox.waiting)
            self.failure = reason
        self._tell_drops()

    # --- telling --------------------------------------------------------------------------------
    async def _pump(self, client: BusClient) -> None:
        """Tell everything, as it comes; return at the daemon's end."""
        self._state_told = ""
        self._health_due_ns = 0
        while True:
            await self._tell_state(client)
            for topic, message in self._teller.events(self.outbox.take(EVENTS_MAX), self._now()):
                self._sending = [one.seq for one in message.events]
                taken = await self._send(client, topic, message, len(message.events))
                self.outbox.done(self._sending, taken=taken)
                self._sending = []
                self._tries = 0
            waiting = self.outbox.waiting
            if self._ending and not waiting and self._core.engine.state == self._state_told:
                return
            await pause(self._seams, BACKLOG_PAUSE_S if waiting else LOOK_S)

    async def _tell_state(self, client: BusClient) -> None:
        """Tell how things are, where that is due: first the status, which takes back the last will."""
        now_ns, engine = self._now(), self._core.engine
        due = now_ns >= self._health_due_ns
        if due or engine.state != self._state_told:
            await self._tell_status(client)
        fills = self._core.tally.fills
        if due or (fills != self._fills_told and now_ns >= self._positions_due_ns):
            self._fills_told = fills
            self._positions_due_ns = now_ns + _SECOND_NS
            told = self._teller.positions(held(self._core), now_ns)
            await self._send(client, "positions", told, retain=True)
        if due:
            self._health_due_ns = now_ns + self._health_ns
            await self._send(client, "health", self._teller.health(self._read()))
            self._tell_drops()

    async def _tell_status(self, client: BusClient) -> None:
        status = self._read()
        self._state_told = status.state
        await self._send(client, "status", self._teller.status(status), retain=True)
        if not self.connected:
            self.connected = True
            self._connections += 1
            self._log.info("mqtt_up", broker=self._access.where, queued=self.outbox.waiting)
            self.failure = ""

    def _will(self) -> Message:
        return self._teller.status(self._read(), "LOST")

    async def _send(
        self, client: BusClient, topic: str, message: Message, count: int = 1, *, retain: bool = False
    ) -> bool:
        """Send one message, of so many events; return whether the broker took it; raises NetError.

        After a refusal the topic is left alone for a minute: some brokers also end the connection by it.
        """
        if self._now() < self._muted.get(topic, 0):
            self.refused[topic] += count
            return False
        parcel = self._parcel(topic, message, retain=retain)
        try:
            refusal = await within(self._seams, SEND_S, client.send(parcel))
        except TimeoutError:
            raise NetError(
                f"the MQTT broker at {self._access.where} has not answered for {SEND_S:g} s"
            ) from None
        if refusal:
            if topic not in self._muted:
                self._log.error("mqtt_refused", topic=f"{self._root}/{topic}", reason=refusal)
            self._muted[topic] = self._now() + _MUTE_NS
            self.refused[topic] = self.refused.get(topic, 0) + count
        else:
            self._muted.pop(topic, None)
        return not refusal

    def _parcel(self, topic: str, message: Message, *, retain: bool) -> Parcel:
        return Parcel(f"{self._root}/{topic}", msgspec.json.encode(message), retain)

    def _tell_drops(self) -> None:
        """Say in the log how many were dropped since it said so, now and then."""
        dropped, now_ns = self.outbox.dropped, self._now()
        if dropped > self._drops_told and now_ns >= self._drops_due_ns:
            self._log.warning("mqtt_dropped", count=dropped - self._drops_told, total=dropped)
            self._drops_told = dropped
            self._drops_due_ns = now_ns + _DROPS_NS

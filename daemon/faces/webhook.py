"""Notifications: fills, halts and alerts are posted to one web address (docs/webhook.md).

As over MQTT, what happens is put aside on the trading stack and told by one task, in order, one request at a
time, again until the other side has taken it; where more wait than there is room for, the oldest are dropped.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from daemon.errors import ConfigError, NetError
from daemon.faces.mqtt_messages import Teller
from daemon.faces.mqtt_outbox import Outbox
from daemon.faces.webhook_forms import FORMS
from daemon.orders.audit import Alarm, Filled, Latched
from daemon.pause import Backoff, pause, within
from daemon.redact import redact
from daemon.status import WebhookStatus

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from daemon.config import Config
    from daemon.core import Core
    from daemon.faces.mqtt_messages import EventsMessage
    from daemon.faces.webhook_access import Address
    from daemon.orders.audit import Audit
    from daemon.seams import Net, Response, Seams

#: between two looks for what is new; chats take about a message a second
LOOK_S: Final = 1.0
#: so many events in one request: a chat's message is short
EVENTS_MAX: Final = 8
#: for the last words, at the end
END_S: Final = 2.0
_FIRST_S, _CAP_S = 1.0, 60.0
#: statuses that say "later"; others from 300 to 499 say "never"
_LATER: Final = frozenset({408, 425, 429})
_OF: Final = {Filled: "fills", Latched: "halts", Alarm: "alerts"}


class Notices(Outbox):
    """What of the orders is told to a person: kinds that were asked for, and no step of an order."""

    def __init__(self, size: int, kinds: tuple[str, ...]) -> None:
        super().__init__(size)
        self._types = frozenset(kind for kind, name in _OF.items() if name in kinds)

    def __call__(self, audit: Audit) -> None:
        """Put one audit into the queue, or leave it."""
        if type(audit) in self._types:
            super().__call__(audit)


class Webhook:
    """One daemon at one address. `outbox` observes the orders; `run` is a task of the daemon's."""

    def __init__(
        self, config: Config, address: Address, net: Net, seams: Seams, log: FilteringBoundLogger
    ) -> None:
        hook = config.webhook
        self.outbox = Notices(hook.queue, hook.events)
        self.refused = 0
        self.failure = ""
        self._body = FORMS[hook.form]
        self._address = address
        self._timeout_s = hook.timeout_s
        self._name = config.name
        self._net = net
        self._seams = seams
        self._log = log
        self._backoff = Backoff(_FIRST_S, _CAP_S, seams.random)
        self._ending = False
        self._task: asyncio.Task[None] | None = None
        self._teller: Teller

    def attach(self, core: Core) -> None:
        """Learn what there is to tell of; until then audits only wait."""
        orders = core.orders
        self._teller = Teller(self._name, orders.ids.run, orders.instruments, orders.desks)

    def status(self) -> WebhookStatus:
        """Return what every face shows."""
        return WebhookStatus(
            host=self._address.host,
            queued=self.outbox.waiting,
            told=self.outbox.told,
            dropped=self.outbox.dropped,
            refused=self.refused,
            failure=self.failure,
        )

    async def run(self) -> None:
        """Tell what happens, as it comes; never raises."""
        self._task = asyncio.current_task()
        while True:
            try:
                await self._tell_some()
            except Exception as error:  # whatever is wrong with it: trading goes on
                self._log.error("webhook_failed", exc_info=error)
                self.outbox.give_up(self.outbox.hand)
            if self._ending and not self.outbox.waiting:
                return
            if not self._ending:
                await pause(self._seams, LOOK_S)

    async def _tell_some(self) -> None:
        for _, message in self._teller.events(self.outbox.take(EVENTS_MAX), self._seams.clock.now_ns()):
            numbers = [one.seq for one in message.events]
            self.outbox.done(numbers, taken=await self._tell(message))

    async def end(self) -> None:
        """Tell what is left, where the other side takes it; harmless twice."""
        self._ending = True
        task, self._task = self._task, None
        if task is None:
            return
        with suppress(TimeoutError):
            await within(self._seams, END_S, asyncio.shield(task))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self._net.close()
        if left := self.outbox.waiting:
            self._log.warning("webhook_left", count=left)

    async def _tell(self, message: EventsMessage) -> bool:
        """Return whether the other side took it; where it may later, ask again until it does."""
        body = self._body(message)
        while True:
            retry_s = 0.0
            try:
                answer = await self._post(body)
            except (NetError, ConfigError) as error:
                reason = redact(str(error))
            else:
                if 200 <= answer.status < 300:
                    self._backoff.reset()
                    if self.failure:
                        self._log.info("webhook_up", queued=self.outbox.waiting)
                        self.failure = ""
                    return True
                reason = f"{self._address.host} answered {answer.status}"
                if 300 <= answer.status < 500 and answer.status not in _LATER:
                    self._fail(f"{reason}, which no repetition mends: correct the address or what it expects")
                    self.refused += len(message.events)
                    await pause(self._seams, self._backoff.next_s())  # it may be a person who mends it
                    return False
                retry_s = _retry_after(answer)
            self._fail(reason)
            await pause(self._seams, max(retry_s, self._backoff.next_s()))

    async def _post(self, body: bytes) -> Response:
        address = self._address
        return await self._net.request("POST", address.url, address.headers, body, self._timeout_s)

    def _fail(self, reason: str) -> None:
        """Say why nothing is told, each reason once."""
        if reason != self.failure:
            self._log.warning("webhook_down", reason=reason, queued=self.outbox.waiting)
            self.failure = reason


def _retry_after(answer: Response) -> float:
    """Return the seconds that an answer asks to wait, a minute at most; 0: none."""
    try:
        return min(_CAP_S, max(0.0, float(answer.headers.get("Retry-After", "0"))))
    except ValueError:
        return 0.0

"""Who is told what happens, each by a task of its own: an MQTT broker, a webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.faces.mqtt_access import make_bus
from daemon.faces.webhook_access import make_webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from daemon.config import Config
    from daemon.core import Core
    from daemon.logs import Logs
    from daemon.orders.audit import Observer
    from daemon.seams import Seams
    from daemon.status import Status


class Sinks:
    """Those that the configuration names. `observers` are the orders'; raises ConfigError."""

    def __init__(self, config: Config, seams: Seams, environ: Mapping[str, str], logs: Logs) -> None:
        self._bus = make_bus(config, seams, environ, logs)
        self._hook = make_webhook(config, seams, environ, logs)
        self.observers: list[Observer] = [one.outbox for one in (self._bus, self._hook) if one is not None]

    def begin(
        self, core: Core, read: Callable[[], Status], spawn: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        """Tell from now on, by tasks that `spawn` makes; `read` returns how the daemon is."""
        if self._bus is not None:
            self._bus.attach(core, read)
            spawn(self._bus.run())
        if self._hook is not None:
            self._hook.attach(core)
            spawn(self._hook.run())

    def fill(self, status: Status) -> None:
        """Add what every face shows of them."""
        status.mqtt = None if self._bus is None else self._bus.status()
        status.webhook = None if self._hook is None else self._hook.status()

    async def end(self) -> None:
        """Tell what is left, where they take it; harmless twice."""
        for one in (self._bus, self._hook):
            if one is not None:
                await one.end()

"""Words for people and machines, never on the hot path.

A call costs three microseconds: it stamps the event and puts it into a bounded queue. Ten times a second the
queue is rendered (JSON or console), redacted and written. An event that repeats too fast is dropped and
counted, and its next line says how many were; what a full queue drops is counted too.

    log = logs.get("feed")
    log.warning("reconnecting", reason=reason, delay_s=2.0)

Event names are constants of the code; what varies goes into fields.
"""

from __future__ import annotations

import logging
import sys
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import msgspec
import structlog

from daemon.errors import ConfigError
from daemon.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, FilteringBoundLogger, Processor

    from daemon.config import LogConfig
    from daemon.seams import Clock, Scheduler, Seams, Timer

QUEUE_MAX: Final = 10_000
#: lines of one event name in one second
BURST_MAX: Final = 20
FLUSH_NS: Final = 100_000_000
_SECOND_NS: Final = 1_000_000_000
LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def open_logs(config: LogConfig, seams: Seams) -> Logs:
    """Return the process's logs, writing to the configured file or to standard error; raises ConfigError."""
    write: Any = sys.stderr.buffer.write
    if config.file:
        try:
            write = seams.disk.append(Path(config.file)).write
        except OSError as error:
            raise ConfigError(f"log.file {config.file} cannot be written ({error.strerror})") from None
    logs = Logs(seams.clock, write, config.level, config.format)
    logs.install()
    logs.start(seams.scheduler)
    return logs


class Logs:
    """Every logger of one process. `write` takes rendered lines; it may raise OSError, which drops them."""

    def __init__(
        self,
        clock: Clock,
        write: Callable[[bytes], object],
        level: str = "info",
        form: Literal["console", "json"] = "console",
    ) -> None:
        self.dropped = 0
        #: called before anything is written: who put something aside logs it now, with its own `now_ns`
        self.sources: list[Callable[[], None]] = []
        self._clock = clock
        self._write = write
        self._queue: deque[EventDict] = deque()
        self._bursts: dict[str, _Burst] = {}
        self._render = _render_json if form == "json" else _render_console
        self._timer: Timer | None = None
        self._processors: list[Processor] = [
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            self._admit,
        ]
        self.set_level(level)
        # the least that can be asked for: which events become lines is decided as they come
        self._wrapper = structlog.make_filtering_bound_logger(min(LEVELS.values()))
        self._root = structlog.wrap_logger(
            _Queue(self._queue),
            processors=self._processors,
            wrapper_class=self._wrapper,
            cache_logger_on_first_use=True,
        )

    def get(self, component: str) -> FilteringBoundLogger:
        """Return the logger of a component; `bind(client_order_id=...)` gives one that repeats a field."""
        return cast("FilteringBoundLogger", self._root.bind(component=component))

    def set_level(self, level: str) -> None:
        """Let only events of this level and above be lines from now on."""
        self._passed_over = {name for name, number in LEVELS.items() if number < LEVELS[level]}

    def install(self) -> None:
        """Take over the process's other loggers: structlog's own, and the standard library's warnings."""
        structlog.configure(
            processors=self._processors,
            wrapper_class=self._wrapper,
            logger_factory=lambda *_: _Queue(self._queue),
        )
        logging.basicConfig(handlers=[_Bridge(self.get("library"))], level=logging.WARNING, force=True)

    def start(self, scheduler: Scheduler) -> None:
        """Write ten times a second from now on."""

        def tick() -> None:
            self.flush()
            self._timer = scheduler.call_at(self._clock.now_ns() + FLUSH_NS, tick)

        tick()

    def stop(self) -> None:
        """Write what is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush()

    def flush(self) -> None:
        """Render and write everything queued, the oldest first."""
        for source in self.sources:
            source()
        if not self._queue:
            return
        lines = [redact(self._render(event)) for event in sorted(self._queue, key=_now_ns)]
        self._queue.clear()
        try:
            self._write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
        except OSError:  # a full disk or a closed terminal must not end the daemon; the count tells
            self.dropped += len(lines)

    def passes_over(self, name: str, level: str = "info") -> bool:
        """Whether an event would be no line, and needs no words; where it comes too often, it is counted."""
        if level in self._passed_over:
            return True
        burst = self._bursts.get(name)
        if burst is None or burst.lines < BURST_MAX or self._clock.now_ns() - burst.start_ns >= _SECOND_NS:
            return False
        burst.lines += 1
        self.dropped += 1
        return True

    def _admit(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        """Stamp an event, or drop it: the last processor, run at the call."""
        if event["level"] in self._passed_over:
            raise structlog.DropEvent
        now_ns = self._clock.now_ns()
        burst = self._bursts.get(event["event"])
        if burst is None:
            burst = self._bursts[event["event"]] = _Burst(now_ns)
        if now_ns - burst.start_ns >= _SECOND_NS:
            if burst.lines > BURST_MAX:
                event["suppressed"] = burst.lines - BURST_MAX
            burst.start_ns, burst.lines = now_ns, 0
        burst.lines += 1
        if burst.lines > BURST_MAX or len(self._queue) >= QUEUE_MAX:
            self.dropped += 1
            raise structlog.DropEvent
        return {"now_ns": now_ns, **event}


class _Burst:
    """One event name's second."""

    __slots__ = ("lines", "start_ns")

    def __init__(self, start_ns: int) -> None:
        self.start_ns = start_ns
        self.lines = 0


class _Queue:
    """What structlog takes for the logger proper: every method appends."""

    def __init__(self, queue: deque[EventDict]) -> None:
        self._append = queue.append

    def msg(self, **event: Any) -> None:
        self._append(event)

    debug = info = warning = error = critical = exception = log = msg


class _Bridge(logging.Handler):
    """Hands the standard library's records to our own queue."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.log(
            min(record.levelno, logging.ERROR),
            record.name,
            message=record.getMessage(),
            exc_info=record.exc_info,
        )


def _now_ns(event: EventDict) -> int:
    now_ns: int = event["now_ns"]
    return now_ns


def _time(now_ns: int) -> str:
    """Return UTC as 2026-01-31T12:00:00.000000Z."""
    seconds, ns = divmod(now_ns, _SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ns // 1000:06d}Z"


def _ordered(event: EventDict) -> dict[str, Any]:
    """Return time, level, component and event first, then the fields as they were given."""
    rest = dict(event)
    head = {"time": _time(rest.pop("now_ns"))}
    return head | {key: rest.pop(key) for key in ("level", "component", "event") if key in rest} | rest


def _render_json(event: EventDict) -> str:
    return msgspec.json.encode(_ordered(event), enc_hook=str).decode()


def _render_console(event: EventDict) -> str:
    fields = _ordered(event)
    trace = fields.pop("exception", "")
    time, level, component, name = (fields.pop(key) for key in ("time", "level", "component", "event"))
    head = f"{time[11:23]} {level:<7} {component}: {name}"
    # repr keeps a venue's text on its line, whatever control characters it holds
    tail = "".join(
        f" {key}={value if isinstance(value, (int, float)) else repr(str(value))}"
        for key, value in fields.items()
    )
    return head + tail + (f"\n{trace}" if trace else "")

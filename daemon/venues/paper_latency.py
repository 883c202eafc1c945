"""How long orders and reports are on their way to and from the paper venue: fixed, or as a journal measured.

A journal knows of each order when the tick came that it was decided on, and when the venue's first word on it
did. The time between is what an order really waited for: the way there and back, and our own deciding and
sending in it, which is a small part. Each request draws one such time, half of it there and the rest back,
and a report that nobody asked for draws half of another. The draws are the same in every run, so that the
same ticks give the same reports. Nothing overtakes on a connection: what draws a shorter time waits for what
went before it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.errors import ConfigError, JournalError
from daemon.events import ExecutionReport
from daemon.orders.reader import read_all
from daemon.orders.records import Placed, Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.seams import Clock, Disk, Scheduler

MEASURED: Final = "measured:"
#: fewer answers than this are no distribution
ANSWERS_MIN: Final = 20
#: of a long journal the newest are taken
_ANSWERS_MAX: Final = 100_000
#: the venue's first word on an order
_WORDS: Final = frozenset({"NEW", "TRADE", "REJECTED", "CANCELED", "EXPIRED"})
#: a report that no request has caused
_UNASKED: Final = -1


#: returns a way there and a way back, in ns
Delays = Callable[[], tuple[int, int]]


def fixed(there_ns: int, back_ns: int) -> Delays:
    """Return delays that are always the same."""
    return lambda: (there_ns, back_ns)


def drawn(round_trips_ns: Sequence[int]) -> Delays:
    """Return delays drawn from round trips, each as likely as the others, in the same order in every run."""
    state = 1

    def draw() -> tuple[int, int]:
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64  # Knuth's MMIX
        round_trip_ns = round_trips_ns[(state >> 33) % len(round_trips_ns)]
        there_ns = round_trip_ns // 2
        return there_ns, round_trip_ns - there_ns

    return draw


class Way:
    """The connection to the venue and back, as timers."""

    __slots__ = ("_arrives_ns", "_back_ns", "_clock", "_delays", "_scheduler", "_told_ns")

    def __init__(self, clock: Clock, scheduler: Scheduler, delays: Delays) -> None:
        self._clock = clock
        self._scheduler = scheduler
        self._delays = delays
        self._back_ns = _UNASKED  # of the request that is being answered
        self.restart()

    def restart(self) -> None:
        """Let nothing sent before hold up what follows: the clock was set."""
        self._arrives_ns = self._told_ns = 0

    def send(self, request: Callable[[], None]) -> None:
        """Let a request arrive: call it then."""
        there_ns, back_ns = self._delays()
        self._arrives_ns = max(self._arrives_ns, self._clock.now_ns() + there_ns)
        self._scheduler.call_at(self._arrives_ns, partial(self._arrive, request, back_ns))

    def _arrive(self, request: Callable[[], None], back_ns: int) -> None:
        self._back_ns = back_ns
        request()
        self._back_ns = _UNASKED

    def tell(self, report: Callable[[], None]) -> None:
        """Let a report arrive: call it then. What a request causes at once shares its draw."""
        back_ns = self._delays()[1] if self._back_ns == _UNASKED else self._back_ns
        self._told_ns = max(self._told_ns, self._clock.now_ns() + back_ns)
        self._scheduler.call_at(self._told_ns, report)


def measured(disk: Disk, folder: Path) -> list[int]:
    """Return the round trips in ns that a journal's orders waited for their first answer.

    Raises ConfigError for a folder that is no journal, is damaged, or has too few answers.
    """
    sent: dict[str, int] = {}
    found: list[int] = []
    head = ""
    try:
        for _, _, record in read_all(disk, folder):
            if isinstance(record, Run):
                head = f"{record.prefix}-{record.run}-"
                sent.clear()  # what a start finds out about older orders is no answer in time
            elif isinstance(record, Placed):
                sent[f"{head}{record.seq}"] = record.now_ns
            elif isinstance(record, ExecutionReport):
                sent_ns = sent.pop(record.client_order_id, 0)
                if sent_ns and record.kind in _WORDS and not record.unsent:
                    found.append(max(record.wire_ns - sent_ns, 0))
    except (JournalError, OSError) as error:
        raise ConfigError(f"paper.latency: {error}") from None
    if len(found) < ANSWERS_MIN:
        raise ConfigError(
            f"paper.latency: the journal {folder} holds {len(found)} answered orders, and {ANSWERS_MIN} or "
            "more are needed; name another journal, or leave it at latency_in_us and latency_out_us"
        )
    return found[-_ANSWERS_MAX:]


def folder_of(latency: str) -> Path | None:
    """Return the journal that a configured latency names, None for "fixed"; raises ConfigError."""
    if latency == "fixed":
        return None
    folder = latency.removeprefix(MEASURED)
    if folder in {latency, ""}:
        raise ConfigError(
            f'paper.latency = "{latency}" is neither "fixed" nor "{MEASURED}FOLDER", the folder of a journal'
        )
    return Path(folder)

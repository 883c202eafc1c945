"""Where the time goes: one histogram a stage, filled by one compiled call a drain.

    decode   frame on the wire -> ready to decide (the whole drain's frames)
    decide   -> features, rows, model, decide, reconcile and limits done
    risk     -> approved
    record   -> its number given, appended to the journal, the order made
    send     -> request made, signed and written
    order    frame on the wire -> order written: tick to order, inside the process
    ack      order written -> the venue's first word on it
    turn     frame on the wire -> decided, where one call does both (kernels.pipeline): no decode, no decide

Spans are nanoseconds of one clock. On virtual time every span is the modelled one, so a replay records none.

Where a session is on the record the slowest tick of each stage is kept too, with its entry on the tape: a
comparison a span, since a new maximum of the last seconds is rare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from daemon.entry import bound
from daemon.status import SlowTick
from kernels import stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

STAGES: Final = ("decode", "decide", "risk", "record", "send", "order", "ack", "turn")
_DECODE, _DECIDE, _RISK, _RECORD, _SEND, _ORDER, _ACK, _TURN = range(len(STAGES))
#: for so long a tick stays the slowest at least, twice as long at most
SLOWEST_NS: Final = 15_000_000_000
_NEVER: Final = 1 << 63


class Spans:
    """The histograms (kernels.stats), one row a stage."""

    def __init__(self) -> None:
        self.histograms: NDArray[np.int64] = np.zeros((len(STAGES), stats.HISTOGRAM_SIZE), dtype=np.int64)
        h = self.histograms
        self._decided = h[_DECODE : _DECIDE + 1]
        self._sent = h[_RISK : _SEND + 1]
        self._order = h[_ORDER]
        self._ack = h[_ACK]
        self._turn = h[_TURN]
        self._observe = bound(stats.observe)
        self._observe_two = bound(stats.observe_two)
        self._observe_three = bound(stats.observe_three)
        self._seq: Callable[[], int] = int
        self._begun_ns = 0  # when the slowest were last begun anew
        self._worst_ns = [_NEVER] * len(STAGES)  # beyond which a tick is the slowest
        self._slowest: dict[int, SlowTick] = {}
        self._before: dict[int, SlowTick] = {}

    def decided(self, wire_ns: int, ready_ns: int, decided_ns: int) -> None:
        """Record a drain: received, ready to decide, decided."""
        self._observe_two(self._decided, wire_ns, ready_ns, decided_ns)
        worst_ns = self._worst_ns
        if ready_ns - wire_ns > worst_ns[_DECODE]:
            self._slow(_DECODE, ready_ns - wire_ns, decided_ns)
        if decided_ns - ready_ns > worst_ns[_DECIDE]:
            self._slow(_DECIDE, decided_ns - ready_ns, decided_ns)

    def turned(self, wire_ns: int, decided_ns: int) -> None:
        """Record a turn: received, decided."""
        span_ns = decided_ns - wire_ns
        self._observe(self._turn, span_ns)
        if span_ns > self._worst_ns[_TURN]:
            self._slow(_TURN, span_ns, decided_ns)

    def sent(self, wire_ns: int, decided_ns: int, checked_ns: int, recorded_ns: int, sent_ns: int) -> None:
        """Record an action that left: decided (or the one before it sent), approved, recorded, written."""
        self._observe_three(self._sent, decided_ns, checked_ns, recorded_ns, sent_ns)
        span_ns = sent_ns - wire_ns
        self._observe(self._order, span_ns)
        if span_ns > self._worst_ns[_ORDER]:
            self._slow(_ORDER, span_ns, sent_ns)

    def acknowledged(self, span_ns: int) -> None:
        """Record the venue's first word on an order."""
        self._observe(self._ack, span_ns)

    # --- the slowest ----------------------------------------------------------------------------------------
    def find_by(self, seq: Callable[[], int]) -> None:
        """Keep the slowest ticks from now on; seq: what the entry on the tape is that is processed."""
        self._seq = seq
        self._worst_ns = [0] * len(STAGES)

    def slowest(self, now_ns: int) -> list[SlowTick | None]:
        """Return the slowest tick of each stage, of the last 15 to 30 s where somebody asks that often."""
        if now_ns - self._begun_ns > SLOWEST_NS:
            self._begun_ns = now_ns
            self._before, self._slowest = self._slowest, {}
            self._worst_ns = [0] * len(STAGES)
        found = []
        for stage in range(len(STAGES)):
            both = [one[stage] for one in (self._slowest, self._before) if stage in one]
            found.append(max(both, key=_span, default=None))
        return found

    def _slow(self, stage: int, span_ns: int, at_ns: int) -> None:
        self._worst_ns[stage] = span_ns
        self._slowest[stage] = SlowTick(self._seq(), span_ns / 1e9, at_ns / 1e9)


def _span(one: SlowTick) -> float:
    return one.span_s


class NoSpans(Spans):
    """Records nothing: on virtual time there is nothing to measure."""

    def decided(self, wire_ns: int, ready_ns: int, decided_ns: int) -> None:
        """Do nothing."""

    def turned(self, wire_ns: int, decided_ns: int) -> None:
        """Do nothing."""

    def sent(self, wire_ns: int, decided_ns: int, checked_ns: int, recorded_ns: int, sent_ns: int) -> None:
        """Do nothing."""

    def acknowledged(self, span_ns: int) -> None:
        """Do nothing."""

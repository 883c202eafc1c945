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
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from daemon.entry import bound
from kernels import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

STAGES: Final = ("decode", "decide", "risk", "record", "send", "order", "ack", "turn")
_DECODE, _DECIDE, _RISK, _RECORD, _SEND, _ORDER, _ACK, _TURN = range(len(STAGES))


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

    def decided(self, wire_ns: int, ready_ns: int, decided_ns: int) -> None:
        """Record a drain: received, ready to decide, decided."""
        self._observe_two(self._decided, wire_ns, ready_ns, decided_ns)

    def turned(self, wire_ns: int, decided_ns: int) -> None:
        """Record a turn: received, decided."""
        self._observe(self._turn, decided_ns - wire_ns)

    def sent(self, wire_ns: int, decided_ns: int, checked_ns: int, recorded_ns: int, sent_ns: int) -> None:
        """Record an action that left: decided (or the one before it sent), approved, recorded, written."""
        self._observe_three(self._sent, decided_ns, checked_ns, recorded_ns, sent_ns)
        self._observe(self._order, sent_ns - wire_ns)

    def acknowledged(self, span_ns: int) -> None:
        """Record the venue's first word on an order."""
        self._observe(self._ack, span_ns)


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

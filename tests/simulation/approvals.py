"""What risk has approved: each order that leaves needs an approval of its own, and is what was approved."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from daemon.orders.intents import Approved
from daemon.orders.risk import Risk
from kernels.dtypes import X_DECIDED_HALF_TICKS, X_REFUSAL, X_VERB

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from daemon.clock import VirtualTime
    from daemon.orders.records import Placed

Wish = tuple[int, ...]


class Approvals:
    """The approvals of this moment: the way from risk to the wire takes no time, so older ones are void."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time
        self._at_ns = 0
        self._given: Counter[Wish] = Counter()

    def watch(self) -> AbstractContextManager[Any]:
        """Take note of what `Risk.check` returns, whatever a planted bug makes of it."""
        check = Risk.check

        def noted(risk: Risk, desk: Any, action: list[int], now_ns: int) -> Any:
            verdict = check(risk, desk, action, now_ns)
            if type(verdict) is Approved:
                self._expire()
                parts = verdict.action[X_VERB + 1 : X_REFUSAL]
                decided = verdict.action[X_DECIDED_HALF_TICKS]
                self._given[desk.index, verdict.instrument, *parts, decided] += 1
            return verdict

        return patch.object(Risk, "check", noted)

    def take(self, placed: Placed) -> bool:
        """Use up the approval of an order as it was recorded; return whether there was one."""
        self._expire()
        wish = (placed.strategy, placed.instrument, *placed.action[X_VERB + 1 :])
        if not self._given[wish]:
            return False
        self._given[wish] -= 1
        return True

    def _expire(self) -> None:
        now_ns = self._time.now_ns()
        if now_ns != self._at_ns:
            self._at_ns = now_ns
            self._given.clear()

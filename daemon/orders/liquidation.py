"""How near positions in derivatives are to being liquidated: nothing is added to one that is too near.

The limits kernel has looked ahead at every order; this looks at what prices have done since, and at the
venue's own figure, which knows of positions that we do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.orders.audit import Alarm
from kernels.dtypes import GATE_LIQUIDATION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.instruments import Instrument
    from daemon.orders.audit import Audit
    from daemon.orders.gates import Gates
    from daemon.orders.portfolio import Portfolio

#: a person is told of the same instrument so often
_AGAIN_NS: Final = 600_000_000_000


class LiquidationWatch:
    """Holds the gate of instruments whose margin secures a position that is too near its liquidation."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        distance_min: float,
        gates: Gates,
        tell: Callable[[Audit], object],
    ) -> None:
        self._instruments = instruments
        self._distance_min = distance_min
        self._gates = gates
        self._tell = tell
        self._closed: set[int] = set()
        self._due_ns: dict[int, int] = {}  # when a person may be told of an instrument again

    def look(self, portfolio: Portfolio, now_ns: int) -> None:
        """Look at what is held; in cross margin, one that is near closes all that its asset secures."""
        closed: set[int] = set()
        for margin in portfolio.margins.values():
            near = {index: far for index, far in margin.distances() if far < self._distance_min}
            for index, far in near.items():
                self._alarm(index, far, now_ns)
            if near and not margin.isolated:
                closed |= {one.index for one in self._instruments if one.quote == margin.asset}
            closed |= near.keys()
        for index in closed - self._closed:
            self._gates.close(index, GATE_LIQUIDATION)
        for index in self._closed - closed:
            self._gates.open(index, GATE_LIQUIDATION)
        self._closed = closed

    def clock_stepped(self, step_ns: int) -> None:
        """Take the step of a clock that was set anew."""
        self._due_ns = {index: due_ns + step_ns for index, due_ns in self._due_ns.items()}

    def _alarm(self, index: int, far: float, now_ns: int) -> None:
        if now_ns < self._due_ns.get(index, 0):
            return
        self._due_ns[index] = now_ns + _AGAIN_NS
        text = (
            f"the position in {self._instruments[index].symbol} is {max(far, 0.0):.2%} from its liquidation, "
            f"nearer than {self._distance_min:.2%}: nothing is added to it"
        )
        self._tell(Alarm("liquidation_near", text, now_ns))

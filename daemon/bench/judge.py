"""What judging costs by itself: one call from Python of the kernels that reconcile and limit what is wanted.

The daemon does it inside the call that decides, where no stamp can be taken (kernels.pipeline.finish). Here
it stands alone, over targets as the bench's strategy names them, each an order that passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import njit

from daemon.bench import strategy
from daemon.bench.market import instrument
from daemon.clock import SystemClock
from daemon.config import ReconcileConfig
from daemon.entry import bound
from daemon.runtime import rules_of
from kernels import dtypes as dt
from kernels import limits, reconcile

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: orders in a round
COUNT: Final = 5_000
_BID, _ASK = 59_990.0, 60_010.0
#: prices stay within the collar of the market above
_MARKS: Final = 1_000
#: in the middle of what is wanted: no target is nearer than the least that can be traded
_HELD_LOTS: Final = strategy.LOW_LOTS + strategy.BAND_LOTS + 5_000


@njit(cache=True)
def judge(mem: Any, now_ns: int, wanted: int) -> int:
    """Reconcile the targets in `out`, and check what comes of them; return how many actions that is.

    How many targets there are is asked for, as when trading: for a constant numba compiles another kernel.
    """
    m = mem[0]
    position, working, book, rules, actions = m.position[:], m.working[:], m.book[:], m.rules[:], m.actions[:]
    n = reconcile.reconcile(
        now_ns, wanted, m.out[:], position, working, book, rules, actions, m.clamped[:], m.plan[:]
    )
    limits.check(n, actions, position, working, book, rules, m.limits[:], m.gate[:], m.account[:])
    return int(n)


class Judge:
    """A strategy's memory with a market, no limits to meet, and nothing at work."""

    def __init__(self, seed: int) -> None:
        """Compile or load the kernels."""
        self._clock = SystemClock()
        self._random = np.random.default_rng(seed)
        self._memory = np.zeros(1, dt.memory_dtype(1, 1, 1, 1, 1, 1))
        record = self._memory[0]
        record["rules"][0] = rules_of(instrument(0), ReconcileConfig(), (0.0, 0.0), can_amend=False)
        record["limits"][:] = np.inf
        record["limits"][:, dt.M_LIQUIDATION_DISTANCE_MIN] = -np.inf
        record["book"][..., 0] = np.nan
        record["book"][0, :, 0] = (_BID, 1.0), (_ASK, 1.0)
        record["account"][:] = 1e12
        record["position"][0, [dt.P_QTY, dt.P_FREE_BASE]] = _HELD_LOTS * 1e-5
        judge(self._memory, 0, 1)

    def measure(self) -> NDArray[np.int64]:
        """Return the ns of COUNT judgements on this thread's core, each of another target."""
        record, call, now_ns = self._memory[0], bound(judge), self._clock.now_ns
        out, actions, memory = record["out"], record["actions"], self._memory
        marks = self._random.integers(1, _MARKS, COUNT)
        bands = self._random.choice([strategy.LOW_LOTS, strategy.HIGH_LOTS], COUNT)
        lots = bands + self._random.integers(0, strategy.BAND_LOTS, COUNT)
        worst = np.where(lots > _HELD_LOTS, strategy.BUY_BASE, strategy.SELL_BASE) + marks * 0.01
        taken = np.zeros(COUNT, np.int64)
        for place, (price, qty) in enumerate(zip(worst.tolist(), (lots * 1e-5).tolist(), strict=True)):
            out[0] = dt.TARGET, 0, np.nan, np.nan, price, qty
            start_ns = now_ns()
            count = call(memory, start_ns, 1)
            taken[place] = now_ns() - start_ns
            assert count == 1, "a target is one order"
            assert actions[0, dt.X_REFUSAL] == dt.APPROVED, "an order within all limits is approved"
        return taken

"""Whether strategies have seen enough to act: warm-up counts ticks towards it, a gap may undo it.

A strategy that warms up is asked, so that its state learns, and nothing it wants is done. What a gap means
to it is its own declaration (strategies/base.py): it goes on, or it forgets what the instrument taught it and
warms up anew, and its orders but the protective stops are cancelled, since nobody minds them meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.orders.audit import Alarm
from daemon.orders.closing import stands
from kernels.dtypes import STOP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from daemon.orders.desk import Desk
    from daemon.orders.manager import Orders
    from daemon.runtime import Runtime


class Readiness:
    """Counts warm-up, and takes gaps; each of its verbs returns whether any strategy is cold."""

    def __init__(
        self,
        runtimes: Sequence[Runtime],
        desks: Sequence[Desk],
        owners: Sequence[Sequence[tuple[Runtime, int]]],
        rings: NDArray[np.void],
        orders: Orders,
        settle_turns: Callable[[], None],
    ) -> None:
        """Wire it; owners: by instrument, the strategies with its row in their memory."""
        self._runtimes = runtimes
        self._desks = desks
        self._owners = owners
        self._heads: NDArray[np.int64] = rings["head"]
        self._orders = orders
        self._settle_turns = settle_turns
        self._started = False
        self._counted = [0] * len(rings)  # ticks of each ring that warm-up has counted

    @property
    def cold(self) -> bool:
        """Whether any strategy is."""
        return any(not runtime.warm for runtime in self._runtimes)

    def start(self) -> None:
        """Let those that are warm act."""
        self._started = True
        for desk, runtime in zip(self._desks, self._runtimes, strict=True):
            self._orders.risk.set_ready(desk, runtime.warm)
        self._settle_turns()

    def stop(self) -> None:
        """Change nothing any more."""
        self._started = False

    def count(self, fresh: Iterable[int]) -> bool:
        """Count the ticks that came since the last count towards every cold strategy's warm-up."""
        warmed = False
        for instrument in fresh:
            head = self._heads.item(instrument)
            came = head - self._counted[instrument]
            self._counted[instrument] = head
            for runtime, row in self._owners[instrument]:
                if runtime.cold_ticks[row]:
                    runtime.cold_ticks[row] = max(0, runtime.cold_ticks[row] - came)
                    warmed |= runtime.warm
                    if runtime.warm and self._started:
                        self._orders.risk.set_ready(self._desks[runtime.index], True)
        if warmed and self._started:
            self._settle_turns()
        return self.cold

    def forgive(self) -> bool:
        """Let strategies that failed be asked again: a person resumed. They keep their state and warm up."""
        faulted = [runtime for runtime in self._runtimes if runtime.fault]
        for runtime in faulted:
            runtime.forgive()
        return self._chill(faulted)

    def gap(self, instrument: int, symbol: str, reason: str, now_ns: int) -> bool:
        """Let every strategy that owns the instrument take it that ticks are missing from here on."""
        begun_anew = []
        for runtime, row in self._owners[instrument]:
            runtime.gaps += 1
            runtime.miss(row)
            if runtime.strategy.on_gap == "reset":
                runtime.forget(row)
                begun_anew.append(runtime)
                text = f"strategy {runtime.name} begins anew: {reason} of {symbol}"
                self._orders.tell(Alarm("gap", text, now_ns))
        cold = self._chill(begun_anew)
        for runtime in begun_anew:
            self._withdraw(runtime, now_ns)
        return cold

    def blind(self, unseen: Iterable[int]) -> set[tuple[int, int]]:
        """Return (strategy, instrument) of those who withdraw what rests in a market that nobody sees."""
        return {
            (runtime.index, instrument)
            for instrument in unseen
            for runtime, _ in self._owners[instrument]
            if runtime.strategy.on_silence == "withdraw"
        }

    def _chill(self, runtimes: Sequence[Runtime]) -> bool:
        """Keep strategies that have to warm up from acting; their ticks count from here on."""
        if self._started:
            for runtime in runtimes:
                self._orders.risk.set_ready(self._desks[runtime.index], runtime.warm)
        self._counted = self._heads.tolist()
        self._settle_turns()
        return self.cold

    def _withdraw(self, runtime: Runtime, now_ns: int) -> None:
        """Cancel what a strategy that is not asked any more has standing, but for its stops."""
        mine = [order for order in self._orders.life.open.values() if order.strategy == runtime.index]
        for order in mine:
            if order.kind != STOP and not stands(self._orders, order):
                self._orders.cancel(order, now_ns)

"""A person's limits as the exchange sees them: on each order, on their rate, and on what the day may lose.

They are counted anew here, from what leaves and from what the account holds, not by what the daemon says.
"""

from __future__ import annotations

from math import isnan, nan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.checks import Checks
    from tests.simulation.run import Run
    from tests.simulation.world import World

#: rounding of a product of floats
EXACT = 1 + 1e-9
#: an order counts when its frame was read, which may lie before it leaves
SLACK_ORDERS = 1.0
#: a loss may be hidden from the daemon for so long: by trades that no stream tells, until books are compared
SEEN_NS = 45_000_000_000
#: what marks may differ by: ours are the exchange's touch of now
MARKS = 1.0


class Limits:
    """The limits of one world's configuration."""

    def __init__(self, world: World, checks: Checks) -> None:
        self._world = world
        self._checks = checks
        self._limits = world.config.risk
        self._rate = self._limits.orders_per_s_max
        self._left = 0.0  # of the orders that may leave now
        self._spent_ns = 0
        self._whose: tuple[int, int] | None = None  # process, and where its clock was set
        self._begin = nan  # what the account was worth before any loss
        self._worst = 0.0  # loss since then
        self._lost_since_ns = 0
        #: whether losses are measured from where the daemon does: not on the day before, by a clock set back
        self.known = True

    # --- orders ---------------------------------------------------------------------------------------------
    def spend(self, run: Run) -> bool:
        """Count one order that leaves; return whether it may.

        A process begins with all that may leave at once, and has it again when its clock is set.
        """
        now_ns = self._world.time.now_ns()
        whose = (run.number, run.clock.now_ns() - now_ns)
        burst = max(self._rate, 1.0) + SLACK_ORDERS
        if whose != self._whose:
            self._whose, self._left = whose, burst
        else:
            self._left = min(burst, self._left + (now_ns - self._spent_ns) * 1e-9 * self._rate)
        self._spent_ns = now_ns
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def too_large(self, notional: float) -> bool:
        """Whether an order that may add risk is larger than one may be."""
        return notional > self._limits.order_notional_max * EXACT

    # --- losses ---------------------------------------------------------------------------------------------
    def look(self) -> None:
        """Take note of what the account is worth now."""
        self.known &= self._world.clock_off_ns >= 0
        equity = self._checks.equity()
        if isnan(self._begin):
            self._begin = equity
        lost = self._begin - equity
        self._worst = max(self._worst, lost)
        if lost > self._limits.daily_loss_max + MARKS:
            self._lost_since_ns = self._lost_since_ns or self._world.time.now_ns()
        else:
            self._lost_since_ns = 0

    @property
    def lost(self) -> bool:
        """Whether the day has ever lost what it may, since it is measured."""
        return not self.known or self._worst >= self._limits.daily_loss_max - MARKS

    def moved(self, amount: float) -> None:
        """Take note of money that came (negative: went) by hand: it is no profit."""
        self._begin += amount

    def rebase(self) -> None:
        """Measure from now on: a person asked for it."""
        self._begin, self._worst, self._lost_since_ns = self._checks.equity(), 0.0, 0

    @property
    def lost_for_s(self) -> float:
        """For how long more has been lost than may be, beyond what it takes to see it; 0: not so."""
        if not self.known or not self._lost_since_ns:
            return 0.0
        lost_ns = self._world.time.now_ns() - self._lost_since_ns
        return lost_ns / 1e9 if lost_ns > SEEN_NS else 0.0

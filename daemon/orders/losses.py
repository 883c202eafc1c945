"""Limits on losses: what throws the kill switch, and what holds while nobody could see a loss."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from daemon.orders.audit import Alarm
from kernels.dtypes import GATE_UNPRICED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.orders.audit import Audit
    from daemon.orders.gates import Gates
    from daemon.orders.order import Order
    from daemon.orders.portfolio import Portfolio
    from daemon.orders.valuation import Valuation

#: with money at stake, a value unknown for so long is told to a person, and again at such distances
_UNPRICED_NS: Final = 10_000_000_000
_UNPRICED_AGAIN_NS: Final = 600_000_000_000


class LossWatch:
    """Compares the account's value with the limits, `inf` being none; `unseen` while it is not known."""

    def __init__(
        self,
        daily_loss_max: float,
        drawdown_max: float,
        gates: Gates,
        live: Sequence[Sequence[Order]],
        tell: Callable[[Audit], object],
    ) -> None:
        self.unseen = False
        self._daily_loss_max = daily_loss_max
        self._drawdown_max = drawdown_max
        self._gates = gates
        self._live = live  # open orders of each instrument
        self._tell = tell
        self._since_ns = 0  # when something was first at stake with no value known, 0: not so far
        self._due_ns = 0  # when a person is told next

    def look(self, portfolio: Portfolio, now_ns: int) -> str:
        """Return the sentence for a loss beyond its limit, or an empty one."""
        self._watch_value(portfolio, now_ns)
        return self.breach(portfolio.worth)

    def _watch_value(self, portfolio: Portfolio, now_ns: int) -> None:
        """Add no risk where a loss could go unseen, and tell a person: no value, and something at stake.

        Once something was, only a value ends that: what was withdrawn for want of one would otherwise be
        placed again at once, and a quote that moves would begin the time anew.
        """
        limited = min(self._daily_loss_max, self._drawdown_max) < inf
        if portfolio.worth.known or not limited:
            self._since_ns = 0
            if self.unseen:
                self.unseen = False
                self._gates.open_all(GATE_UNPRICED)
            return
        if not self._since_ns:
            if not (portfolio.at_stake or any(self._live)):
                return
            self._since_ns = now_ns
            self._due_ns = now_ns + _UNPRICED_NS
        if now_ns > self._due_ns:
            self._due_ns = now_ns + _UNPRICED_AGAIN_NS
            self.unseen = True
            self._gates.close_all(GATE_UNPRICED)
            unknown_s = (now_ns - self._since_ns) * 1e-9
            text = (
                f"for {unknown_s:.0f} s nobody has known what the account is worth, so "
                f"no limit on losses can act: no price of {', '.join(portfolio.worth.unmarked)} was seen"
            )
            self._tell(Alarm("unpriced", text, now_ns))

    def clock_stepped(self, step_ns: int) -> None:
        """Take the step of a clock that was set anew: the value is unknown for as long as before."""
        if self._since_ns:
            self._since_ns += step_ns
            self._due_ns += step_ns

    def breach(self, worth: Valuation) -> str:
        """Return that sentence for a value."""
        lost, fell, reporting = -worth.day_pnl, worth.drawdown, worth.reporting
        if lost > self._daily_loss_max:
            return f"the day lost {lost:.2f} {reporting}, more than {self._daily_loss_max:g}"
        if fell > self._drawdown_max:
            return f"the value fell {fell:.2f} {reporting}, more than {self._drawdown_max:g}"
        return ""

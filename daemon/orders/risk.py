"""Risk: the last word on every action, and the kill switch.

The limits kernel has judged each action by numbers already (sizes, notionals, collar, balances, the gates
of that moment). `check` passes its refusals on and adds what a backtest does not have: gates that closed
since, the order rate, trades with ourselves, two orders for one wish. Only `check` makes an Approved.

The kill switch is a latch: once thrown, by a person or by a loss, nothing that adds risk leaves until a
person resumes, restarts included.
"""

from __future__ import annotations

from math import ceil, inf
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from daemon.errors import JournalError
from daemon.orders.audit import Alarm, Latched
from daemon.orders.crowd import Crowd
from daemon.orders.gates import Gates
from daemon.orders.intents import SEAL, Approved, Refused
from daemon.orders.liquidation import LiquidationWatch
from daemon.orders.losses import LossWatch
from daemon.orders.records import REFUSE, Latch, pack, pack_action
from daemon.orders.replacing import only_cancel, replaceable
from daemon.orders.windows import ALWAYS, Windows
from kernels.dtypes import (
    AMEND,
    GATE_HALTED,
    GATE_LOW_BUDGET,
    GATE_MARKET_CLOSED,
    GATE_WINDOW,
    P_QTY,
    PLACE,
    POSITION_COLUMNS,
    REFUSED_NO_SLOT,
    REFUSED_ORDER_RATE,
    REFUSED_SELF_TRADE,
    REPLACE,
    REST,
    STOP,
    TARGET,
    X_INSTRUMENT,
    X_KIND,
    X_PRICE_TICKS,
    X_QTY_LOTS,
    X_REDUCES,
    X_REFUSAL,
    X_SIDE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from daemon.instruments import Instrument
    from daemon.orders.audit import Audit, Observer
    from daemon.orders.desk import Desk
    from daemon.orders.journal import Journal
    from daemon.orders.order import Order
    from daemon.orders.portfolio import Portfolio

#: share of the order budget that only actions which reduce risk may use
_RESERVED_SHARE: Final = 0.2
#: the same refusal of the same wish is journalled at most so often
_REFUSAL_NS: Final = 1_000_000_000
#: who throws the switch where the books cannot be trusted: by them nothing is closed
_DOUBTED: Final = frozenset({"recovery", "journal", "venue", "orders"})
#: quotes of other strategies stay out of the way of an exit for so long after it last met one
_WAY_NS: Final = 1_000_000_000
#: wishes whose last refusal is remembered
_REFUSALS_KEPT: Final = 4096


class RiskLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon checks beside the limits of kernels/limits.py; money in the reporting currency."""

    orders_per_s_max: float = 10.0
    position_notional_max: float = inf  # of all strategies together, in the quote; of each: the kernel's
    daily_loss_max: float = inf
    drawdown_max: float = inf
    liquidation_distance_min: float = 0.0  # of positions in derivatives, as a fraction of their price
    windows: Windows = ALWAYS  # in which risk may be added
    flatten_on_halt: bool = False  # after a loss beyond its limit or a strategy's failure
    rejections_max: int = 50  # rejections of one strategy in a row, after which the kill switch trips

    @property
    def burst(self) -> float:
        """How many orders may leave at once."""
        return max(self.orders_per_s_max, 1.0)

    @property
    def needed(self) -> float:
        """What an order that adds risk must find: itself, and what is kept for those that reduce it."""
        return 1.0 + (self.burst * _RESERVED_SHARE if self.burst >= 1 / _RESERVED_SHARE else 0.0)


class Risk:
    """Approves and refuses, holds the gates and the kill switch."""

    def __init__(
        self,
        limits: RiskLimits,
        instruments: Sequence[Instrument],
        desks: Sequence[Desk],
        journal: Journal,
        observers: list[Observer],
    ) -> None:
        self.limits = limits
        self.gates = Gates(len(instruments), desks)
        self.gate = self.gates.gate
        self.close = self.gates.close
        self.open = self.gates.open
        self.close_all = self.gates.close_all
        self.open_all = self.gates.open_all
        self.set_ready = self.gates.set_ready
        self.latch: Latch | None = None  # as thrown, or None
        self.recorded: Latch | None = None  # as the journal has it
        self._lost: Latch | None = None  # while it was thrown so, a loss beyond its limit was seen
        #: what throwing the switch takes beside closing the gates; the manager, which can cancel, sets it
        self.trip: Callable[[str, str, int], object] = self.halt
        #: what the end of a trading window takes beside that; likewise
        self.withdraw: Callable[[int], object] = bool
        #: cancels the quotes that an exit would meet, and returns whether there are any; likewise
        self.give_way: Callable[[Desk, list[int], int, int], bool] = lambda *_: False
        self._in_window = True
        #: instruments whose exchange takes no order, not even one that reduces
        self.suspended: set[int] = set()
        self.short = False  # the venue's rate limits leave little
        self.blind: Collection[tuple[int, int]] = ()  # (strategy, instrument): it quotes no market unseen
        self.refusals: dict[int, int] = {}  # by code, every one
        self.crowd = crowd = Crowd(instruments, self.gates, limits.position_notional_max)
        self._collides, self._crowds = crowd.collides, crowd.crowds
        self.live = crowd.live
        self.losses = LossWatch(limits.daily_loss_max, limits.drawdown_max, self.gates, self.live, self._tell)
        self.liquidation = LiquidationWatch(
            instruments, limits.liquidation_distance_min, self.gates, self._tell
        )
        self._lot = [instrument.qty.as_float for instrument in instruments]
        self._lots_min = [max(ceil(one.qty_min / one.lot_size), 1) for one in instruments]
        self._spot = [instrument.spot for instrument in instruments]
        self._journal = journal
        self._observers = observers
        self._number = 0
        self._burst, self._needed = limits.burst, limits.needed
        self._tokens = self._burst
        self._filled_ns = 0
        self._told: dict[tuple[int, ...], tuple[int, int]] = {}
        #: (instrument, side of the quotes) -> whose exit they met, at which price, until when they keep away
        self._ways: dict[tuple[int, int], tuple[Desk, int, int]] = {}

    # --- the hot path -------------------------------------------------------------------------------------
    def check(self, desk: Desk, action: list[int], now_ns: int) -> Approved | Refused:
        """Judge one row of `actions` (as plain ints) of a drain at `now_ns`."""
        verb, row, slot, _, _, _, _, _, reduces, code, _, _ = action
        instrument = desk.instruments[row]
        gate = desk.gate[row]
        if gate and code in {0, gate} and not reduces and (part := self._part_that_reduces(desk, action)):
            action, code = part, 0  # 0: it has closed since the kernel looked
        if not code:
            held = desk.orders[row][slot]
            if verb == PLACE:
                code = self._judge_place(desk, action, held, instrument, now_ns)
            elif verb == REPLACE:
                old = replaceable(desk, action)
                if (
                    old is None
                    or self._collides(desk, action, old)
                    or (not reduces and self._crowds(desk, action, instrument))
                    or self._spend(now_ns, 1.0 if reduces else self._needed)
                ):
                    action = only_cancel(action)
            elif held is None:
                code = REFUSED_NO_SLOT
            elif (
                verb == AMEND
            ):  # it only lowers, which the manager sees to: no gate; a cancel is never counted
                code = self._spend(now_ns, 1.0)
        if code:
            return self.refuse(code, desk, action, now_ns)
        self._number = number = self._number + 1
        return Approved(SEAL, number, desk, action, instrument, now_ns)

    def _judge_place(
        self, desk: Desk, action: list[int], held: Order | None, instrument: int, now_ns: int
    ) -> int:
        """Return what an order that the kernel approved is refused for, or 0."""
        gate, reduces = desk.gate[action[X_INSTRUMENT]], action[X_REDUCES]
        if gate and (code := self._hold_back(gate, desk, action)):
            return code
        if held is not None:
            return REFUSED_NO_SLOT
        if self._ways and action[X_KIND] == REST and self._bars(desk, action, instrument, now_ns):
            return REFUSED_SELF_TRADE
        if self.live[instrument] and (code := self._collides(desk, action)):
            exits = code == REFUSED_SELF_TRADE and reduces and action[X_KIND] == TARGET
            if exits and self.give_way(desk, action, instrument, now_ns):
                way = desk, action[X_PRICE_TICKS], now_ns + _WAY_NS
                self._ways[instrument, -action[X_SIDE]] = way
            return code
        if not reduces and (code := self._crowds(desk, action, instrument)):
            return code
        return self._spend(now_ns, 1.0 if reduces else self._needed)

    def _bars(self, desk: Desk, action: list[int], instrument: int, now_ns: int) -> bool:
        """Whether a quote would stand in the way out of another strategy, which others have just left."""
        side, price = action[X_SIDE], action[X_PRICE_TICKS]
        leaving, worst, until_ns = self._ways.get((instrument, side), (desk, 0, 0))
        return leaving is not desk and 0 < until_ns - now_ns <= _WAY_NS and side * (price - worst) >= 0

    def _hold_back(self, gate: int, desk: Desk, action: list[int]) -> int:
        """Return what a closed gate refuses an order for; 0 where it reduces and the market takes it."""
        if desk.instruments[action[X_INSTRUMENT]] in self.suspended:
            return GATE_MARKET_CLOSED
        if action[X_KIND] == REST and not self.may_quote(desk, desk.instruments[action[X_INSTRUMENT]]):
            return gate  # it would be withdrawn at once, and asked for again for ever
        return 0 if action[X_REDUCES] and self._really_reduces(desk, action) else gate

    def _part_that_reduces(self, desk: Desk, action: list[int]) -> list[int]:
        """Return what a target across zero may trade while a gate is closed: up to zero; empty: nothing.

        The kernel judges an order as a whole. The rest is wanted again once that has traded, and refused.
        """
        verb, row, _, kind, _, side = action[:6]
        if verb != PLACE or kind != TARGET:
            return []
        instrument = desk.instruments[row]
        held = -side * desk.position[row * POSITION_COLUMNS + P_QTY] / self._lot[instrument]
        lots = int(held + 1e-6) - desk.live_lots(row, side)
        if not self._lots_min[instrument] <= lots < action[X_QTY_LOTS]:
            return []
        part = list(action)
        part[X_QTY_LOTS], part[X_REDUCES], part[X_REFUSAL] = lots, 1, 0
        return part

    def _really_reduces(self, desk: Desk, action: list[int]) -> bool:
        """Whether an order let through a closed gate is no larger than the position it claims to reduce."""
        row, side, lots = action[X_INSTRUMENT], action[X_SIDE], action[X_QTY_LOTS]
        position = desk.position[row * POSITION_COLUMNS + P_QTY]
        if action[X_KIND] == STOP and self._spot[desk.instruments[row]]:  # what else is there may sell first
            lots += sum(order.leaves_lots for order in desk.orders[row] if order and order.side == side)
        return position * side < 0 and lots * self._lot[desk.instruments[row]] <= abs(position) * (1 + 1e-9)

    def _spend(self, now_ns: int, needed: float) -> int:
        """Take one order off the budget, of which so much must be left; return a refusal or 0."""
        tokens = self._tokens
        if now_ns > self._filled_ns:
            tokens += (now_ns - self._filled_ns) * 1e-9 * self.limits.orders_per_s_max
            tokens = min(tokens, self._burst)
        self._filled_ns = now_ns  # after a step of the clock back too: the budget goes on filling from here
        if tokens < needed:
            self._tokens = tokens
            return REFUSED_ORDER_RATE
        self._tokens = tokens - 1.0
        return 0

    # --- refusals -----------------------------------------------------------------------------------------
    def refuse(self, code: int, desk: Desk, action: list[int], now_ns: int) -> Refused:
        """Count and tell a refusal; journal it with its feature row when it is news."""
        row = action[X_INSTRUMENT]
        refused = Refused(code, desk, action, desk.instruments[row], now_ns)
        self.refusals[code] = self.refusals.get(code, 0) + 1
        told_code, told_ns = self._told.get(refused.key, (0, 0))
        if code != told_code or not 0 <= now_ns - told_ns < _REFUSAL_NS:
            if len(self._told) >= _REFUSALS_KEPT:
                self._told.clear()
            self._told[refused.key] = (code, now_ns)
            told = action[: X_REFUSAL + 1]
            body = pack_action(REFUSE, now_ns, code, desk.index, refused.instrument, *told)
            self._append(body + desk.rows[row].tobytes(), now_ns)
        self._tell(refused)
        return refused

    # --- closed markets -----------------------------------------------------------------------------------
    def suspend(self, instrument: int) -> None:
        """Let nothing leave in an instrument."""
        self.suspended.add(instrument)
        self.close(instrument, GATE_MARKET_CLOSED)

    def restore(self, instrument: int) -> None:
        """Let it leave again."""
        self.suspended.discard(instrument)
        self.open(instrument, GATE_MARKET_CLOSED)

    # --- quotes -------------------------------------------------------------------------------------------
    def may_quote(self, desk: Desk, instrument: int) -> bool:
        """Whether quotes of a strategy may stand in an instrument; those that reduce like those that add."""
        if self.shut or self.short or self.losses.unseen or not desk.ready:
            return False
        return (desk.index, instrument) not in self.blind

    def ration(self, short: bool) -> None:
        """Take whether what the venue's rate limits leave is for cancels and queries alone."""
        self.short = short
        (self.close_all if short else self.open_all)(GATE_LOW_BUDGET)

    # --- the kill switch ----------------------------------------------------------------------------------
    def halt(self, source: str, reason: str, now_ns: int, *, flatten: bool = False) -> bool:
        """Throw the kill switch; return whether it was not thrown yet. `Orders.halt` also cancels.

        flatten: the next run goes on closing what this one does not close.
        """
        was = self.latch
        if was is not None and (was.flatten or not flatten):
            return False
        latch = was or Latch(now_ns, halted=True, source=source, reason=reason)
        latch = replace(latch, flatten=flatten)
        self.set_latch(latch)
        self.recorded = was
        self._record_latch(now_ns)
        if was is not None:
            return False
        self._tell(Latched(halted=True, source=source, reason=reason, now_ns=now_ns))
        return True

    def resume(self, source: str, now_ns: int) -> bool:
        """Reset the kill switch; return whether it was thrown. After a JournalError it stays thrown."""
        if self.latch is None:
            return False
        self._journal.append(pack(Latch(now_ns, halted=False, source=source, reason="")))
        self.set_latch(None)
        self._tell(Latched(halted=False, source=source, reason="", now_ns=now_ns))
        return True

    def set_latch(self, latch: Latch | None) -> None:
        """Put the switch as the journal remembers it."""
        self.latch = self.recorded = latch if latch is not None and latch.halted else None
        if self.latch is not None:
            self.close_all(GATE_HALTED)
        else:
            self.open_all(GATE_HALTED)

    def _record_latch(self, now_ns: int, *, again: bool = False) -> None:
        """Journal the switch as thrown; one that could not be is tried again: a restart must know of it."""
        assert self.latch is not None
        try:
            self._journal.append(pack(self.latch))
            self.recorded = self.latch
        except JournalError as error:
            if not again:
                self._tell(Alarm("journal", str(error), now_ns))

    @property
    def halted(self) -> bool:
        """Whether the kill switch is thrown."""
        return self.latch is not None

    @property
    def shut(self) -> bool:
        """Whether nothing should stand but protective stops."""
        return self.latch is not None or not self._in_window

    def watch(self, portfolio: Portfolio, now_ns: int) -> None:
        """Begin a new day when it is time, and throw the kill switch on a loss beyond its limit.

        Nothing is added to a position that is too near its liquidation.

        At the end of a trading window what stands is cancelled: it could still add risk.
        """
        in_window = self.limits.windows.open(now_ns)
        if in_window != self._in_window:
            self._in_window = in_window
            (self.open_all if in_window else self.close_all)(GATE_WINDOW)
            if not in_window:
                self.withdraw(now_ns)
        if portfolio.worth.roll(now_ns):
            portfolio.show_account()
        breach = self.losses.look(portfolio, now_ns)
        self.liquidation.look(portfolio, now_ns)
        if self.latch is not self.recorded:
            self._record_latch(now_ns, again=True)
        if breach and self.latch is None:
            self.trip("risk", breach, now_ns)
            self._lost = self.latch
        elif breach and self.latch is not self._lost:
            self._lose_more(breach, now_ns)

    def _lose_more(self, breach: str, now_ns: int) -> None:
        """Tell of a loss beyond its limit while the switch is thrown; close what is to be closed."""
        latch = self.latch
        assert latch is not None
        self._tell(Alarm("loss", f"{breach}; the kill switch was thrown before", now_ns))
        if self.limits.flatten_on_halt and latch.source not in _DOUBTED:
            self.halt("risk", breach, now_ns, flatten=True)
        self._lost = self.latch

    def _append(self, body: bytes, now_ns: int) -> None:
        """Journal what must happen even if it cannot be recorded."""
        try:
            self._journal.append(body)
        except JournalError as error:
            self._tell(Alarm("journal", str(error), now_ns))

    def _tell(self, audit: Audit) -> None:
        for observer in self._observers:
            observer(audit)

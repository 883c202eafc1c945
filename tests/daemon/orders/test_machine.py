"""Any orders at any venue: reports lost, doubled and out of order, cancels racing fills, kills at any time.

Replacements too, with each end they can have: done, the cancel refused, half done, lost. And protective
stops, as the kernels place, lower and cancel them for a strategy that is asked, and as they are trimmed for
one that is not: they wait, and once triggered they trade, rest, expire or are refused.

The venue here keeps its own books, apart from everything under test. Whatever happens, no id reaches it
twice, nothing it holds open is forgotten or ends without its word, its worst case is reserved; and once the
dust has settled both sides agree to the last unit, and no stops would sell more than the position.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from daemon.config import ReconcileConfig
from daemon.events import Balance, ExecutionReport, OpenOrder, VenueSnapshot
from daemon.orders.closing import lots_of, trim_stops
from daemon.orders.intents import Approved
from daemon.orders.money import to_units
from daemon.orders.order import State
from daemon.runtime import rules_of
from kernels import dtypes as d
from kernels import limits, reconcile
from tests.daemon.orders.conftest import HOUR, World
from tests.daemon.orders.test_retelling import books, retold

#: where the market is, and where stops are triggered: so many ticks and steps away from it
MID_TICKS = 6_000_000
STOP_TICKS, STEP_TICKS = 100_000, 1_000
MARKET = np.full((1, 2, d.BOOK_LEVELS, 2), np.nan)
MARKET[0, :, 0] = [((MID_TICKS - 1) * 0.01, 1.0), ((MID_TICKS + 1) * 0.01, 1.0)]
NO_LIMITS = np.full((1, d.LIMITS_COLUMNS), np.inf)
STEPS_NS = (-24 * HOUR, -HOUR, -3_000_000_000, 3_000_000_000, HOUR, 24 * HOUR)


@dataclass
class Held:
    """An order as the venue has it."""

    cid: str
    kind: int
    side: int
    ticks: int  # of a stop: its trigger
    lots: int
    done: int = 0
    status: str = "NEW"
    waits: bool = False  # for its trigger

    @property
    def open(self) -> bool:
        return self.status in {"NEW", "PARTIALLY_FILLED"}


@dataclass
class ModelVenue:
    """An exchange that never lies, on a line that loses and shuffles."""

    name: str = "model"
    up: bool = True
    can_amend: bool = True
    fate: str = "accept"  # of the next request: accept, reject, lose; half: of a replacement's new order
    held: dict[str, Held] = field(default_factory=dict)
    arrived: list[str] = field(default_factory=list)
    outbox: list[ExecutionReport] = field(default_factory=list)
    trades: list[ExecutionReport] = field(default_factory=list)
    usdt: Decimal = Decimal(10**6)
    btc: Decimal = Decimal(100)
    now_ns: int = 0

    def say(self, kind, cid, **more):
        held = self.held.get(cid)
        if held is not None:
            more = {
                "qty_lots": held.lots,
                "cum_lots": held.done,
                "status": held.status,
                "side": held.side,
                **more,
            }
        report = ExecutionReport(kind=kind, client_order_id=cid, instrument=0, wire_ns=0, **more)
        self.outbox.append(report)
        return report

    def is_short(self):
        return False

    def clock_stepped(self, step_ns):
        """Its clock is its own."""

    def place(self, order):
        fate = self.receive(order)
        if fate != "lose":
            self.take(order, fate)

    def receive(self, order):
        """Take note of a new order, and return what becomes of its request."""
        assert order.client_order_id not in self.arrived, "sent twice"
        self.arrived.append(order.client_order_id)
        fate, self.fate = self.fate, "accept"
        return fate

    def take(self, order, fate):
        held = held_of(order)
        held.waits = order.kind == d.STOP
        self.held[held.cid] = held
        if fate in {"reject", "half"}:
            held.status = "REJECTED"
            self.say("REJECTED", held.cid, reason="no")
        else:
            self.say("NEW", held.cid)

    def cancel(self, order):
        fate, self.fate = self.fate, "accept"
        held = self.held.get(order.client_order_id)
        if fate == "lose":
            return
        if held is None or not held.open or fate == "reject":
            self.say("CANCEL_REJECTED", order.client_order_id, code=-2011)
        else:
            held.status = "CANCELED"
            self.say("CANCELED", held.cid)

    def replace(self, old, new):
        """Cancel and, where that succeeds, place: in one request with one fate."""
        fate = self.receive(new)
        if fate == "lose":
            return
        held = self.held.get(old.client_order_id)
        if held is None or not held.open or fate == "reject":
            self.say("CANCEL_REJECTED", old.client_order_id, code=-2011)
            self.held[new.client_order_id] = tried = held_of(new)
            tried.status = "REJECTED"
            self.say("REJECTED", tried.cid, code=-2022)
            return
        held.status = "CANCELED"
        self.say("CANCELED", held.cid)
        self.take(new, fate)

    def amend(self, order, qty_lots):
        fate, self.fate = self.fate, "accept"
        held = self.held.get(order.client_order_id)
        if fate == "lose":
            return
        if held is None or not held.open or not held.done < qty_lots < held.lots or fate == "reject":
            self.say("AMEND_REJECTED", order.client_order_id)
        else:
            held.lots = qty_lots
            self.say("REPLACED", held.cid)

    def query(self, order):
        cid = order.client_order_id
        self.say("STATUS" if cid in self.held else "NOT_FOUND", cid)

    def trigger(self, held, lots, end):
        """Let a stop take so many lots, and end what is left of it, unless it is to rest as any order."""
        held.waits = False
        self.say("NEW", held.cid)
        if lots:
            self.fill(held, lots)
        if end and held.open:
            held.status = end
            self.say(end, held.cid, reason="no")

    def fill(self, held, lots):
        lots = min(lots, held.lots - held.done)
        worse = STEP_TICKS if held.kind == d.STOP else 0
        ticks = held.ticks + held.side * worse
        held.done += lots
        held.status = "FILLED" if held.done == held.lots else "PARTIALLY_FILLED"
        fee = Decimal("0.00000001") * lots
        self.usdt -= held.side * lots * ticks * Decimal("1e-7")
        self.btc += held.side * lots * Decimal("1e-5") - fee
        self.trades.append(
            self.say(
                "TRADE", held.cid, trade_id=len(self.trades), last_lots=lots, last_ticks=ticks,
                commission=fee, commission_asset="BTC",
            )
        )  # fmt: skip

    def snapshot(self, now_ns):
        listed = [
            OpenOrder(
                client_order_id=held.cid, venue_order_id="", instrument=0, side=held.side,
                price_ticks=held.ticks, qty_lots=held.lots, cum_lots=held.done, stop=held.waits,
            )
            for held in self.held.values()
            if held.open
        ]  # fmt: skip
        balances = {"USDT": Balance(self.usdt, Decimal(0)), "BTC": Balance(self.btc, Decimal(0))}
        return VenueSnapshot(balances, listed, list(self.trades), now_ns)


def held_of(order):
    return Held(order.client_order_id, order.kind, order.side, order.price_ticks, order.qty_lots)


class Machine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.venue = ModelVenue()
        self.world = World(venue=self.venue, balances={"USDT": "1000000", "BTC": "100"})
        self.level = 0

    @property
    def open(self):
        return list(self.world.orders.life.open.values())

    def deliver(self, report):
        at = self.world.time.now_ns()
        self.world.orders.apply(ExecutionReport(**{**fields(report), "wire_ns": at}))

    # --- what can happen ------------------------------------------------------------------------------------
    @rule(
        side=st.sampled_from([d.BUY, d.SELL]),
        lots=st.integers(1, 100),
        kind=st.sampled_from([d.TARGET, d.REST]),
        told=st.booleans(),
    )
    def place(self, side, lots, kind, told):
        self.send(side, lots, kind, told)

    def send(self, side, lots, kind, told):
        """Send an order; return what the venue made of it, None where it has not arrived."""
        self.level += 1
        slot = self.world.desks[0].free_slot(0)
        if slot < 0:
            return None
        verdict = self.world.check(
            level=self.level, slot=slot, side=side, qty=lots, kind=kind, price=MID_TICKS - side * 1000
        )
        if not isinstance(verdict, Approved):
            return None
        order = self.world.orders.submit(verdict)
        if told and self.venue.outbox:  # at once
            self.deliver(self.venue.outbox.pop())
        return self.venue.held.get(order.client_order_id)

    @property
    def quotes(self):
        """What a replacement can leave for."""
        open_states = {State.WORKING, State.PARTIALLY_FILLED}
        shut = self.world.risk.gate(0)
        return [] if shut else [o for o in self.open if o.kind == d.REST and o.state in open_states]

    def clear_up(self):
        """Let the line work again for a while, so that what is open stands and no doubt shuts the gate."""
        for _ in range(3):
            while self.venue.outbox:
                self.deliver(self.venue.outbox.pop(0))
            self.world.later(1)

    @rule(
        data=st.data(),
        lots=st.integers(1, 100),
        fate=st.sampled_from(["accept", "accept", "half", "reject", "lose"]),
    )
    def replace(self, data, lots, fate):
        if not self.quotes:
            self.clear_up()
            self.send(d.BUY, 50, d.REST, told=True)
        if not self.quotes:
            return
        old = data.draw(st.sampled_from(self.quotes))
        slot = self.world.desks[0].free_slot(0)
        if slot < 0 or old.slot < 0:
            return
        self.venue.fate = fate
        verdict = self.world.check(
            verb=d.REPLACE, slot=slot, replaces=old.slot, level=old.level, side=old.side, qty=lots,
            price=old.price_ticks - old.side * 10,
        )  # fmt: skip
        if isinstance(verdict, Approved):
            self.world.orders.submit(verdict)
        self.venue.fate = "accept"

    @property
    def position_lots(self):
        """What the strategy holds by our books, in whole lots."""
        position = float(self.world.position(d.P_QTY))
        return lots_of(self.world.instruments[0], position) * (1 if position > 0 else -1)

    @rule(
        wanted=st.lists(st.tuples(st.integers(1, 150), st.sampled_from([0, 0, 1, 2])), max_size=3),
        side=st.sampled_from([d.BUY, d.SELL]),
        amends=st.booleans(),
    )
    def protect(self, wanted, side, amends):
        """Let a strategy that is asked want these stops and no other: (lots, steps away) each."""
        self.venue.can_amend = amends
        self.want_stops(wanted, side)

    def want_stops(self, wanted, side):
        if not self.position_lots:
            self.clear_up()
            self.trade(side, 100)
        side = d.SELL if self.position_lots > 0 else d.BUY
        triggers = [MID_TICKS + side * (STOP_TICKS + away * STEP_TICKS) for _, away in wanted]
        wants = [
            (d.STOP, 0, level, side, triggers[level] * 0.01, lots * 1e-5)
            for level, (lots, _) in enumerate(wanted)
        ]
        for action in self.decided(wants):
            verdict = self.world.risk.check(self.world.desks[0], action, self.world.time.now_ns())
            if isinstance(verdict, Approved):
                self.world.orders.submit(verdict)
                if verdict.action[d.X_VERB] == d.PLACE:
                    assert self.stops_lots(side) <= -side * self.position_lots

    def trade(self, side, lots):
        """Take so many lots, and hear of it, if the line is good enough for that."""
        before = len(self.venue.outbox)
        held = self.send(side, lots, d.TARGET, told=False)
        if held is not None and held.open:
            self.venue.fill(held, lots)
        while len(self.venue.outbox) > before:
            self.deliver(self.venue.outbox.pop(before))

    def decided(self, wants):
        """Return the actions about stops that the kernels make of what is wanted, as when trading."""
        world = self.world
        memory = world.memories[0][0]
        at_once = ReconcileConfig(rest_ms_min=0)
        rules = rules_of(world.instruments[0], at_once, (0.0, 0.0), can_amend=self.venue.can_amend)[None]
        for row, want in enumerate(wants):
            memory["out"][row] = want
        position, working, actions = memory["position"], memory["working"], memory["actions"]
        count = reconcile.reconcile(
            world.time.now_ns(), len(wants), memory["out"], position, working, MARKET, rules, actions,
            memory["clamped"], memory["plan"],
        )  # fmt: skip
        limits.check(
            count, actions, position, working, MARKET, rules, NO_LIMITS, memory["gate"],
            world.desks[0].account.array,
        )  # fmt: skip
        return [one for one in actions[:count].tolist() if one[d.X_KIND] == d.STOP]

    def stops_lots(self, side):
        """Return what all stops of a side may still trade, as far as we can know."""
        stops = [order for order in self.open if order.kind == d.STOP and order.side == side]
        return sum(self.world.orders.life.leaves(order) for order in stops)

    @rule(lots=st.integers(0, 100), side=st.sampled_from([d.BUY, d.SELL]), amends=st.booleans())
    def trim(self, lots, side, amends):
        """Look after the stops of a strategy that is not asked, of which a part was closed."""
        self.venue.can_amend = amends
        if not any(order.kind == d.STOP for order in self.open):
            self.want_stops([(60, 0), (40, 1)], side)
            self.clear_up()
        if lots:
            self.trade(d.SELL if self.position_lots > 0 else d.BUY, lots)
        trim_stops(self.world.orders, self.world.time.now_ns())

    @property
    def waiting(self):
        return [held for held in self.venue.held.values() if held.open and held.waits]

    @precondition(lambda self: self.waiting)
    @rule(
        data=st.data(),
        lots=st.integers(0, 100),
        end=st.sampled_from(["", "EXPIRED", "REJECTED"]),
        told=st.booleans(),
    )
    def trigger(self, data, lots, end, told):
        self.venue.trigger(data.draw(st.sampled_from(self.waiting)), lots, end)
        if told:  # of its end at once, before all that led to it
            self.deliver(self.venue.outbox.pop())

    @rule(fate=st.sampled_from(["reject", "lose"]))
    def next_request(self, fate):
        self.venue.fate = fate

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def cancel(self, data):
        self.world.orders.cancel(data.draw(st.sampled_from(self.open)), self.world.time.now_ns())

    @precondition(lambda self: self.open)
    @rule(data=st.data(), leaves=st.integers(1, 50))
    def amend(self, data, leaves):
        self.world.orders.amend(data.draw(st.sampled_from(self.open)), leaves, self.world.time.now_ns())

    @property
    def trading(self):
        return [held for held in self.venue.held.values() if held.open and not held.waits]

    @precondition(lambda self: self.trading)
    @rule(data=st.data(), lots=st.integers(1, 100))
    def fill(self, data, lots):
        self.venue.fill(data.draw(st.sampled_from(self.trading)), lots)

    @precondition(lambda self: self.venue.outbox)
    @rule(data=st.data(), how=st.sampled_from(["deliver", "deliver", "twice", "drop"]))
    def report(self, data, how):
        at = data.draw(st.integers(0, len(self.venue.outbox) - 1))
        report = self.venue.outbox[at]
        if how != "twice":
            del self.venue.outbox[at]
        if how != "drop":
            self.deliver(report)

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 30.0]))
    def wait(self, seconds):
        self.world.later(seconds)

    @rule(step_ns=st.sampled_from(STEPS_NS))
    def set_clock(self, step_ns):
        self.world.set_clock(step_ns)

    @rule()
    def meet(self):
        found = self.world.recovery.meet(self.venue.snapshot(self.world.time.now_ns()))
        assert found.fatal == []
        assert all("came unheard" in note for note in found.notes)

    @rule(step_ns=st.sampled_from((0, 0, *STEPS_NS)))
    def kill(self, step_ns):
        """End without a word, and start again, maybe by another clock; what the line carried is lost."""
        self.venue.outbox.clear()
        before = self.world
        before.time.step_ns += step_ns
        self.world = World(disk=before.disk, venue=self.venue, time=before.time)
        assert {asset: p.total for asset, p in self.world.portfolio.purses.items()} == {
            asset: p.total for asset, p in before.portfolio.purses.items()
        }
        self.check_alarms(before)

    # --- what must hold -------------------------------------------------------------------------------------
    @invariant()
    def nothing_the_venue_holds_open_is_forgotten(self):
        for held in self.venue.held.values():
            order = self.world.orders.life.find(held.cid)
            if held.open and order is not None:
                assert order.state < State.FILLED or order.state is State.VOID
            elif held.open:
                raise AssertionError(f"{held.cid} is open at the venue, and nobody here knows it")

    @invariant()
    def nothing_ends_without_the_venue_s_word(self):
        for order in self.world.orders.life.ended.values():
            if order.state is not State.VOID:
                assert self.venue.held[order.client_order_id].status == order.state.name

    @invariant()
    def no_fill_is_counted_twice(self):
        for held in self.venue.held.values():
            order = self.world.orders.life.find(held.cid)
            assert order is None or order.filled_lots <= held.done

    @invariant()
    def the_worst_case_is_reserved(self):
        for held in self.venue.held.values():
            order = self.world.orders.life.open.get(held.cid)
            if held.open and order is not None:
                assert self.world.orders.life.leaves(order) >= held.lots - held.done

    @invariant()
    def slots_and_orders_agree(self):
        shown = self.world.memories[0]["working"][0, 0]
        for slot, order in enumerate(self.world.desks[0].orders[0]):
            assert (shown[slot, d.W_STATE] == d.SLOT_EMPTY) == (order is None)
            if order is not None:
                assert shown[slot, d.W_LEAVES_LOTS] == self.world.orders.life.leaves(order)
        unknown = any(order.state is State.UNKNOWN for order in self.open)
        assert (self.world.risk.gate(0) == d.GATE_UNKNOWN_ORDER) is unknown

    def check_alarms(self, world):
        assert set(world.alarms()) <= {"void", "lost_trades", "in_doubt"}
        assert not world.risk.halted

    def teardown(self):
        """Let the line work again and time pass: both sides must agree to the last unit."""
        for _ in range(8):
            while self.venue.outbox:
                self.deliver(self.venue.outbox.pop(0))
            self.meet()
            trim_stops(self.world.orders, self.world.time.now_ns())
            self.world.later(20)
        while self.venue.outbox:
            self.deliver(self.venue.outbox.pop(0))
        self.meet()
        self.check_alarms(self.world)
        for order in self.open:
            assert order.state in {State.WORKING, State.PARTIALLY_FILLED}
            held = self.venue.held[order.client_order_id]
            assert (order.qty_lots, order.filled_lots) == (held.lots, held.done)
        assert {order.client_order_id for order in self.open} == {
            h.cid for h in self.venue.held.values() if h.open
        }
        position = self.venue.btc - 100
        for side in (d.BUY, d.SELL):
            stops = [h for h in self.venue.held.values() if h.open and h.kind == d.STOP and h.side == side]
            assert sum(h.lots - h.done for h in stops) * Decimal("1e-5") <= max(-side * position, 0)
        purses = self.world.portfolio.purses
        assert purses["USDT"].total == to_units(self.venue.usdt)
        assert purses["BTC"].total == to_units(self.venue.btc)
        assert self.world.portfolio.holdings[0, 0].qty == to_units(self.venue.btc - 100)
        assert sum(order.reserved for order in self.open) == sum(purse.reserved for purse in purses.values())
        assert books(retold(self.world).orders) == books(self.world.orders)
        now_ns = self.world.time.now_ns()
        for order in self.open:
            assert max(order.sent_ns, order.changed_ns, order.since_ns, order.asked_ns) <= now_ns


def fields(report):
    return {name: getattr(report, name) for name in report.__struct_fields__}


def test_whatever_happens_both_sides_agree_in_the_end():
    run_state_machine_as_test(Machine, settings=settings(max_examples=150, stateful_step_count=40))


@pytest.mark.heavy(seconds=560)
def test_whatever_happens_at_length_both_sides_agree_in_the_end():
    gc.collect()
    gc.freeze()  # a fifth of the time would go into looking through what is imported
    try:
        run_state_machine_as_test(Machine, settings=settings(max_examples=10_000, stateful_step_count=40))
    finally:
        gc.unfreeze()

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from daemon.errors import UsageError
from daemon.events import Command
from daemon.orders.intents import SEAL, Approved, Refused
from daemon.orders.order import State
from daemon.orders.reader import read_all
from daemon.orders.records import RefusedAction
from daemon.orders.refusals import REFUSAL_NAMES
from daemon.orders.risk import RiskLimits
from kernels import dtypes as d
from tests.daemon.orders.conftest import HOUR


def test_the_kernels_refusals_pass_through(world):
    for code in REFUSAL_NAMES:
        if 0 < code < d.GATE_NOT_READY:
            verdict = world.check(refusal=code)
            assert isinstance(verdict, Refused)
            assert (verdict.code, verdict.reason) == (code, REFUSAL_NAMES[code])
            assert world.risk.refusals[code] == 1


def test_an_approval_carries_the_seal_and_the_daemons_instrument(new_world, pair):
    world = new_world(pair, {"eth": (1,)})
    verdict = world.check(price=5000)
    assert isinstance(verdict, Approved)
    assert verdict.seal is SEAL
    assert verdict.instrument == 1


@pytest.mark.parametrize(("quoting", "leaving"), [(0, 1), (1, 0)])
def test_an_exit_gets_past_the_quotes_of_another_strategy(new_world, quoting, leaving):
    """Its own would only be met by a market that has fallen, and the other one follows that down."""
    world = new_world(strategies={"one": (0,), "two": (0,)})
    world.fill(world.place(leaving, kind=d.TARGET, qty=1000), 1, 1000)
    exit_ = {"kind": d.TARGET, "side": d.SELL, "qty": 1000, "price": 5_990_000, "reduces": True}
    waits = {"level": 1, "price": 5_995_000}

    def quote() -> None:  # as a strategy does that wants one there whenever there is none
        if not any(order.strategy == quoting for order in world.orders.life.open.values()):
            verdict = world.check(quoting, slot=3, **waits)
            if isinstance(verdict, Approved):
                world.report("NEW", world.orders.submit(verdict))

    quote()
    left = []
    for _ in range(5):
        for strategy in (0, 1):
            if strategy == quoting:
                quote()
            else:
                left.append(getattr(world.check(leaving, **exit_), "reason", "approved"))
        for order in list(world.orders.life.open.values()):
            if order.state is State.PENDING_CANCEL:
                world.report("CANCELED", order)
        world.later(0.1)
    assert left[0] == "self_trade"
    assert left[-1] == "approved"
    assert world.check(quoting, slot=3, **waits).reason == "self_trade"
    assert isinstance(world.check(quoting, slot=3, level=1, price=5_989_999), Approved)  # not in its way
    world.later(1.0)
    assert isinstance(world.check(quoting, slot=3, **waits), Approved)


def test_a_slot_that_is_taken_is_refused(world):
    world.place(slot=0)
    assert world.check(slot=0, level=5).reason == "no_slot"


def test_the_order_rate_is_a_budget_of_which_risk_reducing_orders_own_a_part(new_world):
    world = new_world(limits=RiskLimits(orders_per_s_max=10.0))
    held = world.place(qty=1000, level=99)
    world.fill(held, 1, 1000)
    verdicts = [world.check(level=level) for level in range(12)]
    approved = [verdict for verdict in verdicts if isinstance(verdict, Approved)]
    assert len(approved) == 7  # ten, less the one above, less the part that is kept back
    assert verdicts[-1].reason == "order_rate"
    reducing = {"side": d.SELL, "kind": d.TARGET, "qty": 1, "reduces": True, "price": 5_000_000}
    assert [isinstance(world.check(**reducing), Approved) for _ in range(3)] == [True, True, False]
    world.later(0.1)
    assert isinstance(world.check(**reducing), Approved)
    world.later(10)
    assert sum(isinstance(world.check(level=level), Approved) for level in range(20)) == 8


def test_cancels_are_never_rationed(new_world):
    world = new_world(limits=RiskLimits(orders_per_s_max=1.0))
    world.place()
    for _ in range(50):
        assert isinstance(world.check(verb=d.CANCEL), Approved)


def test_a_refusal_is_journalled_with_its_row_when_it_is_news_and_counted_always(world):
    def journalled():
        every = read_all(world.disk, world.folder)
        return [record for _, _, record in every if isinstance(record, RefusedAction)]

    for _ in range(100):
        world.check(refusal=d.REFUSED_COLLAR)
    assert world.risk.refusals[d.REFUSED_COLLAR] == 100
    assert len(journalled()) == 1
    world.check(refusal=d.REFUSED_PRICE)
    world.later(2)
    world.check(refusal=d.REFUSED_PRICE)
    assert [record.code for record in journalled()] == [d.REFUSED_COLLAR, d.REFUSED_PRICE, d.REFUSED_PRICE]
    assert len(journalled()[0].row) == 25 * 8


def lost(new_world, **limits):
    """Return a world that lost 1000 USDT, and looked."""
    world = new_world(limits=RiskLimits(**limits))
    world.portfolio.mark(0, 60_000.0)
    world.risk.watch(world.portfolio, world.time.now_ns())
    world.portfolio.mark(0, 59_900.0)
    world.risk.watch(world.portfolio, world.time.now_ns())
    world.orders.save_baseline(world.time.now_ns())
    return world


@pytest.mark.parametrize("limit", ["daily_loss_max", "drawdown_max"])
def test_a_loss_beyond_its_limit_is_resumed_from_only_by_who_measures_it_anew(new_world, limit):
    world = lost(new_world, **{limit: 500.0})
    for restarts in (False, True):
        if restarts:
            world = world.restarted(limits=world.risk.limits)
            world.portfolio.mark(0, 59_900.0)
        with pytest.raises(UsageError, match=r"1000.00 USDT, more than 500, .*tickd resume --rebase"):
            world.orders.command(Command("resume", "cli"), world.time.now_ns())
        assert world.risk.halted
    world.orders.command(Command("resume", "cli", rebase=True), world.time.now_ns())
    world.risk.watch(world.portfolio, world.time.now_ns())
    world.meet()
    assert (world.risk.halted, world.risk.gate(0)) == (False, 0)
    world.portfolio.mark(0, 59_860.0)  # 400 since
    again = world.restarted(limits=world.risk.limits)
    for mid, halted in ((59_860.0, False), (59_840.0, True)):
        again.portfolio.mark(0, mid)
        again.risk.watch(again.portfolio, again.time.now_ns())
        assert again.risk.halted is halted


def test_a_day_that_lost_too_much_is_resumed_from_on_the_next(new_world):
    world = lost(new_world, daily_loss_max=500.0)
    world.later(86_400)
    world.risk.watch(world.portfolio, world.time.now_ns())
    world.orders.resume("cli")
    world.risk.watch(world.portfolio, world.time.now_ns())
    assert not world.risk.halted


def test_a_persons_halt_and_resume_forgive_no_loss(new_world):
    world = lost(new_world, daily_loss_max=1500.0, drawdown_max=1500.0)
    world.orders.halt("cli", "lunch")
    world.orders.resume("cli")
    assert (world.portfolio.worth.day_pnl, world.portfolio.worth.drawdown) == (-1000.0, 1000.0)
    world.portfolio.mark(0, 59_840.0)
    world.risk.watch(world.portfolio, world.time.now_ns())
    assert world.risk.halted


def test_the_kill_switch_is_thrown_even_if_that_cannot_be_recorded(world):
    world.disk.bytes_max = 0
    world.orders.halt("cli", "now")
    assert world.risk.halted
    assert "journal" in world.alarms()


def test_the_budget_goes_on_filling_after_the_clock_was_set_back(new_world):
    world = new_world(limits=RiskLimits(orders_per_s_max=10.0))
    for level in range(8):
        world.place(level=level)
    earlier_ns = world.time.now_ns() - 3_600_000_000_000

    def approved(second):
        action = world.action(level=50 + second, slot=15, reduces=True)
        return isinstance(
            world.risk.check(world.desks[0], action, earlier_ns + second * 1_000_000_000), Approved
        )

    assert all(approved(second) for second in range(50))


def test_refusals_are_journalled_after_the_clock_was_set_back(world):
    world.check(refusal=d.REFUSED_COLLAR)
    earlier_ns = world.time.now_ns() - 3_600_000_000_000
    for _ in range(3):
        world.risk.check(world.desks[0], world.action(refusal=d.REFUSED_COLLAR), earlier_ns)
    every = read_all(world.disk, world.folder)
    assert len([record for _, _, record in every if isinstance(record, RefusedAction)]) == 2


def see_nothing(world):
    world.risk.close(0, d.GATE_STALE_FEED)
    world.risk.blind = {(0, 0)}


def know_no_value(world):
    world.risk.losses.unseen = True
    world.risk.close_all(d.GATE_UNPRICED)


@pytest.mark.parametrize(
    ("shut", "reason"),
    [
        (lambda world: world.orders.halt("cli", "now"), "halted"),
        (lambda world: world.risk.ration(True), "low_budget"),
        (lambda world: world.risk.set_ready(world.desks[0], False), "not_ready"),
        (see_nothing, "stale_feed"),
        (know_no_value, "unpriced"),
    ],
)
def test_nothing_is_quoted_that_would_be_withdrawn_at_once_not_even_what_reduces(world, shut, reason):
    world.fill(world.place(qty=100), 1, 100)
    reducing = {"side": d.SELL, "qty": 50, "reduces": True, "level": 3}
    shut(world)
    assert world.check(kind=d.REST, **reducing).reason == reason
    assert isinstance(world.check(kind=d.TARGET, **reducing), Approved)


def test_what_reduces_is_quoted_through_a_gate_that_withdraws_nothing(world):
    world.fill(world.place(qty=100), 1, 100)
    world.risk.close(0, d.GATE_UNKNOWN_ORDER)
    quote = world.check(kind=d.REST, side=d.SELL, qty=50, reduces=True, level=3)
    assert isinstance(quote, Approved)


def test_a_switch_thrown_on_a_full_disk_is_on_record_once_the_disk_has_room(world):
    order = world.place()
    world.report("NEW", order)
    world.disk.bytes_max = 0
    world.orders.command(Command(verb="flatten", source="http", reason="out"), world.time.now_ns())
    assert world.risk.halted
    world.disk.bytes_max = None
    world.risk.watch(world.portfolio, world.time.now_ns())
    world.report("CANCELED", order)  # the journal is written again
    latch = world.restarted().risk.latch  # kill -9, and the service manager starts it again
    assert latch is not None
    assert latch.flatten


@pytest.mark.parametrize("spot", [True, False])
def test_only_a_derivatives_stop_passes_a_gate_beside_what_else_may_sell(new_world, perpetual, spot):
    world = new_world() if spot else new_world([perpetual])
    world.fill(world.place(qty=1000), 1, 1000)
    world.place(kind=d.STOP, side=d.SELL, price=5_900_000, qty=600)
    world.risk.close_all(d.GATE_WINDOW)
    stop = {"kind": d.STOP, "side": d.SELL, "price": 5_800_000, "level": 1, "slot": 1, "reduces": True}
    assert isinstance(world.check(qty=400, **stop), Approved)
    verdict = world.check(qty=401, **stop)
    assert isinstance(verdict, Refused) is spot


ACROSS = {"kind": d.TARGET, "side": d.SELL, "qty": 1500, "price": 5_990_000, "refusal": d.GATE_WINDOW}


@pytest.mark.parametrize("judged", [d.GATE_WINDOW, 0])  # 0: the gate has closed since the kernel looked
def test_of_a_target_across_zero_a_closed_gate_lets_out_what_reduces(new_world, perpetual, judged):
    world = new_world([perpetual])
    world.fill(world.place(qty=1000), 1, 1000)
    world.risk.close_all(d.GATE_WINDOW)
    wanted = world.action(slot=3, **{**ACROSS, "refusal": judged})
    verdict = world.risk.check(world.desks[0], wanted, world.time.now_ns())
    assert isinstance(verdict, Approved)
    assert verdict.action == world.action(slot=3, **{**ACROSS, "qty": 1000, "refusal": 0}, reduces=True)
    assert wanted == world.action(slot=3, **{**ACROSS, "refusal": judged})  # what was wanted is not changed
    order = world.orders.submit(verdict)
    assert (order.qty_lots, order.reduces) == (1000, True)
    again = world.check(slot=4, **ACROSS)  # what is on its way may trade whole
    assert (type(again), again.reason) == (Refused, "window")


@pytest.mark.parametrize(
    ("held", "change"),
    [
        (1000, {"kind": d.REST}),
        (1000, {"kind": d.STOP, "price": 5_900_000}),
        (1000, {"refusal": d.REFUSED_COLLAR}),
        (1000, {"refusal": d.GATE_HALTED}),  # that is open again
        (1000, {"side": d.BUY}),
        (0, {}),
    ],
)
def test_what_is_no_target_across_zero_at_a_closed_gate_is_refused_whole(new_world, perpetual, held, change):
    world = new_world([perpetual])
    if held:
        world.fill(world.place(qty=held), 1, held)
    world.risk.close_all(d.GATE_WINDOW)
    verdict = world.check(slot=3, **{**ACROSS, **change})
    assert isinstance(verdict, Refused)
    assert verdict.code == {**ACROSS, **change}["refusal"]


def test_what_is_left_to_reduce_is_no_less_than_the_venue_takes(new_world, perpetual):
    coarse = msgspec.structs.replace(perpetual, qty_min=Decimal("0.001"))
    world = new_world([coarse])
    world.fill(world.place(qty=1000), 1, 1000)
    world.place(kind=d.STOP, side=d.SELL, price=5_900_000, qty=950)
    world.risk.close_all(d.GATE_WINDOW)
    assert isinstance(world.check(slot=3, **ACROSS), Refused)  # 50 lots of 100


def test_what_closes_a_position_beside_its_stop_is_not_cut(new_world, perpetual):
    """As a flatten sends it: of a derivative the venue itself knows what reduces."""
    world = new_world([perpetual])
    world.fill(world.place(qty=1000), 1, 1000)
    world.place(kind=d.STOP, side=d.SELL, price=5_900_000, qty=400)
    world.risk.close_all(d.GATE_WINDOW)
    verdict = world.check(slot=3, reduces=True, **{**ACROSS, "qty": 1000, "refusal": 0})
    assert isinstance(verdict, Approved)
    assert verdict.action[d.X_QTY_LOTS] == 1000


def test_a_market_that_is_closed_takes_no_part_of_it_either(new_world, perpetual):
    world = new_world([perpetual])
    world.fill(world.place(qty=1000), 1, 1000)
    world.risk.suspend(0)
    assert isinstance(world.check(slot=3, **{**ACROSS, "refusal": d.GATE_MARKET_CLOSED}), Refused)


def test_a_clock_a_day_ahead_for_a_moment_forgives_no_loss(new_world):
    limits = RiskLimits(orders_per_s_max=1000.0, daily_loss_max=100.0)
    world = new_world(balances={"USDT": "100000"}, limits=limits)
    world.portfolio.mark(0, 60_000.0)
    world.risk.watch(world.portfolio, world.time.now_ns())
    bought = world.place(qty=100_000)
    world.report("NEW", bought)
    world.fill(bought, 1, 100_000)
    for step_ns, mid in ((0, 59_910.0), (24 * HOUR, 59_910.0), (-24 * HOUR, 59_910.0), (0, 59_820.0)):
        assert not world.risk.halted
        world.set_clock(step_ns)
        world.portfolio.mark(0, mid)
        world.risk.watch(world.portfolio, world.time.now_ns())
    assert world.risk.halted  # 180 lost, of 100

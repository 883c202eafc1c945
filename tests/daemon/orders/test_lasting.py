from __future__ import annotations

from decimal import Decimal

import pytest

from daemon.events import VenueStatus
from daemon.orders.lasting import Lasting
from daemon.orders.money import Apart
from kernels import dtypes as d
from tests.daemon.orders.conftest import HOUR, SECOND, START_NS, SteppedTime, World


class Looks:
    """Looks at one thing, on a clock of their own."""

    def __init__(self) -> None:
        self.time = SteppedTime(START_NS)
        self.lasting = Lasting(self.time)
        self.told_ns = 0  # when the latest trade was

    def look(self, units: int, after_s: float = 20.0, slack: int = 0) -> bool:
        """Whether what a look finds lasts; 0: it finds nothing."""
        self.time.advance(self.time.now_ns() + int(after_s * SECOND))
        apart = [Apart("BTC", units, "it is odd", slack)] if units else []
        return self.lasting.look(apart, {"BTC": self.told_ns}, self.time.now_ns()) == apart != []

    def trade(self, after_s: float = 0.0) -> None:
        """Be told of a trade."""
        self.time.advance(self.time.now_ns() + int(after_s * SECOND))
        self.told_ns = self.time.now_ns()


@pytest.fixture
def looks():
    return Looks()


def test_what_two_looks_find_twenty_seconds_apart_lasts(looks):
    assert [looks.look(7), looks.look(7, 19.9), looks.look(7, 0.1)] == [False, False, True]


def test_what_was_none_in_between_begins_anew(looks):
    assert [looks.look(units) for units in (7, 0, 7, 7)] == [False, False, False, True]


def test_others_in_between_are_no_end_of_it_and_what_is_rounded_is_the_same(looks):
    assert [looks.look(7, slack=1), looks.look(9, slack=1), looks.look(8, slack=1)] == [False, False, True]


def test_a_trade_that_is_told_in_between_may_have_been_another_s_difference(looks):
    looks.look(7)
    looks.trade(2.0)
    assert [looks.look(7, 3.0), looks.look(7)] == [False, True]


def test_a_look_that_a_trade_is_told_around_shows_nothing_but_that_all_agrees(looks):
    looks.trade()
    assert [looks.look(7, 0.9), looks.look(7, 5.0)] == [False, False]  # the first does not count
    looks.trade()
    looks.look(0, 0.9)
    assert [looks.look(7, 1.0), looks.look(7)] == [False, True]


def test_while_trades_are_told_between_all_looks_five_of_twenty_seconds_show_it(looks):
    found = []
    for _ in range(5):
        looks.trade(2.0)
        found.append(looks.look(7, 3.0))
    assert found == [False] * 4 + [True]
    looks.look(0)
    found.clear()
    for _ in range(5):  # not fewer, however long it takes
        looks.trade(8.0)
        found.append(looks.look(7, 2.0))
    assert found == [False] * 4 + [True]


def test_trades_that_keep_step_with_the_looks_show_nothing_until_one_does_not(looks):
    for _ in range(20):
        looks.trade(4.5)
        assert not looks.look(7, 0.5)
    looks.trade(2.0)
    assert looks.look(7, 3.0)


def test_looks_of_less_than_twenty_seconds_are_too_few(looks):
    for _ in range(8):
        looks.trade(1.0)
        assert not looks.look(7, 1.5)


def test_an_agreement_among_many_looks_begins_them_anew(looks):
    for number in range(1, 10):
        looks.trade(2.0)
        assert not looks.look(0 if number == 5 else 7, 4.0)


def test_what_was_settled_begins_anew(looks):
    looks.look(7)
    assert looks.look(7)
    assert looks.look(7)
    looks.lasting.forget("BTC")
    assert [looks.look(7), looks.look(7)] == [False, True]


def test_what_recurs_may_yet_last(looks):
    for units in range(1, 100):
        looks.look(units)
        assert not looks.lasting.recurs
    looks.look(99, 0.1)
    assert looks.lasting.recurs


# --- what the meetings make of it ---------------------------------------------------------------------------
@pytest.mark.parametrize("between", [False, True])
def test_lists_of_positions_that_are_behind_two_fills_of_one_size_halt_nothing(perpetual, between):
    world = World([perpetual])
    held = 0

    def fill():
        nonlocal held
        held += 1000
        order = world.place(qty=1000)
        world.report("NEW", order, venue_order_id=str(held))
        world.fill(order, held, 1000)

    for _ in range(3):
        asked_ns, told = world.time.now_ns(), held
        fill()  # after the venue read its positions, and before the answer came
        assert world.meet(positions={0: told}, asked_ns=asked_ns).fatal == []
        world.later(2.5)
        if between:
            fill()
        world.later(2.6)
    assert not world.risk.halted


def test_a_fill_that_is_behind_a_list_and_one_that_is_ahead_of_the_next_halt_nothing(perpetual):
    world = World([perpetual])
    world.fill(world.place(qty=1000), 1, 1000)
    assert world.meet(positions={}).fatal == []  # it was read before
    world.later(6)
    order = world.place(qty=1000, side=d.SELL)
    assert world.meet(positions={}).fatal == []  # it trades, and we are told a moment later
    world.fill(order, 2, 1000)
    world.later(6)
    assert world.meet(positions={}).unsettled == []


def test_a_position_that_differs_halts_though_another_symbol_trades_all_the_time(pair, perpetual):
    world = World([perpetual, pair[1]], {"maker": (0,), "other": (1,)}, balances={"USDT": "9", "BTC": "9"})
    for number in range(2):
        world.fill(world.place(1, price=3_000), 1 + number, 100)
        found = world.meet(positions={0: 5})
        world.later(20)
    assert len(found.fatal) == 1


def coins(new_world):
    """A world whose strategy holds all of the account's coins, and has something at work."""
    world = new_world(balances={"USDT": "100000"})
    world.fill(world.place(qty=100_000), 1, 100_000)
    keep = world.place(price=5_000_000, level=9)
    world.report("NEW", keep, venue_order_id="k")
    world.later(60)
    return world, [World.listed(keep)]


@pytest.mark.parametrize("side", [d.SELL, d.BUY])
def test_trades_of_one_size_on_their_way_at_looks_that_are_no_neighbours_halt_nothing(new_world, side):
    """Sells that the balances hold before they are told; buys that are told before the balances hold them."""
    world, listed = coins(new_world)
    usdt, btc = Decimal(40_000), Decimal(1)
    for number, lots in enumerate((1000, 2000, 1000, 2000, 1000), 2):
        before = {"USDT": str(usdt), "BTC": str(btc)}
        usdt -= side * lots * Decimal("0.6")
        btc += side * lots / Decimal(100_000)
        order = world.place(side=side, qty=lots, level=number)
        world.report("NEW", order, venue_order_id=str(number))
        asked_ns = world.time.now_ns()
        if side == d.SELL:
            world.meet({"USDT": str(usdt), "BTC": str(btc)}, open_orders=listed)
            world.later(0.05)
            world.fill(order, number, lots)
        else:
            world.fill(order, number, lots)
            world.later(0.05)
            world.meet(before, open_orders=listed, asked_ns=asked_ns)
        world.later(5)
        assert not world.risk.halted
    assert world.alarms() == []
    assert world.meet({"USDT": str(usdt), "BTC": str(btc)}, open_orders=listed).unsettled == []


def test_coins_that_are_gone_halt_once_that_lasts_though_something_else_is_moved_all_the_time(new_world):
    world, listed = coins(new_world)
    world.risk.close_all(d.GATE_VENUE_DOWN)  # as after a reconnect
    fatal = []
    for number in range(3):
        fatal.append(world.meet({"USDT": str(40_000 - number), "BTC": "0.5"}, open_orders=listed).fatal)
        assert world.risk.gate(0) & d.GATE_VENUE_DOWN or fatal[-1]
        world.later(20)
    assert [len(texts) for texts in fatal] == [0, 1, 1]
    assert world.risk.latch.reason.startswith("the strategies hold 1 BTC and the account 0.5")


def test_coins_that_were_brought_back_are_taken_over_before_it_is_judged_what_lacks(new_world):
    world, listed = coins(new_world)
    fatal = []
    for told in ("0.5", "0.5", "1", "1"):
        fatal.append(len(world.meet({"USDT": "40000", "BTC": told}, open_orders=listed).fatal))
        world.later(20)
        world.orders.resume("cli")
    assert fatal == [0, 1, 0, 0]


def test_the_same_amount_that_is_moved_by_hand_once_more_must_last_anew(new_world):
    world, listed = coins(new_world)
    notes = []
    for usdt, after_s in (("39000", 20), ("39000", 0.1), ("38000", 19.8), ("38000", 0.2), ("38000", 0)):
        notes.append(world.meet({"USDT": usdt, "BTC": "1"}, open_orders=listed).notes)
        world.later(after_s)
    assert [len(texts) for texts in notes] == [0, 1, 0, 0, 1]


def test_balances_behind_a_trade_are_that_whatever_the_clock_is_set_to_meanwhile(new_world):
    world = new_world(balances={"USDT": "100000"})
    world.fill(world.place(qty=100_000), 1, 100_000)
    world.set_clock(HOUR)
    assert len(world.meet({"USDT": "100000"}).unsettled) == 2


def test_a_position_that_differs_halts_though_an_earlier_runs_clock_was_fast(perpetual):
    world = World([perpetual], balances={"USDT": "100000"})
    world.time.step_ns = HOUR
    world.fill(world.place(qty=1000), 1, 1000)
    world.time.step_ns = 0
    again = world.restarted()
    for _ in range(3):
        fatal = again.meet(positions={}).fatal
        again.later(20)
    assert len(fatal) == 1


def test_a_look_that_agreed_when_nothing_was_open_counts_too(new_world):
    world, listed = coins(new_world)
    odd, right = {"USDT": "39000", "BTC": "1"}, {"USDT": "40000", "BTC": "1"}
    world.meet(odd, open_orders=listed)
    (order,) = world.orders.life.open.values()
    world.report("CANCELED", order)
    world.later(5)
    world.meet(right)
    order = world.place(price=5_000_000)
    world.report("NEW", order, venue_order_id="again")
    assert world.meet(odd, open_orders=[World.listed(order)]).notes == []


def test_money_moved_by_hand_is_looked_for_soon_as_long_as_the_same_is_found_among_many_trades(new_world):
    world, listed = coins(new_world)
    seen = []
    for number in range(2, 40):
        world.fill(world.place(kind=d.TARGET, qty=1), number, 1)
        world.later(2 if number % 2 else 0.5)  # half of the looks come too soon after a trade
        bought = (number - 1) * Decimal("0.00001")
        told = {"USDT": str(30_000 - bought * 60_000), "BTC": str(1 + bought)}
        found = world.meet(told, open_orders=listed)
        if found.notes:
            break
        seen.append(found.soon)
        world.later(3 if number % 2 else 4.5)
    assert seen == [True] * 4
    assert world.alarms() == ["balance"]


@pytest.mark.parametrize("restarted", [False, True])
def test_risk_is_let_in_though_another_program_moves_the_accounts_money_and_a_person_is_told(
    new_world, restarted
):
    world, listed = coins(new_world)
    world = world.restarted() if restarted else world
    for up in (False, True):
        world.orders.venue_status(VenueStatus(up=up, reason="", wire_ns=world.time.now_ns()))
    soon = []
    for number in range(100):
        world.later(5)
        told = {"USDT": str(41_000 + number), "BTC": "1"}
        soon.append(world.meet(told, open_orders=listed).soon)
        assert world.risk.gate(0) == 0
    assert world.alarms() == ["balance"]
    assert world.audits[-1].text.startswith("for 60 s the balances have differed, and by nothing that lasts")
    assert soon == [True] * 12 + [False] * 88  # it takes no more requests then

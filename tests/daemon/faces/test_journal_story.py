from __future__ import annotations

import math
from decimal import Decimal

import numpy as np

from daemon.events import ExecutionReport
from daemon.faces.journal_story import story
from daemon.orders.order import State
from kernels import dtypes as d
from kernels.features import FEATURES
from tests.daemon.orders.conftest import World


def sentences(journal, order):
    return [sentence for _, sentence in story(journal, order)]


def test_a_life_is_told_from_the_decision_through_the_doubt_to_the_end(told):
    world = World()
    order = world.place(level=2, qty=500, decided=12_000_101)
    world.time.advance(world.time.now_ns() + 900_000)
    world.report("NEW", order, venue_order_id="77")
    world.fill(order, 2, 200, last_ticks=5_999_900, commission=Decimal("0.12"), commission_asset="USDT")
    world.orders.amend(order, 100, world.time.now_ns())
    world.report("AMEND_REJECTED", order, code=-2038, reason="no such")
    world.later(1)
    world.report("STATUS", order, status="CANCELED", qty_lots=500, cum_lots=200)
    run = world.ids.run
    first, seen, *rest = sentences(told(world), order.client_order_id)
    assert first == (
        f"strategy maker, run {run}, decided to buy 0.00500 BTC/USDT at 60000.00 (rest, level 2), the mid at "
        "60000.505"
    )
    assert seen.startswith(
        "it had seen a row of 25 features, whose names this version does not know: [0.0, 1.0"
    )
    assert rest == [
        "risk approved it (what it refuses gets no order id), and it was recorded, to be sent at once",
        "the venue acknowledged it as its order 77, 900.0 us after the decision",
        (
            "filled 0.00200 at 59999.00 as taker, 1.00 better than its price, fee 0.12 USDT, "
            "900.0 us after the decision"
        ),
        "the venue was asked to lower it to 0.00300, 900.0 us after the decision",
        "the venue refused to amend it: no such (-2038), 900.0 us after the decision",
        "so it is UNKNOWN: its worst case stays reserved, and the venue is asked about it",
        "asked about it, the venue said CANCELED, 0.00200 filled, 1,000,900.0 us after the decision",
        "that resolved the doubt: it is CANCELED, after 1.000000 s UNKNOWN",
        (
            "it ended CANCELED, 0.00200 of 0.00500 filled at 59999.000000 on average, fees 0.12 USDT, "
            "slippage -0.00301 USDT, -0.002 USDT against its price, 1,000,900.0 us after the decision"
        ),
    ]


def test_the_features_it_saw_are_named_and_those_not_ready_apart(told):
    world = World()
    row = np.full(len(FEATURES) + 1, math.nan)
    row[0], row[-1] = 0.125, 0.5
    world.desks[0].rows[0] = row
    seen = sentences(told(world_with(world)), f"test-{world.ids.run}-1")[1]
    named, _, missing = seen.partition("; not ready were ")
    assert named == f"it had seen {FEATURES[0]} 0.125, prediction 0.5"
    assert missing.split(", ") == list(FEATURES[1:])


def world_with(world):
    world.place()
    return world


def test_an_order_open_at_a_restart_is_doubted_and_where_the_journal_ends_is_said(told):
    world = World()
    order = world.place(qty=100)
    world.report("NEW", order)
    again = world.restarted()
    found = sentences(told(again), order.client_order_id)
    assert found[-2] == f"the daemon started anew as run {again.ids.run} while it was open, so it is UNKNOWN"
    assert found[-1] == "the journal ends here: the order is UNKNOWN, 0.00100 are left"
    again.report("STATUS", order, status="NEW", qty_lots=100)
    assert sentences(told(again), order.client_order_id)[-2].startswith(
        "that resolved the doubt: it is WORKING"
    )


def test_a_journal_whose_head_is_gone_begins_with_what_a_checkpoint_knows(told):
    world = World()
    order = world.place(qty=100)
    world.report("NEW", order)
    world.fill(order, 1, 40)
    again = world.restarted()
    of_run = [at for at, record in enumerate(told(again)) if type(record).__name__ == "Run"]
    first = sentences(told(again)[of_run[-1] :], order.client_order_id)[0]
    assert first == (
        "the journal's first word of it, in a checkpoint: buy 0.00100 BTC/USDT at 60000.00, UNKNOWN, "
        "0.00040 filled"
    )


def test_a_refused_amend_a_repeated_fill_a_rejection_and_the_absence_rule_are_told(told):
    world = World()
    order = world.place(qty=100)
    world.report("NEW", order)
    fill = world.fill(order, 1, 40)
    world.orders.apply(ExecutionReport(**{name: getattr(fill, name) for name in fill.__struct_fields__}))
    world.risk.refuse(
        d.REFUSED_ORDER_RATE, world.desks[0], world.action(d.AMEND, qty=10), world.time.now_ns()
    )
    found = sentences(told(world), order.client_order_id)
    assert "a fill was told again, and is not counted twice" in found
    assert "to amend it was refused: order_rate" in found
    other = world.place(level=1)
    world.report("REJECTED", other, code=-2010, reason="no money")
    assert [one.partition(", ")[0] for one in sentences(told(world), other.client_order_id)[-2:]] == [
        "the venue rejected it: no money (-2010)",
        "it ended REJECTED",
    ]
    third = world.place(level=2)
    world.report("REJECTED", third, reason="not sent: the venue is down")
    assert [one.partition(", ")[0] for one in sentences(told(world), third.client_order_id)[-2:]] == [
        "it was not sent: the venue is down",
        "it ended REJECTED",
    ]


def test_an_order_found_at_the_venue_and_one_that_is_not_there_are_told(told):
    world = World()
    world.meet(open_orders=[world.listed("strange", cum_lots=10)])
    assert sentences(told(world), "strange")[0] == (
        "found at the venue, unknown to the journal: buy 0.00100 BTC/USDT at 60000.00, PARTIALLY_FILLED, "
        "0.00010 filled"
    )
    lost = world.place(level=5)
    for _ in range(8):
        world.later(20)
        world.report("NOT_FOUND", lost)
        world.meet(open_orders=[])
    assert lost.state is State.VOID
    found = sentences(told(world), lost.client_order_id)
    assert "it is not at the venue, by the absence rule" in found
    assert any(one.startswith("that resolved the doubt: it is VOID") for one in found)


def test_of_an_order_that_is_nowhere_nothing_is_told(busy, told):
    assert sentences(told(busy), "x-1-1") == []
    assert sentences([], "x-1-1") == []

from __future__ import annotations

import asyncio
from decimal import Decimal

from daemon.orders.order import State
from kernels import dtypes as d
from tests.daemon.orders.conftest import World


def test_a_foreign_trade_moves_balances_once_and_alarms(world):
    before = world.portfolio.purse("BTC").total
    for _ in range(2):
        world.orders.apply(World.trade("someone-1", 7, 100))
    assert world.portfolio.purse("BTC").total - before == 10**15
    assert world.alarms() == ["foreign_trade"]


def test_what_is_no_trade_is_passed_over(world):
    world.report("CANCELED", "someone-1")
    assert world.alarms() == []


def test_a_foreign_trade_of_a_derivative_pays_its_fee_and_asks_for_the_venues_word(new_world, perpetual):
    world = new_world([perpetual], balances={"USDT": "1000"})
    asked = []
    world.orders.doubts.ask_snapshot = lambda: asked.append(1)
    world.orders.apply(World.trade("autoclose-1", 7, 100, commission=Decimal("0.5"), commission_asset="USDT"))
    assert world.portfolio.purse("USDT").total == 9_995 * 10**17
    assert len(asked) == 1


def test_a_trade_of_an_order_whose_record_was_lost_waits_for_the_meeting_that_takes_both_in(world):
    asyncio.run(world.journal.sync_now())
    lost = world.place(qty=100)
    world.disk.power_cut()
    again = world.restarted()
    asked = []
    again.orders.doubts.ask_snapshot = lambda: asked.append(1)
    told = World.trade(lost.client_order_id, 4, 40, cum_lots=40)
    again.orders.apply(told)  # the stream is faster than the first snapshot
    assert (len(asked), again.alarms()) == (1, [])
    again.meet(open_orders=[World.listed(lost, cum_lots=40)], trades=[told])
    adopted = again.orders.life.open[lost.client_order_id]
    assert (adopted.state, adopted.filled_lots) == (State.PENDING_CANCEL, 40)
    assert again.position(d.P_QTY) == 4e-4

from __future__ import annotations

import msgspec
import pytest

from daemon.events import Command
from daemon.orders import records as r
from daemon.orders.audit import Alarm, Filled, Moved
from daemon.orders.order import State
from daemon.orders.reader import read_all
from daemon.orders.retelling import Retelling, Spells
from kernels import dtypes as d


def retold(world, observers=()):
    """Tell a world's whole journal again."""
    telling = Retelling(list(observers))
    for _, _, record in read_all(world.disk, world.folder):
        telling.take(record)
    return telling


def books(orders):
    """Everything the daemon believes of money and orders."""
    portfolio, life = orders.portfolio, orders.life
    return (
        {
            (orders.desks[strategy].name, row): (held.qty, held.cost, held.realised, held.fees)
            for (strategy, row), held in portfolio.holdings.items()
        },
        {asset: (purse.total, purse.fees) for asset, purse in portfolio.purses.items() if purse.total},
        {cid: (order.state, order.filled_lots, order.qty_lots) for cid, order in life.open.items()},
        {cid: (order.state, order.filled_lots, order.qty_lots) for cid, order in life.ended.items()},
    )


def test_what_is_told_is_what_the_daemon_believed(world):
    part, _ = world.be_busy()
    world.orders.cancel(part, world.time.now_ns())
    world.later(3)
    assert part.state is State.UNKNOWN
    telling = retold(world)
    assert books(telling.orders) == books(world.orders)
    assert telling.priced


def test_the_audits_are_those_that_were_heard_while_it_happened(world):
    world.be_busy()
    heard = []
    retold(world, [heard.append])
    for kind in (Moved, Filled):
        told = [audit for audit in heard if isinstance(audit, kind)]
        lived = [audit for audit in world.audits if isinstance(audit, kind)]
        assert len(told) == len(lived) > 0
        assert [audit.now_ns for audit in told] == [audit.now_ns for audit in lived]
    assert not [audit for audit in heard if isinstance(audit, Alarm)]


def test_a_run_goes_on_from_its_checkpoint_with_instruments_and_strategies_of_its_own(new_world, pair):
    world = new_world(pair, {"maker": (0,)})
    part, _ = world.be_busy()
    again = world.restarted(instruments=[pair[0]], strategies={"new": (0,), "maker": (0,)})
    again.meet()
    again.fill(again.orders.life.open[part.client_order_id], 77, 10)
    telling = retold(again)
    assert books(telling.orders) == books(again.orders)
    assert telling.run.run == again.ids.run


def test_a_torn_segment_without_a_checkpoint_is_told_from_the_one_before(world):
    world.be_busy()
    telling = retold(world)
    before = books(telling.orders)
    telling.take(r.Marked(9))
    telling.take(r.CommandTaken(9, Command("halt", "cli")))
    assert books(telling.orders) == before


def test_without_a_run_nothing_can_be_told():
    telling = Retelling([])
    telling.take(r.Voided(1, "a-1-1"))
    assert (telling.orders, telling.run) == (None, None)


def test_an_older_run_that_names_no_steps_is_told_in_ticks_and_lots(world):
    world.be_busy()
    telling = Retelling([])
    for _, _, record in read_all(world.disk, world.folder):
        telling.take(msgspec.structs.replace(record, steps=[]) if isinstance(record, r.Run) else record)
    assert not telling.priced
    assert {cid: order.filled_lots for cid, order in telling.orders.life.open.items()} == {
        cid: order.filled_lots for cid, order in world.orders.life.open.items()
    }


@pytest.mark.parametrize(("symbol", "spot"), [("BTC/USDT", True), ("BTC/USDT:USDT", False)])
def test_the_market_is_told_by_the_symbol(symbol, spot):
    telling = Retelling([])
    telling.take(r.Run(1, "t", 1, "0", [("maker", [symbol])], [symbol], "", [("0.1", "0.001")]))
    (instrument,) = telling.orders.instruments
    assert (instrument.symbol, instrument.spot) == (symbol, spot)
    assert telling.orders.desks[0].position[d.P_QTY] == 0.0


def test_a_spell_of_doubt_lasts_from_the_first_step_into_it_to_the_step_out(world):
    order = world.place()
    world.later(3)
    assert order.state is State.UNKNOWN
    world.report("TIMEOUT", order)  # doubted already
    world.later(2)
    world.report("STATUS", order, status="NEW", qty_lots=100)
    spells, ended = Spells(), []
    retold(world, [lambda audit: ended.append(spells.moved(audit)) if isinstance(audit, Moved) else None])
    (spell,) = [one for one in ended if one is not None]
    assert spell[1] - spell[0] == 3 * 1_000_000_000
    assert spells.lasting() == []


def test_a_checkpoint_goes_on_with_a_spell_and_begins_those_of_its_run(world):
    order = world.place()
    world.later(3)
    spells = Spells()
    telling = retold(world)
    spells.loaded(telling.orders)
    since_ns, held = spells.lasting()[0]
    assert (since_ns, held.client_order_id) == (order.changed_ns, order.client_order_id)
    again = world.restarted()
    again.later(1)
    spells.loaded(retold(again).orders)
    assert [since for since, _ in spells.lasting()] == [since_ns]

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from daemon.faces import journal_views as views
from daemon.instruments import make_instrument
from daemon.orders import records as r
from daemon.orders.money import to_text
from kernels import dtypes as d


def rows(view, journal):
    return [row for _, row in view(journal)]


def test_an_order_is_told_from_its_decision_to_its_end(busy, told):
    found = {row.order[-1]: row for row in rows(views.orders, told(busy))}
    one = found["2"]
    assert (one.kind, one.side, one.price, one.quantity, one.filled) == (
        "rest",
        "buy",
        "60000.00",
        "0.00500",
        "0.00200",
    )
    assert (one.average, one.value, one.fees) == ("60000.000000", "120", "0.12 USDT")
    assert (one.decided, one.slippage, one.limit_slippage) == ("", "", "0")
    assert (one.state, one.unknown_s) == ("CANCELED", "1.000000000")
    assert one.ended > one.time
    assert (found["5"].quantity, found["5"].state, found["5"].ended) == ("0.00020", "UNKNOWN", "")
    assert (found["4"].state, found["4"].value) == ("REJECTED", "")


def test_ended_orders_are_told_before_the_journal_ends(busy, told, monkeypatch):
    whole = rows(views.orders, told(busy))
    monkeypatch.setattr(views, "_ENDED_KEPT", 1)
    assert rows(views.orders, told(busy)) == whole
    few = views.orders(iter(told(busy)))
    assert next(few)[1] == whole[0]


def test_a_fill_is_told_once_with_its_price_against_the_orders(world_of_one, told):
    world = world_of_one()
    order = world.place(side=d.SELL, price=6_100_000, qty=300, decided=12_200_001)
    world.report("NEW", order)
    told_twice = world.fill(
        order,
        9,
        100,
        last_ticks=6_100_250,
        is_maker=True,
        commission=Decimal("0.0000001"),
        commission_asset="BNB",
    )
    world.orders.apply(told_twice)
    (one,) = rows(views.fills, told(world))
    assert (one.kind, one.price) == ("maker", "61002.50")
    assert (one.decided, one.slippage, one.limit, one.limit_slippage) == (
        "61000.005",
        "-0.002495",
        "61000.00",
        "-0.0025",
    )
    (whole,) = rows(views.orders, told(world))
    assert (whole.decided, whole.slippage, whole.limit_slippage) == ("61000.005", "-0.002495", "-0.0025")
    assert (one.fee, one.asset, one.value, one.trade) == ("0.0000001", "BNB", "61.0025", "9")


def test_a_trade_of_a_strange_order_has_no_strategy(world_of_one, told):
    world = world_of_one()
    world.report("TRADE", "strange", trade_id=5, last_lots=10, last_ticks=6_000_000, side=d.BUY)
    (one,) = rows(views.fills, told(world))
    assert (one.order, one.strategy, one.limit, one.slippage, one.value) == ("strange", "", "", "", "6")
    assert (one.decided, one.limit_slippage) == ("", "")
    assert rows(views.positions, told(world)) == []


def test_a_position_is_what_the_daemon_believed_after_each_trade(busy, told):
    last = rows(views.positions, told(busy))[-1]
    held = busy.portfolio.holdings[0, 0]
    assert (last.quantity, last.cost) == (to_text(held.qty), to_text(held.cost))
    assert (last.realised, last.fees) == (to_text(held.realised), to_text(held.fees))


def test_commands_and_the_switch_are_told_with_who_and_why(busy, told):
    found = [(row.kind, row.source, row.reason) for row in rows(views.commands, told(busy))]
    assert found == [
        ("halt", "cli", "lunch"),
        ("halted", "cli", "lunch"),
        ("resumed", "cli", ""),
        ("resume", "cli", ""),
    ]


def test_refusals_are_told_with_what_was_wanted_and_why_not(busy, told):
    found = [(row.what, row.wish, row.side, row.price, row.kind) for row in rows(views.refusals, told(busy))]
    assert found == [
        ("place", "rest", "buy", "60000.00", "no_slot"),
        ("place", "rest", "sell", "62000.00", "halted"),
    ]


def test_an_older_journal_is_told_in_ticks_and_lots_without_money(busy, told):
    old = [msgspec.structs.replace(one, steps=[]) if isinstance(one, r.Run) else one for one in told(busy)]
    fill = rows(views.fills, old)[0]
    assert (fill.price, fill.quantity, fill.value, fill.slippage) == ("6000000 ticks", "1000 lots", "", "")
    assert rows(views.orders, old)[0].price == "6000000 ticks"
    assert rows(views.positions, old)[0].realised == ""


def test_an_average_has_digits_beyond_the_tick():
    one = make_instrument(
        0, "", "spot", "A/B", tick_size="0.5", lot_size="1", qty_min="1", qty_max="1", notional_min="0"
    )
    assert views.average(-10, -3, one) == "3.33333"


@pytest.fixture
def world_of_one(busy):
    return type(busy)

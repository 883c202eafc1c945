from __future__ import annotations

from decimal import Decimal

import pytest

from daemon.errors import ConfigError
from daemon.orders.detached import left_behind, refuse_netted
from kernels import dtypes as d


def test_what_no_strategy_minds_is_one_sentence_each(new_world, pair):
    world = new_world(pair, {"old": (0, 1), "kept": (1,)})
    order = world.place(qty=100)
    world.report("NEW", order)
    world.fill(order, 1, 40)
    world.place(strategy=0, row=1, price=5000, qty=10)
    again = world.restarted(strategies={"kept": (1,)})
    tail = ": no strategy of that name trades it now; configure one, or flatten"
    assert left_behind(again.orders) == [
        f"nobody minds 0.0004 BTC and 1 open order of old in BTC/USDT{tail}",
        f"nobody minds 1 open order of old in ETH/BTC{tail}",
    ]


def test_less_than_a_lot_is_nothing_to_tell_of(new_world):
    world = new_world(strategies={"old": (0,)})
    order = world.place(qty=100)
    world.fill(order, 1, 100, commission=Decimal("0.000999"), commission_asset="BTC")
    assert world.position(d.P_QTY) == 1e-6
    again = world.restarted(strategies={"new": (0,)})
    assert again.portfolio.holdings[1, 0].qty == 10**12
    assert left_behind(again.orders) == []


def test_what_a_derivatives_exchange_would_net_is_refused_until_it_is_closed(new_world, perpetual):
    world = new_world([perpetual], {"old": (0,)}, balances={"USDT": "1000000"})
    world.fill(world.place(kind=d.TARGET, qty=100), 1, 100)
    again = world.restarted(strategies={"new": (0,)})
    with pytest.raises(
        ConfigError, match=r"strategy old holds 0\.001 BTC of BTC/USDT:USDT, which new trades now"
    ):
        refuse_netted(again.orders)
    back = again.restarted(strategies={"old": (0,)})
    refuse_netted(back.orders)
    back.meet(positions={0: 100})
    back.fill(back.place(kind=d.TARGET, side=d.SELL, qty=100), 2, 100)
    refuse_netted(back.restarted(strategies={"new": (0,)}).orders)

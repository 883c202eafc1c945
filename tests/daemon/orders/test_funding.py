from __future__ import annotations

from decimal import Decimal

from daemon.events import Funding
from daemon.orders.funding import take_funding
from kernels import dtypes as d


def paid(world, amount: str) -> Funding:
    return Funding(wire_ns=world.time.now_ns(), asset="USDT", amount=Decimal(amount))


def test_funding_moves_the_wallet_and_the_days_result_and_no_position(new_world, perpetual):
    world = new_world([perpetual], balances={"USDT": "10000"})
    world.portfolio.mark(0, 60_000.0)
    world.fill(world.place(kind=d.TARGET, qty=10_000, price=6_000_000), 1, 10_000)
    world.portfolio.worth.roll(world.time.now_ns())
    before = world.portfolio.holdings[0, 0].realised
    take_funding(world.orders, paid(world, "-0.6"))
    assert world.portfolio.purse("USDT").total == 99_994 * 10**17
    assert world.account(d.A_EQUITY) == 9_999.4
    assert round(world.account(d.A_DAY_PNL), 9) == -0.6
    assert world.portfolio.holdings[0, 0].realised == before


def test_funding_is_in_the_journal(new_world, perpetual):
    world = new_world([perpetual], balances={"USDT": "10000"})
    take_funding(world.orders, paid(world, "1.25"))
    assert world.restarted().portfolio.purse("USDT").total == 1000125 * 10**16


def test_what_comes_after_the_end_is_not_believed(new_world, perpetual):
    world = new_world([perpetual], balances={"USDT": "10000"})
    world.orders.close()
    take_funding(world.orders, paid(world, "1"))
    assert world.portfolio.purse("USDT").total == 10_000 * 10**18

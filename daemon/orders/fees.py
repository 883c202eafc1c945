"""Fees paid in an asset that is neither base nor quote: valued once, by the mids, and then on record.

A journal holds no mids. So such a fee waits in `Portfolio.unvalued`, live and when the journal is told again,
until its value is known, at once as a rule, and the record of that takes it from there.

Where the account has none of the asset but what strategies hold, such as BNB that one of them trades, the fee
is paid with their coins, and their positions are so much smaller.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from daemon.orders.money import to_units
from daemon.orders.records import FeeValued, pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.events import ExecutionReport
    from daemon.orders.desk import Desk
    from daemon.orders.portfolio import Portfolio


def value_fees(portfolio: Portfolio, record: Callable[[bytes], None], now_ns: int) -> bool:
    """Value the fees that wait, as far as the mids are known; return whether none is left waiting."""
    for (strategy, row, asset), paid in list(portfolio.unvalued.items()):
        index = portfolio.desks[strategy].instruments[row]
        rate = portfolio.worth.rate(asset, portfolio.instruments[index].quote)
        if isfinite(rate):
            fee = FeeValued(now_ns, strategy, row, asset, str(paid), str(int(paid * rate)))
            record(pack(fee))
            portfolio.value_fee(fee, strategy)
    return not portfolio.unvalued


def take_coins(portfolio: Portfolio, payer: Desk, report: ExecutionReport) -> None:
    """Take a fee of `payer`, as far as the account had nothing else to pay it with, off who holds the coins.

    The payer's own go first, then those of the largest position; at what they cost, since the fee's value is
    accounted for by itself.
    """
    asset = report.commission_asset
    holders = [
        (desk is not payer, -holding.qty, desk, row)
        for desk in portfolio.desks
        for row, index in enumerate(desk.instruments)
        if (holding := portfolio.holdings[desk.index, row]).qty > 0
        and (one := portfolio.instruments[index]).spot
        and one.base == asset
    ]
    held = -sum(minus for _, minus, _, _ in holders)
    left = min(held - portfolio.purse(asset).total, to_units(report.commission))
    for _, _, desk, row in sorted(holders, key=lambda holder: holder[:2]):
        if left <= 0:
            return
        holding = portfolio.holdings[desk.index, row]
        part = min(left, holding.qty)
        holding.trade(-part, -(holding.cost * part // holding.qty))
        portfolio.put_holding(desk, row, holding)
        left -= part

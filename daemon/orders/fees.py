"""Fees paid in an asset that is neither base nor quote: valued once, by the mids, and then on record.

A journal holds no mids. So such a fee waits in `Portfolio.unvalued`, live and when the journal is told again,
until its value is known, at once as a rule, and the record of that takes it from there.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from daemon.orders.records import FeeValued, pack

if TYPE_CHECKING:
    from collections.abc import Callable

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

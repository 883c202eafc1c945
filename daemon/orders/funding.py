"""Funding: what open derivatives cost or bring by themselves, journalled and then believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.orders.records import pack

if TYPE_CHECKING:
    from daemon.events import Funding
    from daemon.orders.manager import Orders


def take_funding(orders: Orders, funding: Funding) -> None:
    """Account for it: the wallet moves, and with it the day's result; no strategy's position does.

    In cross margin the venue names the asset alone, so it is the account's and not one strategy's.
    """
    if not orders.closed:
        orders.record(pack(funding))
        orders.portfolio.fund(funding)

"""Opposite positions of a derivative: its exchange holds their sum alone, so they close each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.orders.audit import Alarm
from daemon.orders.checkpoint import save
from daemon.orders.money import to_text
from daemon.orders.records import pack

if TYPE_CHECKING:
    from daemon.instruments import Instrument
    from daemon.orders.manager import Orders


def settle_opposite(orders: Orders, now_ns: int) -> None:
    """Let strategies' opposite positions in a derivative close each other, on record."""
    settled = 0
    for instrument in orders.instruments:
        units = 0 if instrument.spot else _settle(orders, instrument)
        settled += units
        if units:
            text = (
                f"{to_text(units)} {instrument.base} of {instrument.symbol} are settled, which strategies "
                "held against each other, and the exchange not at all"
            )
            orders.tell(Alarm("settled", text, now_ns))
    if settled:
        orders.portfolio.revalue()
        orders.record(pack(save(orders)))


def _settle(orders: Orders, instrument: Instrument) -> int:
    """Settle what is opposite in one instrument; return how much, in units.

    It is done at what the long ones cost: what both sides have made together is the same at any price.
    """
    portfolio = orders.portfolio
    held = [
        (desk, row, portfolio.holdings[desk.index, row])
        for desk, row in orders.risk.gates.rows[instrument.index]
    ]
    longs = [holding for _, _, holding in held if holding.qty > 0]
    shorts = [holding for _, _, holding in held if holding.qty < 0]
    settled = 0
    margin = portfolio.purse(instrument.quote)
    for long in longs:
        for short in shorts:
            qty = min(long.qty, -short.qty)
            if qty:
                notional = long.cost * qty // long.qty
                margin.total += long.trade(-qty, -notional) + short.trade(qty, notional)
                settled += qty
    if settled:
        for desk, row, holding in held:
            portfolio.put_holding(desk, row, holding)
        margin.show()
    return settled

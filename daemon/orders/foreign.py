"""Trades of orders this daemon does not know: a person's, or the exchange's own, such as a liquidation.

One that carries our own id lost its record in a power cut, or ended long ago. It is not accounted for here,
where nobody knows for whom: a meeting with the venue takes it in together with its order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.orders.audit import Alarm, Filled

if TYPE_CHECKING:
    from daemon.events import ExecutionReport
    from daemon.orders.manager import Orders


def take_foreign(orders: Orders, report: ExecutionReport) -> None:
    """Account for what it moved; of a derivative it moved the position, so the venue is asked."""
    index = report.instrument
    trades = orders.portfolio.trades[index]
    if report.kind != "TRADE" or trades.has(report.trade_id, report.side):
        return
    if orders.ids.parse(report.client_order_id) is not None:
        orders.doubts.ask_snapshot()
        return
    trades.add(report.trade_id, report.side)
    orders.portfolio.fill_foreign(report)
    orders.tell(Filled(None, report, report.wire_ns))
    text = f"order {report.client_order_id}, which we never sent, traded {report.last_lots} lots"
    orders.tell(Alarm("foreign_trade", text, report.wire_ns))
    if not orders.instruments[index].spot:
        orders.doubts.ask_snapshot()

"""Trades of orders this daemon never sent: a person's, or the exchange's own, such as a liquidation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.orders.audit import Alarm, Filled

if TYPE_CHECKING:
    from daemon.events import ExecutionReport
    from daemon.orders.manager import Orders


def take_foreign(orders: Orders, report: ExecutionReport) -> None:
    """Account for what it moved; of a derivative it moved the position, so the venue is asked."""
    index = report.instrument
    if report.kind != "TRADE" or not orders.portfolio.trades[index].add(report.trade_id, report.side):
        return
    orders.portfolio.fill_foreign(report)
    orders.tell(Filled(None, report, report.wire_ns))
    text = f"order {report.client_order_id}, which we never sent, traded {report.last_lots} lots"
    orders.tell(Alarm("foreign_trade", text, report.wire_ns))
    if not orders.instruments[index].spot:
        orders.doubts.ask_snapshot()

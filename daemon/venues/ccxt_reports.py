"""What is reported of an order, in the words of the order side. Sans-IO."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.events import ExecutionReport

if TYPE_CHECKING:
    from daemon.events import ReportKind
    from daemon.orders.order import Order
    from daemon.venues.ccxt_rows import OrderRow


def order_report(
    kind: ReportKind, order: Order, now_ns: int, row: OrderRow | None = None, venue_order_id: str = ""
) -> ExecutionReport:
    """Return a report of what `row` says of an order; without one, of what we believe."""
    return ExecutionReport(
        kind=kind,
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        wire_ns=now_ns,
        exch_ns=row.exch_ns if row else 0,
        venue_order_id=row.number if row else venue_order_id,
        side=order.side,
        price_ticks=order.price_ticks,
        qty_lots=row.qty_lots if row else order.qty_lots,
        cum_lots=(row.cum_lots or 0) if row else 0,
        status=row.status if row else "",
    )

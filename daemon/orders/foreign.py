"""Trades of orders this daemon does not know: a person's, or the venue's own that closes a position of ours.

One that carries our own id lost its record in a power cut, or ended long ago. It is not accounted for here,
where nobody knows for whom: a meeting with the venue takes it in together with its order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.orders.audit import Alarm, Filled

if TYPE_CHECKING:
    from daemon.events import ExecutionReport
    from daemon.orders.desk import Desk
    from daemon.orders.manager import Orders


def take_foreign(orders: Orders, report: ExecutionReport) -> None:
    """Account for what it moved; of a derivative it moved the position, so the venue is asked."""
    index = report.instrument
    if report.kind == "TRADE" and report.reason and orders.ids.parse(report.client_order_id) is None:
        _take_closed(orders, report)
        return
    trades = orders.portfolio.trades[index]
    if report.kind != "TRADE" or trades.has(report.trade_id, report.side, report.exch_ns):
        return
    if orders.ids.parse(report.client_order_id) is not None:
        orders.doubts.ask_snapshot()
        return
    trades.add(report.trade_id, report.side, report.exch_ns)
    orders.life.trade_told_ns[index] = report.wire_ns
    orders.portfolio.fill_foreign(report)
    orders.tell(Filled(None, report, report.wire_ns))
    text = f"order {report.client_order_id}, which we never sent, traded {report.last_lots} lots"
    orders.tell(Alarm("foreign_trade", text, report.wire_ns))
    if not orders.instruments[index].spot:
        orders.doubts.ask_snapshot()


def _take_closed(orders: Orders, report: ExecutionReport) -> None:
    """Account to its owner for a position that the venue closed by itself, and halt: nobody wanted that.

    What the venue tells without a trade's number it tells again with one, among the trades of a snapshot.
    """
    index, instrument = report.instrument, orders.instruments[report.instrument]
    orders.doubts.ask_snapshot()
    numbered = report.trade_id > 0 and report.last_lots > 0
    trades = orders.portfolio.trades[index]
    if not numbered or not trades.add(report.trade_id, report.side, report.exch_ns):
        return
    orders.life.note_trade(report)
    owner = _owner(orders, report)
    if owner is None:
        orders.portfolio.fill_foreign(report)
    else:
        orders.portfolio.fill(*owner, report.side, report)
    orders.tell(Filled(None, report, report.wire_ns))
    text = (
        f"the venue {report.reason} {instrument.qty.text(report.last_lots)} {instrument.symbol} at "
        f"{instrument.price.text(report.last_ticks)} by its order {report.client_order_id}"
    )
    orders.tell(Alarm("position_closed", text, report.wire_ns))
    orders.halt("venue", text, report.wire_ns)


def _owner(orders: Orders, report: ExecutionReport) -> tuple[Desk, int] | None:
    """Return whose position it closed, by desk and row: of those it brings nearer to zero, the largest."""
    places = [
        (-report.side * orders.portfolio.holdings[desk.index, row].qty, desk, row)
        for desk in orders.desks
        for row, index in enumerate(desk.instruments)
        if index == report.instrument
    ]
    return max(places, key=lambda place: place[0])[1:] if places else None

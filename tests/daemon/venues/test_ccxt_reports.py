from __future__ import annotations

from types import SimpleNamespace

from daemon.venues.ccxt_reports import order_report
from daemon.venues.ccxt_rows import OrderRow
from kernels.dtypes import BUY

ORDER = SimpleNamespace(client_order_id="a-7-1", instrument=3, side=BUY, price_ticks=50, qty_lots=10)


def test_a_report_says_what_the_exchange_said_and_else_what_we_believe():
    believed = order_report("NEW", ORDER, 9, venue_order_id="4711")
    assert (believed.client_order_id, believed.instrument, believed.wire_ns) == ("a-7-1", 3, 9)
    assert (believed.venue_order_id, believed.qty_lots, believed.cum_lots, believed.status) == (
        "4711",
        10,
        0,
        "",
    )
    row = OrderRow("4712", "a-7-1", "CANCELED", "CANCELED", BUY, 50, 8, 2, 77, ())
    told = order_report("CANCELED", ORDER, 9, row)
    assert (told.venue_order_id, told.qty_lots, told.cum_lots, told.exch_ns) == ("4712", 8, 2, 77)
    assert (told.status, told.price_ticks, told.side) == ("CANCELED", 50, BUY)

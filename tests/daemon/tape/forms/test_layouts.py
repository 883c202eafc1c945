"""Known columns, by their header or by their first row."""

from __future__ import annotations

import pytest

from daemon.tape.forms.layouts import BINANCE, LAYOUTS, by_first_row, by_header


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda one: f"{one.form}-{one.kind}-{len(one.columns)}")
def test_every_layout_is_known_by_its_header_and_names_its_own_columns(layout):
    assert by_header(layout.columns) == layout
    assert by_header([f' "{name}"' for name in layout.columns]) == layout
    assert set(layout.roles.values()) <= set(layout.columns)
    assert {"wire", "exch", "open_time"} & set(layout.roles)


def test_other_spellings_are_known_and_another_order_is_not():
    assert by_header(["trade_id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch"])
    assert by_header(["price", "id", "qty", "quote_qty", "time", "is_buyer_maker"]) is None
    assert by_header(["1", "2.5"]) is None


@pytest.mark.parametrize(
    ("row", "file", "index"),
    [
        ("1,2.5,3,7.5,1723075200000,True,True", "BTCUSDT-trades-2024-08-08.csv", 0),
        ("1,2.5,3,7.5,1723075200000,true", "BTCUSDT-trades-2024-08-08.csv", 1),
        ("1,2.5,3,10,11,1723075200000,False,True", "BTCUSDT-aggTrades-2024-08-08.csv", 3),
        ("1,2.5,3,10,11,1723075200000,false", "BTCUSDT-aggTrades-2024-08-08.csv", 4),
        ("1,2.5,3,2.6,11,1723075200000,1723075200000", "BTCUSDT-bookTicker-2024-08-08.csv", 5),
        ("1723075200000,1,2,0.5,1.5,9,1723075259999,12,4,5,6,0", "BTCUSDT-1m-2024-08.csv", 6),
    ],
)
def test_a_first_row_without_a_header_is_known_by_its_cells(row, file, index):
    assert by_first_row(row.split(","), file) == BINANCE[index]


def test_cells_that_no_form_has_and_those_that_the_name_contradicts_are_not():
    trade = ["1", "2.5", "3", "7.5", "1723075200000", "true"]
    assert by_first_row(["a", "b"], "x.csv") is None
    assert by_first_row(trade, "BTCUSDT-aggTrades-2024-08-08.csv") is None

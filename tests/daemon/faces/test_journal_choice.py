from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from daemon.errors import UsageError
from daemon.faces.journal_choice import Choice
from daemon.options import JournalOptions
from daemon.orders.records import Run


class Cells(NamedTuple):
    time: str = "t"
    order: str = "o-1-1"
    strategy: str = "maker"
    instrument: str = "BTC/USDT:USDT"
    kind: str = "rest"


RUN = Run(1, "o", 1, "0", [("maker", []), ("idle", [])], ["BTC/USDT:USDT", "ETH/USDT:USDT"], "")


def choice(fields=Cells._fields, **asked):
    return Choice(JournalOptions(folder=Path("f"), **asked), fields, "kind")


def chosen(rows, **asked):
    one = choice(**asked)
    assert list(one.watch([RUN])) == [RUN]
    return list(one.rows(rows))


@pytest.mark.parametrize("symbol", ["BTC/USDT:USDT", "BTC/USDT", "btc-usdt", "BTCUSDT"])
def test_a_symbol_is_found_however_it_is_written(symbol):
    rows = [(1, Cells()), (2, Cells(instrument="ETH/USDT:USDT"))]
    assert chosen(rows, symbol=symbol) == [Cells()]


def test_each_option_narrows_and_all_must_hold():
    rows = [(5, Cells()), (6, Cells(kind="stop")), (7, Cells(order="o-1-2")), (8, Cells(strategy="idle"))]
    assert chosen(rows, kind="stop") == [Cells(kind="stop")]
    assert chosen(rows, order="o-1-2", strategy="maker") == [Cells(order="o-1-2")]
    assert chosen(rows, since_ns=6, until_ns=8) == [rows[1][1], rows[2][1]]
    assert chosen(rows, last=1) == [rows[3][1]]
    assert chosen(rows, order="o-1-2", kind="stop") == []  # both are there, never together
    assert choice().all
    assert not choice(since_ns=0).all


def test_a_name_without_rows_is_no_mistake_and_one_that_is_nowhere_is():
    assert chosen([(1, Cells())], strategy="idle") == []
    assert chosen([(1, Cells())], order="o-1-1", since_ns=9) == []
    for asked in ({"strategy": "mker"}, {"symbol": "a b"}, {"kind": "x"}, {"order": "o-1-9"}):
        with pytest.raises(UsageError, match="f holds no"):
            chosen([(1, Cells())], **asked)


def test_a_view_without_a_column_cannot_be_narrowed_by_it():
    with pytest.raises(UsageError, match="records tell of no order"):
        choice(("time", "kind"), order="x")

from __future__ import annotations

import msgspec
import pytest

from daemon.fetch.pages import READ, batch_of, layout_of
from tests.daemon.fetch.exchange import DAY_MS, aggregate, kline, trade

ROWS = {
    "klines": [kline("BTCUSDT", k * 60_000, 60_000) for k in range(5)],
    "trades": [trade(k) for k in range(5)],
    "aggTrades": [aggregate(k) for k in range(5)],
}
#: what stands in a row's columns, by role
COLUMNS = {
    "klines": {
        "open_time": 0, "open": 1, "high": 2, "low": 3, "close": 4, "volume": 5, "close_time": 6,
        "quote_volume": 7, "count": 8, "taker_volume": 9,
    },
    "trades": {"id": "id", "price": "price", "size": "qty", "exch": "time", "maker": "isBuyerMaker"},
    "aggTrades": {"id": "a", "price": "p", "size": "q", "exch": "T", "maker": "m"},
}  # fmt: skip


@pytest.mark.parametrize("kind", ROWS)
def test_a_page_has_every_number_as_it_stands(kind):
    page = READ[kind](msgspec.json.encode(ROWS[kind]))
    assert set(layout_of(kind).roles) == set(COLUMNS[kind])
    for role, name in COLUMNS[kind].items():
        told = batch_of(kind, page.rows).column(layout_of(kind).roles[role]).to_pylist()
        assert told == [
            str(row[name]).replace("True", "true").replace("False", "false") for row in ROWS[kind]
        ]
    assert page.ids.tolist() == [row[COLUMNS[kind].get("id", 0)] for row in ROWS[kind]]
    part = page.part(1, 3)
    assert part.ids.tolist() == page.ids[1:3].tolist()
    assert list(part.rows) == list(page.rows[1:3])


def test_an_aggregate_knows_its_first_trade_and_its_last_and_a_kline_its_end():
    row = READ["aggTrades"](msgspec.json.encode(ROWS["aggTrades"])).rows[2]
    assert (row.first, row.last) == (4, 5)
    ends = READ["klines"](msgspec.json.encode([kline("A", 0, DAY_MS)])).times_ms
    assert ends.tolist() == [DAY_MS]


@pytest.mark.parametrize("kind", ROWS)
def test_no_rows_are_a_page_and_damage_is_none(kind):
    assert len(READ[kind](b"[]").ids) == batch_of(kind, []).num_rows == 0
    whole = msgspec.json.encode(ROWS[kind])
    for body in (
        b"",
        b"<html>",
        b"{}",
        whole[:-1],
        whole.replace(b'"', b""),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - of msgspec or of ours
            READ[kind](body)
    with pytest.raises(ValueError, match="not in order"):
        READ[kind](msgspec.json.encode(ROWS[kind][::-1]))
    with pytest.raises(ValueError, match="not in order"):
        READ[kind](msgspec.json.encode([ROWS[kind][0]] * 2))


@pytest.mark.parametrize("kind", ROWS)
def test_what_is_no_number_stands_as_it_came(kind):
    whole = msgspec.json.encode(ROWS[kind]).replace(b".", "\u0665".encode())
    batch = batch_of(kind, READ[kind](whole).rows)
    name = COLUMNS[kind]["close" if kind == "klines" else "price"]
    told = batch.column("close" if kind == "klines" else "price").to_pylist()
    assert told == [row[name].replace(".", "\u0665") for row in ROWS[kind]]

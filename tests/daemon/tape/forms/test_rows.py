"""Rows of CSV to ticks, depth and bars: byte for byte what they say, and what they should not."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.errors import FileFormatError
from daemon.tape.forms import rows
from kernels.columns import (
    D_FIRST,
    D_LAST,
    D_PREV,
    D_PRICE,
    D_SEQ,
    D_SIDE,
    D_SIZE,
    D_SNAPSHOT,
    T_A,
    T_B,
    T_C,
    T_D,
    T_EXCH_NS,
    T_ID,
    T_SEQ,
    T_SIDE,
    T_WIRE_NS,
)

MS = 1_000_000
T0 = 1_723_075_200_000  # 2024-08-08
TRADES = "BTCUSDT-trades-2024-08-08.csv"
SPOT_TRADE = "{},61837.63000000,0.02000000,1236.75260000,{},{},True"


def trade(number, at=None, maker="True", price="61837.63000000"):
    return f"{number},{price},0.02000000,1236.75260000,{T0 + number if at is None else at},{maker},True"


# --- Binance's public data --------------------------------------------------------------------------------
def test_spot_trades_without_a_header(file_of, read_all):
    found = read_all(file_of(TRADES, trade(7), trade(8, maker="False")))
    assert (found.form, found.series.symbol, found.series.clock) == ("binance", "BTC/USDT", "exchange")
    assert (found.grid.price_places, found.grid.size_places) == (2, 2)
    columns = [T_SEQ, T_WIRE_NS, T_EXCH_NS, T_ID, T_SIDE, T_A, T_B]
    assert found.ticks[columns].T.tolist() == [
        [0, (T0 + 7) * MS, (T0 + 7) * MS, 7, -1, 6_183_763, 2],
        [1, (T0 + 8) * MS, (T0 + 8) * MS, 8, 1, 6_183_763, 2],
    ]
    assert found.faults == {}


def test_microseconds_of_2025_are_read_as_such_and_a_mixture_is_located(file_of, read_all):
    micro = [trade(number, at=(T0 + number) * 1000) for number in range(1, 4)]
    found = read_all(file_of(TRADES, *micro))
    assert found.ticks[T_WIRE_NS].tolist() == [(T0 + number) * MS for number in range(1, 4)]
    assert found.faults == {}
    mixed = read_all(file_of(TRADES, *micro[:2], trade(3), trade(4, at=(T0 + 4) * 1000)))
    assert mixed.ticks[T_WIRE_NS].tolist() == [(T0 + number) * MS for number in range(1, 5)]
    assert mixed.faults == {"unit": [3]}


def test_futures_trades_with_a_header(file_of, read_all):
    found = read_all(
        file_of(
            "BTCUSDT-trades-2024-08-08.csv",
            "id,price,qty,quote_qty,time,is_buyer_maker",
            f"5,61.5,2,123,{T0},true",
        )
    )
    assert (found.series.market, found.series.symbol) == ("usdm", "BTC/USDT:USDT")
    assert found.ticks[[T_ID, T_A, T_B, T_SIDE], 0].tolist() == [5, 615, 2, -1]


def test_aggregated_trades_spot_and_futures(file_of, read_all):
    spot = read_all(file_of("BTCUSDT-aggTrades-2024-08-08.csv", f"9,61.5,2,20,22,{T0},False,True"))
    assert (spot.series.market, spot.ticks[T_ID, 0], spot.ticks[T_SIDE, 0]) == ("spot", 9, 1)
    futures = read_all(
        file_of(
            "BTCUSD_PERP-aggTrades-2024-08.csv",
            "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
            f"9,61.5,2,20,22,{T0},true",
        )
    )
    assert (futures.series.market, futures.series.symbol) == ("coinm", "BTC/USD:BTC")


def test_best_quotes(file_of, read_all):
    lines = [
        "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time",
        f"50,61.5,2,61.6,3,{T0},{T0 + 1}",
        f"51,61.7,2,61.6,3,{T0},{T0 + 1}",
    ]
    found = read_all(file_of("BTCUSDT-bookTicker-2024-08-08.csv", *lines))
    assert found.ticks[[T_ID, T_A, T_B, T_C, T_D]].T.tolist() == [[50, 615, 2, 616, 3]]
    assert found.faults == {"value": [3]}


@pytest.mark.parametrize("unit", [1, 1000])
@pytest.mark.parametrize("header", [True, False])
def test_klines_become_bars_whose_end_is_the_next_ones_begin(file_of, read_all, unit, header):
    head = (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
        "taker_buy_quote_volume,ignore"
    )
    bars = [
        f"{at * unit},1.5,2.5,1.0,2.0,10.25,{(at + 60_000) * unit - 1},20.125,7,4.5,9.75,0"
        for at in (T0, T0 + 60_000, T0 + 180_000)
    ]
    found = read_all(file_of("BTCUSDT-1m-2024-08-08.csv", *([head] if header else []), *bars))
    assert found.bars[:, 0].tolist() == [
        T0 * MS, (T0 + 60_000) * MS, 15, 25, 10, 20, 1025, 20_125, 7, 450
    ]  # fmt: skip
    assert found.bars[0, 1] == found.bars[1, 0]
    assert found.grid == (1, 2, 3)
    assert found.faults == {"gap": [3 + header]}


# --- tardis -----------------------------------------------------------------------------------------------
def test_tardis_trades(file_of, read_all):
    head = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
    first = f"binance-futures,BTCUSDT,{T0 * 1000},{T0 * 1000 + 5},3,sell,61.5,2"
    found = read_all(file_of("t.csv", head, first, first.replace(",3,sell", ",4,unknown")))
    assert (found.form, found.series.symbol, found.series.clock) == ("tardis", "BTC/USDT:USDT", "received")
    assert found.ticks[[T_WIRE_NS, T_EXCH_NS, T_ID, T_SIDE]].T.tolist() == [
        [T0 * MS + 5_000, T0 * MS, 3, -1],
        [T0 * MS + 5_000, T0 * MS, 4, 0],
    ]
    assert found.faults == {}


def test_tardis_quotes_and_trades_named_by_text(file_of, read_all):
    head = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount"
    found = read_all(file_of("q.csv", head, f"coinbase,BTC-USD,{T0}000,{T0}005,3,61.6,61.5,2"))
    assert (found.series.exchange, found.series.symbol) == ("coinbase", "BTC/USD")
    assert found.ticks[[T_A, T_B, T_C, T_D, T_ID], 0].tolist() == [615, 2, 616, 3, -1]
    head = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
    named = read_all(file_of("t.csv", head, f"bitmex,XBTUSD,{T0}000,{T0}005,a-b-c,buy,61.5,1"))
    assert named.ticks[[T_ID, T_SIDE], 0].tolist() == [-1, 1]


def test_tardis_books_group_the_levels_of_one_message(file_of, read_all):
    head = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
    body = f"binance,BTCUSDT,{T0}000,{T0}005"
    later = f"binance,BTCUSDT,{T0}100,{T0}105"
    found = read_all(
        file_of(
            "b.csv", head, f"{body},true,bid,61.5,2", f"{body},true,ask,61.6,0.5", f"{later},false,bid,61.5,0"
        )
    )
    assert found.depth[[D_SEQ, D_SNAPSHOT, D_SIDE, D_PRICE, D_SIZE, D_LAST]].T.tolist() == [
        [0, 1, 1, 615, 20, -1],
        [0, 1, -1, 616, 5, -1],
        [1, 0, 1, 615, 0, -1],
    ]


# --- streams as CSV, with the faults that were put into them ----------------------------------------------
NAME = "{}_binance_{}_{}_04-03-2025.csv.gz"
DEPTH, TRADE = "difference_depth_stream", "trade_stream"
COINM, SPOT, USDM = "coin_m_futures_trxusd_perp", "spot_trxusdt", "usd_m_futures_trxusdt"


@pytest.mark.parametrize(
    ("kind", "market", "faults"),
    [
        (DEPTH, COINM, {"symbol": [2], "time": [3], "value": [4], "gap": [10, 11], "clock": [3, 4, 10_001]}),
        (DEPTH, SPOT, {"time": [2], "value": [2], "gap": [9]}),
        (DEPTH, USDM, {}),
        (TRADE, COINM, {"gap": [4, 5], "duplicate": [4], "clock": [10_001]}),
        (TRADE, SPOT, {"gap": [4, 5], "duplicate": [4], "clock": [10_001]}),
        (TRADE, USDM, {"value": [2]}),
    ],
)
def test_every_injected_fault_is_found_and_none_in_the_clean_file(dirty, read_all, kind, market, faults):
    found = read_all(dirty / NAME.format("negative", kind, market))
    assert found.form == "streams"
    assert found.faults == faults
    assert {kind: one.count for kind, one in found.findings.items()} == {
        kind: len(rows) for kind, rows in faults.items()
    }
    assert read_all(dirty / NAME.format("positive", kind, market)).faults == {}


def test_a_books_snapshot_as_csv_has_comments_above_and_below(dirty, read_all):
    name = "{}_binance_depth_snapshot_spot_btcusdt_14-04-2025.csv.gz"
    clean = read_all(dirty / name.format("positive"))
    assert (clean.depth.shape[1], clean.faults) == (20_000, {})
    assert clean.depth[D_SNAPSHOT].all()
    assert (clean.depth[D_FIRST] == clean.depth[D_LAST]).all()
    assert read_all(dirty / name.format("negative")).faults == {"time": [32, 10_031]}


def test_futures_updates_keep_the_id_they_say_they_follow(dirty, read_all):
    found = read_all(dirty / NAME.format("positive", DEPTH, USDM))
    assert (found.depth[D_PREV] > 0).all()
    assert len(np.unique(found.depth[D_SEQ])) == 600


# --- any CSV ----------------------------------------------------------------------------------------------
def test_columns_by_name_and_by_number(captures, read_all):
    folder = captures.parent / "trades"
    named = read_all(
        folder / "questdb-btc-usd-20230905.csv",
        exchange="coinbase",
        symbol="BTC/USD",
        columns={"time": "timestamp", "price": "price", "size": "amount", "side": "side"},
    )
    assert (named.ticks.shape[1], named.faults) == (5_882, {})
    assert named.ticks[[T_WIRE_NS, T_A, T_B, T_SIDE], 0].tolist() == [
        1_693_929_601_281_719_000, 2_574_102, 2_188_038, -1
    ]  # fmt: skip
    numbered = read_all(
        folder / "binance-btcusdt-20201116.csv",
        exchange="binance",
        symbol="BTC/USDT",
        columns={"time": "1", "price": "2", "size": "3"},
    )
    assert numbered.ticks.shape[1] == 1_000
    assert numbered.ticks[T_WIRE_NS, 0] == 1_605_499_846 * 10**9


def test_blocks_do_not_change_what_is_read(file_of, read_all, monkeypatch):
    path = file_of(TRADES, *(trade(number) for number in range(1, 2_000) if number % 500))
    whole = read_all(path)
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 4_096)
    parts = read_all(path)
    assert (whole.ticks == parts.ticks).all()
    assert whole.faults == parts.faults == {"gap": [500, 999, 1498]}


# --- what is refused or left out --------------------------------------------------------------------------
def test_rows_that_cannot_be_are_left_out_and_located(file_of, read_all):
    path = file_of(
        TRADES, trade(1), trade(2, price="x"), trade(3, at="soon"), trade(4, at=0), trade(5, maker="maybe"),
        trade(6, price="-2"), trade(7),
    )  # fmt: skip
    found = read_all(path)
    assert found.ticks[T_ID].tolist() == [1, 7]
    assert found.faults == {"time": [3, 4], "value": [2, 6, 5]}
    assert found.findings["value"].first[0].text == "price is 'x'"


def test_another_number_of_columns_is_refused_with_its_row(file_of, read_all):
    with pytest.raises(FileFormatError, match="another number of columns in row 3"):
        read_all(file_of(TRADES, trade(1), trade(2), "3,61837.63"))


def test_a_header_alone_holds_no_rows(file_of, read_all):
    with pytest.raises(FileFormatError, match="holds no rows"):
        read_all(file_of(TRADES, "id,price,qty,quote_qty,time,is_buyer_maker"))


def test_times_that_run_backwards_are_located(file_of, read_all):
    assert read_all(file_of(TRADES, trade(1), trade(2, at=T0), trade(3))).faults == {"disorder": [2]}

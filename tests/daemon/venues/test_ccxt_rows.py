from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.clock import VirtualTime
from daemon.errors import FrameError
from daemon.events import Balance
from daemon.orders.trades import hashed_id
from daemon.venues.ccxt_client import CcxtSettings, make_client
from daemon.venues.ccxt_exchanges import EXCHANGES
from daemon.venues.ccxt_ids import ClientIds
from daemon.venues.ccxt_rows import Rows
from kernels.dtypes import BUY, SELL
from tests.daemon.orders.conftest import btc_usdt

BTC = btc_usdt()
ROWS = Rows([BTC], ClientIds(EXCHANGES["binance"], "one"))
ORDER = {
    "id": "77", "clientOrderId": "one-7-1", "status": "open", "side": "sell", "price": "60000.10",
    "amount": "0.01230", "filled": "0.003", "timestamp": 1_700_000_000_123, "symbol": "BTC/USDT",
}  # fmt: skip
TRADE = {
    "id": "a9f3-x", "order": "77", "side": "buy", "price": "60000.10", "amount": "0.00300",
    "timestamp": 1_700_000_000_123, "takerOrMaker": "maker", "fee": {"cost": "0.00000300", "currency": "BTC"},
}  # fmt: skip


def test_an_order_is_read_exactly():
    row = ROWS.order(ORDER, BTC)
    assert (row.number, row.client_order_id, row.side) == ("77", "one-7-1", SELL)
    assert (row.price_ticks, row.qty_lots, row.cum_lots) == (6_000_010, 1_230, 300)
    assert (row.end, row.status, row.exch_ns) == (None, "NEW", 1_700_000_000_123_000_000)


@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_no_number_passes_through_a_float(ticks, lots):
    row = ROWS.order({**ORDER, "price": BTC.price.text(ticks), "amount": BTC.qty.text(lots)}, BTC)
    assert (row.price_ticks, row.qty_lots) == (ticks, lots)


@pytest.mark.parametrize(
    ("status", "filled", "end", "word"),
    [
        ("open", "0.003", None, "NEW"),
        ("canceling", "0", None, "PENDING_CANCEL"),
        ("closed", "0.0123", None, "FILLED"),  # its last trade ends it
        ("closed", "0.003", "EXPIRED", "EXPIRED"),  # an exchange's word for the rest of an IOC
        ("closed", None, "EXPIRED", "EXPIRED"),  # with what, its trades tell
        ("canceled", "0.003", "CANCELED", "CANCELED"),
        ("expired", "0", "EXPIRED", "EXPIRED"),
        ("rejected", "0", "REJECTED", "REJECTED"),
        (None, None, None, ""),
        ("a new word", "0", None, ""),
    ],
)
def test_the_words_for_an_order(status, filled, end, word):
    row = ROWS.order({**ORDER, "status": status, "filled": filled}, BTC)
    assert (row.end, row.status) == (end, word)
    assert row.untold is (end is not None and filled is None)


def test_an_answer_that_is_only_a_number_is_an_order_too():
    row = ROWS.order({"id": "7"}, BTC)
    assert (row.number, row.cum_lots, row.status, row.end) == ("7", None, "", None)


@pytest.mark.parametrize(
    ("change", "ticks", "waits"),
    [
        ({}, 6_000_010, False),
        ({"price": None, "stopLossPrice": "50000"}, 5_000_000, True),  # kraken's
        ({"price": None, "takeProfitPrice": "70000"}, 7_000_000, True),
        ({"price": None, "triggerPrice": "50000", "stopPrice": "50000"}, 5_000_000, True),  # binance's
        ({"price": "49900", "triggerPrice": "50000"}, 4_990_000, True),  # a limit that is not there yet
        ({"price": "49900", "triggerPrice": "50000", "filled": "0.001"}, 4_990_000, False),  # that was met
        ({"triggerPrice": "0", "stopPrice": "0.00"}, 6_000_010, False),  # kucoin's word for none
        (
            {"stopLossPrice": "50000", "takeProfitPrice": "70000"},
            6_000_010,
            False,
        ),  # okx': sent once it fills
    ],
)
def test_what_waits_for_its_trigger_is_told_from_what_rests(change, ticks, waits):
    row = ROWS.order({**ORDER, "filled": "0", **change}, BTC)
    assert (row.price_ticks, row.waits) == (ticks, waits)


def test_a_trade_is_read_exactly_and_known_by_its_text():
    report = ROWS.trade(TRADE, BTC, "77", "one-7-1", 5)
    assert (report.kind, report.client_order_id, report.venue_order_id) == ("TRADE", "one-7-1", "77")
    assert (report.side, report.last_ticks, report.last_lots) == (BUY, 6_000_010, 300)
    assert (report.commission, report.commission_asset, report.is_maker) == (Decimal("0.000003"), "BTC", True)
    assert report.trade_id == hashed_id("a9f3-x")


@pytest.mark.parametrize(
    ("fees", "expected"),
    [
        ([{"cost": "0.1", "currency": "BNB"}], (Decimal("0.1"), "BNB")),
        ([{"cost": "0.1", "currency": "BTC"}, {"cost": "0.2", "currency": "BTC"}], (Decimal("0.3"), "BTC")),
        ([{"cost": "0.1", "currency": "BTC"}, {"cost": "9", "currency": "KCS"}], (Decimal("0.1"), "BTC")),
        ([{"cost": "-0.01", "currency": "USDT"}], (Decimal("-0.01"), "USDT")),
        ([{"cost": None, "currency": "BTC"}], (Decimal(0), "")),
        ([], (Decimal(0), "")),
    ],
)
def test_fees_of_any_asset(fees, expected):
    report = ROWS.trade({**TRADE, "fee": None, "fees": fees}, BTC, "77", "", 5)
    assert (report.commission, report.commission_asset) == expected


@pytest.mark.parametrize(
    "change",
    [{"price": "60000.101"}, {"amount": "x"}, {"price": "nan"}, {"id": None}, {"side": None}, {"amount": "0"},
     {"fee": {"cost": "inf", "currency": "BTC"}}],
)  # fmt: skip
def test_a_trade_that_is_not_understood_is_an_error(change):
    with pytest.raises(FrameError):
        ROWS.trade({**TRADE, **change}, BTC, "77", "", 5)


def test_balances_are_exact_and_empty_ones_left_out():
    told = {
        "free": {"BTC": "0.10000000000000000001", "USDT": "0", "ETH": None},
        "used": {"BTC": "0.5", "USDT": "0", "ETH": None},
        "total": {"BTC": "0.60000000000000000001", "USDT": "0", "ETH": "3"},
    }
    assert ROWS.balances(told) == {
        "BTC": Balance(Decimal("0.10000000000000000001"), Decimal("0.5")),
        "ETH": Balance(Decimal(3), Decimal(0)),
    }


def test_what_is_about_no_market_of_ours_is_none():
    assert ROWS.instrument({"symbol": "ETH/USDT"}) is None
    assert ROWS.instrument({"symbol": "BTC/USDT"}) is BTC


BINANCE_STOP = {
    "symbol": "BTCUSDT", "orderId": 77, "clientOrderId": "one-7-1", "price": "0.00000000",
    "origQty": "0.00300000", "executedQty": "0.00200000", "cummulativeQuoteQty": "119.99997000",
    "status": "EXPIRED", "timeInForce": "GTC", "type": "STOP_LOSS", "side": "SELL",
    "stopPrice": "60000.00000000", "time": 1_700_000_000_123, "updateTime": 1_700_000_000_123,
}  # fmt: skip
KRAKEN_STOP = {
    "id": "77", "status": "canceled", "opentm": 1_700_000_000.123, "vol": "0.00300000",
    "vol_exec": "0.00200000", "cost": "119.99997", "fee": "0.1", "price": "59999.98333",
    "descr": {"pair": "XBTUSDT", "type": "sell", "ordertype": "stop-loss", "price": "60000.00",
              "price2": "0"},
    "cl_ord_id": "one-7-1", "oflags": "fciq",
}  # fmt: skip


@pytest.mark.parametrize(
    ("exchange", "raw", "end"), [("binance", BINANCE_STOP, "EXPIRED"), ("kraken", KRAKEN_STOP, "CANCELED")]
)
def test_a_stop_that_traded_at_a_price_between_two_ticks_on_average_is_read(exchange, raw, end):
    settings = CcxtSettings(exchange=exchange, name="one", credentials={})
    client = make_client(settings, {}, VirtualTime(1_700_000_000_000_000_000))
    number = {"binance": "BTCUSDT", "kraken": "XBTUSDT"}[exchange]
    market = client.safe_market_structure(
        {"id": number, "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "spot": True, "type": "spot",
         "info": {"altname": number}}
    )  # fmt: skip
    client.set_markets([market])
    told = client.parse_order(raw, client.market("BTC/USDT"))
    assert Decimal(told["price"]) % BTC.tick_size  # what is no price of ours
    row = ROWS.order(told, BTC)
    assert (row.end, row.price_ticks, row.waits) == (end, 6_000_000, False)
    assert (row.qty_lots, row.cum_lots) == (300, 200)

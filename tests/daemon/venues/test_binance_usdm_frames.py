from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from daemon.errors import FrameError
from daemon.events import ExecutionReport, Funding
from daemon.instruments import make_instrument
from daemon.venues.binance_usdm_frames import UsdmFrames
from daemon.venues.binance_usdm_wire import AccountEvent, AlgoEvent, OrderEvent
from kernels.dtypes import BUY, SELL, STOP
from tests.daemon.venues.test_binance_requests import order

INSTRUMENT = make_instrument(
    0, "binance", "usdm", "BTC/USDT", tick_size="0.1", lot_size="0.001", qty_min="0.001", qty_max="9000",
    notional_min="100",
)  # fmt: skip
FRAMES = UsdmFrames([INSTRUMENT])
MS = 1_000_000

TRADE = (
    b'{"e":"ORDER_TRADE_UPDATE","E":1700000000002,"T":1700000000001,"o":{"s":"BTCUSDT","c":"demo-7-1",'
    b'"S":"SELL","o":"LIMIT","f":"IOC","q":"0.020","p":"60000.0","ap":"60000.10000","sp":"0","x":"TRADE",'
    b'"X":"PARTIALLY_FILLED","i":8886774,"l":"0.005","z":"0.015","L":"60000.1","n":"0.15000025","N":"USDT",'
    b'"T":1700000000001,"t":77,"b":"0","a":"0","m":true,"R":false,"wt":"CONTRACT_PRICE","ot":"LIMIT",'
    b'"ps":"BOTH","cp":false,"rp":"0.25000000","pP":false,"si":0,"ss":0,"V":"EXPIRE_TAKER","pm":"NONE",'
    b'"gtd":0,"er":"0"}}'
)
ALGO = (
    b'{"e":"ALGO_UPDATE","T":1700000000001,"E":1700000000002,"o":{"caid":"demo-7-2","aid":2148719,'
    b'"at":"CONDITIONAL","o":"STOP_MARKET","s":"BTCUSDT","S":"BUY","ps":"BOTH","f":"GTC","q":"0.010",'
    b'"X":"%b","ai":"","ap":"0.00000","aq":"0.00000","act":"0","tp":"61000.0","p":"0","V":"EXPIRE_MAKER",'
    b'"wt":"CONTRACT_PRICE","pm":"NONE","cp":false,"pP":false,"R":true,"tt":0,"gtd":0,"rm":"%b"}}'
)
FUNDING = (
    b'{"e":"ACCOUNT_UPDATE","E":1700000000002,"T":1700000000001,"a":{"m":"%b","B":[{"a":"USDT",'
    b'"wb":"999.98","cw":"999.98","bc":"-0.02000000"}],"P":[]}}'
)


def told(payload: bytes) -> ExecutionReport | None:
    event = FRAMES.event(payload)
    assert isinstance(event, OrderEvent)
    return FRAMES.update(event.o, 5)


def test_a_trade_becomes_a_report_with_all_that_it_tells() -> None:
    assert told(TRADE) == ExecutionReport(
        kind="TRADE",
        client_order_id="demo-7-1",
        instrument=0,
        wire_ns=5,
        exch_ns=1700000000001 * MS,
        venue_order_id="8886774",
        side=SELL,
        price_ticks=600000,
        qty_lots=20,
        cum_lots=15,
        trade_id=77,
        last_ticks=600001,
        last_lots=5,
        is_maker=True,
        commission=Decimal("0.15000025"),
        commission_asset="USDT",
        status="PARTIALLY_FILLED",
    )


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("NEW", "NEW"),
        ("CANCELED", "CANCELED"),
        ("EXPIRED", "EXPIRED"),
        ("AMENDMENT", "REPLACED"),
        ("CALCULATED", "TRADE"),
    ],
)
def test_each_execution_type_has_its_report(word: str, kind: str) -> None:
    report = told(TRADE.replace(b'"x":"TRADE"', b'"x":"%b"' % word.encode()))
    assert report is not None
    assert (report.kind, report.cum_lots, report.qty_lots) == (kind, 15, 20)


def test_why_an_order_expired_is_kept() -> None:
    report = told(TRADE.replace(b'"x":"TRADE"', b'"x":"EXPIRED"').replace(b'"er":"0"', b'"er":"2"'))
    assert report is not None
    assert report.reason == "expiry reason 2"


def test_an_event_without_a_commission_has_none() -> None:
    report = told(TRADE.replace(b'"n":"0.15000025","N":"USDT",', b""))
    assert report is not None
    assert (report.commission, report.commission_asset) == (0, "")


def test_a_foreign_symbol_is_passed_over() -> None:
    other = TRADE.replace(b"BTCUSDT", b"ETHUSDT")
    assert told(other) is None
    event: Any = FRAMES.event(other)
    assert FRAMES.update_lots(event.o) == -1
    event = FRAMES.event(ALGO.replace(b"BTCUSDT", b"ETHUSDT") % (b"NEW", b""))
    assert FRAMES.algo_update(event, 5) is None


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (TRADE.replace(b'"x":"TRADE"', b'"x":"SURPRISE"'), "type"),
        (TRADE.replace(b'"z":"0.015"', b'"z":"0.0155"'), "grid"),
        (TRADE.replace(b'"L":"60000.1"', b'"L":"NaN"'), "number"),
        (TRADE.replace(b'"t":77', b'"t":"77"'), "type"),
        (b'{"e":"SOMETHING_NEW"}', "event"),
        (TRADE[:-1], "json"),
    ],
)
def test_what_is_not_as_documented_raises(payload: bytes, reason: str) -> None:
    with pytest.raises(FrameError) as caught:
        told(payload)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("word", "kind"),
    [("NEW", "NEW"), ("CANCELED", "CANCELED"), ("EXPIRED", "EXPIRED"), ("REJECTED", "REJECTED")],
)
def test_a_conditional_order_is_told_by_its_own_name(word: str, kind: str) -> None:
    event = FRAMES.event(ALGO % (word.encode(), b"why"))
    assert isinstance(event, AlgoEvent)
    report = FRAMES.algo_update(event, 5)
    assert report is not None
    assert (report.kind, report.client_order_id, report.venue_order_id) == (kind, "demo-7-2", "")
    assert (report.side, report.price_ticks, report.qty_lots, report.reason) == (BUY, 610000, 10, "why")


@pytest.mark.parametrize("word", [b"TRIGGERING", b"TRIGGERED", b"FINISHED"])
def test_of_a_triggered_one_its_order_tells(word: bytes) -> None:
    event = FRAMES.event(ALGO % (word, b""))
    assert isinstance(event, AlgoEvent)
    assert FRAMES.algo_update(event, 5) is None


def test_funding_is_read_and_other_changes_are_not() -> None:
    event = FRAMES.event(FUNDING % b"FUNDING_FEE")
    assert isinstance(event, AccountEvent)
    assert FRAMES.funding(event, 5) == [Funding(5, "USDT", Decimal("-0.02"), 1700000000001 * MS)]
    event = FRAMES.event(FUNDING % b"ORDER")
    assert isinstance(event, AccountEvent)
    assert FRAMES.funding(event, 5) == []


ROW = (
    b'{"orderId":9,"symbol":"BTCUSDT","status":"%b","clientOrderId":"demo-7-1","price":"60000.0",'
    b'"origQty":"0.015","executedQty":"0.010","type":"LIMIT","side":"BUY","updateTime":1700000000001}'
)


def test_an_answer_says_that_an_order_was_taken_and_no_more() -> None:
    (report,) = FRAMES.placed(msgspec.Raw(ROW % b"NEW"), order(), 5)
    assert (report.kind, report.venue_order_id, report.cum_lots) == ("NEW", "9", 0)
    assert report.exch_ns == 1700000000001 * MS
    algo = b'{"algoId":3,"clientAlgoId":"demo-7-1","algoStatus":"NEW","createTime":1700000000001}'
    (report,) = FRAMES.placed(msgspec.Raw(algo), order(kind=STOP), 5)
    assert (report.kind, report.venue_order_id) == ("NEW", "")


def test_a_cancelled_order_and_a_cancelled_stop() -> None:
    report = FRAMES.canceled(msgspec.Raw(ROW % b"CANCELED"), order(), 5)
    assert (report.kind, report.cum_lots, report.qty_lots) == ("CANCELED", 10, 15)
    done = msgspec.Raw(b'{"algoId":3,"clientAlgoId":"demo-7-1","code":"200","msg":"success"}')
    assert FRAMES.canceled(done, order(kind=STOP), 5).kind == "CANCELED"


@pytest.mark.parametrize(("word", "kind"), [(b"PARTIALLY_FILLED", "REPLACED"), (b"CANCELED", "CANCELED")])
def test_a_modification_lowers_or_ends(word: bytes, kind: str) -> None:
    report = FRAMES.amended(msgspec.Raw(ROW % word), order(), 5)
    assert (report.kind, report.qty_lots, report.cum_lots) == (kind, 15, 10)


@pytest.mark.parametrize(
    ("word", "status"),
    [("NEW", "NEW"), ("TRIGGERING", "NEW"), ("CANCELED", "CANCELED"), ("FINISHED", "EXPIRED")],
)
def test_a_queried_stop_has_a_status_that_orders_know(word: str, status: str) -> None:
    body = b'{"clientAlgoId":"x","algoStatus":"%b","quantity":"0.010","triggerPrice":"61000.0","side":"BUY"}'
    row = FRAMES.algo(body % word.encode())
    report = FRAMES.algo_status(row, order(kind=STOP), 5)
    assert (report.kind, report.status, report.qty_lots, report.price_ticks) == ("STATUS", status, 10, 610000)


def test_positions_have_signs() -> None:
    body = (
        b'{"assets":[{"asset":"USDT","walletBalance":"12.5"}],"positions":[{"symbol":"BTCUSDT",'
        b'"positionAmt":"-0.015"},{"symbol":"ETHUSDT","positionAmt":"1"}]}'
    )
    account = FRAMES.usdm_account(body)
    assert account.assets[0].walletBalance == Decimal("12.5")
    assert [FRAMES.position(row) for row in account.positions] == [(0, -15), None]


def test_our_trades_say_who_bought() -> None:
    (row,) = FRAMES.trades(
        b'[{"symbol":"BTCUSDT","id":7,"orderId":9,"side":"SELL","price":"60000.1","qty":"0.005",'
        b'"realizedPnl":"0","quoteQty":"300","commission":"0.15","commissionAsset":"USDT","time":1,'
        b'"positionSide":"BOTH","buyer":false,"maker":true}]'
    )
    report = FRAMES.trade(row, 0, "demo-7-1", 5)
    assert (report.side, report.is_maker, report.last_ticks, report.last_lots) == (SELL, True, 600001, 5)


def test_how_the_account_is_set_up() -> None:
    assert FRAMES.hedges(b'{"dualSidePosition":true}')
    assert not FRAMES.pools(b'{"multiAssetsMargin":false}')
    (setup,) = FRAMES.setups(b'[{"symbol":"BTCUSDT","marginType":"CROSSED","leverage":7}]')
    assert (setup.marginType, setup.leverage) == ("CROSSED", 7)
    assert FRAMES.listen_key(msgspec.Raw(b'{"listenKey":"abc"}')) == "abc"


# --- what the exchange does by itself -----------------------------------------------------------------------
CLOSED = (
    b'{"e":"ORDER_TRADE_UPDATE","E":1700000000002,"T":1700000000001,"o":{"s":"BTCUSDT","c":"%b",'
    b'"S":"SELL","o":"%b","f":"IOC","q":"0.020","p":"57910.4","ap":"0","sp":"0","x":"%b",'
    b'"X":"%b","i":8886774,"l":"%b","z":"%b","L":"57920.1","n":"0.30","N":"USDT",'
    b'"T":1700000000001,"t":%b,"b":"0","a":"0","m":false,"R":false,"wt":"CONTRACT_PRICE","ot":"LIQUIDATION",'
    b'"ps":"BOTH","cp":false,"rp":"-1.5","pP":false,"si":0,"ss":0,"V":"NONE","pm":"NONE","gtd":0,"er":"0"}}'
)


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        (b"autoclose-1700000000000123", b"LIQUIDATION", "liquidated"),
        (b"adl_autoclose", b"MARKET", "deleveraged"),
        (b"settlement_autoclose-1700000000000", b"MARKET", "settled"),
    ],
)
@pytest.mark.parametrize("execution", [b"TRADE", b"CALCULATED"])
@pytest.mark.parametrize("status", [b"FILLED", b"NEW_INSURANCE", b"NEW_ADL", b"NA"])
def test_a_trade_by_which_the_exchange_closes_a_position_says_so(
    name: bytes, kind: bytes, reason: str, execution: bytes, status: bytes
) -> None:
    report = told(CLOSED % (name, kind, execution, status, b"0.020", b"0.020", b"78"))
    assert report is not None
    assert (report.kind, report.reason, report.client_order_id) == ("TRADE", reason, name.decode())
    assert (report.side, report.last_lots, report.last_ticks, report.trade_id) == (SELL, 20, 579201, 78)
    assert report.commission == Decimal("0.30")


def test_the_beginning_of_a_liquidation_is_no_trade() -> None:
    report = told(CLOSED % (b"autoclose-1", b"LIQUIDATION", b"NEW", b"NEW", b"0", b"0", b"0"))
    assert report is not None
    assert (report.kind, report.reason, report.last_lots) == ("NEW", "", 0)


def test_a_listed_trade_of_the_exchanges_own_says_so_too() -> None:
    (row,) = FRAMES.trades(
        b'[{"buyer":false,"commission":"0.3","commissionAsset":"USDT","id":78,"maker":false,"orderId":8886774,'
        b'"price":"57920.1","qty":"0.020","quoteQty":"1158.402","realizedPnl":"-1.5","side":"SELL",'
        b'"positionSide":"BOTH","symbol":"BTCUSDT","time":1700000000001}]'
    )
    assert FRAMES.trade(row, 0, "adl_autoclose", 5).reason == "deleveraged"
    assert FRAMES.trade(row, 0, "demo-7-1", 5).reason == ""


def test_what_a_liquidation_costs_the_wallet_is_told_as_funding_is() -> None:
    event = FRAMES.event(FUNDING % b"INSURANCE_CLEAR")
    assert isinstance(event, AccountEvent)
    assert [one.amount for one in FRAMES.funding(event, 5)] == [Decimal("-0.02")]

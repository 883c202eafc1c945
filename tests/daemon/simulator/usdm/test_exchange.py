from __future__ import annotations

import msgspec

from daemon.simulator.symbols import UNIT, units
from daemon.simulator.usdm.exchange import FUNDING_NS
from daemon.venues.binance_usdm_frames import UsdmFrames
from daemon.venues.binance_usdm_wire import AccountEvent, OrderEvent
from tests.daemon.venues.test_binance_usdm_frames import INSTRUMENT

SECOND = 1_000_000_000


def test_a_market_order_opens_a_position_and_pays_the_takers_commission(kit):
    bought = kit.buy("0.2")
    assert (bought["status"], bought["avgPrice"], bought["executedQty"]) == (
        "FILLED",
        "1001.00000000",
        "0.200",
    )
    assert (kit.position.qty, kit.position.entry) == (2 * UNIT // 10, 1_001 * UNIT)
    assert kit.account.wallet("USDT") == 1_000 * UNIT - 10_010_000  # 0.05 % of 200.2
    kinds = [event["e"] for event in kit.events]
    assert kinds == ["ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"], "NEW, wallet, TRADE"


def test_an_order_beyond_the_margin_is_refused_and_leverage_gives_more(kit):
    kit.position.leverage = 2
    assert kit.order(price="1000", quantity="2.1")["code"] == -2019
    assert kit.order(price="1000", quantity="2")["status"] == "NEW"
    assert kit.order(price="1000", quantity="0.2")["code"] == -2019, "what rests takes margin too"
    kit.position.leverage = 20
    assert kit.order(price="1000", quantity="2")["status"] == "NEW"


def test_closing_needs_no_margin(kit):
    kit.buy("0.2")
    kit.position.leverage = 1
    kit.account.deposit("USDT", -kit.account.wallet("USDT"))
    assert kit.order(price="1000")["code"] == -2019
    assert kit.order(side="SELL", price="1001")["status"] == "NEW"


def test_post_only_is_refused_where_it_would_take(kit):
    assert kit.order(price="1001", timeInForce="GTX")["code"] == -5022
    assert kit.order(price="1000", timeInForce="GTX")["status"] == "NEW"
    assert kit.order(side="SELL", price="1000", timeInForce="GTX")["code"] == -5022, "its own account's too"


def test_an_ioc_takes_what_there_is_and_expires(kit):
    done = kit.order(price="1001", quantity="2", timeInForce="IOC")
    assert (done["status"], done["executedQty"]) == ("EXPIRED", "1.000")
    last = kit.told("ORDER_TRADE_UPDATE")[-1]["o"]
    assert (last["x"], last["X"], last["z"], last["er"]) == ("EXPIRED", "EXPIRED", "1.000", "2")


def test_reduce_only_needs_a_position_and_never_turns_it(kit):
    assert kit.order(side="SELL", price="1000", reduceOnly="true")["code"] == -2022
    kit.buy("0.2")
    assert kit.order(price="1000", reduceOnly="true")["code"] == -2022
    resting = kit.order(side="SELL", price="1005", quantity="0.15", reduceOnly="true")
    assert resting["origQty"] == "0.150"
    assert kit.order(side="SELL", price="1006", quantity="0.2", reduceOnly="true")["origQty"] == "0.050"
    assert kit.order(side="SELL", price="1006", quantity="0.2", reduceOnly="true")["code"] == -2022


def test_reduce_only_orders_shrink_and_end_with_the_position(kit):
    kit.buy("0.2")
    one = kit.order(side="SELL", price="1005", quantity="0.2", reduceOnly="true")
    kit.events.clear()
    kit.order(side="SELL", type="MARKET", quantity="0.15")
    assert kit.call("GET", "order", symbol="BTCUSDT", orderId=one["orderId"])["origQty"] == "0.050"
    kit.order(side="SELL", type="MARKET", quantity="0.15")
    ended = kit.call("GET", "order", symbol="BTCUSDT", orderId=one["orderId"])
    assert (ended["status"], kit.position.qty) == ("EXPIRED", -UNIT // 10)


def test_modifying_moves_price_and_quantity_and_may_take(kit):
    one = kit.order(price="990")
    fields = {"symbol": "BTCUSDT", "orderId": one["orderId"], "side": "BUY"}
    same = kit.call("PUT", "order", **fields, price="990", quantity="0.2")
    assert same["code"] == -5027
    moved = kit.call("PUT", "order", **fields, price="991", quantity="0.3")
    assert (moved["price"], moved["origQty"], moved["status"]) == ("991.0", "0.300", "NEW")
    assert kit.told("ORDER_TRADE_UPDATE")[-1]["o"]["x"] == "AMENDMENT"
    took = kit.call("PUT", "order", **fields, price="1001", quantity="0.3")
    assert (took["status"], took["executedQty"]) == ("FILLED", "0.300")


def test_modifying_below_what_is_filled_ends_the_order(kit):
    one = kit.order(price="1001", quantity="1.5")
    assert one["executedQty"] == "1.000"
    fields = {"symbol": "BTCUSDT", "orderId": one["orderId"], "side": "BUY", "price": "1001"}
    assert kit.call("PUT", "order", **fields, quantity="0.9")["status"] == "CANCELED"


def test_a_post_only_order_whose_new_price_would_take_is_cancelled(kit):
    one = kit.order(price="990", timeInForce="GTX")
    fields = {"symbol": "BTCUSDT", "orderId": one["orderId"], "side": "BUY", "quantity": "0.2"}
    assert kit.call("PUT", "order", **fields, price="1001")["status"] == "CANCELED"


def test_a_stop_waits_apart_and_goes_to_the_book_under_its_own_name(kit):
    kit.buy("0.2")
    kit.events.clear()
    assert kit.stop(clientAlgoId="mine", reduceOnly="true")["algoStatus"] == "NEW"
    assert kit.call("GET", "openOrders", symbol="BTCUSDT") == []
    kit.trade("990", "0.001", buyer_is_maker=True)
    assert [event["o"]["X"] for event in kit.events if event["e"] == "ALGO_UPDATE"] == [
        "NEW", "TRIGGERING", "TRIGGERED", "FINISHED",
    ]  # fmt: skip
    last = kit.told("ORDER_TRADE_UPDATE")[-1]["o"]
    assert (last["c"], last["o"], last["X"], last["R"]) == ("mine", "MARKET", "FILLED", True)
    assert kit.position.qty == 0


def test_a_stop_that_is_refused_at_its_trigger_says_why(kit):
    kit.stop(reduceOnly="true")
    kit.trade("990", "0.001", buyer_is_maker=True)
    last = kit.told("ALGO_UPDATE")[-1]["o"]
    assert (last["X"], last["rm"]) == ("REJECTED", "ReduceOnly Order is rejected.")


def test_a_stop_that_would_go_off_at_once_or_bears_a_name_twice_is_refused(kit):
    assert kit.stop(triggerPrice="1001")["code"] == -2021
    kit.stop(clientAlgoId="mine")
    assert kit.stop(clientAlgoId="mine")["code"] == -4116


def test_an_order_of_the_same_name_is_refused_while_the_first_is_open(kit):
    kit.order(price="990", newClientOrderId="mine")
    assert kit.order(price="990", newClientOrderId="mine")["code"] == -4116


def test_funding_is_paid_by_the_long_at_its_hour_and_told(kit):
    kit.buy("0.2")
    before = kit.account.wallet("USDT")
    kit.time.advance(kit.time.now_ns() + FUNDING_NS)
    kit.events.clear()
    kit.trade("1000", "0.001", buyer_is_maker=True)
    assert kit.account.wallet("USDT") == before - 2_000_000  # 0.01 % of 200
    (event,) = kit.told("ACCOUNT_UPDATE")
    assert (event["a"]["m"], event["a"]["B"][0]["bc"], event["a"]["P"]) == ("FUNDING_FEE", "-0.02000000", [])
    kit.trade("1000", "0.001", buyer_is_maker=True)
    assert kit.told("ACCOUNT_UPDATE") == [], "once an interval"
    assert kit.call("GET", "income", incomeType="FUNDING_FEE")[0]["income"] == "-0.02000000"


def test_a_countdown_that_is_not_renewed_cancels_the_symbols_orders(kit):
    kit.order(price="990")
    assert (
        kit.call("POST", "countdownCancelAll", symbol="BTCUSDT", countdownTime=5_000)["symbol"] == "BTCUSDT"
    )
    kit.time.advance(kit.time.now_ns() + 4 * SECOND)
    kit.call("POST", "countdownCancelAll", symbol="BTCUSDT", countdownTime=5_000)
    kit.time.advance(kit.time.now_ns() + 4 * SECOND)
    kit.trade("1000", "0.001", buyer_is_maker=True)
    assert len(kit.call("GET", "openOrders")) == 1
    kit.time.advance(kit.time.now_ns() + 1 * SECOND)
    kit.trade("1000", "0.001", buyer_is_maker=True)
    assert kit.call("GET", "openOrders") == []


def test_a_countdown_of_zero_is_taken_back(kit):
    kit.order(price="990")
    kit.call("POST", "countdownCancelAll", symbol="BTCUSDT", countdownTime=1_000)
    kit.call("POST", "countdownCancelAll", symbol="BTCUSDT", countdownTime=0)
    kit.time.advance(kit.time.now_ns() + 4 * SECOND)
    kit.trade("1000", "0.001", buyer_is_maker=True)
    assert len(kit.call("GET", "openOrders")) == 1


# --- liquidation --------------------------------------------------------------------------------------------
BIDS = b'{"bids":[["%b","%b"]],"asks":[["1001.0","1.000"]]}'


def long_and_exposed(kit):
    """Buy 1.0 at 1,001 with a wallet of 50."""
    kit.position.leverage = 50
    kit.account.deposit("USDT", -950 * UNIT)
    kit.buy("1.0")
    kit.order(price="900", quantity="0.2")
    kit.events.clear()


def test_a_position_is_closed_by_the_exchange_once_its_maintenance_margin_is_all_that_is_left(kit):
    long_and_exposed(kit)
    kit.trade("960.0", "0.001", buyer_is_maker=True)
    assert (kit.position.qty, kit.told("ORDER_TRADE_UPDATE")) == (UNIT, [])
    kit.trade("955.0", "0.001", buyer_is_maker=True)  # a loss of 46 of 49.5, which leaves less than 3.82
    assert kit.position.qty == 0
    orders = [event["o"] for event in kit.events if event["e"] == "ORDER_TRADE_UPDATE"]
    assert [(one["x"], one["X"]) for one in orders] == [
        ("CANCELED", "CANCELED"),
        ("NEW", "NEW"),
        ("TRADE", "FILLED"),
    ]
    assert {one["c"] for one in orders[1:]} == {f"autoclose-{kit.time.now_ns() // 1_000_000}"}
    (fee,) = kit.call("GET", "income", incomeType="INSURANCE_CLEAR")
    assert fee["income"] == "-12.50000000"  # of 1,000 that the book paid
    told = [event["a"] for event in kit.events if event["e"] == "ACCOUNT_UPDATE"]
    assert (told[-1]["m"], told[-1]["B"][0]["bc"]) == ("INSURANCE_CLEAR", "-12.50000000")


def test_what_the_book_does_not_take_is_liquidated_by_a_later_trade(kit):
    long_and_exposed(kit)
    cases = ((2, "990.0", "0.400", "955.0", 6), (3, "930.0", "9.000", "935.0", 0))
    for number, price, qty, last, left in cases:
        kit.market.snapshot(number, BIDS % (price.encode(), qty.encode()))
        kit.market.quote(units(price), units(qty), 1_001 * UNIT, UNIT)
        kit.trade(last, "0.001", buyer_is_maker=True)
        assert kit.position.qty == left * UNIT // 10


def test_the_adapter_reads_a_liquidation_as_what_it_is(kit):
    long_and_exposed(kit)
    kit.trade("955.0", "0.001", buyer_is_maker=True)
    frames, reports, funding = UsdmFrames([INSTRUMENT]), [], []
    for event in kit.events:
        read = frames.event(msgspec.json.encode(event))
        if isinstance(read, OrderEvent):
            reports.append(frames.update(read.o, 1))
        elif isinstance(read, AccountEvent):
            funding += frames.funding(read, 1)
    assert [(one.kind, one.reason, one.last_lots) for one in reports if one.kind == "TRADE"] == [
        ("TRADE", "liquidated", 1000)
    ]
    assert [str(one.amount) for one in funding] == ["-12.50000000"]

"""Orders through the whole engine: matching, balances, reports."""

from random import Random

import pytest

from daemon.simulator.symbols import UNIT, text


class Listener:
    """What the account was told, in short."""

    def __init__(self, exchange):
        self.events = []
        exchange.reporter.emit = lambda account, event: self.events.append(event)

    def reports(self):
        found = [(e["x"], e["X"], e["l"], e["L"]) for e in self.events if e["e"] == "executionReport"]
        self.events.clear()
        return [
            (x, status, qty.rstrip("0").rstrip("."), price.rstrip("0").rstrip("."))
            for x, status, qty, price in found
        ]


@pytest.fixture
def told(kit):
    return Listener(kit.exchange)


def free(kit, asset):
    balance = kit.account.balance(asset)
    return text(balance.free), text(balance.locked)


def test_an_aggressive_order_takes_the_displayed_quantity_best_price_first(kit, told):
    body = kit.order(price="100.02", quantity="2.5")
    assert [(fill["price"], fill["qty"]) for fill in body["fills"]] == [
        ("100.01000000", "1.00000000"),
        ("100.02000000", "1.50000000"),
    ]
    assert body["status"] == "FILLED"
    assert told.reports() == [
        ("NEW", "NEW", "0", "0"),
        ("TRADE", "PARTIALLY_FILLED", "1", "100.01"),
        ("TRADE", "FILLED", "1.5", "100.02"),
    ]
    assert free(kit, "USDT") == ("99749.96000000", "0.00000000")
    assert free(kit, "BTC") == ("12.49750000", "0.00000000")  # 2.5 less 0.1 %


def test_what_does_not_fill_rests_and_stays_locked(kit, told):
    body = kit.order(price="100.01", quantity="3")
    assert (body["status"], body["executedQty"]) == ("PARTIALLY_FILLED", "1.00000000")
    assert free(kit, "USDT") == ("99699.97000000", "200.02000000")


def test_a_resting_order_waits_behind_the_displayed_queue_and_pays_the_makers_fee(kit, told):
    kit.account.maker = 0
    kit.order(price="100.00", quantity="1")
    kit.trade("100.00", "1", buyer_is_maker=True)  # the queue ahead
    assert told.reports() == [("NEW", "NEW", "0", "0")]
    kit.trade("100.00", "0.4", buyer_is_maker=True)
    assert told.reports() == [("TRADE", "PARTIALLY_FILLED", "0.4", "100")]
    kit.trade("99.99", "5", buyer_is_maker=True)  # through our price
    assert told.reports() == [("TRADE", "FILLED", "0.6", "100")]
    assert free(kit, "BTC") == ("11.00000000", "0.00000000")
    assert free(kit, "USDT") == ("99900.00000000", "0.00000000")


def test_a_sale_locks_the_base_and_brings_the_quote_net_of_commission(kit, told):
    kit.order(side="SELL", price="100.00", quantity="1")
    assert free(kit, "BTC") == ("9.00000000", "0.00000000")
    assert free(kit, "USDT") == ("100099.90000000", "0.00000000")


@pytest.mark.parametrize(
    ("tif", "status", "filled", "reason"),
    [
        ("IOC", "EXPIRED", "1.00000000", "UNFILLED_IOC_QUANTITY_EXPIRED"),
        ("FOK", "EXPIRED", "0.00000000", "UNFILLED_FOK_ORDER_EXPIRED"),
    ],
)
def test_ioc_and_fok_leave_nothing_standing(kit, told, tif, status, filled, reason):
    body = kit.order(price="100.01", quantity="3", timeInForce=tif)
    assert (body["status"], body["executedQty"]) == (status, filled)
    assert [e["eR"] for e in told.events if e.get("x") == "EXPIRED"] == [reason]
    assert free(kit, "USDT")[1] == "0.00000000"


def test_a_market_order_that_exhausts_the_book_expires(kit, told):
    body = kit.order(type="MARKET", quantity="9")
    assert (body["status"], body["executedQty"]) == ("EXPIRED", "8.00000000")
    assert [e["eR"] for e in told.events if e.get("x") == "EXPIRED"] == ["INSUFFICIENT_LIQUIDITY"]


def test_a_market_order_for_a_quote_amount_buys_whole_lots_within_it(kit):
    body = kit.order(type="MARKET", quoteOrderQty="150")
    assert body["status"] == "FILLED"
    spent = float(body["cummulativeQuoteQty"])
    assert 149.99 < spent <= 150
    assert float(body["executedQty"]) == 1.4998


def test_a_market_order_for_a_quote_amount_needs_someone_to_trade_with(kit):
    kit.market.quote(100 * UNIT, UNIT, 0, 0)
    kit.market.snapshot(2, b'{"bids":[["100.00","1.0"]],"asks":[]}')
    assert "liquidity" in kit.order(type="MARKET", quoteOrderQty="150")["msg"]


def test_an_order_that_cannot_be_paid_is_refused_and_changes_nothing(kit, told):
    before = free(kit, "USDT")
    for asked in ({"price": "100", "quantity": "1001"}, {"side": "SELL", "price": "100", "quantity": "11"}):
        assert kit.order(**asked)["code"] == -2010
    kit.account.balance("USDT").free = 50 * UNIT
    assert kit.order(type="MARKET", quantity="1")["code"] == -2010
    assert told.reports() == []
    kit.account.balance("USDT").free = 100_000 * UNIT
    assert free(kit, "USDT") == before
    assert kit.order(price="100.01", quantity="1")["status"] == "FILLED"  # the trial took nothing


def test_a_post_only_order_that_would_take_is_refused_and_unlocked(kit, told):
    body = kit.order(type="LIMIT_MAKER", price="100.01", quantity="1")
    assert body == {"code": -2010, "msg": "Order would immediately match and take."}
    assert free(kit, "USDT") == ("100000.00000000", "0.00000000")
    assert kit.order(type="LIMIT_MAKER", price="100.00", quantity="1")["status"] == "NEW"


def test_a_client_id_is_unique_among_open_orders_only(kit):
    first = kit.order(price="90", quantity="1", newClientOrderId="same")
    assert first["clientOrderId"] == "same"
    assert kit.order(price="90", quantity="1", newClientOrderId="same")["msg"] == "Duplicate order sent."
    assert kit.signed("DELETE", "order", symbol="BTCUSDT", origClientOrderId="same").status == 200
    assert kit.order(price="90", quantity="1", newClientOrderId="same")["orderId"] == first["orderId"] + 1


def test_no_order_is_taken_while_the_symbol_does_not_trade(kit):
    kit.market.symbol.status = "BREAK"
    assert kit.order(price="90", quantity="1") == {"code": -1013, "msg": "Market is closed."}


# --- stops ---
STOP = {"side": "SELL", "type": "STOP_LOSS", "quantity": "1", "stopPrice": "95"}


def test_a_stop_waits_for_its_price_and_then_sells_at_market(kit, told):
    kit.trade("100", "1", buyer_is_maker=False)
    kit.order(**STOP)
    assert free(kit, "BTC") == ("9.00000000", "1.00000000")
    kit.trade("95.01", "1", buyer_is_maker=True)
    assert told.reports() == [("NEW", "NEW", "0", "0")]
    kit.trade("95.00", "1", buyer_is_maker=True)
    assert told.reports() == [("NEW", "NEW", "0", "0"), ("TRADE", "FILLED", "1", "100")]


def test_a_stop_whose_price_is_already_reached_is_refused(kit):
    kit.trade("94", "1", buyer_is_maker=True)
    assert kit.order(**STOP)["msg"] == "Order would trigger immediately."


def test_a_take_profit_waits_for_the_other_direction(kit, told):
    kit.trade("100", "1", buyer_is_maker=False)
    kit.order(
        side="SELL", type="TAKE_PROFIT_LIMIT", timeInForce="GTC", quantity="1", stopPrice="105", price="104"
    )
    kit.trade("104.99", "1", buyer_is_maker=False)
    told.events.clear()
    kit.trade("105", "1", buyer_is_maker=False)
    assert told.reports() == [("NEW", "NEW", "0", "0")]  # live, resting at 104


def test_a_triggered_buy_that_has_become_too_dear_expires(kit, told):
    kit.trade("100", "1", buyer_is_maker=False)
    kit.account.balance("USDT").free = 101 * UNIT
    kit.order(side="BUY", type="STOP_LOSS", quantity="1", stopPrice="101")
    kit.market.quote(150 * UNIT, UNIT, 151 * UNIT, UNIT)
    told.events.clear()
    kit.trade("151", "1", buyer_is_maker=False)
    assert told.reports() == [("EXPIRED", "EXPIRED", "0", "0")]
    assert free(kit, "USDT") == ("101.00000000", "0.00000000")


def test_a_triggered_buy_may_pay_more_than_its_stop_price(kit, told):
    kit.trade("100", "1", buyer_is_maker=False)
    kit.order(side="BUY", type="STOP_LOSS", quantity="1", stopPrice="101")
    kit.market.quote(150 * UNIT, UNIT, 151 * UNIT, UNIT)
    kit.trade("151", "1", buyer_is_maker=False)
    assert free(kit, "USDT") == ("99849.00000000", "0.00000000")


def test_a_waiting_stop_can_be_canceled(kit, told):
    kit.trade("100", "1", buyer_is_maker=False)
    kit.order(newClientOrderId="s", **STOP)
    assert kit.signed("DELETE", "order", symbol="BTCUSDT", origClientOrderId="s").status == 200
    kit.trade("90", "1", buyer_is_maker=True)
    assert free(kit, "BTC") == ("10.00000000", "0.00000000")


# --- amending ---
def test_an_amended_order_keeps_its_place_and_frees_the_difference(kit, told):
    kit.order(price="100.00", quantity="2", newClientOrderId="a")
    kit.trade("100.00", "1", buyer_is_maker=True)  # the queue ahead is gone
    answer = kit.signed(
        "PUT",
        "order/amend/keepPriority",
        symbol="BTCUSDT",
        origClientOrderId="a",
        newQty="1",
        newClientOrderId="b",
    )
    assert answer.status == 200
    assert free(kit, "USDT")[1] == "100.00000000"
    told.events.clear()
    kit.trade("100.00", "1", buyer_is_maker=True)
    assert told.reports() == [("TRADE", "FILLED", "1", "100")]


def test_amending_a_partly_filled_order_keeps_what_its_rest_costs(kit):
    kit.order(price="100.01", quantity="3", newClientOrderId="a")
    kit.signed("PUT", "order/amend/keepPriority", symbol="BTCUSDT", origClientOrderId="a", newQty="2")
    assert free(kit, "USDT")[1] == "100.01000000"


# --- self-trade prevention ---
def test_an_orders_own_counterpart_expires_before_it_would_be_met(kit, told):
    kit.order(side="SELL", price="100.01", quantity="1")
    kit.order(price="100.01", quantity="1")
    assert [report[:2] for report in told.reports()][1:3] == [
        ("TRADE_PREVENTION", "EXPIRED_IN_MATCH"),
        ("NEW", "NEW"),
    ]
    assert free(kit, "BTC")[1] == "0.00000000"


def test_the_taker_expires_where_it_asked_for_that(kit, told):
    kit.order(side="SELL", price="100.01", quantity="1")
    body = kit.order(price="100.01", quantity="1", selfTradePreventionMode="EXPIRE_TAKER")
    assert body["status"] == "EXPIRED_IN_MATCH"
    assert free(kit, "BTC")[1] == "1.00000000"
    assert free(kit, "USDT")[1] == "0.00000000"


@pytest.mark.parametrize("order", [{"type": "MARKET"}, {"price": "100.60"}])
@pytest.mark.parametrize(("qty", "status"), [("1", "NEW"), ("2.5", "NEW"), ("4", "EXPIRED_IN_MATCH")])
def test_an_own_order_that_is_not_come_to_stays(kit, order, qty, status):
    # 1 is offered at 100.01, 2 at 100.02, and ours beyond
    kit.order(side="SELL", price="100.50", quantity="1")
    kit.order(**order, quantity=qty)
    assert next(iter(kit.exchange.registry.orders.values())).status == status


def test_a_post_only_order_would_meet_an_own_order_too(kit):
    kit.order(side="SELL", price="100.50", quantity="1")
    assert kit.order(type="LIMIT_MAKER", price="100.50", quantity="1")["code"] == -2010


# --- the whole ---
def test_money_is_conserved_over_any_course_of_events(kit, told):
    """Balances equal the start plus what the reports say; nothing is locked in the end."""
    random = Random(3)
    kit.account.balance("USDT").free = 3_000 * UNIT
    paid = got = fees_btc = fees_usdt = 0
    middle = 10_000
    for _ in range(600):
        middle += random.randint(-3, 3)
        kit.market.quote(middle * UNIT // 100, UNIT, (middle + 1) * UNIT // 100, UNIT)
        kit.trade(
            f"{middle / 100:.2f}", f"{random.randint(1, 200) / 100:.2f}", buyer_is_maker=random.random() < 0.5
        )
        orders = kit.exchange.registry.open_orders(kit.account)
        if orders and random.random() < 0.4:
            kit.signed("DELETE", "order", symbol="BTCUSDT", orderId=random.choice(orders).order_id)
        price = f"{(middle + random.randint(-20, 20)) / 100:.2f}"
        kit.order(
            side=random.choice(["BUY", "SELL"]),
            price=price,
            quantity=f"{random.randint(5, 300) / 100:.2f}",
            timeInForce=random.choice(["GTC", "IOC", "FOK"]),
        )
        for balance in kit.account.balances.values():
            assert balance.free >= 0
            assert balance.locked >= 0
    for order in kit.exchange.registry.open_orders(kit.account):
        kit.exchange.cancel(order, "end")
    for event in told.events:
        if event.get("x") == "TRADE":
            sign = 1 if event["S"] == "BUY" else -1
            paid += sign * units_of(event["Y"])
            got += sign * units_of(event["l"])
            if event["N"] == "BTC":
                fees_btc += units_of(event["n"])
            else:
                fees_usdt += units_of(event["n"])
    assert got != 0
    assert kit.account.balance("BTC").free == 10 * UNIT + got - fees_btc
    assert kit.account.balance("USDT").free == 3_000 * UNIT - paid - fees_usdt
    assert all(balance.locked == 0 for balance in kit.account.balances.values())


def units_of(amount: str) -> int:
    return int(amount.replace(".", ""))


def test_a_deposit_is_told_as_a_balance_update(kit, told):
    kit.exchange.deposit(kit.account, "USDT", UNIT)
    assert told.events[0] | {"E": 0, "T": 0} == {
        "e": "balanceUpdate",
        "E": 0,
        "a": "USDT",
        "d": "1.00000000",
        "T": 0,
    }

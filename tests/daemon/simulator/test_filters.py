import pytest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"price": "100.005"}, "Filter failure: PRICE_FILTER"),
        ({"price": "0.00000001"}, "Filter failure: PRICE_FILTER"),
        ({"price": "0"}, "Invalid price."),
        ({"price": "1000001"}, "Filter failure: PRICE_FILTER"),
        ({"price": "501"}, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ({"price": "19"}, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ({"quantity": "0"}, "Invalid quantity."),
        ({"quantity": "0.000001"}, "Filter failure: LOT_SIZE"),
        ({"quantity": "0.100001"}, "Filter failure: LOT_SIZE"),
        ({"quantity": "9000.1"}, "Filter failure: LOT_SIZE"),
        ({"quantity": "0.04"}, "Filter failure: NOTIONAL"),
        ({"quantity": "121", "type": "MARKET", "price": None}, "Filter failure: MARKET_LOT_SIZE"),
        ({"quantity": "0.04", "type": "MARKET", "price": None}, "Filter failure: NOTIONAL"),
        (
            {"quantity": None, "quoteOrderQty": "4", "type": "MARKET", "price": None},
            "Filter failure: NOTIONAL",
        ),
    ],
)
def test_each_filter_refuses_in_its_own_name(kit, changes, message):
    asked = {"price": "100.00", "quantity": "1"} | changes
    body = kit.order(**{name: value for name, value in asked.items() if value is not None})
    assert body == {"code": -1013, "msg": message}


def test_the_notional_may_not_be_too_large_either(kit):
    kit.market.symbol.notional_max = 100 * 10**8
    assert kit.order(price="100.01", quantity="1")["msg"] == "Filter failure: NOTIONAL"


def test_only_so_many_orders_may_be_open(kit):
    kit.market.symbol.orders_max = 2
    for _ in range(2):
        assert kit.order(price="90", quantity="0.1")["status"] == "NEW"
    assert kit.order(price="90", quantity="0.1")["msg"] == "Filter failure: MAX_NUM_ORDERS"


def test_only_so_many_stops_may_be_open(kit):
    kit.market.symbol.stops_max = 1
    stop = {"side": "SELL", "type": "STOP_LOSS", "stopPrice": "90", "quantity": "0.1"}
    kit.trade("100", "1", buyer_is_maker=False)
    assert "code" not in kit.order(**stop)
    assert kit.order(**stop)["msg"] == "Filter failure: MAX_NUM_ALGO_ORDERS"
    assert kit.order(price="90", quantity="0.1")["status"] == "NEW"


def test_no_account_has_more_of_the_base_than_it_may_have_with_what_it_is_buying(kit):
    has = kit.account.balance("BTC")
    kit.market.symbol.position_max = has.free + has.locked + 3 * 10**8 // 10
    assert kit.order(price="90", quantity="0.2")["status"] == "NEW"
    assert kit.order(side="SELL", price="110", quantity="0.1")["status"] == "NEW"  # locked, and had
    assert kit.order(price="90", quantity="0.11")["msg"] == "Filter failure: MAX_POSITION"
    assert kit.order(price="90", quantity="0.1")["status"] == "NEW"
    assert kit.order(side="SELL", price="110", quantity="0.1")["status"] == "NEW"


def test_a_stop_price_is_on_the_grid_too(kit):
    body = kit.order(side="SELL", type="STOP_LOSS", stopPrice="90.001", quantity="0.1")
    assert body == {"code": -1013, "msg": "Filter failure: PRICE_FILTER"}


def test_before_any_price_is_known_the_percent_filter_is_silent(kit):
    body = kit.order(symbol="ETHBTC", side="SELL", price="0.05", quantity="1")
    assert body["msg"] == "Account has insufficient balance for requested action."

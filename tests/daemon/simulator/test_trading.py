import msgspec
import pytest


def get(kit, verb, path, **params):
    answer = kit.signed(verb, path, **params)
    return answer.status, msgspec.json.decode(answer.body)


@pytest.fixture
def resting(kit):
    return kit.order(price="90.00", quantity="1", newClientOrderId="mine")


@pytest.mark.parametrize(("response", "fields"), [("ACK", 5), ("RESULT", 16), ("FULL", 17)])
def test_a_placement_is_answered_as_fully_as_asked(kit, response, fields):
    assert len(kit.order(price="90.00", quantity="1", newOrderRespType=response)) == fields


def test_a_test_order_is_checked_and_not_placed(kit):
    asked = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "price": "90",
        "quantity": "1",
    }
    assert get(kit, "POST", "order/test", **asked) == (200, {})
    rates = get(kit, "POST", "order/test", computeCommissionRates="true", **asked)[1]
    assert rates["standardCommissionForOrder"]["taker"] == "0.00100000"
    assert get(kit, "POST", "order/test", **(asked | {"quantity": "0"}))[1]["msg"] == "Invalid quantity."
    assert get(kit, "GET", "openOrders") == (200, [])


def test_a_misspelt_parameter_is_refused_before_anything_happens(kit):
    assert kit.order(price="90", quantity="1", timeinforce="GTC")["code"] == -1104
    assert get(kit, "GET", "openOrders") == (200, [])


def test_a_cancel_bears_an_id_of_its_own(kit, resting):
    status, body = get(
        kit, "DELETE", "order", symbol="BTCUSDT", origClientOrderId="mine", newClientOrderId="bye"
    )
    assert (status, body["status"], body["origClientOrderId"], body["clientOrderId"]) == (
        200,
        "CANCELED",
        "mine",
        "bye",
    )
    assert get(kit, "DELETE", "order", symbol="BTCUSDT", origClientOrderId="mine")[1]["code"] == -2011
    assert get(kit, "GET", "order", symbol="BTCUSDT", origClientOrderId="mine")[1]["status"] == "CANCELED"


def test_a_cancel_can_be_restricted_by_status(kit, resting):
    named = {"symbol": "BTCUSDT", "orderId": resting["orderId"]}
    refused = get(kit, "DELETE", "order", cancelRestrictions="ONLY_PARTIALLY_FILLED", **named)[1]
    assert refused == {"code": -2011, "msg": "Order was not canceled due to cancel restrictions."}
    assert get(kit, "DELETE", "order", cancelRestrictions="SOME", **named)[1]["code"] == -1145
    assert get(kit, "DELETE", "order", cancelRestrictions="ONLY_NEW", **named)[0] == 200


def test_an_order_must_be_named(kit):
    assert get(kit, "DELETE", "order", symbol="BTCUSDT")[1]["code"] == -1102
    assert get(kit, "GET", "order", symbol="BTCUSDT", orderId=99)[1]["code"] == -2013


def test_every_order_of_a_symbol_is_canceled_at_once(kit, resting):
    kit.order(price="91.00", quantity="1")
    assert len(get(kit, "DELETE", "openOrders", symbol="BTCUSDT")[1]) == 2
    assert get(kit, "DELETE", "openOrders", symbol="BTCUSDT")[1]["code"] == -2011


def test_an_amendment_lowers_the_quantity_only(kit, resting):
    path, named = "order/amend/keepPriority", {"symbol": "BTCUSDT", "orderId": resting["orderId"]}
    assert (
        get(kit, "PUT", path, newQty="2", **named)[1]["msg"]
        == "Order amend (quantity increase) is not supported."
    )
    assert "no state" in get(kit, "PUT", path, newQty="1", **named)[1]["msg"]
    assert get(kit, "PUT", path, newQty="0.050001", **named)[1]["msg"] == "Filter failure: LOT_SIZE"
    assert get(kit, "PUT", path, newQty="0.05", **named)[1]["msg"] == "Filter failure: NOTIONAL"
    assert get(kit, "PUT", path, **named)[1]["code"] == -1102
    status, body = get(kit, "PUT", path, newQty="0.5", newClientOrderId="mine", **named)
    assert (status, body["amendedOrder"]["qty"], body["amendedOrder"]["clientOrderId"]) == (
        200,
        "0.50000000",
        "mine",
    )
    assert get(kit, "GET", "order", **named)[1]["origQty"] == "0.50000000"


def test_an_order_is_amended_only_so_often(kit, resting):
    kit.market.symbol.amends_max = 1
    path, named = "order/amend/keepPriority", {"symbol": "BTCUSDT", "orderId": resting["orderId"]}
    assert get(kit, "PUT", path, newQty="0.9", **named)[0] == 200
    assert get(kit, "PUT", path, newQty="0.8", **named)[1]["code"] == -2038
    get(kit, "DELETE", "order", **named)
    assert get(kit, "PUT", path, newQty="0.7", **named)[1] == {"code": -2038, "msg": "Unknown order sent."}


NEW = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "price": "91",
    "quantity": "1",
}


def test_cancel_replace_does_both_halves(kit, resting):
    asked = NEW | {"cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrigClientOrderId": "mine"}
    status, body = get(kit, "POST", "order/cancelReplace", **asked)
    assert (status, body["cancelResult"], body["newOrderResult"]) == (200, "SUCCESS", "SUCCESS")
    assert body["newOrderResponse"]["price"] == "91.00000000"
    assert len(get(kit, "GET", "openOrders")[1]) == 1


@pytest.mark.parametrize(
    ("mode", "changes", "status", "code", "results"),
    [
        ("STOP_ON_FAILURE", {"cancelOrigClientOrderId": "no"}, 400, -2022, ("FAILURE", "NOT_ATTEMPTED")),
        ("ALLOW_FAILURE", {"cancelOrigClientOrderId": "no"}, 409, -2021, ("FAILURE", "SUCCESS")),
        (
            "ALLOW_FAILURE",
            {"cancelOrigClientOrderId": "no", "quantity": "2000"},
            400,
            -2022,
            ("FAILURE", "FAILURE"),
        ),
        ("STOP_ON_FAILURE", {"quantity": "2000"}, 409, -2021, ("SUCCESS", "FAILURE")),
    ],
)
def test_cancel_replace_tells_which_half_failed(kit, resting, mode, changes, status, code, results):
    asked = NEW | {"cancelReplaceMode": mode, "cancelOrigClientOrderId": "mine"} | changes
    got, body = get(kit, "POST", "order/cancelReplace", **asked)
    assert (got, body["code"]) == (status, code)
    assert (body["data"]["cancelResult"], body["data"]["newOrderResult"]) == results


def test_over_the_order_limit_cancel_replace_may_still_cancel(make_kit):
    from daemon.simulator.rates import Limits

    kit = make_kit(Limits(orders_10s=1))
    kit.order(price="90.00", quantity="1", newClientOrderId="mine")
    asked = NEW | {"cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrigClientOrderId": "mine"}
    assert get(kit, "POST", "order/cancelReplace", **asked)[1]["code"] == -1015
    status, body = get(kit, "POST", "order/cancelReplace", orderRateLimitExceededMode="CANCEL_ONLY", **asked)
    assert (status, body["data"]["cancelResult"]) == (409, "SUCCESS")
    assert body["data"]["newOrderResponse"]["code"] == -1015


def test_orders_are_listed_by_id_time_or_the_latest(kit):
    numbers = [kit.order(price="90.00", quantity="1")["orderId"] for _ in range(3)]

    def ids(**params):
        return [row["orderId"] for row in get(kit, "GET", "allOrders", symbol="BTCUSDT", **params)[1]]

    assert ids() == numbers
    assert ids(limit=1) == numbers[-1:]
    assert ids(orderId=numbers[1], limit=1) == [numbers[1]]
    assert ids(startTime=kit.now_ms) == numbers
    assert ids(endTime=kit.now_ms - 1) == []
    day_ms = 86_400_000
    assert get(kit, "GET", "allOrders", symbol="BTCUSDT", startTime=0, endTime=day_ms + 1)[1]["code"] == -1127


def test_fills_are_listed_by_order_id_or_time(kit):
    first = kit.order(price="100.01", quantity="0.5")
    second = kit.order(price="100.01", quantity="0.5")
    rows = get(kit, "GET", "myTrades", symbol="BTCUSDT")[1]
    assert [row["orderId"] for row in rows] == [first["orderId"], second["orderId"]]
    assert get(kit, "GET", "myTrades", symbol="BTCUSDT", orderId=second["orderId"])[1] == rows[1:]
    assert get(kit, "GET", "myTrades", symbol="BTCUSDT", fromId=rows[1]["id"])[1] == rows[1:]
    assert get(kit, "GET", "myTrades", symbol="BTCUSDT", startTime=kit.now_ms, limit=1)[1] == rows[:1]
    assert get(kit, "GET", "myTrades", symbol="BTCUSDT", fromId=1, startTime=1)[1]["code"] == -1128


def test_the_account_shows_balances_commissions_and_order_counts(kit, resting):
    balances = {row["asset"]: row for row in get(kit, "GET", "account")[1]["balances"]}
    assert balances["USDT"] == {"asset": "USDT", "free": "99910.00000000", "locked": "90.00000000"}
    assert (
        get(kit, "GET", "account/commission", symbol="BTCUSDT")[1]["standardCommission"]["maker"]
        == "0.00100000"
    )
    assert [row["count"] for row in get(kit, "GET", "rateLimit/order")[1]] == [1, 1]
    assert get(kit, "GET", "openOrders", symbol="NOPE")[1]["code"] == -1121

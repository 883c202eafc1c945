from __future__ import annotations

import hashlib
import hmac

import msgspec
import pytest

from daemon.simulator.auth import sorted_payload
from tests.daemon.simulator.conftest import Outbox

API_KEY, SECRET = "k" * 64, "s" * 64


def test_balance_and_account_tell_what_is_held_back(kit):
    kit.buy("0.2")
    (row,) = kit.call("GET", "v3/balance")
    assert (row["asset"], row["balance"], row["crossUnPnl"]) == ("USDT", "999.89990000", "-0.10000000")
    view = kit.call("GET", "v3/account")
    assert view["totalWalletBalance"] == row["balance"]
    assert view["totalInitialMargin"] == "10.00500000"  # of 0.2 at 1000.5, at 20 times
    assert view["availableBalance"] == row["availableBalance"] == "989.79490000"
    assert [one["symbol"] for one in view["positions"]] == ["BTCUSDT"]
    assert kit.call("GET", "v2/account")["positions"][0]["leverage"] == "20"


def test_risk_lists_what_is_held_and_the_older_one_everything(kit):
    assert kit.call("GET", "v3/positionRisk") == []
    (flat,) = kit.call("GET", "v2/positionRisk")
    assert (flat["positionAmt"], flat["marginType"]) == ("0.000", "cross")
    kit.order(price="990")
    (ordered,) = kit.call("GET", "v3/positionRisk", symbol="BTCUSDT")
    assert (ordered["bidNotional"], ordered["openOrderInitialMargin"]) == ("198.00000000", "9.90000000")
    assert kit.call("GET", "v2/positionRisk", symbol="ETHUSDT")["code"] == -1121


def test_leverage_and_margin_type_are_set_and_told(kit):
    assert kit.call("POST", "leverage", symbol="BTCUSDT", leverage=126)["code"] == -4028
    assert kit.call("POST", "leverage", symbol="BTCUSDT")["code"] == -1102
    assert kit.call("POST", "leverage", symbol="BTCUSDT", leverage=3)["leverage"] == 3
    assert kit.told("ACCOUNT_CONFIG_UPDATE")[0]["ac"] == {"s": "BTCUSDT", "l": 3}
    assert kit.call("POST", "marginType", symbol="BTCUSDT", marginType="CROSSED")["code"] == -4046
    assert kit.call("POST", "marginType", symbol="BTCUSDT", marginType="ISOLATED")["code"] == 200
    (row,) = kit.call("GET", "symbolConfig", symbol="BTCUSDT")
    assert (row["leverage"], row["marginType"]) == (3, "ISOLATED")


def test_a_margin_type_stays_while_there_are_orders_or_a_position(kit):
    one = kit.order(price="990")
    assert kit.call("POST", "marginType", symbol="BTCUSDT", marginType="ISOLATED")["code"] == -4047
    kit.call("DELETE", "order", symbol="BTCUSDT", orderId=one["orderId"])
    kit.buy("0.2")
    assert kit.call("POST", "marginType", symbol="BTCUSDT", marginType="ISOLATED")["code"] == -4048


def test_the_account_is_one_way_and_of_single_assets(kit):
    assert kit.call("GET", "positionSide/dual") == {"dualSidePosition": False}
    assert kit.call("POST", "positionSide/dual", dualSidePosition="false")["code"] == -4059
    assert kit.call("POST", "positionSide/dual", dualSidePosition="true")["code"] == -4067
    assert kit.call("GET", "multiAssetsMargin") == {"multiAssetsMargin": False}
    assert kit.call("GET", "accountConfig")["dualSidePosition"] is False


def test_income_is_told_by_kind(kit):
    kit.buy("0.2")
    kit.order(side="SELL", type="MARKET")
    assert [row["incomeType"] for row in kit.call("GET", "income")] == [
        "COMMISSION",
        "COMMISSION",
        "REALIZED_PNL",
    ]
    assert kit.call("GET", "income", incomeType="REALIZED_PNL")[0]["income"] == "-0.20000000"
    assert kit.call("GET", "commissionRate", symbol="BTCUSDT")["takerCommissionRate"] == "0.00050000"
    assert kit.call("GET", "leverageBracket")[0]["brackets"][0]["initialLeverage"] == 125


@pytest.mark.parametrize("method", ["v2/account.balance", "v2/account.position", "v2/account.status"])
def test_the_websocket_api_has_them_too(kit, method):
    outbox = Outbox()
    session = kit.gateway.connect("/ws-fapi/v1", outbox, "a").session
    params = {"apiKey": API_KEY, "timestamp": kit.time.now_ns() // 1_000_000}
    payload = sorted_payload({name: str(value) for name, value in params.items()})
    params["signature"] = hmac.new(SECRET.encode(), payload, hashlib.sha256).hexdigest()
    session.receive(msgspec.json.encode({"id": 1, "method": method, "params": params}))
    assert outbox.take()[0]["status"] == 200


def test_a_listen_key_is_had_by_websocket_with_a_key_alone(kit):
    outbox = Outbox()
    session = kit.gateway.connect("/ws-fapi/v1", outbox, "a").session
    for method in (
        "userDataStream.start",
        "userDataStream.ping",
        "userDataStream.stop",
        "userDataStream.ping",
    ):
        session.receive(msgspec.json.encode({"id": 1, "method": method, "params": {"apiKey": API_KEY}}))
    started, kept, _, gone = outbox.take()
    assert started["result"] == kept["result"]
    assert gone["error"]["code"] == -1125


def test_what_spot_subscribes_to_is_not_there(kit):
    outbox = Outbox()
    session = kit.gateway.connect("/ws-fapi/v1", outbox, "a").session
    for method in ("userDataStream.subscribe", "time"):
        session.receive(msgspec.json.encode({"id": 1, "method": method, "params": {}}))
    assert [answer["error"]["code"] for answer in outbox.take()] == [-1020, -1020]
    session.receive(msgspec.json.encode({"id": 1, "method": "session.status", "params": {}}))
    assert outbox.take()[0]["result"]["serverTime"] == kit.time.now_ns() // 1_000_000

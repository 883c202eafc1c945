from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": "STOP_MARKET"}, -4120),
        ({"type": "ICEBERG"}, -1116),
        ({"side": "LONG"}, -1117),
        ({"timeInForce": "DAY"}, -1115),
        ({"positionSide": "LONG"}, -4061),
        ({"newOrderRespType": "FULL"}, -1130),
        ({"selfTradePreventionMode": "MAYBE"}, -1130),
        ({"newClientOrderId": "x" * 37}, -4015),
        ({"newClientOrderId": "a b"}, -1100),
        ({"quantity": ""}, -1105),
        ({"what": "1"}, -1104),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(kit, changes, code):
    assert kit.order(**({"price": "1000"} | changes))["code"] == code


def test_what_is_missing_is_named(kit):
    assert "price" in kit.order()["msg"]
    assert kit.stop(algoType="VP")["code"] == -1130
    assert kit.stop(type="MARKET")["code"] == -1116
    assert kit.stop(type="STOP", price="989")["algoStatus"] == "NEW"

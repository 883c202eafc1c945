import pytest

from daemon.simulator.errors import ApiError
from daemon.simulator.newrequest import read_client_id, read_order
from daemon.simulator.params import Params
from daemon.simulator.symbols import UNIT

LIMIT = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "1.5", "quantity": "2"}


def read(**changes):
    return read_order(Params({k: v for k, v in (LIMIT | changes).items() if v is not None}))


def refusal(**changes) -> tuple[int, str]:
    with pytest.raises(ApiError) as error:
        read(**changes)
    return error.value.code, error.value.message


def test_a_limit_order_is_read_in_units():
    new = read(newClientOrderId="a-1", strategyId="3")
    assert (new.side, new.type, new.tif, new.price, new.qty) == (1, "LIMIT", "GTC", 3 * UNIT // 2, 2 * UNIT)
    assert (new.client_id, new.response, new.stp) == ("a-1", "FULL", "EXPIRE_MAKER")
    assert new.strategy == {"strategyId": 3, "strategyType": 1_000_000}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"side": "HOLD"}, -1117),
        ({"side": None}, -1102),
        ({"type": "PEGGED"}, -1116),
        ({"timeInForce": "GTX"}, -1115),
        ({"timeInForce": None}, -1102),
        ({"price": None}, -1102),
        ({"quantity": None}, -1102),
        ({"stopPrice": "1"}, -1106),
        ({"quoteOrderQty": "1"}, -1106),
        ({"type": "LIMIT_MAKER"}, -1106),  # timeInForce
        ({"type": "MARKET", "timeInForce": None}, -1106),  # price
        ({"type": "MARKET", "timeInForce": None, "price": None, "quoteOrderQty": "1"}, -1128),
        ({"type": "MARKET", "timeInForce": None, "price": None, "quantity": None}, -1102),
        ({"type": "STOP_LOSS", "timeInForce": None, "price": None}, -1102),  # stopPrice
        ({"type": "STOP_LOSS_LIMIT"}, -1102),
        ({"newClientOrderId": "a b"}, -1100),
        ({"newClientOrderId": "x" * 37}, -1100),
        ({"newOrderRespType": "LONG"}, -1130),
        ({"selfTradePreventionMode": "DECREMENT"}, -1130),
        ({"strategyType": "1"}, -1134),
        ({"icebergQty": "1"}, -2010),
        ({"trailingDelta": "1"}, -2010),
        ({"pegPriceType": "PRIMARY_PEG"}, -2010),
    ],
)
def test_what_does_not_fit_the_type_is_refused(changes, code):
    assert refusal(**changes)[0] == code


@pytest.mark.parametrize("kind", ["STOP_LOSS", "TAKE_PROFIT"])
def test_a_stop_at_market_needs_a_trigger_alone(kind):
    new = read(type=kind, price=None, timeInForce=None, stopPrice="9")
    assert (new.price, new.stop_price, new.response) == (0, 9 * UNIT, "ACK")


def test_a_market_order_may_spend_a_quote_amount():
    new = read(type="MARKET", price=None, timeInForce=None, quantity=None, quoteOrderQty="50")
    assert (new.qty, new.quote_qty) == (0, 50 * UNIT)


def test_a_client_id_that_was_not_sent_is_empty():
    assert read_client_id(Params({}), "newClientOrderId") == ""

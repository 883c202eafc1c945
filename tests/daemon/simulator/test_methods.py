import pytest

from daemon.simulator.auth import Key
from daemon.simulator.errors import ApiError
from daemon.simulator.methods import TRADE, USER_DATA, Call, Method, authorize, depth_weight, read_symbols
from daemon.simulator.params import Params


@pytest.mark.parametrize(
    ("limit", "weight"), [(None, 5), (100, 5), (101, 25), (500, 25), (1000, 50), (5000, 250), ("x", 5)]
)
def test_a_deeper_book_weighs_more(limit, weight):
    assert depth_weight(Params({} if limit is None else {"limit": limit})) == weight


def test_a_key_without_trading_may_look_but_not_trade():
    key = Key("k", "main", secret=b"s", can_trade=False)
    authorize(key, Method("GET", "", "", USER_DATA, 1, lambda call: None))
    with pytest.raises(ApiError) as error:
        authorize(key, Method("POST", "", "", TRADE, 1, lambda call: None))
    assert error.value.code == -2015


def call(kit, **params):
    return Call(kit.exchange, Params(params), 0, 1_000_000, kit.limits, None)


def test_symbols_are_named_one_or_many_or_not_at_all(kit):
    assert read_symbols(call(kit)) is None
    assert read_symbols(call(kit, symbol="BTCUSDT")) == ["BTCUSDT"]
    assert read_symbols(call(kit, symbols='["BTCUSDT","ETHBTC"]')) == ["BTCUSDT", "ETHBTC"]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"symbol": "NOPE"}, -1121),
        ({"symbols": '["NOPE"]'}, -1121),
        ({"symbols": "[]"}, -1121),
        ({"symbols": "BTCUSDT"}, -1130),
        ({"symbol": "BTCUSDT", "symbols": '["BTCUSDT"]'}, -1128),
    ],
)
def test_symbols_that_are_not_listed_are_refused(kit, params, code):
    with pytest.raises(ApiError) as error:
        read_symbols(call(kit, **params))
    assert error.value.code == code


def test_times_of_an_answer_come_in_its_unit(kit):
    micro = Call(kit.exchange, Params({}), 0, 1_000, kit.limits, None)
    assert micro.time(5_000_000) == 5_000
    assert micro.ms(5) == 5_000

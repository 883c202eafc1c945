from daemon.simulator.errors import ApiError, bad_key, filter_failure, missing, rejected


def test_a_refusal_carries_code_message_and_data_in_its_body():
    assert ApiError(-1, "no").body() == {"code": -1, "msg": "no"}
    assert ApiError(-2021, "half", 409, {"a": 1}).body() == {"code": -2021, "msg": "half", "data": {"a": 1}}


def test_the_shorthands_use_the_exchanges_codes_and_words():
    assert filter_failure("LOT_SIZE").body() == {"code": -1013, "msg": "Filter failure: LOT_SIZE"}
    assert rejected("x").code == -2010
    assert missing("price").code == -1102
    assert "'price'" in missing("price").message
    assert (bad_key().code, bad_key().status) == (-2015, 401)

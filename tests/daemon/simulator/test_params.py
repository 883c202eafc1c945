from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.simulator.errors import ApiError
from daemon.simulator.params import Params, as_text


def code(call) -> int:
    with pytest.raises(ApiError) as error:
        call()
    return error.value.code


def test_json_values_become_the_text_that_is_signed():
    assert [as_text(value) for value in ("a", True, 5, 0.5, None, ["A", "B"])] == [
        "a",
        "true",
        "5",
        "0.5",
        "",
        '["A","B"]',
    ]
    assert code(lambda: as_text({})) == -1130


def test_a_missing_or_empty_parameter_is_refused_by_name():
    assert code(lambda: Params({}).text("symbol")) == -1102
    assert code(lambda: Params({"symbol": ""}).text("symbol")) == -1102
    assert code(lambda: Params({"price": ""}).decimal("price")) == -1105
    assert Params({}).optional("x") is None


@pytest.mark.parametrize("text", ["-1", "1e5", "NaN", "0x1", "1.", ".5", " 1", "1,0", "\u0661"])
def test_what_is_no_plain_decimal_is_refused(text):
    assert code(lambda: Params({"price": text}).decimal("price")) == -1100


def test_more_than_eight_decimals_are_too_much_precision():
    assert code(lambda: Params({"price": "1.000000001"}).decimal("price")) == -1111
    assert Params({"price": "1.0000000100"}).decimal("price") == Decimal("1.00000001")


@given(st.integers(0, 10**15), st.integers(0, 8))
def test_every_plain_decimal_is_read_exactly(count, places):
    value = Decimal(count).scaleb(-places)
    assert Params({"q": f"{value:f}"}).decimal("q") == value


def test_integers_limits_and_flags_are_checked():
    assert Params({"n": "12"}).integer("n") == 12
    assert code(lambda: Params({"n": "1.5"}).integer("n")) == -1100
    assert Params({}).limit(500, 1000) == 500
    assert Params({"limit": "9999"}).limit(500, 1000) == 1000
    assert code(lambda: Params({"limit": "0"}).limit(500, 1000)) == -1130
    assert Params({"f": True}).flag("f", default=False) is True
    assert code(lambda: Params({"f": "yes"}).flag("f", default=False)) == -1130
    assert Params({"t": "1700000000000000"}).time_ms("t") == 1_700_000_000_000


def test_what_nobody_read_is_refused_at_the_end():
    params = Params({"symbol": "A", "pirce": "1"})
    params.text("symbol")
    assert code(params.finish) == -1104
    params.optional("pirce")
    params.finish()


def test_a_choice_is_refused_with_its_own_code():
    assert code(lambda: Params({"side": "HOLD"}).choice("side", ("BUY",), -1117, "Invalid side.")) == -1117

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import ConfigError
from daemon.orders.ids import Ids
from daemon.venues.ccxt_exchanges import EXCHANGES, find_form

NAMES = st.from_regex(r"[a-z0-9]{1,7}", fullmatch=True)
NUMBERS = st.integers(1, 999_999)


@pytest.mark.parametrize("exchange", EXCHANGES)
@given(name=NAMES, run=st.integers(1, 999_999_999), seq=NUMBERS)
def test_an_id_goes_there_and_comes_back_and_is_never_too_long(exchange, name, run, seq):
    form = EXCHANGES[exchange]
    ours = Ids(name, run).at(run, seq)
    theirs = form.theirs(ours)
    assert form.ours(form.id_prefix + theirs) == ours
    if form.id_alphanumeric:
        assert theirs.isalnum()
    try:
        find_form(exchange, name)
    except ConfigError:
        return
    assert len(theirs) <= form.id_length


@pytest.mark.parametrize("exchange", EXCHANGES)
@given(text=st.text("abcrs019-_", max_size=20))
def test_the_ids_of_others_are_not_taken_for_ours(exchange, text):
    assert Ids("mine", 7).parse(EXCHANGES[exchange].ours(text)) is None


def test_a_cancelled_order_is_known_by_the_mark_that_its_cancel_left():
    assert EXCHANGES["binance"].ours("one-7-12-c") == "one-7-12"


@pytest.mark.parametrize(
    ("exchange", "name", "sentence"),
    [
        ("coinbase", "one", r"'coinbase' is not among those known here \(b.*, okxus\): look up in"),
        ("kraken", "one", "longer than the 18 characters that kraken takes; a name there has 1 at most"),
        ("okx", "my-bot", "okx takes letters and digits alone in client order ids, so the name 'my-bot'"),
        ("binance", "sixteenletters-x", None),
    ],
)
def test_a_name_must_fit_into_the_exchange_s_ids(exchange, name, sentence):
    if sentence is None:
        assert find_form(exchange, name).id_length == 36
        return
    with pytest.raises(ConfigError, match=sentence):
        find_form(exchange, name)

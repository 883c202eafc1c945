from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import ConfigError
from daemon.orders.ids import Ids
from daemon.venues.ccxt_exchanges import EXCHANGES, ExchangeForm, find_form
from daemon.venues.ccxt_ids import ClientIds

TOLD = {"id": "cid", "immediate": {"ioc": True}, "post_only": {"maker": True}}
FORMS = {
    **EXCHANGES,
    **{kind: ExchangeForm(**TOLD, id_kind=kind) for kind in ("uuid", "number")},
}
NAMES = st.from_regex(r"[a-z0-9]{1,7}", fullmatch=True)
RUNS, NUMBERS = st.integers(1, 999_999_999), st.integers(1, 999_999)
MASKS = {
    "alphanumeric": r"[a-zA-Z0-9]+",
    "number": r"[1-9][0-9]{15,18}",
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "text": r"[a-z0-9]+-[0-9]+-[0-9]+",
}


@given(exchange=st.sampled_from(sorted(FORMS)), name=NAMES, run=RUNS, seq=NUMBERS)
def test_an_id_goes_there_and_comes_back_and_is_of_the_kind_and_length_it_must_be(exchange, name, run, seq):
    form = FORMS[exchange]
    try:
        form = find_form(exchange, name, None if exchange in EXCHANGES else form)
    except ConfigError:
        return
    ids, ours = ClientIds(form, name), Ids(name, run).at(run, seq)
    theirs = ids.theirs(ours)
    assert re.fullmatch(MASKS[form.id_kind], theirs)
    assert ids.ours(form.id_prefix + theirs) == ours == ids.at(run, seq)
    assert ids.fits(ours)
    assert len(theirs) <= form.id_length
    assert ids.ours(theirs.upper()) == ours or form.id_kind in {"text", "alphanumeric"}


@given(
    exchange=st.sampled_from(sorted(FORMS)),
    text=st.text("abcrs019-_", max_size=20) | st.integers(0, 1 << 54).map(str) | st.uuids(version=4).map(str),
)
def test_the_ids_of_others_are_not_taken_for_ours(exchange, text):
    assert Ids("mine", 7).parse(ClientIds(FORMS[exchange], "mine").ours(text)) is None


@given(name=NAMES, other=NAMES, run=RUNS, seq=NUMBERS)
def test_the_uuids_of_two_daemons_are_told_apart(name, other, run, seq):
    one, two = ClientIds(FORMS["uuid"], name), ClientIds(FORMS["uuid"], other)
    theirs = one.theirs(one.at(run, seq))
    assert two.ours(theirs) == (two.at(run, seq) if name == other else theirs)
    assert two.theirs(one.at(run, seq)) == (theirs if name == other else one.at(run, seq))


@given(
    first=st.tuples(RUNS, st.integers(1, 10**9 - 1)),
    second=st.tuples(RUNS, st.integers(1, 10**9 - 1)),
)
def test_no_two_orders_have_one_id(first, second):
    ids = ClientIds(FORMS["uuid"], "one")
    assert (ids.theirs(ids.at(*first)) == ids.theirs(ids.at(*second))) is (first == second)


def test_these_are_the_ids_for_ever():
    """What stands at an exchange must be recognised by every version to come."""
    uuid, number = ClientIds(FORMS["uuid"], "one"), ClientIds(FORMS["number"], "one")
    assert uuid.theirs("one-217000000-12") == "34f2ddaa-8b76-415c-8677-94200000000c"
    assert number.theirs("one-217000000-12") == "5930377765491572748"


def test_more_orders_of_one_run_than_a_number_has_room_for_do_not_fit():
    form = find_form("there", "one", FORMS["number"])
    ids = ClientIds(form, "one")
    assert ids.fits(ids.at(217_000_000, (1 << 24) - 1))
    assert not ids.fits(ids.at(217_000_000, 1 << 24))


def test_a_cancelled_order_is_known_by_the_mark_that_its_cancel_left():
    assert ClientIds(EXCHANGES["binance"], "one").ours("one-7-12-c") == "one-7-12"
    form = ExchangeForm(id="a", id_kind="alphanumeric", id_cancel="b")
    assert ClientIds(form, "one").ours("oner7s12c") == "one-7-12"

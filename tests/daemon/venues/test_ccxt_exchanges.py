from __future__ import annotations

import pytest

from daemon.errors import ConfigError
from daemon.venues.ccxt_exchanges import EXCHANGES, ExchangeForm, check_countdown, find_form


@pytest.mark.parametrize(
    ("exchange", "name", "sentence"),
    [
        ("coinbase", "one", r"'coinbase' is not among those known here \(b.*, okxus\): look up in"),
        (
            "gate",
            "onetwothree4",
            "longer than the 28 characters that gate takes; a name there has 11 at most",
        ),
        ("kraken", "sixteenletters-x", None),  # a UUID has room for every name
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


@pytest.mark.parametrize("change", [{"id_length": 20}, {"id_cancel": "newId"}])
def test_a_kind_of_ids_has_its_own_length_and_none_that_a_cancel_gives(change):
    told = {"id": "cid", "id_kind": "uuid", "immediate": {"ioc": True}, "post_only": {"maker": True}}
    assert find_form("there", "sixteenletters-x", ExchangeForm(**told)).id_length == 36
    assert find_form("there", "one", ExchangeForm(**{**told, "id_kind": "number"})).id_length == 19
    with pytest.raises(ConfigError, match=r'id_kind = "uuid" have 36 characters, .* leave id_length'):
        find_form("there", "one", ExchangeForm(**told, **change))


def test_ids_that_are_too_short_for_any_name_are_refused():
    told = ExchangeForm(id="cid", id_length=17, immediate={"ioc": True}, post_only={"maker": True})
    with pytest.raises(ConfigError, match=r"of 17 characters are too short .* cannot be sent to there"):
        find_form("there", "o", told)


def test_what_is_known_of_an_exchange_is_not_said_otherwise_in_the_file():
    known = EXCHANGES["binance"]
    assert find_form("binance", "one", known) is known
    with pytest.raises(ConfigError, match=r"^venue.form is known for binance; leave the section out"):
        find_form("binance", "one", ExchangeForm(id="x"))


UNKNOWN = (
    "bybit is not known to cancel all orders after a countdown, so venue.dead_man_s must be 0 there; those "
    "that do are bingx, htx, kraken, myokx, okx, okxus"
)
STOPPED = (
    "the countdown of kraken cancels protective stops too, which are there for when the daemon is dead: set "
    "venue.stops = false or venue.dead_man_s = 0"
)


@pytest.mark.parametrize(
    ("exchange", "seconds", "stops", "sentence"),
    [
        ("bybit", 30, False, UNKNOWN),
        ("okx", 9, False, "venue.dead_man_s is 9, and at okx must be between 10 and 120, or 0"),
        ("okx", 121, False, "venue.dead_man_s is 121, and at okx must be between 10 and 120, or 0"),
        ("kraken", 60, True, STOPPED),
    ],
)
def test_a_countdown_that_cannot_be_had_is_refused(exchange, seconds, stops, sentence):
    with pytest.raises(ConfigError) as caught:
        check_countdown(exchange, seconds, stops=stops)
    assert str(caught.value) == sentence
    check_countdown(exchange, 0, stops=stops)
    check_countdown("okx", 30, stops=False)

"""A key that may withdraw is refused before anything is sent."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from daemon.config import VenueConfig
from daemon.errors import EXIT_CONFIG, ConfigError, FrameError, VenueError
from daemon.venues.key_rights import refuse_withdrawals

RIGHTS = {"ipRestrict": True, "enableWithdrawals": False, "enableSpotAndMarginTrading": True}


class Reader:
    """Answers as RestReader does, once it has asked."""

    def __init__(self, answer):
        self.asked = []
        self._answer = answer

    async def get(self, path, params, weight, read):
        self.asked.append(path)
        if isinstance(self._answer, Exception):
            raise self._answer
        try:
            return read(msgspec.json.encode(self._answer))
        except FrameError as error:
            raise VenueError(-1000, str(error)) from None


def check(answer, market="spot", **venue):
    reader = Reader(answer)
    told = asyncio.run(refuse_withdrawals(reader, VenueConfig(kind="binance", **venue), market))
    return told, reader.asked


def test_a_key_that_only_trades_from_one_address_is_worth_no_word():
    assert check(RIGHTS) == ([], ["/sapi/v1/account/apiRestrictions"])


def test_a_key_that_may_withdraw_is_refused_unless_it_is_allowed():
    may = {**RIGHTS, "enableWithdrawals": True}
    with pytest.raises(ConfigError, match=r"may withdraw.*or set venue.allow_withdrawals = true") as caught:
        check(may)
    assert caught.value.exit_code == EXIT_CONFIG
    assert "\n" not in str(caught.value)
    (told,) = check(may, allow_withdrawals=True)[0]
    assert told == "the venue's key may withdraw, which venue.allow_withdrawals allows"


def test_what_else_a_person_should_know_is_told():
    loose = {**RIGHTS, "ipRestrict": False, "enableSpotAndMarginTrading": False}
    assert [text.partition(":")[0] for text in check(loose)[0]] == [
        "the venue's key works from any address",
        "the venue's key may not trade",
    ]


@pytest.mark.parametrize(
    ("market", "right"), [("spot", "enableSpotAndMarginTrading"), ("usdm", "enableFutures")]
)
def test_a_key_that_may_trade_on_the_other_market_alone_is_told(market, right):
    other = {**RIGHTS, "enableFutures": True, right: False}
    (told,) = check(other, market)[0]
    assert told.startswith("the venue's key may not trade")
    other = {**RIGHTS, "enableSpotAndMarginTrading": False, "enableFutures": False, right: True}
    assert check(other, market)[0] == []


def test_the_testnet_is_not_asked_what_it_does_not_know():
    told, asked = check(RIGHTS, environment="testnet")
    assert asked == []
    assert told == ["the testnet does not tell what a key may do: that it cannot withdraw is not checked"]


@pytest.mark.parametrize("code", [-404, -1000, -1121, -2013, 0, 404])
def test_an_exchange_of_ones_own_may_not_know_and_production_must(code):
    unknown = VenueError(code, "GET /sapi was answered with HTTP status 404", 404)
    (told,) = check(unknown, rest_url="http://127.0.0.1:1")[0]
    assert told.startswith("127.0.0.1 does not tell what a key may do")
    for url in ("", "https://api1.binance.com"):
        with pytest.raises(VenueError, match="404"):
            check(unknown, rest_url=url)


def test_another_refusal_of_an_exchange_of_ones_own_is_no_path_that_it_lacks():
    with pytest.raises(VenueError, match="too old"):
        check(VenueError(-1021, "the time is too old", 400), rest_url="http://127.0.0.1:1")


def test_a_key_that_is_refused_with_404_is_refused_all_the_same():
    with pytest.raises(ConfigError, match="refuses the key"):
        check(VenueError(-2015, "no such key", 404), rest_url="http://127.0.0.1:1")


@pytest.mark.parametrize("code", [-1022, -2014, -2015])
def test_a_key_that_is_refused_is_the_configuration_s_fault(code):
    with pytest.raises(ConfigError, match=r"^Binance refuses the key: no such key; see that \[venue\] names"):
        check(VenueError(code, "no such key"))


@pytest.mark.parametrize("answer", [{}, {"enableWithdrawals": "no"}, VenueError(-1000, "refused")])
def test_an_answer_that_does_not_say_is_no_permission(answer):
    with pytest.raises(VenueError):
        check(answer, rest_url="http://127.0.0.1:1")

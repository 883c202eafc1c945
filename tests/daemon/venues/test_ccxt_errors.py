from __future__ import annotations

import aiohttp
import pytest
from ccxt.base import errors as ccxt

from daemon.errors import FrameError
from daemon.redact import register
from daemon.venues.ccxt_client import Ticket
from daemon.venues.ccxt_errors import DEFINITE, reason_of, report_of

EVERY = [one for one in vars(ccxt).values() if isinstance(one, type) and issubclass(one, Exception)]
AMBIGUOUS = {
    *("NetworkError", "RequestTimeout", "ExchangeNotAvailable", "DDoSProtection", "RateLimitExceeded"),
    *("InvalidNonce", "OnMaintenance", "BaseError", "ExchangeError", "BadResponse", "NullResponse"),
    *("DuplicateOrderId", "OperationRejected", "OperationFailed", "CancelPending", "OrderNotFound"),
    *("ExchangeClosedByUser", "NotSupported", "ArgumentsRequired", "ChecksumError"),
}


def ticket(*, left=True, answered=False, status=200):
    one = Ticket(patient=False)
    one.left, one.answered, one.status = left, answered, status
    return one


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_only_what_stands_in_the_list_is_a_refusal(kind):
    expected = "REJECTED" if kind in DEFINITE else "TIMEOUT"
    assert report_of(kind("x"), ticket(), "REJECTED") == expected
    assert report_of(kind("x"), ticket(left=False), "REJECTED") == "REJECTED"
    assert report_of(kind("x"), ticket(answered=True), "REJECTED") == "TIMEOUT"
    assert report_of(kind("x"), ticket(status=502), "REJECTED") == "TIMEOUT"


def test_every_ambiguous_class_is_one():
    names = {kind.__name__ for kind in EVERY}
    assert names >= AMBIGUOUS
    assert not AMBIGUOUS & {kind.__name__ for kind in DEFINITE}


@pytest.mark.parametrize(
    "error",
    [TypeError("x"), KeyError("x"), OSError(), aiohttp.ClientError(), FrameError("qty", "x"), TimeoutError()],
)
def test_an_exception_of_python_says_nothing(error):
    assert report_of(error, ticket(), "REJECTED") == "TIMEOUT"


def test_a_subclass_that_nobody_has_read_says_nothing():
    class FutureError(ccxt.InvalidOrder):
        pass

    assert report_of(FutureError("x"), ticket(), "REJECTED") == "TIMEOUT"


@pytest.mark.parametrize(
    "error",
    [
        ccxt.InvalidOrder('binance {"code":-2010,"msg":"Duplicate order sent."}'),
        ccxt.InvalidOrder('bybit {"retCode":170146,"retMsg":"Order creation timeout"}'),
        ccxt.BadRequest('bybit {"retCode":170035,"retMsg":"Submitted to the system for processing!"}'),
        ccxt.BadRequest('kucoin {"code":"408000","msg":"Network timeout, please try again later"}'),
        ccxt.BadRequest('mexc {"code":603,"msg":"Repeated request"}'),
        ccxt.InvalidOrder('gate {"label":"REPEATED_CREATION","message":"x"}'),
    ],
    ids=str,
)
def test_a_refusal_in_doubtful_words_is_none(error):
    assert report_of(error, ticket(), "REJECTED") == "TIMEOUT"


@pytest.mark.parametrize(
    "error",
    [
        ccxt.InsufficientFunds('okx {"sCode":"51008","sMsg":"Order failed. Insufficient USDT balance"}'),
        ccxt.BadRequest('binance {"code":-1013,"msg":"Filter failure: LOT_SIZE"}'),
        ccxt.OrderImmediatelyFillable("binance Order would immediately match and take."),
    ],
    ids=str,
)
def test_a_refusal_in_plain_words_is_one(error):
    assert report_of(error, ticket(), "REJECTED") == "REJECTED"


def test_a_cancel_of_what_is_not_there_is_refused():
    assert report_of(ccxt.OrderNotFound("x"), ticket(), "CANCEL_REJECTED") == "CANCEL_REJECTED"


def test_a_reason_is_short_says_what_was_not_sent_and_hides_secrets():
    register("averysecretsecret")
    long = ccxt.ExchangeNotAvailable("GET https://x/?signature=abcdef&k=averysecretsecret " + "y" * 900)
    text = reason_of(long, ticket())
    assert text.startswith("ExchangeNotAvailable: GET https://x/")
    assert len(text) < 250
    assert "averysecret" not in text
    assert "abcdef" not in text
    assert reason_of(ccxt.InvalidOrder("no such type"), ticket(left=False)) == "not sent: no such type"
    assert reason_of(TimeoutError(), ticket(left=False)) == "not sent: TimeoutError"

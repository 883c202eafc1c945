from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

from daemon.entry import bound
from daemon.errors import ConfigError
from daemon.instruments import make_instrument
from daemon.venues.binance_templates import (
    INTEGER,
    LAST_NAME,
    NAME,
    SYMBOL,
    Hole,
    make_listing,
    make_template,
)
from daemon.venues.signing import HmacSigner, sorted_payload
from kernels import requests
from tests.daemon.venues.test_binance_requests import instrument

SIGNER = HmacSigner("apikeyapikey", "secretsecret")


def written(params, signer=SIGNER, window_ms=5000):
    """A request made of a template, as a dict."""
    out = np.zeros(requests.OUT_BYTES, np.uint8)
    template = make_template("some.method", params, signer, window_ms)
    end = bound(requests.write)(template.array, make_listing(instrument()), out, b"demo-7-1", 0, 3, 5, 42, 0)
    return json.loads(out[requests.FRAME_AT : end].tobytes())


@pytest.mark.parametrize(
    "params",
    [
        {"symbol": SYMBOL, "number": INTEGER},
        {"algoType": "CONDITIONAL", "symbol": SYMBOL, "name": NAME},
        {"a": "x" * 70, "aa": 1, "symbol": SYMBOL},
        {},
    ],
)
def test_what_sorts_before_the_key_is_signed_before_it(params):
    request = written(params)
    signature = request["params"].pop("signature")
    assert signature == SIGNER.sign(sorted_payload(request["params"])).decode()
    assert request["params"].keys() == params.keys() | {"apiKey", "timestamp"}


def test_without_a_signer_there_is_neither_key_nor_signature():
    request = written({"symbol": SYMBOL}, None, 4000)
    assert request == {
        "id": 3,
        "method": "some.method",
        "params": {"recvWindow": 4000, "symbol": "BTCUSDT", "timestamp": 5},
    }


def test_a_name_may_have_a_tail_and_stand_behind_another():
    out = np.zeros(requests.OUT_BYTES, np.uint8)
    marked = Hole(requests.NAME, quoted=True, tail="-c")
    template = make_template("m", {"first": marked, "second": LAST_NAME}, SIGNER, 5000)
    two = b"demo-7-1demo-7-22"
    end = bound(requests.write)(template.array, make_listing(instrument()), out, two, 9, 3, 5, 42, 0)
    params = json.loads(out[requests.FRAME_AT : end].tobytes())["params"]
    signature = params.pop("signature")
    assert signature == SIGNER.sign(sorted_payload(params)).decode()
    assert (params["first"], params["second"]) == ("demo-7-1-c", "demo-7-22")


def test_a_listing_writes_at_least_one_decimal():
    listing = make_listing(instrument("1", "0.001"))
    assert (listing["price"][0].tolist(), listing["qty"][0].tolist()) == ([10, 10, 1], [1, 1000, 3])


def test_what_can_sign_is_not_shown_copied_or_stored():
    template = make_template("some.method", {"symbol": SYMBOL}, SIGNER, 5000)
    assert repr(template) == "<Template>"
    for away in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="with it orders can be signed"):
            away(template)


@pytest.mark.parametrize(
    ("symbol", "tick", "why"),
    [
        ("x" * 61 + "/USDT", "0.01", "its name at the exchange is longer than requests have room"),
        ("BTC/USDT", "123456.00000001", "its step of 123456.00000001 has more digits than are traded in"),
        ("BTC/USDT", "0.0000000000000000001", "has more digits than are traded in"),
    ],
)
def test_an_instrument_that_requests_have_no_room_for_is_refused(symbol, tick, why):
    one = make_instrument(
        0,
        "binance",
        "spot",
        symbol,
        tick_size=tick,
        lot_size="0.001",
        qty_min="0.001",
        qty_max="9000",
        notional_min="5",
    )
    with pytest.raises(ConfigError, match=why):
        make_listing(one)

import base64
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from daemon.simulator.auth import Key, Keyring, check_signature, check_time, query_payload, sorted_payload
from daemon.simulator.errors import ApiError

NOW_NS = 1_700_000_000_000_000_000
NOW_MS = NOW_NS // 1_000_000


def code(call) -> int:
    with pytest.raises(ApiError) as error:
        call()
    return error.value.code


def test_the_documentations_own_examples_verify():
    """The signatures are the ones that the exchange's documentation computes with openssl."""
    secret = b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    api_key = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
    key = Key(api_key, "main", secret=secret)
    params = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01000000",
        "price": "52000.00",
        "recvWindow": "100",
        "timestamp": "1645423376532",
        "apiKey": api_key,
    }
    signature = "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"
    check_signature(key, sorted_payload(params | {"signature": signature}), signature.upper())
    query = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
    query += "&recvWindow=5000&timestamp=1499827319559"
    signature = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    check_signature(key, query_payload(f"{query}&signature={signature}", ""), signature)


def test_query_and_body_are_signed_as_sent_and_in_that_order():
    assert query_payload("a=1&signature=x", "b=%20&c=2") == b"a=1b=%20&c=2"


def test_an_ed25519_signature_is_base64_and_of_this_payload():
    private = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
    key = Key("e", "main", public_key=private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    good = base64.b64encode(private.sign(b"payload")).decode()
    assert key.verify(b"payload", good)
    assert key.can_logon
    assert not key.verify(b"other", good)
    assert not key.verify(b"payload", "%%%")
    assert not key.verify(b"payload", base64.b64encode(b"short").decode())


def test_a_wrong_or_missing_signature_is_refused():
    key = Key("k", "main", secret=b"s")
    wrong = hmac.new(b"other", b"x", hashlib.sha256).hexdigest()
    assert code(lambda: check_signature(key, b"x", wrong)) == -1022
    assert code(lambda: check_signature(key, b"x", "ü")) == -1022
    assert code(lambda: check_signature(key, b"x", None)) == -1102


def test_keys_are_refused_when_malformed_unknown_or_revoked():
    ring = Keyring([Key("good", "main", secret=b"s")])
    assert ring.find("good").account == "main"
    assert code(lambda: ring.find("")) == -2014
    assert code(lambda: ring.find("not a key")) == -2014
    assert code(lambda: ring.find("unknown")) == -2015
    ring.revoke("good")
    assert code(lambda: ring.find("good")) == -2015


def test_a_keys_repr_shows_no_secret():
    assert "hunter2" not in repr(Key("abcdefgh", "main", secret=b"hunter2"))


@pytest.mark.parametrize(
    ("timestamp", "window", "refused"),
    [
        (str(NOW_MS), None, 0),
        (str(NOW_MS - 5_000), None, 0),
        (str(NOW_MS - 5_001), None, -1021),
        (str(NOW_MS - 5_001), "6000", 0),
        (str(NOW_MS + 999), None, 0),
        (str(NOW_MS + 1_000), None, -1021),
        (str(NOW_MS * 1_000 - 4_999_000), None, 0),
        (str(NOW_MS - 11), "10.5", -1021),
        (str(NOW_MS), "60001", -1131),
        (str(NOW_MS), "x", -1102),
        ("12a", None, -1100),
        (None, None, -1102),
    ],
)
def test_a_request_is_fresh_within_its_window(timestamp, window, refused):
    if refused:
        assert code(lambda: check_time(timestamp, window, NOW_NS)) == refused
    else:
        check_time(timestamp, window, NOW_NS)

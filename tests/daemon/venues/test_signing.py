from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import logging
import pickle
import traceback

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import ConfigError
from daemon.redact import redact
from daemon.venues.signing import Ed25519Signer, HmacSigner, make_signer, signed_query, sorted_payload

# the key pair and the signature of Binance's own documentation
API_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
DOCUMENTED = {
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01000000",
    "price": "52000.00",
    "recvWindow": 100,
    "timestamp": 1645423376532,
    "apiKey": API_KEY,
}
SIGNATURE = b"aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"


def pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def test_the_documented_request_gets_the_documented_signature() -> None:
    assert HmacSigner(API_KEY, SECRET).sign(sorted_payload(DOCUMENTED)) == SIGNATURE


def test_a_symbol_beyond_ascii_is_signed_as_documented() -> None:
    params = DOCUMENTED | {"symbol": "\uff11\uff12\uff13\uff14\uff15\uff16", "side": "BUY"}
    params |= {"quantity": "1.00000000", "price": "0.10000000", "recvWindow": 5000}
    signed = HmacSigner(API_KEY, SECRET).sign(sorted_payload(params))
    assert signed == b"b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd"


@given(st.text(min_size=1, max_size=200), st.binary(max_size=300))
def test_any_secret_and_payload_sign_as_hmac_does(secret: str, payload: bytes) -> None:
    try:
        secret.encode()
    except UnicodeEncodeError:
        return
    signer = HmacSigner("key", secret)
    expected = hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest().encode()
    assert signer.sign(payload) == expected
    assert signer.sign(payload) == expected  # a copy is signed with, so the second is like the first


def test_an_ed25519_signature_verifies_with_the_public_key() -> None:
    signer = Ed25519Signer("key", pem(ED25519))
    public = ED25519.public_key()
    public.verify(base64.b64decode(signer.sign(b"payload")), b"payload")


def test_a_rest_query_is_encoded_first_and_signed_then() -> None:
    signer = Ed25519Signer("key", pem(ED25519))
    query = signed_query(signer, {"symbol": "A/B C", "timestamp": 5})
    plain, _, signature = query.partition("&signature=")
    assert plain == "symbol=A%2FB%20C&timestamp=5"
    assert set("+/=").isdisjoint(signature)
    decoded = signature.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")
    ED25519.public_key().verify(base64.b64decode(decoded), plain.encode())


@pytest.mark.parametrize(
    ("key_type", "api_key", "secret", "why"),
    [
        ("hmac", "", "secretsecret", "API key is empty"),
        ("hmac", "key", "", "secret is empty"),
        ("hmac", "key with blanks", "secretsecret", "characters that no key has"),
        ("hmac", "k" * 257, "secretsecret", "or too many"),
        ("hmac", 'key"', "secretsecret", "characters that no key has"),
        ("ed25519", "key", "canary-canary", "no unencrypted PEM"),
        ("ed25519", "key", "-----BEGIN PRIVATE KEY-----\ncanarycanary\n-----END PRIVATE KEY-----", "no unen"),
        ("ed25519", "key", pem(ec.generate_private_key(ec.SECP256R1())), "not an Ed25519 key"),
    ],
)
def test_a_wrong_key_is_refused_in_a_sentence_without_it(
    key_type: str, api_key: str, secret: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=why) as refused:
        make_signer(key_type, api_key, secret)  # type: ignore[arg-type]
    told = "".join(traceback.format_exception(refused.value))
    assert "canary" not in told


@pytest.mark.parametrize("key_type", ["hmac", "ed25519"])
def test_a_secret_shows_nowhere(key_type: str, caplog: pytest.LogCaptureFixture) -> None:
    secret = "canary0123456789canary" if key_type == "hmac" else pem(ED25519)
    signer = make_signer(key_type, "apikeycanary0123", secret)  # type: ignore[arg-type]
    lines = [line for line in secret.splitlines() if not line.startswith("---")]
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").info("%s %r", signer, signer)
    for shown in (repr(signer), str(signer), f"{signer}", caplog.text, repr(vars(type(signer)))):
        assert not any(line in shown for line in [*lines, "apikeycanary0123"])
    for line in lines:
        assert redact(f"at {line}!") == "at ***!"
    assert redact("key apikeycanary0123") == "key ***"


@pytest.mark.parametrize("signer", [HmacSigner("key", "secretsecret"), Ed25519Signer("key", pem(ED25519))])
def test_a_signer_can_be_neither_pickled_nor_copied(signer: HmacSigner | Ed25519Signer) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(signer)
    with pytest.raises(TypeError, match="cannot be pickled"):
        copy.deepcopy(signer)

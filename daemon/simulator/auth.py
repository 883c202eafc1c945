"""Keys and signatures: HMAC-SHA256 and Ed25519, timestamps and the receive window.

The payload that is signed is the sorted `name=value` list of the WebSocket API, or the query string
followed by the body, as sent and without `signature`, of REST.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from daemon.simulator.errors import (
    BAD_API_KEY_FORMAT,
    ILLEGAL_CHARS,
    INVALID_SIGNATURE,
    INVALID_TIMESTAMP,
    ApiError,
    bad_key,
    missing,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

#: a timestamp may be this far ahead of the exchange's clock
AHEAD_NS_MAX: Final = 1_000_000_000
RECV_WINDOW_MS: Final = 5_000
RECV_WINDOW_MS_MAX: Final = 60_000
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Key(msgspec.Struct, frozen=True):
    """An API key: with a secret (HMAC) or a public key (32 raw bytes, Ed25519)."""

    api_key: str
    account: str
    secret: bytes = b""
    public_key: bytes = b""
    can_trade: bool = True
    can_withdraw: bool = False

    def __repr__(self) -> str:
        return f"Key({self.api_key[:4]}.., {'ed25519' if self.public_key else 'hmac'})"

    @property
    def can_logon(self) -> bool:
        """Whether session.logon takes it: Ed25519 keys only."""
        return bool(self.public_key)

    def verify(self, payload: bytes, signature: str) -> bool:
        """Return whether `signature` signs `payload`: hex in any case for HMAC, base64 for Ed25519."""
        if self.public_key:
            try:
                raw = base64.b64decode(signature, validate=True)
                Ed25519PublicKey.from_public_bytes(self.public_key).verify(raw, payload)
            except (binascii.Error, ValueError, InvalidSignature):
                return False
            return True
        expected = hmac.new(self.secret, payload, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), signature.lower().encode())


class Keyring:
    """All keys the exchange knows."""

    def __init__(self, keys: list[Key]) -> None:
        self._keys = {key.api_key: key for key in keys}

    def find(self, api_key: str) -> Key:
        """Return the key; raises ApiError -2014 for a malformed and -2015 for an unknown one."""
        if not _KEY.fullmatch(api_key):
            raise ApiError(BAD_API_KEY_FORMAT, "API-key format invalid.", 401)
        key = self._keys.get(api_key)
        if key is None:
            raise bad_key()
        return key

    def revoke(self, api_key: str) -> None:
        """Forget a key; what is signed with it from now on is refused."""
        self._keys.pop(api_key, None)


def sorted_payload(params: Mapping[str, str]) -> bytes:
    """Return what the WebSocket API signs: every parameter but the signature, by name."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature").encode()


def query_payload(query: str, body: str) -> bytes:
    """Return what REST signs: the query string and the body as sent, their `signature` cut out."""
    return (_unsigned(query) + _unsigned(body)).encode()


def _unsigned(encoded: str) -> str:
    return "&".join(part for part in encoded.split("&") if part and not part.startswith("signature="))


def check_signature(key: Key, payload: bytes, signature: str | None) -> None:
    """Raise ApiError unless the payload is signed with the key."""
    if not signature:
        raise missing("signature")
    if not key.verify(payload, signature):
        raise ApiError(INVALID_SIGNATURE, "Signature for this request is not valid.")


def check_time(timestamp: str | None, recv_window: str | None, now_ns: int) -> None:
    """Raise ApiError unless the request is fresh: at most a second ahead, at most recvWindow old.

    A timestamp of more than 13 digits is in microseconds; recvWindow is in milliseconds, with decimals.
    """
    if not timestamp:
        raise missing("timestamp")
    if not timestamp.isascii() or not timestamp.isdigit():
        raise ApiError(
            ILLEGAL_CHARS,
            "Illegal characters found in parameter 'timestamp'; legal range is '^[0-9]{1,20}$'.",
        )
    sent_ns = int(timestamp) * (1_000 if len(timestamp) > 13 else 1_000_000)
    window_ns = _window_ns(recv_window)
    if sent_ns >= now_ns + AHEAD_NS_MAX:
        raise ApiError(INVALID_TIMESTAMP, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ns - sent_ns > window_ns:
        raise ApiError(INVALID_TIMESTAMP, "Timestamp for this request is outside of the recvWindow.")


def _window_ns(recv_window: str | None) -> int:
    if recv_window is None:
        return RECV_WINDOW_MS * 1_000_000
    try:
        window_ms = Decimal(recv_window)
    except InvalidOperation:
        raise missing("recvWindow") from None
    if not window_ms.is_finite() or not 0 < window_ms <= RECV_WINDOW_MS_MAX:
        raise ApiError(-1131, f"recvWindow must be less than {RECV_WINDOW_MS_MAX}.")
    return int(window_ms * 1_000_000)

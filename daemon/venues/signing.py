"""Signing requests to Binance: HMAC-SHA256 and Ed25519.

A signer holds what signs and never the secret itself, shows neither, and cannot be pickled. The secret is
registered for redaction as soon as it is read.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final, Literal, NoReturn, Protocol
from urllib.parse import quote, urlsplit

import numpy as np
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from daemon import redact
from daemon.errors import ConfigError
from kernels.sha256 import BLOCK, START, compress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

KeyType = Literal["hmac", "ed25519"]

#: characters of an API key; the exchange's have 64
_KEY_MAX: Final = 256
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


class Signer(Protocol):
    """What signs."""

    api_key: str
    #: whether a websocket session can log on, after which its requests need no signature
    can_logon: bool

    def sign(self, payload: bytes) -> bytes:
        """Return the signature of `payload` as ASCII text."""


class Secret:
    """What must not be shown, copied or stored."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} cannot be pickled or copied: with it orders can be signed")


class HmacSigner(Secret):
    """HMAC-SHA256; its two padded keys were hashed once, as hashlib keeps a state and as kernels do."""

    __slots__ = ("_inner", "_outer", "_states", "api_key")

    can_logon = False

    def __init__(self, api_key: str, secret: str) -> None:
        self.api_key = api_key
        redact.register(api_key)
        redact.register(secret)
        key = secret.encode()
        if len(key) > BLOCK:
            key = hashlib.sha256(key).digest()
        key = key.ljust(BLOCK, b"\0")
        pads = key.translate(_INNER), key.translate(_OUTER)
        self._inner, self._outer = map(hashlib.sha256, pads)
        self._states = tuple(_after(START, pad) for pad in pads)

    def sign(self, payload: bytes) -> bytes:
        """Return the signature as 64 hexadecimal digits."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(payload)
        outer.update(inner.digest())
        return outer.hexdigest().encode()

    def bind(self, template: NDArray[np.void], prefix: bytes) -> bytes:
        """Let a template (kernels.requests.TEMPLATE) sign what begins with `prefix`.

        Return the rest of the prefix, which the template's text has to begin with: whole blocks are hashed.
        """
        whole = len(prefix) // BLOCK * BLOCK
        inner, outer = self._states
        template["inner"], template["outer"] = _after(inner, prefix[:whole]), outer
        template["hashed"], template["signs"] = BLOCK + whole, 1
        return prefix[whole:]


def _after(state: NDArray[np.uint32], blocks: bytes) -> NDArray[np.uint32]:
    """Return a hash's state after whole blocks more."""
    state, data = state.copy(), np.frombuffer(blocks, np.uint8).copy()  # a kernel takes no read-only array
    for at in range(0, len(data), BLOCK):
        compress(state, data, at)
    return state


class Ed25519Signer(Secret):
    """Ed25519; 30 us a signature, so sessions log on once and orders go unsigned."""

    __slots__ = ("_key", "api_key")

    can_logon = True

    def __init__(self, api_key: str, pem: str) -> None:
        self.api_key = api_key
        redact.register(api_key)
        for line in pem.splitlines():
            if not line.startswith("-----"):
                redact.register(line.strip())
        try:
            key = load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ConfigError(
                "the private key is no unencrypted PEM text; correct the file venue.private_key_file names"
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError("the private key is not an Ed25519 key; set venue.key_type to what it is")
        self._key = key

    def sign(self, payload: bytes) -> bytes:
        """Return the signature in base64."""
        return base64.b64encode(self._key.sign(payload))


def make_signer(key_type: KeyType, api_key: str, secret: str) -> HmacSigner | Ed25519Signer:
    """Return the signer for a key; `secret` is the HMAC secret or the private key's PEM text.

    Raises ConfigError, which names what is missing and never what is there.
    """
    if not api_key or not secret:
        missing = "API key" if not api_key else "secret"
        raise ConfigError(
            f"the venue's {missing} is empty; put it where venue.key_env or venue.secret_env point"
        )
    if not (api_key.isascii() and api_key.isalnum() and len(api_key) <= _KEY_MAX):
        raise ConfigError(
            "the venue's API key has characters that no key has, or too many; check where it was copied from"
        )
    return HmacSigner(api_key, secret) if key_type == "hmac" else Ed25519Signer(api_key, secret)


def signed_query(signer: Signer, params: Mapping[str, str | int]) -> str:
    """Return a REST query string, percent-encoded first and signed then: it goes out byte for byte."""
    query = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in params.items())
    return f"{query}&signature={quote(signer.sign(query.encode()), safe='')}"


def sorted_payload(params: Mapping[str, str | int | bool]) -> bytes:
    """Return what a WebSocket API request signs: its parameters by name, not percent-encoded."""
    parts = (f"{name}={_text(params[name])}" for name in sorted(params))
    return "&".join(parts).encode()


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_encrypted(url: str) -> None:
    """Refuse to send a key in the clear to anything but this machine: raise ConfigError."""
    parts = urlsplit(url)
    if parts.scheme in {"ws", "http"} and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
        raise ConfigError(
            f"the venue's address {parts.scheme}://{parts.hostname} is not encrypted; use wss:// and https://"
        )

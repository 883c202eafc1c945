"""Nothing secret leaves this process but on the wire to the venue it belongs to.

Every signer registers its secret here when it is made, and everything that writes text for people (transport
errors, logs) passes it through `redact`: registered secrets go wherever they stand, and so does whatever
follows a telling name (`signature=`, `"apiKey": `), registered or not.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlsplit

MASK: Final = "***"

#: shorter strings would mask ordinary words
_SECRET_LENGTH_MIN: Final = 8

_TELLING = re.compile(
    r"(?i)\b(signature|x-mbx-apikey|api_?key|api_?secret|secret(?:_?key)?|listen_?key|token|authorization)"
    r"(\\?[\"']?\s*[=:]\s*\\?[\"']?)(?:bearer\s+)?[^\s\"'&,;}\\]+"
)
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL)

_secrets: dict[str, None] = {}  # ordered, so that redaction is the same in every process


def register(secret: str) -> None:
    """Mask `secret` in every text from now on, as it is and as a URL quotes it."""
    if len(secret) < _SECRET_LENGTH_MIN:
        return
    for form in (secret, quote(secret, safe="")):
        _secrets[form] = None


def redact(text: str) -> str:
    """Return `text` with every secret replaced by ***."""
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, MASK)
    return _TELLING.sub(rf"\1\2{MASK}", _PEM.sub(MASK, text))


def bare_url(url: str) -> str:
    """Return `url` without user, query and fragment: what an error may show of it."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return redact(f"{parts.scheme}://{host}{port}{parts.path}")

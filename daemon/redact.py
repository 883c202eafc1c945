"""Nothing secret leaves this process but on the wire to the venue it belongs to.

Every signer registers its secret here when it is made, passwords are as they are read, and everything that
writes text for people (transport errors, logs) passes it through `redact`: registered secrets go wherever
they stand, and so does whatever follows a telling name (`signature=`, `"apiKey": `), registered or not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK: Final = "***"

#: shorter strings would mask parts of ordinary words; no exchange's key is so short (daemon/venues/make.py)
SECRET_LENGTH_MIN: Final = 8
#: a password of at least so much is masked where it stands by itself; what is shorter still hides nothing
_WORD_LENGTH_MIN: Final = 4

_TELLING = re.compile(
    r"(?i)\b(signature|x-mbx-apikey|api_?key|api_?secret|secret(?:_?key)?|listen_?key|token|authorization)"
    r"(\\?[\"']?\s*[=:]\s*\\?[\"']?)(?:bearer\s+)?[^\s\"'&,;}\\]+"
)
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL)

_secrets: dict[str, None] = {}  # ordered, so that redaction is the same in every process
_words: dict[str, re.Pattern[str]] = {}


def register(secret: str, *, word: bool = False) -> None:
    """Mask `secret` in every text from now on, as it is and as a URL quotes it.

    word: one that a person chose, which may be short: then it is masked where no letter or digit adjoins it.
    """
    for form in (secret, quote(secret, safe="")):
        if len(secret) >= SECRET_LENGTH_MIN:
            _secrets[form] = None
        elif word and len(secret) >= _WORD_LENGTH_MIN:
            _words[form] = re.compile(rf"(?<![^\W_]){re.escape(form)}(?![^\W_])")


def register_address(url: str) -> None:
    """Mask an address that is itself a secret, but for its host: path and query however short they are.

    What is shorter than a secret is masked behind what it belongs to, and where it stands by itself if it can
    be no ordinary word: a path, or four characters.
    """
    register(url)
    parts = urlsplit(url)
    hosts = (parts.netloc, parts.netloc.rpartition("@")[2], parts.hostname or "")
    _register_tail(parts.path, hosts)
    _register_tail(parts.query, ("?",))
    _register_tail(parts.fragment, ("#",))
    register(parts.password or "", word=True)


def _register_tail(tail: str, heads: Iterable[str]) -> None:
    if not tail.strip("/"):
        return
    register(tail)
    before = [f"(?<={re.escape(head)})" for head in heads if head]
    if tail[0] == "/" or len(tail) >= _WORD_LENGTH_MIN:
        before.append(r"(?<![^\W_])")
    for form in (tail, unquote(tail)):
        _words[form] = re.compile(rf"(?:{'|'.join(before)}){re.escape(form)}(?![^\W_])")


def redact(text: str) -> str:
    """Return `text` with every secret replaced by ***."""
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, MASK)
    for word, standing in _words.items():
        if word in text:
            text = standing.sub(MASK, text)
    return _TELLING.sub(rf"\1\2{MASK}", _PEM.sub(MASK, text))


def bare_url(url: str) -> str:
    """Return `url` without user, query and fragment: what an error may show of it."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return redact(f"{parts.scheme}://{host}{port}{parts.path}")

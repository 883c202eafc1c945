"""Requests against str.format and hmac: the same template, filled by the plain definition."""

from __future__ import annotations

import hashlib
import hmac
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from daemon.venues.signing import HmacSigner
from kernels import requests as r

#: what is signed after the prefix, and the request; holes are written as their numbers
SIGNED = ["&n=", r.NAME, "&p=", r.PRICE, "&q=", r.QTY, "&s=", r.SYMBOL, "&t=", r.TIME]
REQUEST = ['{"id":', r.REQUEST_ID, ',"m":"', r.MARKED_NAME, '","o":', r.INTEGER, ',"g":"', r.SIGNATURE, '"}']


def scale(step: str) -> tuple[int, int, int]:
    places = max(-int(Decimal(step).as_tuple().exponent), 1)
    return int(Decimal(step) * 10**places), 10**places, places


def listing(symbol: str, tick: str, lot: str) -> Any:
    one = np.zeros(1, r.LISTING)
    one["symbol"][0, : len(symbol)] = list(symbol.encode())
    one["symbol_size"] = len(symbol)
    one["price"], one["qty"] = scale(tick), scale(lot)
    return one


def template(secret: str = "", prefix: str = "") -> Any:
    """A template that signs with a secret what begins with `prefix`, or signs nothing."""
    made = np.zeros(1, r.TEMPLATE)
    rest = HmacSigner("key", secret).bind(made, prefix.encode()).decode() if secret else ""
    at = 0
    for field, parts in (("signed", [rest, *SIGNED]), ("request", REQUEST)):
        start, piece = at, 0
        for part in parts:
            if isinstance(part, int):
                made[field][0, piece] = start, at, part
                start, piece = at, piece + 1
            else:
                made["text"][0, at : at + len(part)] = list(part.encode())
                at += len(part)
        made[field][0, piece] = start, at, r.NOTHING
    return made


def filled(parts: list[Any], values: dict[int, str]) -> bytes:
    return "".join(values[part] if isinstance(part, int) else part for part in parts).encode()


TEXTS = some.text("abcdef0123456789", min_size=1, max_size=150)
NAMES = some.text("abcdefghijklmnopqrstuvwxyz-0123456789\u00e9\u4e00", min_size=3, max_size=36)
NUMBERS = some.integers(0, 2**62)


@given(
    secret=TEXTS,
    prefix=TEXTS,
    name=NAMES,
    mark=some.integers(0, 2),
    request_id=NUMBERS,
    time_ms=NUMBERS,
    x=some.integers(0, 10**15),
    y=some.integers(0, 10**15),
    tick=some.sampled_from(["0.01", "0.00000001", "0.5", "1", "25", "0.0025"]),
    lot=some.sampled_from(["1", "0.001", "0.00001", "10"]),
    symbol=some.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=r.SYMBOL_MAX),
)
def test_a_request_is_its_template_filled_and_signed(
    secret: str,
    prefix: str,
    name: str,
    mark: int,
    request_id: int,
    time_ms: int,
    x: int,
    y: int,
    tick: str,
    lot: str,
    symbol: str,
) -> None:
    out = np.full(r.OUT_BYTES, 255, np.uint8)
    marks = "-c"[:mark]  # what an id is marked with is ASCII
    end = r.write(
        template(secret, prefix),
        listing(symbol, tick, lot),
        out,
        (name + marks).encode(),
        mark,
        request_id,
        time_ms,
        x,
        y,
    )
    values = {
        r.NAME: name,
        r.MARKED_NAME: name + marks,
        r.PRICE: f"{x * Decimal(tick):.{scale(tick)[2]}f}",
        r.QTY: f"{y * Decimal(lot):.{scale(lot)[2]}f}",
        r.SYMBOL: symbol,
        r.TIME: str(time_ms),
        r.REQUEST_ID: str(request_id),
        r.INTEGER: str(x),
    }
    signed = prefix.encode() + filled(SIGNED, values)
    values[r.SIGNATURE] = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert out[r.FRAME_AT : end].tobytes() == filled(REQUEST, values)


def test_an_unsigned_request_leaves_what_is_before_it_alone() -> None:
    made = template()
    made["request"][0, 3] = made["request"][0, 2]  # no signature
    made["request"][0, 3, 2] = r.NOTHING
    out = np.full(r.OUT_BYTES, 255, np.uint8)
    end = r.write(made, listing("A", "1", "1"), out, b"n", 0, 7, 8, 9, 10)
    assert out[r.FRAME_AT : end].tobytes().startswith(b'{"id":7,"m":"n","o":9')
    assert set(out[: r.FRAME_AT].tolist()) == {255}


def test_a_longer_name_than_there_is_room_for_is_refused_and_nothing_else_written() -> None:
    out = np.full(r.OUT_BYTES + 64, 255, np.uint8)
    one = listing("A" * r.SYMBOL_MAX, "1", "1")
    made = template("secret", "prefix")
    end = r.write(made, one, out[: r.OUT_BYTES], b"n" * r.NAME_MAX, 0, 2**62, 2**62, 2**62, 2**62)
    assert end < r.OUT_BYTES
    assert set(out[r.OUT_BYTES :].tolist()) == {255}
    with pytest.raises(ValueError, match="longer than requests have room for"):
        r.write(made, one, out[: r.OUT_BYTES], b"n" * (r.NAME_MAX + 1), 0, 1, 1, 1, 1)

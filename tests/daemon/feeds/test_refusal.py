"""What a refused frame is counted as, from what msgspec says of it."""

from __future__ import annotations

import msgspec
import pytest

from daemon.errors import FrameError
from daemon.feeds.numbers import Id, Millis, Price, Size  # noqa: TC001 - msgspec reads the annotations
from daemon.feeds.refusal import FRAME_BYTES_MAX, LEVEL_PRICE, LEVEL_QTY, check_size, refuse


class Level(msgspec.Struct, array_like=True):
    price: Price
    qty: Size


class Body(msgspec.Struct):
    T: Millis = 0
    u: Id = 0
    b: list[Level] = []


class Frame(msgspec.Struct):
    data: list[Body]


READ = msgspec.json.Decoder(Frame, strict=False).decode
REASONS = {"T": "time", "u": "id", "b": "levels", LEVEL_PRICE: "price", LEVEL_QTY: "qty"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"T":-1}', "time"),
        (b'{"T":9000000000000}', "time"),
        (b'{"u":4611686018427387904}', "id"),
        (b'{"u":1.5}', "id"),
        (b'{"b":null}', "levels"),
        (b'{"b":[["1","2"],["0","2"]]}', "price"),
        (b'{"b":[["nan","2"]]}', "price"),
        (b'{"b":[["inf","2"]]}', "price"),
        (b'{"b":[["1e15","2"]]}', "price"),
        (b'{"b":[[null,"2"]]}', "price"),
        (b'{"b":[["1","-1"]]}', "qty"),
        (b'{"b":[["1",1e308]]}', "qty"),
        (b'{"b":[["1"]]}', "type"),
        (b"null", "type"),
        (b"{", "json"),
    ],
)
def test_the_reason_is_that_of_the_field_at_fault(body: bytes, expected: str) -> None:
    payload = b'{"data":[{},' + body + b"]}"
    with pytest.raises(ValueError, match=r"\w") as found:
        READ(payload)
    with pytest.raises(FrameError, match="frame refused") as caught:
        refuse(found.value, payload, REASONS)
    assert caught.value.reason == expected


def test_no_frame_is_larger_than_any() -> None:
    check_size(b"x" * FRAME_BYTES_MAX)
    with pytest.raises(FrameError, match="16777217 bytes") as caught:
        check_size(b"x" * (FRAME_BYTES_MAX + 1))
    assert caught.value.reason == "size"

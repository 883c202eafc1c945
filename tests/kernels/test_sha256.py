"""Both block functions against hashlib, and the symbol behind whichever of them is used."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from kernels import sha256
from kernels.sha256 import BLOCK, START, compress

if TYPE_CHECKING:
    from collections.abc import Callable


def portable(state: Any, data: Any, at: int) -> None:
    sha256._portable(state, data[at : at + BLOCK])


def digest_of(message: bytes, block: Callable[[Any, Any, int], None]) -> str:
    """A message's hash by the standard's padding and a block function."""
    padded = message + b"\x80"
    padded += bytes(-(len(padded) + 8) % BLOCK) + (8 * len(message)).to_bytes(8, "big")
    data, state = np.frombuffer(padded, np.uint8).copy(), START.copy()
    for at in range(0, len(data), BLOCK):
        block(state, data, at)
    return state[:8].astype(">u4").tobytes().hex()


@pytest.mark.parametrize("block", [compress, portable])
@given(message=some.binary(max_size=300))
def test_a_message_hashes_as_hashlib_has_it(block: Any, message: bytes) -> None:
    assert digest_of(message, block) == hashlib.sha256(message).hexdigest()


@pytest.mark.parametrize("size", [0, 55, 56, 63, 64, 119, 120])
def test_every_length_around_a_block(size: int) -> None:
    message = bytes(range(size))
    assert digest_of(message, compress) == digest_of(message, portable) == hashlib.sha256(message).hexdigest()


def test_the_constants_are_those_of_the_standard() -> None:
    assert START[:8].tolist()[:2] == [0x6A09E667, 0xBB67AE85]
    assert sha256._ROUNDS[[0, 63]].tolist() == [0x428A2F98, 0xC67178F2]


def test_the_stand_in_is_a_c_function_that_does_the_same() -> None:
    block = sha256._portable_block()
    state, other = START.copy(), START.copy()
    data = np.arange(BLOCK, dtype=np.uint8)
    block.ctypes(_pointer(state, block, 0), _pointer(data, block, 1))
    compress(other, data, 0)
    assert state[:8].tolist() == other[:8].tolist()


def test_the_stand_in_is_compiled_once_and_then_found() -> None:
    sha256._portable_block()
    assert sha256._portable_block().cache_hits == 1


def _pointer(array: Any, block: Any, place: int) -> Any:
    return array.ctypes.data_as(block.ctypes.argtypes[place])

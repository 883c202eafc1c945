"""SHA-256, a block at a time, for kernels that sign: OpenSSL's own block function, called without Python.

    compress(state, data, at)       uint32[STATE_WORDS] state, over the 64 bytes of uint8 `data` from `at` on

Python's hashlib is that same function behind objects that cost ten times the hashing of an order. Where the
interpreter's OpenSSL does not export it (it is linked in whole), `_portable` stands in, five times slower.
"""

from __future__ import annotations

import _hashlib
import ctypes
from typing import Any, Final

import llvmlite.binding as llvm
import numpy as np
from numba import carray, cfunc, njit, types  # type: ignore[attr-defined]

BLOCK: Final = 64  # bytes
#: words of OpenSSL's SHA256_CTX, of which the first 8 are the hash's state
STATE_WORDS: Final = 28


def _fractions(degree: int, count: int) -> list[int]:
    """Return 32 bits of the fraction of each of the first primes' roots: the constants of FIPS 180-4."""
    primes: list[int] = []
    number = 2
    while len(primes) < count:
        if all(number % prime for prime in primes):
            primes.append(number)
        number += 1
    return [_root(prime << 32 * degree, degree) & 0xFFFFFFFF for prime in primes]


def _root(number: int, degree: int) -> int:
    """Return floor(number**(1/degree)), by halving: a float has not the digits."""
    low, high = 0, 1 << 40
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= number else (low, middle)
    return low


#: the state before the first block
START: Final = np.array(_fractions(2, 8) + [0] * (STATE_WORDS - 8), np.uint32)
_ROUNDS: Final = np.array(_fractions(3, 64), np.uint32)

# the name under which LLVM finds whichever function it is: a cached kernel holds the name, never an address
_SYMBOL: Final = "tickd_sha256_block"
_block: Any = types.ExternalFunction(_SYMBOL, types.void(types.uintp, types.uintp))


@njit(cache=True)
def compress(state: Any, data: Any, at: int) -> None:
    """Take one block into the state."""
    _block(state.ctypes.data, data.ctypes.data + at)


@njit(cache=True, inline="always")
def _rotated(x: Any, n: int) -> Any:
    return (x >> np.uint32(n)) | (x << np.uint32(32 - n))


@njit(cache=True)
def _portable(state: Any, data: Any) -> None:
    """Take one block, uint8[64], into the state, as FIPS 180-4 has it in 6.2.2."""
    w = np.empty(64, np.uint32)
    for t in range(16):
        word = np.uint32(0)
        for k in range(4):
            word = (word << np.uint32(8)) | np.uint32(data[4 * t + k])
        w[t] = word
    for t in range(16, 64):
        a, b = w[t - 15], w[t - 2]
        low = _rotated(a, 7) ^ _rotated(a, 18) ^ (a >> np.uint32(3))
        high = _rotated(b, 17) ^ _rotated(b, 19) ^ (b >> np.uint32(10))
        w[t] = w[t - 16] + low + w[t - 7] + high
    a, b, c, d, e, f, g, h = state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7]
    for t in range(64):
        mixed = _rotated(e, 6) ^ _rotated(e, 11) ^ _rotated(e, 25)
        first = np.uint32(h + mixed + ((e & f) ^ (~e & g)) + _ROUNDS[t] + w[t])
        mixed = _rotated(a, 2) ^ _rotated(a, 13) ^ _rotated(a, 22)
        second = np.uint32(mixed + ((a & b) ^ (a & c) ^ (b & c)))
        h, g, f, e = g, f, e, np.uint32(d + first)
        d, c, b, a = c, b, a, np.uint32(first + second)
    state[0] += a
    state[1] += b
    state[2] += c
    state[3] += d
    state[4] += e
    state[5] += f
    state[6] += g
    state[7] += h


def _portable_block() -> Any:
    """Return `_portable` as a C function; who holds it keeps its address good."""
    pointer: Any = types.CPointer

    @cfunc(types.void(pointer(types.uint32), pointer(types.uint8)), cache=True)
    def block(state: Any, data: Any) -> None:
        _portable(carray(state, 8), carray(data, 64))

    return block


def _exported() -> int:
    """Return the address of OpenSSL's block function; 0 where the interpreter has none to give."""
    try:
        function = ctypes.CDLL(_hashlib.__file__).SHA256_Transform
    except (AttributeError, OSError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0


_ADDRESS: Final = _exported()
_STAND_IN: Final[Any] = None if _ADDRESS else _portable_block()
llvm.add_symbol(_SYMBOL, _ADDRESS or _STAND_IN.address)

"""A rolling 64-bit digest over rows and decisions: two runs that decided the same end with the same number.

The accumulator is a uint64 (pass `np.uint64`, so that each kernel keeps one signature). It depends on every
bit and on the order of the values. It is not cryptographic: it tells runs apart, not who made them.
"""

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: where a digest starts
EMPTY: Final = np.uint64(0x7469636B64000001)
#: every NaN counts as this one, whatever sign and payload the machine gave it
NAN_BITS: Final = np.uint64(0x7FF8000000000000)

# odd constants with about half their bits set: multiplying by them is invertible and spreads low bits upwards
_K1: Final = np.uint64(0x9E3779B97F4A7C15)
_K2: Final = np.uint64(0xBF58476D1CE4E5B9)
_K3: Final = np.uint64(0x94D049BB133111EB)
_S27: Final = np.uint64(27)
_S30: Final = np.uint64(30)
_S31: Final = np.uint64(31)
_S32: Final = np.uint64(32)


@njit(cache=True, forceinline=True)
def _absorb(acc: Any, bits: Any) -> Any:
    """Take one word in: a permutation for a fixed word, so nothing that went in before is forgotten."""
    acc = (acc ^ bits) * _K1
    return acc ^ (acc >> _S32)


@njit(cache=True, forceinline=True)
def _spread(acc: Any) -> Any:
    """Let every bit reach every other (a permutation)."""
    acc = (acc ^ (acc >> _S30)) * _K2
    acc = (acc ^ (acc >> _S27)) * _K3
    return acc ^ (acc >> _S31)


@njit(cache=True, forceinline=True)
def _bits(v: float) -> Any:
    """Return a float64's bits, of every NaN the same."""
    return np.float64(v).view(np.uint64) if v == v else NAN_BITS  # noqa: PLR0124 (NaN differs from itself)


@njit(cache=True, forceinline=True)
def mix(acc: np.uint64, values: NDArray[np.float64]) -> Any:
    """Return `acc` with float64 `values` taken in bit for bit: -0.0 is not 0.0, and every NaN is one NaN.

    Four chains run side by side, one for each of four neighbours, and are joined at the end: one alone would
    wait for its own multiplications, 50 ns for a row.
    """
    n = values.size
    a, b, c, d = acc, acc ^ _K1, acc ^ _K2, acc ^ _K3
    for k in range(0, n - 3, 4):
        a = _absorb(a, _bits(values[k]))
        b = _absorb(b, _bits(values[k + 1]))
        c = _absorb(c, _bits(values[k + 2]))
        d = _absorb(d, _bits(values[k + 3]))
    for k in range(n - n % 4, n):
        a = _absorb(a, _bits(values[k]))
    return _spread(_absorb(_absorb(_absorb(_absorb(a, b), c), d), np.uint64(n)))


@njit(cache=True, forceinline=True)
def mix_int(acc: np.uint64, value: int) -> Any:
    """Return `acc` with one int64 taken in."""
    return _spread(_absorb(acc, np.uint64(value)))

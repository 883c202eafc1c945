"""Draws from a generator whose state is an array, so that a simulation is the same in every process.

The generator is splitmix64; rng is uint64[streams], one state each, and only the stream drawn from moves.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numba import njit

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_A: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B: Final = np.uint64(0x94D049BB133111EB)
_TO_UNIT: Final = 1.0 / 9007199254740992.0


@njit(cache=True)
def uniform(rng: Any, stream: int) -> float:
    """Draw from (0, 1]; advances rng[stream] (splitmix64)."""
    state = rng[stream] + _GOLDEN
    rng[stream] = state
    mixed = (state ^ (state >> np.uint64(30))) * _MIX_A
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_B
    mixed ^= mixed >> np.uint64(31)
    return (np.float64(mixed >> np.uint64(11)) + 1.0) * _TO_UNIT


@njit(cache=True)
def normal(rng: Any, stream: int) -> float:
    """Draw a standard normal (polar method: log and sqrt only, the same on every libm we know)."""
    while True:
        x = 2.0 * uniform(rng, stream) - 1.0
        y = 2.0 * uniform(rng, stream) - 1.0
        square = x * x + y * y
        if 0.0 < square < 1.0:
            return x * math.sqrt(-2.0 * math.log(square) / square)

from __future__ import annotations

import numpy as np

from kernels.draws import normal, uniform

MASK = (1 << 64) - 1


def splitmix64(state: int) -> tuple[int, int]:
    """The generator on Python's integers: next state, output."""
    state = (state + 0x9E3779B97F4A7C15) & MASK
    mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
    return state, mixed ^ (mixed >> 31)


def test_the_twin_gives_the_published_numbers() -> None:
    state, first = splitmix64(1234567)
    assert [first, splitmix64(state)[1]] == [6457827717110365317, 3203168211198807973]


def test_uniforms_are_splitmix64_scaled_to_zero_exclusive_one_inclusive() -> None:
    rng = np.array([1234567, 99], np.uint64)
    state = 1234567
    for _ in range(1000):
        state, output = splitmix64(state)
        assert uniform(rng, 0) == ((output >> 11) + 1) / 2**53
    assert rng.tolist() == [state, 99]


def test_normals_have_mean_zero_and_deviation_one() -> None:
    rng = np.array([5], np.uint64)
    draws = np.array([normal(rng, 0) for _ in range(20_000)])
    assert abs(draws.mean()) < 0.02
    assert abs(draws.std() - 1.0) < 0.02
    assert abs((draws**3).mean()) < 0.06
    assert 2.8 < (draws**4).mean() < 3.2

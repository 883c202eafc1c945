"""The digest tells apart whatever differs, and agrees wherever nothing does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from kernels import digest

ROOT = Path(__file__).resolve().parents[2]
ROW = np.array([1.0, -0.0, 3.5e-300, np.inf, np.nan, 60_000.01])


def mix(values: list[float] | np.ndarray, acc: int = int(digest.EMPTY)) -> int:
    return int(digest.mix(np.uint64(acc), np.array(values, np.float64)))


def test_the_same_values_give_the_number_they_have_always_given() -> None:
    # recorded digests stay comparable: whoever changes this changes the journal's format
    assert mix(ROW) == 0x0CCF48AB769B32A7
    assert int(digest.mix_int(digest.EMPTY, -1)) == 0x26A119E0A9C1F5D1


def test_order_length_and_grouping_count() -> None:
    assert mix([1.0, 2.0]) != mix([2.0, 1.0])
    assert mix([]) != mix([0.0]) != mix([0.0, 0.0])
    assert mix([1.0, 2.0]) != mix([2.0], mix([1.0]))
    assert mix([1.0], mix([2.0])) != mix([2.0], mix([1.0]))


def test_zero_has_a_sign_and_every_nan_is_one() -> None:
    assert mix([0.0]) != mix([-0.0])
    odd = np.array([0x7FF8000000000000, 0xFFF8000000000000, 0x7FF8000000000123], np.uint64).view(np.float64)
    assert np.isnan(odd).all()
    assert len({mix(odd[k : k + 1]) for k in range(3)}) == 1
    assert mix([np.nan]) != mix([np.inf])


def test_one_bit_in_changes_about_half_of_the_bits_out() -> None:
    rng = np.random.default_rng(12)
    flipped = []
    for _ in range(400):
        values = rng.normal(size=6)
        other = values.copy()
        bits = other.view(np.uint64)
        bits[rng.integers(6)] ^= np.uint64(1) << np.uint64(rng.integers(52))
        flipped.append((mix(values) ^ mix(other)).bit_count())
    assert 30.0 < np.mean(flipped) < 34.0
    assert min(flipped) > 10


def test_each_bit_of_the_accumulator_lives_on() -> None:
    ends = {mix(ROW, int(digest.EMPTY) ^ (1 << bit)) for bit in range(64)}
    assert len(ends) == 64


def test_no_two_of_many_near_rows_collide() -> None:
    seen = {mix([float(x), float(y)]) for x in range(200) for y in range(200)}
    assert len(seen) == 40_000


def test_integers_mix_by_value() -> None:
    ends = {int(digest.mix_int(digest.EMPTY, k)) for k in (-(2**63), -1, 0, 1, 2**63 - 1)}
    assert len(ends) == 5


@given(some.lists(some.floats(), max_size=30), some.integers(0, 2**64 - 1))
def test_mixing_is_a_function_of_the_bits(values: list[float], acc: int) -> None:
    assert mix(values, acc) == mix(np.array(values), acc)


def test_another_process_with_another_hash_seed_agrees() -> None:
    code = (
        "import numpy as np; from kernels import digest; print(int(digest.mix(digest.EMPTY, np.arange(9.0))))"
    )
    ends = set()
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, check=True)
        ends.add(int(run.stdout))
    assert ends == {mix(np.arange(9.0))}


def test_each_kernel_is_compiled_for_one_signature() -> None:
    mix(ROW)
    digest.mix_int(digest.EMPTY, 3)
    assert len(digest.mix.signatures) == 1
    assert len(digest.mix_int.signatures) == 1

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from daemon.entry import bound


def kernel():
    @njit
    def half(x):
        return x / 2

    return half


def test_a_cold_kernel_is_handed_back_and_compiles_at_its_first_call():
    half = kernel()
    assert bound(half) is half
    assert bound(half)(3.0) == 1.5
    assert len(half.signatures) == 1


def test_a_warm_kernel_is_called_past_its_dispatcher_and_says_the_same():
    half = kernel()
    half(3.0)
    entry = bound(half)
    assert entry is not half
    assert [entry(x) for x in (3.0, -1.0, np.float64(5.0))] == [1.5, -0.5, 2.5]


def test_an_argument_of_another_type_is_converted_or_refused_and_never_compiled_for():
    half = kernel()
    half(3.0)
    entry = bound(half)
    assert entry(3) == 1.5
    with pytest.raises(TypeError):
        entry(None)
    assert len(half.signatures) == 1


def test_what_another_kernel_had_it_compiled_for_is_not_its_own():
    @njit
    def scaled(times: int, x: float):
        return times * x

    @njit
    def never(x):
        return scaled(0, x)  # the constant becomes a part of the signature

    never(3.0)
    assert len(scaled.signatures) == 1
    assert bound(scaled)(2, 3.0) == 6.0


@pytest.mark.parametrize("said", [float, "float"])
def test_a_first_call_with_another_type_than_its_parameter_says_binds_nobody(said):
    def plain(x):
        return x / 2

    plain.__annotations__["x"] = said
    half = njit(plain)
    half(3)
    assert bound(half)(2.5) == 1.25
    half = njit(plain)
    half(3.0)
    assert bound(half) is not half


def test_a_kernel_compiled_for_two_signatures_keeps_choosing_between_them():
    half = kernel()
    half(3.0)
    half(3)
    assert bound(half) is half

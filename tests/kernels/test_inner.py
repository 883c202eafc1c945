"""Kernels that only kernels call: they compile and are called like any, and have no wrappers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from kernels import exact


@njit
def _through(digits: Any, divisor: int) -> int:
    """Call one as kernels do."""
    return exact._divide(digits, 2, divisor)


def test_kernels_call_it_and_there_is_nothing_for_others_to_call():
    assert _through(np.array([3, 4]), 7) == (3 * 256 + 4) % 7
    made = next(iter(exact._divide.overloads.values()))
    names = made.fndesc
    assert made.library.get_pointer_to_function(names.llvm_func_name)
    assert not made.library.get_pointer_to_function(names.llvm_cpython_wrapper_name)
    assert not made.library.get_pointer_to_function(names.llvm_cfunc_wrapper_name)

"""Asking for memory changes nothing but time; that it is asked for, the compiled code tells."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from kernels.prefetch import LINE, ask


@njit
def fetched(address: int, size: int) -> int:
    ask(address, size)
    return size


def test_each_line_is_asked_for_once_and_nothing_changes() -> None:
    array = np.arange(100.0)
    assert fetched(array.ctypes.data, array.nbytes) == array.nbytes
    assert array.tolist() == list(range(100))
    (code,) = fetched.inspect_llvm().values()
    assert "llvm.prefetch" in code
    assert f", {LINE}" in code


@pytest.mark.parametrize(("address", "size"), [(0, 0), (0, 4096), (1, 65), (2**62, LINE)])
def test_an_address_of_nothing_does_no_harm(address: int, size: int) -> None:
    assert fetched(address, size) == size

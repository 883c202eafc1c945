"""The decorator of kernels that only other kernels call.

Numba makes for each function what Python and C would call it by: for a small one that takes longer to compile
than the function itself. Python must not call one without: it would jump to nowhere.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from numba import njit

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])
_OPTIONS: Final[Any] = {"cache": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def inner(kernel: _Kernel) -> _Kernel:
    """Compile a kernel for other kernels."""
    made: _Kernel = njit(**_OPTIONS)(kernel)
    return made

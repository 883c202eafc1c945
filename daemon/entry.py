"""Calling a compiled kernel from Python without numba's look at the arguments' types (0.25 us a call)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def bound(kernel: Any) -> Callable[..., Any]:
    """Return a warm kernel's one compiled function, and a cold kernel itself, to compile at its first call.

    Warm means compiled for exactly one signature (daemon/warm.py sees to it). What is passed to the function
    is converted to that signature, never compiled for: an int where a float belongs cannot stop the loop.
    """
    if len(kernel.signatures) != 1:
        return kernel  # type: ignore[no-any-return]
    entry: Callable[..., Any] = kernel.overloads[kernel.signatures[0]].entry_point
    return entry

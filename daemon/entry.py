"""Calling a compiled kernel from Python without numba's look at the arguments' types (0.25 us a call)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from numba import types

if TYPE_CHECKING:
    from collections.abc import Callable

#: what a parameter of a kernel is compiled for that says what it takes
_COMPILED: Final = {
    said: compiled
    for kind, compiled in ((int, types.int64), (float, types.float64), (bool, types.boolean))
    for said in (kind, kind.__name__)  # as text, where a module's annotations are not evaluated
}


def bound(kernel: Any) -> Callable[..., Any]:
    """Return a warm kernel's one compiled function, and a cold kernel itself, to compile at its first call.

    Warm means compiled for exactly one signature (daemon/warm.py sees to it). What is passed to the function
    is converted to that signature, never compiled for: an int where a float belongs cannot stop the loop.
    So the signature has to be the kernel's own. Another kernel that was compiled in this process may have had
    it compiled for what it passes, a constant say, which would then stand for whatever Python passes.
    """
    if len(kernel.signatures) != 1 or not _is_own(kernel):
        return kernel  # type: ignore[no-any-return]
    entry: Callable[..., Any] = kernel.overloads[kernel.signatures[0]].entry_point
    return entry


def _is_own(kernel: Any) -> bool:
    """Whether a kernel's one signature takes whatever its parameters say."""
    said = kernel.py_func.__annotations__
    for name, compiled in zip(kernel.py_func.__code__.co_varnames, kernel.signatures[0], strict=False):
        if isinstance(compiled, types.Literal) or compiled != _COMPILED.get(said.get(name), compiled):
            return False
    return True

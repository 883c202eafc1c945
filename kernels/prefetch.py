"""Asking for memory before it is needed, so that what is far away comes while something else is done.

With hundreds of instruments a tick finds none of its instrument's state in the core's caches: some fifty
lines, which take far longer when they are waited for one by one.
"""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

#: bytes that come at once
LINE: Final = 64
_INT: Final = ir.IntType(32)
_READ, _KEEP, _DATA = 0, 3, 1  # not to be written yet, in every cache, data


def _ask(_typing: Any, address: Any) -> Any:  # noqa: ARG001
    """Ask for the line of an address; an address of nothing does no harm."""

    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, _INT, _INT, _INT])
        asked = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind)
        builder.call(asked, [pointer, _INT(_READ), _INT(_KEEP), _INT(_DATA)])
        return context.get_dummy_value()

    return types.void(types.uintp), build


_ask_line: Any = intrinsic(_ask)


@njit(cache=True, forceinline=True)
def ask(address: int, size: int) -> None:
    """Ask for `size` bytes from an address on."""
    for offset in range(0, size, LINE):
        _ask_line(address + offset)

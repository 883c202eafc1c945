"""The C library's calls, from inside compiled loops: the bench's exchange is as fast as C without a compiler.

They are bound by their symbols, so that a loop that makes them is still found again in numba's disk cache.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from typing import Any, Final

import numpy as np
from numba import njit, types
from numba.np.numpy_support import carray


def _external(symbol: str, signature: Any) -> Any:
    return types.ExternalFunction(symbol, signature)


_send = _external("send", types.intp(types.intc, types.uintp, types.uintp, types.intc))
_recv = _external("recv", types.intp(types.intc, types.uintp, types.uintp, types.intc))
_poll = _external("poll", types.intc(types.uintp, types.uintp, types.intc))
_clock_gettime = _external("clock_gettime", types.intc(types.intc, types.uintp))
_errno_location = _external("__errno_location", types.voidptr())

_MONOTONIC: Final = time.CLOCK_MONOTONIC
_REALTIME: Final = time.CLOCK_REALTIME
_DONTWAIT: Final = int(socket.MSG_DONTWAIT)
_NOSIGNAL: Final = int(socket.MSG_NOSIGNAL)
_EAGAIN: Final = errno.EAGAIN
_POLLIN: Final = select.POLLIN

#: what `receive` and `send_some` return beside a count
NOTHING: Final = 0  # not now
CLOSED: Final = -1  # never again


@njit(cache=True, nogil=True)
def now_ns(scratch: Any) -> int:
    """Return the monotonic clock; scratch: int64[2]."""
    _clock_gettime(_MONOTONIC, scratch.ctypes.data)
    return int(scratch[0]) * 1_000_000_000 + int(scratch[1])


@njit(cache=True, nogil=True)
def utc_ns(scratch: Any) -> int:
    """Return the time of day; scratch: int64[2]."""
    _clock_gettime(_REALTIME, scratch.ctypes.data)
    return int(scratch[0]) * 1_000_000_000 + int(scratch[1])


@njit(cache=True, nogil=True)
def receive(fd: int, buffer: Any, at: int) -> int:
    """Read what is there into `buffer` from `at` on, without waiting; return how much, NOTHING or CLOSED."""
    count = _recv(fd, buffer.ctypes.data + at, buffer.size - at, _DONTWAIT)
    if count > 0:
        return int(count)
    return NOTHING if count < 0 and _would_block() else CLOSED


@njit(cache=True, nogil=True)
def send_some(fd: int, buffer: Any, start: int, end: int) -> int:
    """Write what fits of `buffer[start:end]`, without waiting; return how much, NOTHING or CLOSED."""
    count = _send(fd, buffer.ctypes.data + start, end - start, _DONTWAIT | _NOSIGNAL)
    if count > 0:
        return int(count)
    return NOTHING if count < 0 and _would_block() else CLOSED


@njit(cache=True, nogil=True)
def send_all(fd: int, buffer: Any, start: int, end: int) -> bool:
    """Write all of `buffer[start:end]`; return whether the other side took it."""
    while start < end:
        count = send_some(fd, buffer, start, end)
        if count == CLOSED:
            return False
        start += count
    return True


@njit(cache=True, nogil=True)
def wait_readable(first: int, second: int, scratch: Any) -> None:
    """Sleep until one of two sockets can be read; scratch: int32[4] (two of poll's records)."""
    scratch[0] = first
    scratch[2] = second
    scratch[1] = scratch[3] = _POLLIN
    _poll(scratch.ctypes.data, 2, -1)


@njit(cache=True, nogil=True)
def _would_block() -> bool:
    return bool(carray(_errno_location(), 1, np.int32)[0] == _EAGAIN)

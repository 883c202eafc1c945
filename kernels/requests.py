"""Requests from templates: text, the values it leaves open, and an HMAC-SHA256 over them, in one call.

    end = write(template, listing, out, name, mark, request_id, time_ms, x, y)

The request is out[FRAME_AT:end]. A template (TEMPLATE, an array of length 1) is literal text in pieces, each
followed by a value; what is signed is made of it, and then the request itself. One template serves all
instruments, so that it stays in the cache; an instrument's own part is its `listing` (LISTING, length 1).
"""

from typing import Any, Final

import numpy as np
from numba import njit, types

from kernels.sha256 import BLOCK, STATE_WORDS, compress

#: what follows a piece of text
NOTHING: Final = 0
REQUEST_ID: Final = 1
TIME: Final = 2
SYMBOL: Final = 3
MARKED_NAME: Final = 4  # `name`
NAME: Final = 5  # `name` without its last `mark` bytes
INTEGER: Final = 6  # x as it is
PRICE: Final = 7  # x ticks
QTY: Final = 8  # y lots
SIGNATURE: Final = 9
LAST_NAME: Final = 10  # the last `mark` bytes of `name`, where that is two names

PIECES_MAX: Final = 12
TEXT_MAX: Final = 1024
SYMBOL_MAX: Final = 64
#: bytes of a name; an exchange allows 36
NAME_MAX: Final = 256
#: bytes that `write` may need beside the request's own
OUT_BYTES: Final = 4096
#: where the request begins; before it stand the signature and what is signed
FRAME_AT: Final = 2048
_SIGNATURE_BYTES: Final = 64
_SIGNED_AT: Final = _SIGNATURE_BYTES

#: one kind of request
TEMPLATE: Final = np.dtype(
    [
        ("text", np.uint8, TEXT_MAX),
        ("request", np.int64, (PIECES_MAX, 3)),  # start and end of a piece of text, what follows it
        ("signed", np.int64, (PIECES_MAX, 3)),  # likewise of what is signed
        ("signs", np.int64),  # whether it is signed at all
        ("inner", np.uint32, STATE_WORDS),  # the hash's state after the padded key, and whole blocks of text
        ("outer", np.uint32, STATE_WORDS),  # likewise, of the second hash
        ("work", np.uint32, STATE_WORDS),
        ("hashed", np.int64),  # bytes in `inner`
    ],
    align=True,
)

#: what a request has of one instrument
LISTING: Final = np.dtype(
    [
        ("symbol", np.uint8, SYMBOL_MAX),
        ("symbol_size", np.int64),
        ("price", np.int64, 3),  # of a tick: numerator, denominator, decimal places
        ("qty", np.int64, 3),  # of a lot
    ],
    align=True,
)

# a loop over bytes costs 3 ns each, where index and overlap are looked at
_memcpy: Any = types.ExternalFunction("memcpy", types.voidptr(types.uintp, types.uintp, types.uintp))
#: of an int64
_DIGITS_MAX: Final = 19
_TEN: Final = np.uint64(10)  # dividing what has no sign costs a third
_ZERO, _DOT, _A = b"0.a"
_END_OF_MESSAGE: Final = 0x80


@njit(cache=True)
def write(
    template: Any,
    listing: Any,
    out: Any,
    name: bytes,
    mark: int,
    request_id: int,
    time_ms: int,
    x: int,
    y: int,
) -> int:
    """Write a request into `out`, uint8[OUT_BYTES]; return where it ends. Raises ValueError.

    No number may be negative.
    """
    if len(name) > NAME_MAX:
        raise ValueError("an order's id is longer than requests have room for")
    t, one = template[0], listing[0]
    if t.signs:
        end = _fill(t, t.signed, one, out, _SIGNED_AT, name, mark, request_id, time_ms, x, y)
        _sign(t, out, end)
    return int(_fill(t, t.request, one, out, FRAME_AT, name, mark, request_id, time_ms, x, y))


@njit(cache=True)
def _fill(
    t: Any,
    pieces: Any,
    one: Any,
    out: Any,
    at: int,
    name: bytes,
    mark: int,
    request_id: int,
    time_ms: int,
    x: int,
    y: int,
) -> int:
    """Write the pieces, each with what follows it; return where they end."""
    for p in range(PIECES_MAX):
        at = _copy(t.text, pieces[p, 0], pieces[p, 1], out, at)
        hole = pieces[p, 2]
        if hole == NOTHING:
            break
        if hole == REQUEST_ID:
            at = _integer(out, at, request_id)
        elif hole == TIME:
            at = _integer(out, at, time_ms)
        elif hole == SYMBOL:
            at = _copy(one.symbol, 0, one.symbol_size, out, at)
        elif hole == MARKED_NAME:
            at = _spell(name, len(name), out, at)
        elif hole == NAME:
            at = _spell(name, len(name) - mark, out, at)
        elif hole == INTEGER:
            at = _integer(out, at, x)
        elif hole == PRICE:
            at = _decimal(out, at, x, one.price)
        elif hole == QTY:
            at = _decimal(out, at, y, one.qty)
        elif hole == LAST_NAME:
            for k in range(len(name) - mark, len(name)):
                out[at] = name[k]
                at += 1
        else:
            at = _copy(out, 0, _SIGNATURE_BYTES, out, at)
    return at


@njit(cache=True)
def _copy(source: Any, start: int, end: int, out: Any, at: int) -> int:
    """Append source[start:end]; return where it ends."""
    _memcpy(out.ctypes.data + at, source.ctypes.data + start, end - start)
    return at + end - start


@njit(cache=True)
def _spell(name: bytes, size: int, out: Any, at: int) -> int:
    """Append the first bytes of a name; return where they end."""
    for k in range(size):
        out[at + k] = name[k]
    return at + size


@njit(cache=True)
def _digits(out: Any, at: int, width: int, value: int) -> int:
    """Write a number that is not negative in that many digits; return where they end."""
    rest = np.uint64(value)
    for k in range(width - 1, -1, -1):
        shorter = rest // _TEN
        out[at + k] = _ZERO + np.uint8(rest - shorter * _TEN)
        rest = shorter
    return at + width


@njit(cache=True)
def _integer(out: Any, at: int, value: int) -> int:
    """Write a number that is not negative; return where it ends."""
    width = 1
    bound = np.uint64(10)
    while width < _DIGITS_MAX and np.uint64(value) >= bound:
        bound *= _TEN
        width += 1
    return int(_digits(out, at, width, value))


@njit(cache=True)
def _decimal(out: Any, at: int, steps: int, scale: Any) -> int:
    """Write so many steps of numerator / denominator; only what the text itself shows is ever multiplied."""
    numerator, denominator, places = scale[0], scale[1], scale[2]
    rest = steps % denominator * numerator
    at = _integer(out, at, steps // denominator * numerator + rest // denominator)
    out[at] = _DOT
    return int(_digits(out, at + 1, places, rest % denominator))


@njit(cache=True)
def _sign(t: Any, out: Any, end: int) -> None:
    """Write the signature of out[_SIGNED_AT:end], in hexadecimal, before it."""
    work = t.work
    work[:] = t.inner
    _hash(work, out, end, t.hashed)
    _digest(work, out)
    work[:] = t.outer
    _hash(work, out, _SIGNED_AT + 32, BLOCK)
    _digest(work, out)
    for k in range(32):
        byte = out[_SIGNED_AT + k]
        out[2 * k] = _hex(byte >> 4)
        out[2 * k + 1] = _hex(byte & 15)


@njit(cache=True)
def _hash(work: Any, out: Any, end: int, hashed: int) -> None:
    """Take out[_SIGNED_AT:end], the last of a message of which so many bytes came before."""
    bits = (hashed + end - _SIGNED_AT) * 8
    out[end] = _END_OF_MESSAGE
    end += 1
    while (end + 8 - _SIGNED_AT) % BLOCK:
        out[end] = 0
        end += 1
    for k in range(7, -1, -1):
        out[end + k] = bits & 0xFF
        bits >>= 8
    for at in range(_SIGNED_AT, end + 8, BLOCK):
        compress(work, out, at)


@njit(cache=True)
def _digest(work: Any, out: Any) -> None:
    """Write the hash's 32 bytes at _SIGNED_AT."""
    for word in range(8):
        value = work[word]
        for k in range(4):
            out[_SIGNED_AT + 4 * word + k] = (value >> np.uint32(24 - 8 * k)) & np.uint32(0xFF)


@njit(cache=True)
def _hex(value: int) -> int:
    return _ZERO + value if value < 10 else _A + value - 10

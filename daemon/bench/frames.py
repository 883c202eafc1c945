"""Websocket frames and the few fields of an order request, read and written by compiled functions. Sans-IO.

A text is made from a template: literal bytes, and bytes from FIELD on that stand for a value. What is copied
from the request comes first (REQUEST_FIELDS of them), then numbers, then a price in ticks of 0.01.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

#: fields of a request, by their place in `fields` (start and end of each within the buffer)
ID: Final = 0
METHOD: Final = 1
CLIENT_ID: Final = 2
SYMBOL: Final = 3
SIDE: Final = 4
PRICE: Final = 5
QTY: Final = 6
REQUEST_FIELDS: Final = 7

#: numbers that a template may ask for, by their place in `numbers`
ORDER_ID: Final = 0
TRADE_ID: Final = 1
EVENT_ID: Final = 2
TIME_MS: Final = 3
FILL_TICKS: Final = 4  # written as a price
NUMBERS: Final = 5

#: the first byte of a template that is not literal: no text of the exchange has one so high
FIELD: Final = 128

#: opcodes
TEXT: Final = 1
CLOSE: Final = 8
PING: Final = 9

#: what `frame_at` returns as opcode for a frame that is not whole yet
PARTIAL: Final = -1

_QUOTE, _COLON, _COMMA, _BRACE, _OPEN, _DOT, _ZERO, _NINE = b'":,}{.09'
_QUESTION, _AMPERSAND, _EQUALS, _SPACE = b"?&= "


def field(number: int) -> bytes:
    """Return what stands in a template for a field of the request."""
    return bytes([FIELD + number])


def number(place: int) -> bytes:
    """Return what stands in a template for one of `numbers`."""
    return bytes([FIELD + REQUEST_FIELDS + place])


def template(text: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a template as the array that `fill` takes."""
    return np.frombuffer(text, np.uint8).copy()


# --- frames -------------------------------------------------------------------------------------------------
@njit(cache=True, nogil=True)
def frame_at(buffer: Any, start: int, end: int, out: Any) -> int:
    """Find the frame at `start` and unmask it in place; return its opcode, or PARTIAL.

    out: int64[3], filled with the payload's start and end, and where the next frame starts. It is to be
    called once for each frame: a second call would mask it again.
    """
    if end - start < 2:
        return PARTIAL
    opcode = buffer[start] & 0x0F
    masked = buffer[start + 1] >> 7
    size = int(buffer[start + 1] & 0x7F)
    at = start + 2
    if size >= 126:
        width = 2 if size == 126 else 8
        if end - at < width:
            return PARTIAL
        size = 0
        for k in range(width):
            size = size << 8 | int(buffer[at + k])
        at += width
    key = at
    at += 4 * masked
    if end - at < size:
        return PARTIAL
    if masked:
        for k in range(size):
            buffer[at + k] ^= buffer[key + (k & 3)]
    out[0] = at
    out[1] = at + size
    out[2] = at + size
    return int(opcode)


@njit(cache=True, nogil=True)
def write_header(out: Any, at: int, size: int) -> None:
    """Write the 4 bytes before an unmasked text of 126 to 65,535 bytes that starts at `at`."""
    out[at - 4] = 0x81
    out[at - 3] = 126
    out[at - 2] = size >> 8
    out[at - 1] = size & 0xFF


# --- requests -----------------------------------------------------------------------------------------------
@njit(cache=True, nogil=True)
def read_request(buffer: Any, start: int, end: int, fields: Any) -> None:
    """Find the fields of a WebSocket API request; fields: int64[REQUEST_FIELDS, 2], 0 where there is none."""
    fields[:] = 0
    i = start
    while i < end:
        if buffer[i] != _QUOTE:
            i += 1
            continue
        key = i + 1
        key_end = _until(buffer, key, end, _QUOTE)
        i = key_end + 1
        if i >= end or buffer[i] != _COLON:
            continue
        i += 1
        if i < end and buffer[i] == _OPEN:
            continue
        if i < end and buffer[i] == _QUOTE:
            value = i + 1
            value_end = _until(buffer, value, end, _QUOTE)
            i = value_end + 1
        else:
            value = i
            while i < end and buffer[i] != _COMMA and buffer[i] != _BRACE:
                i += 1
            value_end = i
        place = _place(buffer, key, key_end)
        if place >= 0:
            fields[place, 0] = value
            fields[place, 1] = value_end


@njit(cache=True, nogil=True)
def read_query(buffer: Any, start: int, end: int, fields: Any) -> None:
    """Find the same fields in an HTTP request's first line: POST /path?symbol=BTCUSDT&... HTTP/1.1."""
    fields[:] = 0
    i = _until(buffer, start, end, _QUESTION) + 1
    last = _until(buffer, i, end, _SPACE)
    while i < last:
        stop = min(_until(buffer, i, last, _AMPERSAND), last)
        equals = _until(buffer, i, stop, _EQUALS)
        place = _place(buffer, i, equals)
        if place >= 0:
            fields[place, 0] = equals + 1
            fields[place, 1] = stop
        i = stop + 1


@njit(cache=True, nogil=True)
def _place(buffer: Any, key: int, key_end: int) -> int:
    """Return the field of a key, or -1; length and first letter tell those apart that we are sent."""
    size = key_end - key
    first = buffer[key] if size > 0 else 0
    if size == 2 and first == 105:  # id
        return ID
    if size == 4 and first == 115:  # side
        return SIDE
    if size == 5 and first == 112:  # price
        return PRICE
    if size == 6 and first == 109:  # method
        return METHOD
    if size == 6 and first == 115:  # symbol
        return SYMBOL
    if size == 8 and first == 113:  # quantity
        return QTY
    if size == 16 and first == 110:  # newClientOrderId
        return CLIENT_ID
    return -1


@njit(cache=True, nogil=True)
def _until(buffer: Any, i: int, end: int, byte: int) -> int:
    while i < end and buffer[i] != byte:
        i += 1
    return i


@njit(cache=True, nogil=True)
def digits(buffer: Any, start: int, end: int) -> int:
    """Return the number that the digits of a text make, its point left out: ticks or lots."""
    value = 0
    for i in range(start, end):
        if _ZERO <= buffer[i] <= _NINE:
            value = value * 10 + int(buffer[i]) - _ZERO
    return value


# --- texts --------------------------------------------------------------------------------------------------
@njit(cache=True, nogil=True)
def put_digits(out: Any, at: int, width: int, value: int) -> None:
    """Write a number right-aligned into `width` bytes, zeros before it."""
    for k in range(width - 1, -1, -1):
        out[at + k] = _ZERO + value % 10
        value //= 10


@njit(cache=True, nogil=True)
def put_price(out: Any, at: int, ticks: int) -> int:
    """Write 60000.42 for 6000042 ticks; return where it ends."""
    put_digits(out, at, 5, ticks // 100)
    out[at + 5] = _DOT
    put_digits(out, at + 6, 2, ticks % 100)
    return at + 8


@njit(cache=True, nogil=True)
def fill(text: Any, out: Any, at: int, request: Any, fields: Any, numbers: Any) -> int:
    """Write a template at `at`, its fields taken from `request` and `numbers`; return where it ends."""
    for byte in text:
        if byte < FIELD:
            out[at] = byte
            at += 1
            continue
        place = int(byte) - FIELD
        if place < REQUEST_FIELDS:
            for i in range(fields[place, 0], fields[place, 1]):
                out[at] = request[i]
                at += 1
        elif place - REQUEST_FIELDS == FILL_TICKS:
            at = put_price(out, at, numbers[FILL_TICKS])
        else:
            at = _put_number(out, at, numbers[place - REQUEST_FIELDS])
    return at


@njit(cache=True, nogil=True)
def _put_number(out: Any, at: int, value: int) -> int:
    width = 1
    bound = 10
    while value >= bound:
        bound *= 10
        width += 1
    put_digits(out, at, width, value)
    return at + width

"""Small files that are replaced as a whole: a header, then frames as the journal has them.

Whatever is odd about one, a cut, a flipped bit, another program's bytes, a newer format, is found before a
byte of its content is believed.
"""

from __future__ import annotations

from zlib import crc32

from daemon.errors import FileFormatError
from daemon.orders.records import FRAME, HEADER


def header(magic: bytes, version: int, count: int) -> bytes:
    """Return the file's first bytes: so many frames follow."""
    head = HEADER.pack(magic, version, count, 0)[:-4]
    return head + crc32(head).to_bytes(4, "little")


def frames_of(data: bytes, magic: bytes, version: int, what: str) -> list[tuple[int, bytes]]:
    """Return (offset, body) of each frame; `what` the file should be.

    Raises FileFormatError, its text to be put behind the file's name.
    """
    if len(data) < HEADER.size:
        raise FileFormatError("is torn")
    its_magic, its_version, count, head_crc = HEADER.unpack_from(data)
    if its_magic != magic or head_crc != crc32(data[: HEADER.size - 4]):
        raise FileFormatError(f"is damaged, or no {what}")
    if its_version > version:
        raise FileFormatError(f"was written by a newer tickd (format {its_version}, ours is {version})")
    found = []
    at = HEADER.size
    for _ in range(count):
        body = _body_at(data, at)
        found.append((at, body))
        at += FRAME.size + len(body)
    if at != len(data):
        raise FileFormatError("is damaged: more follows than it says")
    return found


def _body_at(data: bytes, at: int) -> bytes:
    """Return the body whose frame begins at an offset."""
    begin = at + FRAME.size
    if len(data) < begin:
        raise FileFormatError(f"is torn at offset {at}")
    size, crc = FRAME.unpack_from(data, at)
    body = data[begin : begin + size]
    if len(body) < size:
        raise FileFormatError(f"is torn at offset {at}")
    if crc != crc32(body, size):
        raise FileFormatError(f"is damaged at offset {at}: the checksum does not hold")
    return body

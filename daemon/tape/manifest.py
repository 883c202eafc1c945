"""`manifest.json` of a session's tape: its closed segments, each with its digest, and what was lost.

It is replaced as a whole whenever a segment is closed. Its last member is the SHA-256 of all before it, so
that an altered manifest is refused as an altered segment is.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import msgspec

from daemon.errors import DECODE_ERRORS, FileFormatError
from daemon.tape.header import FORMAT

NAME: Final = "manifest.json"
SUFFIX: Final = ".arrows"


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One closed segment; it holds an entry at least."""

    file: str
    sha256: str
    bytes: int
    entries: int
    first_seq: int
    last_seq: int
    first_ns: int
    last_ns: int
    streams: dict[str, int]  # entries of each
    expired: bool = False  # deleted, by age or quota


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, oldest first."""

    format: int = FORMAT
    name: str
    started_ns: int
    closed: bool = False  # the session ended well: nothing follows the last segment
    lost_from: int = -1  # the first entry that was not written; -1: none
    dropped: int = 0  # so many were not
    segments: tuple[Segment, ...] = ()


class _Sealed(Manifest, frozen=True, kw_only=True):
    sha256: str = ""


class _Format(msgspec.Struct):
    format: int


def encode(manifest: Manifest) -> bytes:
    """Return the file's bytes."""
    members = msgspec.structs.asdict(manifest)
    digest = sha256(msgspec.json.encode(manifest)).hexdigest()
    return msgspec.json.format(msgspec.json.encode(_Sealed(**members, sha256=digest)), indent=1) + b"\n"


def decode(data: bytes) -> Manifest:
    """Return what the file's bytes say; raises FileFormatError, its text to be put behind the file's name."""
    try:
        written = msgspec.json.decode(data, type=_Format).format
        if written > FORMAT:
            raise FileFormatError(
                f"was written by a newer tickd (format {written}, ours is {FORMAT}): read it with that one"
            )
        members = msgspec.structs.asdict(msgspec.json.decode(data, type=_Sealed))
    except DECODE_ERRORS as error:
        raise FileFormatError(f"is damaged, or no manifest of a tape: {error}") from None
    digest = members.pop("sha256")
    manifest = Manifest(**members)
    if encode(manifest) != data:
        raise FileFormatError(f"is damaged: its SHA-256 is not {digest[:16]}..")
    return manifest


def segment_name(number: int) -> str:
    """Return the file name of a session's segment, from 1."""
    return f"{number:08d}{SUFFIX}"

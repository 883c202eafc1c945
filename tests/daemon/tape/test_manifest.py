"""The manifest: what it says comes back, and one altered byte of it is refused."""

from __future__ import annotations

import json

import pytest

from daemon.errors import FileFormatError
from daemon.tape.manifest import Manifest, Segment, decode, encode, segment_name

ONE = Segment(
    file="00000001.arrows",
    sha256="ab" * 32,
    bytes=10,
    entries=2,
    first_seq=0,
    last_seq=1,
    first_ns=5,
    last_ns=6,
    streams={"feed/0": 2},
)
MANIFEST = Manifest(name="x", started_ns=4, lost_from=7, dropped=3, segments=(ONE,))


def test_a_manifest_comes_back():
    assert decode(encode(MANIFEST)) == MANIFEST
    assert json.loads(encode(MANIFEST))["segments"][0]["streams"] == {"feed/0": 2}


def test_every_altered_byte_is_refused():
    data = encode(MANIFEST)
    for at in range(len(data)):
        for bit in (1, 32):
            altered = bytearray(data)
            altered[at] ^= bit
            with pytest.raises(FileFormatError):
                decode(bytes(altered))


def test_a_torn_a_foreign_and_a_newer_manifest_are_refused():
    data = encode(MANIFEST)
    for torn in (b"", data[:-1], data[: len(data) // 2], b"{}", b"[" * 5000):
        with pytest.raises(FileFormatError, match="damaged"):
            decode(torn)
    with pytest.raises(FileFormatError, match="newer tickd"):
        decode(data.replace(b'"format": 1', b'"format": 2'))


def test_segments_sort_by_their_names():
    assert sorted(segment_name(n) for n in (10, 9, 1)) == [segment_name(n) for n in (1, 9, 10)]

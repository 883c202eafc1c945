"""Files that are replaced as a whole: what is odd about one is found before anything of it is believed."""

from __future__ import annotations

import pytest

from daemon.errors import FileFormatError
from daemon.orders.records import frame
from daemon.whole_file import frames_of, header

MAGIC = b"tickdabc"
WHOLE = header(MAGIC, 3, 2) + frame(b"one") + frame(b"")


def read(data):
    return frames_of(data, MAGIC, 3, "list of words")


def test_frames_come_back_with_their_offsets():
    assert read(WHOLE) == [(16, b"one"), (27, b"")]
    assert read(header(MAGIC, 3, 0)) == []


def test_an_older_format_is_read_and_a_newer_one_refused():
    assert read(header(MAGIC, 2, 0)) == []
    with pytest.raises(FileFormatError, match=r"^was written by a newer tickd \(format 4, ours is 3\)$"):
        read(header(MAGIC, 4, 0))


@pytest.mark.parametrize("size", range(len(WHOLE)))
def test_a_cut_at_any_byte_is_found(size):
    with pytest.raises(FileFormatError, match=r"^is torn"):
        read(WHOLE[:size])


@pytest.mark.parametrize("at", range(len(WHOLE)))
def test_a_flipped_bit_anywhere_is_found(at):
    with pytest.raises(FileFormatError, match=r"^is torn|^is damaged"):
        read(WHOLE[:at] + bytes([WHOLE[at] ^ 1 << at % 8]) + WHOLE[at + 1 :])


def test_more_than_it_says_and_another_program_s_file_are_found():
    with pytest.raises(FileFormatError, match=r"^is damaged: more follows than it says$"):
        read(WHOLE + b"\0")
    for other in (b"\0" * 100, header(b"tickdxyz", 3, 0)):
        with pytest.raises(FileFormatError, match=r"^is damaged, or no list of words$"):
            read(other)

"""Text in plain files, gzip and zip; damage told by its place, checksums held to."""

from __future__ import annotations

import gzip
import hashlib
import zipfile

import pytest

from daemon.errors import FileFormatError
from daemon.tape.forms.texts import HEAD_BYTES, open_text, read_head, verify_checksum

TEXT = b"".join(b"%d,%d\n" % (n, n * n) for n in range(20_000))


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.csv", data)
    return path


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a.csv").write_bytes(TEXT)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(TEXT[:50_000]) + gzip.compress(TEXT[50_000:]))
    zipped(tmp_path / "a.zip", a=TEXT)
    return tmp_path


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.zip"])
def test_all_three_read_alike(files, name):
    with open_text(files / name) as text:
        assert text.stream.read() == TEXT
        assert text.raw.tell() > 0
    assert read_head(files / name) == TEXT[:HEAD_BYTES]


def drained(path):
    with open_text(path) as text:
        while text.stream.read(10_000):
            pass


def refused(path):
    with pytest.raises(FileFormatError) as refusal:
        drained(path)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_what_is_cut_off_is_told_with_its_last_byte(files):
    for name in ("a.csv.gz", "a.zip"):
        data = (files / name).read_bytes()
        (files / name).write_bytes(data[: len(data) // 2])
        assert f"ends at byte {len(data) // 2}" in refused(files / name)


def test_what_is_damaged_is_told_with_about_where(files):
    for name in ("a.csv.gz", "a.zip"):
        data = bytearray((files / name).read_bytes())
        data[len(data) // 3] ^= 0xFF
        (files / name).write_bytes(data)
        assert "is damaged near byte" in refused(files / name)


def test_a_zip_of_several_files_and_a_file_that_is_not_there_are_refused(files):
    assert "holds 2 files" in refused(zipped(files / "two.zip", a=b"1", b=b"2"))
    assert "does not exist" in refused(files / "none.csv")
    assert "cannot be read" in refused(files)


def test_a_checksum_beside_a_file_must_hold(files):
    path = files / "a.zip"
    assert not verify_checksum(path)
    beside = files / "a.zip.CHECKSUM"
    beside.write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  a.zip\n")
    assert verify_checksum(path)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(FileFormatError, match=r"has the SHA-256 .*, and a\.zip\.CHECKSUM says"):
        verify_checksum(path)
    beside.write_text("")
    with pytest.raises(FileFormatError, match="does not begin with a SHA-256"):
        verify_checksum(path)

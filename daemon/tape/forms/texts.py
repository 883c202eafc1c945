"""Text files as they come: plain, gzip, or the one member of a zip; what is cut off or damaged is said so."""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from daemon.errors import FileFormatError, unread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

#: what is looked at to tell a form
HEAD_BYTES: Final = 1 << 16
_CHECKSUM: Final = ".CHECKSUM"
_SHA256_DIGITS: Final = 64


class Text(NamedTuple):
    """A text file, open."""

    stream: BinaryIO  # raises FileFormatError where it is damaged
    raw: BinaryIO  # the file below, whose position tells how far it is


class _Checked(io.RawIOBase):
    """A stream whose damage is told in a sentence."""

    def __init__(self, inner: BinaryIO, raw: BinaryIO, path: Path) -> None:
        self._inner = inner
        self._raw = raw
        self._path = path

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._inner.read(size)
        except EOFError:
            raise FileFormatError(
                f"{self._path} is truncated: it ends at byte {self._raw.tell()}; copy it again"
            ) from None
        except (zlib.error, OSError, zipfile.BadZipFile) as error:
            raise FileFormatError(
                f"{self._path} is damaged near byte {self._raw.tell()} ({error}); copy it again"
            ) from None

    def readinto(self, buffer: object, /) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)


@contextmanager
def open_text(path: Path) -> Iterator[Text]:
    """Open a text file; raises FileFormatError for one that is missing, damaged or a zip of several."""
    try:
        raw = path.open("rb")
    except OSError as error:
        raise FileFormatError(f"{path} {unread(error)}") from None
    with raw:
        magic = raw.read(4)
        raw.seek(0)
        if magic[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=raw) as inner:
                yield Text(_Checked(inner, raw, path), raw)  # type: ignore[arg-type]
        elif magic == b"PK\x03\x04":
            with _member(raw, path) as inner:
                yield Text(_Checked(inner, raw, path), raw)  # type: ignore[arg-type]
        else:
            yield Text(raw, raw)


@contextmanager
def _member(raw: BinaryIO, path: Path) -> Iterator[BinaryIO]:
    try:
        archive = zipfile.ZipFile(raw)
    except zipfile.BadZipFile as error:
        size = raw.seek(0, io.SEEK_END)
        raise FileFormatError(
            f"{path} is a truncated or damaged zip ({error}; it ends at byte {size}); copy it again"
        ) from None
    with archive:
        names = [one.filename for one in archive.infolist() if not one.is_dir()]
        if len(names) != 1:
            raise FileFormatError(f"{path} holds {len(names)} files where one is expected: unpack it")
        with archive.open(names[0]) as inner:
            yield inner  # type: ignore[misc]


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file's text; raises FileFormatError as `open_text` does."""
    with open_text(path) as text:
        data = b""
        while len(data) < HEAD_BYTES and (more := text.stream.read(HEAD_BYTES - len(data))):
            data += more
        return data


def verify_checksum(path: Path) -> bool:
    """Return whether a `.CHECKSUM` stands beside the file; raises FileFormatError where it does not hold."""
    beside = path.with_name(path.name + _CHECKSUM)
    if not beside.is_file():
        return False
    with beside.open("rb") as file:
        said = file.read(1024).split()
    wanted = said[0].decode(errors="replace").lower() if said else ""
    if len(wanted) != _SHA256_DIGITS:
        raise FileFormatError(f"{beside} does not begin with a SHA-256: fetch it again, or remove it")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted:
        raise FileFormatError(
            f"{path} has the SHA-256 {found[:12]}.., and {beside.name} says {wanted[:12]}..: fetch it again"
        )
    return True

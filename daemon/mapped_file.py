"""An append-only file whose end is mapped into memory: to append is to copy bytes, and no system call.

What was copied is the kernel's, as after a write: it survives the death of this process, and a sync makes it
survive the machine's. A write by system call costs three times as much, and gives the interpreter's lock away
in the middle of the trading stack, to a worker that may keep it.

Space is reserved ahead, because on a full disk a mapped page can only kill: the reserve fails instead, in
`write`, and then nothing was appended. On a disk that is nearly full it is a page at a time. Until `close`
cuts it off the reserve is a tail of zeros, which is also what a killed process leaves;
daemon/orders/reader.py reads it as the end.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

#: bytes mapped at once: some 10,000 records
WINDOW_BYTES: Final = 4 << 20
#: reserved by a sync, so that who writes need not: more than comes until the next one
_WINDOWS_AHEAD: Final = 2
#: Linux's MADV_POPULATE_WRITE, since 5.14
_POPULATE_WRITE: Final = 23
_madvise: Final = ctypes.CDLL(None).madvise  # mmap's own method would keep the interpreter's lock
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_PAGE: Final = mmap.ALLOCATIONGRANULARITY


class MappedFile:
    """One append-only file. Opening it, `write` and `close` are one thread's; `sync` may be another's."""

    def __init__(self, path: Path, mode: int, window_bytes: int = WINDOW_BYTES) -> None:
        """Open or create it; mode: of a new file."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
        os.fchmod(self._fd, mode)
        self.size = os.fstat(self._fd).st_size
        self._path = path
        self._window_bytes = window_bytes
        self._reserved = self.size  # up to here there is space on the disk
        self._start = self._end = self.size  # what is mapped of the file
        self._view = memoryview(b"")
        self._window = 0, self.size, self.size  # address, start and end of the view, which a sync reads
        self._seen_size = self.size  # at the latest sync
        self._lost = False
        self._busy = threading.Lock()  # a sync must not meet a descriptor already reused
        self._reserving = threading.Lock()  # never held across a sync, so that no append waits for the disk

    def write(self, data: bytes) -> None:
        """Append all of `data`; raises OSError, and then nothing was appended."""
        if self._lost:
            raise self._lost_error()
        size = self.size
        end = size + len(data)
        if end > self._end:
            self._map(end)
        start = self._start
        self._view[size - start : end - start] = data
        self.size = end

    def sync(self) -> None:
        """Make everything written so far durable; raises OSError, and from then on every write does too.

        After a failed sync the kernel may count the pages as clean: a later success would prove nothing.
        """
        with self._busy:
            if self._fd < 0:
                return
            try:
                os.fdatasync(self._fd)
            except OSError:
                self._lost = True
                raise
            if self._lost:
                raise self._lost_error()
            ahead = _WINDOWS_AHEAD * self._window_bytes
            if self._reserved - self.size < ahead // 2:
                with suppress(OSError):  # the write that needs it will say so
                    self._reserve(self._reserved + ahead)
            self._touch_ahead()

    def close(self) -> None:
        """Cut the reserve off and close, waiting for a sync under way; closing twice is harmless."""
        with self._busy:
            if self._fd >= 0:
                self._view.release()
                os.ftruncate(self._fd, self.size)
                os.close(self._fd)
                self._fd = -1

    def _map(self, end: int) -> None:
        """Map the part that the next bytes go to, up to `end` at least."""
        start = self.size - self.size % _PAGE
        upto = start + self._window_bytes * (1 + (end - start) // self._window_bytes)
        try:
            self._reserve(upto)
        except OSError:  # nearly full: what is needed may still be there
            upto = max(end + -end % _PAGE, self._reserved)
            self._reserve(upto)
        view = memoryview(mmap.mmap(self._fd, upto - start, offset=start))
        address = ctypes.addressof(ctypes.c_char.from_buffer(view))
        self._view.release()
        self._view, self._start, self._end = view, start, upto
        self._window = address, start, upto

    def _touch_ahead(self) -> None:
        """Make the pages writable that the next records go to: a page's first write costs its writer 4 us.

        As many as were filled since the last sync, which is what made them read-only again. It is advice: a
        kernel that does not know it, or a window that is gone by now, costs nothing but that.
        """
        size, (address, start, end) = self.size, self._window  # at once: a write may map meanwhile
        filled, self._seen_size = size - self._seen_size, size
        first = size - start - (size - start) % _PAGE
        upto = min(size - start + filled + _PAGE, end - start)
        if upto > first:
            _madvise(address + first, upto - first, _POPULATE_WRITE)

    def _reserve(self, upto: int) -> None:
        """Have space up to there.

        One at a time: where a file system has no call for it, the library writes zeros, and must not do so
        where another has begun to append.
        """
        with self._reserving:
            if upto > self._reserved:
                os.posix_fallocate(self._fd, self._reserved, upto - self._reserved)
                self._reserved = upto

    def _lost_error(self) -> OSError:
        return OSError(errno.EIO, "an earlier sync failed, so what it held may be lost", str(self._path))

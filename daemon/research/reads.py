"""What a strategy reads beside what it is given: files, sockets, other processes.

A cut of the record takes nothing away from a file of the strategy's own, so what is read there is told. Seen
is what Python itself opens (its audit events) and what pyarrow opens by the calls below; a library that opens
files by itself, in C or Rust, is not.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: programs, which are hashed with the strategy or installed, and what is compiled of them
_PROGRAMS: Final = frozenset({".py", ".pyc", ".so", ".nbi", ".nbc"})
_DOORS: Final = {
    "socket.connect": "a socket",
    "socket.getaddrinfo": "a socket",
    "subprocess.Popen": "another process",
    "os.system": "another process",
    "os.posix_spawn": "another process",
    "os.fork": "another process",
}
_PYARROW: Final = (
    ("pyarrow", ("memory_map", "input_stream")),
    ("pyarrow.parquet", ("read_table", "ParquetFile", "ParquetDataset", "read_pandas")),
    ("pyarrow.feather", ("read_table", "read_feather")),
    ("pyarrow.csv", ("read_csv", "open_csv")),
    ("pyarrow.dataset", ("dataset",)),
)


class Reads:
    """Listens, and keeps what functions of the strategy's read."""

    def __init__(self, own: Callable[[str], bool]) -> None:
        """own: whether a module, by its name, is the strategy's or one of its helpers."""
        self.found: list[str] = []
        self._own = own
        prefixes = {sys.prefix, sys.base_prefix, os.environ.get("NUMBA_CACHE_DIR", sys.prefix)}
        whole = [path for one in prefixes for path in (Path(one).absolute(), Path(one).resolve())]
        self._installed = tuple(f"{one}/" for one in whole)

    def listen(self) -> None:
        """Begin, for the rest of the process's life."""
        sys.addaudithook(self.hear)
        for module, names in _PYARROW:
            place = importlib.import_module(module)
            for name in names:
                opens = getattr(place, name)
                if isinstance(opens, type):
                    opens.__init__ = self._wrapped(opens.__init__)  # type: ignore[misc]
                else:
                    setattr(place, name, self._wrapped(opens))

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Hear of an audit event of Python's."""
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & os.O_ACCMODE == os.O_WRONLY
            if isinstance(path, str | bytes) and not writes:
                self._note(os.fsdecode(path))
        elif event in _DOORS and self._asked():
            self._tell(_DOORS[event])

    def _note(self, text: str) -> None:
        path = Path(text)
        if path.suffix not in _PROGRAMS and self._asked():
            whole = str(path.absolute())
            if not whole.startswith(self._installed):
                self._tell(whole)

    def _tell(self, what: str) -> None:
        if what not in self.found:
            self.found.append(what)

    def _asked(self) -> bool:
        """Whether a function of the strategy's is on the stack."""
        frame = inspect.currentframe()
        while frame is not None:
            if self._own(str(frame.f_globals.get("__name__", ""))):
                return True
            frame = frame.f_back
        return False

    def _wrapped(self, opens: Any) -> Any:
        @wraps(opens)
        def call(*arguments: Any, **more: Any) -> Any:
            for one in (*arguments, *more.values()):
                if isinstance(one, str | os.PathLike) and Path(one).exists():  # a word is none
                    self._note(os.fspath(one))
            return opens(*arguments, **more)

        return call

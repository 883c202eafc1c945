"""Where compiled kernels are kept: one folder per state of the sources, chosen before numba is imported.

Numba checks a cached kernel against its own source file only, so a change in a helper of another file would
go unseen, and a daemon would trade on yesterday's arithmetic. A folder named by a hash over all sources below
daemon/ makes that impossible; the newest few folders are kept, so that switching between versions stays fast.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.errors import TickdError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.config import Config

#: packages whose functions are compiled
SOURCES: Final = ("kernels", "strategies", "daemon/bench")
#: folders kept; a developer's edits make a new one each
FOLDERS_MAX: Final = 12
_PREFIX: Final = "tickd-"


def activate(root: Path | None = None) -> Path:
    """Point numba at this version's folder, making it; return it. Call it before numba is imported.

    `root` defaults to NUMBA_CACHE_DIR, then CACHE_DIRECTORY (systemd), then XDG_CACHE_HOME/tickd/kernels.
    Raises TickdError when the folder cannot be written. Child processes inherit the choice.
    """
    name = _PREFIX + fingerprint()
    chosen = root or _default_root()
    folder = chosen if chosen.name == name else chosen / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)  # the newest are kept
        _prune(folder)
    except OSError as error:
        raise TickdError(
            f"compiled kernels cannot be kept in {folder} ({error.strerror}); "
            "set XDG_CACHE_HOME to a folder that can be written"
        ) from None
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    if "numba" in sys.modules:  # it read the variable at its import
        sys.modules["numba"].core.config.CACHE_DIR = str(folder)
    return folder


def daemon_kind(config: Config) -> str:
    """Return what daemons are called that compile the same.

    A strategy's file counts by what it holds, but not what it imports: that may still have to be compiled.
    """
    names = sorted({f"{_content(one.name)}{' model' if one.model else ''}" for one in config.strategy})
    return " ".join(("daemon", "paper" if config.venue.kind == "paper" else "orders", *names))


def exchange_kind(*, synthetic: bool) -> str:
    """Return what simulated exchanges are called that compile the same."""
    return "exchange synthetic" if synthetic else "exchange tape"


def is_warm(kind: str) -> bool:
    """Whether a process of this kind has once had all it needs, so that a start will hardly compile."""
    return _marker(kind).exists()


def set_warm(kind: str) -> None:
    """Note that a process of this kind has had all it needs: compiled functions alone do not tell.

    They are also there after a start that was ended in the middle.
    """
    with suppress(OSError):  # a disk that takes no more: then a start tells of minutes that it does not take
        _marker(kind).touch()


@contextmanager
def apart(name: str) -> Iterator[None]:
    """Let what is imported meanwhile keep its compiled functions in a folder of that name, within ours."""
    config = sys.modules["numba"].core.config
    before = config.CACHE_DIR
    config.CACHE_DIR = str(Path(os.environ["NUMBA_CACHE_DIR"]) / "own" / name)
    try:
        yield
    finally:
        config.CACHE_DIR = before


def fingerprint() -> str:
    """Return a hash over every compiled source and the compiler's version (hex, 16 digits)."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(f"numba {version('numba')}".encode())
    top = Path(__file__).resolve().parent.parent
    for package in SOURCES:
        for path in sorted((top / package).rglob("*.py")):
            data = path.read_bytes()
            digest.update(f"\n{path.relative_to(top)} {len(data)}\n".encode())
            digest.update(data)
    return digest.hexdigest()


def _marker(kind: str) -> Path:
    name = hashlib.blake2b(kind.encode(), digest_size=8).hexdigest()
    return Path(os.environ["NUMBA_CACHE_DIR"]) / f"warm-{name}"


def _content(reference: str) -> str:
    """Return a strategy's name; of a file's also a hash of what it holds."""
    file = reference.partition(":")[0]
    if not file.endswith(".py"):
        return reference
    try:
        data = Path(file).read_bytes()
    except OSError:  # whoever loads it says so
        data = b""
    return f"{reference} {hashlib.blake2b(data, digest_size=8).hexdigest()}"


def _default_root() -> Path:
    for variable in ("NUMBA_CACHE_DIR", "CACHE_DIRECTORY"):
        given = os.environ.get(variable)
        if given:
            return Path(given)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "tickd" / "kernels"


def _prune(current: Path) -> None:
    folders = [entry for entry in current.parent.glob(_PREFIX + "*") if entry.is_dir() and entry != current]
    folders.sort(key=_used_ns, reverse=True)
    for old in folders[FOLDERS_MAX - 1 :]:
        shutil.rmtree(old, ignore_errors=True)  # another process may be removing it too


def _used_ns(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except FileNotFoundError:  # another process has just pruned it
        return 0

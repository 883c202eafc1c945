"""A replay's progress on a terminal: drawn once it takes over a second, gone when it ends."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.progress import BarColumn, Progress, TextColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from daemon.seams import Clock

    #: (receive time of the newest entry, entries played)
    Tell = Callable[[int, int], None]

_SOON_NS: Final = 1_000_000_000
_NS: Final = 1_000_000_000


@contextmanager
def progress(console: Console, clock: Clock, first_ns: int, last_ns: int) -> Iterator[Tell]:
    """Yield what is told how far a replay is; last_ns: 0 where nobody knows where it ends."""
    if not console.is_terminal:
        yield lambda _at_ns, _count: None
        return
    begun_ns = clock.mono_ns()
    bar = Progress(TextColumn("{task.description}"), BarColumn(), console=console, transient=True)
    total = max(last_ns - first_ns, 1) if last_ns else None
    task = bar.add_task("replaying", total=total)

    def tell(at_ns: int, count: int) -> None:
        spent_ns = clock.mono_ns() - begun_ns
        if spent_ns < _SOON_NS:
            return
        if not bar.live.is_started:
            bar.start()
        moment = datetime.fromtimestamp(at_ns // _NS, UTC)
        rate = count * _NS / spent_ns
        bar.update(
            task,
            completed=at_ns - first_ns if total else None,
            description=f"{moment:%Y-%m-%d %H:%M:%S} {count:,} entries, {rate:,.0f}/s",
        )

    try:
        yield tell
    finally:
        bar.stop()

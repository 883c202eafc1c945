"""Telling of what is compiled, while it is; what is found in the cache is not worth a word.

Numba says itself when it begins to compile, and says nothing of what it loads. So a step is told of by what
happens in it, not by guessing from the cache's folder, where a strategy's own kernels may still be missing.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from numba.core.event import Listener, install_listener
from rich.console import Console

from daemon import compile_once, kernel_cache
from daemon.faces import terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numba.core.event import Event


def told_to(*, beside_others: bool) -> Console:
    """Return where it is told: standard error, in lines where other processes tell of theirs there too.

    Two that draw a bar each on one terminal would draw over one another.
    """
    return Console(stderr=True, force_terminal=False if beside_others else None)


@contextmanager
def compiling(
    console: Console, total: int, *, whose: str = "", kind: str = ""
) -> Iterator[Callable[[str], None]]:
    """Yield what is called as each of `total` named steps begins; it is shown once something compiles.

    whose: put before each name. kind: of process, of which the cache has all once every step was made.
    """
    compile_once.install()
    begun = 0
    untold: list[str] = []
    with ExitStack() as shown:
        show: Callable[[str], None] | None = None

        def begin(name: str) -> None:
            nonlocal begun
            begun += 1
            untold.append(f"{whose}{name}")

        def tell() -> None:
            nonlocal show
            if show is None:
                show = shown.enter_context(terminal.steps(console, "compiling", total))
            if console.is_terminal:  # a bar counts the steps before this one too
                for name in untold:
                    show(name)
            elif untold:  # a line names what takes so long
                show(f"{untold[-1]} ({begun} of {total})")
            untold.clear()

        with install_listener("numba:compile", _Told(tell)):
            yield begin
    if kind:
        kernel_cache.set_warm(kind)


class _Told(Listener):
    """Calls a function as each compilation begins, those inside another one too."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell

    def on_start(self, _event: Event) -> None:
        """Tell of it."""
        self._tell()

    def on_end(self, _event: Event) -> None:
        """Do nothing: the next step's name follows."""

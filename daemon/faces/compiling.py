"""Telling of what is compiled, while it is; what is found in the cache is not worth a word.

Numba says itself when it begins to compile, and says nothing of what it loads. So a step is told of by what
happens in it, not by guessing from the cache's folder, where a strategy's own kernels may still be missing.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from numba.core.event import Listener, install_listener

from daemon import compile_once
from daemon.faces import terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numba.core.event import Event
    from rich.console import Console


@contextmanager
def compiling(console: Console, total: int) -> Iterator[Callable[[str], None]]:
    """Yield what is called as each of `total` named steps begins; it is shown once something compiles."""
    compile_once.install()
    untold: list[str] = []
    with ExitStack() as shown:
        show: Callable[[str], None] | None = None

        def tell() -> None:
            nonlocal show
            if show is None:
                show = shown.enter_context(terminal.steps(console, "compiling", total))
            # a bar counts the steps before this one too; a line names what takes so long
            for name in untold if console.is_terminal else untold[-1:]:
                show(name)
            untold.clear()

        with install_listener("numba:compile", _Told(tell)):
            yield untold.append


class _Told(Listener):
    """Calls a function as each compilation begins, those inside another one too."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell

    def on_start(self, _event: Event) -> None:
        """Tell of it."""
        self._tell()

    def on_end(self, _event: Event) -> None:
        """Do nothing: the next step's name follows."""

"""How a process is told to end, by signals or the end of its parent, and by that parent to go on."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from daemon.errors import EXIT_INTERRUPTED, NetError, UsageError
from daemon.pause import pause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from daemon.seams import Seams

#: a start may take so long from its first socket on, however short the run is to be
_START_S: Final = 30.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR: Final = b"\x1b[?25h"


def catch_signals(stop: Callable[[str], object]) -> None:
    """Let the first SIGINT or SIGTERM call `stop(name)` on the running loop, and the second end at once.

    A SIGHUP, which tells that the terminal is gone, is a first one and never a second: the shell sends one,
    and so does the kernel. Where it is ignored, as below nohup, it stays so.

    The handlers are Python's own, not the loop's: those would wait for a compilation to give the loop back.
    """
    loop = asyncio.get_running_loop()
    told = False

    def tell(number: int) -> None:
        nonlocal told
        if not (told or loop.is_closed()):  # else it is ending already
            loop.call_soon_threadsafe(stop, signal.Signals(number).name)
        told = True

    def first(number: int, _: object) -> None:
        for one in _SIGNALS:
            signal.signal(one, _end)
        tell(number)

    def hang_up(number: int, _: object) -> None:
        tell(number)

    for one in _SIGNALS:
        signal.signal(one, first)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, hang_up)


@contextmanager
def signals_caught(stop: Callable[[str], object]) -> Iterator[None]:
    """Catch them meanwhile, as `catch_signals` does."""
    before = {one: signal.getsignal(one) for one in (*_SIGNALS, signal.SIGHUP)}
    catch_signals(stop)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def catch_hangup(reload: Callable[[], object]) -> None:
    """Let each SIGHUP call `reload()` on the running loop, and end nothing: there is no terminal."""
    loop = asyncio.get_running_loop()

    def hang_up(_number: int, _frame: object) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(reload)

    signal.signal(signal.SIGHUP, hang_up)


@contextmanager
def nothing_to_lose(exit_code: int) -> Iterator[None]:
    """Let a first SIGINT or SIGTERM end the process at once, with this exit code: nothing is open yet.

    While kernels compile nobody else would hear of it for half a minute.
    """

    def leave(_number: int, _frame: object) -> None:
        _leave(exit_code)

    before = [signal.signal(one, leave) for one in _SIGNALS]
    try:
        yield
    finally:
        for one, handler in zip(_SIGNALS, before, strict=True):
            signal.signal(one, handler)


async def start_in_time(
    start: asyncio.Future[None],
    stopping: asyncio.Event,
    connecting: asyncio.Event,
    seconds: float | None,
    seams: Seams,
) -> bool:
    """Return whether a start was done before its end was asked for; raises TickdError where it cannot be.

    seconds: how long the daemon is to run. A start that waits longer than that for its exchange, half a
    minute at least, is given up.
    """
    asked = asyncio.ensure_future(stopping.wait())
    late = asyncio.ensure_future(_overdue(connecting, seconds, seams))
    try:
        await asyncio.wait((start, asked, late), return_when=asyncio.FIRST_COMPLETED)
        if not start.done():
            start.cancel()
            await asyncio.wait((start,))
        in_time = not late.done()
    finally:
        asked.cancel()
        late.cancel()
    if not start.cancelled():
        start.result()
        return True
    if not in_time:
        raise NetError(
            f"not READY within {_start_s(seconds):g} s, and --seconds asks for no longer run: see the log"
        )
    return False


async def _overdue(connecting: asyncio.Event, seconds: float | None, seams: Seams) -> None:
    """Return when a start of a run of so long takes too long; of one without an end never."""
    await connecting.wait()
    if seconds is None:
        await asyncio.Event().wait()
    await pause(seams, _start_s(seconds))


def _start_s(seconds: float | None) -> float:
    return max(seconds or 0.0, _START_S)


@contextmanager
def interrupted_by_any() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt, as SIGINT does, so that what is half done is undone."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Interrupts:
    """A first SIGINT or SIGTERM raises KeyboardInterrupt only while something is waited for.

    So nothing is left half done by it; a second one raises at once.
    """

    def __init__(self) -> None:
        self._told = self._waits = False
        self._before: list[Any] = []

    def __enter__(self) -> Interrupts:
        self._before = [signal.signal(one, self._hear) for one in _SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        for one, handler in zip(_SIGNALS, self._before, strict=True):
            signal.signal(one, handler)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Raise it here, if it came already or comes meanwhile."""
        self._waits = True
        try:
            if self._told:
                raise KeyboardInterrupt
            yield
        finally:
            self._waits = False

    def _hear(self, _number: int, _frame: object) -> None:
        again, self._told = self._told, True
        if again or self._waits:
            raise KeyboardInterrupt


@contextmanager
def children_deaf() -> Iterator[None]:
    """Let processes that are started meanwhile ignore SIGINT: a terminal sends it to them, too.

    Who started them ends them in order.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def kill_self() -> None:
    """End as a power cut ends a process: at once, without a word to anybody."""
    os.kill(os.getpid(), signal.SIGKILL)


def _end(_number: int, _frame: object) -> None:
    _leave(EXIT_INTERRUPTED)


def _leave(exit_code: int) -> None:
    for stream in (1, 2):
        if os.isatty(stream):
            os.write(stream, _SHOW_CURSOR)  # a live view hides it, and nobody else will give it back
    os._exit(exit_code)


async def watch_parent(stop: Callable[[str], object], go_on: Callable[[], object] = bool) -> None:
    """Call `stop("parent")` once standard input closes, as it does when the parent ends, however it ends.

    What the parent writes before that calls `go_on`. Raises UsageError where standard input is no pipe.
    """
    mode = os.fstat(sys.stdin.fileno()).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):  # uvloop would abort the process
        raise UsageError("--with-parent wants a pipe from the parent as standard input")
    await asyncio.get_running_loop().connect_read_pipe(lambda: _Parent(stop, go_on), sys.stdin)


class _Parent(asyncio.Protocol):
    def __init__(self, stop: Callable[[str], object], go_on: Callable[[], object]) -> None:
        self._stop = stop
        self._go_on = go_on

    def data_received(self, data: bytes) -> None:
        del data
        self._go_on()

    def eof_received(self) -> bool:
        return False  # close the pipe, which tells us below

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._stop("parent")

"""One process of the daemon: everything it reaches passes here, and it can die at every such call."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from daemon.app import App
from daemon.logs import Logs
from daemon.seams import Seams
from tests.simulation.disk import RunDisk, RunWorker
from tests.simulation.loop import sleep_until
from tests.simulation.seam import Seam

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon.clock import VirtualTimer
    from tests.simulation.world import World

#: whose task or callback it is
OWNER: ContextVar[Run | None] = ContextVar("owner", default=None)


class KilledError(BaseException):
    """The process died here: nothing above may handle it."""


class RunClock:
    """A process's clock: virtual time, and how far the machine's clock was off when it was last looked at."""

    def __init__(self, world: World) -> None:
        self._time = world.time
        self._world = world
        self._offset_ns = world.clock_off_ns

    def now_ns(self) -> int:
        return self._time.now_ns() + self._offset_ns

    def mono_ns(self) -> int:
        return self._time.now_ns()

    def resync(self) -> int:
        step_ns = self._world.clock_off_ns - self._offset_ns
        self._offset_ns = self._world.clock_off_ns
        return step_ns


class Run:
    """From its start to its death. `ended` is set when nothing of it is left."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.alive = True
        self.banned_until_ns = 0  # as the exchange told it
        self.crash_in = -1  # calls of the seams from now at which it dies
        self.failure: BaseException | None = None
        self.tasks: list[asyncio.Task[Any]] = []
        self.clock = RunClock(world)
        self.seam = Seam(self)
        self.nets = world.make_nets(self)
        self.started = False
        self._context: Context = copy_context()
        self._context.run(OWNER.set, self)
        disk = RunDisk(world.disk, self)
        random = Random(world.seed * 1000 + number)
        worker = RunWorker(world.disk, self, world.time)
        self.seams = Seams(self.clock, self, self.nets[0], disk, worker, random)  # type: ignore[arg-type]
        self.logs = Logs(self.clock, lambda _: None, "warning", "json")  # type: ignore[arg-type]
        self.app = App(world.config, self.seams, self.logs, self.nets[1])
        self.ended = asyncio.Event()
        self._root: asyncio.Task[None] | None = None

    # --- its life -------------------------------------------------------------------------------------------
    def begin(self) -> None:
        """Start it, in its own context."""
        self.logs.install()
        loop = asyncio.get_running_loop()
        self._root = self._context.run(lambda: loop.create_task(self._live()))
        self._root.add_done_callback(self._on_end)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, KilledError):
            self.failure = error
        self.ended.set()

    async def _live(self) -> None:
        try:
            await self.app.live(None)
        finally:
            if self.alive:
                await self.app.abandon()
                for net in self.nets:
                    await net.close()
        if self.failure is None:
            self.failure = self.app.failure

    def kill(self, *, silently: bool = False) -> None:
        """End it as SIGKILL does: nothing more is heard of it, and nothing it left undone happens.

        silently: nobody is there either to tell the other side.
        """
        if self.alive:
            self.alive = False
            for net in self.nets:
                net.die(silently=silently)
            for task in self.tasks:
                task.cancel()
            asyncio.get_running_loop().set_exception_handler(self.world.on_loop_exception)
            self.world.note(b"killed")

    async def bury(self) -> None:
        """Put away what it left."""
        for net in self.nets:
            await net.bury()

    # --- what its seams call --------------------------------------------------------------------------------
    def touch(self, what: str) -> None:
        """Be at a place where the process can die; a dead one gets no further."""
        if not self.alive:
            raise KilledError
        if self.crash_in >= 0:
            self.crash_in -= 1
            if self.crash_in < 0:
                self.world.struck(f"crash at {what}")
                self.kill()
                raise KilledError

    def do(self, fn: Callable[..., None], *args: Any) -> None:
        """Call into the daemon from outside, unless it is dead."""
        if self.alive:
            with suppress(KilledError):
                self._context.run(fn, *args)

    def written(self, path: Path, data: bytes) -> None:
        """Take note of what was appended."""
        self.world.note(b"append", data)
        if path.suffix == ".journal":
            self.world.checks.recorded(path, data)

    def call_at(self, when_ns: int, fn: Callable[[], None]) -> VirtualTimer:
        """Be the scheduler: one that waits by the monotonic clock, as LoopTimer does."""
        wait_ns = max(0, when_ns - self.clock.now_ns())
        return self.world.time.call_at(self.world.time.now_ns() + wait_ns, partial(self.do, fn))

    async def sleep_until(self, at_ns: int) -> None:
        """Wait on the world's time."""
        await sleep_until(self.world.time, at_ns)


def make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> asyncio.Task[Any]:
    """Make tasks that are known to the process whose code makes them: the loop's task factory."""
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **more)
    owner = OWNER.get()
    if owner is not None:
        owner.tasks = [one for one in owner.tasks if not one.done()]
        owner.tasks.append(task)
    return task

"""An asyncio loop on virtual time: when nothing is left to do now, time jumps to what is due next."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daemon.clock import VirtualTime


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks and tasks; asyncio's own timers wait on the same virtual time as everything else.

    There are no sockets, no threads and no executor: who asks for one has reached past the seams.
    """

    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._virtual = time
        self._selector = _Jump(time)

    def time(self) -> float:
        """Return virtual seconds."""
        return self._virtual.now_ns() / 1e9

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        """Call it at `when`, those of equal times in the order of asking: asyncio's own heap does not."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)

        def due() -> None:
            if not handle.cancelled():
                self._ready.append(handle)

        self._virtual.call_at(round(when * 1e9), due)
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        """Likewise, so many seconds from now."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def _process_events(self, events: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        raise AssertionError("another thread calls into virtual time")

    def run_in_executor(self, *_: Any) -> Any:
        """Refuse: nothing runs beside the loop."""
        raise AssertionError("an executor was asked for past the seams")


class _Jump:
    """Where a loop would poll its sockets."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time

    def select(self, timeout: float | None) -> list[Any]:
        """Run what is due next, at its time; with work waiting (timeout 0) nothing."""
        if timeout is None:
            due_ns = self._time.next_ns
            assert due_ns is not None, "everybody waits, and nothing will ever happen"
            self._time.advance(due_ns)
        return []

    def close(self) -> None:
        """Do nothing."""

"""A dead man's switch: the exchange cancels what rests, unless it is told in time that we are alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.errors import NetError, VenueError
from daemon.pause import pause, within

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.seams import Seams

#: a countdown is told again after this part of it, so that one that failed leaves time for another
_SHARE: Final = 3
#: a person is told once so many in a row have failed, which leaves about that part of it
_FAILURES_TOLD: Final = _SHARE - 1
#: while nothing could be cancelled it is looked so often whether that is over: a share later is too late
_LOOK_S: Final = 1.0


class DeadManSwitch:
    """Tells the exchange again and again not to cancel everything yet, while we could do so ourselves."""

    def __init__(
        self,
        wait_ms: int,
        tell: Callable[[int], Awaitable[None]],
        can_cancel: Callable[[], bool],
        alarm: Callable[[str], None],
        seams: Seams,
    ) -> None:
        """`tell(wait_ms)` begins the countdown anew, 0 ends it; it raises NetError or VenueError."""
        self._wait_ms = wait_ms
        self._tell = tell
        self._can_cancel = can_cancel
        self._alarm = alarm
        self._seams = seams
        self._clock = seams.clock
        self._due_ns = seams.clock.mono_ns()
        self._failures = 0

    async def begin(self) -> None:
        """Begin the countdown anew, and be due again after a part of it, whatever becomes of this one."""
        share_s = self._wait_ms / _SHARE / 1000
        self._due_ns = self._clock.mono_ns() + int(share_s * 1e9)
        try:
            await within(self._seams, share_s, self._tell(self._wait_ms))  # the next one is due then
        except TimeoutError:
            raise NetError(f"no answer within {share_s:.1f} s") from None
        self._failures = 0

    async def end(self) -> None:
        """End the countdown; one that cannot be ended goes on, and cancels what is left then."""
        try:
            await within(self._seams, self._wait_ms / _SHARE / 1000, self._tell(0))
        except (NetError, VenueError, TimeoutError):
            return

    async def keep(self) -> None:
        """Renew it until cancelled: told or not, the exchange does what it was asked last."""
        while True:
            while (left_ns := self._due_ns - self._clock.mono_ns()) > 0:
                await pause(self._seams, left_ns / 1e9)
            if not self._can_cancel():
                await pause(self._seams, _LOOK_S)
                continue
            try:
                await self.begin()
            except (NetError, VenueError) as error:
                self._failed(error)

    def _failed(self, error: NetError | VenueError) -> None:
        self._failures += 1
        if self._failures == _FAILURES_TOLD:
            self._alarm(
                f"the exchange cannot be told that this daemon is alive ({error}), and cancels what rests "
                f"{self._wait_ms / 1000:g} s after it was told last"
            )

"""When the venue is asked for its word: at the start, after a reconnect, on demand, and every so often.

What is done with it is daemon/orders/meeting.py's. Never two at once.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from daemon.errors import FrameError, NetError, VenueError
from daemon.orders.audit import Alarm
from daemon.pause import pause, within

if TYPE_CHECKING:
    from daemon.core import Core
    from daemon.seams import Seams

#: a venue that refuses its word so often in a row means it; with these codes it is only busy, or we too fast
REFUSALS_MAX: Final = 3
BUSY: Final = frozenset({-1000, -1001, -1003, -1021, -2013, -418, -429})

#: one look failed: the next comes so soon
_AGAIN_S: Final = 1.0
#: one look did not settle everything: the next comes so soon
_SOON_S: Final = 5.0
#: looks that fail for so long are told to a person, and for so long add no risk, though orders may travel
_TOLD_NS: Final = 60_000_000_000
_BLIND_NS: Final = 300_000_000_000
#: while orders are waited for: what should not stand is cancelled so often, as soon as it is known to
_WITHDRAW_S: Final = 0.1


class Meetings:
    """Keeps the order side and the venue agreed."""

    def __init__(self, core: Core, seams: Seams, log: Any, period_s: float) -> None:
        """Wire it; `ask` may be called from now on."""
        self._core = core
        self._seams = seams
        self._log = log
        self._period_s = self._wait_s = period_s
        self._asked = asyncio.Event()
        self._asked_ns = 0  # when the word under way was asked for
        self._unseen_ns: int | None = None  # since when none came, on the monotonic clock
        self._told = False  # that none comes
        self.ask = self._asked.set

    def clock_stepped(self, step_ns: int) -> None:
        """Take the step of a clock that was set anew: what was asked for comes after what it came after."""
        self._asked_ns += step_ns

    async def first(self, *, live: bool) -> None:
        """Meet the venue before anything is sent; raises VenueError where it refuses its word.

        A line that is cut meanwhile ends no start: what the last run left at the venue is still there.
        live: orders may stand at the venue of which a power cut has taken the record. Such an order may be
        listed, or even arrive, as late as an absent one may be there after all, so it is waited for. What
        the last run left resting is withdrawn meanwhile, as in a silent market: nobody could move it.
        """
        self._asked.clear()
        await self._meet_at_last()
        waits_ns = self._core.recovery.forgets_ns(self._seams.disk.boot()) if live else 0
        if waits_ns:
            text = "the power was cut: orders of the last moment may have no record, and be listed late"
            self._log.warning("waiting", text=text, s=round(waits_ns / 1e9, 1))
            until_ns = self._seams.clock.mono_ns() + waits_ns
            while (left_ns := until_ns - self._seams.clock.mono_ns()) > 0:
                self._core.doors.withdraw_unseen()
                await pause(self._seams, min(left_ns / 1e9, _WITHDRAW_S))
            await self._meet_at_last()

    async def _meet_at_last(self) -> None:
        """Meet, tried again while the venue cannot be asked or is busy."""
        while True:
            try:
                await self.meet()
            except (NetError, VenueError) as error:
                if refuses(error):
                    raise
                self._go_unseen(str(error))
            else:
                self._see_again()
                return
            await pause(self._seams, _AGAIN_S)

    async def meet(self) -> None:
        """Compare with the venue's word, and settle."""
        core = self._core
        self._asked_ns = self._seams.clock.now_ns()
        snapshot = await core.doors.snapshot()
        found = core.doors.meet(snapshot, self._asked_ns)
        self._wait_s = min(self._period_s, _SOON_S) if found.soon else self._period_s
        for text in snapshot.notes:
            self._log.error("unread", text=text)
        for note in found.notes:
            self._log.warning("reconciled", text=note)
        for doubt in found.unsettled:
            self._log.warning("unsettled", text=doubt)
        for fault in found.fatal:
            self._log.error("irreconcilable", text=fault)

    async def run(self) -> None:
        """Meet for ever.

        A venue that goes on refusing its word, as one that lists a symbol no more, cannot be agreed with. One
        that cannot be asked may take orders all the same, by another line.
        """
        refusals = 0
        while True:
            with suppress(TimeoutError):
                await within(self._seams, self._wait_s, self._asked.wait())
            self._asked.clear()
            try:
                await self.meet()
            except (FrameError, NetError, VenueError) as error:
                self._go_unseen(str(error))
                refusals = refusals + 1 if refuses(error) else 0
                if refusals == REFUSALS_MAX:
                    self._core.doors.halt("recovery", f"the venue does not say what it holds: {error}")
                await pause(self._seams, _AGAIN_S if refusals < REFUSALS_MAX else min(self._period_s, 10.0))
                self._asked.set()
            else:
                refusals = 0
                self._see_again()

    def _go_unseen(self, why: str) -> None:
        """Say once that the account cannot be looked at; tell a person, and add no risk, when that lasts.

        The next look that succeeds opens the gate again, as after the connection for orders was down.
        """
        core, clock = self._core, self._seams.clock
        mono_ns = clock.mono_ns()
        if self._unseen_ns is None:
            self._unseen_ns = mono_ns
            self._log.warning("snapshot_failed", reason=why)
        lasts_ns = mono_ns - self._unseen_ns
        if lasts_ns >= _BLIND_NS:
            core.doors.close_venue()
        if lasts_ns >= _TOLD_NS and not self._told:
            self._told = True
            text = (
                f"for {lasts_ns / 1e9:.0f} s the account could not be seen, so what nobody told of is not "
                f"found, and after {_BLIND_NS / 1e9:g} s no risk is added: {why}"
            )
            core.orders.tell(Alarm("account_unseen", text, clock.now_ns()))

    def _see_again(self) -> None:
        """Say so where the log has that it could not be looked at."""
        if self._unseen_ns is not None:
            unseen_s = (self._seams.clock.mono_ns() - self._unseen_ns) / 1e9
            self._log.info("snapshot_again", after_s=round(unseen_s, 1))
        self._unseen_ns, self._told = None, False


def refuses(error: Exception) -> bool:
    """Whether the venue answered, and not only that it is busy."""
    return isinstance(error, VenueError) and error.code not in BUSY

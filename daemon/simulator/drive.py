"""Pacing the exchange's markets: a tape at n times its speed, a synthetic market in real time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from daemon.errors import FileFormatError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.seams import Clock
    from daemon.simulator.settings import World
    from daemon.simulator.synthetic import SyntheticDriver
    from daemon.simulator.tape import TapePlayer

#: frames played between two turns of the loop
FRAMES_MAX: Final = 512
#: how long a tape waits at its snapshot for someone to ask for the book
PATIENCE_S: Final = 5.0
#: how long the tape waits for more subscriptions once one of its streams is listened to
GRACE_S: Final = 3.0
#: the synthetic market's step
STEP_S: Final = 0.005
#: a synthetic market that fell further behind than this (a suspended machine) goes on from now
BEHIND_NS_MAX: Final = 10_000_000_000
_FOREVER_NS: Final = 1 << 62


class TapeRun:
    """One playing of a tape: waits for its listeners, plays, and says what it did."""

    def __init__(
        self, world: World, market: str, speed: float, clock: Clock, say: Callable[[dict[str, Any]], None]
    ):
        assert world.player is not None
        self._player: TapePlayer = world.player
        self._gateway = world.gateways[market]
        self._expect = frozenset(world.expect)
        self._speed = speed
        self._clock = clock
        self._say = say
        self._changed = asyncio.Event()
        self._asked = asyncio.Event()
        self.state = "waiting"
        self._gateway.hub.on_change = self._changed.set
        self._gateway.exchange.on_depth_served = self._on_depth_served

    def start(self) -> None:
        """Play now, whoever listens."""
        if self.state == "waiting":
            self.state = "starting"
            self._changed.set()

    def _on_depth_served(self, _symbol: str) -> None:
        self._player.asked = True
        self._asked.set()

    async def run(self, ready: Callable[[], Awaitable[None]]) -> None:
        """Play the whole tape; `ready` returns once listeners have read enough for more to be sent."""
        await self._wait_for_listeners()
        self.state = "playing"
        self._say(
            {"event": "tape_started", "streams": sorted(self._gateway.hub.streams()), "speed": self._speed}
        )
        try:
            started_ns = await self._play(ready, self._clock.mono_ns())
        except FileFormatError as error:
            self.state = "failed"
            self._say({"event": "tape_failed", "frames": self._player.frames, "error": str(error)})
            return
        seconds = (self._clock.mono_ns() - started_ns) / 1e9
        self.state = "ended"
        frames = self._player.frames
        self._say(
            {
                "event": "tape_ended",
                "frames": frames,
                "unreadable": self._player.unreadable,
                "seconds": round(seconds, 3),
                "frames_per_s": round(frames / seconds) if seconds else 0,
            }
        )

    async def _wait_for_listeners(self) -> None:
        """Return when every expected stream is heard, or one is and no more came within the grace."""
        while self.state == "waiting":
            heard = self._expect & set(self._gateway.hub.streams())
            if heard == self._expect:
                return
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), GRACE_S if heard else None)
            except TimeoutError:
                return

    async def _play(self, ready: Callable[[], Awaitable[None]], started_ns: int) -> int:
        """Play to the end; returns when that began, less the time spent waiting for someone to ask."""
        player, speed, clock = self._player, self._speed, self._clock
        while True:
            due_ns = _FOREVER_NS
            if speed:
                due_ns = player.first_ns + int((clock.mono_ns() - started_ns) * speed)
            batch = player.play(due_ns, FRAMES_MAX)
            if batch.waits:
                started_ns += await self._wait_for_the_book()
                continue
            await ready()
            if batch.next_ns is None:
                return started_ns
            wait_s = 0.0
            if speed and batch.frames < FRAMES_MAX:
                wait_s = (batch.next_ns - player.first_ns) / speed / 1e9 - (
                    clock.mono_ns() - started_ns
                ) / 1e9
            await asyncio.sleep(max(0.0, wait_s))

    async def _wait_for_the_book(self) -> int:
        """Wait until the book was asked for, at most PATIENCE_S; returns for how long, in ns."""
        began_ns = self._clock.mono_ns()
        try:
            await asyncio.wait_for(self._asked.wait(), PATIENCE_S)
        except TimeoutError:
            self._player.lose_patience()
        return self._clock.mono_ns() - began_ns


async def run_synthetic(drivers: list[SyntheticDriver], clock: Clock, after: Callable[[], None]) -> None:
    """Run synthetic markets in real time, for ever; `after` each step the shell looks after its listeners."""
    last_ns = clock.now_ns()
    while True:
        await asyncio.sleep(STEP_S)
        now_ns = clock.now_ns()
        # each step is cut, so that one after a long stall neither blocks the loop nor floods its listeners
        last_ns = min(now_ns, max(last_ns, now_ns - BEHIND_NS_MAX) + 1_000_000_000)
        for driver in drivers:
            driver.advance(last_ns)
        after()

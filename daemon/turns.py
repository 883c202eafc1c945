"""Turns: where one compiled call may read a frame and decide on it, and who has to see each tick instead.

Almost every frame changes nothing, and then a turn costs that one call (kernels.pipeline). Ticks of an
instrument take turns while one warm strategy follows it alone and owns nothing else, and nobody else has to
see each of them; the others wait in their ring for the drain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.spans import NoSpans
from kernels.pipeline import TURN_FULL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.feeds.base import MarketFollower, Turn
    from daemon.runtime import Runtime
    from daemon.spans import Spans


class Turns:
    """Which instruments take turns now; the feed reads `by_instrument` at every tick."""

    def __init__(
        self,
        runtimes_of: Sequence[tuple[Runtime, ...]],
        followers: Sequence[MarketFollower],
        spans: Spans,
        now_ns: Callable[[], int],
    ) -> None:
        """Wire it: none is taken until `settle`. runtimes_of: by instrument, the strategies that own it."""
        self.by_instrument: list[Turn | None] = [None] * len(runtimes_of)
        self._runtimes_of = runtimes_of
        self._followers = followers
        self._spans = spans
        self._now_ns = now_ns
        #: to be called with the receive time of a frame once a turn has decided on it; None: nobody measures
        self.on_decided = None if isinstance(spans, NoSpans) else self._decided

    def settle(self) -> None:
        """Say anew who takes turns; ticks of a strategy that warms up are counted at drains."""
        for instrument in range(len(self._runtimes_of)):
            self.settle_one(instrument)

    def settle_one(self, instrument: int) -> None:
        """Say anew whether an instrument's ticks take turns."""
        owners = self._runtimes_of[instrument]
        turn = owners[0].turn if len(owners) == 1 else None
        if any(one.fault or not one.warm for one in owners):
            turn = None
        if any(instrument in follower.watching for follower in self._followers):
            turn = None
        self.by_instrument[instrument] = turn

    def _decided(self, wire_ns: int) -> None:
        self._spans.turned(wire_ns, self._now_ns())

    def wanted(self, instrument: int, answer: int) -> int:
        """Return how many actions a turn asks for, or its fault, after whoever has to take what waits did."""
        if answer < 0 or answer & TURN_FULL:
            self.let_followers_see(instrument)
        return answer & ~TURN_FULL if answer > 0 else answer

    def let_followers_see(self, instrument: int) -> None:
        """Let everybody but the strategies take what waits."""
        for follower in self._followers:
            follower.absorb(instrument)

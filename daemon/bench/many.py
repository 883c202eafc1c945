"""The bench's many instruments: daemons that follow 1 to 500 symbols, each with a strategy and a model.

Every daemon is `tickd run --live` on the daemon's core, the others stand still. Quotes that ask for nothing
come one at a time, of one symbol after the other, which is the worst for a cache: nothing of a symbol is left
there when its turn comes again. What a tick costs is the daemon's own span of a turn: from its frame on the
wire to its decision, features and model in it. Quotes that came together, because others had the core, are
decided on at drains and are in no such span. Memory is the process's, as the kernel counts it, and what the
daemon can account for; an instrument's is the slope from the daemon with the fewest symbols.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from rich.console import Console

from daemon.bench import participants as who
from daemon.bench.exchange import Plan
from daemon.bench.running import ask, start, until
from daemon.child import Child
from daemon.clock import SystemClock
from daemon.errors import TickdError
from daemon.faces import terminal
from daemon.faces.client import fetch_status
from daemon.status import Footprint, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.bench.exchange import Segment
    from daemon.options import LatencyOptions

#: between two quotes: each is done with, and the loop has turned, before the next one comes
_GAP_NS: Final = 200_000
_SEGMENT_NS: Final = 500_000_000
#: before a round is measured, each symbol's features have had so many quotes
_LEAD_IN_TICKS: Final = 8
_ROUNDS: Final = 8
_SETTLE_S: Final = 0.02
_LOOK_S: Final = 0.05


class Many(msgspec.Struct, frozen=True, kw_only=True):
    """One daemon."""

    symbols: int
    ready_s: float  # from the command to READY, kernels compiled before
    ticks_sent: int
    ticks_taken: int
    tick_p50_us: float
    tick_p99_us: float
    resident_mb: float
    accounted: Footprint

    @property
    def ring_bytes(self) -> int:
        """What its rings take."""
        return self.accounted.rings + self.accounted.frames

    def beyond_kb(self, least: Many) -> float | None:
        """Return what an instrument costs beyond its ring, as the kernel counts it; None for the least."""
        more = self.symbols - least.symbols
        grown = (self.resident_mb - least.resident_mb) * 1e6 - (self.ring_bytes - least.ring_bytes)
        return grown / more / 1e3 if more else None

    @property
    def accounted_kb(self) -> float:
        """What an instrument costs beyond its ring, as far as it is accounted for."""
        beyond = self.accounted.streams + self.accounted.books + self.accounted.strategies
        return beyond / self.symbols / 1e3


class _Daemon:
    """One that runs, and stands still while it is not its turn."""

    def __init__(self, options: LatencyOptions, url: str, model: Path, symbols: int) -> None:
        self.symbols = symbols
        self.name = f"many-{symbols}"
        self.child = Child(f"the daemon of {symbols} symbols")
        self.sent = 0
        self.ready_s = 0.0
        one = msgspec.structs.replace(options, symbols=symbols)
        self._config = who.config(self.name, url, one, model, folder=who.FOLDER / self.name, warmup_ticks=0)
        self._socket = Path(self._config.http.socket)
        self._url = url

    async def start(self, core: int) -> None:
        """Start it and wait until it is READY and both its connections are there."""
        clock = SystemClock()
        path = who.prepare(self._config)
        begun_ns = clock.mono_ns()
        await start(self.child, core, who.daemon_command(path), {**os.environ, **who.KEYS})
        await until(self.child, self._socket, lambda status: status.state == "READY", _LOOK_S)
        self.ready_s = (clock.mono_ns() - begun_ns) / 1e9
        await until(self.child, self._socket, lambda status: status.feed_connected)
        await self.take(_LEAD_IN_TICKS * self.symbols * _GAP_NS)
        self.child.pause()

    async def take(self, duration_ns: int) -> Segment:
        """Have it take quotes for so long."""
        plan = Plan(kind="quotes", duration_ns=duration_ns, gap_ns=_GAP_NS, symbols=self.symbols)
        segment = await asyncio.to_thread(ask, self._url, self.name, plan)
        if segment.fault:
            raise TickdError(f"measuring {self.symbols} symbols failed: {segment.fault}")
        self.sent += segment.sent
        return segment

    async def end(self) -> Many:
        """End it in order; return what it was."""
        self.child.go_on()
        await asyncio.sleep(_SETTLE_S)
        accounted = fetch_status(self._socket).footprint
        resident_mb = self.child.resident_bytes() / 1e6
        self.child.end()
        printed = await self.child.output()
        if self.child.exit_code or not printed:
            raise self.child.failure()
        status = msgspec.json.decode(printed, type=Status)
        turns = next(one for one in status.latency if one.stage == "turn")
        return Many(
            symbols=self.symbols,
            ready_s=self.ready_s,
            ticks_sent=self.sent,
            ticks_taken=status.events,
            tick_p50_us=(turns.p50_s or 0.0) * 1e6,
            tick_p99_us=(turns.p99_s or 0.0) * 1e6,
            resident_mb=resident_mb,
            accounted=accounted,
        )


async def measure(
    options: LatencyOptions, url: str, core: int, model: Path, children: dict[str, Child]
) -> list[Many]:
    """Measure a daemon for each of `options.many`; who was started is in `children`, by name."""
    daemons = [_Daemon(options, url, model, symbols) for symbols in sorted(options.many)]
    try:
        with terminal.steps(Console(stderr=True), "measuring", len(daemons) + _ROUNDS) as say:
            for one in daemons:
                say(f"the start with {one.symbols} symbol{'s' if one.symbols > 1 else ''}")
                children[one.name] = one.child
                await one.start(core)
            for number in range(1, _ROUNDS + 1):
                say(f"many instruments, round {number} of {_ROUNDS}")
                for one in daemons:
                    await _round(one)
        return [await one.end() for one in daemons]
    finally:
        for one in daemons:
            one.child.go_on()
            await one.child.gone()
            children.pop(one.name, None)


async def _round(one: _Daemon) -> None:
    one.child.go_on()
    await asyncio.sleep(_SETTLE_S)
    await one.take(_SEGMENT_NS)
    await asyncio.sleep(_SETTLE_S)
    one.child.pause()


def breaches(many: Sequence[Many]) -> list[str]:
    """Return a sentence for each daemon that did not take all it was sent."""
    return [
        f"{one.ticks_sent} ticks of {one.symbols} symbols were sent, but {one.ticks_taken} taken in"
        for one in many
        if one.ticks_sent != one.ticks_taken
    ]

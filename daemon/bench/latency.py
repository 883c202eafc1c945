"""`tickd bench latency`: the production path, wire to wire, beside a floor, an echo and a naive stack.

An exchange process sends ticks over real websockets and measures how long the order takes that answers each
(daemon/bench/exchange.py). The daemon is `tickd run --live` with a configuration that names that exchange, so
that nothing is skipped; the others stand in its place in turns, on the same core, and whoever is not its turn
is stopped. Figures are ratios of neighbouring segments, because machines change their speed.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from rich.console import Console

from daemon.bench import many, plans
from daemon.bench import participants as who
from daemon.bench.bare import Bare
from daemon.bench.exchange import Plan, Segment
from daemon.bench.judge import Judge
from daemon.bench.model import load_trees, with_trees
from daemon.bench.proof import prove
from daemon.bench.report import make_report, show
from daemon.bench.running import ask, start, until
from daemon.child import Child
from daemon.disk import RealDisk
from daemon.errors import EXIT_DONE, CheckFailedError, TickdError, UsageError
from daemon.faces import terminal
from daemon.lifetime import catch_signals
from daemon.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from daemon.bench.plans import Step
    from daemon.bench.report import Report
    from daemon.bench.results import Proof
    from daemon.options import LatencyOptions

    #: what is measured in this process, and where its rounds are kept
    _Alone = Sequence[tuple[Bare | Judge, list[NDArray[np.int64]]]]

#: before any is measured, a daemon's features are fed for so long; others answer ticks for so long
_FEED: Final = Plan(kind="unmarked", duration_ns=1_500_000_000, gap_ns=100_000)
_WARM: Final = Plan(kind="closed", duration_ns=300_000_000, gap_ns=100_000)
#: before each segment, to fill caches that others emptied; its orders count, its times do not
_LEAD_IN: Final = Plan(kind="closed", duration_ns=20_000_000, gap_ns=100_000)
#: what a process that goes on has to do before it is measured, and one that was before it is stopped
_SETTLE_S: Final = 0.02


def run(options: LatencyOptions) -> int:
    """Measure and print; raises TickdError, and CheckFailedError for what was skipped or has become slow."""
    try:
        report = asyncio.run(_run(options))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    show(report, as_json=options.json)
    breaches = [text for proof in report.proofs for text in proof.breaches()] + many.breaches(report.many)
    if breaches:
        raise CheckFailedError("the bench proves nothing: " + "; ".join(breaches))
    worse = [f"{one.what} is {one.measured:,.2f}" for one in report.targets if not one.kept]
    if options.check and worse:
        raise CheckFailedError("it has become slower than noise explains: " + "; ".join(worse))
    return EXIT_DONE


def choose_cores(options: LatencyOptions) -> tuple[int, int]:
    """Return the exchange's core and the daemon's; one and the same, where there is no other."""
    allowed = sorted(os.sched_getaffinity(0))
    cores = options.cores or tuple(allowed[:2])
    for core in cores:
        if core not in allowed:
            there = ", ".join(str(one) for one in allowed)
            raise UsageError(f"core {core} is asked for, and this process may use {there}")
    return cores[0], cores[-1]


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Stay on one core inside."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def can_be_naive() -> bool:
    """Whether the packages of the naive stack are installed."""
    return all(find_spec(name) is not None for name in ("pandas", "lightgbm"))


async def _run(options: LatencyOptions) -> Report:
    cores = choose_cores(options)
    disk = RealDisk()
    model = with_trees(disk, options.trees, who.FOLDER / f"trees-{options.trees}")
    exchange = Child("the bench's exchange")
    children: dict[str, Child] = {}  # who may stand still
    _end_on_signal(children)
    try:
        url = options.exchange
        if not url:
            await start(exchange, cores[0], who.exchange_command(options), os.environ)
            url = (await exchange.message("ready"))["url"]
        bench = Bench(options, url, cores[1], model, children)
        await bench.measure_latency()
        await bench.measure_throughput()
        await exchange.gone()
        compared = await _measure_many(options, cores, model, children)
    finally:
        await exchange.gone()
    return make_report(
        options,
        cores,
        bench.measured,
        bench.statuses,
        bench.proofs,
        bench.bare_ns,
        bench.judge_ns,
        compared,
    )


async def _measure_many(
    options: LatencyOptions, cores: tuple[int, int], model: Path, children: dict[str, Child]
) -> list[many.Many]:
    """Measure daemons of many symbols at an exchange that has as many; another's own has what it has."""
    if options.exchange or not options.many:
        return []
    exchange = Child("the exchange of many symbols")
    try:
        widest = msgspec.structs.replace(options, symbols=max(options.many))
        await start(exchange, cores[0], who.exchange_command(widest), os.environ)
        url = (await exchange.message("ready"))["url"]
        return await many.measure(options, url, cores[1], model, children)
    finally:
        await exchange.gone()


def _end_on_signal(children: dict[str, Child]) -> None:
    """Let a first signal cancel this task, when nobody stands still any more: such would outlive a second."""
    task = asyncio.current_task()
    assert task is not None

    def stop(_: str) -> None:
        for child in children.values():
            child.go_on()
        task.cancel()

    catch_signals(stop)


class Bench:
    """One run: whoever is measured goes on, all others stand still."""

    def __init__(
        self, options: LatencyOptions, url: str, core: int, model: Path, children: dict[str, Child]
    ) -> None:
        """Measure at the exchange `url`; who is started is kept in `children`, by name."""
        self.measured: dict[tuple[str, str], list[Segment]] = {}
        self.statuses: list[Status] = []
        self.proofs: list[Proof] = []
        self.bare_ns: list[NDArray[np.int64]] = []  # by round
        self.judge_ns: list[NDArray[np.int64]] = []  # likewise
        self._options = options
        self._url = url
        self._core = core
        self._model = model
        self._children = children
        self._all: dict[str, list[Segment]] = {}  # lead-ins too

    async def measure_latency(self) -> None:
        """Run the rounds in which all take turns."""
        names = [who.FLOOR_SPIN, who.FLOOR_SLEEP, who.ECHO]
        if can_be_naive():
            names.append(who.NAIVE)
        try:
            for name in names:
                await self._start_peer(name)
            await self._start_daemon(who.OURS)
            seed = self._options.seed
            bare = Bare(load_trees(RealDisk(), self._model), self._options.symbols, seed)
            alone: _Alone = [(bare, self.bare_ns), (Judge(seed), self.judge_ns)]
            steps = plans.round_of(self._options, plans.segment_ns(self._options))
            await self._rounds([step for step in steps if step.participant in self._children], alone)
            await self._end_daemon(who.OURS)
        finally:
            await self._end_all()

    async def measure_throughput(self) -> None:
        """Run the rounds of ours alone, on a daemon that starts anew."""
        try:
            await self._start_daemon(who.OURS_FLOODED)
            await self._rounds(plans.throughput_of(self._options, plans.segment_ns(self._options)))
            await self._end_daemon(who.OURS_FLOODED)
        finally:
            await self._end_all()

    # --- processes ------------------------------------------------------------------------------------------
    async def _start_peer(self, name: str) -> None:
        child = self._children[name] = Child(name)
        command = who.peer_command(name, self._url, self._options, self._model)
        await start(child, self._core, command, os.environ)
        await child.message("ready")
        await self._segment(name, _WARM)
        child.pause()

    async def _start_daemon(self, name: str) -> None:
        config = who.config(name, self._url, self._options, self._model)
        path = who.prepare(config)
        child = self._children[name] = Child("the daemon")
        await start(child, self._core, who.daemon_command(path), {**os.environ, **who.KEYS})
        socket = Path(config.http.socket)
        await until(child, socket, lambda status: status.feed_connected and status.venue_up)
        await self._segment(name, _FEED)
        await until(child, socket, lambda status: status.state == "READY")
        await self._segment(name, _WARM)
        child.pause()

    async def _end_daemon(self, name: str) -> None:
        """End the daemon in order, and count what it did."""
        child = self._children[name]
        child.go_on()
        await asyncio.sleep(_SETTLE_S)
        child.end()
        printed = await child.output()
        if child.exit_code:
            raise child.failure()
        status = msgspec.json.decode(printed, type=Status)
        self.statuses.append(status)
        self.proofs.append(prove(status, self._all[name], RealDisk(), who.FOLDER / "journal"))

    async def _end_all(self) -> None:
        for name, child in list(self._children.items()):
            child.go_on()
            await child.gone()
            del self._children[name]

    # --- segments -------------------------------------------------------------------------------------------
    async def _rounds(self, steps: list[Step], alone: _Alone = ()) -> None:
        count = plans.rounds(self._options)
        scenarios = ", ".join(dict.fromkeys(step.scenario for step in steps))
        with terminal.steps(Console(stderr=True), "measuring", count) as say:
            for number in range(1, count + 1):
                say(f"{scenarios}, round {number} of {count}")
                for step in steps:
                    await self._measure(step)
                with on_core(self._core):  # where nobody is at work now
                    for kernels, taken in alone:
                        taken.append(kernels.measure())

    async def _measure(self, step: Step) -> None:
        child = self._children[step.participant]
        child.go_on()
        await asyncio.sleep(_SETTLE_S)
        await self._segment(step.participant, _LEAD_IN)
        segment = await self._segment(step.participant, step.plan)
        self.measured.setdefault((step.scenario, step.participant), []).append(segment)
        await asyncio.sleep(_SETTLE_S)
        child.pause()

    async def _segment(self, name: str, plan: Plan) -> Segment:
        segment = await asyncio.to_thread(ask, self._url, name, plan)
        self._all.setdefault(name, []).append(segment)
        if segment.fault:
            raise TickdError(f"measuring {name} failed: {segment.fault}")
        if plan.kind != "unmarked" and not segment.orders:
            raise TickdError(
                f"a segment of {name} had no order; measure for more --seconds, or at a higher --rate"
            )
        return segment

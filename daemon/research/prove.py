"""`tickd backtest --prove`: nothing that a strategy decides comes from what the record says later.

The record is run once, watched at each decision. Then it has to come to the same rows, decisions, requests
and fills, to the last bit

    again, in this process: a global that goes on, a random number and the clock show
    in another process, under another hash seed and a clock that is months ahead
    at each cut, with the record ended there
    at each cut, with all that follows it altered

Up to a cut everything has to be the same. What the strategy reads beside the record no cut can take away, so
that is a failure too (daemon/research/reads.py says what is seen of it).
"""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from daemon.errors import ReportedError, TickdError, UsageError
from daemon.faces.journal_table import iso
from daemon.research.difference import Found, Rows, first_difference
from daemon.research.peeking import before, choose_cuts, read_ahead
from daemon.research.prove_child import Answer, Ask
from daemon.research.trial import Bench
from daemon.research.unlike import decision_found
from daemon.research.witness import Decision, Witness
from daemon.tape.replay import Given
from kernels.backtest_state import FILL_ROW, SENT_ROW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from daemon.options import BacktestOptions
    from daemon.research.market import Events
    from daemon.research.peeking import Before, Cut

    Part = tuple[Callable[[], Iterable[Events]], bool]

_WHOLE: Final = "the first run"
_HIDDEN: Final = "it decides by something that is no part of its state: a global, a random number, the clock"
_AHEAD: Final = "it depends on what comes later"
_KILLED: Final = "the other process of the proof was killed; start again"
_MODULE: Final = "daemon.research.prove_child"


class Proof(msgspec.Struct, kw_only=True):
    """What came of it."""

    file: str
    symbol: str
    strategy: str
    events: int
    decisions: int  # of the whole record, as the next two
    requests: int
    fills: int
    seed: int
    cuts: list[int] = []  # before the events of these numbers, from 0
    compared: int = 0  # decisions with their rows, at all cuts together
    proven: bool = True
    failed: str = ""  # again, process, reads, read, ended or altered
    cut: int | None = None  # the number of the cut that shows it, from 1
    cut_event: int | None = None
    cut_time: str = ""
    reads: list[str] = []  # what the strategy reads beside what it is given
    difference: Found | None = None
    text: str = ""  # what was proven, or what was not


def prove(options: BacktestOptions, tell: Callable[[int], object]) -> Proof:
    """Prove it, or find what speaks against it; tell: called with the number of parts that are done.

    Raises ConfigError, FileFormatError and TickdError as a backtest does.
    """
    bench = Bench(options.path, Given(options.config, options.strategy, options.model), options.point_s)
    bench.read()
    if bench.record.events == len(bench.record.blocks):
        raise UsageError(f"{options.path} holds too few ticks to be cut: {bench.record.events}")
    return Prover(options, bench, tell).prove()


class Prover:
    """One proof."""

    def __init__(self, options: BacktestOptions, bench: Bench, tell: Callable[[int], object]) -> None:
        self._options = options
        self._bench = bench
        self._tell = tell
        self._done = 0
        self._run = self._watched(bench.record.whole()).run()
        sent, fills = self._run.rows
        self.proof = Proof(
            file=str(options.path),
            symbol=bench.instrument.symbol,
            strategy=bench.plan.config.name,
            events=bench.record.events,
            decisions=len(self._run.digests),
            requests=len(sent),
            fills=len(fills),
            seed=options.seed,
        )

    def prove(self) -> Proof:
        """Do it."""
        self._step()
        proof = self.proof
        if self._again() and self._elsewhere() and self._cut():
            count = len(proof.cuts)
            proof.text = (
                f"proven for {proof.strategy} on {proof.file}: at {count} cuts of {proof.events:,} events, "
                f"ended there and altered behind them, {proof.compared:,} decisions with their rows, and the "
                f"requests and fills before each cut, are the same; so are all {proof.decisions:,} "
                f"decisions, {proof.requests:,} requests and {proof.fills:,} fills of a second run and of "
                "another process"
            )
        return proof

    def _step(self) -> None:
        self._done += 1
        self._tell(self._done)

    # --- the same data again -------------------------------------------------------------------------------
    def _again(self) -> bool:
        parts = [(self._bench.record.whole, False)]
        found = self._difference(Witness(self._bench), parts, "the second run", whole=True)
        self._step()
        return found is None or self._fail("again", f"a second run here is not the same: {_HIDDEN}", found)

    def _elsewhere(self) -> bool:
        answer = asyncio.run(_ask(self._spec()))
        self._step()
        whose = _WHOLE, "the other process"
        if answer.error:
            raise TickdError(f"another process could not run it: {answer.error}")
        found = None
        number, reference = answer.decisions, self._run
        alike = 0 < number <= len(reference.digests) and int(reference.digests[number - 1]) == answer.digest
        if number and not alike:
            other = Decision(answer.now_ns, tuple(answer.row), answer.wanted)
            found = decision_found(number, self._decision(number), other, whose)
        elif number < len(reference.digests):
            found = decision_found(number + 1, self._decision(number + 1), None, whose)
        else:
            rows = Rows(np.frombuffer(answer.sent, SENT_ROW), np.frombuffer(answer.fills, FILL_ROW))
            found = first_difference(reference.rows, rows, whose, self._bench.instrument)
        self.proof.reads = answer.reads
        if answer.reads:
            text = (
                f"it reads {', '.join(answer.reads)}: no cut of the record takes away what is known of the "
                "future there; give it numbers as parameters, in its source or as a model's bundle"
            )
            return self._fail("reads", text, None)
        if found is None:
            return True
        text = f"another process, with another hash seed and clock, does not decide the same: {_HIDDEN}"
        return self._fail("process", f"{text}, the order of a set", found)

    def _spec(self) -> Ask:
        one = self._options
        return Ask(
            path=str(one.path),
            strategy=self._bench.config.strategy[0].name,
            model=None if one.model is None else str(one.model),
            config=b"" if one.config is None else msgspec.json.encode(one.config),
            digests=self._run.digests.tobytes(),
        )

    # --- cuts ----------------------------------------------------------------------------------------------
    def _cut(self) -> bool:
        record, one = self._bench.record, self._options
        cuts = choose_cuts(record, self._run.rows.sent["now_ns"], one.cuts, one.seed)
        self.proof.cuts = [cut.event for cut in cuts]
        sizes = [block.events for block in record.blocks]
        ahead = read_ahead(one.path, self._bench.instrument, record.header, cuts, sizes)
        if ahead is not None:
            return self._fail("read", "ticks are read otherwise where the record ends there", None, ahead)
        for cut in cuts:
            decisions = self._ended(cut, before(record, cut, None))
            altered = before(record, cut, self._bench.instrument)
            if decisions is None or not self._altered(cut, altered, decisions):
                return False
        return True

    def _ended(self, cut: Cut, what: Before) -> int | None:
        """Return how many decisions there are before a cut; None: they are not those of the whole record."""
        test = Witness(self._bench)
        parts: list[Part] = [(what.first, False), (partial(iter, [what.last]), False)]
        found = self._difference(test, parts, "the record that ends at the cut")
        self._step()
        if found is not None:
            self._fail("ended", _AHEAD, found, cut)
            return None
        self.proof.compared += test.decisions
        return test.decisions

    def _altered(self, cut: Cut, what: Before, until: int) -> bool:
        test = Witness(self._bench)
        parts: list[Part] = [(what.first, False), (partial(iter, [what.last]), True)]
        found = self._difference(test, parts, "the record altered behind the cut", until=until)
        self._step()
        self.proof.compared += test.decisions
        return found is None or self._fail("altered", _AHEAD, found, cut)

    # --- what is compared ----------------------------------------------------------------------------------
    def _difference(
        self,
        test: Witness,
        parts: Sequence[Part],
        whose: str,
        *,
        until: int = -1,
        whole: bool = False,
    ) -> Found | None:
        """Run it, and return the first difference from the first run; None: as far as it goes it is the same.

        parts: events, and whether they are watched, up to decision number `until`. whole: that is all of it.
        """
        reference, names = self._run, (_WHOLE, whose)
        try:
            for events, watched in parts:
                if watched:
                    test.watch(until, reference.digests)
                test.take_all(events())
        except TickdError as error:
            return Found(text=f"{whose} comes to no end: {error}", what="error", other=str(error))
        count, known = test.decisions, len(reference.digests)
        alike = count <= known and (not count or int(reference.digests[count - 1]) == test.digest)
        if not alike:
            return self._first_decision(test, parts, names, until)
        if count < known and whole:
            return decision_found(count + 1, self._decision(count + 1), None, names)
        rows = test.run().rows
        if not whole:  # what is behind the last decision need not have happened here
            since_ns = int(reference.times_ns[count - 1]) if count else 0
            reference = reference._replace(rows=_up_to(reference.rows, rows, since_ns))
        return first_difference(reference.rows, rows, names, self._bench.instrument)

    def _first_decision(
        self, test: Witness, parts: Sequence[Part], names: tuple[str, str], until: int
    ) -> Found:
        """Return the first decision that is not as the first run has it."""
        if not test.ended:  # it was not watched
            test = Witness(self._bench)
            test.watch(until, self._run.digests)
            for events, _ in parts:
                test.take_all(events())
        count = test.decisions
        return decision_found(count, self._decision(count), test.run().last, names)

    def _decision(self, number: int) -> Decision | None:
        """Return a decision of the first run by its number, from 1; None: it has not so many.

        What it saw is found by running it again: that is the record's, and not the strategy's.
        """
        if number > len(self._run.digests):
            return None
        test = Witness(self._bench)
        test.watch(number)
        test.take_all(self._bench.record.whole())
        last = test.run().last
        wanted = self._run.wanted[number - 1] if number <= len(self._run.wanted) else None
        same = last is not None and test.digest == int(self._run.digests[number - 1])
        if last is not None and wanted is None and same:
            wanted = last.wanted
        return Decision(int(self._run.times_ns[number - 1]), () if last is None else last.row, wanted)

    def _watched(self, events: Iterable[Events]) -> Witness:
        test = Witness(self._bench)
        test.watch()
        test.take_all(events)
        return test

    def _fail(self, how: str, text: str, found: Found | None, cut: Cut | None = None) -> bool:
        proof = self.proof
        proof.proven, proof.failed, proof.difference = False, how, found
        head = proof.strategy
        if cut is not None:
            proof.cut, proof.cut_event, proof.cut_time = cut.number, cut.event, iso(cut.wire_ns)
            head += (
                f", at cut {cut.number} of {len(proof.cuts)}, before event {cut.event:,} of "
                f"{proof.events:,} ({proof.cut_time})"
            )
        proof.text = f"not proven for {head}: {text}" + ("" if found is None else f"; {found.text}")
        return False


def _up_to(rows: Rows, of: Rows, since_ns: int) -> Rows:
    """Return as many rows as another run has, and all that are older than a time."""
    counts = [
        max(len(mine), int(np.searchsorted(table[time], since_ns, side="left")))
        for table, mine, time in ((rows.sent, of.sent, "now_ns"), (rows.fills, of.fills, "told_ns"))
    ]
    return Rows(rows.sent[: counts[0]], rows.fills[: counts[1]])


async def _ask(ask: Ask) -> Answer:
    """Let another process run it; raises TickdError where it cannot."""
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        _MODULE,
        env={**os.environ, "PYTHONHASHSEED": seed},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        said, _ = await process.communicate(msgspec.msgpack.encode(ask))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise ReportedError(process.returncode) if process.returncode > 0 else TickdError(_KILLED)
    return msgspec.msgpack.decode(said, type=Answer)

"""Orders and reports take their time: fixed, or drawn from what a journal's orders waited."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.clock import VirtualTime
from daemon.errors import ConfigError
from daemon.events import ExecutionReport
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.orders.journal import Journal
from daemon.orders.records import PLACE, Checkpoint, Run, pack, pack_action
from daemon.orders.valuation import Baseline
from daemon.venues.paper_latency import Way, drawn, fixed, folder_of, measured
from kernels.dtypes import X_REFUSAL

FOLDER = Path("/journal")
START = 1_700_000_000_000_000_000
EMPTY = Checkpoint(1, None, [], [], [], {}, {}, [], Baseline(), 0)


def placed(seq, now_ns):
    return pack_action(PLACE, now_ns, seq, 0, 0, *[0] * (X_REFUSAL + 1))


def report(seq, wire_ns, kind="NEW", run=4, reason=""):
    return ExecutionReport(
        kind=kind,
        client_order_id=f"t-{run}-{seq}",
        instrument=0,
        exch_ns=wire_ns,
        wire_ns=wire_ns,
        reason=reason,
    )


def journal_of(*records):
    disk = MemoryDisk()
    journal = Journal(disk, InlineWorker(), FOLDER, sync="os")
    journal.begin(Run(1, "t", 4, "0", [], [], ""), EMPTY)
    for record in records:
        journal.append(record if isinstance(record, bytes) else pack(record))
    return disk


def answered(times):
    return [one for k, ns in enumerate(times, 1) for one in (placed(k, START), report(k, START + ns))]


# --- the journal's own ------------------------------------------------------------------------------------
def test_what_is_measured_is_from_the_tick_to_the_first_word():
    times = [(k + 1) * 1_000_000 for k in range(25)]
    disk = journal_of(*answered(times), report(3, START + 10**12, kind="TRADE"))
    assert measured(disk, FOLDER) == times


def test_only_the_venues_own_words_in_the_run_that_asked_count():
    times = [2_000_000] * 20
    disk = journal_of(
        *answered(times),
        placed(21, START),
        report(21, START + 5, kind="TIMEOUT"),  # ours
        report(21, START + 9_000_000, kind="STATUS"),
        placed(22, START),
        report(22, START + 1, kind="REJECTED", reason="not sent: the connection is gone"),
        placed(23, START),
        Run(START, "t", 5, "0", [], [], ""),
        report(23, START + 10**12),  # found out by the next start
        placed(1, START),
        report(1, START + 3_000_000, run=5, kind="REJECTED", reason="Filter failure"),
    )
    assert measured(disk, FOLDER) == [*times, 3_000_000]


def test_too_few_answers_are_no_distribution():
    with pytest.raises(ConfigError, match=r"/journal holds 19 answered orders, and 20 or more are needed"):
        measured(journal_of(*answered([5] * 19)), FOLDER)
    assert len(measured(journal_of(*answered([5] * 20)), FOLDER)) == 20


def test_a_damaged_journal_is_refused_by_name():
    disk = MemoryDisk()
    disk.replace(FOLDER / "00000001.journal", b"something else" * 9)
    with pytest.raises(ConfigError, match=r"paper\.latency: the journal /journal/00000001\.journal"):
        measured(disk, FOLDER)


@pytest.mark.parametrize("latency", ["", "fast", "measured:", "measure:x"])
def test_a_latency_is_fixed_or_names_a_journal(latency):
    assert folder_of("fixed") is None
    assert folder_of("measured:var/x") == Path("var/x")
    with pytest.raises(ConfigError, match=r"is neither"):
        folder_of(latency)


# --- on the way -------------------------------------------------------------------------------------------
def test_draws_are_the_round_trips_there_and_back_and_the_same_in_every_run():
    round_trips = [1_001, 20_000, 5_000_000]
    one, other = drawn(round_trips), drawn(round_trips)
    draws = [one() for _ in range(3_000)]
    assert draws == [other() for _ in range(3_000)]
    counts = [sum(there + back == ns for there, back in draws) for ns in round_trips]
    assert sum(counts) == 3_000
    assert min(counts) > 900
    assert {there for there, back in draws if there + back == 1_001} == {500}


class Line:
    """A way, and when what went over it arrived."""

    def __init__(self, delays):
        self.time = VirtualTime(START)
        self.way = Way(self.time, self.time, delays)
        self.heard = []

    def told(self, name):
        self.heard.append((name, self.time.now_ns() - START))

    def ask(self, name):
        def arrive():
            self.told(name)
            self.way.tell(lambda: self.told(f"{name} answered"))

        self.way.send(arrive)

    def wait(self, ns):
        self.time.advance(self.time.now_ns() + ns)


def test_fixed_delays_are_one_there_and_one_back():
    line = Line(fixed(30, 50))
    line.ask("a")
    line.wait(1_000)
    assert line.heard == [("a", 30), ("a answered", 80)]


def test_an_answer_takes_the_rest_of_its_requests_draw_and_an_unasked_report_its_own():
    draws = iter([(10, 20), (7, 400), (1, 90)])
    line = Line(lambda: next(draws))
    line.ask("a")
    line.wait(100)
    line.way.tell(lambda: line.told("fill"))
    line.wait(1_000)
    line.ask("b")
    line.wait(1_000)
    assert line.heard == [("a", 10), ("a answered", 30), ("fill", 500), ("b", 1_101), ("b answered", 1_191)]


def test_nothing_overtakes_what_went_before_it():
    draws = iter([(500, 500), (1, 1), (1, 1)])
    line = Line(lambda: next(draws))
    line.ask("slow")
    line.ask("quick")
    line.wait(5_000)
    assert line.heard == [
        ("slow", 500),
        ("quick", 500),
        ("slow answered", 1_000),
        ("quick answered", 1_000),
    ]


def test_a_clock_that_was_set_back_holds_nothing_up():
    draws = iter([(10**12, 1), (5, 1)])
    line = Line(lambda: next(draws))
    line.ask("before")
    line.way.restart()
    line.ask("after")
    line.wait(100)
    assert line.heard == [("after", 5), ("after answered", 6)]

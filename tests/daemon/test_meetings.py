from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace

import pytest

from daemon.clock import VirtualTime
from daemon.errors import NetError, VenueError
from daemon.meetings import REFUSALS_MAX, Meetings
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.orders.meeting import Differences
from daemon.seams import Boot, Seams
from kernels.dtypes import GATE_VENUE_DOWN

SECOND = 1_000_000_000


class Log:
    def __init__(self):
        self.lines = []

    def warning(self, event, **more):
        self.lines.append((event, more))

    error = info = warning


class Core:
    """A venue and an order side that only remember when they were asked."""

    def __init__(self, time):
        self.time = time
        self.asked = []
        self.fails = []  # what the next snapshots raise
        self.forgets = 0
        self.halts = []
        self.withdrawn = []  # when
        self.told, self.gates = [], []
        self.orders = SimpleNamespace(
            tell=lambda alarm: self.told.append((time.now_ns() // SECOND, alarm.kind)),
        )
        self.doors = SimpleNamespace(
            withdraw_unseen=lambda: self.withdrawn.append(time.now_ns()),
            snapshot=self.snapshot,
            meet=lambda snapshot, asked_ns: Differences(["a note"], ["a fault"]),
            halt=lambda *why: self.halts.append(why),
            close_venue=lambda: self.gates.append((time.now_ns() // SECOND, GATE_VENUE_DOWN)),
        )
        self.recovery = SimpleNamespace(
            forgets_ns=self.forgets_ns,
        )

    async def snapshot(self):
        self.asked.append(self.time.now_ns() // SECOND)
        if self.fails:
            raise self.fails.pop(0)
        return SimpleNamespace(notes=["unread"])

    def forgets_ns(self, boot):
        assert boot == Boot("memory", 0)
        return self.forgets


class Desk:
    def __init__(self):
        self.time = VirtualTime()
        self.core = Core(self.time)
        self.log = Log()
        seams = Seams(self.time, self.time, None, MemoryDisk(), InlineWorker(), Random(1))
        self.meetings = Meetings(self.core, seams, self.log, 30.0)

    async def play(self, work, until_s):
        """Run `work` for so long."""
        task = asyncio.ensure_future(work)
        for _ in range(20):
            await asyncio.sleep(0)
        while not task.done() and (self.time.next_ns or 1 << 62) <= until_s * SECOND:
            self.time.advance(self.time.next_ns)
            for _ in range(20):
                await asyncio.sleep(0)
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
        else:
            task.result()


@pytest.fixture
def desk():
    return Desk()


def test_the_first_meeting_is_one_look(desk):
    asyncio.run(desk.play(desk.meetings.first(live=True), 100))
    assert desk.core.asked == [0]
    assert desk.log.lines == [
        ("unread", {"text": "unread"}),
        ("reconciled", {"text": "a note"}),
        ("irreconcilable", {"text": "a fault"}),
    ]


def test_a_first_look_that_fails_ends_no_start_and_is_tried_again(desk):
    desk.core.fails = [NetError("the line is cut"), VenueError(-1003, "too many requests")]
    asyncio.run(desk.play(desk.meetings.first(live=True), 100))
    assert desk.core.asked == [0, 1, 2]
    said = [(event, more) for event, more in desk.log.lines if event.startswith("snapshot_")]
    assert said == [
        ("snapshot_failed", {"reason": "the line is cut"}),
        ("snapshot_again", {"after_s": 2.0}),
    ]


def test_a_venue_that_refuses_its_first_word_ends_the_start(desk):
    desk.core.fails = [VenueError(-2015, "no such key")]
    with pytest.raises(VenueError, match="no such key"):
        asyncio.run(desk.play(desk.meetings.first(live=True), 100))
    assert desk.core.asked == [0]


@pytest.mark.parametrize(("live", "asked"), [(True, [0, 42]), (False, [0])])
def test_after_a_power_cut_a_live_daemon_looks_again_when_all_that_was_sent_must_be_listed(desk, live, asked):
    desk.core.forgets = 42 * SECOND
    asyncio.run(desk.play(desk.meetings.first(live=live), 100))
    assert desk.core.asked == asked
    assert any(event == "waiting" for event, _ in desk.log.lines) is live
    assert desk.core.withdrawn == ([at * SECOND // 10 for at in range(420)] if live else [])


def test_the_next_meeting_is_due_on_the_injected_time_and_at_once_when_asked_for(desk):
    desk.time.call_at(45 * SECOND, desk.meetings.ask)
    asyncio.run(desk.play(desk.meetings.run(), 80))
    assert desk.core.asked == [30, 45, 75]


def test_what_one_look_does_not_settle_is_told_and_looked_at_again_soon(desk):
    found = [Differences(unsettled=["it is odd"], soon=True), Differences()]
    desk.core.doors.meet = lambda *_: found.pop(0)
    desk.time.call_at(5 * SECOND, desk.meetings.ask)
    asyncio.run(desk.play(desk.meetings.run(), 20))
    assert desk.core.asked == [5, 10]
    assert [more["text"] for event, more in desk.log.lines if event == "unsettled"] == ["it is odd"]


def test_a_cut_line_is_tried_again_in_a_second_for_ever(desk):
    desk.core.fails = [NetError("the line is cut")] * 5
    asyncio.run(desk.play(desk.meetings.run(), 36))
    assert desk.core.asked == [30, 31, 32, 33, 34, 35]
    assert desk.core.halts == []


@pytest.mark.parametrize(("looks", "told", "gates"), [(60, [], []), (300, [90], []), (302, [90], [330, 331])])
def test_an_account_that_cannot_be_looked_at_is_told_once_and_adds_no_risk_when_that_lasts(
    desk, looks, told, gates
):
    desk.core.fails = [NetError("the line is cut")] * looks
    asyncio.run(desk.play(desk.meetings.run(), 500))
    assert desk.core.told == [(at_s, "account_unseen") for at_s in told]
    assert desk.core.gates == [(at_s, GATE_VENUE_DOWN) for at_s in gates]
    assert desk.core.halts == []


def test_a_look_that_succeeds_ends_what_was_counted(desk):
    desk.core.fails = [NetError("the line is cut")] * 50
    desk.time.call_at(85 * SECOND, lambda: desk.core.fails.extend([NetError("again")] * 100))
    asyncio.run(desk.play(desk.meetings.run(), 500))
    assert desk.core.told == [(170, "account_unseen")]


def test_that_looks_fail_is_logged_once_an_episode_and_so_is_its_end(desk):
    desk.core.fails = [NetError("the line is cut"), NetError("the name is not known")] * 5
    desk.time.call_at(50 * SECOND, lambda: desk.core.fails.append(NetError("again")))
    asyncio.run(desk.play(desk.meetings.run(), 100))
    said = [(event, more) for event, more in desk.log.lines if event.startswith("snapshot_")]
    assert said == [
        ("snapshot_failed", {"reason": "the line is cut"}),
        ("snapshot_again", {"after_s": 10.0}),
        ("snapshot_failed", {"reason": "again"}),
        ("snapshot_again", {"after_s": 1.0}),
    ]


def test_a_venue_that_goes_on_refusing_is_not_agreed_with(desk):
    desk.core.fails = [VenueError(-1121, "no such symbol")] * (REFUSALS_MAX + 1)
    asyncio.run(desk.play(desk.meetings.run(), 60))
    assert desk.core.asked == [30, 31, 32, 42, 52]
    assert [why[0] for why in desk.core.halts] == ["recovery"]


def test_one_that_is_only_busy_is_waited_for(desk):
    desk.core.fails = [VenueError(-1003, "too many requests")] * 9
    asyncio.run(desk.play(desk.meetings.run(), 40))
    assert desk.core.halts == []


def test_a_clock_that_is_set_while_the_venue_is_asked_moves_when_it_was_asked(desk):
    heard = []
    desk.core.doors.meet = lambda _, asked_ns: heard.append(asked_ns) or Differences([], [])
    ask = desk.core.doors.snapshot

    async def snapshot():
        desk.meetings.clock_stepped(-7)
        return await ask()

    desk.core.doors.snapshot = snapshot
    asyncio.run(desk.play(desk.meetings.first(live=True), 100))
    assert heard == [-7]

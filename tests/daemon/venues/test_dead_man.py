"""A switch on virtual time: an exchange that counts, and who tells it."""

from __future__ import annotations

import asyncio
import random

import pytest

from daemon.clock import VirtualTime
from daemon.errors import NetError, VenueError
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.no_net import NoNet
from daemon.seams import Seams
from daemon.venues.dead_man import DeadManSwitch

SECOND = 1_000_000_000


class Bench:
    """An exchange that counts down: `fails` is raised in place of an answer, `holds` keeps it back."""

    def __init__(self, wait_ms: int = 30_000) -> None:
        self.time = VirtualTime(1_700_000_000 * SECOND)
        self.began_ns = self.time.now_ns()
        self.can_cancel = True
        self.fails: Exception | None = None
        self.holds = False
        self.asked: list[tuple[float, int]] = []  # when, and for how long
        self.alarms: list[str] = []
        seams = Seams(self.time, self.time, NoNet(), MemoryDisk(), InlineWorker(), random.Random(1))
        self.switch = DeadManSwitch(wait_ms, self.tell, lambda: self.can_cancel, self.alarms.append, seams)

    async def tell(self, wait_ms: int) -> None:
        self.asked.append(((self.time.now_ns() - self.began_ns) / SECOND, wait_ms))
        if self.holds:
            await asyncio.get_running_loop().create_future()
        if self.fails is not None:
            raise self.fails

    async def pass_s(self, seconds: float) -> None:
        for _ in range(round(seconds * 2)):
            for _ in range(20):
                await asyncio.sleep(0)
            self.time.advance(self.time.now_ns() + SECOND // 2)
        for _ in range(20):
            await asyncio.sleep(0)

    @property
    def when(self) -> list[float]:
        return [seconds for seconds, _ in self.asked]


def play(work, **changes) -> None:
    async def main() -> None:
        bench = Bench(**changes)
        keeping = asyncio.ensure_future(bench.switch.keep())
        try:
            await work(bench)
        finally:
            keeping.cancel()
            with pytest.raises(asyncio.CancelledError):
                await keeping

    asyncio.run(main())


def test_a_countdown_is_told_at_once_and_again_after_a_third_of_it():
    async def work(bench):
        await bench.pass_s(35)
        assert bench.asked == [(0, 30_000), (10, 30_000), (20, 30_000), (30, 30_000)]
        assert bench.alarms == []

    play(work)


def test_one_that_was_begun_already_is_not_begun_twice():
    async def work(bench):
        await bench.switch.begin()
        await bench.pass_s(12)
        assert bench.when == [0, 10]

    play(work)


@pytest.mark.parametrize("error", [NetError("cut"), VenueError(-1003, "slow down")])
def test_failures_in_a_row_are_told_once_before_it_runs_out_and_success_forgets_them(error):
    async def work(bench):
        await bench.pass_s(5)
        bench.fails = error
        await bench.pass_s(10)  # at 10
        assert bench.alarms == []
        await bench.pass_s(40)
        assert bench.when == [0, 10, 20, 30, 40, 50]
        (text,) = bench.alarms
        assert text == (
            f"the exchange cannot be told that this daemon is alive ({error}), and cancels what rests 30 s "
            "after it was told last"
        )
        bench.fails = None
        await bench.pass_s(10)
        bench.fails = error
        await bench.pass_s(10)
        assert len(bench.alarms) == 1
        await bench.pass_s(10)
        assert len(bench.alarms) == 2

    play(work)


def test_an_answer_that_does_not_come_delays_no_later_attempt():
    async def work(bench):
        bench.holds = True
        await bench.pass_s(25)
        assert bench.when == [0, 10, 20]
        assert "(no answer within 10.0 s)" in bench.alarms[0]

    play(work)


def test_while_nothing_could_be_cancelled_it_runs_out_and_nobody_is_alarmed():
    async def work(bench):
        await bench.pass_s(5)
        bench.can_cancel = False
        await bench.pass_s(60)
        assert (bench.when, bench.alarms) == ([0], [])
        bench.can_cancel = True
        await bench.pass_s(10)
        assert len(bench.when) == 2

    play(work)


def test_it_is_told_as_soon_as_something_can_be_cancelled_again():
    """60 s from 0 s on: the line is down when it is told next, at 20 s, and back at 41 s."""

    async def work(bench):
        await bench.pass_s(19)
        bench.can_cancel = False
        await bench.pass_s(22)
        bench.can_cancel = True
        await bench.pass_s(43)  # it is looked every second
        assert bench.when == [0, 42, 62, 82]

    play(work, wait_ms=60_000)


@pytest.mark.parametrize("fails", [None, NetError("cut"), VenueError(0, "no")])
def test_it_is_ended_by_a_countdown_of_nothing_or_goes_on(fails):
    async def work(bench):
        await bench.pass_s(1)
        bench.fails = fails
        await bench.switch.end()
        assert bench.asked[-1] == (1, 0)

    play(work)


def test_an_end_that_is_not_answered_is_not_waited_for_longer_than_a_renewal():
    async def work(bench):
        await bench.pass_s(1)
        bench.holds = True
        ending = asyncio.ensure_future(bench.switch.end())
        await bench.pass_s(9)
        assert not ending.done()
        await bench.pass_s(2)
        assert ending.done()

    play(work)

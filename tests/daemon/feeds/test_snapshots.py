"""Books are fetched at once, again when that fails, and not at all while the exchange says stop."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from random import Random

import pytest

from daemon.errors import NetError
from daemon.feeds.snapshots import SnapshotFetcher
from daemon.seams import Response, Seams
from tests.daemon.feeds.conftest import tell
from tests.daemon.orders.conftest import SteppedTime

S = 1_000_000_000


class Exchange:
    """Answers each request with the next of its answers, and remembers when it was asked for what."""

    def __init__(self, time: SteppedTime, answers: list[Response | Exception]) -> None:
        self.time = time
        self.answers = answers
        self.asked: list[tuple[int, str]] = []

    async def request(self, method, url, headers, body, timeout_s):
        self.asked.append((self.time.now_ns(), url))
        answer = self.answers.pop(0) if self.answers else Response(200, {}, b"book")
        if isinstance(answer, Exception):
            raise answer
        return answer


class Rig:
    def __init__(self, answers=(), urls=("u0", "u1")) -> None:
        self.time = SteppedTime(1_000 * S)
        self.net = Exchange(self.time, list(answers))
        self.taken: list[tuple[int, bytes, int]] = []
        seams = Seams(self.time, self.time, self.net, None, None, Random(3))
        self.fetcher = SnapshotFetcher(urls, seams)

    async def pass_time(self, seconds: float) -> None:
        """Let the tasks run, and time pass timer by timer."""
        end_ns = self.time.now_ns() + int(seconds * S)
        while True:
            for _ in range(5):
                await asyncio.sleep(0)
            next_ns = self.time.next_ns
            if next_ns is None or next_ns > end_ns:
                break
            self.time.advance(next_ns)
        self.time.advance(end_ns)

    def run(self, scenario) -> None:
        async def main() -> None:
            task = asyncio.create_task(self.fetcher.run(lambda *args: self.taken.append(args)))
            await scenario()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

        asyncio.run(main())


def test_a_request_is_served_at_once() -> None:
    rig = Rig()

    async def scenario() -> None:
        rig.fetcher.request(1)
        await rig.pass_time(0)

    rig.run(scenario)
    assert rig.net.asked == [(1_000 * S, "u1")]
    assert rig.taken == [(1, b"book", 1_000 * S)]


def test_requests_are_spaced_so_that_many_books_do_not_spend_the_weight() -> None:
    rig = Rig(urls=[f"u{i}" for i in range(4)])

    async def scenario() -> None:
        for index in range(4):
            rig.fetcher.request(index)
        await rig.pass_time(10)

    rig.run(scenario)
    times = [at_ns for at_ns, _ in rig.net.asked]
    assert sorted(url for _, url in rig.net.asked) == ["u0", "u1", "u2", "u3"]
    assert all(later - earlier >= S // 2 for earlier, later in itertools.pairwise(times))


def test_failures_are_tried_again_later_each_time_until_it_works() -> None:
    failures = [NetError("no route"), Response(502, {}, b"bad gateway"), NetError("reset")]
    rig = Rig(failures)

    async def scenario() -> None:
        rig.fetcher.request(0)
        await rig.pass_time(60)

    rig.run(scenario)
    assert len(rig.net.asked) == 4
    assert len(rig.taken) == 1
    assert (rig.fetcher.requests, rig.fetcher.failures) == (4, 3)
    times = [at_ns for at_ns, _ in rig.net.asked]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps[0] >= S // 2
    assert gaps[2] > gaps[0]


def test_a_book_that_keeps_breaking_does_not_hammer_the_exchange() -> None:
    rig = Rig()

    async def scenario() -> None:
        for _ in range(600):  # a gap every 100 ms for a minute
            rig.fetcher.request(0)
            await rig.pass_time(0.1)

    rig.run(scenario)
    assert 3 <= len(rig.net.asked) <= 8


@pytest.mark.parametrize(("status", "headers", "still_s"), [(429, {"Retry-After": "30"}, 30), (418, {}, 300)])
def test_after_a_ban_nothing_is_sent_for_any_instrument(
    status: int, headers: dict[str, str], still_s: int
) -> None:
    rig = Rig([Response(status, headers, b"")])

    async def scenario() -> None:
        rig.fetcher.request(0)
        await rig.pass_time(1)
        rig.fetcher.request(1)
        await rig.pass_time(still_s + 60)

    rig.run(scenario)
    times = [at_ns for at_ns, _ in rig.net.asked]
    assert len(times) == 3
    assert times[1] - times[0] >= still_s * S
    assert {url for _, url in rig.net.asked} == {"u0", "u1"}


def test_whoever_asks_from_this_address_is_told_and_can_hold_it_back() -> None:
    rig = Rig([Response(429, {"Retry-After": "7"}, b"")])
    told = tell(rig.fetcher)

    async def scenario() -> None:
        rig.fetcher.request(0)
        await rig.pass_time(1)
        rig.fetcher.hold(60_000)
        await rig.pass_time(59)
        assert len(rig.net.asked) == 1
        await rig.pass_time(2)

    rig.run(scenario)
    assert told == [(429, 7_000)]
    assert len(rig.net.asked) == 2


def test_an_urgent_request_overtakes_one_that_waits() -> None:
    rig = Rig([NetError("x")] * 6)

    async def scenario() -> None:
        rig.fetcher.request(0)
        await rig.pass_time(12)  # by now instrument 0 waits for seconds
        rig.net.answers.clear()
        rig.fetcher.request(1)
        await rig.pass_time(0.5)

    rig.run(scenario)
    assert rig.taken[0][0] == 1


def test_a_forgotten_request_is_not_served() -> None:
    rig = Rig([NetError("x")])

    async def scenario() -> None:
        rig.fetcher.request(0)
        await rig.pass_time(0)
        rig.fetcher.forget(0)
        await rig.pass_time(60)

    rig.run(scenario)
    assert len(rig.net.asked) == 1


def test_a_clock_that_is_set_back_makes_no_book_wait() -> None:
    rig = Rig([Response(500, {}, b"")])

    async def scenario() -> None:
        rig.fetcher.request(0)  # fails, and is due again
        await rig.pass_time(0)
        rig.time.step_ns = -3600 * S
        rig.fetcher.request(1)
        await rig.pass_time(5)

    rig.run(scenario)
    assert sorted(index for index, _, _ in rig.taken) == [0, 1]

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from daemon.clock import VirtualTime
from daemon.faces.http_limits import IDS_MAX, PARTS, Bucket, Pieced, Reused, Taken

S = 1_000_000_000


@given(st.lists(st.integers(0, 3 * S), max_size=60), st.integers(1, 5), st.integers(1, 4))
def test_no_span_of_time_has_more_than_its_burst_and_what_has_come_since(waits, burst, per_s):
    time = VirtualTime()
    bucket = Bucket(burst, per_s, time.mono_ns)
    taken = []
    for wait_ns in waits:
        time.advance(time.now_ns() + wait_ns)
        if bucket.take():
            taken.append(time.now_ns())
    for first, begin_ns in enumerate(taken):
        for last in range(first, len(taken)):
            allowed = burst + (taken[last] - begin_ns) * per_s / S
            assert last - first + 1 <= allowed + 1e-6


def test_who_waits_long_enough_is_never_refused():
    time = VirtualTime()
    bucket = Bucket(2, 4.0, time.mono_ns)
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    for _ in range(100):
        time.advance(time.now_ns() + S // 4)
        assert bucket.take()
    assert not bucket.take()


@given(st.lists(st.integers(0, S // 4), min_size=1, max_size=60), st.integers(0, S // 10))
def test_what_is_made_for_an_answer_takes_its_part_of_the_time_however_often_it_is_asked_for(waits, cost_ns):
    time = VirtualTime()
    made = []

    def make():
        time.advance(time.now_ns() + cost_ns)
        made.append(time.now_ns())
        return len(made)

    one = Reused(make, time.mono_ns)
    begun_ns = time.now_ns()
    for wait_ns in waits:
        time.advance(time.now_ns() + wait_ns)
        assert one.get() == len(made)
        # it is never older than what it cost asks for
        assert time.now_ns() - made[-1] <= max(0, (PARTS - 1) * cost_ns - 1)
    assert (len(made) - 1) * PARTS * cost_ns <= time.now_ns() - begun_ns


def test_what_costs_nothing_is_made_for_everybody_and_what_is_forgotten_anew():
    time = VirtualTime()
    numbers = iter(range(9))
    free = Reused(lambda: next(numbers), time.mono_ns)
    assert [free.get(), free.get()] == [0, 1]

    def make():
        time.advance(time.now_ns() + S)
        return next(numbers)

    dear = Reused(make, time.mono_ns)
    assert [dear.get(), dear.get()] == [2, 2]
    dear.forget()
    assert [dear.get(), dear.get()] == [3, 3]


def test_an_answer_in_pieces_leaves_turns_between_them_and_is_made_once_for_all_who_ask():
    async def scenario():
        time = VirtualTime()
        made = []

        def make():
            made.append(0)
            for _ in range(3):
                time.advance(time.now_ns() + S)  # a piece takes a second
                made[-1] += 1
                yield b"%d" % made[-1]

        one = Pieced(make, time.mono_ns)
        asked = [asyncio.ensure_future(one.get()) for _ in range(3)]
        seen = []
        while not all(task.done() for task in asked):
            await asyncio.sleep(0)
            seen.append(made[-1])
        assert [task.result() for task in asked] == [b"123"] * 3
        assert (len(made), {1, 2, 3} <= set(seen)) == (1, True)
        time.advance(time.now_ns() + 3 * (PARTS - 1) * S - 1)
        assert (await one.get(), len(made)) == (b"123", 1)
        time.advance(time.now_ns() + 1)
        assert (await one.get(), len(made)) == (b"123", 2)

    asyncio.run(scenario())


def test_an_answer_that_is_forgotten_while_it_is_made_is_given_to_nobody_else():
    async def scenario():
        time = VirtualTime()
        made = []

        def make():
            made.append(1)
            time.advance(time.now_ns() + S)
            yield b"a"
            yield b"b"

        one = Pieced(make, time.mono_ns)
        asked = asyncio.ensure_future(one.get())
        await asyncio.sleep(0)
        one.forget()
        assert await asked == b"ab"
        await one.get()
        await one.get()
        assert len(made) == 2

    asyncio.run(scenario())


def test_the_newest_ids_are_remembered_and_no_more():
    taken = Taken()
    for number in range(IDS_MAX + 1):
        taken.add(f"id-{number}")
    assert "id-0" not in taken
    assert "id-1" in taken
    taken.discard("id-1")
    taken.discard("never")
    assert "id-1" not in taken

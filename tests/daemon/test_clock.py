from __future__ import annotations

import asyncio
import time

from daemon import clock as module
from daemon.clock import LoopScheduler, SystemClock, VirtualTime


def test_the_system_clock_is_utc_and_advances_with_the_monotonic_one():
    clock = SystemClock()
    assert abs(clock.now_ns() - time.time_ns()) < 1_000_000_000
    mono, wall = clock.mono_ns(), clock.now_ns()
    later_wall, later_mono = clock.now_ns(), clock.mono_ns()
    assert 0 <= later_wall - wall <= later_mono - mono


def test_a_step_of_the_systems_clock_is_taken_over_at_the_resync_alone(monkeypatch):
    wall, mono = [1_000], [10]
    monkeypatch.setattr(module, "_wall", lambda: wall[0])
    monkeypatch.setattr(module, "_mono", lambda: mono[0])
    clock = SystemClock()
    assert clock.now_ns() == 1_000
    wall[0], mono[0] = 500, 30  # the system's clock was set back
    assert clock.now_ns() == 1_020
    assert clock.resync() == -520
    assert clock.now_ns() == 500
    assert clock.resync() == 0


def test_the_loop_calls_in_order_of_time_and_not_what_was_cancelled():
    async def scenario():
        clock = SystemClock()
        scheduler = LoopScheduler(clock)
        called, done = [], asyncio.Event()
        now_ns = clock.now_ns()
        scheduler.call_at(now_ns + 2_000_000, done.set)
        scheduler.call_at(now_ns + 1_000_000, lambda: called.append("never")).cancel()
        scheduler.call_at(now_ns - 5, lambda: called.append("past"))
        await asyncio.wait_for(done.wait(), 5)
        return called

    assert asyncio.run(scenario()) == ["past"]


def test_virtual_time_runs_timers_each_at_its_own_time_and_ties_in_order():
    virtual = VirtualTime(100)
    seen = []
    for when_ns, name in ((130, "c"), (110, "a"), (130, "d"), (120, "b")):
        virtual.call_at(when_ns, lambda name=name: seen.append((name, virtual.now_ns())))
    assert virtual.next_ns == 110
    virtual.advance(130)
    assert seen == [("a", 110), ("b", 120), ("c", 130), ("d", 130)]
    assert virtual.next_ns is None
    assert virtual.mono_ns() == 130


def test_a_timer_may_set_another_that_is_due_in_the_same_advance():
    virtual = VirtualTime()
    seen = []

    def again():
        seen.append(virtual.now_ns())
        if len(seen) < 3:
            virtual.call_at(virtual.now_ns() + 10, again)

    virtual.call_at(10, again)
    virtual.advance(100)
    assert seen == [10, 20, 30]
    assert virtual.now_ns() == 100


def test_virtual_time_never_runs_backwards_and_forgets_the_cancelled():
    virtual = VirtualTime(100)
    seen = []
    timer = virtual.call_at(150, lambda: seen.append("never"))
    virtual.call_at(10, lambda: seen.append(virtual.now_ns()))
    timer.cancel()
    timer.cancel()
    virtual.advance(50)
    assert virtual.now_ns() == 100
    virtual.advance(200)
    assert seen == [100]


def test_a_leap_runs_what_was_under_way_in_order_and_a_missed_period_once():
    virtual = VirtualTime()
    second, rung, seen = 1_000_000_000, [], []

    def ring():
        rung.append(virtual.now_ns())
        virtual.call_at((virtual.now_ns() // second + 1) * second, ring)

    ring()
    virtual.call_at(1_500_000_000, lambda: seen.append(virtual.now_ns()))
    year = 365 * 86_400 * second
    virtual.advance(70 * year + 7)
    assert rung == [*(n * second for n in range(61)), 70 * year + 7]
    assert seen == [1_500_000_000]
    assert virtual.now_ns() == 70 * year + 7
    virtual.advance(70 * year + second)
    assert rung[-1] == 70 * year + second


def test_an_hour_is_no_leap():
    virtual = VirtualTime()
    seen = []

    def ring():
        seen.append(virtual.now_ns())
        virtual.call_at(virtual.now_ns() + 600 * 1_000_000_000, ring)

    ring()
    virtual.advance(3_600 * 1_000_000_000)
    assert len(seen) == 7


def test_a_timer_on_the_loop_is_never_early_even_if_the_loop_is(monkeypatch):
    clock = SystemClock()
    rung = []

    async def go():
        loop = asyncio.get_running_loop()
        later = loop.call_later
        monkeypatch.setattr(loop, "call_later", lambda delay_s, fn, *more: later(delay_s * 0.6, fn, *more))
        when_ns = clock.now_ns() + 20_000_000
        LoopScheduler(clock).call_at(when_ns, lambda: rung.append(clock.now_ns() - when_ns))
        LoopScheduler(clock).call_at(when_ns, lambda: rung.append(-1)).cancel()
        await asyncio.sleep(0.2)

    asyncio.run(go())
    assert len(rung) == 1
    assert rung[0] >= 0


def test_a_period_on_the_real_loop_rings_once_each():
    import uvloop

    clock = SystemClock()
    rung = []

    async def go():
        scheduler = LoopScheduler(clock)
        period_ns = 5_000_000

        def ring():
            rung.append(clock.now_ns() // period_ns)
            scheduler.call_at((clock.now_ns() // period_ns + 1) * period_ns, ring)

        ring()
        await asyncio.sleep(0.2)

    uvloop.run(go())
    assert len(rung) > 10
    assert len(rung) == len(set(rung))


def test_a_clock_that_is_set_back_or_forward_keeps_no_timer_waiting(monkeypatch):
    wall = [1_700_000_000_000_000_000 - time.monotonic_ns()]
    monkeypatch.setattr(module, "_wall", lambda: time.monotonic_ns() + wall[0])
    clock = SystemClock()
    rung = []

    async def go():
        scheduler = LoopScheduler(clock)
        for step_s in (-3600, 3600):
            scheduler.call_at(clock.now_ns() + 20_000_000, lambda step_s=step_s: rung.append(step_s))
            wall[0] += step_s * 1_000_000_000
            clock.resync()
        await asyncio.sleep(0.2)

    asyncio.run(go())
    assert rung == [-3600, 3600]


def test_waiting_for_a_time_is_never_early_and_a_past_one_is_no_wait():
    clock = SystemClock()
    due_ns = clock.mono_ns() + 5_000_000
    module.wait_until(due_ns)
    assert clock.mono_ns() >= due_ns
    module.wait_until(0)

from __future__ import annotations

import asyncio
import time
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from daemon.venues.ccxt_throttle import Throttle

ROLLING = {"algorithm": "rollingWindow", "windowSize": 1_000.0, "rateLimit": 100.0, "cost": 1.0}
LEAKY = {"algorithm": "leakyBucket", "refillRate": 0.01, "capacity": 1.0, "cost": 1.0, "delay": 0.001}
STEPS = st.lists(
    st.tuples(st.sampled_from([0, 1, 30, 100, 1_000]), st.sampled_from([0.5, 1.0, 3.0])), max_size=60
)


class Now:
    def __init__(self):
        self.ms = 1_000_000.0

    def __call__(self):
        return self.ms


@given(STEPS)
def test_no_window_holds_more_than_is_allowed(steps):
    now, sent = Now(), []
    throttle = Throttle(ROLLING, None, now)
    for wait_ms, cost in steps:
        now.ms += wait_ms
        fits = sum(c for at, c in sent if at > now.ms - 1_000) + cost <= 10
        assert throttle.take(cost) is fits
        if fits:
            sent.append((now.ms, cost))


@given(STEPS)
def test_a_bucket_is_refilled_while_nobody_asks_and_never_overflows(steps):
    now, tokens = Now(), 0.0
    throttle = Throttle(LEAKY, None, now)
    for wait_ms, cost in steps:
        now.ms += wait_ms
        tokens = min(tokens + wait_ms * 0.01, 1.0)
        fits = tokens >= 0
        assert throttle.take(cost) is fits
        if fits:
            tokens -= cost


def test_a_cancel_that_waits_comes_before_an_order_and_both_before_who_reads():
    async def main():
        window = {**ROLLING, "windowSize": 1_000.0, "rateLimit": 1_000.0}
        throttle = Throttle(window, None, lambda: time.monotonic() * 1_000)
        assert throttle.take(1.0)
        order = []
        read = asyncio.ensure_future(throttle(1.0))
        read.add_done_callback(lambda _: order.append("read"))
        await asyncio.sleep(0)
        assert throttle.take(0.0)  # there is room, whoever reads
        cancels = [throttle.first(1.0) for _ in range(2)]
        for place, cancel in enumerate(cancels):
            cancel.add_done_callback(lambda _, place=place: order.append(place))
        assert not throttle.take(0.0)  # room or not
        await asyncio.wait_for(asyncio.gather(*cancels, read), 10)
        assert order == [0, 1, "read"]

    asyncio.run(main())


def test_a_long_look_at_the_account_leaves_half_of_a_window_to_orders_and_cancels():
    async def main():
        now = Now()
        throttle = Throttle(ROLLING, None, now)
        reads = [throttle(1.0) for _ in range(30)]
        for _ in range(100):
            await asyncio.sleep(0)
        assert sum(read.done() for read in reads) == 5
        assert [throttle.take(1.0) for _ in range(6)] == [True] * 5 + [False]
        for read in reads:
            read.cancel()
        throttle.queue.clear()

    asyncio.run(main())


def test_what_reads_and_weighs_more_than_half_goes_where_nothing_else_does():
    now = Now()
    throttle = Throttle(ROLLING, None, now)
    assert throttle._fits(8.0, reads=True)
    assert not throttle._fits(0.1, reads=True)
    assert throttle.take(2.0)
    assert not Throttle(ROLLING, None, now)._fits(10.5, reads=True)


def test_what_orders_and_countdowns_use_keeps_nobody_from_reading():
    now = Now()
    throttle = Throttle(ROLLING, None, now)
    for _ in range(5):  # Kraken's: a countdown every ten seconds weighs 3, a list of trades 6, of 10 in ten
        assert throttle.take(3.0)
        assert throttle._fits(6.0, reads=True)
        assert not throttle._fits(0.5, reads=True)
        now.ms += 1_000


def test_of_a_bucket_readers_leave_the_half_that_an_order_may_leave_by():
    now = Now()
    throttle = Throttle(LEAKY, None, now)
    seen = []
    for _ in range(10):
        now.ms += 10  # a tenth of a token
        seen.append(throttle._fits(1.0, reads=True))
    assert seen.index(True) == 4
    assert throttle.config["tokens"] < 0
    now.ms += 60
    assert throttle.take(1.0)


@given(st.sampled_from([ROLLING, LEAKY]), st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=1, max_size=20))
def test_who_waits_goes_in_turn_and_as_soon_as_there_is_room(config, costs):
    now, gone = Now(), []

    async def sleep(seconds):
        now.ms += seconds * 1_000
        await real(0)

    async def main():
        throttle = Throttle(config, None, now)
        turns = [throttle(cost) for cost in costs]
        for place, turn in enumerate(turns):
            turn.add_done_callback(lambda _, place=place: gone.append((place, now.ms)))
        await asyncio.gather(*turns)
        while throttle.running:
            await real(0)

    real = asyncio.sleep
    with patch("asyncio.sleep", sleep):
        asyncio.run(main())
    assert [place for place, _ in gone] == list(range(len(costs)))
    twin, sent = Now(), []
    throttle = Throttle(config, None, twin)
    for cost in costs:
        while not throttle._fits(cost, reads=True):
            twin.ms += 1
        sent.append(twin.ms)
    assert all(abs(at - due) <= 2 for (_, at), due in zip(gone, sent, strict=True))

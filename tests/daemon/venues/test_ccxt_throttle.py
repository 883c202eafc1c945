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


def test_whoever_waits_comes_before_an_order_and_a_cancel_before_all():
    async def main():
        window = {**ROLLING, "windowSize": 1_000.0, "rateLimit": 1_000.0}
        throttle = Throttle(window, None, lambda: time.monotonic() * 1_000)
        assert throttle.take(1.0)
        order = []
        read = asyncio.ensure_future(throttle(1.0))
        read.add_done_callback(lambda _: order.append("read"))
        await asyncio.sleep(0)
        assert not throttle.take(0.0)  # room or not
        cancel = throttle.first(1.0)
        cancel.add_done_callback(lambda _: order.append("cancel"))
        await asyncio.wait_for(asyncio.gather(cancel, read), 10)
        assert order == ["cancel", "read"]

    asyncio.run(main())


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
        while not throttle.take(cost):
            twin.ms += 1
        sent.append(twin.ms)
    assert all(abs(at - due) <= 2 for (_, at), due in zip(gone, sent, strict=True))

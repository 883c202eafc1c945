import pytest

from daemon.bench.many import Many, breaches
from daemon.status import Footprint


def many(symbols, resident_mb, **more):
    taken = Footprint(
        rings=16_000 * symbols, frames=4_000 * symbols, streams=3_000 * symbols, strategies=24_000 * symbols
    )
    same = {"ready_s": 1.0, "ticks_sent": 9, "ticks_taken": 9, "tick_p50_us": 4.0, "tick_p99_us": 9.0}
    return Many(symbols=symbols, resident_mb=resident_mb, accounted=taken, **(same | more))


def test_an_instrument_s_memory_is_the_slope_less_its_ring():
    least, most = many(1, 200.0), many(101, 207.0)
    assert most.ring_bytes == 2_020_000
    assert most.beyond_kb(least) == pytest.approx(50.0)
    assert most.accounted_kb == 27.0
    assert least.beyond_kb(least) is None


def test_a_tick_that_was_not_taken_is_said():
    lost = many(10, 200.0, ticks_taken=8)
    assert breaches([many(1, 200.0), lost]) == ["9 ticks of 10 symbols were sent, but 8 taken in"]

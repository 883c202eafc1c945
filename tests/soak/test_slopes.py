from random import Random

import pytest

from tests.soak.slopes import slope

TIMES = [2.0 * n for n in range(900)]


@pytest.mark.parametrize("leak", [0.0, 1.0])
def test_a_leak_is_told_from_noise(leak):
    random = Random(4)
    found = slope(TIMES, [100 + leak * t / 3600 + random.gauss(0, 0.2) for t in TIMES])
    assert found.per_hour == pytest.approx(leak, abs=found.doubt)
    assert found.grows(0.0) is bool(leak)
    assert not found.grows(1.5)


def test_what_only_fills_up_at_the_start_does_not_grow():
    found = slope(TIMES, [min(t, 500.0) for t in TIMES])
    assert found == pytest.approx((0.0, 0.0, 500.0), abs=1e-9)


def test_a_steady_leak_is_measured():
    found = slope(TIMES, [t / 36 for t in TIMES])
    assert found.per_hour == pytest.approx(100.0)
    assert found.grows(99.0)

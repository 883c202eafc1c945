from itertools import pairwise

import pytest

from daemon.bench import plans
from daemon.bench.participants import FLOOR_SLEEP, FLOOR_SPIN, OURS
from daemon.options import LatencyOptions


@pytest.mark.parametrize("seconds", [1.0, 2.0, 40.0, 600.0])
def test_all_segments_together_take_what_was_asked_for(seconds):
    options = LatencyOptions(seconds=seconds)
    steps = plans.round_of(options, 1) + plans.throughput_of(options, 1)
    whole_s = plans.rounds(options) * len(steps) * plans.segment_ns(options) / 1e9
    assert whole_s == pytest.approx(seconds, rel=1e-6)


@pytest.mark.parametrize(("mode", "floor"), [("spin", FLOOR_SPIN), ("epoll", FLOOR_SLEEP)])
def test_ours_comes_right_behind_its_floor(mode, floor):
    steps = plans.round_of(LatencyOptions(mode=mode), 1)
    for before, step in pairwise(steps):
        if step.participant == OURS:
            assert (before.scenario, before.participant) == (step.scenario, floor)


def test_the_rate_is_the_schedule_s():
    steps = plans.round_of(LatencyOptions(rate=2_000.0), 1)
    assert {step.plan.gap_ns for step in steps if step.scenario == plans.POISSON} == {500_000}

"""The bench of the recorder runs, and what it wants holds by far on a machine of one's own."""

from __future__ import annotations

import pytest
import uvloop

from tests.bench.tape import made_up, sustain


def test_what_is_given_is_written(tmp_path):
    cost = uvloop.run(sustain(tmp_path, made_up(500), 2_000, 0.6, record=True))
    assert cost.dropped == 0
    assert cost.frames_per_s > 0
    none = uvloop.run(sustain(tmp_path / "none", made_up(500), 2_000, 0.3, record=False))
    assert none.frames_per_s == 0


@pytest.mark.heavy
def test_a_hundred_thousand_frames_a_second_reach_the_disk(tmp_path, record_property):
    cost = uvloop.run(sustain(tmp_path, made_up(200_000), 120_000, 10.0, record=True))
    record_property("figure", f"recorder at 120,000 frames/s: {cost}")
    assert cost.dropped == 0
    assert cost.frames_per_s > 100_000

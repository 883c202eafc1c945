from __future__ import annotations

import numpy as np

from kernels import batch
from kernels.dtypes import DEPTH, QUOTE, TRADE
from kernels.feature_state import I_IGNORED, I_TICKS
from kernels.features import FEATURES, bind_tuning
from tests.bench.market import RATE_HZ, make_ticks


def test_a_seed_makes_the_same_ticks_and_another_makes_others():
    first, again, other = make_ticks(500, 1), make_ticks(500, 1), make_ticks(500, 2)
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_every_tick_can_be_and_none_is_like_another():
    ticks = make_ticks(5_000, 1)
    states = batch.new_states(1, bind_tuning({}))
    batch.advance(
        states,
        0,
        ticks,
        batch.NO_BOOKS,
        batch.every(ticks)[-1:],
        batch.places(FEATURES),
        np.empty((1, len(FEATURES))),
    )
    assert states[0]["i"][I_IGNORED] == 0
    assert states[0]["i"][I_TICKS] == 5_000
    assert len(np.unique(ticks[["a", "b", "c", "d"]])) == 5_000


def test_they_begin_with_a_quote_are_of_all_kinds_and_come_at_the_rate():
    ticks = make_ticks(20_000, 1)
    assert ticks["kind"][0] == QUOTE
    assert set(ticks["kind"].tolist()) == {QUOTE, TRADE, DEPTH}
    gaps = np.diff(ticks["wire_ns"])
    assert gaps.min() == 0
    assert RATE_HZ * 0.9 < 1e9 / gaps.mean() < RATE_HZ * 1.3

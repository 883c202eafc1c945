from __future__ import annotations

import numpy as np

from kernels import batch, stats
from kernels.features import FEATURES, bind_tuning
from tests.bench import one_tick
from tests.bench.market import make_ticks


def test_both_calls_do_all_of_it():
    ticks = make_ticks(3_000, 1)
    one, daemons = one_tick.in_one_record(), one_tick.in_the_daemons_memory()
    for call in (one, daemons):
        call.run(ticks.tolist())
    want = np.empty((1, len(FEATURES)))
    states = batch.new_states(1, bind_tuning({}))
    batch.advance(states, 0, ticks, batch.NO_BOOKS, batch.every(ticks)[-1:], batch.places(FEATURES), want)
    record = one.arrays[0][0]
    memory, rings, _, histogram = daemons.arrays
    assert record["row"].tobytes() == memory[0]["rows"][0, :-1].tobytes() == want.tobytes()
    assert record["ring"]["head"] == rings[0]["head"] == 3_000
    assert record["histogram"][stats.HIST_COUNT] == histogram[stats.HIST_COUNT] == 3_000


def test_ten_indicators_get_each_price():
    class Counting:
        def __init__(self, *lengths):
            self.seen = []
            made.append(self)

        def update(self, price):
            self.seen.append(price)

    class Library:
        def __getattr__(self, name):
            return Counting

    made = []
    one_tick.Wickra(Library()).run([1.0, 2.0])
    assert [one.seen for one in made] == [[1.0, 2.0]] * 10

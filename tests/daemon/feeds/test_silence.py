from __future__ import annotations

import numpy as np

from daemon.feeds.lane import KINDS, new_records
from daemon.feeds.silence import Silence
from kernels.dtypes import DEPTH, QUOTE, TRADE


def times(*rows: dict[int, int]) -> np.ndarray:
    records = new_records(len(rows))
    for row, by_kind in zip(records, rows, strict=True):
        for kind, at_ns in by_kind.items():
            row[KINDS.index(kind)]["newest_ns"] = at_ns
    return records


def test_an_instrument_is_as_silent_as_its_most_silent_stream_that_counts() -> None:
    newest = times({QUOTE: 900, DEPTH: 500, TRADE: 10}, {QUOTE: 0, DEPTH: 700, TRADE: 10})
    both = Silence(newest, ("trade", "quote", "depth")).ages_ns(1_000)
    assert both[0] == 500
    assert both[1] > 1 << 60  # its quotes never spoke
    assert Silence(newest, ("trade", "depth")).ages_ns(1_000).tolist() == [500, 300]
    assert Silence(newest, ("trade",)).ages_ns(1_000).tolist() == [990, 990]


def test_a_clock_set_back_lets_nothing_be_younger_than_now() -> None:
    newest = times({QUOTE: 5_000})
    silence = Silence(newest, ("quote",))
    assert silence.ages_ns(6_000).tolist() == [1_000]
    assert silence.ages_ns(2_000).tolist() == [0]
    assert silence.ages_ns(2_500).tolist() == [500]


def test_a_clock_that_is_set_makes_no_silence_longer_or_shorter() -> None:
    silence = Silence(times({QUOTE: 5_000}, {}), ("quote",))
    for now_ns, step_ns in ((6_000, -3_000), (3_000, 900_000), (903_000, 0)):
        assert silence.ages_ns(now_ns)[0] == 1_000
        assert silence.ages_ns(now_ns)[1] > 1 << 60
        silence.clock_stepped(step_ns)


def test_the_newest_word_of_a_connection_is_any_of_its_instruments() -> None:
    silence = Silence(times({QUOTE: 5}, {TRADE: 9}, {DEPTH: 90}), ("quote",))
    assert silence.newest_ns(np.array([0, 1])) == 9
    assert silence.newest_ns(np.array([0, 1, 2])) == 90

"""Rows of a record are those that a strategy would be asked with, and labels what it would see."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.core import load_runtimes
from daemon.disk import RealDisk
from daemon.research import rows
from daemon.research.backtest import Backtest
from daemon.research.backtest_verb import instrument_of, streams_of
from daemon.research.market import Market
from daemon.tape.replay import Given, configure
from daemon.tape.ticks import read_header, read_ticks
from tests.daemon.research.conftest import converted
from tests.daemon.research.test_backtest import lively

#: a strategy that only looks, one decision at a time
LOOKS = """
STATES = 1
INSTRUMENTS = 1
TIMER_S = 0.0
PARAMS = {}
SEEN = []


def decide(now_ns, why, rows, book, position, working, account, state, params, out):
    SEEN.append((now_ns, rows[0, :-1].copy(), 0.5 * (book[0, 0, 0, 0] + book[0, 1, 0, 0])))
    return -1
"""


def looked(folder, path):
    """Return when the strategy was asked, the rows that it saw, and the middles of the market."""
    file = folder / "looks.py"
    file.write_text(LOOKS)
    header = read_header(path)
    instrument = instrument_of(header)
    config = configure(Given(None, str(file), None), "it", header.exchange, [instrument], streams_of(path))
    (runtime,) = load_runtimes(config, [instrument], RealDisk(), (0.0, 0.0), lambda _: None, can_amend=True)
    seen = runtime.strategy.decide.__globals__["SEEN"]
    seen.clear()  # it was shown an empty market
    test, market = Backtest(config, instrument, runtime), Market(instrument, header)
    for block in read_ticks(path):
        test.take(market.take(block))
    at_ns, found, mids = zip(*seen, strict=True)
    return np.array(at_ns), np.array(found), np.array(mids)


@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize("every", [1, 7])
def test_each_row_is_what_a_strategy_would_have_seen(tmp_path, monkeypatch, gap, every):
    lead_ns = 2_000_000_000
    monkeypatch.setattr(rows, "LEAD_IN_NS", lead_ns)
    lines = lively(2_500, seed=5)
    trades = [number for number, line in enumerate(lines) if b"@trade" in line and number > 1_200]
    path = converted([line for number, line in enumerate(lines) if not gap or number != trades[0]], tmp_path)
    at_ns, seen, mids = looked(tmp_path, path)
    warm = at_ns >= int(lines[0][:19]) + lead_ns
    if gap:
        gap_ns = int(lines[trades[1]][:19])
        warm &= (at_ns < gap_ns) | (at_ns >= gap_ns + lead_ns)
    found = rows.recorded_rows(path, 1_000, every).rows
    np.testing.assert_array_equal(found.at_ns, at_ns[warm][::every])
    np.testing.assert_array_equal(found.features, seen[warm][::every])
    assert len(found.at_ns) > 100
    for now_ns, moved in zip(found.at_ns.tolist(), found.return_bps.tolist(), strict=True):
        now, then = np.searchsorted(at_ns, [now_ns, now_ns + 1_000_000_000], side="right") - 1
        if np.isfinite(moved):
            assert moved == (mids[then] / mids[now] - 1.0) * 1e4
    assert np.isfinite(found.return_bps).mean() > 0.5

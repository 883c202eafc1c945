"""What is said of a backtest's rows, and what is not."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from daemon.config import from_tree
from daemon.options import BacktestOptions
from daemon.research.backtest import Outcome, fill_ledger
from daemon.research.decided import Decided
from daemon.research.figures import summarise
from kernels.backtest_state import BACKTEST, EVENT, FILL_ROW, POINT_ROW, SENT_ROW
from kernels.dtypes import BUY, PLACE, POSITION_COLUMNS, QUOTE, SELL
from tests.daemon.orders.conftest import btc_usdt

S_NS = 10**9
DAY_NS = 86_400 * S_NS
TREE = {"name": "x", "mode": "paper", "feed": {"symbols": ["BTC/USDT"]}, "strategy": [{"name": "ema_cross"}]}


def rows(dtype, names, table):
    made = np.zeros(len(table), dtype)
    for name, column in zip(names, zip(*table, strict=True), strict=False):
        made[name] = column
    return made


def summed(
    *, fills=(), points=(), value=1_000.0, until_ns=100 * S_NS, mid=100.0, decided=None, point_s=1, book=0.0
):
    """Return the figures of fills (time, key, side, ticks, lots) and points (time, equity, mid)."""
    instrument = btc_usdt()
    fees = {"fee_maker": Decimal(0), "fee_taker": Decimal("0.001")}
    config = from_tree({**TREE, "paper": fees}, {}, "x.toml")
    test = np.zeros(1, BACKTEST)
    fill_ledger(test[0]["ledger"], test[0]["money"], config, instrument)
    test["ledger"]["mid"], test["ledger"]["value"], test["now_ns"] = mid, value, until_ns
    told = rows(FILL_ROW, ("exch_ns", "key", "side", "ticks", "lots"), fills)
    told["told_ns"], told["maker"], told["equity"] = told["exch_ns"], 1, np.nan
    outcome = Outcome(
        fills=told,
        sent=rows(SENT_ROW, ("key", "verb", "now_ns"), [(1, PLACE, 0), (2, PLACE, 0)]),
        points=rows(POINT_ROW, ("now_ns", "equity", "mid"), points),
        test=test,
        events=1,
        decisions=1,
        halted="",
    )
    memory = {"digest": np.zeros(1, np.uint64)}
    views = {"position": np.zeros((1, POSITION_COLUMNS)), "book": np.full((1, 2, 1, 2), book)}
    runtime = SimpleNamespace(name="x", memory=memory, view=views.__getitem__)
    options = BacktestOptions(path=Path("ticks"), point_s=point_s)
    return summarise(options, instrument, runtime, outcome, decided or Decided(instrument.price), 0, 0.5)


def test_of_nothing_nothing_is_told_as_a_number():
    result = summed(value=np.nan, mid=np.nan)
    figures = {
        *("slippage", "slippage_bps", "growth", "benchmark"),
        *("drawdown_share", "drawdown_s", "drawdown_regained"),
        *("sharpe", "sharpe_error", "sortino", "cagr", "calmar"),
        *("win_rate", "profit_factor", "expectancy"),
    }
    assert {name for name in result.__struct_fields__ if getattr(result, name) is None} == figures
    assert set(result.unsaid) == figures
    assert all(text.startswith("too few: ") for text in result.unsaid.values())
    assert (result.exposure, result.turnover, result.open_pnl, result.trips) == (0.0, 0.0, 0.0, [])


def test_round_trips_are_told_exactly_and_the_rest_is_what_is_not_closed():
    fills = [(10 * S_NS, 1, BUY, 10_000, 300_000), (20 * S_NS, 2, SELL, 10_001, 100_000)]
    result = summed(fills=fills, mid=99.995)
    (trip,) = result.trips
    assert (trip.side, trip.entry_ns, trip.exit_ns, trip.held_s) == ("long", 10 * S_NS, 20 * S_NS, 10.0)
    assert (trip.quantity, trip.entry_price, trip.exit_price) == ("1", 100.0, 100.01)
    assert (trip.fees, trip.pnl) == ("0", "0.01")
    assert (result.round_trips, result.won, result.win_rate, result.expectancy) == (1, 1, 1.0, 0.01)
    assert result.unsaid["profit_factor"] == "no round trip lost"
    assert result.open_pnl == -0.01
    assert summed(fills=fills, mid=np.nan, book=100.5).open_pnl == 1.0  # as the last decision saw it
    assert result.exposure == 0.9
    assert result.turnover == 400.01


def test_what_is_open_is_not_valued_without_a_mid():
    result = summed(fills=[(10 * S_NS, 1, BUY, 10_000, 300_000)], mid=np.nan)
    assert result.open_pnl is None
    assert result.unsaid["open_pnl"] == "the record has no quote or book to value it by"


def test_ratios_are_of_the_grid_and_a_year_of_365_days():
    points = [(k * DAY_NS, 1_000.0 * 1.001 ** (k - (k % 7 == 3)), 100.0 + k) for k in range(74)]
    result = summed(points=points, value=points[-1][1], until_ns=73 * DAY_NS, point_s=86_400)
    equity = np.array([one[1] for one in points])
    changes = np.diff(equity) / equity[:-1]
    assert result.changes == 73
    assert result.sharpe == pytest.approx(changes.mean() / changes.std(ddof=1) * 365**0.5)
    assert result.sortino is None
    assert result.unsaid["sortino"] == "equity never fell over a step"
    assert result.cagr == pytest.approx((equity[-1] / equity[0]) ** 5 - 1)
    assert result.benchmark == pytest.approx(0.73)
    assert result.unsaid["calmar"] == "equity never fell"
    assert (result.drawdown_share, result.drawdown_max) == (0.0, 0.0)


def test_falls_are_told_by_amount_and_by_share():
    points = [(k * S_NS, one, 100.0) for k, one in enumerate([100.0, 50.0, 1_000.0, 700.0])]
    result = summed(points=points, value=1_000.0, until_ns=9 * S_NS)
    assert (result.drawdown_max, result.drawdown_share) == (300.0, 0.5)
    assert (result.drawdown_s, result.drawdown_regained) == (2.0, True)
    assert result.growth == 9.0


def test_the_benchmark_is_of_the_quotes_where_there_are_any():
    events = np.zeros(2, EVENT)
    events["tick"]["kind"], events["tick"]["a"], events["tick"]["c"] = QUOTE, [99.0, 109.0], [101.0, 111.0]
    decided = Decided(btc_usdt().price)
    decided.take(events, np.zeros(0, SENT_ROW))
    result = summed(points=[(0, 1.0, 1.0), (1, 1.0, 7.0)], decided=decided)
    assert result.benchmark == pytest.approx(0.1)


def test_the_json_is_read_back_as_it_was():
    result = summed(fills=[(10 * S_NS, 1, BUY, 10_000, 300_000), (20 * S_NS, 2, SELL, 10_001, 300_000)])
    assert msgspec.json.decode(msgspec.json.encode(result), type=type(result)) == result


def test_a_record_of_one_tick_has_its_figures_too():
    result = summed(until_ns=0)
    assert (result.exposure, result.fills, result.round_trips) == (0.0, 0, 0)
    assert result.unsaid["sharpe"].startswith("too few")

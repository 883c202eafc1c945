"""How a backtest is drawn."""

from __future__ import annotations

import io

from rich.console import Console

from daemon.faces.backtest_table import table
from daemon.research.backtest_verb import BacktestResult

RESULT = BacktestResult(
    file="ticks",
    symbol="BTC/USDT",
    strategy="ema_cross",
    events=1_000,
    from_ns=1_700_000_000_000_000_000,
    until_ns=1_700_000_060_000_000_000,
    decisions=900,
    placed=20,
    cancelled=1,
    refusals={"order_rate": 2},
    fills=12,
    maker_fills=3,
    turnover=1_234.5,
    fees=1.2345,
    net=-3.5,
    position=0.001,
    closing_fills=6,
    win_rate=0.5,
    drawdown_max=4.25,
    sharpe=None,
    sharpe_points=2,
    point_s=60,
    halted="",
    decision_digest="0123456789abcdef",
    seconds=0.5,
    events_per_s=2_000.0,
)


def drawn(result: BacktestResult) -> str:
    out = io.StringIO()
    Console(file=out, width=140).print(table(result))
    return out.getvalue()


def test_every_figure_is_shown_with_its_basis():
    text = drawn(RESULT)
    for part in (
        "2023-11-14 22:13:20, 2023-11-14 22:14:20 UTC",
        "order_rate 2",
        "12 fills, 3 of them resting",
        "-3.5000, after fees",
        "50.0% of 6 closing fills, before fees",
        "too little to tell (changes of equity over 60 s, 2 points, a year of 365 days)",
        "2,000 events/s",
    ):
        assert part in text


def test_what_there_is_none_of_is_said():
    result = BacktestResult(**{name: getattr(RESULT, name) for name in RESULT.__struct_fields__})
    result.win_rate, result.refusals, result.halted, result.sharpe = None, {}, "the day's loss", 1.5
    text = drawn(result)
    assert "none, before fees" in text
    assert "the day's loss" in text
    assert "1.50 (changes" in text

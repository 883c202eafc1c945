"""How a backtest is drawn."""

from __future__ import annotations

import io

import msgspec
from rich.console import Console

from daemon.faces.backtest_table import show, table, trips
from daemon.research.figures import BacktestResult, TripRow

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
    slippage=0.5,
    slippage_bps=4.05,
    slippage_fills=11,
    net=-3.5,
    position=0.001,
    exposure=0.25,
    growth=-0.00035,
    benchmark=0.0125,
    drawdown_max=4.25,
    drawdown_share=0.0004,
    drawdown_s=3_725.0,
    drawdown_regained=False,
    point_s=60,
    changes=2,
    sharpe=None,
    sharpe_error=None,
    sortino=-1.25,
    cagr=None,
    calmar=None,
    round_trips=1,
    won=1,
    win_rate=1.0,
    profit_factor=None,
    expectancy=0.125,
    open_pnl=-3.625,
    trips=[
        TripRow(
            side="short",
            entry_ns=1_700_000_000_000_000_000,
            exit_ns=1_700_000_001_500_000_000,
            held_s=1.5,
            quantity="0.001",
            entry_price=60_000.25,
            exit_price=59_875.0,
            fees="0.00025",
            pnl="0.125",
        )
    ],
    unsaid={
        "sharpe": "too few: 2 changes",
        "cagr": "too few: 0.0 days",
        "calmar": "too few: 0.0 days",
        "profit_factor": "no round trip lost",
    },
    halted="",
    decision_digest="0123456789abcdef",
    seconds=0.5,
    events_per_s=2_000.0,
)


def drawn(drawable: object) -> str:
    out = io.StringIO()
    Console(file=out, width=140).print(drawable)
    return out.getvalue()


def changed(**figures: object) -> BacktestResult:
    return msgspec.structs.replace(RESULT, **figures)


def test_every_figure_is_shown_with_its_basis():
    text = drawn(table(RESULT))
    for part in (
        "2023-11-14 22:13:20, 2023-11-14 22:14:20 UTC",
        "order_rate 2",
        "12 fills, 3 of them resting",
        "+0.5000, +4.050 bps: 11 fills against the mid when their order was decided on",
        "-3.5000, after fees",
        "25.0% of the time",
        "-0.0350% of equity",
        "+1.2500%, the mid from first to last, without fees",
        "4.2500; 0.040% of the peak, 1:02:05 and not regained",
        "-1.25, of 2 changes of equity over 60 s, a year of 365 days",
        "1, first in, first out",
        "100.0% of 1, after fees",
        "+0.1250 a round trip",
        "-3.6250 at the last mid",
        "2,000 events/s",
    ):
        assert part in text


def test_what_cannot_be_said_is_a_sentence():
    text = drawn(table(RESULT))
    for part in ("too few: 2 changes", "too few: 0.0 days", "no round trip lost"):
        assert part in text
    slippage = changed(
        slippage=None, slippage_bps=None, unsaid={**RESULT.unsaid, "slippage": "too few: of none"}
    )
    assert "too few: of none" in drawn(table(slippage))


def test_what_there_is_none_of_is_said():
    text = drawn(table(changed(refusals={}, halted="the day's loss", drawdown_share=0.0, drawdown_s=0.0)))
    assert "none" in text
    assert "the day's loss" in text
    assert "0.000% of the peak" in text
    assert "regained" not in text


def test_a_sharpe_ratio_has_its_error():
    text = drawn(table(changed(sharpe=1.5, sharpe_error=0.25)))
    assert "1.50 ± 0.25, of 2 changes of equity over 60 s, a year of 365 days" in text


def test_a_fall_that_was_regained_says_so():
    assert "1:02:05 until it was regained" in drawn(table(changed(drawdown_regained=True)))


def test_round_trips_fit_into_a_narrow_terminal():
    long = msgspec.structs.replace(RESULT.trips[0], quantity="0.00100355", exit_ns=RESULT.trips[0].entry_ns)
    days = [long, msgspec.structs.replace(long, entry_ns=long.entry_ns + 86_400 * 10**9, held_s=3_725.0)]
    for trades, entry in (([long], "22:13:20"), (days, "11-15 22:13:20")):
        out = io.StringIO()
        Console(file=out, width=80).print(trips(changed(trips=trades), 80))
        text = out.getvalue()
        assert max(map(len, text.splitlines())) <= 80
        assert "\u2026" not in text
        for part in (entry, "0.00100355", "60,000.25", "59,875", "+0.1250"):
            assert part in text
        assert ("11-14" in text) == (len(trades) > 1)


def test_round_trips_are_listed_the_last_of_many():
    text = drawn(trips(RESULT))
    for part in ("1 of 1", "short", "0.001", "60,000.25", "59,875", "0.0003", "+0.1250", "1.500 s"):
        assert part in text
    many = [msgspec.structs.replace(RESULT.trips[0], quantity=f"{number}.5") for number in range(21)]
    text = drawn(trips(changed(trips=many)))
    assert "20 of 21, --json gives all" in text
    assert " 20.5 " in text
    assert " 0.5 " not in text


def test_people_are_shown_both_tables_and_programs_all(capsys):
    show(RESULT, as_json=False)
    assert "first in, first out: 1 of 1" in capsys.readouterr().out
    show(changed(trips=[]), as_json=False)
    assert "1 of 1" not in capsys.readouterr().out
    show(RESULT, as_json=True)
    assert msgspec.json.decode(capsys.readouterr().out, type=BacktestResult) == RESULT

"""How a sweep is drawn."""

from __future__ import annotations

import msgspec
import pytest

from daemon.faces.heat_map import Heat
from daemon.faces.sweep_table import SweepResult, show
from daemon.research.sweep import Deflation
from daemon.research.sweep_log import TrialLine
from daemon.research.walk import Stitched, WalkWindow

FIGURES = {"sharpe": 1.25, "net": -3.5, "drawdown_share": 0.00125, "fills": 12, "fees": 1.5, "sortino": None}
RESULT = SweepResult(
    file="ticks",
    symbol="BTC/USDT",
    strategy="ema_cross",
    events=1_000,
    bytes_per_event=12.5,
    search="grid",
    by="sharpe",
    trials=40,
    done=40,
    resumed=0,
    failed=0,
    unranked=0,
    errors={},
    interrupted=False,
    best=[TrialLine(window=0, trial=n, values={"qty": f"0.00{n}"}, figures=FIGURES) for n in range(5)],
    deflation=Deflation(sharpe=1.25, trials=40, expected_max=0.75, probability=0.875),
    heat=None,
    windows=[],
    stitched=None,
    threads=2,
    seconds=1.5,
    trials_per_s=26.7,
)


def told(capsys, *, shown=10, **changed):
    show(msgspec.structs.replace(RESULT, **changed), best=shown, as_json=False)
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_the_best_are_listed_with_their_values(capsys):
    text = told(capsys, shown=2)
    assert "the best 2 of 5 by sharpe, most first" in text
    assert "0 0.000 1.25 -3.5 0.00125 12 1.5" in text
    assert "0.002" not in text
    assert "least first" in told(capsys, by="fees")


def test_the_deflated_ratio_is_explained_or_its_absence_is(capsys):
    text = told(capsys)
    assert "87.5%: the chance that the best one's 1.25 is more than luck" in text
    assert "the best of 40 trials without any worth would show 0.75" in text
    assert "too few: 1 trial" in told(capsys, deflation=Deflation(unsaid="too few: 1 trial"))


def test_what_failed_was_known_or_was_interrupted_is_said(capsys):
    text = told(
        capsys,
        failed=9,
        errors={"a broke": 5, "b broke": 2, "c broke": 1, "d broke": 1},
        resumed=7,
        unranked=3,
        unranked_because=["too few: 2 changes"],
        interrupted=True,
    )
    assert "5: a broke 2: b broke 1: c broke and 1 other reasons" in text
    assert "7 of them known already" in text
    assert "3 have no sharpe: too few: 2 changes" in text
    assert "interrupted: the same command with --out goes on" in text


def test_a_walk_forward_has_its_windows_and_what_they_come_to(capsys):
    window = WalkWindow(
        from_ns=1_700_000_000 * 10**9,
        split_ns=1_700_000_100 * 10**9,
        until_ns=1_700_000_200 * 10**9,
        values={"qty": "0.001"},
        in_sample=2.5,
        out_of_sample=-1.5,
        figures=FIGURES,
    )
    failed = msgspec.structs.replace(window, error="it broke", out_of_sample=None, figures={})
    sums = {"net": -3.5, "fees": 1.5, "fills": 12.0}
    stitched = Stitched(parts=1, sums=sums, changes=3, growth=-0.01, unsaid={"sharpe": "too few: 3 changes"})
    text = told(capsys, windows=[window, failed], stitched=stitched, best=[])
    assert "2023-11-14 22:15:00 0.001 2.5 -1.5 -3.5 12" in text
    assert "it broke" in text
    assert "1 parts, 12 fills" in text
    assert "-1.0000%, each part's" in text
    assert "too few: 3 changes" in text
    assert "deflated" not in text


def test_a_heat_map_is_drawn(capsys):
    heat = Heat(across="qty", down="band", columns=["1"], rows=["2"], cells=[[0.5]])
    assert "sharpe by qty (across) and band (down)" in told(capsys, heat=heat)


@pytest.mark.parametrize(
    "heat", [None, Heat(across="a", down="b", columns=["1"], rows=["2"], cells=[[None]])]
)
def test_programs_are_told_all_of_it(capsys, heat):
    result = msgspec.structs.replace(RESULT, heat=heat)
    show(result, best=1, as_json=True)
    assert msgspec.json.decode(capsys.readouterr().out, type=SweepResult) == result

"""`tickd sweep`: from ranges to a ranking, by the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from daemon.cli import main
from daemon.faces.sweep_table import SweepResult
from daemon.research import sweep_verb, trial
from daemon.research.trial import Bench, Part
from daemon.tape.replay import Given
from tests.daemon.research.test_trial import RAISING

DIVIDED = "it raised ZeroDivisionError: integer division or modulo by zero"
RANGES = ["--param", "qty=0.001:0.003:0.001", "--param", "band_bps=0.1,0.3"]


def ran(capsys, swung, *words, code=0):
    """Run it; return what it told a program."""
    assert main(["sweep", str(swung), "--point", "1", *words, "--json"]) == code
    return msgspec.json.decode(capsys.readouterr().out, type=SweepResult)


def refused(capsys, swung, *words):
    code = main(["sweep", str(swung), *words])
    told = capsys.readouterr()
    assert told.out == ""
    return code, told.err


def same(result):
    """Return all that is not of the machine."""
    return msgspec.structs.replace(result, threads=0, seconds=0.0, trials_per_s=0.0, resumed=0)


def test_the_best_trial_is_the_backtest_that_says_so(capsys, swung, tmp_path):
    result = ran(capsys, swung, *RANGES)
    assert (result.trials, result.done, result.failed) == (6, 6, 0)
    assert [one.figures["sharpe"] for one in result.best] == sorted(
        (one.figures["sharpe"] for one in result.best), reverse=True
    )
    best = result.best[0]
    path = tmp_path / "x.toml"
    path.write_text(
        'name = "x"\nmode = "paper"\n[feed]\nsymbols = ["BTC/USDT"]\n[[strategy]]\nname = "ema_cross"\n'
        f"params = {{qty = {best.values['qty']}, band_bps = {best.values['band_bps']}}}\n"
    )
    assert main(["backtest", str(swung), "--point", "1", "--config", str(path), "--json"]) == 0
    told = msgspec.json.decode(capsys.readouterr().out)
    assert best.figures["fills"] > 5
    assert {name: told[name] for name in best.figures} == best.figures


@pytest.mark.parametrize("search", [[], ["--search", "random", "--trials", "5"]])
def test_the_result_is_the_same_for_any_number_of_threads(capsys, swung, search):
    one = ran(capsys, swung, *RANGES, *search, "--threads", "1")
    three = ran(capsys, swung, *RANGES, *search, "--threads", "3")
    assert same(one) == same(three)
    assert (one.threads, three.threads) == (1, 3)


def test_tpe_is_the_same_again(capsys, swung):
    words = [*RANGES, "--search", "tpe", "--trials", "8", "--threads", "2", "--seed", "3"]
    assert same(ran(capsys, swung, *words)) == same(ran(capsys, swung, *words))


def test_a_sweep_goes_on_from_its_file(capsys, swung, tmp_path, monkeypatch):
    out = tmp_path / "sweep.jsonl"
    whole = ran(capsys, swung, *RANGES, "--out", str(out))
    data = out.read_bytes()
    lines = data.splitlines(keepends=True)
    assert len(lines) == 7
    out.write_bytes(b"".join(lines[:4]) + lines[4][:-20])  # torn within the fourth trial
    again = ran(capsys, swung, *RANGES, "--out", str(out))
    assert again.resumed == 3
    assert same(again) == same(whole)
    assert out.read_bytes() == data
    monkeypatch.setattr(Bench, "run", None)  # nothing is left to run
    assert ran(capsys, swung, *RANGES, "--out", str(out)).resumed == 6
    code, text = refused(capsys, swung, "--param", "qty=0.001", "--out", str(out))
    assert code == 2
    assert "is of another sweep: ranges.qty, ranges.band_bps, point_s differ" in text


@pytest.mark.parametrize(
    ("first", "then", "named"),
    [
        (["--search", "tpe", "--trials", "3", "--threads", "1"], ["--threads", "2"], "search.threads"),
        (["--search", "tpe", "--trials", "3", "--threads", "1"], ["--by", "net"], "search.by"),
        (["--search", "random", "--trials", "3"], ["--trials", "4"], "search.trials"),
        (["--search", "random", "--trials", "3"], ["--seed", "4"], "search.seed"),
        ([], ["--strategy", "market_maker"], "strategy, base.strategy"),
        ([], ["--config", "CONFIG"], "base.feed.stale_ms"),
    ],
)
def test_another_search_strategy_or_setting_is_another_sweep(capsys, swung, tmp_path, first, then, named):
    path = tmp_path / "x.toml"
    path.write_text(
        'name = "x"\nmode = "paper"\n[feed]\nsymbols = ["BTC/USDT"]\nstale_ms = 77\n'
        '[[strategy]]\nname = "ema_cross"\n'
    )
    words = ["--param", "qty=0.001,0.002,0.003,0.004", "--out", str(tmp_path / "sweep.jsonl"), *first]
    ran(capsys, swung, *words)
    more = [str(path) if one == "CONFIG" else one for one in then]
    code, text = refused(capsys, swung, "--point", "1", *words, *more)
    assert code == 2
    assert f"is of another sweep: {named} differ" in text


def test_people_see_the_ranking_the_map_and_the_settings(capsys, swung):
    words = ["--param", "qty=0.001,0.002", "--set", "paper.latency_in_us=0,1000"]
    words += ["--heat", "qty,paper.latency_in_us", "--by", "net"]
    assert main(["sweep", str(swung), *words]) == 0
    out = capsys.readouterr().out
    assert "the best 4 of 4 by net, most first" in out
    assert "net by qty (across) and paper.latency_in_us (down)" in out
    assert "bytes of memory an event" in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_trial_that_fails_is_told_and_the_others_go_on(capsys, swung, tmp_path):
    path = tmp_path / "raising.py"
    path.write_text(RAISING)
    words = ["--strategy", str(path), "--param", "after=0,300,0.5", "--by", "net"]
    result = ran(capsys, swung, *words, code=1)
    assert (result.done, result.failed, len(result.best)) == (3, 2, 1)
    assert sorted(result.errors.values()) == [1, 1]  # each says when
    assert all(text.endswith(DIVIDED) for text in result.errors)
    assert result.best[0].values == {"after": "0"}


def test_a_walk_forward_measures_on_what_it_has_not_seen(capsys, swung):
    result = ran(capsys, swung, *RANGES, "--walk-forward", "2", "--by", "net")
    assert (result.trials, result.done, len(result.windows)) == (12, 12, 2)
    assert result.windows[0].split_ns == result.windows[1].from_ns
    bench = Bench(swung, Given(None, None, None), 1)
    bench.read()
    nets = []
    for number, window in enumerate(result.windows):
        inside = Part(window.from_ns, window.split_ns)
        points = [
            {"qty": qty, "band_bps": band} for qty in ("0.001", "0.002", "0.003") for band in ("0.1", "0.3")
        ]
        figures = [bench.run(point, inside).result.net for point in points]
        best = max(range(6), key=lambda place, figures=figures: figures[place])
        assert (window.values, window.in_sample) == (points[best], figures[best]), number
        after = bench.run(points[best], Part(window.split_ns, window.until_ns)).result
        assert window.out_of_sample == window.figures["net"] == after.net
        nets.append(after.net)
    assert result.stitched.sums["net"] == pytest.approx(sum(nets))
    assert result.stitched.parts == 2
    assert result.best == []


def test_a_walk_forward_goes_on_from_its_file(capsys, swung, tmp_path):
    words = [*RANGES, "--walk-forward", "2", "--out", str(tmp_path / "walk")]
    whole = ran(capsys, swung, *words)
    lines = (tmp_path / "walk").read_bytes().splitlines(keepends=True)
    (tmp_path / "walk").write_bytes(b"".join(lines[:9]))
    again = ran(capsys, swung, *words)
    assert again.resumed == 8
    assert same(again) == same(whole)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ([], 2, "a sweep varies something"),
        (["--param", "size=1,2"], 2, "no such parameter; it has qty, band_bps, slip_bps"),
        (["--param", "qty=2:1:1"], 2, "is empty"),
        (["--param", "qty=1,x"], 2, "'x' is not a number"),
        (["--param", "qty=1", "--by", "luck"], 2, "--by luck is no figure"),
        (["--param", "qty=1", "--heat", "qty,x"], 2, "--heat x is not varied; there are qty"),
        (["--param", "qty=1", "--heat", "qty,qty"], 2, "takes two names"),
        ([*RANGES, "--heat", "qty,band_bps", "--walk-forward", "2"], 2, "leave --walk-forward out"),
        (["--set", "paper.queue=x"], 2, "--set paper.queue=x: paper.queue is 'x'"),
        (["--set", "log.level=debug"], 2, "nothing that a backtest varies"),
        (["--set", "paper.latency_in_us=300000"], 78, "below 250 ms"),
        (["--param", "qty=1", "--trials", "3"], 2, "a grid is tried whole"),
        (["--param", "qty=1", "--search", "tpe"], 2, "say --trials N"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read_or_written(
    capsys, swung, tmp_path, monkeypatch, words, code, sentence
):
    monkeypatch.setattr(trial, "read_record", None)
    out = tmp_path / "sweep.jsonl"
    found, text = refused(capsys, swung, *words, "--out", str(out))
    assert sentence in text
    assert text.count("\n") == 1
    assert found == code
    assert not out.exists()


def test_an_interrupt_tells_what_there_is(capsys, swung, tmp_path, monkeypatch):
    out = tmp_path / "sweep.jsonl"
    real, count = sweep_verb.Sweep._take, 0

    def take(self, line):
        nonlocal count
        real(self, line)
        count += 1
        if count == 3:
            os.kill(os.getpid(), signal.SIGTERM)  # as SIGINT does

    monkeypatch.setattr(sweep_verb.Sweep, "_take", take)
    result = ran(capsys, swung, *RANGES, "--threads", "1", "--out", str(out), code=130)
    monkeypatch.setattr(sweep_verb.Sweep, "_take", real)
    assert result.interrupted
    assert 3 <= result.done == len(result.best) < 6
    assert len(out.read_bytes().splitlines()) == 1 + result.done
    whole = ran(capsys, swung, *RANGES, "--threads", "1", "--out", str(out))
    assert (whole.interrupted, whole.done, whole.resumed) == (False, 6, result.done)


@pytest.mark.heavy(seconds=15)
def test_ctrl_c_ends_a_process_at_once_and_its_file_goes_on(root, swung, tmp_path):
    out = tmp_path / "sweep.jsonl"
    words = ["sweep", str(swung), "--point", "1", "--param", "qty=0.001:2:0.001", "--out", str(out), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "daemon.cli", *words], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    for _ in range(600):
        if out.exists() and out.read_bytes().count(b"\n") > 5:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    told, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, b"")
    result = msgspec.json.decode(told, type=SweepResult)
    assert result.interrupted
    assert 5 < result.done == out.read_bytes().count(b"\n") - 1 < 2_000

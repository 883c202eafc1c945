"""A sweep's trials: in order, the same for any number of threads, resumed, ended, ranked and deflated."""

from __future__ import annotations

from time import sleep
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.errors import FileFormatError, TickdError, UsageError
from daemon.options import SweepOptions
from daemon.research.ranges import parse_axis
from daemon.research.sweep import Judge, Sweep, deflate
from daemon.research.sweep_log import TrialLine
from daemon.research.trial import StoppedError

AXES = [parse_axis("a=0:5:1", "--param", numbers=True), parse_axis("b=0:3:1", "--param", numbers=True)]


class Kept:
    """In place of a file."""

    def __init__(self, *lines):
        self.known = {(one.window, one.trial): one for one in lines}
        self.added: list[TrialLine] = []

    def add(self, line):
        self.added.append(line)


def line(point, window, number):
    """A trial's line: its figure is known from its values, and one has none."""
    a, b = float(point["a"]), float(point["b"])
    if (a, b) == (2, 2):
        return TrialLine(window=window, trial=number, values=point, error="it failed")
    net = None if (a, b) == (3, 3) else 10 * a + b
    return TrialLine(
        window=window, trial=number, values=point, figures={"net": net, "fees": net, "sharpe": net}
    )


@pytest.fixture
def tried(monkeypatch):
    """Points that were tried, in place of backtests."""
    found: list[tuple[str, ...]] = []

    def one(bench, point, window, number, part):
        if bench.stopped:
            raise StoppedError("ended")
        found.append(tuple(point.values()))
        return line(point, window, number)

    monkeypatch.setattr("daemon.research.sweep.try_one", one)
    return found


def sweep(tmp_path, kept=None, *, threads=1, by="net", **more: Any):
    options = SweepOptions(path=tmp_path, by=by, out=tmp_path / "out", **more)
    bench = SimpleNamespace(stopped=False)
    return Sweep(options, AXES, bench, Judge(by), kept or Kept(), threads)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_trials_come_in_the_order_of_the_search(tmp_path, tried, threads):
    kept = Kept()
    lines = sweep(tmp_path, kept, threads=threads).window(0, None, lambda _: None)
    assert [one.trial for one in lines] == list(range(24))
    assert kept.added == lines
    assert sorted(tried) == sorted(tuple(one.values.values()) for one in lines)


@pytest.mark.parametrize("search", ["grid", "random", "tpe"])
@pytest.mark.parametrize("before", [0, 1, 7, 15])
def test_what_is_known_is_not_tried_again_and_all_goes_on_as_it_would_have(tmp_path, tried, search, before):
    more: dict[str, Any] = {} if search == "grid" else {"trials": 16}
    whole = sweep(tmp_path, search=search, threads=2, **more).window(0, None, lambda _: None)
    tried.clear()
    kept = Kept(*whole[:before])
    again = sweep(tmp_path, kept, search=search, threads=2, **more).window(0, None, lambda _: None)
    assert again == whole
    assert kept.added == whole[before:]
    assert len(tried) <= len(whole) - before


def test_tpe_tries_no_point_twice_one_after_the_other(tmp_path, tried):
    lines = sweep(tmp_path, search="tpe", trials=60).window(0, None, lambda _: None)
    assert len(lines) == 60
    assert len(tried) == len(set(tried)) == len({tuple(one.values.values()) for one in lines}) < 60


def test_a_file_whose_trials_are_of_another_path_is_refused(tmp_path, tried):
    kept = Kept(TrialLine(window=0, trial=3, values={"a": "9", "b": "9"}))
    with pytest.raises(FileFormatError, match="other values for trial 3"):
        sweep(tmp_path, kept).window(0, None, lambda _: None)


def test_an_interrupt_keeps_what_was_done(tmp_path, tried):
    kept = Kept()
    one = sweep(tmp_path, kept, threads=2)

    def tell(done):
        if done == 5:
            for _ in range(1_000):  # until one is done that was not taken
                if len(tried) > 6:
                    break
                sleep(0.01)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one.window(0, None, tell)
    assert one._bench.stopped
    assert kept.added[:5] == [line(x.values, 0, number) for number, x in enumerate(kept.added[:5])]
    assert 6 <= len(kept.added) == len(one.lines) <= 5 + 4


def test_a_bug_is_no_trial_that_failed(tmp_path, monkeypatch):
    def broken(*_):
        raise AssertionError("ours")

    monkeypatch.setattr("daemon.research.sweep.try_one", broken)
    with pytest.raises(AssertionError, match="ours"):
        sweep(tmp_path).window(0, None, lambda _: None)


def test_a_trial_that_fails_says_why(monkeypatch):
    from daemon.research.sweep import try_one

    def run(point, part):
        raise TickdError("it broke")

    found = try_one(SimpleNamespace(run=run), {"a": "1"}, 2, 3, None)
    assert found == TrialLine(window=2, trial=3, values={"a": "1"}, error="it broke")


def test_the_best_is_first_and_of_costs_the_least(tmp_path, tried):
    lines = sweep(tmp_path).window(0, None, lambda _: None)
    figures = [one.figures["net"] for one in Judge("net").ranked(lines)]
    assert figures == sorted(figures, reverse=True)
    assert len(figures) == 22  # one failed, one has no figure
    assert [one.figures["fees"] for one in Judge("fees").ranked(lines)] == figures[::-1]
    same = [TrialLine(window=0, trial=n, values={}, figures={"net": 1}) for n in (2, 0, 1)]
    assert [one.trial for one in Judge("net").ranked(same)] == [0, 1, 2]


@pytest.mark.parametrize("by", ["sharp", "halted", "trips", "from_ns", "drawdown_regained", "seconds"])
def test_what_is_no_figure_is_refused(by):
    with pytest.raises(UsageError, match=f"--by {by} is no figure; there are decisions, placed"):
        Judge(by)


SHAPE = {"skew": 0.1, "kurtosis": 4.0}


def measured(number, sharpe, values="x"):
    figures = {"sharpe": sharpe, "changes": 500}
    return TrialLine(window=0, trial=number, values={"a": values}, figures=figures, **SHAPE)


def test_the_best_is_deflated_by_the_number_of_points():
    few = [measured(number, 50.0 + 40 * number, str(number)) for number in range(4)]
    found = deflate(few, few[-1], 60)
    assert (found.sharpe, found.trials, found.unsaid) == (170.0, 4, "")
    assert 0 < found.probability < 1
    # the same point again is no further trial, and a failed one none either
    more = [*few, measured(9, 50.0, "0"), TrialLine(window=0, trial=10, values={"a": "z"}, error="x")]
    assert deflate(more, few[-1], 60) == found
    many = [*few, *(measured(20 + n, 50.0 + 40 * (n % 4), f"m{n}") for n in range(60))]
    assert deflate(many, few[-1], 60).expected_max > found.expected_max
    assert deflate(many, few[-1], 60).probability < found.probability


def test_a_deflation_that_is_not_known_is_a_sentence():
    assert "no trial" in deflate([], None, 60).unsaid
    one = measured(0, 3.0)
    assert deflate([one], one, 60).unsaid.startswith("too few: 1 trial")
    none = TrialLine(window=0, trial=0, values={}, figures={"sharpe": None}, unsaid={"sharpe": "too few: 3"})
    assert deflate([none], none, 60).unsaid == "too few: 3"

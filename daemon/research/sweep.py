"""Many backtests over one record: a search asks for points, threads try them, each is kept as it ends."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from math import sqrt
from typing import TYPE_CHECKING, Any, Final, get_type_hints

import msgspec

from daemon.errors import FileFormatError, TickdError, UsageError, nearest
from daemon.research import deflated, statistics
from daemon.research.figures import BacktestResult
from daemon.research.search import make_search
from daemon.research.sweep_log import TrialLine
from daemon.research.trial import StoppedError
from daemon.research.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from daemon.options import SweepOptions
    from daemon.research.cluster import Crew
    from daemon.research.ranges import Axis, Point
    from daemon.research.search import Search
    from daemon.research.sweep_log import SweepLog
    from daemon.research.trial import Bench, Part, Tried

    #: (point, window, number, part)
    Do = Callable[[Point, int, int, Part | None], TrialLine]
    Elsewhere = tuple[Do, Callable[[], Crew[TrialLine]]]

#: figures of which less is better
LESS: Final = frozenset({"drawdown_max", "drawdown_share", "drawdown_s", "fees", "slippage", "slippage_bps"})
#: not of the trial: what the whole sweep shares, what is told apart, and what a machine took
_LEFT_OUT: Final = ("file", "symbol", "strategy", "trips", "unsaid", "seconds", "events_per_s")
#: numbers that say nothing of how good a trial is
_UNRANKED: Final = (*_LEFT_OUT, "events", "from_ns", "until_ns", "point_s")


class Judge:
    """Compares trials by one figure."""

    def __init__(self, by: str) -> None:
        """Raise UsageError for a figure that there is not."""
        known = [name for name in numbers_of_result() if name not in _UNRANKED]
        if by not in known:
            raise UsageError(f"--by {by} is no figure; there are {', '.join(known)}{nearest(by, known)}")
        self.by = by
        self.least = by in LESS

    def figure(self, line: TrialLine) -> float | None:
        """Return a trial's figure; None: it has none."""
        found = line.figures.get(self.by)
        return None if found is None else float(found)

    def worth(self, line: TrialLine) -> float | None:
        """Return it so that more is better."""
        figure = self.figure(line)
        return -figure if figure is not None and self.least else figure

    def ranked(self, lines: Iterable[TrialLine]) -> list[TrialLine]:
        """Return those with a figure, the best first; of equals the earlier."""
        known = [(worth, one) for one in lines if (worth := self.worth(one)) is not None]
        return [one for _, one in sorted(known, key=lambda pair: (-pair[0], pair[1].trial))]


def numbers_of_result() -> list[str]:
    """Return the figures of a backtest that are numbers."""
    hints = get_type_hints(BacktestResult)
    return [name for name, kind in hints.items() if kind in {int, float} or kind == float | None]


class Sweep:
    """The trials of a sweep, window by window."""

    def __init__(
        self,
        options: SweepOptions,
        axes: Sequence[Axis],
        bench: Bench,
        judge: Judge,
        log: SweepLog,
        threads: int,
        elsewhere: Elsewhere | None = None,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Begin it; elsewhere: who does the work in the place of threads. waiting: is entered to wait."""
        self.waiting = waiting
        self._options = options
        self._axes = axes
        self._bench = bench
        self._judge = judge
        self._log = log
        self._threads = threads
        self._do: Do = partial(try_one, bench)
        self._crew: Callable[[], Workers[TrialLine] | Crew[TrialLine]] = partial(Workers, threads)
        if elsewhere is not None:
            self._do, self._crew = elsewhere
        self.lines: dict[tuple[int, int], TrialLine] = {}
        self.fresh = 0  # trials that were not in the file

    def search(self) -> Search:
        """Return the path of one window; raises UsageError."""
        one = self._options
        return make_search(one.search, self._axes, one.trials, one.seed)

    def window(self, number: int, part: Part | None, tell: Callable[[int], object]) -> list[TrialLine]:
        """Try all points of a window; tell: called with the count of all that is done.

        A KeyboardInterrupt ends the trials under way, keeps those that are done, and goes on upward.
        """
        search = self.search()
        ahead = self._threads if self._options.search == "tpe" else 2 * self._threads
        asked = told = 0
        points: dict[tuple[str, ...], TrialLine] = {}
        with self._crew() as workers:
            try:
                while told < search.trials:
                    if asked < search.trials and len(workers) < ahead:
                        self._ask(workers, search.ask(), number, asked, part, points)
                        asked += 1
                        continue
                    with self.waiting():
                        line = workers.oldest()
                    told += 1
                    self._take(line)
                    points[tuple(line.values.values())] = line
                    search.tell(self._judge.worth(line))
                    tell(len(self.lines))
            except BaseException:
                self._bench.stopped = True
                for line in workers.ended():
                    self._take(line)
                raise
        return [one for (window, _), one in sorted(self.lines.items()) if window == number]

    def _ask(
        self,
        workers: Workers[TrialLine] | Crew[TrialLine],
        point: Point,
        window: int,
        number: int,
        part: Part | None,
        points: dict[tuple[str, ...], TrialLine],
    ) -> None:
        known = self._log.known.get((window, number))
        same = points.get(tuple(point.values()))
        if known is not None:
            if known.values != point:
                raise FileFormatError(
                    f"{self._options.out} has other values for trial {number} than this search; "
                    "name another --out"
                )
            workers.know(known)
        elif same is not None:  # TPE comes back to what it likes
            workers.know(msgspec.structs.replace(same, trial=number))
        else:
            workers.ask(partial(self._do, point, window, number, part))

    def _take(self, line: TrialLine) -> None:
        key = line.window, line.trial
        if key not in self.lines and key not in self._log.known:
            self._log.add(line)
            self.fresh += 1
        self.lines[key] = line


def try_one(bench: Bench, point: Point, window: int, number: int, part: Part | None) -> TrialLine:
    """Return what is kept of a trial, or of its failure; raises StoppedError."""
    try:
        return line_of(bench.run(point, part), point, window, number)
    except StoppedError:
        raise
    except TickdError as error:
        return TrialLine(window=window, trial=number, values=point, error=str(error))


def line_of(tried: Tried, point: Point, window: int, number: int) -> TrialLine:
    """Return what is kept of a trial."""
    figures: dict[str, Any] = msgspec.to_builtins(tried.result)
    found = deflated.moments(tried.changes)
    shape = None if isinstance(found, str) else found
    return TrialLine(
        window=window,
        trial=number,
        values=point,
        figures={name: value for name, value in figures.items() if name not in _LEFT_OUT},
        unsaid=figures["unsaid"],
        skew=None if shape is None else shape.skew,
        kurtosis=None if shape is None else shape.kurtosis,
    )


class Deflation(msgspec.Struct, kw_only=True):
    """How much of the best Sharpe ratio is luck."""

    sharpe: float | None = None  # of the best trial, annualised
    trials: int = 0  # of different points, with a Sharpe ratio
    expected_max: float | None = None  # what the best of so many would show if none were worth anything
    probability: float | None = None  # that the best one's is above that: the deflated Sharpe ratio
    unsaid: str = ""  # why it is not known


def deflate(lines: Iterable[TrialLine], best: TrialLine | None, point_s: int) -> Deflation:
    """Return the deflated Sharpe ratio of the best of these trials."""
    if best is None:
        return Deflation(unsaid="no trial has the figure that ranks")
    steps = sqrt(statistics.YEAR_NS / (point_s * 10**9))
    points = {tuple(one.values.values()): one.figures.get("sharpe") for one in lines}
    ratios = [one / steps for one in points.values() if one is not None]
    sharpe, changes = best.figures.get("sharpe"), best.figures.get("changes", 0)
    shape: deflated.Moments | str = best.unsaid.get("sharpe", "equity did not change")
    if best.skew is not None and best.kurtosis is not None:
        shape = deflated.Moments(best.skew, best.kurtosis)
    found = deflated.deflated(None if sharpe is None else sharpe / steps, changes, shape, ratios)
    if isinstance(found, str):
        return Deflation(sharpe=sharpe, trials=len(ratios), unsaid=found)
    highest = deflated.expected_maximum(deflated.variance(ratios), len(ratios)) * steps
    return Deflation(sharpe=sharpe, trials=len(ratios), expected_max=highest, probability=found)

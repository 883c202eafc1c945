"""In which order a sweep tries its points: all of a grid, some drawn at random, or where TPE expects more.

Each is the same for the same seed. TPE learns from the trials before: it is told of each in their order, and
asked for the next one once all but the newest `ahead` are told, so that its path depends on the seed and on
`ahead` and never on which thread was faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import numpy as np

from daemon.errors import UsageError
from daemon.research.ranges import Point, count, point_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.research.ranges import Axis

Kind = Literal["grid", "random", "tpe"]
#: more points are not all checked before the first is tried, nor taken for a grid that is meant
GRID_MAX: Final = 1_000_000


class Search(Protocol):
    """A path through the points."""

    trials: int

    def ask(self) -> Point:
        """Return the next point; it is asked so often as there are trials."""

    def tell(self, figure: float | None) -> None:
        """Learn the figure of the oldest point that was asked for and not told of; None: it has none."""


class Listed:
    """Points by their numbers in the grid."""

    def __init__(self, axes: Sequence[Axis], numbers: Sequence[int]) -> None:
        self._axes = axes
        self._numbers = numbers
        self._asked = 0
        self.trials = len(numbers)

    def ask(self) -> Point:
        """Return the next point."""
        self._asked += 1
        return point_at(self._axes, self._numbers[self._asked - 1])

    def tell(self, figure: float | None) -> None:
        """Learn nothing."""


class Tpe:
    """Optuna's tree-structured Parzen estimator; figures are the larger the better."""

    def __init__(self, axes: Sequence[Axis], trials: int, seed: int) -> None:
        """Begin it; raises UsageError where Optuna is not installed."""
        try:
            import optuna  # noqa: PLC0415 - half a second, needed by one search
        except ImportError:
            raise UsageError(
                "--search tpe is Optuna's, which is not installed: make setup, or "
                "pip install -r requirements/research.txt"
            ) from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._failed = optuna.trial.TrialState.FAIL
        sampler = optuna.samplers.TPESampler(seed=seed % 2**32)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._axes = axes
        self._asked: list[Any] = []
        self.trials = trials

    def ask(self) -> Point:
        """Return the next point."""
        trial = self._study.ask()
        self._asked.append(trial)
        point = {}
        for one in self._axes:
            if one.ordered:
                point[one.name] = one.values[trial.suggest_int(one.name, 0, len(one.values) - 1)]
            else:
                point[one.name] = trial.suggest_categorical(one.name, list(one.values))
        return point

    def tell(self, figure: float | None) -> None:
        """Learn the oldest one's figure."""
        trial = self._asked.pop(0)
        if figure is None:
            self._study.tell(trial, state=self._failed)
        else:
            self._study.tell(trial, figure)


def make_search(kind: Kind, axes: Sequence[Axis], trials: int | None, seed: int) -> Search:
    """Return it; raises UsageError. trials: of random draws and of TPE."""
    total = count(axes)
    if kind == "grid":
        if trials is not None:
            raise UsageError("--trials is of --search random or tpe; a grid is tried whole")
        if total > GRID_MAX:
            raise UsageError(
                f"the grid has {total:,} points, and {GRID_MAX:,} is the most; take larger steps, or "
                "--search random --trials N"
            )
        return Listed(axes, range(total))
    if trials is None:
        raise UsageError(f"--search {kind} wants to know how often: say --trials N")
    if kind == "random":
        if total > 2**62:
            raise UsageError(f"{total:,} points are more than can be numbered; take larger steps")
        drawn = np.random.default_rng(seed).choice(total, size=min(trials, total), replace=False)
        return Listed(axes, drawn.tolist())
    return Tpe(axes, trials, seed)

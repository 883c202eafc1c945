"""Training: ticks to features, labels, trees and a sealed bundle; the same arguments, the same bundle.

The last quarter of the time is kept for judging. Before it, a model of a record is judged on folds too, each
learned from all that came before it: whether what it finds lasts. The synthetic market is run in segments,
each with a lead-in that only warms the features up, so that memory stays bounded however long it is.
"""

from __future__ import annotations

import shlex
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from daemon.drift import PREDICTION, refer
from daemon.errors import TickdError, UsageError
from daemon.instruments import make_instrument
from daemon.research.bundle import feature_code, write_bundle
from daemon.research.rows import LEAD_IN_NS, Rows, recorded_rows
from daemon.simulator.market import MarketSettings, Seen, SyntheticMarket, tick_rows
from kernels import batch
from kernels.dtypes import DEPTH, QUOTE, TICK
from kernels.features import FEATURES, TUNING, bind_tuning
from strategies.model import Manifest
from strategies.research.labels import forward_return_bps, went_up
from strategies.research.metrics import accuracy, auc, edge_bps, log_loss
from strategies.research.splits import Split, holdout, walk_forward

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from daemon.seams import Disk
    from strategies.model import Reference

#: how often `on_step` is called, for a progress bar
STEPS: Final = 4
MINUTES_MIN: Final = 10
HORIZON_MS: Final = 5_000
#: 2024-01-01; the synthetic market's own time does not depend on when it is run
START_NS: Final = 1_704_067_200_000_000_000

_SEGMENT_NS: Final = 600_000_000_000
STRIDE: Final = 32  # every so many ticks a row: neighbours differ little, and their labels less
FOLDS: Final = 4
_HORIZON_MS_MAX: Final = 86_400_000
#: fewer rows than two leaves hold teach nothing
_ROWS_MIN: Final = 1_000
_TEST_SHARE: Final = 0.25
_SURE: Final = 0.1  # how far from one half a prediction counts as sure in `edge_bps`
_GOLDEN: Final = 12

_PARAMETERS: Final[dict[str, Any]] = {
    "objective": "binary",
    "num_leaves": 31,
    "learning_rate": 0.03,
    "min_data_in_leaf": 500,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}
_TREES: Final = 100


class _Recipe(NamedTuple):
    """What a manifest says of how its model was made."""

    command: str
    data: dict[str, Any]  # what it learned from
    seed: int
    horizon_ms: int
    trees: int = _TREES
    folds: int = 0


class Trained(NamedTuple):
    """What a training made: the bundle's folder, the model's hash and what it achieved."""

    folder: Path
    manifest: Manifest


def train_synthetic(
    disk: Disk,
    out: Path,
    *,
    seed: int,
    minutes: int,
    horizon_ms: int = HORIZON_MS,
    on_step: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Train on `minutes` of the synthetic market of `seed` and write the bundle into `out`.

    The model foresees whether mid is higher `horizon_ms` from now: its prediction is that chance. Raises
    UsageError for a period too short to judge on, TickdError without lightgbm.
    """
    if minutes < MINUTES_MIN:
        raise UsageError(f"training needs at least {MINUTES_MIN} minutes of market, not {minutes}")
    if not 0 < horizon_ms * 1_000_000 <= LEAD_IN_NS:
        raise UsageError(f"the horizon must be 1 to {LEAD_IN_NS // 1_000_000} ms, not {horizon_ms}")
    _lightgbm()  # before the long part
    on_step("running the synthetic market")
    rows = synthetic_rows(seed, minutes, horizon_ms)
    command = (
        f"tickd train --synthetic --seed {seed} --minutes {minutes} --horizon-ms {horizon_ms} "
        f"--out {shlex.quote(str(out))}"
    )
    data = {"data": "synthetic", "symbol": "BTC/USDT"}
    return _train(disk, out, rows, _Recipe(command, data, seed, horizon_ms), on_step)


def train_recorded(
    disk: Disk,
    out: Path,
    path: Path,
    *,
    seed: int,
    horizon_ms: int = HORIZON_MS,
    every: int = STRIDE,
    trees: int = _TREES,
    folds: int = FOLDS,
    on_step: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Train on a folder of one symbol's ticks, of each `every`-th decision, and write the bundle into `out`.

    What it foresees is as of `train_synthetic`. Raises UsageError for a record too short to learn from,
    FileFormatError and ConfigError as `recorded_rows`, and TickdError without lightgbm.
    """
    if not 0 < horizon_ms <= _HORIZON_MS_MAX:
        raise UsageError(f"the horizon must be 1 to {_HORIZON_MS_MAX} ms, not {horizon_ms}")
    _lightgbm()
    on_step("reading the record")
    found = recorded_rows(path, horizon_ms, every)
    one = found.instrument
    command = (
        f"tickd train {shlex.quote(str(path))} --seed {seed} --horizon-ms {horizon_ms} --every {every} "
        f"--trees {trees} --folds {folds} --out {shlex.quote(str(out))}"
    )
    data = {"data": f"ticks of {one.exchange} {one.market}", "symbol": one.symbol, "digest": found.digest}
    recipe = _Recipe(command, data, seed, horizon_ms, trees, folds)
    return _train(disk, out, found.rows, recipe, on_step)


def _train(disk: Disk, out: Path, rows: Rows, recipe: _Recipe, on_step: Callable[[str], None]) -> Trained:
    """Learn from rows, judge, and write the bundle."""
    on_step("growing trees")
    label = went_up(rows.return_bps)
    known = np.flatnonzero(~np.isnan(label))
    if not len(known):
        raise UsageError(
            f"there is nothing to learn from: no row stands {LEAD_IN_NS // 1_000_000_000} s behind the "
            f"beginning and {recipe.horizon_ms} ms before the end, with a move of the market in between; "
            "take a longer record"
        )
    rows = Rows(rows.at_ns[known], rows.features[known], rows.return_bps[known])
    label = label[known]
    split, folds = _split(rows, label, recipe)
    metrics = _judge_folds(rows, label, folds, recipe)
    text, predictor = grow(rows.features[split.train], label[split.train], recipe.seed, recipe.trees)
    on_step("judging")
    golden = _golden(rows.features[split.test])
    manifest = Manifest(
        name=out.name,
        command=recipe.command,
        seed=recipe.seed,
        features=FEATURES,
        tuning=dict(TUNING),
        feature_code=feature_code(),
        objective=_objective(text),
        target={"kind": "chance that mid is higher", "horizon_ms": recipe.horizon_ms},
        window=recipe.data | _window(rows, split),
        metrics=_judge(rows, label, split, predictor) | metrics,
        golden_rows=golden,
        golden_outputs=predictor(golden),
        reference=_reference(rows, split, predictor),
    )
    on_step("writing the bundle")
    write_bundle(disk, out, text.encode("ascii"), manifest)
    return Trained(out, manifest)


def synthetic_rows(seed: int, minutes: int, horizon_ms: int) -> Rows:
    """Return every 32nd feature row of a synthetic market, warm, with its forward return."""
    instrument = make_instrument(
        0,
        "binance",
        "spot",
        "BTC/USDT",
        tick_size="0.01",
        lot_size="0.00001",
        qty_min="0.00001",
        qty_max="9000",
        notional_min="5",
    )
    market = SyntheticMarket(instrument, MarketSettings(seed=seed), START_NS)
    seen = Seen(market)
    end_ns = START_NS + minutes * 60_000_000_000
    at_ns, features, quote_ns, mid = [], [], [], []
    tuning, columns = bind_tuning({}), batch.places(FEATURES)
    lead, lead_books = np.zeros(0, TICK), batch.NO_BOOKS
    until_ns = START_NS
    while until_ns < end_ns:
        from_ns, until_ns = until_ns, min(until_ns + _SEGMENT_NS, end_ns)
        chunk = market.advance(until_ns)
        fresh = tick_rows(chunk, instrument)
        quotes = fresh[fresh["kind"] == QUOTE]
        quote_ns.append(quotes["wire_ns"])
        mid.append(0.5 * (quotes["a"] + quotes["c"]))
        ticks = np.concatenate((lead, fresh))
        books = np.concatenate((lead_books, seen.take(chunk, fresh)))
        warm_ns = from_ns if from_ns > START_NS else from_ns + LEAD_IN_NS
        chosen = np.flatnonzero(ticks["wire_ns"] > warm_ns)[::STRIDE]
        out = np.empty((len(chosen), len(FEATURES)))
        batch.advance(batch.new_states(1, tuning), 0, ticks, books, chosen, columns, out)
        at_ns.append(ticks["wire_ns"][chosen])
        features.append(out)
        lead = ticks[ticks["wire_ns"] > until_ns - LEAD_IN_NS]
        lead_books = books[len(books) - int(np.sum(lead["kind"] == DEPTH)) :]
    times = np.concatenate(at_ns)
    returns = forward_return_bps(times, np.concatenate(quote_ns), np.concatenate(mid), horizon_ms * 1_000_000)
    return Rows(times, np.concatenate(features), returns)


def grow(
    features: NDArray[np.float64], label: NDArray[np.float64], seed: int, trees: int = _TREES
) -> tuple[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]]:
    """Return LightGBM's text model and its own prediction of rows, as read back from that text."""
    lightgbm = _lightgbm()
    data = lightgbm.Dataset(features, label, feature_name=list(FEATURES), free_raw_data=True)
    booster = lightgbm.train({**_PARAMETERS, "seed": seed}, data, num_boost_round=trees)
    text = str(booster.model_to_string())
    frozen = lightgbm.Booster(model_str=text)

    def predictor(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(frozen.predict(rows, num_threads=1), dtype=np.float64)

    return text, predictor


def _lightgbm() -> Any:
    """Return the package, which a trading host does not have."""
    try:
        return import_module("lightgbm")
    except ImportError:
        raise TickdError(
            "training needs lightgbm, which trading does not: install it with make setup (or "
            "requirements/research.txt)"
        ) from None


def _split(rows: Rows, label: NDArray[np.float64], recipe: _Recipe) -> tuple[Split, list[Split]]:
    """Return the split of all, and the folds before its test; raises UsageError for too short a record."""
    horizon_ns = recipe.horizon_ms * 1_000_000
    try:
        split = holdout(rows.at_ns, _TEST_SHARE, horizon_ns, LEAD_IN_NS)
        before = rows.at_ns[: split.train[-1] + 1]
        folds = walk_forward(before, recipe.folds, horizon_ns, LEAD_IN_NS) if recipe.folds else []
    except ValueError as error:
        raise UsageError(str(error)) from None
    for one in (split, *folds):
        if len(one.train) < _ROWS_MIN:
            raise UsageError(
                f"{len(one.train):,} rows to learn from are too few, it takes {_ROWS_MIN:,}: take a longer "
                "record, a smaller --every, or fewer --folds"
            )
        if len(np.unique(label[one.train])) < 2 or len(np.unique(label[one.test])) < 2:
            raise UsageError(
                "mid only rose, or only fell: there is nothing to tell apart; take a longer record"
            )
    return split, folds


def _judge_folds(
    rows: Rows, label: NDArray[np.float64], folds: Sequence[Split], recipe: _Recipe
) -> dict[str, float]:
    """Return what models learned from the time before each fold achieve on it."""
    metrics = {}
    for number, fold in enumerate(folds, 1):
        _, predictor = grow(rows.features[fold.train], label[fold.train], recipe.seed, recipe.trees)
        metrics[f"auc_fold_{number}"] = auc(label[fold.test], predictor(rows.features[fold.test]))
    return {name: round(value, 6) for name, value in metrics.items()}


def _judge(
    rows: Rows,
    label: NDArray[np.float64],
    split: Split,
    predictor: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> dict[str, float]:
    """Return what the model achieves on the time it has not seen."""
    test = split.test
    seen, foretold = predictor(rows.features[split.train]), predictor(rows.features[test])
    metrics = {
        "auc": auc(label[test], foretold),
        "accuracy": accuracy(label[test], foretold),
        "log_loss": log_loss(label[test], foretold),
        "edge_bps": edge_bps(rows.return_bps[test], foretold, _SURE),
        "sure_share": float(np.mean(np.abs(foretold - 0.5) >= _SURE)),
        "up_share": float(np.mean(label[test])),
        "auc_train": auc(label[split.train], seen),
        "rows_train": float(len(split.train)),
        "rows_test": float(len(test)),
    }
    return {name: round(value, 6) for name, value in metrics.items() if np.isfinite(value)}


def _reference(
    rows: Rows, split: Split, predictor: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> Reference:
    """Return how the training's rows were spread, one a second, as a daemon looks at them."""
    at_ns = rows.at_ns[split.train]
    seconds = np.arange(at_ns[0], at_ns[-1], 1_000_000_000)
    features = rows.features[split.train[np.searchsorted(at_ns, seconds, side="right") - 1]]
    return refer((*FEATURES, PREDICTION), np.column_stack((features, predictor(features))))


def _golden(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows that the bundle is proved on: seen ones, some with gaps, and what no market shows."""
    rows = features[np.linspace(0, len(features) - 1, _GOLDEN).astype(np.int64)].copy()
    for k in range(0, _GOLDEN, 2):
        rows[k, k :: _GOLDEN // 2] = np.nan
    odd = np.repeat([[np.nan], [0.0], [np.inf], [-np.inf]], features.shape[1], axis=1)
    return np.concatenate((rows, odd))


def _window(rows: Rows, split: Split) -> dict[str, Any]:
    return {
        "train_from_ns": int(rows.at_ns[split.train[0]]),
        "train_to_ns": int(rows.at_ns[split.train[-1]]),
        "test_from_ns": int(rows.at_ns[split.test[0]]),
        "test_to_ns": int(rows.at_ns[split.test[-1]]),
    }


def _objective(text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith("objective=")).removeprefix(
        "objective="
    )

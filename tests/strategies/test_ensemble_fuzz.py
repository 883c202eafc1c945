"""Random LightGBM models, and rows that tempt a traversal to go wrong, against lightgbm itself."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest

from kernels import forest
from strategies.ensemble import build, parse

OBJECTIVES = (
    "regression",
    "regression_l1",
    "huber",
    "fair",
    "quantile",
    "mape",
    "binary",
    "cross_entropy",
    "cross_entropy_lambda",
    "poisson",
    "gamma",
    "tweedie",
    "lambdarank",
    "rank_xendcg",
    "custom",
)
ZERO = 1.0000000180025095e-35  # LightGBM's, a float32
SPECIAL = np.array(
    [
        *(np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324),
        *(1e-36, -1e-36, 1e-35, -1e-35, ZERO, -ZERO, np.nextafter(ZERO, 1), -np.nextafter(ZERO, 1)),
        *(-3.0, -1.0, -0.5, 0.5, 2.7, 31.0, 32.0, 63.9, 64.0),
        *(1e9, 2147483647.0, 2147483648.0, 4294967296.0, 4294967297.0, 1e10, -1e10),
        *(1e300, -1e300, 1.7976931348623157e308),
    ]
)


def random_model(seed: int) -> tuple[str, np.ndarray]:
    """Return a text model and the rows it was trained on."""
    rng = np.random.default_rng(seed)
    rows, categorical = _data(rng)
    n = len(rows)
    objective = OBJECTIVES[seed % len(OBJECTIVES)]
    label = rng.normal(size=n) + np.nan_to_num(rows[:, 0])
    parameters: dict[str, Any] = {
        "objective": objective,
        "num_leaves": int(rng.integers(2, 40)),
        "min_data_in_leaf": int(rng.integers(1, 12)),
        "min_sum_hessian_in_leaf": 1e-6,
        "min_data_in_bin": 1,
        "max_cat_to_onehot": int(rng.integers(1, 10)),
        "min_data_per_group": 2,
        "cat_smooth": 1.0,
        "cat_l2": 0.1,
        "use_missing": bool(rng.random() < 0.8),
        "zero_as_missing": bool(rng.random() < 0.4),
        "learning_rate": 0.3,
        "verbose": -1,
        "num_threads": 1,
        "seed": 1,
    }
    group = None
    if objective == "binary":
        label = (label > 0).astype(float)
        parameters["sigmoid"] = float(rng.choice([1.0, 0.7, 1.2345678]))
    elif objective.startswith("cross"):
        label = rng.random(n)
    elif objective in {"poisson", "gamma", "tweedie"}:
        label = np.abs(label) + 0.1
    elif objective in {"lambdarank", "rank_xendcg"}:
        label, group = rng.integers(0, 3, n).astype(float), [n // 2, n - n // 2]
    elif objective == "custom":
        parameters["objective"] = lambda score, data: (score - data.get_label(), np.ones(len(score)))
    elif objective == "regression":
        parameters["reg_sqrt"] = bool(rng.random() < 0.5)
    if rng.random() < 0.3 and objective not in {"custom", "lambdarank", "rank_xendcg"}:
        parameters.update(boosting="rf", bagging_freq=1, bagging_fraction=0.6, feature_fraction=0.8)
    elif rng.random() < 0.2:
        parameters["boosting"] = "dart"
    data = lightgbm.Dataset(rows, label, group=group, categorical_feature=categorical)
    booster = lightgbm.train(parameters, data, int(rng.integers(1, 25)))
    return booster.model_to_string(), rows


def tempting_rows(
    seed: int, rows: np.ndarray, splits: list[tuple[int, float]], count: int = 200
) -> np.ndarray:
    """Return rows of the training's kind with special values, exact thresholds and their neighbours put in.

    `splits` are (feature, threshold) of the model's numeric splits.
    """
    rng = np.random.default_rng(seed)
    chosen = rows[rng.integers(0, len(rows), count)].copy()
    chosen = np.where(rng.random(chosen.shape) < 0.25, rng.choice(SPECIAL, chosen.shape), chosen)
    if splits:
        for k in range(count):
            feature, threshold = splits[rng.integers(len(splits))]
            around = [threshold, np.nextafter(threshold, np.inf), np.nextafter(threshold, -np.inf)]
            chosen[k, feature] = rng.choice(around)
    return chosen


def _data(rng: np.random.Generator) -> tuple[np.ndarray, list[int]]:
    width, n = int(rng.integers(2, 9)), int(rng.integers(60, 400))
    rows = rng.normal(size=(n, width)) * rng.choice([1, 100, 1e-3], size=width)
    categorical = []
    for c in range(width):
        if rng.random() < 0.35:
            categorical.append(c)
            rows[:, c] = rng.integers(0, int(rng.integers(3, 90)), n)
        elif rng.random() < 0.3:
            rows[rng.random(n) < 0.5, c] = 0.0
        if rng.random() < 0.5:
            rows[rng.random(n) < 0.2, c] = np.nan
    return rows, categorical


def predictions(text: str, rows: np.ndarray, columns: list[str]) -> np.ndarray:
    arrays = build(parse(text), columns)
    return np.array([forest.predict(*arrays, row) for row in rows])


def numeric_splits(text: str) -> list[tuple[int, float]]:
    return [
        (feature, threshold)
        for tree in parse(text).trees
        for feature, threshold, decision in zip(tree.feature, tree.threshold, tree.decision, strict=True)
        if not decision & 1
    ]


def check_equal_to_lightgbm(seed: int) -> set[str]:
    """Compare one random model bit by bit; return the kinds of splits it had."""
    text, seen = random_model(seed)
    rows = tempting_rows(seed, seen, numeric_splits(text))
    want = lightgbm.Booster(model_str=text).predict(rows, num_threads=1)
    ensemble = parse(text)
    # ours lie in other columns than the model's, between columns that it does not know
    columns = ["before", *reversed(ensemble.features), "behind"]
    moved = np.full((len(rows), len(columns)), np.nan)
    for k, name in enumerate(ensemble.features):
        moved[:, columns.index(name)] = rows[:, k]
    got = predictions(text, moved, columns)
    differ = (got.view(np.int64) != want.view(np.int64)) & ~(np.isnan(got) & np.isnan(want))
    assert not differ.any(), f"seed {seed}: {got[differ][:3]} where lightgbm gives {want[differ][:3]}"
    kinds = {
        "categorical" if decision & 1 else f"missing {decision >> 2}, left {decision >> 1 & 1}"
        for tree in ensemble.trees
        for decision in tree.decision
    }
    return kinds | ({"averaged"} if ensemble.averaged else set())


def test_random_models_of_every_objective_predict_what_lightgbm_does_to_the_last_bit() -> None:
    met = set().union(*(check_equal_to_lightgbm(seed) for seed in range(4 * len(OBJECTIVES))))
    assert met >= {"categorical", "averaged", "missing 0, left 1"}
    assert met >= {f"missing {missing}, left {left}" for missing in (1, 2) for left in (0, 1)}
    assert len(forest.predict.signatures) == 1


@pytest.mark.heavy
@pytest.mark.parametrize("block", range(10))
def test_many_more_random_models_predict_what_lightgbm_does(block: int) -> None:
    for seed in range(1000 + 60 * block, 1060 + 60 * block):
        check_equal_to_lightgbm(seed)

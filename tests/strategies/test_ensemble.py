from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from kernels import forest
from strategies.ensemble import ModelError, build, parse

NAMES = ["alpha", "beta", "gamma", "delta"]


def predictions(text: str, rows: np.ndarray, columns: list[str]) -> np.ndarray:
    arrays = build(parse(text), columns)
    return np.array([forest.predict(*arrays, row) for row in rows])


def test_a_model_of_the_size_we_trade_with_predicts_what_lightgbm_does() -> None:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(4000, 20))
    label = (rows[:, 0] * rows[:, 1] + rows[:, 2] + rng.normal(size=4000) > 0).astype(float)
    rows[rng.random(rows.shape) < 0.01] = np.nan
    booster = lightgbm.train(
        {"objective": "binary", "num_leaves": 31, "verbose": -1, "num_threads": 1},
        lightgbm.Dataset(rows, label),
        100,
    )
    text = booster.model_to_string()
    got = predictions(text, rows, [f"Column_{k}" for k in range(20)])
    np.testing.assert_array_equal(got, booster.predict(rows))


def tiny_model(threshold: str = "0.5", decision: int = 10, head: str = "objective=regression\n") -> str:
    """One split on alpha: 1.0 to the left, 2.0 to the right."""
    return (
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=3\n"
        f"{head}feature_names=alpha beta gamma delta\nfeature_infos=none none none none\n"
        f"tree_sizes=100\n\nTree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nsplit_gain=1\nthreshold={threshold}\n"
        f"decision_type={decision}\nleft_child=-1\nright_child=-2\nleaf_value=1 2\nis_linear=0\n"
        "shrinkage=1\n\n\nend of trees\n"
    )


@pytest.mark.parametrize("decision", [0, 2, 4, 6, 8, 10])
@pytest.mark.parametrize(
    "threshold", ["inf", "-inf", "0", "-0.0", "1e-35", "-1e-36", "1e-36", "-1e-35", "1.5e308"]
)
def test_odd_thresholds_split_where_lightgbm_splits(threshold: str, decision: int) -> None:
    text = tiny_model(threshold, decision)
    values = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-36, -1e-36, 1e-35, -1e-35, 1.1e-35, -1.1e-35, 1.0, -1.0]
    values += [1.5e308, 1.6e308, 1.7976931348623157e308, -1.7976931348623157e308]
    rows = np.zeros((len(values), 4))
    rows[:, 0] = values
    np.testing.assert_array_equal(
        predictions(text, rows, NAMES), lightgbm.Booster(model_str=text).predict(rows, num_threads=1)
    )


@pytest.mark.parametrize("sigmoid", ["1", "0.7", "1.23457", "1e-05", "2.5e+2"])
def test_a_sigmoid_is_read_as_lightgbm_reads_it(sigmoid: str) -> None:
    text = tiny_model(head=f"objective=binary sigmoid:{sigmoid}\n")
    rows = np.array([[0.0] * 4, [1.0] * 4])
    np.testing.assert_array_equal(
        predictions(text, rows, NAMES), lightgbm.Booster(model_str=text).predict(rows)
    )


def test_a_single_leaf_is_a_constant() -> None:
    text = tiny_model().replace("num_leaves=2", "num_leaves=1").replace("leaf_value=1 2", "leaf_value=7")
    for key in ("split_feature=0", "split_gain=1", "threshold=0.5", "decision_type=10"):
        text = text.replace(f"\n{key}\n", f"\n{key.split('=')[0]}=\n")
    text = text.replace("left_child=-1", "left_child=").replace("right_child=-2", "right_child=")
    assert predictions(text, np.full((1, 4), np.nan), NAMES)[0] == 7.0


def test_a_largest_float_that_parts_nothing_from_infinity_is_refused() -> None:
    with pytest.raises(ModelError, match="largest float"):
        build(parse(tiny_model("1.7976931348623157e308", 8)), NAMES)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("tree\nversion", "forest\nversion", "no LightGBM text model"),
        ("num_class=1", "num_class=3", "several classes"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=3", "several classes"),
        ("objective=regression", "objective=multiclass num_class:3", "'multiclass' is not served"),
        ("objective=regression", "objective=binary sigmoid:-1", "where a number belongs"),
        ("objective=regression", "objective=binary", "positive sigmoid"),
        ("objective=regression", "objective=binary sigmoid:x", "where a number belongs"),
        ("feature_names=alpha beta", "feature_names=alpha alpha", "not unique"),
        ("is_linear=0", "is_linear=1", "is linear"),
        ("end of trees", "", "torn"),
        ("tree_sizes=100", "tree_sizes=100 100", "torn"),
        ("Tree=0\n", "Tree=0\nTree=1\n", "torn"),
        ("num_leaves=2", "num_leaves=3", "1 split_feature that are numbers where 2 belong"),
        ("num_leaves=2", "num_leaves=9999999", "not between 1 and"),
        ("num_leaves=2", "num_leaves=two", "no number"),
        ("split_feature=0", "split_feature=4", "not between 0 and 3"),
        ("split_feature=0", "split_feature=0.5", "not between 0 and 3"),
        ("threshold=0.5", "threshold=nan", "are numbers where"),
        ("decision_type=10", "decision_type=12", "not between 0 and 11"),
        ("decision_type=10", "decision_type=11", "without its categories"),
        ("left_child=-1", "left_child=-2", "is no tree"),
        ("left_child=-1", "left_child=0", "is no tree"),
        ("left_child=-1", "left_child=5", "not between -2 and 0"),
        ("leaf_value=1 2", "leaf_value=1", "1 leaf_value that are numbers where 2 belong"),
    ],
)
def test_what_is_malformed_or_not_served_is_refused_in_one_sentence(old: str, new: str, says: str) -> None:
    text = tiny_model()
    assert old in text
    with pytest.raises(ModelError, match=says) as refusal:
        build(parse(text.replace(old, new, 1)), NAMES)
    assert "\n" not in str(refusal.value)


def test_a_feature_that_is_none_of_ours_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match="'gamma' is none of ours"):
        build(parse(tiny_model()), ["alpha", "beta", "delta"])


def test_category_boundaries_that_do_not_ascend_are_refused() -> None:
    text = tiny_model(threshold="0", decision=1).replace(
        "num_cat=0", "num_cat=1\ncat_boundaries=2 1\ncat_threshold=5"
    )
    with pytest.raises(ModelError, match="do not ascend"):
        parse(text)

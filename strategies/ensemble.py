"""LightGBM's text model, read without LightGBM and laid out for kernels.forest.

    ensemble = parse(text)                       what the file says, checked
    forest = build(ensemble, FEATURES)           arrays for kernels.forest.predict, columns matched by name

LightGBM decides in a split: NaN is zero unless the split takes NaN as missing; what is missing goes the
default way; all else left when x <= threshold. `_side` turns that into one of the kernel's comparisons.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

import numpy as np

from kernels import forest as kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class ModelError(ValueError):
    """A model cannot be used; the sentence says why."""


class Forest(NamedTuple):
    """The first three arguments of kernels.forest.predict."""

    nodes: NDArray[np.void]
    roots: NDArray[np.int32]
    bits: NDArray[np.uint32]


class Tree(NamedTuple):
    """One tree; a child below zero is leaf -child - 1; `sets` holds the words of each categorical split."""

    feature: list[int]
    threshold: list[float]
    decision: list[int]
    left: list[int]
    right: list[int]
    leaf: list[float]
    sets: list[tuple[int, ...]]


class Ensemble(NamedTuple):
    """A model file's content."""

    features: tuple[str, ...]
    objective: str  # "" where the file names none: the sum itself is the prediction
    transform: int  # of kernels.forest
    scale: float
    averaged: bool
    trees: list[Tree]


#: trees and splits a file may have: far above any model fast enough to trade with
TREES_MAX: Final = 20_000
LEAVES_MAX: Final = 65_536

_CATEGORICAL: Final = 1
_DEFAULT_LEFT: Final = 2
_MISSING_NONE, _MISSING_ZERO, _MISSING_NAN = 0, 1, 2

_TRANSFORMS: Final = {
    "regression": kernel.IDENTITY,
    "regression_l1": kernel.IDENTITY,
    "huber": kernel.IDENTITY,
    "fair": kernel.IDENTITY,
    "quantile": kernel.IDENTITY,
    "mape": kernel.IDENTITY,
    "lambdarank": kernel.IDENTITY,
    "rank_xendcg": kernel.IDENTITY,
    "custom": kernel.IDENTITY,
    "": kernel.IDENTITY,
    "binary": kernel.SIGMOID,
    "cross_entropy": kernel.SIGMOID,
    "cross_entropy_lambda": kernel.LOG1P_EXP,
    "poisson": kernel.EXP,
    "gamma": kernel.EXP,
    "tweedie": kernel.EXP,
}
#: objectives whose `sqrt` is undone in the prediction
_SQUARES: Final = ("regression", "regression_l1", "fair", "quantile", "mape")


def parse(text: str) -> Ensemble:
    """Read a text model; raises ModelError for what is malformed or not served by kernels.forest."""
    blocks = _blocks(text)
    head = blocks[0]
    if head.get("num_class", "1") != "1" or head.get("num_tree_per_iteration", "1") != "1":
        raise ModelError("the model has several classes; only models with one output are served")
    features = tuple(head.get("feature_names", "").split())
    if not features or len(set(features)) != len(features):
        raise ModelError("the model's feature_names are missing or not unique")
    transform, scale = _transform(head.get("objective", ""))
    trees = blocks[1:]
    promised = len(head["tree_sizes"].split()) if "tree_sizes" in head else len(trees)
    if not trees or promised != len(trees) or len(trees) > TREES_MAX:
        raise ModelError(
            f"the model file holds {len(trees)} trees where its head promises {promised}; it is torn"
        )
    return Ensemble(
        features,
        head.get("objective", ""),
        transform,
        scale,
        "average_output" in head,
        [_tree(number, block, len(features)) for number, block in enumerate(trees)],
    )


def build(ensemble: Ensemble, columns: Sequence[str]) -> Forest:
    """Lay the trees out for rows whose columns are named `columns`; raises ModelError for an unknown name."""
    place = {name: column for column, name in enumerate(columns)}
    for name in ensemble.features:
        if name not in place:
            raise ModelError(
                f"the model's feature {name!r} is none of ours; train it on this version's features"
            )
    return _Builder([place[name] for name in ensemble.features], ensemble).forest()


# --- reading -----------------------------------------------------------------------------------------------
def _blocks(text: str) -> list[dict[str, str]]:
    """Split the file into its head and one block a tree, each a dict of its `key=value` lines."""
    lines = text.split("\n")
    if lines[0].strip() != "tree":
        raise ModelError("this is no LightGBM text model: its first line is not 'tree'")
    blocks: list[dict[str, str]] = [{}]
    for line in lines[1:]:
        key, _, value = line.strip().partition("=")
        if key == "end of trees":
            break
        if key == "Tree":
            blocks.append({})
        elif key:
            blocks[-1][key] = value
    else:
        raise ModelError("the model file ends before 'end of trees'; it is torn")
    return blocks


def _transform(objective: str) -> tuple[int, float]:
    """Return the kernel's transform and scale for an objective line such as 'binary sigmoid:1'."""
    name, *options = objective.split() or [""]
    if name not in _TRANSFORMS:
        raise ModelError(
            f"the model's objective {name!r} is not served; use one of {', '.join(sorted(_TRANSFORMS)[1:])}"
        )
    if "sqrt" in options and name in _SQUARES:
        return kernel.SIGNED_SQUARE, 1.0
    if name != "binary":
        return _TRANSFORMS[name], 1.0
    scale = next((_lightgbm_float(item[8:]) for item in options if item.startswith("sigmoid:")), -1.0)
    if not scale > 0.0:
        raise ModelError(f"the model's objective {objective!r} lacks a positive sigmoid")
    return kernel.SIGMOID, scale


def _lightgbm_float(text: str) -> float:
    """Read an option's number as LightGBM does, whole and decimal digits apart: equal to the last bit."""
    digits, _, exponent = text.lower().partition("e")
    whole, _, decimals = digits.partition(".")
    if not (whole + decimals).isdigit():
        raise ModelError(f"the model's objective has {text!r} where a number belongs")
    value = float(whole or "0") + (float(decimals) / 10.0 ** len(decimals) if decimals else 0.0)
    power = int(exponent) if exponent.lstrip("+-").isdigit() else 0
    return value * 10.0**power if power >= 0 else value / 10.0**-power


def _tree(number: int, block: dict[str, str], features: int) -> Tree:
    """Read and check one tree."""

    def refuse(what: str) -> NoReturn:
        raise ModelError(f"tree {number} of the model {what}")

    def numbers(key: str, count: int) -> list[float]:
        try:
            values = [float(item) for item in block.get(key, "").split()]
        except ValueError:
            refuse(f"has a {key} that is no number")
        if len(values) != count or any(map(math.isnan, values)):
            refuse(f"has {len(values)} {key} that are numbers where {count} belong")
        return values

    def integers(key: str, count: int, low: int, high: int) -> list[int]:
        values = numbers(key, count)
        if not all(value.is_integer() and low <= value <= high for value in values):
            refuse(f"has a {key} that is not between {low} and {high}")
        return [int(value) for value in values]

    if block.get("is_linear", "0") != "0":
        refuse("is linear; only constant leaves are served")
    leaves = integers("num_leaves", 1, 1, LEAVES_MAX)[0]
    splits = leaves - 1
    sets = integers("num_cat", 1, 0, splits)[0]
    words: list[tuple[int, ...]] = []
    if sets:
        bounds = integers("cat_boundaries", sets + 1, 0, 1 << 24)
        data = integers("cat_threshold", bounds[-1], 0, 0xFFFFFFFF)
        if sorted(bounds) != bounds:
            refuse("has cat_boundaries that do not ascend")
        words = [tuple(data[bounds[k] : bounds[k + 1]]) for k in range(sets)]
    tree = Tree(
        integers("split_feature", splits, 0, features - 1),
        numbers("threshold", splits),
        integers("decision_type", splits, 0, 11),
        integers("left_child", splits, -leaves, splits - 1),
        integers("right_child", splits, -leaves, splits - 1),
        numbers("leaf_value", leaves),
        words,
    )
    if sorted(tree.left + tree.right) != [child for child in range(-leaves, splits) if child != 0] and splits:
        refuse("is no tree: a child belongs to none or to several splits")
    for threshold, decision in zip(tree.threshold, tree.decision, strict=True):
        if decision & _CATEGORICAL and not (threshold.is_integer() and 0 <= threshold < sets):
            refuse("has a categorical split without its categories")
    return tree


# --- laying out --------------------------------------------------------------------------------------------
class _Builder:
    """Collects nodes, roots and category sets of one ensemble."""

    def __init__(self, columns: list[int], ensemble: Ensemble) -> None:
        self._columns = columns
        self._ensemble = ensemble
        self._width = max(columns) + 1
        self._zero_missing = any(
            not decision & _CATEGORICAL and decision >> 2 == _MISSING_ZERO
            for tree in ensemble.trees
            for decision in tree.decision
        )
        # the first node is the scale, and the leaf of the trees that fill the lanes up
        self._nodes: list[tuple[float, int, int]] = [(ensemble.scale, 0, 0)]
        self._sets: dict[tuple[int, tuple[int, ...]], int] = {}

    def forest(self) -> Forest:
        """Return the arrays."""
        trees = self._ensemble.trees
        roots = [self._add(tree, place) for place, tree in enumerate(trees)]
        fill = -len(roots) % kernel.LANES
        roots = sorted([*roots, *[(0, len(trees), 0)] * fill], key=lambda root: root[2])
        head = [0] * kernel.HEAD
        head[kernel.H_TREES] = len(trees)
        head[kernel.H_LANES] = len(roots)
        head[kernel.H_COLUMNS] = self._width
        head[kernel.H_ZERO_MISSING] = int(self._zero_missing)
        head[kernel.H_CATEGORICAL] = len(self._sets)
        head[kernel.H_TRANSFORM] = self._ensemble.transform
        head[kernel.H_AVERAGED] = int(self._ensemble.averaged)
        bits = [word for column, words in self._sets for word in (column, len(words), *words)]
        return Forest(
            np.array(self._nodes, kernel.NODE),
            np.array([*head, *(item for root in roots for item in root)], np.int32),
            np.array(bits or [0], np.uint32),
        )

    def _add(self, tree: Tree, place: int) -> tuple[int, int, int]:
        """Append one tree breadth first; return its root, its place in the sum and its depth."""
        nodes = self._nodes
        root = len(nodes)
        nodes.append((0.0, 0, 0))
        waiting = deque([(0 if tree.feature else -1, root, 0)])
        depth = 0
        while waiting:
            at, row, depth = waiting.popleft()
            if at < 0:
                nodes[row] = (tree.leaf[-at - 1], 0, row)
                continue
            threshold, value, swapped = self._split(tree, at)
            child = len(nodes)
            nodes[row] = (threshold, value, child)
            nodes += [(0.0, 0, 0)] * 2
            waiting.append((tree.left[at], child + swapped, depth + 1))
            waiting.append((tree.right[at], child + 1 - swapped, depth + 1))
        return root, place, depth

    def _split(self, tree: Tree, at: int) -> tuple[float, int, int]:
        """Return a split's threshold, the place of the value it compares, and if children are swapped."""
        column, threshold, decision = self._columns[tree.feature[at]], tree.threshold[at], tree.decision[at]
        if decision & _CATEGORICAL:
            words = tree.sets[int(threshold)]
            number = self._sets.setdefault((column, words), len(self._sets))
            return 0.5, 1 + (4 if self._zero_missing else 2) * self._width + number, 0
        form, threshold, swapped = _side(threshold, decision)
        return threshold, 1 + form * self._width + column, swapped


def _side(threshold: float, decision: int) -> tuple[int, float, int]:
    """Return the form of its column that a numeric split compares, with what, and if children are swapped.

    LightGBM takes |x| <= ZERO as zero before it compares: a threshold within that range moves to its edge.
    """
    if abs(threshold) <= kernel.ZERO:
        threshold = kernel.ZERO if threshold >= 0.0 else math.nextafter(-kernel.ZERO, -math.inf)
    missing = decision >> 2
    missing_left = threshold >= 0.0 if missing == _MISSING_NONE else bool(decision & _DEFAULT_LEFT)
    form = 2 if missing == _MISSING_ZERO else 0
    if missing_left:
        return form, threshold, 0
    if threshold == sys.float_info.max:
        raise ModelError("the model splits at the largest float, which is not served")
    return form + 1, -math.nextafter(threshold, math.inf), 1

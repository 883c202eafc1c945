"""Tree ensembles as flat arrays, equal to lightgbm.Booster.predict to the last bit.

    predict(nodes, roots, bits, row) -> float

`nodes`, `roots` and `bits` come from strategies.model. What a model needs besides its splits is in the same
arrays: its columns are already those of `row`, and the head of `roots` says how the sum of leaves becomes the
prediction.

Every split is one comparison without a branch, `values[node.value] > node.threshold`, whose truth picks the
second of two neighbouring children. What differs between splits is put into `values` once a row:

    values[0]                   NaN: a leaf compares it, so that a walk stays at the leaf it reached
    values[1 + column]          the row; NaN compares false and goes to the first child
    values[1 + C + column]      minus the row, for splits whose NaN goes right: x <= t as -x > -(t + 1 ulp),
                                the children swapped; -inf is made finite, since a split whose
                                threshold is inf parts NaN from all numbers
    values[1 + 2C ...], [3C]    both once more with zeros made NaN, where the model takes zero as missing
    then one per categorical split: 0.0 where the row's category is in its set (left), else 1.0

So eight trees are walked side by side for as many steps as the deepest of them needs: 0.9 us for 100 trees of
31 leaves, where a branching walk takes 5.9. The leaves are then added in the trees' own order, as floating
point asks.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numba import njit

#: a split (children at child, child + 1), or a leaf (value 0, its worth in threshold, child itself)
#: unsigned, like every index of a walk: one that may be negative is looked at, for a third of the time
NODE: Final = np.dtype([("threshold", "f8"), ("value", "u4"), ("child", "u4")], align=True)

#: LightGBM takes what is this near to zero as zero: its constant is a float32
ZERO: Final = float(np.float32(1e-35))
FLOAT_MAX: Final = float(np.finfo(np.float64).max)

# --- the head of roots; then ROOT columns a tree, shallow trees first ---------------------------------------
H_TREES: Final = 0
H_LANES: Final = 1  # rows that follow: the trees filled up to a multiple of 8 by trees of one leaf
H_COLUMNS: Final = 2  # C, the columns of the row that are copied
H_ZERO_MISSING: Final = 3  # 1: the model takes zero as missing
H_CATEGORICAL: Final = 4  # how many categorical splits `bits` holds
H_TRANSFORM: Final = 5
H_AVERAGED: Final = 6  # 1: the sum is divided by the trees (random forests)
HEAD: Final = 7

ROOT: Final = 3  # root node, place in the sum, depth

LANES: Final = 8

# --- transforms of the sum ---------------------------------------------------------------------------------
IDENTITY: Final = 0
SIGMOID: Final = 1  # 1 / (1 + exp(-s x)); s is nodes[0].threshold
EXP: Final = 2
LOG1P_EXP: Final = 3
SIGNED_SQUARE: Final = 4


@njit(cache=True)
def fill_values(roots: Any, bits: Any, row: Any, values: Any) -> None:
    """Lay the row out as the splits compare it."""
    columns = roots[H_COLUMNS]
    values[0] = math.nan
    for c in range(columns):
        values[1 + c] = row[c]
        values[1 + columns + c] = negative(row[c])
    end = 1 + 2 * columns
    if roots[H_ZERO_MISSING]:
        for c in range(columns):
            x = math.nan if abs(row[c]) <= ZERO else row[c]
            values[end + c] = x
            values[end + columns + c] = negative(x)
        end += 2 * columns
    at = 0
    for split in range(roots[H_CATEGORICAL]):
        words = int(bits[at + 1])
        values[end + split] = 0.0 if has_category(bits, at + 2, words, row[bits[at]]) else 1.0
        at += 2 + words


@njit(cache=True)
def negative(x: float) -> float:
    """Return -x, but for inf the lowest finite number, which is above the -inf that stands for x <= inf."""
    return -FLOAT_MAX if x == math.inf else -x


@njit(cache=True)
def has_category(bits: Any, start: int, words: int, x: float) -> bool:
    """Return whether x, cut to an integer, is in the set at `start`; NaN and negatives never are."""
    if not -1.0 < x < 2147483648.0:
        return False
    category = int(x)
    word = category >> 5
    if word >= words:
        return False
    return bool((bits[start + word] >> np.uint32(category & 31)) & np.uint32(1))


@njit(cache=True, forceinline=True)
def follow(nodes: Any, at: Any, values: Any) -> Any:
    """Return the child that the row goes to; a leaf returns itself."""
    node = nodes[at]
    return np.uint64(node.child) + np.uint64(values[np.uint64(node.value)] > node.threshold)


@njit(cache=True)
def walk_lanes(nodes: Any, roots: Any, first: int, values: Any, leaves: Any) -> None:
    """Walk eight trees side by side and write each one's leaf to its place in `leaves`."""
    lane = roots[first:]
    a0, a1, a2, a3 = np.uint64(lane[0]), np.uint64(lane[3]), np.uint64(lane[6]), np.uint64(lane[9])
    a4, a5, a6, a7 = np.uint64(lane[12]), np.uint64(lane[15]), np.uint64(lane[18]), np.uint64(lane[21])
    for _ in range(lane[23]):  # the last is the deepest
        a0 = follow(nodes, a0, values)
        a1 = follow(nodes, a1, values)
        a2 = follow(nodes, a2, values)
        a3 = follow(nodes, a3, values)
        a4 = follow(nodes, a4, values)
        a5 = follow(nodes, a5, values)
        a6 = follow(nodes, a6, values)
        a7 = follow(nodes, a7, values)
    leaves[lane[1]] = nodes[a0].threshold
    leaves[lane[4]] = nodes[a1].threshold
    leaves[lane[7]] = nodes[a2].threshold
    leaves[lane[10]] = nodes[a3].threshold
    leaves[lane[13]] = nodes[a4].threshold
    leaves[lane[16]] = nodes[a5].threshold
    leaves[lane[19]] = nodes[a6].threshold
    leaves[lane[22]] = nodes[a7].threshold


@njit(cache=True)
def transformed(total: float, transform: int, scale: float) -> float:
    """Turn the sum of leaves into the objective's output."""
    if transform == SIGMOID:
        return 1.0 / (1.0 + math.exp(-scale * total))
    if transform == EXP:
        return math.exp(total)
    if transform == LOG1P_EXP:
        return math.log1p(math.exp(total))
    if transform == SIGNED_SQUARE:
        return math.copysign(total * total, total) if total != 0.0 else 0.0
    return total


@njit(cache=True)
def predict(nodes: Any, roots: Any, bits: Any, row: Any) -> float:
    """Return the model's prediction for one row.

    nodes NODE[n], roots int32[HEAD + ROOT * lanes], bits uint32[m] (per categorical split its column, how
    many words, the words), row float64[C or more] with the columns that the model was loaded for.
    """
    trees = roots[H_TREES]
    forms = 4 if roots[H_ZERO_MISSING] else 2
    values = np.empty(1 + forms * roots[H_COLUMNS] + roots[H_CATEGORICAL])
    leaves = np.empty(trees + 1)  # one more for the trees that fill up
    fill_values(roots, bits, row, values)
    for lane in range(0, roots[H_LANES], LANES):
        walk_lanes(nodes, roots, HEAD + ROOT * lane, values, leaves)
    total = 0.0
    for tree in range(trees):
        total += leaves[tree]
    if roots[H_AVERAGED]:
        total /= trees
    return transformed(total, roots[H_TRANSFORM], nodes[0].threshold)

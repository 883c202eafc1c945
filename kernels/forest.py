"""Tree ensembles as flat arrays, equal to lightgbm.Booster.predict to the last bit.

    predict(nodes, roots, bits, row) -> float

`nodes`, `roots` and `bits` come from strategies.model (a loaded model) or are NO_NODES, NO_ROOTS, NO_BITS
(no model: the prediction is NaN). What a model needs besides its splits is in the same arrays: its columns
are already those of `row`, and the head of `roots` says how the sum of leaves becomes the prediction.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numba import njit

#: a split or a leaf; a leaf has feature -1 and its value in `threshold`
NODE: Final = np.dtype(
    [("threshold", "f8"), ("feature", "i4"), ("kind", "i4"), ("left", "i4"), ("right", "i4")], align=True
)

# --- NODE.kind: which way a row goes -----------------------------------------------------------------------
NUMERIC_NAN_LEFT: Final = 0  # left where x <= threshold, and where x is NaN
NUMERIC_NAN_RIGHT: Final = 1  # left where x <= threshold only
CATEGORICAL: Final = 2  # left where int(x) is in the bit set at bits[int(threshold)]

# --- the head of roots -------------------------------------------------------------------------------------
H_TREES: Final = 0
H_TRANSFORM: Final = 1
H_AVERAGED: Final = 2  # 1: the prediction is the mean of the trees (random forests)
HEAD: Final = 3

# --- transforms of the sum ---------------------------------------------------------------------------------
IDENTITY: Final = 0
SIGMOID: Final = 1  # 1 / (1 + exp(-s x)), s in nodes[0].threshold
EXP: Final = 2
LOG1P_EXP: Final = 3
SIGNED_SQUARE: Final = 4

#: the arrays of no model
NO_NODES: Final = np.zeros(1, NODE)
NO_ROOTS: Final = np.zeros(HEAD, np.int32)
NO_BITS: Final = np.zeros(1, np.uint32)


@njit(cache=True)
def in_bit_set(bits: Any, start: int, value: float) -> bool:
    """Return whether `value`'s integer part is in the set at `start`: a count of words, then words."""
    if not -1.0 < value < 2147483648.0:
        return False
    category = int(value)
    word = category >> 5
    if word >= bits[start]:
        return False
    return bool((bits[start + 1 + word] >> np.uint32(category & 31)) & np.uint32(1))


@njit(cache=True)
def leaf_value(nodes: Any, root: int, bits: Any, row: Any) -> float:
    """Walk one tree from its root and return its leaf's value."""
    at = root
    while nodes[at].feature >= 0:
        node = nodes[at]
        value = row[node.feature]
        if node.kind == CATEGORICAL:
            left = in_bit_set(bits, int(node.threshold), value)
        elif node.kind == NUMERIC_NAN_LEFT:
            left = not value > node.threshold
        else:
            left = value <= node.threshold
        at = node.left if left else node.right
    return float(nodes[at].threshold)


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
        sign = (1.0 if total > 0.0 else 0.0) - (1.0 if total < 0.0 else 0.0)
        return sign * total * total
    return total


@njit(cache=True)
def predict(nodes: Any, roots: Any, bits: Any, row: Any) -> float:
    """Return the model's prediction for one row; NaN without a model.

    nodes NODE[n], roots int32[HEAD + trees], bits uint32[m], row float64[columns].
    """
    trees = roots[H_TREES]
    if trees == 0:
        return math.nan
    total = 0.0
    for tree in range(trees):
        total += leaf_value(nodes, roots[HEAD + tree], bits, row)
    if roots[H_AVERAGED] != 0:
        total /= trees
    return transformed(total, roots[H_TRANSFORM], nodes[0].threshold)

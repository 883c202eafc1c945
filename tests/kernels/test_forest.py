from __future__ import annotations

import math

import numpy as np
import pytest

from kernels import forest


def stump(transform: int = forest.IDENTITY, scale: float = 1.0, averaged: int = 0) -> tuple[np.ndarray, ...]:
    """Two trees: x <= 0.5 gives 1, else 2 (NaN left); and a constant 10."""
    nodes = np.array([(scale, 0, 0), (0.5, 1, 2), (1.0, 0, 2), (2.0, 0, 3), (10.0, 0, 4)], forest.NODE)
    fill = [(0, 2, 0)] * 6
    roots = [2, 8, 1, 0, 0, transform, averaged]
    for root in [*fill, (4, 1, 0), (1, 0, 1)]:
        roots += root
    return nodes, np.array(roots, np.int32), np.zeros(1, np.uint32)


@pytest.mark.parametrize(("x", "want"), [(0.5, 11.0), (0.6, 12.0), (math.nan, 11.0), (math.inf, 12.0)])
def test_trees_are_walked_to_their_leaves_and_summed(x: float, want: float) -> None:
    assert forest.predict(*stump(), np.array([x])) == want


def test_a_random_forest_is_averaged() -> None:
    assert forest.predict(*stump(averaged=1), np.array([0.0])) == 5.5


@pytest.mark.parametrize(
    ("transform", "want"),
    [
        (forest.SIGMOID, 1.0 / (1.0 + math.exp(-0.25 * 11.0))),
        (forest.EXP, math.exp(11.0)),
        (forest.LOG1P_EXP, math.log1p(math.exp(11.0))),
        (forest.SIGNED_SQUARE, 121.0),
    ],
)
def test_the_sum_is_transformed_as_the_objective_asks(transform: int, want: float) -> None:
    assert forest.predict(*stump(transform, 0.25), np.array([0.0])) == want


def test_a_negative_sum_keeps_its_sign_when_squared() -> None:
    assert forest.transformed(-3.0, forest.SIGNED_SQUARE, 1.0) == -9.0
    assert forest.transformed(0.0, forest.SIGNED_SQUARE, 1.0) == 0.0


@pytest.mark.parametrize(
    ("x", "inside"),
    [
        *((0.0, True), (-0.9, True), (-1.0, False), (1.0, False), (33.7, True), (34.0, False), (64.0, False)),
        *(
            (math.nan, False),
            (math.inf, False),
            (-math.inf, False),
            (2147483648.0, False),
            (4294967329.0, False),
        ),
    ],
)
def test_categories_are_cut_to_integers_and_looked_up(x: float, inside: bool) -> None:
    bits = np.array([7, 7, 0b1, 0b10], np.uint32)  # categories 0 and 33, after two words of something else
    assert forest.has_category(bits, 2, 2, x) is inside


def test_predicting_compiles_one_signature() -> None:
    assert len(forest.predict.signatures) == 1

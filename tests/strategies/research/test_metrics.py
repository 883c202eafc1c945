from __future__ import annotations

import math

import numpy as np
import pytest

from strategies.research.metrics import accuracy, auc, edge_bps, log_loss


def slow_auc(label: np.ndarray, prediction: np.ndarray) -> float:
    ones, zeros = prediction[label == 1.0], prediction[label == 0.0]
    return float(np.mean([(one > zero) + 0.5 * (one == zero) for one in ones for zero in zeros]))


@pytest.mark.parametrize("seed", range(5))
def test_auc_equals_comparing_every_pair(seed: int) -> None:
    rng = np.random.default_rng(seed)
    label = (rng.random(80) < 0.4).astype(float)
    prediction = np.round(rng.random(80) + 0.2 * label, 1)  # rounded, so that there are ties
    assert auc(label, prediction) == pytest.approx(slow_auc(label, prediction), abs=1e-12)


def test_one_class_only_has_no_auc() -> None:
    assert math.isnan(auc(np.ones(5), np.linspace(0, 1, 5)))


def test_accuracy_counts_the_right_side_of_one_half() -> None:
    assert accuracy(np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.6, 0.4, 0.4, 0.4])) == 0.75


def test_log_loss_of_a_coin_is_log_two_and_of_a_sure_mistake_finite() -> None:
    assert log_loss(np.array([1.0, 0.0]), np.array([0.5, 0.5])) == pytest.approx(math.log(2.0))
    assert 30.0 < log_loss(np.array([1.0]), np.array([0.0])) < 40.0


def test_edge_is_the_mean_move_where_the_prediction_is_sure() -> None:
    moves = np.array([4.0, -2.0, 100.0])
    assert edge_bps(moves, np.array([0.7, 0.3, 0.52]), 0.1) == 3.0
    assert math.isnan(edge_bps(moves, np.full(3, 0.5), 0.1))


def test_nothing_has_no_measure() -> None:
    nothing = np.zeros(0)
    assert math.isnan(accuracy(nothing, nothing))
    assert math.isnan(log_loss(nothing, nothing))

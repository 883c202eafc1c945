"""How good predictions of a yes or no are. Labels are 0.0 or 1.0, predictions probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def auc(label: NDArray[np.float64], prediction: NDArray[np.float64]) -> float:
    """Return the chance that a random 1 is ranked above a random 0, ties counting half; NaN for one class."""
    values, place, counts = np.unique(prediction, return_inverse=True, return_counts=True)
    ones = np.bincount(place, weights=label, minlength=len(values))
    zeros = counts - ones
    pairs = ones.sum() * zeros.sum()
    if pairs == 0.0:
        return float("nan")
    below = np.cumsum(zeros) - zeros
    return float((ones * (below + 0.5 * zeros)).sum() / pairs)


def accuracy(label: NDArray[np.float64], prediction: NDArray[np.float64]) -> float:
    """Return the share of predictions on the right side of one half; NaN without any."""
    return float(np.mean((prediction > 0.5) == (label > 0.5))) if len(label) else float("nan")


def log_loss(label: NDArray[np.float64], prediction: NDArray[np.float64]) -> float:
    """Return the mean of minus the log of the probability given to what happened (0.693: a coin's)."""
    chance = np.where(label > 0.5, prediction, 1.0 - prediction)
    return float(-np.mean(np.log(np.maximum(chance, 1e-15)))) if len(label) else float("nan")


def edge_bps(return_bps: NDArray[np.float64], prediction: NDArray[np.float64], margin: float) -> float:
    """Return the mean move in the foretold direction where a prediction is `margin` off one half, or NaN."""
    sure = np.abs(prediction - 0.5) >= margin
    if not sure.any():
        return float("nan")
    return float(np.mean(return_bps[sure] * np.sign(prediction[sure] - 0.5)))

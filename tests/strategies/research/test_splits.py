from __future__ import annotations

import numpy as np
import pytest

from strategies.research.splits import holdout, walk_forward


def test_no_label_of_training_reaches_the_test_and_the_test_waits_for_the_embargo() -> None:
    at = np.sort(np.random.default_rng(2).integers(0, 10_000, 3000))
    split = holdout(at, 0.25, horizon_ns=50, embargo_ns=300)
    border = at[-1] - int((at[-1] - at[0]) * 0.25)
    assert (at[split.train] + 50 < border).all()
    assert (at[split.test] >= border + 300).all()
    left_out = np.setdiff1d(np.arange(len(at)), np.concatenate((split.train, split.test)))
    assert ((at[left_out] + 50 >= border) & (at[left_out] < border + 300)).all()
    assert len(split.train) > 2 * len(split.test) > 1000


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_that_leaves_one_side_empty_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holdout(np.arange(10), share, 0, 0)


def test_too_little_time_is_refused() -> None:
    with pytest.raises(ValueError, match="too little time"):
        holdout(np.arange(100), 0.25, 0, 50)
    with pytest.raises(ValueError, match="too little time"):
        holdout(np.arange(100), 0.25, 90, 0)
    with pytest.raises(ValueError, match="no rows"):
        holdout(np.zeros(0, np.int64), 0.25, 0, 0)


def test_each_fold_is_judged_on_by_what_came_before_it_and_no_label_reaches_it() -> None:
    at = np.sort(np.random.default_rng(3).integers(0, 10_000, 3000))
    folds = walk_forward(at, 3, horizon_ns=50, embargo_ns=200)
    borders = [at[0] + (at[-1] - at[0]) * part // 4 for part in (1, 2, 3, 4)]
    for fold, border, end in zip(folds, borders, borders[1:], strict=False):
        assert fold.train.tolist() == np.flatnonzero(at + 50 < border).tolist()
        assert fold.test.tolist() == np.flatnonzero((at >= border + 200) & (at <= end)).tolist()
    assert len(folds) == 3
    assert folds[-1].test[-1] == len(at) - 1


def test_folds_that_there_is_no_time_for_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one fold"):
        walk_forward(np.arange(10), 0, 0, 0)
    with pytest.raises(ValueError, match="no rows"):
        walk_forward(np.zeros(0, np.int64), 2, 0, 0)
    with pytest.raises(ValueError, match="too little time for 4 folds"):
        walk_forward(np.arange(100), 4, 0, 30)

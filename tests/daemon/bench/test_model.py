import lightgbm
import numpy as np
import pytest

from daemon.bench.model import repeated, with_trees
from daemon.demo import MODEL
from daemon.disk import RealDisk
from daemon.research.bundle import read_bundle
from kernels.features import FEATURES
from kernels.forest import predict
from strategies.ensemble import build, parse


def test_a_hundred_trees_are_the_demo_s_own(tmp_path):
    assert with_trees(RealDisk(), 100, tmp_path) == MODEL


@pytest.mark.parametrize("trees", [3, 250])
def test_another_number_makes_a_bundle_that_a_daemon_loads(tmp_path, trees):
    folder = with_trees(RealDisk(), trees, tmp_path / f"trees-{trees}")
    model = read_bundle(RealDisk(), folder)
    assert len(model.forest.roots) >= trees
    assert model.name == f"trees-{trees}"


def test_lightgbm_predicts_the_same(tmp_path):
    text = repeated((MODEL / "model.txt").read_text(), 130)
    booster = lightgbm.Booster(model_str=text)
    assert booster.num_trees() == 130
    rows = read_bundle(RealDisk(), MODEL).manifest.golden_rows
    forest = build(parse(text), FEATURES)
    ours = np.array([predict(*forest, row) for row in rows])
    assert (ours == booster.predict(rows, num_threads=1)).all()

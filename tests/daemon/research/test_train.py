from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from daemon.errors import TickdError, UsageError
from daemon.memory_disk import MemoryDisk
from daemon.research import train
from daemon.research.bundle import MANIFEST_FILE, MODEL_FILE, read_bundle
from kernels.features import FEATURES

OUT = Path("models/small")


@pytest.fixture(scope="module")
def trained() -> tuple[MemoryDisk, train.Trained, list[str]]:
    disk, steps = MemoryDisk(), []
    result = train.train_synthetic(disk, OUT, seed=3, minutes=20, on_step=steps.append)
    return disk, result, steps


def test_training_makes_a_bundle_that_loads(trained: tuple[MemoryDisk, train.Trained, list[str]]) -> None:
    disk, result, steps = trained
    model = read_bundle(disk, OUT)
    assert len(steps) == train.STEPS
    assert model.manifest.metrics == result.manifest.metrics
    assert model.manifest.target == {"kind": "chance that mid is higher", "horizon_ms": 5000}
    assert result.manifest.metrics["auc"] > 0.5
    assert np.isnan(model.manifest.golden_rows).any()
    assert np.isinf(model.manifest.golden_rows).any()


def test_the_recorded_command_makes_the_same_bytes(
    trained: tuple[MemoryDisk, train.Trained, list[str]],
) -> None:
    disk, result, _ = trained
    words = result.manifest.command.split()
    assert words[:3] == ["tickd", "train", "--synthetic"]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    again = MemoryDisk()
    train.train_synthetic(
        again,
        Path(options["--out"]),
        seed=int(options["--seed"]),
        minutes=int(options["--minutes"]),
        horizon_ms=int(options["--horizon-ms"]),
    )
    for name in (MODEL_FILE, MANIFEST_FILE):
        assert again.read(OUT / name) == disk.read(OUT / name)


def test_the_judged_time_is_after_the_learned_time_and_the_embargo(
    trained: tuple[MemoryDisk, train.Trained, list[str]],
) -> None:
    window = trained[1].manifest.window
    assert window["train_from_ns"] < window["train_to_ns"]
    assert window["test_from_ns"] - window["train_to_ns"] > 60_000_000_000
    assert window["test_to_ns"] <= train.START_NS + 20 * 60_000_000_000


def test_segments_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train.synthetic_rows(3, 12, 5000)
    monkeypatch.setattr(train, "_SEGMENT_NS", 240_000_000_000)
    cut = train.synthetic_rows(3, 12, 5000)
    same = np.intersect1d(whole.at_ns, cut.at_ns)
    assert len(same) > 20  # rows are taken from another phase in each segment, and some coincide
    a, b = np.isin(whole.at_ns, same), np.isin(cut.at_ns, same)
    np.testing.assert_array_equal(whole.return_bps[a], cut.return_bps[b])
    close = np.isclose(whole.features[a], cut.features[b], rtol=1e-3, atol=1e-3)
    assert close.mean() > 0.97  # but for what averages over longer than the lead-in


def test_rows_are_warm_and_carry_what_came_after() -> None:
    rows = train.synthetic_rows(3, 10, 5000)
    assert rows.features.shape == (len(rows.at_ns), len(FEATURES))
    assert np.isfinite(rows.features).all()
    assert rows.at_ns[0] >= train.START_NS + 60_000_000_000
    assert np.isnan(rows.return_bps[-1])
    assert np.isfinite(rows.return_bps).mean() > 0.98


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"minutes": 9}, "at least 10 minutes of market, not 9"),
        ({"horizon_ms": 0}, "horizon must be 1 to 60000 ms"),
        ({"horizon_ms": 60_001}, "horizon must be 1 to 60000 ms"),
    ],
)
def test_what_cannot_be_judged_is_refused(options: dict[str, int], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        train.train_synthetic(MemoryDisk(), OUT, **{"seed": 1, "minutes": 20, **options})


def test_without_lightgbm_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(TickdError, match="install it with make setup"):
        train.train_synthetic(MemoryDisk(), OUT, seed=1, minutes=10_000_000)

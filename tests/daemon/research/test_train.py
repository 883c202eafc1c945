from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.errors import TickdError, UsageError
from daemon.memory_disk import MemoryDisk
from daemon.research import train
from daemon.research.bundle import MANIFEST_FILE, MODEL_FILE, read_bundle
from kernels.features import FEATURES
from tests.daemon.research.conftest import converted
from tests.daemon.research.test_backtest import lively

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


# --- a record -----------------------------------------------------------------------------------------------
def taught(folder: Path, out: Path = OUT, **more: Any) -> tuple[MemoryDisk, train.Trained]:
    disk = MemoryDisk()
    given = {"seed": 3, "horizon_ms": 300, "every": 1, "trees": 5, "folds": 2}
    return disk, train.train_recorded(disk, out, folder, **{**given, **more})


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute with a book, 330 events a second."""
    return converted(lively(10_000, seed=11), tmp_path_factory.mktemp("record"))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let features be warm after a second: the records are of some seconds."""
    monkeypatch.setattr(train, "LEAD_IN_NS", 1_000_000_000)
    monkeypatch.setattr("daemon.research.rows.LEAD_IN_NS", 1_000_000_000)


@pytest.mark.usefixtures("short")
def test_a_record_makes_a_bundle_that_says_what_it_is_of_and_how_it_was_judged(record: Path) -> None:
    disk, result = taught(record)
    manifest = read_bundle(disk, OUT).manifest
    assert manifest.window["data"] == "ticks of binance spot"
    assert manifest.window["symbol"] == "BTC/USDT"
    assert len(manifest.window["digest"]) == 32
    assert manifest.window["train_to_ns"] < manifest.window["test_from_ns"]
    assert manifest.target == {"kind": "chance that mid is higher", "horizon_ms": 300}
    assert {"auc", "auc_fold_1", "auc_fold_2", "rows_train"} <= manifest.metrics.keys()
    assert manifest.metrics["auc"] > 0.6  # the made-up market swings
    assert result.manifest.command == (
        f"tickd train {record} --seed 3 --horizon-ms 300 --every 1 --trees 5 --folds 2 --out models/small"
    )


@pytest.mark.usefixtures("short")
def test_the_same_record_makes_the_same_bytes_and_another_seed_others(record: Path) -> None:
    one, again, other = taught(record)[0], taught(record)[0], taught(record, seed=4)[0]
    assert one.read(OUT / MODEL_FILE) == again.read(OUT / MODEL_FILE) != other.read(OUT / MODEL_FILE)
    assert one.read(OUT / MANIFEST_FILE) == again.read(OUT / MANIFEST_FILE)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"every": 50}, "rows to learn from are too few, it takes 1,000"),
        ({"folds": 40}, "too little time for 40 folds"),
        ({"horizon_ms": 25_000}, "too little time for this horizon"),
        ({"horizon_ms": 60_000}, "nothing to learn from: no row stands 1 s behind"),
        ({"horizon_ms": 86_400_001}, "the horizon must be 1 to 86400000 ms"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_and_nothing_is_written(
    record: Path, more: dict[str, int], sentence: str
) -> None:
    disk = MemoryDisk()
    given = {"seed": 3, "horizon_ms": 300, "every": 1, "trees": 5, "folds": 2}
    with pytest.raises(UsageError, match=sentence):
        train.train_recorded(disk, OUT, record, **{**given, **more})
    with pytest.raises(FileNotFoundError):
        disk.read(OUT / MODEL_FILE)

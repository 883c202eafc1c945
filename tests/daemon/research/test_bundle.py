from __future__ import annotations

from pathlib import Path

import pytest

from daemon.errors import ConfigError, TickdError
from daemon.memory_disk import MemoryDisk
from daemon.research import bundle
from kernels.features import FEATURES

DEMO = Path("models/demo")


@pytest.fixture
def disk(root: Path) -> MemoryDisk:
    """The committed demo bundle on a disk of its own."""
    memory = MemoryDisk()
    for name in (bundle.MODEL_FILE, bundle.MANIFEST_FILE):
        memory.replace(DEMO / name, (root / DEMO / name).read_bytes())
    return memory


def test_the_demo_model_fits_this_code_and_shows_signal(disk: MemoryDisk) -> None:
    model = bundle.read_bundle(disk, DEMO)
    assert model.name == "demo"
    assert model.manifest.features == FEATURES
    assert model.manifest.metrics["auc"] > 0.62
    assert model.manifest.metrics["log_loss"] < 0.68
    assert model.manifest.command.startswith("tickd train --synthetic --seed ")


def test_the_demo_model_is_small(root: Path) -> None:
    assert sum(path.stat().st_size for path in (root / DEMO).iterdir()) < 500_000


def test_writing_and_reading_gives_the_same_bundle(disk: MemoryDisk) -> None:
    model = bundle.read_bundle(disk, DEMO)
    elsewhere = Path("elsewhere")
    bundle.write_bundle(disk, elsewhere, disk.read(DEMO / bundle.MODEL_FILE), model.manifest)
    for name in (bundle.MODEL_FILE, bundle.MANIFEST_FILE):
        assert disk.read(elsewhere / name) == disk.read(DEMO / name)


def test_a_folder_without_a_bundle_is_refused_by_name(disk: MemoryDisk) -> None:
    with pytest.raises(ConfigError, match=r"models/none: model\.txt does not exist; train one with"):
        bundle.read_bundle(disk, Path("models/none"))


def test_a_bundle_that_does_not_hold_is_refused_with_its_folder(disk: MemoryDisk) -> None:
    disk.replace(DEMO / bundle.MODEL_FILE, disk.read(DEMO / bundle.MODEL_FILE)[:-100])
    with pytest.raises(ConfigError, match=r"bundle models/demo is refused: model\.txt is not"):
        bundle.read_bundle(disk, DEMO)


def test_a_full_disk_is_one_sentence(disk: MemoryDisk) -> None:
    model = bundle.read_bundle(disk, DEMO)
    with pytest.raises(TickdError, match="models/demo cannot be written: No space left"):
        bundle.write_bundle(MemoryDisk(bytes_max=1000), DEMO, b"x" * 2000, model.manifest)


SOURCE = '''"""A module."""
import math  # for nan

X = "# no comment"


def f(a):
    """Docstring
    of two lines."""
    # why
    text = "kept"
    return a + 1  # one


class C:
    """Of no use."""

    y = 5
'''


def test_comments_docstrings_and_layout_do_not_change_the_feature_code() -> None:
    bare = bundle._bare(SOURCE)
    assert bare == (
        'import math\nX = "# no comment"\ndef f(a):\ntext = "kept"\nreturn a + 1\nclass C:\ny = 5'
    )
    assert bundle._bare(SOURCE.replace("# one", "# two").replace("Docstring", "Other\n    ")) == bare
    assert bundle._bare(SOURCE.replace("a + 1", "a + 2")) != bare
    assert bundle._bare(SOURCE.replace("# no comment", "# a comment")) != bare


def test_the_feature_code_is_a_sha256() -> None:
    assert len(bytes.fromhex(bundle.feature_code())) == 32

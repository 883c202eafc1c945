"""Records of ticks that many backtests go through."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from daemon.options import ConvertOptions
from daemon.tape.convert import convert
from tests.daemon.research.test_backtest import lively
from tests.daemon.research.test_backtest_verb import swinging

if TYPE_CHECKING:
    from pathlib import Path


def converted(lines: list[bytes], folder: Path) -> Path:
    """Return the folder of typed ticks that a capture of these lines becomes."""
    path = folder / "one.gz"
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n", 1))
    convert(ConvertOptions(files=(path,), out=folder / "ticks"), lambda: 0, lambda *_: None)
    (found,) = (folder / "ticks").glob("*/*")
    return found


@pytest.fixture(scope="session")
def swung(tmp_path_factory) -> Path:
    """Quotes that swing, and trades: 24 s, and more than 30 changes of equity over a second in the whole."""
    return converted(swinging(14_000), tmp_path_factory.mktemp("swung"))


@pytest.fixture(scope="session")
def booked(tmp_path_factory) -> Path:
    """A market with a book."""
    return converted(lively(4_000, seed=11), tmp_path_factory.mktemp("booked"))

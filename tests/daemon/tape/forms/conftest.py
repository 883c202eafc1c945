"""Files of each form, put together by hand, and what reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from daemon.tape.columns import no_depth, no_ticks
from daemon.tape.forms.base import FinerGridError, State
from daemon.tape.forms.table import Wanted, find_source

if TYPE_CHECKING:
    from daemon.tape.forms.base import Grid, Series


class Rows(NamedTuple):
    """All that a file holds."""

    form: str
    series: Series
    grid: Grid
    ticks: np.ndarray
    depth: np.ndarray
    bars: np.ndarray
    findings: dict

    @property
    def faults(self):
        """Return kind -> rows."""
        return {kind: [place.row for place in one.first] for kind, one in self.findings.items()}


def read_all(path, **wanted) -> Rows:
    """Read a file of any form."""
    grids = {}
    while True:
        state = State(grids)
        form, source = find_source(path, Wanted(**wanted))
        try:
            pieces = list(source.pieces(path, state))
            break
        except FinerGridError as finer:
            grids = {finer.key: finer.grid}
    bars = [one.bars for one in pieces if one.bars is not None] or [np.zeros((10, 0), np.int64)]
    (checks,) = state.checks.values()
    return Rows(
        form,
        pieces[0].series,
        state.grids[pieces[0].series.key],
        np.concatenate([no_ticks(), *(one.block.ticks for one in pieces)], axis=1),
        np.concatenate([no_depth(), *(one.block.depth for one in pieces)], axis=1),
        np.concatenate(bars, axis=1),
        checks.findings,
    )


@pytest.fixture(name="read_all")
def reader():
    """Return `read_all`."""
    return read_all


@pytest.fixture
def file_of(tmp_path):
    """Return what writes lines into a file of some name."""

    def write(name, *lines):
        path = tmp_path / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return write


@pytest.fixture(scope="session")
def dirty(captures):
    """The folder of files with injected faults."""
    return captures.parent / "dirty"

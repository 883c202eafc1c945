"""Arrays of events: what was received, in pairs and groups, and what is no such array."""

from __future__ import annotations

import io

import numpy as np
import pytest

from daemon.errors import FileFormatError, UsageError
from daemon.tape.forms import npz
from daemon.tape.forms.npz import (
    EV_BBO,
    EV_BUY,
    EV_CLEAR,
    EV_DEPTH,
    EV_EXCH,
    EV_LOCAL,
    EV_SELL,
    EV_SNAPSHOT,
    EV_TRADE,
    EVENT,
)
from kernels.columns import D_PRICE, D_SEQ, D_SIDE, D_SNAPSHOT, T_A, T_B, T_C, T_D, T_KIND, T_SEQ, T_SIDE

BOTH = EV_EXCH | EV_LOCAL
NAMED = {"exchange": "binance", "symbol": "BTC/USDT"}
T0 = 1_723_075_200_000_000_000


def events(*rows):
    """Return rows of (ev, time, px, qty)."""
    found = np.zeros(len(rows), EVENT)
    for k, (ev, at, px, qty) in enumerate(rows):
        found[k] = (ev, T0 + at, T0 + at + 1, px, qty, 0, 0, 0.0)
    return found


@pytest.fixture
def array_of(tmp_path):
    def write(data, name="a.npz"):
        path = tmp_path / name
        if path.suffix == ".npz":
            np.savez_compressed(path, data=data)
        else:
            np.save(path, data)
        return path

    return write


DATA = events(
    (EV_CLEAR | BOTH | EV_BUY, 0, 61.5, 0),
    (EV_SNAPSHOT | BOTH | EV_BUY, 0, 61.5, 2),
    (EV_SNAPSHOT | BOTH | EV_SELL, 0, 61.6, 0.5),
    (EV_TRADE | EV_EXCH | EV_SELL, 5, 61.5, 1),
    (EV_DEPTH | BOTH | EV_BUY, 1, 61.5, 0),
    (EV_TRADE | EV_LOCAL | EV_SELL, 5, 61.5, 1),
    (EV_BBO | BOTH | EV_BUY, 6, 61.4, 3),
    (EV_BBO | BOTH | EV_SELL, 6, 61.6, 4),
)


@pytest.mark.parametrize("name", ["a.npz", "a.npy"])
@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_what_was_received_becomes_ticks_and_levels_however_it_is_cut(
    array_of, read_all, monkeypatch, name, rows
):
    monkeypatch.setattr(npz, "_ROWS", rows)
    found = read_all(array_of(DATA, name), **NAMED)
    assert found.grid[:2] == (1, 1)
    assert found.ticks[[T_SEQ, T_KIND, T_SIDE, T_A, T_B, T_C, T_D]].T.tolist() == [
        [2, 1, -1, 615, 10, 0, 0],
        [3, 2, 0, 614, 30, 616, 40],
    ]
    assert found.depth[[D_SEQ, D_SNAPSHOT, D_SIDE, D_PRICE]].T.tolist() == [
        [0, 1, 1, 615], [0, 1, -1, 616], [1, 0, 1, 615]
    ]  # fmt: skip
    assert found.faults == {}


def test_events_that_are_not_kept_and_values_that_are_none_are_located(array_of, read_all):
    data = events(
        (10 | BOTH, 0, 61.5, 1),
        (EV_TRADE | BOTH, 1, np.nan, 1),
        (EV_TRADE | BOTH | EV_BUY, 2, 61.5, 1),
        (EV_BBO | BOTH | EV_SELL, 3, 61.5, 1),
    )
    found = read_all(array_of(data), **NAMED)
    assert found.faults == {"frame": [1, 4], "value": [2]}
    assert found.ticks.shape[1] == 1


def test_an_array_names_no_instrument(array_of, read_all):
    with pytest.raises(UsageError, match="names no instrument"):
        read_all(array_of(DATA))


def test_what_is_cut_off_damaged_or_foreign_is_refused(array_of, read_all, tmp_path):
    plain = tmp_path / "b.npy"
    whole = io.BytesIO()
    np.save(whole, DATA)
    plain.write_bytes(whole.getvalue()[:-100])
    with pytest.raises(FileFormatError, match="ends in event 7 of 8"):
        read_all(plain, **NAMED)
    plain.write_bytes(whole.getvalue() + b"x")
    with pytest.raises(FileFormatError, match="goes on behind its 8 events"):
        read_all(plain, **NAMED)
    plain.write_bytes(whole.getvalue()[:20])
    with pytest.raises(FileFormatError, match="no head that can be read"):
        read_all(plain, **NAMED)
    with pytest.raises(FileFormatError, match="is an array of float64"):
        read_all(array_of(np.zeros(5), "c.npy"), **NAMED)
    cut = array_of(np.tile(DATA, 500))
    cut.write_bytes(cut.read_bytes()[:-200])
    with pytest.raises(FileFormatError, match="truncated or damaged zip"):
        read_all(cut, **NAMED)


def test_numbers_made_by_arithmetic_are_refused(array_of, read_all):
    data = events((EV_TRADE | BOTH | EV_BUY, 1, 1 / 3, 1))
    with pytest.raises(FileFormatError, match="made by arithmetic"):
        read_all(array_of(data), **NAMED)

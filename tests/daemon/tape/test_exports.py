"""Ticks to other forms and back: the same integers, in an order that hftbacktest's own check takes."""

from __future__ import annotations

import csv
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from daemon.clock import SystemClock
from daemon.errors import TickdError, UsageError
from daemon.options import ConvertOptions
from daemon.tape.convert import convert
from daemon.tape.exports import in_order_of_both, whole_file, write_csv, write_npz
from daemon.tape.forms.npz import EV_BBO, EV_CLEAR, EV_EXCH, EV_LOCAL, EV_SNAPSHOT, EV_TRADE, EVENT
from daemon.tape.ticks import read_ticks
from kernels.columns import (
    D_END,
    D_PRICE,
    D_SIDE,
    D_SIZE,
    D_SNAPSHOT,
    D_WIRE_NS,
    T_A,
    T_B,
    T_C,
    T_D,
    T_END,
    T_KIND,
    T_SIDE,
    T_WIRE_NS,
)

TICKS = [T_WIRE_NS, T_END, T_KIND, T_SIDE, T_A, T_B, T_C, T_D]
LEVELS = [D_WIRE_NS, D_END, D_SNAPSHOT, D_SIDE, D_PRICE, D_SIZE]


def run(files, out, **more):
    options = ConvertOptions(files=tuple(files), out=out, **more)
    return convert(options, SystemClock().mono_ns, lambda *_: None)


@pytest.fixture
def ticks(tmp_path, lines_of, capture_of):
    run([capture_of(lines_of(2_000))], tmp_path / "ticks")
    return tmp_path / "ticks"


def rows(source):
    blocks = list(read_ticks(source))
    return (
        np.concatenate([one.ticks for one in blocks], axis=1),
        np.concatenate([one.depth for one in blocks], axis=1),
    )


def test_a_csv_has_every_row_in_order_and_every_digit(ticks, tmp_path):
    path = tmp_path / "all.csv"
    count = write_csv(ticks, path)
    t, d = rows(ticks)
    assert count == t.shape[1] + d.shape[1]
    with path.open() as file:
        said = list(csv.DictReader(file))
    assert [int(one["seq"]) for one in said] == sorted([*t[0].tolist(), *d[0].tolist()])
    trades = [one for one in said if one["kind"] == "trade"]
    mine = t[:, t[T_KIND] == 1]
    assert [Decimal(one["price"]).scaleb(2) for one in trades] == mine[T_A].tolist()
    assert [Decimal(one["size"]).scaleb(5) for one in trades] == mine[T_B].tolist()
    assert {one["side"] for one in trades} == {"buy", "sell"}
    quote = next(one for one in said if one["kind"] == "quote")
    assert (quote["side"], quote["exch_ns"]) == ("", "")
    assert Decimal(quote["ask"]) > Decimal(quote["price"])
    assert {one["kind"] for one in said} == {"trade", "quote", "depth", "snapshot"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_array_comes_back_as_the_ticks_that_it_was_made_of(ticks, tmp_path):
    path = tmp_path / "all.npz"
    write_npz(ticks, path)
    run([path], tmp_path / "again", exchange="binance", symbol="BTC/USDT")
    (t, d), (t2, d2) = rows(ticks), rows(tmp_path / "again")
    d = d[:, d[D_SIDE] != 0]
    # the array's own conversion may count in finer steps
    assert (t[TICKS] == t2[TICKS]).all()
    assert (d[LEVELS] == d2[LEVELS]).all()


def test_hftbacktest_takes_the_order_of_a_real_capture(captures, tmp_path):
    from hftbacktest.data.validation import validate_event_order
    from hftbacktest.types import event_dtype

    assert np.dtype(event_dtype) == EVENT
    run([captures / "binance-usdm-btcusdt-20240808.gz"], tmp_path / "ticks")
    write_npz(tmp_path / "ticks", tmp_path / "all.npz")
    events = np.load(tmp_path / "all.npz")["data"]
    validate_event_order(events.astype(event_dtype))
    kinds = events["ev"] & 0xFF
    local = (events["ev"] & EV_LOCAL) != 0
    assert int(((kinds == EV_TRADE) & local).sum()) == 21_313
    assert int(((kinds == EV_BBO) & local).sum()) == 2 * 66_089
    assert int(((kinds == EV_CLEAR) & local).sum()) == 2
    assert int(((kinds == EV_SNAPSHOT) & local).sum()) == 2_000


stamps = some.lists(some.tuples(some.integers(0, 9), some.integers(1, 9)), max_size=20)


@settings(max_examples=300)
@given(stamps)
def test_each_processor_has_its_events_once_and_in_its_own_order(times):
    events = np.zeros(len(times), EVENT)
    events["ev"] = EV_TRADE | EV_EXCH | EV_LOCAL
    events["exch_ts"] = [exch for exch, _ in times]
    events["local_ts"] = [local for _, local in times]
    events["order_id"] = np.arange(len(times))
    found = in_order_of_both(events)
    for flag, clock in ((EV_LOCAL, "local_ts"), (EV_EXCH, "exch_ts")):
        mine = found[(found["ev"] & flag) != 0]
        assert (np.diff(mine[clock]) >= 0).all()
        assert sorted(mine["order_id"].tolist()) == list(range(len(times)))


# --- files ------------------------------------------------------------------------------------------------
def test_what_is_there_is_not_overwritten_and_what_fails_is_not_there(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("mine")
    with pytest.raises(UsageError, match="is not overwritten"), whole_file(path):
        pass
    assert path.read_text() == "mine"
    other = tmp_path / "b.csv"
    with pytest.raises(TickdError, match="could not be written"), whole_file(other):
        raise OSError(28, "No space left on device")
    with pytest.raises(KeyboardInterrupt), whole_file(other):
        raise KeyboardInterrupt
    assert [one.name for one in tmp_path.iterdir()] == ["a.csv"]


def test_other_forms_are_written_of_ticks_alone(ticks, tmp_path, lines_of, capture_of):
    with pytest.raises(UsageError, match="is written of one folder of ticks"):
        run([capture_of(lines_of(100))], tmp_path / "a.npz")
    result = run([ticks], tmp_path / "a.csv")
    assert (result.outputs[0].table, result.rows > 2_000) == ("csv", True)

"""What rows are of: tests/kernels/test_collect.py holds each to what a strategy would have seen."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from daemon.errors import FileFormatError
from daemon.options import ConvertOptions
from daemon.research import rows
from daemon.tape.convert import convert


def test_a_digest_is_of_the_record_alone(swung, booked):
    one, other = rows.recorded_rows(swung, 1_000, 32), rows.recorded_rows(booked, 1_000, 32)
    assert one.digest != other.digest
    assert rows.recorded_rows(swung, 2_000, 8).digest == one.digest
    assert one.instrument.symbol == "BTC/USDT"


def test_what_a_day_begins_with_is_left_out(swung):
    found = rows.recorded_rows(swung, 1_000, 1).rows  # of 42 s
    assert len(found.at_ns) == 0


def test_where_the_blocks_of_a_record_end_makes_no_difference(booked, monkeypatch):
    monkeypatch.setattr(rows, "LEAD_IN_NS", 1_000_000_000)
    whole = rows.recorded_rows(booked, 1_000, 3)
    collect = rows.Collector.collect

    def in_pieces(collector, events):
        for begin in range(0, len(events.events), 501):
            collect(collector, events._replace(events=events.events[begin : begin + 501]))

    monkeypatch.setattr(rows.Collector, "collect", in_pieces)
    pieces = rows.recorded_rows(booked, 1_000, 3)
    for a, b in zip(whole.rows, pieces.rows, strict=True):
        np.testing.assert_array_equal(a, b)


def test_trades_alone_show_no_market(tmp_path):
    line = (
        b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161254000,"s":"BTCUSDT","t":%d,"p":"60000.00",'
        b'"q":"0.00123","T":1723161254000,"m":true}}'
    )
    path = tmp_path / "one.gz"
    lines = (b"%d " % (1_723_161_254_000_000_000 + k * 10**9) + line % (k + 1) for k in range(100))
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n", 1))
    convert(ConvertOptions(files=(path,), out=tmp_path / "ticks"), lambda: 0, lambda *_: None)
    (folder,) = (tmp_path / "ticks").glob("*/*")
    with pytest.raises(FileFormatError, match=r"shows no market: .* quotes or books"):
        rows.recorded_rows(folder, 1_000, 1)

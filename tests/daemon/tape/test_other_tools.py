"""What the pages say of other tools: their own lines, run on a tape and on ticks."""

from __future__ import annotations

import re

import pytest

from daemon.clock import SystemClock
from daemon.options import ConvertOptions
from daemon.tape.convert import convert


@pytest.fixture
def lines(root):
    """Return the indented lines of a page that speak of a tool."""

    def find(page, word):
        found = re.findall(r"^    (.+)$", (root / "docs" / page).read_text(), re.MULTILINE)
        return [line for line in found if word in line]

    return find


@pytest.fixture
def folder(tmp_path, lines_of, capture_of):
    options = ConvertOptions(files=(capture_of(lines_of(3_000)),), out=tmp_path / "ticks")
    convert(options, SystemClock().mono_ns, lambda *_: None)
    return tmp_path / "ticks"


def of_folder(line, folder):
    assert "FOLDER" in line
    return line.replace("FOLDER", str(folder))


def test_ticks_are_read_by_pandas_polars_and_duckdb(lines, folder):
    import glob

    import duckdb
    import pandas
    import polars

    tools = {"glob": glob, "duckdb": duckdb, "pandas": pandas, "polars": polars}
    frames = {}
    for name in ("pandas", "polars", "duckdb"):
        (line,) = lines("data.md", f"{name}.")
        frames[name] = eval(of_folder(line, folder), tools)
    pandas_prices = [int(one) for one in frames["pandas"].loc[frames["pandas"]["kind"] == 1, "price"]]
    table = frames["polars"].filter(polars.col("kind") == 1).collect()
    assert len(pandas_prices) > 500
    assert table["price"].to_list() == pandas_prices
    assert set(table["symbol"].to_list()) == {"BTC-USDT"}
    rows = frames["duckdb"].fetchall()
    assert [row[0] for row in rows] == table["seq"].to_list()
    assert [float(row[1]) for row in rows] == pytest.approx([price * 0.01 for price in pandas_prices])


def test_a_tape_is_counted_by_pandas_and_duckdb(root, tape_of, lines_of, monkeypatch):
    monkeypatch.chdir(tape_of(lines_of(50)))
    text = (root / "docs" / "tape.md").read_text().partition("## Other tools")[2].partition("##")[0]
    code = "\n".join(re.findall(r"^    (.+)$", text, re.MULTILINE))
    told = {}
    exec(code.replace("duckdb.sql(", "result = duckdb.sql("), told)
    counts = {stream: (count, first) for stream, count, first in told["result"].fetchall()}
    frame = told["frame"]
    assert counts["feed/0"][0] >= 49
    for stream, (count, first) in counts.items():
        times = frame.loc[frame["stream"] == stream, "wire_ns"]
        assert (count, first) == (len(times), times.min())

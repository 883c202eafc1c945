"""A map of one figure over two names."""

from __future__ import annotations

import io

from rich.console import Console

from daemon.faces.heat_map import Heat, heat_map
from daemon.research.ranges import parse_axis
from daemon.research.sweep_log import TrialLine


def axis(text):
    return parse_axis(text, "--param", numbers=True)


def heat(columns=3, rows=2):
    cells = [[float(100 * row + column) for column in range(columns)] for row in range(rows)]
    cells[0][1] = None
    return Heat(
        across="qty",
        down="band_bps",
        columns=[f"0.{column:03}" for column in range(columns)],
        rows=[str(row) for row in range(rows)],
        cells=cells,
    )


def drawn(one, *, least=False, colours=False):
    out = io.StringIO()
    system = {"force_terminal": True, "color_system": "truecolor"} if colours else {}
    Console(file=out, width=80, **system).print(heat_map(one, "net", least=least))
    return out.getvalue()


def test_each_pair_is_its_best_trial():
    lines = [
        TrialLine(window=0, trial=n, values={"a": a, "b": b, "c": c}, figures={"net": net})
        for n, (a, b, c, net) in enumerate(
            [("1", "5", "x", 9.0), ("1", "5", "y", 8.0), ("2", "6", "x", 7.0), ("2", "5", "y", 1.0)]
        )
    ]
    axes = [axis("a=1,2"), axis("b=5,6")]
    found = Heat.of(lines, axes, ("a", "b"), lambda one: one.figures["net"])
    assert (found.columns, found.rows) == (["1", "2"], ["5", "6"])
    assert found.cells == [[9.0, 1.0], [None, 7.0]]
    turned = Heat.of(lines, axes, ("b", "a"), lambda one: one.figures["net"])
    assert turned.cells == [list(row) for row in zip(*found.cells, strict=True)]


def test_it_has_every_number_and_fits():
    text = drawn(heat())
    assert "net by qty (across) and band_bps (down)" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["0", "0", "-", "2"] in rows
    assert ["1", "100", "101", "102"] in rows
    assert max(map(len, text.splitlines())) <= 80


def test_one_too_large_leaves_values_out_evenly_and_says_so():
    text = drawn(heat(60, 100))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    header = lines[1].split()
    assert header[1] == "0.000"
    assert header[-1] == "0.059"
    assert f"{len(header) - 1} of 60 columns and 40 of 100 rows, --json has all" in " ".join(text.split())
    assert any(line.split()[0] == "99" for line in lines if line.split())


def test_the_better_the_greener():
    best, worst = "48;2;90;190;110", "48;2;215;90;80"
    (row,) = [line for line in drawn(heat(), colours=True).splitlines() if "100" in line]
    assert row.count(best) == 1
    assert row.index(best) > row.index("101")
    text = drawn(heat(), colours=True, least=True)
    (row,) = [line for line in text.splitlines() if "102" in line]
    assert worst in row
    assert best not in row
    flat = Heat(across="a", down="b", columns=["1"], rows=["1"], cells=[[5.0]])
    assert "48;2;240;220;110" in drawn(flat, colours=True)

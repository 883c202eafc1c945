from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser

import msgspec
import numpy as np
import pytest

from daemon.errors import TickdError
from daemon.faces.report_page import page
from daemon.research.report import Month, Report, Reruns
from tests.daemon.faces.test_backtest_table import RESULT

DAY_NS = 86_400 * 10**9


def report(**changes):
    times = np.arange(5_000) * DAY_NS // 100
    given = {
        "result": RESULT,
        "params": {"qty": 0.5},
        "settings": {"latency": "5 ms there"},
        "curve": (times, 100 + np.sin(np.arange(5_000) / 50)),
        "prices": (times, 60_000 + np.arange(5_000.0)),
        "months": [Month(2024, 11, 0.1, False), Month(2024, 12, -0.5, True), Month(2025, 1, 0.0, True)],
        "delays": Reruns([0.0, 5.0], [1.0, -2.5], ""),
        "fees": Reruns([], [], "it raised <b>"),
    }
    return Report(**{**given, **changes})


class Read(HTMLParser):
    """What a browser would fetch, the tables' cells, and the texts."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.cells, self.tags, self.texts = [], [], [], []
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [value for name, value in attrs if name in {"src", "href", "srcset", "data"}]
        self._cell = tag in {"td", "th"}
        if self._cell:
            self.cells.append("")

    def handle_endtag(self, tag):
        self._cell = False

    def handle_data(self, data):
        if self._cell:
            self.cells[-1] += data
        self.texts.append(data)


def plots(text):
    """The traces that plotly is given."""
    found = re.findall(r'Plotly\.newPlot\(\s*"[^"]+",\s*(\[.*?\]),\s*\{"', text, re.DOTALL)
    return [json.loads(one) for one in found]


def test_it_fetches_nothing_and_may_not():
    text = page(report())
    read = Read(text)
    assert read.fetched == []
    assert not {"link", "img", "iframe", "object"} & set(read.tags)
    assert "default-src 'none'" in text
    assert 4e6 < len(text) < 7e6  # plotly.js is in it, and of long lines a few thousand points


def test_figures_months_and_reruns_are_in_it():
    text = page(report())
    cells = Read(text).cells
    assert "+10.00%*" in cells
    assert "-50.00%" in cells
    assert "-45.00%*" in cells  # of 2024, of which there are two months
    traces = [one for plot in plots(text) for one in plot]
    assert [one["name"] for one in traces if "name" in one][:3] == ["equity", "drawdown", "mid"]
    assert max(len(one["x"]) for one in traces) <= 3_002
    (delays,) = [one for one in traces if one.get("name") == "net"]
    assert (delays["x"], delays["y"]) == ([0.0, 5.0], [1.0, -2.5])
    assert "it raised &lt;b&gt;" in text


def test_every_text_is_escaped():
    odd = '<script>alert("x")</script>'
    result = msgspec.structs.replace(RESULT, strategy=odd, symbol=odd, file=odd, halted=odd)
    text = page(report(result=result, params={odd: 1.0}, settings={odd: odd}))
    assert odd not in text
    assert text.count("&lt;script&gt;") >= 7


def test_what_is_not_there_is_a_sentence():
    none = (np.zeros(0, np.int64), np.zeros(0))
    result = msgspec.structs.replace(RESULT, trips=[])
    text = page(report(result=result, curve=none, prices=none, months=[], delays=Reruns([], [], "left out")))
    for sentence in (
        "Equity is not known.",
        "There is no price and no round trip to show.",
        "Equity is not known often enough.",
        "left out",
        "There was no round trip.",
    ):
        assert sentence in text
    assert plots(text) == []


def test_without_plotly_it_says_how_to_have_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(TickdError, match=r"needs plotly, .*: install it with make setup"):
        page(report())

from __future__ import annotations

import re
from html.parser import HTMLParser

from msgspec.structs import replace

from daemon.faces.session_report import Drawn, Feed, FeedGap, Happening
from daemon.faces.session_report_page import page
from tests.daemon.faces.test_session_report import report_of

TIME = "2023-11-14T22:13:20.000000000Z"


class Links(HTMLParser):
    """Collects whatever an element of the page would fetch."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in {"src", "href", "action", "data"}]


def test_the_page_fetches_nothing_and_shows_what_the_terminal_does(busy):
    report, drawn = report_of(busy)
    gap = FeedGap(begin=TIME, end=TIME, seconds=6.5, connection=3, cut=False)
    report = replace(
        report,
        feed=Feed(frames=9, gaps=1, listed=[gap], notes=[]),
        happenings=[Happening(time=TIME, kind="halted", text="<script>alert(1)</script>")],
    )
    text = page(report, drawn)
    links = Links()
    links.feed(text)
    assert links.found == []
    assert "default-src 'none'" in text
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert len(re.findall("<figure ", text)) == 2
    assert "after each of its 3 trades" in text
    assert "0.72 USDT at most" in text
    assert "<td>6.500</td><td>3</td><td>silent</td>" in text
    assert "orders: FILLED 2, REJECTED 1" in text


def test_without_a_trade_it_says_so_and_draws_nothing(busy):
    report, _ = report_of(busy)
    text = page(replace(report, happenings=[]), Drawn({}))
    assert "No trade is on record." in text
    assert "<figure " not in text
    assert "None is on record." in text

from __future__ import annotations

from msgspec.structs import replace

from daemon.faces.session_report import Feed, FeedGap, FirstWords, Happening, RanRun
from daemon.faces.session_report_text import counts, lines, run_line
from tests.daemon.faces.test_session_report import report_of

TIME = "2023-11-14T22:13:20.000000000Z"


def test_every_part_of_it_is_told(busy):
    report, _ = report_of(busy)
    text = "\n".join(lines(replace(report, first_words=FirstWords(count=2, p50_ms=1, p99_ms=2, max_ms=3))))
    for part in (
        "session test: the journal",
        "tickd 0: maker on BTC/USDT",
        "in all    USDT    11.27      0.72",
        "orders: FILLED 2, REJECTED 1, CANCELED 1, UNKNOWN 1",
        "rejected: no reason told 1",
        "refused: halted 1, no_slot 1",
        "first word: p50 1.000 ms, p99 2.000 ms, max 3.000 ms (2 orders)",
        "  2023-11-14 22:13:24.000000  halt  cli: lunch",
        "gaps of the feed are unknown",
    ):
        assert part in text


def test_gaps_of_the_feed_are_sentences(busy):
    report, _ = report_of(busy)
    gaps = [
        FeedGap(begin=TIME, end=TIME, seconds=6.5, connection=0, cut=False),
        FeedGap(begin=TIME, end=None, seconds=None, connection=1, cut=True),
    ]
    feed = Feed(frames=1234, gaps=2, listed=gaps, notes=["it is cut"])
    text = "\n".join(lines(replace(report, feed=feed, first_words=None)))
    assert "first word: not on record" in text
    assert "feed: 1,234 frames, 2 gaps" in text
    assert "connection 0 was silent for 6.500 s" in text
    assert "connection 1 was cut, and nothing came any more" in text
    assert "it is cut" in text


def test_of_many_the_latest_are_shown(busy):
    report, _ = report_of(busy)
    told = list(
        lines(replace(report, happenings=[Happening(time=TIME, kind=f"k{n}.", text="") for n in range(21)]))
    )
    assert "the last 20 of 21 commands, halts and alarms (--json has all):" in told
    assert not any("k0." in one for one in told)
    assert any("k20." in one for one in told)


def test_a_run_tells_its_mode_and_exchange_where_they_are_on_record():
    run = RanRun(run=7, begin=TIME, end=TIME, version="1", mode="paper", exchange="okx", strategies={})
    at = "2023-11-14 22:13:20.000000"
    assert run_line(run) == f"run 7  {at} to {at}  tickd 1, paper on okx: no strategy"
    assert counts({}) == "none"

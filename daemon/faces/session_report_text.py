"""A session's report as people read it in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.faces.journal_figures import figures
from daemon.faces.journal_table import aligned, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from daemon.faces.session_report import RanRun, SessionReport

#: of each list, so many of the latest are shown; --json has all
_SHOWN_MAX: Final = 20
_COLUMNS: Final = ("strategy", "quote", "result", "drawdown", "from", "to")


def lines(report: SessionReport) -> Iterator[str]:
    """Yield the lines of it."""
    yield f"session {report.name}: {report.journal}" + (f", tape {report.tape}" if report.tape else "")
    yield from _listed("runs", [run_line(one) for one in report.runs])
    yield ""
    yield from figures(report.summary)
    yield ""
    yield from _results(report)
    yield f"orders: {counts(report.orders)}"
    yield f"rejected: {counts(report.rejections)}"
    yield f"refused: {counts(report.refusals)}"
    words = report.first_words
    yield "from what an order was decided on to the venue's first word: " + (
        "not on record"
        if words is None
        else f"p50 {words.p50_ms:,.3f} ms, p99 {words.p99_ms:,.3f} ms, max {words.max_ms:,.3f} ms "
        f"({words.count:,} orders)"
    )
    yield ""
    yield from _listed(
        "commands, halts and alarms",
        [f"{short(one.time)}  {one.kind}  {one.text}" for one in report.happenings],
    )
    if (feed := report.feed) is not None:
        yield f"feed: {feed.frames:,} frames, {feed.gaps:,} gap{'' if feed.gaps == 1 else 's'}"
        yield from _listed(
            "gaps",
            [
                f"{short(one.begin)}  connection {one.connection} "
                + ("was cut" if one.cut else "was silent")
                + (", and nothing came any more" if one.seconds is None else f" for {one.seconds:,.3f} s")
                for one in feed.listed
            ],
        )
        yield from feed.notes
    yield from report.notes


def run_line(one: RanRun) -> str:
    """Return a run in one line."""
    traded = "; ".join(f"{name} on {', '.join(symbols)}" for name, symbols in one.strategies.items())
    what = " ".join(word for word in (one.mode, one.exchange and f"on {one.exchange}") if word)
    end = "no end on record" if one.end is None else short(one.end)
    return (
        f"run {one.run}  {short(one.begin)} to {end}  tickd {one.version}{what and f', {what}'}: "
        f"{traded or 'no strategy'}"
    )


def counts(of: Mapping[str, int]) -> str:
    """Return what was counted, in words."""
    return ", ".join(f"{name} {count:,}" for name, count in of.items()) or "none"


def _results(report: SessionReport) -> Iterator[str]:
    if not report.results:
        return
    rows = [_COLUMNS]
    rows += [
        (
            one.strategy or "in all",
            one.quote,
            one.result,
            one.fall or "",
            short(one.fall_from) if one.fall_from else "",
            short(one.fall_to) if one.fall_to else "",
        )
        for one in report.results
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield aligned(_COLUMNS, row, widths, frozenset({"result", "drawdown"}))
    yield "results are after fees and before funding; what is open is valued at our last trade in it"
    yield ""


def _listed(what: str, texts: list[str]) -> Iterator[str]:
    if not texts:
        yield f"no {what}"
        return
    if len(texts) > _SHOWN_MAX:
        yield f"the last {_SHOWN_MAX} of {len(texts):,} {what} (--json has all):"
    else:
        yield f"{what}:"
    yield from (f"  {text}" for text in texts[-_SHOWN_MAX:])

"""The page of `tickd report --html`: one file that opens without a network, as that of a backtest does."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from daemon.faces.report_page import BLUE, RED, document, figure, line, section
from daemon.faces.session_report_text import lines, run_line
from daemon.research.report import thin

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from daemon.faces.session_report import Drawn, SessionReport

#: of each list, so many of the latest are on the page
_ROWS_MAX: Final = 1_000


def page(report: SessionReport, drawn: Drawn) -> str:
    """Return the page; raises TickdError without plotly."""
    title = f"session {report.name}"
    ran = "<br>".join(escape(run_line(one)) for one in report.runs)
    curves = "".join(_curve(quote, *curve) for quote, curve in drawn.curves.items() if len(curve[0]) > 1)
    told = [(one.time, one.kind, one.text) for one in report.happenings]
    sections = [
        f"<header><h1>{escape(title)}</h1><p>{escape(report.journal)}<br>{ran}</p></header>",
        section("Result", curves or "<p>No trade is on record.</p>"),
        section("Commands, halts and alarms", _table(("time (UTC)", "what", "said"), told)),
    ]
    if report.feed is not None:
        gaps = [
            (
                one.begin,
                "-" if one.seconds is None else f"{one.seconds:,.3f}",
                str(one.connection),
                "cut" if one.cut else "silent",
            )
            for one in report.feed.listed
        ]
        sections.append(
            section("Gaps of the feed", _table(("from (UTC)", "seconds", "connection", "how"), gaps))
        )
    text = escape("\n".join(lines(report)))
    sections.append(section("As the terminal has it", f'<div class="scroll"><pre>{text}</pre></div>'))
    return document(title, sections)


def _curve(quote: str, times: Any, values: Any) -> str:
    """Return the result in one quote by time, and how far it was below its peak."""
    under = values - np.maximum.accumulate(values)
    marks = {**line(*thin(times, values), "result", BLUE), "mode": "lines+markers", "marker": {"size": 3}}
    return figure(
        [marks],
        f"Result after fees in {quote}, after each of its {len(values) - 1:,} trades; what is open is "
        "valued at our last trade in it.",
        quote,
    ) + figure(
        [{**line(*thin(times, under), "drawdown", RED), "fill": "tozeroy"}],
        f"How far that was below its peak; {-float(under.min()):g} {quote} at most.",
        quote,
        height=220,
    )


def _table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return "<p>None is on record.</p>"
    left = len(rows) - _ROWS_MAX
    said = f"The last {_ROWS_MAX:,}; {left:,} before them are left out." if left > 0 else ""
    head = _row("th", titles)
    body = "".join(_row("td", row) for row in rows[-_ROWS_MAX:])
    return f'<div class="scroll"><table><caption>{said}</caption>{head}{body}</table></div>'


def _row(cell: str, texts: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{cell}>{escape(one)}</{cell}>' for one in texts)}</tr>"

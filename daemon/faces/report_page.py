"""The page of `tickd backtest --html`: one file that opens without a network, in a dark room or a light one.

plotly.js is in it, and a policy that lets the page fetch nothing. Every text that comes from a user is
escaped, and every figure has a sentence that says what it shows.
"""

from __future__ import annotations

from html import escape
from importlib import import_module
from math import isnan
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from daemon.errors import TickdError
from daemon.faces.backtest_table import rows_of
from daemon.research.report import thin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.research.report import Report, Reruns

#: round trips that are marked on the price
_TRIPS_MAX: Final = 1_000
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_INK, BLUE, GREEN, RED, _GREY = "#8a8f98", "#3b82f6", "#16a34a", "#dc2626", "#8a8f98"
_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
#: a figure that is drawn before the one beside it is there has the width of both
_RESIZE: Final = 'addEventListener("load", () => dispatchEvent(new Event("resize")));'
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --paper: #ffffff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --paper: #0d1117; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 72rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2.5rem 0 .5rem; }
p, figcaption, caption { color: var(--soft); }
figure { margin: 0; min-width: 0; overflow: hidden; }
figcaption, caption { font-size: .9rem; text-align: left; margin: .25rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { font-weight: 500; color: var(--soft); }
td.number, th.number { text-align: right; white-space: nowrap; }
.pair { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
.pair > * { min-width: 0; }
"""


def page(report: Report) -> str:
    """Return the page; raises TickdError without plotly."""
    result = report.result
    title = f"{result.strategy} on {result.symbol}"
    sections = [
        _head(report, title),
        section("Figures", _figures(report)),
        section("Equity", _equity(report)),
        section("Price and round trips", _prices(report)),
        section("Months", _months(report)),
        section("Delay and fees", _reruns(report)),
        section("Round trips", _trips(report)),
    ]
    return document(title, sections)


def document(title: str, sections: Sequence[str]) -> str:
    """Return a page of sections (HTML) that opens without a network; raises TickdError without plotly."""
    script = _plotly("plotly.offline").get_plotlyjs().replace("</script", "<\\/script")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style>\n<script>{script}</script>\n</head>\n<body>\n<main>\n"
        + "\n".join(sections)
        + f"\n</main>\n<script>{_RESIZE}</script>\n</body>\n</html>\n"
    )


def _head(report: Report, title: str) -> str:
    params = ", ".join(f"{name} {value:g}" for name, value in report.params.items()) or "no parameters"
    settings = "; ".join(f"{name}: {value}" for name, value in report.settings.items())
    return (
        f"<header><h1>{escape(title)}</h1><p>A backtest of {escape(report.result.file)}, with "
        f"{escape(params)}.<br>{escape(settings)}.</p></header>"
    )


def section(title: str, body: str) -> str:
    """Return a section of a page; `body` is HTML."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _figures(report: Report) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in rows_of(report.result).items()
    )
    return f"<table><caption>As the terminal has them; money is in the quote.</caption>{rows}</table>"


def _equity(report: Report) -> str:
    times, equity = thin(*report.curve)
    if not len(equity):
        return "<p>Equity is not known.</p>"
    peaks = np.maximum.accumulate(report.curve[1])
    under = thin(report.curve[0], 100 * (report.curve[1] / peaks - 1))
    change = report.result.growth
    said = "" if change is None else f" It changed by {change:+.3%} in all."
    return figure(
        [line(times, equity, "equity", BLUE)], f"What the account was worth, by time.{said}", "quote"
    ) + figure(
        [{**line(*under, "drawdown", RED), "fill": "tozeroy"}],
        f"How far equity was below its peak, in percent; {-float(np.min(under[1])):.3f} % at most.",
        "%",
        height=220,
    )


def _prices(report: Report) -> str:
    trips = report.result.trips[-_TRIPS_MAX:]
    traces = [line(*thin(*report.prices), "mid", _GREY)] if len(report.prices[1]) else []
    for side, colour in (("long", GREEN), ("short", RED)):
        mine = [one for one in trips if one.side == side]
        for name, symbol, times, prices in (
            ("entry", "triangle-up", [one.entry_ns for one in mine], [one.entry_price for one in mine]),
            ("exit", "x-thin-open", [one.exit_ns for one in mine], [one.exit_price for one in mine]),
        ):
            if mine:
                marker = {"color": colour, "symbol": symbol, "size": 8, "line": {"color": colour, "width": 2}}
                traces.append(
                    {
                        "type": "scatter",
                        "mode": "markers",
                        "name": f"{name}, {side}",
                        "x": _when(np.array(times)),
                        "y": prices,
                        "marker": marker,
                    }
                )
    if not traces:
        return "<p>There is no price and no round trip to show.</p>"
    more = "" if len(trips) == len(report.result.trips) else f", the last {len(trips):,} of them"
    count = len(report.result.trips)
    text = f"The mid at the points of the curve, and where {count:,} round trips began and ended{more}."
    return figure(traces, text, "price", height=420)


def _months(report: Report) -> str:
    if not report.months:
        return "<p>Equity is not known often enough.</p>"
    years = sorted({one.year for one in report.months})
    head = "".join(f'<th scope="col" class="number">{name}</th>' for name in (*_MONTHS, "year"))
    rows = []
    for year in years:
        mine = {one.month: one for one in report.months if one.year == year}
        cells = []
        for month in range(1, 13):
            one = mine.get(month)
            cells.append("" if one is None else f"{one.growth:+.2%}" + ("" if one.whole else "*"))
        total = np.prod([1 + one.growth for one in mine.values()]) - 1
        whole = len(mine) == 12 and all(one.whole for one in mine.values())
        cells.append(f"{total:+.2%}" + ("" if whole else "*"))
        body = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        rows.append(f'<tr><th scope="row">{year}</th>{body}</tr>')
    return (
        '<div class="scroll"><table><caption>The change of equity by month in UTC; * of a part of it.'
        f'</caption><thead><tr><th scope="col">year</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _reruns(report: Report) -> str:
    delays = _rerun(
        report.delays,
        "The net profit where each order takes so many ms longer to the venue. A round trip of 250 ms and "
        "more is not played here.",
        "ms more",
    )
    fees = _rerun(
        report.fees, "The net profit at so many times the fees that are configured.", "times the fees"
    )
    return f'<div class="pair">{delays}{fees}</div>'


def _rerun(one: Reruns, text: str, unit: str) -> str:
    said = f"<p>{escape(one.unsaid)}</p>" if one.unsaid else ""
    if not one.at:
        return f"<div><p>{escape(text)}</p>{said}</div>"
    trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "net",
        "x": one.at,
        "y": one.net,
        "line": {"color": BLUE},
    }
    return f"<div>{figure([trace], text, 'net', height=260, below=unit)}{said}</div>"


def _trips(report: Report) -> str:
    trips = report.result.trips
    if not trips:
        return "<p>There was no round trip.</p>"
    gains = {"type": "histogram", "x": [float(one.pnl) for one in trips], "marker": {"color": BLUE}}
    held = {"type": "histogram", "x": [one.held_s for one in trips], "marker": {"color": _GREY}}
    return (
        '<div class="pair">'
        + figure([gains], "How many round trips gained so much, after fees.", "round trips", 260, "quote")
        + figure([held], "How many were held for so long.", "round trips", 260, "seconds")
        + "</div>"
    )


def figure(traces: Sequence[dict[str, Any]], text: str, axis: str, height: int = 320, below: str = "") -> str:
    """Return a figure with the sentence that says what it shows."""
    quiet = {"gridcolor": "rgba(138,143,152,0.25)", "zerolinecolor": "rgba(138,143,152,0.5)"}
    layout = {
        "height": height,
        "autosize": True,
        "margin": {"l": 64, "r": 12, "t": 8, "b": 40},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": _INK, "size": 12},
        "showlegend": len(traces) > 1,
        "legend": {"orientation": "h", "y": 1.08},
        "xaxis": {**quiet, "title": {"text": below}},
        "yaxis": {**quiet, "title": {"text": axis}},
        "hovermode": "closest",
    }
    made = _plotly("plotly.graph_objects").Figure(data=list(traces), layout=layout)
    drawn = _plotly("plotly.io").to_html(
        made, include_plotlyjs=False, full_html=False, config={"responsive": True, "displayModeBar": False}
    )
    said = escape(text)
    return f'<figure role="group" aria-label="{said}">{drawn}<figcaption>{said}</figcaption></figure>'


def line(times: Any, values: Any, name: str, colour: str) -> dict[str, Any]:
    """Return a line of a figure: times in ns, NaN a hole."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": _when(times),
        "y": [None if isnan(one) else one for one in values.tolist()],
        "line": {"color": colour, "width": 1.5},
    }


def _when(times: Any) -> list[str]:
    stamps = np.asarray(times).astype("datetime64[ns]").astype("datetime64[ms]")
    return [str(one) for one in stamps.tolist()]


def _plotly(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise TickdError(
            "a report needs plotly, which trading does not: install it with make setup (or "
            "requirements/research.txt)"
        ) from None

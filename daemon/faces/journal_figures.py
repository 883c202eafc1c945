"""A journal's summary as a table, and below it what does not fit in one."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import TYPE_CHECKING, Final

from daemon.faces.journal_runs import ends
from daemon.faces.journal_table import aligned, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from daemon.faces.journal_summary import Line, Summary

_COLUMNS: Final = (
    "strategy",
    "instrument",
    "position",
    "realised",
    "unrealised",
    "fees",
    "turnover",
    "slippage",
    "bps",
    "orders",
    "fills",
    "maker",
    "cancels",
)
#: what people are shown of amounts, which are exact to 18 decimals in --json
_PLACE: Final = Decimal("1e-8")
_WIDE: Final = Context(prec=80)
_RIGHT: Final = frozenset(_COLUMNS[2:])


def figures(summary: Summary) -> Iterator[str]:
    """Yield the lines of it; "-" stands where nothing is known."""
    if summary.begin is None or summary.end is None:
        yield "nothing is on record in that time"
        return
    yield (
        f"{short(summary.begin)} to {short(summary.end)} UTC, {summary.records:,} records, "
        f"{summary.runs:,} run{'' if summary.runs == 1 else 's'}"
    )
    yield ""
    cells = [_COLUMNS, *map(_cells, [*summary.lines, *summary.totals])]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield aligned(_COLUMNS, row, widths, _RIGHT)
    yield ""
    for line in summary.lines:
        yield from _details(line)
    for symbol, amounts in summary.funding.items():
        told = ", ".join(f"{_short(amount)} {asset}" for asset, amount in amounts.items())
        yield f"funding {f'on {symbol}' if symbol else 'of which the instrument is not told yet'}: {told}"
    if summary.halts or summary.halted:
        now = ", and still is" if summary.halted else ""
        yield f"halts: {summary.halts:,}, {summary.halted_s:,.3f} s in all{now}"
    yield from ends(summary.runs_cut, last_open=summary.last_run_open)
    yield "money is in the quote; slippage is against the mids when it was decided, above 0 a cost"
    yield from summary.notes


def _short(amount: str | None) -> str:
    """Return an exact amount for people, rounded to 8 decimals; of a smaller one every digit."""
    if amount is None:
        return "-"
    exact = Decimal(amount)
    rounded = exact.quantize(_PLACE, context=_WIDE)
    if rounded == exact or not rounded:
        return amount
    return f"{rounded:f}".rstrip("0").rstrip(".")


def _cells(line: Line) -> tuple[str, ...]:
    share = "-" if line.maker_share is None else f"{line.maker_share:.1%}"
    return (
        line.strategy or ("others'" if line.instrument else "in all"),
        line.instrument or line.quote,
        _short(line.position),
        _short(line.realised),
        _short(line.unrealised),
        _short(line.fees),
        _short(line.turnover),
        _short(line.slippage),
        "-" if line.slippage_bps is None else f"{line.slippage_bps:.2f}",
        f"{line.orders:,}",
        f"{line.fills:,}",
        share,
        f"{line.cancels:,}",
    )


def _details(line: Line) -> Iterator[str]:
    """Yield what is to be said of a line beside its figures, if anything is."""
    told = []
    if line.mark is not None and line.mark_time is not None:
        told.append(f"valued at {line.mark}, the last trade, {short(line.mark_time)}")
    if line.limit_slippage is not None and line.limit_slippage_bps is not None:
        bps = f"{line.limit_slippage_bps:.2f} bps"
        told.append(f"slippage against the orders' own prices {_short(line.limit_slippage)} ({bps})")
    told += [f"{_short(amount)} {asset} paid in fees" for asset, amount in line.fees_paid.items()]
    told += [
        f"{what} {_counts(of)}"
        for what, of in (("rejected with code", line.rejections), ("refused for", line.refusals))
        if of
    ]
    if line.unsent:
        told.append(f"never sent: {line.unsent:,}")
    if line.unknown:
        told.append(
            f"UNKNOWN {line.unknown:,} time{'' if line.unknown == 1 else 's'}, "
            f"{line.unknown_s:,.3f} s in all, {line.unknown_s_max:,.3f} s at most"
        )
    if told:
        yield f"{line.strategy or 'others'} on {line.instrument}: {'; '.join(told)}"


def _counts(of: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in of.items())

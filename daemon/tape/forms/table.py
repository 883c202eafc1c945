"""The one table of forms that `tickd convert` reads, and how a file's form is recognised by its content."""

from __future__ import annotations

import csv
import re
from collections import Counter
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from daemon.errors import ConfigError, FileFormatError, UsageError, nearest
from daemon.instruments import (
    Market,
    unify,
)
from daemon.tape.forms.base import Series
from daemon.tape.forms.captures import Captures
from daemon.tape.forms.cells import UNITS
from daemon.tape.forms.layouts import LAYOUTS, Layout, by_first_row, by_header
from daemon.tape.forms.npz import MAGIC, Npz
from daemon.tape.forms.rows import CsvForm
from daemon.tape.forms.tapes import Tapes
from daemon.tape.forms.texts import read_head
from daemon.tape.manifest import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from daemon.tape.forms.base import Source

_CAPTURE: Final = re.compile(rb"^\d{19} \{")
#: what a user may map: CSV columns of trades, of quotes or of levels
ROLES: Final = {
    "trades": ("time", "price", "size", "side", "maker", "id", "local"),
    "quotes": ("time", "bid", "bid_size", "ask", "ask_size", "id", "local"),
}
_QUOTE_ROLE: Final = "bid"


Clock = Literal["received", "exchange"]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says about the files, where they do not say it themselves."""

    form: str = ""
    exchange: str = ""
    market: Market | None = None
    symbol: str = ""
    columns: dict[str, str] = {}  # role -> column name or number
    unit: str = ""


class Form(NamedTuple):
    """One row of the table."""

    name: str
    what: str
    #: (path, its first bytes, what is wanted) -> the source; None: it is of another form
    open: Callable[[Path, bytes, Wanted], Source | None]


def find_source(path: Path, wanted: Wanted) -> tuple[str, Source]:
    """Return the name of a file's form, and the file as a source; raises FileFormatError, UsageError."""
    if path.is_dir() or path.suffix == SUFFIX:
        return "tape", Tapes()
    head = read_head(path)
    if not head:
        raise FileFormatError(f"{path} is empty: name another file")
    form = "csv" if wanted.columns and not wanted.form else wanted.form
    for one in FORMS:
        if form and one.name != form:
            continue
        source = one.open(path, head, wanted)
        if source is not None:
            return one.name, source
    if form:
        if form not in {one.name for one in FORMS}:
            known = [one.name for one in FORMS]
            raise UsageError(f"--from {form} is no form{nearest(form, known)} ({', '.join(known)} are)")
        raise FileFormatError(f"{path} is no file of the form {form}; it begins {_shown(head)}")
    raise FileFormatError(
        f"{path} is of no form that is known (it begins {_shown(head)}): map its columns (--columns), or see "
        "docs/data.md"
    )


def _shown(head: bytes) -> str:
    return repr(head[:60].decode(errors="replace").splitlines()[0][:48])


# --- the forms --------------------------------------------------------------------------------------------
def _capture(_path: Path, head: bytes, _wanted: Wanted) -> Source | None:
    return Captures() if _CAPTURE.match(head) else None


def _tape(_path: Path, _head: bytes, _wanted: Wanted) -> Source | None:
    """Return nothing: a tape is a folder, or a segment known by its ending, and neither is text."""
    return None


def _known(form: str) -> Callable[[Path, bytes, Wanted], Source | None]:
    def find(path: Path, head: bytes, wanted: Wanted) -> Source | None:
        lines, comments = _lines(head)
        if not lines:
            return None
        layout = by_header(lines[0])
        header = layout is not None
        if layout is None:
            layout = by_first_row(lines[0], path.name)
        if layout is None or layout.form != form:
            return None
        names = tuple(layout.columns)
        skip = comments + int(header)
        rows = lines[1:] if header else lines
        series, contiguous = _SERIES[form](path, layout, rows, wanted)
        return CsvForm(
            layout=layout,
            series=series,
            names=names,
            skip=skip,
            unit=wanted.unit,
            trade_ids="contiguous" if contiguous else "names",
        )

    return find


def _lines(head: bytes) -> tuple[list[list[str]], int]:
    """Return the whole lines of a CSV's head as cells, and how many comments stand before them."""
    text = head.decode("utf-8-sig", errors="replace")
    lines = text.splitlines()
    if len(lines) > 1 and not text.endswith("\n"):
        lines = lines[:-1]
    comments = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return list(csv.reader(lines[comments:])), comments


def _binance_series(
    path: Path, layout: Layout, rows: Sequence[Sequence[str]], wanted: Wanted
) -> tuple[Series, bool]:
    """Binance's files have their symbol in their own name, BTCUSDT-trades-2024-08-08.zip, and no market."""
    del rows
    symbol = wanted.symbol or path.name.partition("-")[0]
    market = wanted.market
    if market is None:
        coinm = symbol.upper().endswith("_PERP") or re.search(r"USD_\d{6}$", symbol.upper())
        # futures' trades say not whether they are the best match; quotes in files are futures' alone
        futures = len(layout.columns) in {6, 7} and "is_best_match" not in layout.columns
        market = "coinm" if coinm else "usdm" if futures else "spot"
    return _series(path, "binance", market, symbol, layout.clock), layout.contiguous


def _tardis_series(
    path: Path, layout: Layout, rows: Sequence[Sequence[str]], wanted: Wanted
) -> tuple[Series, bool]:
    """Tardis names the exchange and the symbol in each row; the first row's symbol is taken."""
    exchange, symbol = rows[0][:2] if rows else ("", "")
    symbol = wanted.symbol or symbol
    market: Market = "spot"
    if exchange.startswith("binance"):
        market = {"binance-futures": "usdm", "binance-delivery": "coinm"}.get(exchange, "spot")  # type: ignore[assignment]
        name = "binance"
    else:
        name = exchange
        if re.search(r"swap|futures|perp|deribit|bitmex", f"{exchange} {symbol}", re.IGNORECASE):
            market = "usdm"
    return _series(
        path, wanted.exchange or name, wanted.market or market, symbol, layout.clock
    ), name == "binance"


def _stream_series(
    path: Path, layout: Layout, rows: Sequence[Sequence[str]], wanted: Wanted
) -> tuple[Series, bool]:
    """Streams written as CSV are of the symbol that most of their rows name."""
    names = layout.columns
    if "Symbol" in names:
        at = names.index("Symbol")
        counted = Counter(row[at] for row in rows if len(row) > at)
        symbol = wanted.symbol or (counted.most_common(1)[0][0] if counted else "")
    else:
        found = re.search(r"(?:spot|futures)_([a-z0-9]+(?:_perp)?)_", path.name.lower())
        symbol = wanted.symbol or (found[1] if found else "")
    futures = "FinalUpdateIdInLastStream" in names or "XUnknownParameter" in names
    coinm = symbol.upper().endswith("_PERP")
    market = wanted.market or ("coinm" if coinm else "usdm" if futures else "spot")
    return _series(path, "binance", market, symbol, layout.clock), layout.contiguous


_SERIES: Final = {"binance": _binance_series, "tardis": _tardis_series, "streams": _stream_series}


def _mapped(path: Path, head: bytes, wanted: Wanted) -> Source | None:
    """Any CSV whose columns the user names, by their header or by number from 1."""
    if not wanted.columns:
        return None
    lines, comments = _lines(head)
    header = any(not name.isdigit() for name in wanted.columns.values())
    first = [cell.strip() for cell in lines[0]]
    kind = "quotes" if _QUOTE_ROLE in wanted.columns else "trades"
    known = ROLES[kind]
    roles: dict[str, str] = {}
    for role, name in wanted.columns.items():
        if role not in known:
            raise UsageError(
                f"--columns knows no {role!r} of {kind}{nearest(role, known)} ({', '.join(known)})"
            )
        column = name if header else f"c{name}"
        if header and name not in first:
            raise UsageError(
                f"{path} has no column {name!r}{nearest(name, first)} (it has {', '.join(first[:12])})"
            )
        if not header and not 1 <= int(name) <= len(first):
            raise UsageError(f"{path} has {len(first)} columns, so none with the number {name}")
        roles[_ROLE_NAMES.get(role, role)] = column
    lacking = [one for one in (known[:3] if kind == "trades" else known[:5]) if one not in wanted.columns]
    if lacking:
        raise UsageError(f"--columns lacks {', '.join(lacking)} ({kind} need {', '.join(known[:3])})")
    if wanted.unit and wanted.unit not in UNITS:
        raise UsageError(f"--unit {wanted.unit} is none of {', '.join(UNITS)}")
    names = tuple(first) if header else tuple(f"c{n}" for n in range(1, len(first) + 1))
    layout = Layout(form="csv", kind=kind, columns=names, roles=roles)  # type: ignore[arg-type]
    if not wanted.symbol or not wanted.exchange:
        raise UsageError(
            "a CSV of mapped columns names no instrument: say --exchange NAME and --symbol BASE/QUOTE"
        )
    series = _series(path, wanted.exchange, wanted.market or "spot", wanted.symbol, layout.clock)
    return CsvForm(layout=layout, series=series, names=names, skip=comments + int(header), unit=wanted.unit)


_ROLE_NAMES: Final = {"time": "exch", "local": "wire"}


def _npz(path: Path, head: bytes, wanted: Wanted) -> Source | None:
    """Arrays of hftbacktest name no instrument."""
    if not head.startswith(MAGIC):
        return None
    if not wanted.symbol or not wanted.exchange:
        raise UsageError(f"{path} names no instrument: say --exchange NAME and --symbol BASE/QUOTE")
    return Npz(_series(path, wanted.exchange, wanted.market or "spot", wanted.symbol, "received"))


def _series(path: Path, exchange: str, market: Market, symbol: str, clock: Clock) -> Series:
    try:
        unified = unify(symbol, market)
    except ConfigError:
        raise UsageError(
            f"{path} is of symbol {symbol!r}, which is not understood: say --symbol BASE/QUOTE"
        ) from None
    return Series(exchange=exchange, market=market, symbol=unified, exchange_symbol=symbol, clock=clock)


FORMS: Final = (
    Form("tape", "a recorder's raw frames: a session's folder, or a segment of it", _tape),
    Form("capture", "a line a frame, `local_ns json`, of Binance", _capture),
    Form(
        "binance",
        "Binance's public data: trades, aggTrades, bookTicker, klines; CSV or zip",
        _known("binance"),
    ),
    Form("tardis", "tardis.dev CSV: trades, quotes, book_ticker, incremental_book_L2", _known("tardis")),
    Form("streams", "Binance's streams written as CSV, a row a trade or a level", _known("streams")),
    Form("npz", "arrays of events for hftbacktest", _npz),
    Form("csv", "any CSV, its columns named by --columns", _mapped),
)
assert {one.form for one in LAYOUTS} <= {one.name for one in FORMS}

"""`tickd bars`: bars of a capture's trades, by time, number, quantity or notional (kernels.bars).

Read as a stream: trades go into the kernel in arrays, closed bars come out in arrays, so that a file of any
length takes the same memory. Times are the exchange's where it stamps its trades, or those of receipt if
asked for. The bar that the last trade left open is the last row, marked as not complete.
"""

from __future__ import annotations

from collections import Counter, deque
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np
from rich.console import Console

from daemon.errors import EXIT_DONE, FileFormatError, FrameError, UsageError
from daemon.events import Tick
from daemon.faces.bars_table import show
from daemon.faces.exports import check_target, write_csv, write_parquet
from daemon.feeds.binance import BinanceDecoder
from daemon.instruments import Scale
from daemon.tape.capture import capture_instrument, read_frames
from kernels import bars as kernel
from kernels.dtypes import TRADE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from daemon.instruments import Instrument
    from daemon.options import BarsOptions

COLUMNS: Final = (
    "open_ns",
    "end_ns",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "notional",
    "count",
    "buy_volume",
    "buy_notional",
    "first_id",
    "last_id",
    "complete",
)
#: trades, and bars, that are in memory at once
_BATCH: Final = 16_384


class BarsResult(msgspec.Struct, kw_only=True):
    """What was made, and what of the file was not as it should be."""

    file: str
    symbol: str
    by: str
    clock: str
    trades: int = 0
    bars: int = 0
    empty: int = 0  # of them, intervals without a trade
    backwards: int = 0  # trades stamped before the one before them
    ignored: int = 0  # that cannot be: no price or no quantity
    repeated: int = 0  # whose id was there before, and left out
    missed: int = 0  # ids that were jumped
    errors: dict[str, int] = {}  # frames that were refused, by reason
    last: list[dict[str, str]] = []


class Trades(NamedTuple):
    """Trades as the kernel takes them, int64[n] each: times, ticks, lots, takers' sides, ids."""

    at_ns: NDArray[np.int64]
    prices: NDArray[np.int64]
    lots: NDArray[np.int64]
    sides: NDArray[np.int64]
    ids: NDArray[np.int64]


class Rule(NamedTuple):
    """What closes a bar: the kernel's kind and size, and how a person says it."""

    kind: int
    size: int
    text: str


def run(options: BarsOptions) -> int:
    """Make the bars of a file, write them, and print what came of it."""
    for path in (options.csv, options.parquet):
        if path is not None:
            check_target(path)
    instrument = capture_instrument(options.file)
    rule = rule_of(options, instrument)
    result = BarsResult(file=str(options.file), symbol=instrument.symbol, by=rule.text, clock=options.clock)
    kept: deque[tuple[str, ...]] = deque(maxlen=options.last)
    rows = _told(make(options.file, instrument, rule, result), instrument, result, kept)
    console = Console(stderr=True)
    with console.status(f"bars of {options.file}"):
        if options.csv is not None:
            write_csv(options.csv, COLUMNS, rows)
        elif options.parquet is not None:
            write_parquet(options.parquet, COLUMNS, rows)
        else:
            deque(rows, maxlen=0)
    result.last = [dict(zip(COLUMNS, row, strict=True)) for row in kept]
    show(result, as_json=options.json)
    return EXIT_DONE


def rule_of(options: BarsOptions, instrument: Instrument) -> Rule:
    """Return what closes a bar; raises UsageError for a size that is none."""
    if options.every_ns is not None:
        return Rule(kernel.TIME, options.every_ns, f"every {options.every_ns / 1e9:g} s")
    if options.ticks is not None:
        return Rule(kernel.TICKS, options.ticks, f"{options.ticks:,} trades")
    if options.volume is not None:
        size = _steps("--volume", options.volume, instrument.lot_size)
        return Rule(kernel.LOTS, size, f"{options.volume} {instrument.base}")
    assert options.notional is not None
    if instrument.market == "coinm":
        raise UsageError(
            f"--notional is of price times quantity, and {instrument.symbol} is traded in contracts of a "
            "fixed worth: say --volume, in contracts"
        )
    size = _steps("--notional", options.notional, instrument.tick_size * instrument.lot_size)
    return Rule(kernel.NOTIONAL, size, f"{options.notional} {instrument.quote}")


def _steps(option: str, text: str, step: Decimal) -> int:
    """Return the least whole number of steps that is at least the decimal `text`."""
    try:
        count = int((Decimal(text) / step).to_integral_value(ROUND_CEILING))
    except (InvalidOperation, ValueError, OverflowError):
        raise UsageError(f"{option} {text} is no number") from None
    if not 0 < count < 2**62:
        raise UsageError(f"{option} {text} is no size of a bar: it must be positive, and fit into 64 bits")
    return count


def make(path: Path, instrument: Instrument, rule: Rule, result: BarsResult) -> Iterator[NDArray[np.void]]:
    """Yield the closed bars of a capture's trades, BAR[n], then the open one; count into `result`."""
    state, out = kernel.new_state(rule.kind, rule.size), np.zeros(_BATCH, kernel.BAR)
    for trades in _batches(path, instrument, result):
        state["taken"] = 0
        while state["taken"][0] < len(trades.at_ns):
            n = kernel.take(state, *trades, out)
            yield out[:n]
    result.backwards, result.ignored = int(state["backwards"][0]), int(state["ignored"][0])
    if state["begun"][0]:
        last = state["bar"].copy()
        last["complete"] = 0
        if rule.kind != kernel.TIME:
            last["end_ns"] = state["last_ns"]
        yield last


def _batches(path: Path, instrument: Instrument, result: BarsResult) -> Iterator[Trades]:
    """Yield the trades of a capture, a batch at a time."""
    ticks: list[Tick] = []
    errors: Counter[str] = Counter()
    decode = BinanceDecoder([instrument]).decode
    newest = -1
    for wire_ns, payload in read_frames(path):
        if b"@trade" not in payload[:96]:
            continue
        try:
            event = decode(payload, wire_ns)
        except FrameError as error:
            errors[error.reason] += 1
            continue
        if not isinstance(event, Tick) or event.kind != TRADE:
            continue
        if event.id <= newest:
            result.repeated += 1
            continue
        result.missed += event.id - newest - 1 if newest >= 0 else 0
        newest = event.id
        ticks.append(event)
        if len(ticks) == _BATCH:
            yield _arrays(ticks, instrument, result)
            ticks.clear()
    if ticks:
        yield _arrays(ticks, instrument, result)
    result.errors = dict(errors)


def _arrays(ticks: list[Tick], instrument: Instrument, result: BarsResult) -> Trades:
    """Return trades as columns of whole numbers; raises FileFormatError for one off the instrument's grid."""
    result.trades += len(ticks)
    local = result.clock == "local"
    at = np.array([one.wire_ns if local or not one.exch_ns else one.exch_ns for one in ticks], np.int64)
    prices = _counts(np.array([one.a for one in ticks]), instrument.price, ticks, "price")
    lots = _counts(np.array([one.b for one in ticks]), instrument.qty, ticks, "quantity")
    sides = np.array([one.c for one in ticks]).astype(np.int64)
    return Trades(at, prices, lots, sides, np.array([one.id for one in ticks], np.int64))


def _counts(values: NDArray[np.float64], scale: Scale, ticks: list[Tick], what: str) -> NDArray[np.int64]:
    """Return whole counts of steps, each giving its float back exactly."""
    base = float(10**scale.places)
    counts = np.rint(values * base / scale.num)
    off = np.flatnonzero(counts * scale.num / base != values)
    if off.size:
        first = int(off[0])
        raise FileFormatError(
            f"trade {ticks[first].id} has a {what} of {values[first]}, which is no multiple of {scale.step}, "
            "as the frames before are: cut it out, or name another file"
        )
    return counts.astype(np.int64)


def _told(
    parts: Iterator[NDArray[np.void]],
    instrument: Instrument,
    result: BarsResult,
    kept: deque[tuple[str, ...]],
) -> Iterator[tuple[str, ...]]:
    """Yield each bar as text, its decimals exact; count it, and keep the last."""
    price, qty = instrument.price.text, instrument.qty.text
    worth: Callable[[int], str] = Scale(instrument.tick_size * instrument.lot_size).text
    if instrument.market == "coinm":  # contracts of a fixed worth: price times quantity is nothing
        worth = _nothing
    for part in parts:
        result.bars += len(part)
        result.empty += int(np.sum(part["count"] == 0))
        for bar in part:
            numbers = {name: int(bar[name]) for name in kernel.BAR.names or ()}
            row = (
                str(numbers["open_ns"]),
                str(numbers["end_ns"]),
                *(price(numbers[name]) for name in ("open", "high", "low", "close")),
                qty(numbers["lots"]),
                worth(numbers["notional"]),
                str(numbers["count"]),
                qty(numbers["buy_lots"]),
                worth(numbers["buy_notional"]),
                *(str(numbers[name]) if numbers["count"] else "" for name in ("first_id", "last_id")),
                str(numbers["complete"]),
            )
            kept.append(row)
            yield row


def _nothing(_: int) -> str:
    return ""

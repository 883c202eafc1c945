"""`tickd bars`: bars of trades, by time, number, quantity or notional (kernels.bars).

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

from daemon.errors import EXIT_DONE, UsageError
from daemon.faces.bars_table import show
from daemon.faces.exports import check_target, write_csv, write_parquet
from daemon.instruments import Scale
from daemon.tape.trades import Admission, open_trades
from kernels import bars as kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from daemon.instruments import Instrument
    from daemon.options import BarsOptions
    from daemon.tape.trades import TradeSource

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
#: bars that are in memory at once
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
    sideless: int = 0  # whose taker's side is not known
    errors: dict[str, int] = {}  # frames that were refused, by reason
    last: list[dict[str, str]] = []


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
    source = open_trades(options.file, options.symbol)
    instrument = source.instrument
    if options.clock == "local" and not source.received:
        raise UsageError(
            f"{options.file} does not know when its trades were received: leave --clock local out"
        )
    rule = rule_of(options, instrument)
    result = BarsResult(file=str(options.file), symbol=instrument.symbol, by=rule.text, clock=options.clock)
    kept: deque[tuple[str, ...]] = deque(maxlen=options.last)
    rows = _told(make(source, rule, result), instrument, result, kept)
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


def make(source: TradeSource, rule: Rule, result: BarsResult) -> Iterator[NDArray[np.void]]:
    """Yield the closed bars of a source's trades, BAR[n], then the open one; count into `result`."""
    state, out = kernel.new_state(rule.kind, rule.size), np.zeros(_BATCH, kernel.BAR)
    for trades in _admitted(source, result):
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


class Trades(NamedTuple):
    """Trades as the kernel takes them, int64[n] each: times, ticks, lots, takers' sides, ids."""

    at_ns: NDArray[np.int64]
    prices: NDArray[np.int64]
    lots: NDArray[np.int64]
    sides: NDArray[np.int64]
    ids: NDArray[np.int64]


def _admitted(source: TradeSource, result: BarsResult) -> Iterator[Trades]:
    """Yield trades that had not come before, at the times asked for."""
    errors: Counter[str] = Counter()
    ids = Admission(source.trade_ids)
    for told in source.read(errors):
        news = ids.admit(told.ids)
        wire_ns, exch_ns, prices, lots, sides, numbers = (one[news] for one in told)
        at_ns = wire_ns if result.clock == "local" else np.where(exch_ns, exch_ns, wire_ns)
        result.trades += len(at_ns)
        result.repeated, result.missed, result.errors = ids.repeated, ids.missed, dict(errors)
        result.sideless += int(np.count_nonzero(sides == 0))
        # the kernel wants a side: what was bought is not told of bars from here on
        yield Trades(at_ns, prices, lots, np.where(sides, sides, -1), numbers)
    result.errors = dict(errors)


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
    bought: Callable[[int], str] = qty
    bought_worth = worth
    for part in parts:
        result.bars += len(part)
        result.empty += int(np.sum(part["count"] == 0))
        if result.sideless:
            bought = bought_worth = _nothing
        for bar in part:
            numbers = {name: int(bar[name]) for name in kernel.BAR.names or ()}
            row = (
                str(numbers["open_ns"]),
                str(numbers["end_ns"]),
                *(price(numbers[name]) for name in ("open", "high", "low", "close")),
                qty(numbers["lots"]),
                worth(numbers["notional"]),
                str(numbers["count"]),
                bought(numbers["buy_lots"]),
                bought_worth(numbers["buy_notional"]),
                *(str(numbers[name]) if numbers["count"] else "" for name in ("first_id", "last_id")),
                str(numbers["complete"]),
            )
            kept.append(row)
            yield row


def _nothing(_: int) -> str:
    return ""

"""What a form of market data brings to be converted: what it is of, and its rows in order."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

import msgspec

from daemon.instruments import Market  # noqa: TC001 - msgspec reads the annotation
from daemon.tape.dirty import Checks
from daemon.tape.ticks import Header, step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from daemon.feeds.base import TradeIds
    from daemon.tape.ticks import Block

    Ints = NDArray[np.int64]

#: decimals beyond which a number is no price and no size
PLACES_MAX: Final = 18


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument, as a source tells of it."""

    exchange: str
    market: Market
    symbol: str  # ccxt's unified form
    exchange_symbol: str
    clock: Literal["received", "exchange"]

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same instrument in another source."""
        return self.exchange, self.symbol

    def header(self, grid: Grid, source: str, version: str) -> Header:
        """Return what its files say of themselves."""
        return Header(
            exchange=self.exchange,
            market=self.market,
            symbol=self.symbol,
            exchange_symbol=self.exchange_symbol,
            tick=step(grid.price_places),
            lot=step(grid.size_places),
            money=step(grid.money_places),
            clock=self.clock,
            source=source,
            tickd=version,
        )


class Grid(NamedTuple):
    """How many decimals an instrument's prices, sizes and, of bars, sums of money have at most."""

    price_places: int = 0
    size_places: int = 0
    money_places: int = 0


class FinerGridError(Exception):
    """A number has more decimals than all before it: what was read is to be counted by this grid.

    Where that cannot be any more, since it is written, the conversion begins anew.
    """

    def __init__(self, key: tuple[str, str], grid: Grid) -> None:
        super().__init__(key, grid)
        self.key = key
        self.grid = grid


class State:
    """What lasts from one source to the next: each instrument's grid and checks, and the next seq."""

    def __init__(self, grids: Mapping[tuple[str, str], Grid]) -> None:
        self.grids = dict(grids)
        self.checks: dict[tuple[str, str], Checks] = {}
        self.seq = 0

    def grid(self, series: Series, at_least: Grid) -> Grid:
        """Return the grid of an instrument: what is known of it, or this one; raises FinerGridError."""
        known = self.grids.setdefault(series.key, at_least)
        finer = Grid(*map(max, known, at_least))
        if finer != known:
            raise FinerGridError(series.key, finer)
        return known

    def at_least(self, series: Series, grid: Grid) -> None:
        """Count an instrument by a grid that has at least these decimals."""
        self.grids[series.key] = Grid(*map(max, self.grids.get(series.key, Grid()), grid))

    def widen(self, series: Series, grid: Grid) -> None:
        """Count an instrument by a finer grid from now on."""
        self.grids[series.key] = grid

    def checks_of(self, series: Series, file: str, trade_ids: TradeIds = "contiguous") -> Checks:
        """Return the checks of an instrument, which go on from file to file."""
        checks = self.checks.setdefault(series.key, Checks(trade_ids))
        checks.file = file
        return checks


class Piece(NamedTuple):
    """The next rows of a source."""

    series: Series
    block: Block
    read_bytes: int  # of the file, up to here
    bars: Ints | None = None  # in place of a block: int64[columns of daemon.tape.ticks.BARS, n]


class Source(Protocol):
    """A file of some form, recognised and opened; nothing of it is believed yet but its form."""

    def pieces(self, path: Path, state: State) -> Iterator[Piece]:
        """Yield the file's rows in order, checked; raises FileFormatError, FinerGridError, UsageError."""


def count_of(value: float | Decimal, places: int) -> int:
    """Return a number as a whole count of 10**-places; raises ValueError where it has more decimals.

    The shortest text that gives a float is the exchange's own, up to 15 digits.
    """
    count = _exact(value).scaleb(places)
    if count != count.to_integral_value():
        raise ValueError(f"{value!r} has more than {places} decimals")
    return int(count)


def decimals_of(value: float | Decimal) -> int:
    """Return how many decimals a number has, a float by its shortest text."""
    exponent = _exact(value).normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def _exact(value: float | Decimal) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(repr(value))

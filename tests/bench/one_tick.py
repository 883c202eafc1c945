"""One tick from Python: ours by one call into ring, features and histogram; wickra ten calls."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import njit

from daemon.entry import bound
from kernels import features, pipeline, ring, stats
from kernels.dtypes import memory_dtype
from kernels.features import FEATURE_FLOATS, FEATURE_INTS, FEATURES, bind_tuning

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: all that one instrument needs, in one record: the fewest arguments
ONE: Final = np.dtype(
    [
        ("ring", ring.RING),
        ("f", "f8", (FEATURE_FLOATS,)),
        ("i", "i8", (FEATURE_INTS,)),
        ("row", "f8", (len(FEATURES),)),
        ("histogram", "i8", (stats.HISTOGRAM_SIZE,)),
    ],
    align=True,
)


@njit(cache=True)
def take_one(
    ones: Any, kind: int, wire_ns: int, exch_ns: int, number: int, a: float, b: float, c: float, d: float
) -> None:
    """Push a tick, step the features, write their row and observe the tick's lag, all in one record."""
    m = ones[0]
    ring.fill(m.ring.rows[m.ring.head & ring.MASK], kind, wire_ns, exch_ns, number, a, b, c, d)
    m.ring.head += 1
    features.step(m.f, m.i, kind, wire_ns, a, b, c, d)
    features.row(m.f, m.i, wire_ns, m.row)
    stats.observe(m.histogram, wire_ns - exch_ns)


@njit(cache=True)
def take(
    mem: Any,
    rings: Any,
    account: Any,
    histogram: Any,
    kind: int,
    wire_ns: int,
    exch_ns: int,
    number: int,
    a: float,
    b: float,
    c: float,
    d: float,
) -> None:
    """Do the same in the daemon's own memory and rings: push, a drain's preparation, and observe."""
    ring.push(rings, 0, kind, wire_ns, exch_ns, number, a, b, c, d)
    pipeline.prepare(mem, rings, account, wire_ns)
    stats.observe(histogram, wire_ns - exch_ns)


class Call:
    """A warm call for one tick, (kind, wire_ns, exch_ns, number, a, b, c, d), and where it writes."""

    def __init__(self, kernel: Any, *arrays: NDArray[Any]) -> None:
        kernel(*(one.copy() for one in arrays), 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0)
        self.arrays = arrays
        self.call: Callable[..., None] = partial(bound(kernel), *arrays)

    def run(self, ticks: list[tuple[Any, ...]]) -> None:
        """Take each tick."""
        call = self.call
        for tick in ticks:
            call(*tick)


def in_one_record() -> Call:
    """Return a call whose ring, features, row and histogram are one record (ONE)."""
    ones = np.zeros(1, ONE)
    features.init(ones[0]["f"], ones[0]["i"], bind_tuning({}))
    return Call(take_one, ones)


def in_the_daemons_memory() -> Call:
    """Return a call on a strategy's memory, the feed's rings and a histogram, as the daemon has them."""
    memory = np.zeros(1, memory_dtype(1, len(FEATURES), FEATURE_FLOATS, FEATURE_INTS, 0, 0))
    features.init(memory[0]["feature_f"][0], memory[0]["feature_i"][0], bind_tuning({}))
    account, histogram = memory[0]["account"].copy(), np.zeros(stats.HISTOGRAM_SIZE, np.int64)
    return Call(take, memory, ring.new_rings(1), account, histogram)


class Wickra:
    """Ten of its indicators as our features have them, all of one price: the cheapest way to call it."""

    def __init__(self, wickra: Any) -> None:
        made = (
            wickra.EMA(16),
            wickra.EMA(64),
            wickra.SMA(128),
            wickra.StdDev(128),
            wickra.ZScore(128),
            wickra.RSI(14),
            wickra.MACD(12, 26, 9),
            wickra.BollingerBands(20, 2.0),
            wickra.ROC(20),
            wickra.RealizedVolatility(10),
        )
        self.updates = tuple(one.update for one in made)

    def run(self, prices: list[float]) -> None:
        """Update all ten with each price."""
        one, two, three, four, five, six, seven, eight, nine, ten = self.updates
        for price in prices:
            one(price)
            two(price)
            three(price)
            four(price)
            five(price)
            six(price)
            seven(price)
            eight(price)
            nine(price)
            ten(price)

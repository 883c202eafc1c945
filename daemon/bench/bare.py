"""The bare sum: what a tick costs to read, to make features of and to predict from, and nothing else.

Each is one call from Python of the daemon's own kernels, one after the other over the bench's own quotes, in
this process and on the daemon's core while everybody else stands still. What the daemon takes from frame to
order is compared with it: the rest is its deciding, checking, recording, signing and sending, and its caches
that grew cold between two orders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import njit

from daemon.bench.market import HEAD, instrument, new_symbols, texts, write_quote
from daemon.clock import SystemClock
from daemon.entry import bound
from daemon.feeds.binance import BinanceDecoder
from daemon.feeds.core import FeedCore
from daemon.warm import Deaf
from kernels import features, forest, shapes
from kernels.dtypes import QUOTE
from kernels.feature_state import bind_tuning, init
from kernels.ring import MASK, new_rings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from daemon.compile import Forest

#: quotes in a round
COUNT: Final = 5_000
#: of each symbol before the first round: its stream's shape is learnt, its features are known
_WARM: Final = 300


@njit(cache=True)
def step_and_row(rings: Any, k: int, f: Any, i: Any, out: Any) -> None:
    """Step the features by instrument k's newest tick, and write their row."""
    ring = rings[k]
    tick = ring.rows[(ring.head - 1) & MASK]
    features.step(f, i, tick.kind, tick.wire_ns, tick.a, tick.b, tick.c, tick.d)
    features.row(f, i, tick.wire_ns, out)


class Bare:
    """Kernels, frames and features, ready to be measured."""

    def __init__(self, trees: Forest, symbols: int, seed: int) -> None:
        """Compile or load them; trees: nodes, roots and bits of kernels.forest."""
        self._clock = SystemClock()
        self._trees = trees
        self._symbols = new_symbols(symbols)
        self._random = np.array([2 * seed + 1], np.uint64)
        self._order = np.random.default_rng(seed)
        self._rings = new_rings(symbols)
        instruments = [instrument(number) for number in range(symbols)]
        decoder = BinanceDecoder(instruments)
        feed = FeedCore(instruments, self._rings, Deaf(symbols), decoder, _ignore, self._clock)
        tuning = bind_tuning({})
        self._floats = np.zeros((symbols, features.FEATURE_FLOATS))
        self._ints = np.zeros((symbols, features.FEATURE_INTS), np.int64)
        self._row = np.full(len(features.FEATURES) + 1, np.nan)
        for index in range(symbols):
            init(self._floats[index], self._ints[index], tuning)
        for number in range(_WARM * symbols):
            index = number % symbols
            feed.process(self._quote(index), self._clock.now_ns(), last=True)
            step_and_row(self._rings, index, self._floats[index], self._ints[index], self._row[:-1])
        self._streams = [lane.stream(QUOTE).record for lane in feed.lanes]
        shapes.read(b"", self._streams[0], self._rings, 0)
        predict: Any = forest.predict
        predict(*trees, self._row)

    def measure(self) -> NDArray[np.int64]:
        """Return the ns of COUNT quotes, of one symbol or another."""
        read, step, predict = bound(shapes.read), bound(step_and_row), bound(forest.predict)
        now_ns, rings, row, trees = self._clock.now_ns, self._rings, self._row, self._trees
        columns = row[:-1]
        chosen = self._order.integers(len(self._symbols), size=COUNT).tolist()
        taken = np.zeros(COUNT, np.int64)
        for place, index in enumerate(chosen):
            frame, stream = self._quote(index), self._streams[index]
            floats, ints = self._floats[index], self._ints[index]
            wire_ns = now_ns()
            came = read(frame, stream, rings, wire_ns)
            step(rings, index, floats, ints, columns)
            predict(*trees, row)
            taken[place] = now_ns() - wire_ns
            assert came != shapes.MISS, "a quote is not of its stream's shape"
        return taken

    def _quote(self, index: int) -> bytes:
        out = np.zeros(512, np.uint8)
        end = write_quote(texts().quote, out, 0, self._symbols, index, self._random)
        return out[HEAD:end].tobytes()


def _ignore(_: int) -> None:
    """Ask for no snapshot."""

"""What the feed keeps of one instrument: its streams, its book, the newest frames."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final

import numpy as np

from daemon.feeds.sync import BookSync, IdChain, TradeNames
from kernels import book as books
from kernels import shapes
from kernels.dtypes import DEPTH, QUOTE, TRADE
from kernels.levels import make_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from daemon.feeds.base import TradeIds
    from daemon.instruments import Instrument

#: a jump of trade ids beyond a busy day's trades, or of update ids (about a million a second, shared by all
#: symbols of the market) beyond a week's, is a stray id and no gap
_TRADE_STEP_MAX: Final = 10_000_000
_QUOTE_STEP_MAX: Final = 10**12
#: frames between two lessons (25 us each) of a stream whose frames no kernel can read
_PATIENCE_MAX: Final = 4096

#: the kinds of an instrument's streams, by their column in `new_records`
KINDS: Final = (TRADE, QUOTE, DEPTH)


def new_records(instruments: int) -> NDArray[np.void]:
    """Return the records of all instruments' streams, STREAM[instruments, KINDS], before they begin."""
    return np.zeros((instruments, len(KINDS)), dtype=shapes.STREAM)


class Stream:
    """One stream of one instrument, as the kernel that reads its frames has it (kernels.shapes.STREAM)."""

    __slots__ = (
        "_count",
        "_newest_ns",
        "_patience",
        "chain",
        "kind",
        "learn_at",
        "missed_at",
        "record",
        "time_unit_ns",
    )

    def __init__(self, record: NDArray[np.void], instrument: int, kind: int, time_unit_ns: int) -> None:
        """Begin it in `record`, a STREAM array of length 1."""
        self.kind = kind
        self.record = record
        self.record["instrument"] = instrument
        self.record["kind"] = kind
        self.record["time_unit_ns"] = time_unit_ns
        self.chain: NDArray[np.int64] = self.record["chain"][0]
        self.chain[:] = -1, 0
        self._count: NDArray[np.int64] = self.record["count"]
        self._newest_ns: NDArray[np.int64] = self.record["newest_ns"]
        self.time_unit_ns = time_unit_ns
        self.missed_at = -1  # `count` when a frame last came that the kernel did not read
        self.learn_at = 0  # `count` from which a shape may be learnt again
        self._patience = 1

    @property
    def count(self) -> int:
        """Well-formed frames that ever came, repetitions included."""
        return self._count.item()

    @property
    def shaped(self) -> bool:
        """Whether the shape of its frames is known."""
        return bool(self.record["parts"][0])

    def put_off(self, learnt: bool) -> None:
        """Let the next lesson wait for twice as many frames as the last, unless this one was a success."""
        self._patience = 1 if learnt else min(2 * self._patience, _PATIENCE_MAX)
        self.learn_at = self.count + self._patience

    def add(self) -> None:
        """Count one."""
        self._count[0] += 1

    @property
    def newest_ns(self) -> int:
        """When the newest frame that was news came; 0 before the first."""
        return self._newest_ns.item()

    @newest_ns.setter
    def newest_ns(self, wire_ns: int) -> None:
        self._newest_ns[0] = wire_ns


class Lane:
    """One instrument's part of the feed."""

    __slots__ = (
        "book",
        "checksum_units",
        "depth",
        "frames",
        "gaps",
        "grid",
        "index",
        "quote",
        "quote_ids",
        "resyncs",
        "snapshots",
        "sync",
        "trade",
        "trade_ids",
        "wanted",
    )

    def __init__(
        self,
        instrument: Instrument,
        records: NDArray[np.void],
        frames_kept: int,
        time_unit_ns: int,
        trade_ids: TradeIds = "contiguous",
    ) -> None:
        """Begin it; records: its streams', as `new_records` made them."""
        self.index = instrument.index
        self.trade, self.quote, self.depth = (
            Stream(records[column : column + 1], instrument.index, kind, time_unit_ns)
            for column, kind in enumerate(KINDS)
        )
        self.trade_ids: IdChain | TradeNames
        if trade_ids == "names":
            self.trade_ids = TradeNames()
        else:
            contiguous = trade_ids == "contiguous"
            step_max = _TRADE_STEP_MAX if contiguous else _QUOTE_STEP_MAX
            self.trade_ids = IdChain(contiguous=contiguous, step_max=step_max, chain=self.trade.chain)
        self.quote_ids = IdChain(contiguous=False, step_max=_QUOTE_STEP_MAX, chain=self.quote.chain)
        self.sync = BookSync(self.depth.chain)
        #: as large as it has to be: without a depth stream, nothing
        self.book = books.make(0)
        price, qty = instrument.price, instrument.told_qty
        self.grid = make_grid(price.places, price.num, qty.places, qty.num)
        #: what a tick and a lot are in the digits of the exchange's checksum
        self.checksum_units = np.array(instrument.checksum_units, dtype=np.int64)
        #: whole books that came
        self.snapshots = 0
        #: the newest trades and quotes as they came, oldest first: what a person finds (GET /frames) of the
        #: moments before something went wrong. Nothing waits in it, so nothing is lost with an old one.
        self.frames: deque[bytes] = deque(maxlen=frames_kept)
        #: times the book stopped following its sequence, by reason
        self.gaps: Counter[str] = Counter()
        #: times it was built from a snapshot
        self.resyncs = 0
        #: a snapshot has been asked for and has not come
        self.wanted = False

    def stream(self, kind: int) -> Stream:
        """Return its stream of a kind of kernels.dtypes."""
        return self.quote if kind == QUOTE else self.trade if kind == TRADE else self.depth

    @property
    def told(self) -> int:
        """Well-formed frames and snapshots that ever came."""
        return self.trade.count + self.quote.count + self.depth.count + self.snapshots

    @property
    def newest_ns(self) -> int:
        """When anything last came, 0 before the first."""
        return max(self.trade.newest_ns, self.quote.newest_ns, self.depth.newest_ns)

    @property
    def newest_ids(self) -> tuple[int, int]:
        """The ids of the newest trade and quote taken, -1 for none."""
        return self.trade_ids.last, self.quote_ids.last

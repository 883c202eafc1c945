"""A backtest that is watched decision by decision, and ended at any of them.

What a decision was made from and what it wants is in the strategy's rolling digest (kernels.digest): two runs
with the same digest behind the same number of decisions saw the same rows and decided the same, each time.
A watched run makes the same calls as the compiled loop, one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from daemon.core import make_runtimes
from daemon.disk import RealDisk
from daemon.research.backtest import Backtest
from daemon.research.difference import Rows
from daemon.venues.make import measure
from kernels.backtest_state import FILL_ROW, SENT_ROW

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from daemon.research.market import Events
    from daemon.research.trial import Bench

#: of what decisions wanted, so much is kept to be shown; digests tell of the others
_WANTED_BYTES_MAX: Final = 1 << 26


class Decision(NamedTuple):
    """What a strategy saw and answered."""

    now_ns: int
    row: tuple[float, ...]  # of kernels.features.FEATURES, and the prediction
    wanted: bytes | None  # as Run has it; None: nobody knows any more


class Run(NamedTuple):
    """What a watched run has come to."""

    digests: NDArray[np.uint64]  # behind each decision
    times_ns: NDArray[np.int64]
    wanted: list[bytes]  # of the first decisions: rows of `out`, and b"-" where there was no opinion
    rows: Rows
    last: Decision | None  # where it ended


class Witness(Backtest):
    """One run. `watch` it before what is to be seen, `leave` it to the compiled loop for what is not."""

    def __init__(self, bench: Bench) -> None:
        """Begin one of a bench's strategy, as its backtest would begin; raises ConfigError."""
        config, instrument = bench.config, bench.instrument
        fees = float(config.paper.fee_maker), float(config.paper.fee_taker)
        (runtime,) = make_runtimes(config, [bench.plan], [instrument], fees, can_amend=True)
        super().__init__(config, instrument, runtime, measure(config, RealDisk()))
        self._compiled = self._loop
        self._record = runtime.memory[0]
        self._digests: list[int] = []
        self._times_ns: list[int] = []
        self._wanted: list[bytes] = []
        self._known: dict[bytes, bytes] = {}
        self._room = _WANTED_BYTES_MAX
        self._until = -1
        self._expected: NDArray[np.uint64] = np.zeros(0, np.uint64)
        self.ended = False  # at a decision

    def watch(self, until: int = -1, expected: NDArray[np.uint64] | None = None) -> None:
        """See each decision from here on, and end it behind number `until`, or one of another digest.

        until: -1: none. expected: the digests of all decisions from the first one on.
        """
        self._loop = None
        self._until = until
        self._expected = np.zeros(0, np.uint64) if expected is None else expected
        self.ended = until == self.decisions

    def leave(self) -> None:
        """Go on at the speed of the compiled loop, where there is one."""
        self._loop = self._compiled

    @property
    def decisions(self) -> int:
        """Return how often the strategy was asked."""
        return int(self._record["decisions"])

    @property
    def digest(self) -> int:
        """Return the digest behind the last decision."""
        return int(self._record["digest"])

    def take_all(self, markets: Iterable[Events]) -> None:
        """Take events until there are no more, or it ended; raises TickdError as `take` does."""
        for market in markets:
            if self.ended:
                return
            self.take(market)

    def _decided(self) -> bool:
        record = self._record
        digest = int(record["digest"])
        self._digests.append(digest)
        self._times_ns.append(int(record["now_ns"]))
        if self._room > 0:
            self._keep(self._answer())
        number = int(record["decisions"])
        unlike = number <= len(self._expected) and int(self._expected[number - 1]) != digest
        self.ended = unlike or number == self._until
        return self.ended

    def _answer(self) -> bytes:
        wanted = int(self._record["wanted"])
        return b"-" if wanted < 0 else self._record["out"][:wanted].tobytes()

    def _keep(self, wanted: bytes) -> None:
        if wanted not in self._known:
            self._known[wanted] = wanted
            self._room -= len(wanted) + 100
        self._room -= 8
        self._wanted.append(self._known[wanted])

    def run(self) -> Run:
        """Return what it has come to."""
        self._take_rows()
        fills, sent, _ = (np.concatenate(kept) for kept in self._kept)
        last = None
        if self.decisions:
            row = tuple(self._record["rows"][0].tolist())
            last = Decision(int(self._record["now_ns"]), row, self._answer())
        return Run(
            np.array(self._digests, np.uint64),
            np.array(self._times_ns, np.int64),
            self._wanted,
            Rows(sent.astype(SENT_ROW), fills.astype(FILL_ROW)),
            last,
        )

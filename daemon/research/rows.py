"""What a model learns from: feature rows of a record of ticks, and what the market did after each.

The rows are made by the machine of the backtest (kernels.collect), which the daemon's replays are held to: a
daemon that met these ticks would have seen these rows, to the last bit.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np
from rich.console import Console

from daemon.core import load_runtimes
from daemon.credentials import mask_keys
from daemon.disk import RealDisk
from daemon.errors import FileFormatError
from daemon.faces.compiling import compiling
from daemon.plans import strategies_to_load
from daemon.research.backtest import Backtest
from daemon.research.backtest_verb import instrument_of, streams_of
from daemon.research.market import Events, Market
from daemon.tape.replay import Given, configure
from daemon.tape.ticks import read_header, read_ticks
from kernels import collect
from kernels.features import FEATURES
from strategies.research.labels import forward_return_bps

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from daemon.config import Config
    from daemon.instruments import Instrument
    from daemon.runtime import Runtime

#: features are not looked at before they have seen so much, nor after a gap
LEAD_IN_NS: Final = 60_000_000_000
#: whose memory holds the features; it is never asked
_BEARER: Final = "ema_cross"


class Rows(NamedTuple):
    """What is learned from: when, the features float64[n, F], and what mid did in the horizon after."""

    at_ns: NDArray[np.int64]
    features: NDArray[np.float64]
    return_bps: NDArray[np.float64]


class Recorded(NamedTuple):
    """The rows of a record."""

    instrument: Instrument
    rows: Rows
    digest: str  # over all that the record says


class Collected(NamedTuple):
    """Rows float64[n, F] and when int64[n]; what the middle of the market became, float64[m], int64[m]."""

    features: NDArray[np.float64]
    at_ns: NDArray[np.int64]
    mids: NDArray[np.float64]
    mid_ns: NDArray[np.int64]


class Collector(Backtest):
    """A backtest with nobody to decide; `take` it the events, then `collected`."""

    def __init__(self, config: Config, instrument: Instrument, runtime: Runtime, every: int) -> None:
        """Keep the row of each `every`-th decision, from `LEAD_IN_NS` on."""
        super().__init__(config, instrument, runtime)
        self._found = np.zeros(1, collect.FOUND)
        self._found["every"], self._found["lead_ns"] = every, LEAD_IN_NS
        self._room: tuple[NDArray[Any], ...] = ()
        self._parts: list[tuple[NDArray[Any], ...]] = []

    def begin(self, first_ns: int) -> None:
        """Learn when the record begins."""
        self._found["warm_ns"] = first_ns + LEAD_IN_NS

    def collect(self, market: Events) -> None:
        """Go through the next events; raises TickdError as `take` does."""
        count = len(market.events)
        rows = count // int(self._found["every"][0]) + 2
        self._found["rows"] = self._found["mids"] = 0
        self._room = (
            np.empty((rows, len(FEATURES))),
            np.empty(rows, np.int64),
            np.empty(count + 1),
            np.empty(count + 1, np.int64),
        )
        self.take(market)
        ends = [int(self._found[name][0]) for name in ("rows", "rows", "mids", "mids")]
        self._parts.append(tuple(one[:end].copy() for one, end in zip(self._room, ends, strict=True)))

    def collected(self) -> Collected:
        """Return what was kept."""
        return Collected(*(np.concatenate(parts) for parts in zip(*self._parts, strict=True)))

    def _run(self, events: NDArray[np.void], levels: NDArray[np.int64]) -> int:
        market = self._matcher, self.rings, self.book, self._shown, self._scratch, events, levels
        given = self._runtime.memory, self.account, self.test, self._front
        return int(collect.run(*given, *market, self._trips, self._found, *self._room))


def recorded_rows(path: Path, horizon_ms: int, every: int) -> Recorded:
    """Return the rows of a folder of one symbol's ticks, each with what mid did `horizon_ms` after it.

    A row of each `every`-th decision: neighbours differ little, and their labels less. Raises FileFormatError
    for ticks that cannot be read or show no market, and ConfigError for books that are not kept here.
    """
    header = read_header(path)
    instrument = instrument_of(header)
    given = Given(None, _BEARER, None)
    config = configure(given, str(path), header.exchange, [instrument], streams_of(path))
    bearer = msgspec.structs.replace(config.strategy[0], on_gap="reset")  # as what trades a model
    config = msgspec.structs.replace(config, strategy=(bearer,))
    disk = RealDisk()
    mask_keys(os.environ, disk, config)
    with compiling(Console(stderr=True), strategies_to_load(config)) as step:
        (runtime,) = load_runtimes(config, [instrument], disk, (0.0, 0.0), step, can_amend=True)
    collector, market = Collector(config, instrument, runtime, every), Market(instrument, header)
    digest = blake2b(digest_size=16)
    first_ns = 0
    for block in read_ticks(path):
        events = market.take(block)
        if not len(events.events):
            continue
        if not first_ns:
            first_ns = int(events.events["tick"]["wire_ns"][0])
            collector.begin(first_ns)
        digest.update(events.events.tobytes())
        digest.update(events.levels.tobytes())
        collector.collect(events)
    if not first_ns:
        raise FileFormatError(f"{path} holds no ticks: name another folder")
    features, at_ns, mids, mid_ns = collector.collected()
    if not len(mids):
        raise FileFormatError(
            f"{path} shows no market: a model learns what becomes of the middle between bid and ask, so "
            "quotes or books have to be among its ticks"
        )
    returns = forward_return_bps(at_ns, mid_ns, mids, horizon_ms * 1_000_000)
    return Recorded(instrument, Rows(at_ns, features, returns), digest.hexdigest())

"""A live daemon's core, put together with its venue, and on the record where that is configured."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from daemon.audit_log import AuditLog
from daemon.core import build, make_runtimes
from daemon.errors import NetError, VenueError
from daemon.pause import Backoff, connect_later, within
from daemon.session.recording import Recording
from daemon.spans import Spans
from daemon.status import TapeStatus
from daemon.venues import make
from daemon.wire import failed_there

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from structlog.typing import FilteringBoundLogger

    from daemon.config import Config
    from daemon.core import Core
    from daemon.feeds.connection import Ways
    from daemon.feeds.core import FeedCore
    from daemon.instruments import Instrument
    from daemon.logs import Logs
    from daemon.orders.audit import Observer
    from daemon.plans import Plan
    from daemon.pulse import Pulse
    from daemon.seams import Seams, Worker
    from daemon.tape.recorder import Recorder
    from daemon.venues.base import Venue

#: how long the end waits for the tape's disk, once all else is over
TAPE_S: Final = 20.0


class TradingDesk(NamedTuple):
    """What was put together. recording, tape: None where the session is not recorded."""

    core: Core
    venue: Venue  # itself; a recorded core has another in its place
    recording: Recording | None
    tape: Recorder | None

    @property
    def ways(self) -> Callable[[FeedCore, int], Ways] | None:
        """Return how connections reach the feed, where not straight."""
        return None if self.recording is None else self.recording.ways

    def books(self, feed: FeedCore) -> Callable[[int, bytes, int], None]:
        """Return what takes whole books."""
        return feed.process_snapshot if self.recording is None else self.recording.snapshots(feed)

    def tape_status(self) -> TapeStatus | None:
        """Return what faces show of the record; None: nothing is recorded."""
        tape = self.tape
        if tape is None:
            return None
        return TapeStatus(
            entries=tape.written,
            bytes=tape.bytes_written,
            dropped=tape.dropped,
            lost_from=tape.lost_from,
            lag_s=tape.lag_ns / 1e9,
            failure=tape.failure,
        )

    async def close_tape(self, seams: Seams, log: FilteringBoundLogger) -> None:
        """Write what is left of the record, where there is one and its disk takes it in time."""
        if self.tape is None:
            return
        try:
            await within(seams, TAPE_S, self.tape.close())
        except TimeoutError:
            log.warning("tape", text=f"its disk has not taken the rest within {TAPE_S:g} s: given up")


#: distances of asking what the key may do
_KEY_S_FIRST: Final = 1.0
_KEY_S_MAX: Final = 30.0


async def _key_rights(config: Config, venue: Venue, seams: Seams) -> list[str]:
    """Return what a person should know of the live key, once the exchange says what it may do.

    While nobody there answers it is asked again, for as long as it takes: a host may be up before its
    network, and who ended here would be started a few times and then no more. Raises ConfigError for a key
    that is refused, and VenueError where no other answer is to come.
    """
    backoff = Backoff(_KEY_S_FIRST, _KEY_S_MAX, seams.random)
    while True:
        try:
            return await make.check_key_rights(config, venue, seams, os.environ)
        except NetError as error:
            failure: NetError | VenueError = error
        except VenueError as error:
            if not failed_there(error.status):
                raise
            failure = error
        await connect_later(seams, backoff, "venue", failure)


async def assemble(
    config: Config,
    plans: Sequence[Plan],
    instruments: Sequence[Instrument],
    rings: NDArray[np.void],
    seams: Seams,
    venue_seams: Seams,
    pulse: Pulse,
    logs: Logs,
    tape_worker: Worker | None = None,
    observers: Sequence[Observer] = (),
) -> TradingDesk:
    """Build venue and core, and bring back what journal and checkpoint remember; raises TickdError.

    venue_seams: by which a venue at an exchange is reached; a paper venue is a part of the core.
    tape_worker: who writes the tape, where not he who syncs the journal, which must not wait for its disk.
    observers: of the orders, beside the log.
    """
    recording = Recording(seams, pulse) if config.tape.record else None
    inside = seams if recording is None else recording.seams
    # what a paper venue measures its waits by is no journal of ours
    reached = inside._replace(disk=seams.disk) if config.venue.kind == "paper" else venue_seams
    venue, followers = make.make_venue(config, instruments, rings, reached, os.environ)
    for text in await _key_rights(config, venue, venue_seams):
        logs.get("daemon").warning("key", text=text)
    fees = (float(config.paper.fee_maker), float(config.paper.fee_taker))
    runtimes = make_runtimes(
        config, plans, instruments, fees, can_amend=venue.can_amend, can_replace=venue.can_replace
    )
    core = build(
        config,
        instruments,
        runtimes,
        rings,
        inside,
        venue if recording is None else recording.venue(venue),
        Spans(),
        observers=[AuditLog(logs, instruments), *observers],
        followers=followers,
        pulse=pulse if recording is None else recording.pulse,
        outside=seams,
        recorded=recording is not None,
    )
    for paper in followers:
        make.restore_paper(paper, core.portfolio)
    if recording is None:
        return TradingDesk(core, venue, None, None)
    from daemon.session.start import go_on_record  # noqa: PLC0415 - it loads Arrow

    taping = seams if tape_worker is None else seams._replace(worker=tape_worker)
    tape, core = go_on_record(config, taping, core, recording)
    return TradingDesk(core, venue, recording, tape)

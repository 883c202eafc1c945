"""Where a session goes on the record, and what it began with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from daemon import __version__
from daemon.memory_checkpoint import layout
from daemon.orders.audit import Alarm
from daemon.session.entries import Begin
from daemon.tape.header import TapeHeader
from daemon.tape.recorder import Recorder

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.core import Core
    from daemon.seams import Seams
    from daemon.session.recording import Recording


def go_on_record(config: Config, seams: Seams, core: Core, recording: Recording) -> tuple[Recorder, Core]:
    """Return the recorder of a session, in the folder of its run, and the core as it is recorded."""
    run = core.orders.ids.run
    header = TapeHeader(
        name=config.name,
        exchange=config.feed.exchange,
        market=config.feed.market,
        streams=config.feed.streams,
        instruments=tuple(core.engine.instruments),
        started_ns=seams.clock.now_ns(),
        version=__version__,
        mode=config.mode,
        session={"run": run, "journal": config.journal.path},
    )
    tape = Recorder(seams, Path(config.tape.path) / f"{config.name}-{run}", header, config.tape)
    now_ns, tell = seams.clock.now_ns, core.orders.tell
    tape.on_alarm = lambda text: tell(Alarm("tape", text, now_ns()))
    return tape, recording.begin(tape, core, _begin(core, recording))


def _begin(core: Core, recording: Recording) -> Begin:
    """Return what a core began with, as soon as it is built."""
    venue, boot = core.orders.venue, recording.disk.booted
    return Begin(
        run=core.orders.ids.run,
        paper=recording.paper,
        venue=venue.name,
        can_amend=venue.can_amend,
        can_replace=venue.can_replace,
        memories=recording.disk.memories,
        journals=recording.disk.journals,
        round_trips_ns=list(getattr(venue, "round_trips_ns", ())),
        boot=(boot.name, boot.age_ns),
        hashes={f"{one.index} {one.name}": layout(one) for one in core.runtimes},
    )

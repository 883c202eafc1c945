"""Every session of a simulated world is replayed: kills, power cuts and clock steps among what befell it."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.disk import RealDisk
from daemon.errors import JournalError
from daemon.faces.journal_runs import Runs
from daemon.orders.reader import read_all
from daemon.plans import plan_strategies
from daemon.session import start
from daemon.session.checker import Checker, ReplayDisk, find_run
from daemon.session.entries import decode
from daemon.session.events import Events
from daemon.session.player import Player
from daemon.tape.reader import Entry
from tests.simulation.faults import draw
from tests.simulation.world import World, daemon_config, exchange_settings


class Tape:
    """A recorder in memory: what a killed process took last is gone with it."""

    def __init__(self, seams, folder, header, config):
        del folder, config
        self.header = header
        self.entries = []
        self._run = seams.disk._run
        self._names = []
        self.written = self.bytes_written = self.dropped = self.lag_ns = 0
        self.lost_from, self.failure = -1, ""
        TAPES.append(self)

    def stream(self, name):
        if name not in self._names:
            self._names.append(name)
        return self._names.index(name)

    def take(self, stream, wire_ns, last, payload):
        if self._run.alive:
            self.entries.append(Entry(len(self.entries), wire_ns, self._names[stream], last, payload))

    async def run(self):
        pass

    async def close(self):
        pass


TAPES = []


def verify(tape, world):
    """Return (difference, records compared, whether the session ended well); None: its journal is lost."""
    folder = Path(tape.header.session["journal"])
    _, (begin,) = decode(tape.entries[0].payload)
    try:
        journalled = find_run(world.disk, folder, begin.run)
        checker = Checker(journalled)
        disk = ReplayDisk(world.disk, folder, journalled, checker, begin)
    except JournalError:
        assert world.counts["power_cut"] + world.counts["blackouts"]  # nothing else takes what was written
        return None
    plans = plan_strategies(world.config, RealDisk(), lambda _: None)
    player = Player(world.config, tape.header.instruments, plans, disk, checker)
    events = Events(tape.entries)
    return player.play(events, lambda: None), checker.place, events.closed and checker.whole


def play(seed, monkeypatch):
    """Play a seed on the record; return what became of each session."""
    monkeypatch.setattr(start, "Recorder", Tape)
    monkeypatch.setattr(World, "_lower", lambda self, orders: None)  # by no door: no strategy, no person
    TAPES.clear()
    config = daemon_config(tape={"record": True, "path": "/tape"})
    world = World(seed, draw(seed), config, exchange_settings(seed))
    world.play()
    return world, [verify(tape, world) for tape in TAPES if tape.entries]


@pytest.mark.parametrize("seed", [4])  # three power cuts, two crashes, a step of the clock
def test_every_session_of_a_seed_is_the_same_when_it_is_replayed(seed, monkeypatch):
    world, outcomes = play(seed, monkeypatch)
    assert world.starts == len(outcomes) >= 4
    found = [outcome for outcome in outcomes if outcome is not None]
    assert [difference for difference, _, _ in found] == [None] * len(found)
    assert found[-1][2]  # the last one to its end
    assert sum(records for _, records, _ in found) > 500
    runs = Runs()
    for _, _, record in read_all(world.disk, Path(world.config.journal.path)):
        runs.take(record)
    assert (runs.cut, runs.last_open) == (world.starts - 1, False)  # each but the last was ended by force


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(1, 7))
def test_every_session_of_more_seeds_is_the_same(seed, monkeypatch):
    _, outcomes = play(seed, monkeypatch)
    found = [outcome for outcome in outcomes if outcome is not None]
    assert [difference for difference, _, _ in found] == [None] * len(found)
    assert found[-1][2]

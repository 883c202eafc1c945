"""kill -9 at every named place, and again while it recovers: nothing twice, nothing lost, no other position.

`make torture SCHEDULES=300` plays more. The harness proves itself on a daemon that sends again what it finds
unanswered in its journal: that must be caught.
"""

from __future__ import annotations

import os
import random

import pytest

from daemon.crash_points import POINTS
from tests.end_to_end.agreement import check_agreement
from tests.end_to_end.harness import CROSS, MAKER, ROOT

#: of the order path while it trades -> up to which call it is let live
TRADING = {
    "journal.write": 60,
    "journal.written": 60,
    "journal.sync": 8,
    "journal.synced": 8,
    "wire.send": 12,
    "wire.sent": 12,
    "wire.frame": 40,
    "wire.taken": 40,
}
#: of a start, which are few
STARTING = {
    "journal.open": 1,
    "journal.write": 4,
    "journal.written": 4,
    "journal.sync": 1,
    "journal.synced": 1,
    "venue.connect": 1,
    "venue.connected": 1,
    "wire.send": 4,
    "wire.sent": 4,
    "wire.frame": 4,
    "wire.taken": 4,
    "rest.request": 4,
    "rest.answer": 4,
}
#: of checkpoints, which come with time
KEEPING = {"file.replace": 3, "file.replaced": 3}
#: an order that never left is over after so long: the exchange answers queries at once
ABSENCE = {"TICKD__venue__absence_s": "2.0"}
MORE = '[journal]\ncheckpoint_s = 0.2\ngroup_ms = 20\nsync = "{}"\n'
#: a process that is killed loses nothing it has written, whenever that is synced
SYNCS = ("group", "intent", "os")

#: a daemon with a bug: what it finds unanswered in its journal it sends again
SENDS_AGAIN = """
from daemon.orders import doubts

asked = doubts.Doubts._on_timer

def again(self):
    for doubt in list(self._by_id.values()):
        self._venue.place(doubt.order)
    asked(self)

doubts.Doubts._on_timer = again
"""


def schedule(seed):
    """Return how its journal is synced, where it dies while it trades, and where while it recovers.

    Places come in turn, in another order each time, so that few schedules meet all of them.
    """
    chance = random.Random(f"torture {seed}")
    sync = SYNCS[seed % len(SYNCS)]
    places = []
    for calls in (TRADING | KEEPING, STARTING):
        lap, place = divmod(seed, len(calls))
        point = random.Random(f"torture lap {lap}").sample(sorted(calls), len(calls))[place]
        if sync == "os" and point.startswith("journal.sync"):
            sync = "group"  # it comes there then
        places.append(f"{point}#{chance.randint(1, calls[point])}")
    return sync, *places


def die(bench, exchange, point, sync="group", env=None):
    """Start a daemon that dies at a point, and wait for that; one that does not come there is killed."""
    daemon = bench.live(
        exchange,
        CROSS,
        MAKER,
        more=MORE.format(sync),
        words=("--seconds", "20"),
        env={"TICKD_CRASH_AT": point, **(env or {})},
    )
    code = daemon.child.wait(300)
    assert code in {-9, 0}, daemon.child.err
    return code == -9


def die_soon(bench, exchange, point, sync):
    """Let a daemon die at a point: at an earlier call of it, where it does not come that far."""
    name, _, calls = point.partition("#")
    at = int(calls)
    while not die(bench, exchange, f"{name}#{at}", sync):
        if at == 1:
            return False
        at = (at + 1) // 2
    return True


def recover(bench, exchange, before, sync, env=None):
    """Start a sound daemon (by `env` another), and compare what it holds with the exchange."""
    daemon = bench.live(exchange, CROSS, MAKER, more=MORE.format(sync), env=ABSENCE | (env or {}))
    daemon.until(lambda state: state["state"] in {"READY", "HALTED"}, "it has recovered", 60)
    daemon.until(lambda state: state["orders"]["unknown"] == 0, "nothing is unknown", 60)
    check_agreement(bench, exchange, daemon, before)
    bench.run("resume")
    daemon.ready()
    assert daemon.child.end() == 0


def test_every_point_is_on_a_schedule():
    assert set(TRADING) | set(STARTING) | set(KEEPING) == set(POINTS)
    drawn = [schedule(seed) for seed in range(30)]
    assert {sync for sync, _, _ in drawn} == set(SYNCS)
    assert {first.partition("#")[0] for _, first, _ in drawn} == set(TRADING | KEEPING)
    assert {second.partition("#")[0] for _, _, second in drawn} == set(STARTING)


@pytest.mark.heavy(seconds=410)
def test_killed_at_named_places_it_agrees_with_its_exchange(bench, record_property):
    schedules = int(os.environ.get("TORTURE_SCHEDULES", "30"))
    exchange = bench.exchange("--symbol", "BTC/USDT")
    before, died, died_again = exchange.holds(), 0, 0
    for seed in range(schedules):
        sync, first, second = schedule(seed)
        died += die_soon(bench, exchange, first, sync)
        died_again += die_soon(bench, exchange, second, sync)
        recover(bench, exchange, before, sync)
        print(f"{seed}: {first}, {second}, synced by {sync}", flush=True)
    text = f"torture: {schedules} schedules, died {died} times trading and {died_again} times recovering"
    record_property("figure", text)
    assert died == died_again == schedules


@pytest.mark.heavy
def test_the_harness_catches_a_daemon_that_sends_again(bench, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SENDS_AGAIN)
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(ROOT)])}
    exchange = bench.exchange("--symbol", "BTC/USDT")
    before = exchange.holds()
    for number in range(1, 13):
        die(bench, exchange, f"wire.sent#{number + 4}")
        try:
            recover(bench, exchange, before, "group", env)
        except AssertionError as error:
            assert "sent twice" in str(error)  # noqa: PT017 - which of them it is, is drawn
            return
    pytest.fail("an order was sent again, and nobody saw")

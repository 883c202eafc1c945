from __future__ import annotations

import asyncio
from pathlib import Path

from daemon.events import Command, VenueStatus
from daemon.orders.reader import read_all
from daemon.orders.records import Checkpoint, CommandTaken, Digest, Latch, Run


def records(floor):
    return [record for _, _, record in read_all(floor.disk, Path("journal"))]


def test_without_a_recording_the_engine_itself_hears_of_orders(new_floor, new_script):
    floor = new_floor(new_script())
    doors = floor.core.doors
    assert doors.sink is floor.engine
    doors.second(floor.time.now_ns())
    doors.close()
    assert not any(isinstance(record, Digest) for record in records(floor))


def test_each_verb_does_its_one_thing(new_floor, new_script):
    floor = new_floor(new_script(), start=False)
    doors = floor.core.doors
    doors.feed = floor.feed
    floor.core.orders.doubts.ask_snapshot = lambda: None
    doors.set_phase("RECOVERING")
    assert floor.engine.state == "RECOVERING"
    asyncio.run(doors.connect())
    doors.meet(asyncio.run(doors.snapshot()), floor.time.now_ns())
    doors.withdraw_unseen()
    doors.start()
    assert floor.engine.phase == "READY"
    floor.open_market()
    assert not floor.gate()
    doors.close_venue()
    assert floor.gate() == "venue_down"
    doors.on_venue_status(VenueStatus(up=False, reason="gone", wire_ns=floor.time.now_ns()))
    assert not floor.engine.venue_up
    doors.take_symbols([(0, "HALT", "binance")])
    assert floor.core.orders.risk.suspended == {0}
    doors.take_symbols([(0, "TRADING", "binance")])
    doors.halt("risk", "a test")
    assert floor.engine.state == "HALTED"
    doors.command(Command(verb="resume", source="cli"))
    assert floor.engine.state != "HALTED"
    run, checkpoint = doors.rotation()
    assert isinstance(run, Run)
    assert isinstance(checkpoint, Checkpoint)
    doors.journal_failed("the disk is full")
    assert floor.engine.risk.latch.source == "journal"
    assert doors.trim_stops(floor.time.now_ns()) is False
    doors.stop()
    assert floor.engine.phase == "DRAINING"
    asyncio.run(doors.disconnect())
    assert not floor.venue.up
    kinds = [type(record) for record in records(floor)]
    assert CommandTaken in kinds
    assert kinds.count(Latch) == 3


def test_ticks_that_wait_are_taken_before_a_memory_is_written(new_floor, new_script):
    floor = new_floor(new_script())
    floor.trade(last=False)
    ticks = floor.core.runtimes[0].view("feature_i")
    before = ticks.copy()
    floor.core.doors.settle_memory(0)
    assert (ticks != before).any()

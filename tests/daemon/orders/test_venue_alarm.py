from __future__ import annotations

import asyncio

from daemon.orders.reader import read_history
from daemon.orders.records import Met
from daemon.orders.venue_alarm import take_alarm
from tests.daemon.orders.conftest import FOLDER


def test_what_a_venue_has_a_person_look_at_is_told_and_on_record(new_world):
    world = new_world()
    world.audits.clear()
    take_alarm(world.orders, "margin_call", "the exchange calls for margin", 7)
    assert [(one.kind, one.text, one.now_ns) for one in world.audits] == [
        ("margin_call", "the exchange calls for margin", 7)
    ]
    asyncio.run(world.journal.sync_now())
    history = read_history(world.disk, FOLDER)
    assert [one.settled for one in history.records if isinstance(one, Met)] == [
        ["the exchange calls for margin"]
    ]

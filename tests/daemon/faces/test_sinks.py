"""Who is told what happens: those that the configuration names, and nobody else."""

from __future__ import annotations

import asyncio
import random

import pytest

from daemon.clock import LoopScheduler, SystemClock
from daemon.config import from_tree
from daemon.disk import RealDisk
from daemon.faces.mqtt import Bus
from daemon.faces.mqtt_outbox import Outbox
from daemon.faces.sinks import Sinks
from daemon.faces.webhook import Notices, Webhook
from daemon.logs import Logs
from daemon.orders.audit import Alarm
from daemon.seams import Seams
from daemon.status import Status
from tests.daemon.faces.test_mqtt import TREE

BROKER = {"mqtt": {"host": "127.0.0.1", "port": 1}}
HOOK = {"webhook": {"url_env": "HOOK"}}


def status():
    return Status(name="one", mode="paper", version="1", state="READY", now_ns=1, uptime_s=1.0)


@pytest.mark.parametrize(
    ("sections", "boxes", "tasks"),
    [
        ({}, [], []),
        (BROKER, [Outbox], [Bus.run]),
        (HOOK, [Notices], [Webhook.run]),
        (BROKER | HOOK, [Outbox, Notices], [Bus.run, Webhook.run]),
    ],
)
def test_those_that_are_named_observe_run_and_show_how_they_are(new_floor, sections, boxes, tasks):
    core = new_floor().core

    async def main():
        clock = SystemClock()
        seams = Seams(clock, LoopScheduler(clock), None, RealDisk(), None, random.Random(1))
        config = from_tree(TREE | sections, {}, "f.toml")
        logs = Logs(clock, lambda _: None, "info", "json")
        sinks = Sinks(config, seams, {"HOOK": "http://127.0.0.1:1/hook"}, logs)
        assert [type(one) for one in sinks.observers] == boxes
        spawned = []
        sinks.begin(core, status, spawned.append)
        assert [one.cr_code for one in spawned] == [one.__code__ for one in tasks]
        for one in sinks.observers:
            one(Alarm("gap", "", 1))
        shown = status()
        sinks.fill(shown)
        assert (shown.mqtt is not None, shown.webhook is not None) == (Outbox in boxes, Notices in boxes)
        assert all(one.queued == 1 for one in (shown.mqtt, shown.webhook) if one is not None)
        for one in spawned:
            one.close()
        await sinks.end()

    asyncio.run(main())

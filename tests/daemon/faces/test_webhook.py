"""Notifications: each is told once it is taken, in order, through whatever the other side does."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from daemon.clock import LoopScheduler, SystemClock
from daemon.config import from_tree
from daemon.events import Command
from daemon.faces import webhook
from daemon.faces.webhook import Notices, Webhook
from daemon.faces.webhook_access import Address
from daemon.logs import Logs
from daemon.net import RealNet
from daemon.orders.audit import Alarm, Filled, Latched, Moved
from daemon.orders.order import State
from daemon.orders.state import Event
from daemon.seams import Seams
from tests.daemon.faces.test_mqtt import TREE, until
from tests.daemon.faces.test_mqtt_outbox import order


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(webhook, "LOOK_S", 0.01)
    monkeypatch.setattr(webhook, "_FIRST_S", 0.02)
    monkeypatch.setattr(webhook, "_CAP_S", 0.05)


class Chat:
    """A server that answers what it is told to, and keeps what it took."""

    def __init__(self):
        self.answers = []  # status, or "cut"; 200 once there is none
        self.asked = 0
        self.taken = []
        self.headers = {}

    async def handle(self, request):
        self.asked += 1
        body, self.headers = await request.json(), dict(request.headers)
        answer = self.answers.pop(0) if self.answers else 200
        if answer == "cut":
            request.transport.abort()
            return web.Response()
        if answer == 200:
            self.taken.append(body)
        return web.Response(status=answer, headers={"Retry-After": "0.03"} if answer == 429 else {})

    @property
    def texts(self):
        return [one["text"] for body in self.taken for one in body["events"]]


@asynccontextmanager
async def chat():
    one = Chat()
    app = web.Application()
    app.router.add_post("/hook", one.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.port = runner.addresses[0][1]
    try:
        yield one
    finally:
        await runner.cleanup()


class Rig:
    """A webhook of a floor's core, on real time."""

    def __init__(self, floor, port, **section):
        clock = SystemClock()
        self.lines = []
        self.logs = Logs(clock, self.lines.append, "info", "json")
        seams = Seams(clock, LoopScheduler(clock), None, None, None, random.Random(1))
        config = from_tree({**TREE, "webhook": {"url_env": "X", **section}}, {}, "f.toml")
        address = Address(f"http://127.0.0.1:{port}/hook", "127.0.0.1", {"Authorization": "Bearer t"})
        self.hook = Webhook(config, address, RealNet(), seams, self.logs.get("webhook"))
        self.hook.attach(floor.core)

    def alarm(self, *numbers):
        for number in numbers:
            self.hook.outbox(Alarm("gap", str(number), number))

    @property
    def events(self):
        self.logs.flush()
        return [json.loads(line)["event"] for line in b"".join(self.lines).splitlines()]

    def start(self):
        self.task = asyncio.ensure_future(self.hook.run())


@pytest.fixture
def floor(new_floor):
    return new_floor()


def test_what_was_asked_for_is_put_aside_and_no_step_of_an_order():
    steps = [
        Alarm("gap", "", 1),
        Latched(True, "cli", "", 2),
        Filled(None, None, 3),
        Moved(order(), State.WORKING, State.FILLED, next(iter(Event)), 4),
    ]
    for kinds, count in (
        (("alerts",), 1),
        (("halts", "fills"), 2),
        (("alerts", "halts", "fills"), 3),
        ((), 0),
    ):
        box = Notices(16, kinds)
        for one in steps:
            box(one)
        assert box.waiting == count, kinds


def test_fills_and_halts_of_a_daemon_are_told_with_what_it_was_asked_to_show(new_floor, new_script):
    script = new_script()
    floor = new_floor(script)
    audits = []
    floor.core.orders.observers.append(audits.append)
    floor.open_market()
    floor.go_long()
    floor.core.orders.command(Command("halt", "cli", "lunch"), 9)

    async def main():
        async with chat() as there:
            rig = Rig(floor, there.port)
            for audit in audits:
                rig.hook.outbox(audit)
            rig.start()
            await until(lambda: len(there.taken) >= 2)
            assert there.headers["Authorization"] == "Bearer t"
            by_topic = {body["topic"]: body for body in there.taken}
            (fill, *_) = by_topic["fills"]["events"]
            assert (fill["symbol"], fill["side"]) == ("BTC/USDT", "buy")
            (halt,) = [one for one in by_topic["alerts"]["events"] if one["kind"] == "kill_switch"]
            assert (halt["text"], halt["source"], halt["halted"]) == ("lunch", "cli", True)
            assert (by_topic["fills"]["v"], by_topic["fills"]["name"]) == (1, "one")
            await rig.hook.end()
            await rig.hook.end()
            status = rig.hook.status()
            assert (status.host, status.queued, status.dropped, status.failure) == ("127.0.0.1", 0, 0, "")
            assert status.told >= 2

    asyncio.run(main())


def test_what_is_not_taken_is_told_again_and_in_order(floor):
    async def main():
        async with chat() as there:
            there.answers = ["cut", 500, 503, 429, 408]
            rig = Rig(floor, there.port)
            rig.alarm(1, 2)
            rig.start()
            await until(lambda: there.asked >= 2)
            assert rig.hook.status().failure
            rig.alarm(3)
            await until(lambda: there.texts == ["1", "2", "3"])
            assert there.asked == 7
            assert rig.hook.status().failure == ""
            assert rig.events[0] == "webhook_down"
            assert rig.events[-1] == "webhook_up"
            assert rig.events.count("webhook_down") == 5  # each reason once
            await rig.hook.end()

    asyncio.run(main())


def test_what_no_repetition_mends_is_counted_and_the_next_is_told(floor):
    async def main():
        async with chat() as there:
            there.answers = [404, 302]
            rig = Rig(floor, there.port)
            rig.alarm(*range(8))
            rig.start()
            await until(lambda: there.asked == 1)
            rig.alarm(8)
            await until(lambda: there.asked == 2)
            rig.alarm(9)
            await until(lambda: rig.hook.outbox.told == 1)
            assert there.texts == ["9"]
            assert (rig.hook.refused, rig.hook.outbox.told, rig.hook.outbox.waiting) == (9, 1, 0)
            await rig.hook.end()

    asyncio.run(main())


def test_nobody_there_costs_the_oldest_and_the_end_does_not_wait_for_long(floor, monkeypatch):
    async def main():
        monkeypatch.setattr(webhook, "END_S", 0.2)
        rig = Rig(floor, 1, queue=16)
        rig.alarm(*range(100))
        rig.start()
        await until(lambda: rig.hook.failure)
        rig.alarm(*range(100, 200))
        status = rig.hook.status()
        assert (status.queued, status.dropped) == (24, 176)  # eight are in hand
        await asyncio.wait_for(rig.hook.end(), 5)
        assert rig.events[-1] == "webhook_left"

    asyncio.run(main())


def test_a_surprise_costs_what_was_being_told_and_no_trade(floor):
    async def main():
        async with chat() as there:
            rig = Rig(floor, there.port)
            request, surprises = rig.hook._net.request, [RuntimeError("what nobody thought of")]

            async def ask(*words):
                if surprises:
                    raise surprises.pop()
                return await request(*words)

            rig.hook._net.request = ask
            rig.alarm(1)
            rig.start()
            await until(lambda: rig.hook.outbox.dropped == 1)
            rig.alarm(2)
            await until(lambda: there.texts == ["2"])
            assert rig.events[0] == "webhook_failed"
            await rig.hook.end()

    asyncio.run(main())


def test_the_last_words_are_told(floor):
    async def main():
        async with chat() as there:
            rig = Rig(floor, there.port)
            rig.start()
            await asyncio.sleep(0.02)
            rig.alarm(*range(20))
            await rig.hook.end()
            assert there.texts == [str(number) for number in range(20)]

    asyncio.run(main())

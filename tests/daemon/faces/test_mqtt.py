"""The bus: everything is told in order, through whatever the broker does, or counted as dropped."""

from __future__ import annotations

import asyncio
import json
import random

import msgspec
import pytest

from daemon.clock import LoopScheduler, SystemClock
from daemon.config import from_tree
from daemon.errors import NetError
from daemon.faces import mqtt
from daemon.faces.mqtt import Bus
from daemon.faces.mqtt_access import Access
from daemon.faces.mqtt_messages import FORMS
from daemon.logs import Logs
from daemon.orders.audit import Alarm
from daemon.seams import Seams
from daemon.status import Status
from tests.daemon.faces.broker import tiny_broker

TREE = {
    "name": "one",
    "mode": "paper",
    "feed": {"symbols": ["BTC/USDT"]},
    "strategy": [{"name": "ema_cross"}],
}


class Rig:
    """A bus of a floor's core, on real time, and what came of it."""

    def __init__(self, floor, port, dial=None, **section):
        self.core = floor.core
        self.clock = SystemClock()
        self.lines = []
        self.logs = Logs(self.clock, self.lines.append, "info", "json")
        seams = Seams(self.clock, LoopScheduler(self.clock), None, None, None, random.Random(1))
        config = from_tree({**TREE, "mqtt": {"host": "127.0.0.1", **section}}, {}, "f.toml")
        access = Access("127.0.0.1", port, "tickd-one", "", "", None)
        more = {} if dial is None else {"dial": dial}
        self.bus = Bus(config, access, seams, self.logs.get("mqtt"), **more)
        self.bus.attach(floor.core, self.read)
        self.reads = 0

    def read(self):
        self.reads += 1
        status = Status(
            name="one",
            mode="paper",
            version="1",
            state=self.core.engine.state,
            now_ns=self.clock.now_ns(),
            uptime_s=2.5,
        )
        status.mqtt = self.bus.status()
        return status

    def alarm(self, *numbers):
        for number in numbers:
            self.bus.outbox(Alarm("gap", str(number), number))

    @property
    def said(self):
        self.logs.flush()
        return [json.loads(line) for line in b"".join(self.lines).splitlines()]

    def events(self):
        return [one["event"] for one in self.said]


async def until(look, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not look():  # noqa: ASYNC110 - nobody announces what is looked for
            await asyncio.sleep(0.002)


def alerts(broker):
    """Return the texts of the alerts that a broker was told."""
    return [one["text"] for one in events(broker, "alerts")]


def events(broker, topic):
    """Return the events that a broker was told on a topic."""
    told = [json.loads(one.payload) for one in broker.told if one.topic.endswith(f"/{topic}")]
    return [event for one in told for event in one["events"]]


def topics(broker):
    return [one.topic.removeprefix("tickd/one/") for one in broker.told]


@pytest.fixture
def floor(new_floor, new_script):
    return new_floor(new_script())


def test_how_it_is_comes_first_and_then_what_happened_in_its_order(run, floor):
    async def main():
        async with tiny_broker() as broker:
            rig = Rig(floor, broker.port)
            rig.alarm(1, 2, 3)
            task = asyncio.ensure_future(rig.bus.run())
            await until(lambda: rig.bus.status().published == 3)
            assert topics(broker) == ["status", "positions", "health", "alerts"]
            assert alerts(broker) == ["1", "2", "3"]
            assert [one.retain for one in broker.told] == [True, True, False, False]
            for one in broker.told:
                told = msgspec.json.decode(one.payload, type=FORMS[one.topic.rpartition("/")[2]])
                assert (told.v, told.name, told.run) == (1, "one", floor.core.orders.ids.run)
            status = rig.bus.status()
            assert (status.connected, status.queued, status.published, status.dropped) == (True, 0, 3, 0)
            await rig.bus.end()
            assert task.done()
            assert broker.others == [14]

    run(main())


def test_orders_and_fills_of_a_daemon_that_trades_are_told(run, floor):
    async def main():
        async with tiny_broker() as broker:
            rig = Rig(floor, broker.port)
            floor.core.orders.observers.append(rig.bus.outbox)
            task = asyncio.ensure_future(rig.bus.run())
            await until(lambda: "health" in topics(broker))
            floor.open_market()
            floor.scripts[0].target(1.0, 100.02)
            floor.quote()
            floor.later(0.003)
            await until(lambda: topics(broker).count("positions") == 2)
            (fill,) = events(broker, "fills")
            assert (fill["price"], fill["qty"], fill["side"]) == ("100.02", "1.00000", "buy")
            assert [(one["event"], one["state"]) for one in events(broker, "orders")] == [
                ("SENT", "PENDING_NEW"),
                ("ACCEPTED", "WORKING"),
                ("LAST_FILL", "FILLED"),
            ]
            told = [json.loads(one.payload) for one in broker.told if one.topic.endswith("positions")]
            (held,) = told[-1]["positions"]
            assert (held["symbol"], held["qty"], held["avg_price"]) == ("BTC/USDT", 1.0, 100.02)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(main())


def test_a_state_that_changes_is_told_at_once_and_the_end_is_the_last_word(run, floor):
    async def main():
        async with tiny_broker() as broker:
            rig = Rig(floor, broker.port, health_s=3600)
            task = asyncio.ensure_future(rig.bus.run())
            await until(lambda: "health" in topics(broker))
            floor.core.engine.phase = "DRAINING"
            await until(lambda: topics(broker).count("status") == 2, 1.0)
            floor.core.engine.phase = "STOPPED"
            await rig.bus.end()
            states = [json.loads(one.payload) for one in broker.told if one.topic.endswith("status")]
            assert [(one["state"], one["online"]) for one in states][1:] == [
                ("DRAINING", True),
                ("STOPPED", False),
            ]
            assert json.loads(broker.told[-1].payload)["state"] == "STOPPED"
            assert task.done()
            (will,) = broker.connects
            assert b'"online":false,"state":"LOST"' in will

    run(main())


def test_a_broker_that_is_cut_off_again_and_again_gets_everything(run, floor):
    async def main():
        async with tiny_broker() as broker:
            rig = Rig(floor, broker.port)
            task = asyncio.ensure_future(rig.bus.run())
            for round_ in range(3):
                rig.alarm(*range(round_ * 40, round_ * 40 + 40))
                await until(lambda: len(set(alerts(broker))) >= round_ * 40 + 16)  # noqa: B023
                broker.cut()
            await until(lambda: rig.bus.outbox.waiting == 0)
            texts = alerts(broker)
            assert list(dict.fromkeys(texts)) == [str(number) for number in range(120)]
            assert len(texts) <= 120 + 3 * 16  # only what was on its way comes twice
            status = rig.bus.status()
            assert (status.published, status.dropped, status.reconnects) == (120, 0, 3)
            assert rig.events().count("mqtt_up") == 4
            reasons = [one["reason"] for one in rig.said if one["event"] == "mqtt_down"]
            # some brokers say no more when another client takes the place
            assert ["another client may call itself 'tickd-one'" in one for one in reasons] == [
                False,
                False,
                True,
            ]
            await rig.bus.end()
            assert task.done()

    run(main())


def test_a_frozen_broker_is_left_and_found_again(run, floor, monkeypatch):
    monkeypatch.setattr(mqtt, "SEND_S", 0.1)

    async def main():
        async with tiny_broker() as broker:
            rig = Rig(floor, broker.port)
            task = asyncio.ensure_future(rig.bus.run())
            await until(lambda: rig.bus.connected)
            await until(lambda: "health" in topics(broker))
            broker.deaf = True
            rig.alarm(1, 2)
            await until(lambda: not rig.bus.connected)
            await until(lambda: rig.bus.failure)
            assert "has not answered for 0.1 s" in rig.bus.failure
            broker.deaf = False
            await until(lambda: rig.bus.outbox.waiting == 0)
            assert list(dict.fromkeys(alerts(broker))) == ["1", "2"]
            await rig.bus.end()
            assert task.done()

    run(main())


def test_ten_times_the_backlog_costs_the_oldest_and_is_told(run, floor, monkeypatch):
    monkeypatch.setattr(mqtt, "BACKLOG_PAUSE_S", 0.0)

    async def main():
        async with tiny_broker() as broker:
            rig = Rig(floor, broker.port, queue=100)
            rig.alarm(*range(1000))
            task = asyncio.ensure_future(rig.bus.run())
            await until(lambda: len(alerts(broker)) == 100)
            assert alerts(broker) == [str(number) for number in range(900, 1000)]
            assert [one["seq"] for one in events(broker, "alerts")] == list(range(901, 1001))
            (dropped,) = [one for one in rig.said if one["event"] == "mqtt_dropped"]
            assert (dropped["count"], dropped["total"]) == (900, 900)
            await until(lambda: rig.bus.status().published == 100)
            assert rig.bus.status().dropped == 900
            await rig.bus.end()
            assert task.done()

    run(main())


def test_what_the_broker_s_rules_forbid_is_counted_and_told_once(run, floor):
    async def main():
        async with tiny_broker() as broker:
            broker.codes = {"tickd/one/alerts": 135, "tickd/one/health": 135}
            rig = Rig(floor, broker.port)
            rig.alarm(*range(5))
            task = asyncio.ensure_future(rig.bus.run())
            await until(lambda: rig.bus.outbox.waiting == 0)
            status = rig.bus.status()
            assert status.refused == {"health": 1, "alerts": 5}
            assert topics(broker) == ["status", "positions", "health", "alerts"]  # not again, for a minute
            assert (status.published, status.dropped, status.connected) == (0, 0, True)
            told = [one for one in rig.said if one["event"] == "mqtt_refused"]
            assert [(one["topic"], one["reason"]) for one in told] == [
                ("tickd/one/health", "Not authorized (reason code 135)"),
                ("tickd/one/alerts", "Not authorized (reason code 135)"),
            ]
            await rig.bus.end()
            assert task.done()

    run(main())


def test_a_message_that_ends_each_connection_is_given_up(run, floor, monkeypatch):
    monkeypatch.setattr(mqtt, "_FIRST_S", 0.01)

    async def main():
        async with tiny_broker() as broker:

            class Picky(dict):
                def get(self, topic, default):
                    if topic.endswith("alerts") and alerts(broker)[-1] == "bad":
                        broker.cut()
                    return default

            broker.codes = Picky()
            rig = Rig(floor, broker.port)
            monkeypatch.setattr(mqtt, "EVENTS_MAX", 1)
            rig.alarm("bad", "good")
            task = asyncio.ensure_future(rig.bus.run())
            await until(lambda: "good" in alerts(broker))
            assert alerts(broker) == ["bad"] * 3 + ["good"]
            await until(lambda: rig.bus.outbox.waiting == 0)
            assert (rig.bus.status().published, rig.bus.status().dropped) == (1, 1)
            await rig.bus.end()
            assert task.done()

    run(main())


def test_a_broker_that_ends_the_connection_by_a_refusal_gets_the_rest(run, floor, monkeypatch):
    monkeypatch.setattr(mqtt, "_MUTE_NS", 500_000_000)

    async def main():
        async with tiny_broker() as broker:
            broker.codes, broker.ends = {"tickd/one/positions": 135}, True
            rig = Rig(floor, broker.port, health_s=1.0)
            rig.alarm(1, 2, 3)
            task = asyncio.ensure_future(rig.bus.run())
            await until(lambda: rig.bus.outbox.waiting == 0)
            assert alerts(broker) == ["1", "2", "3"]
            assert rig.bus.status().reconnects == 1
            assert topics(broker).count("positions") == 1
            broker.codes = {}  # its rules are mended
            await until(lambda: topics(broker).count("positions") == 2)
            await rig.bus.end()
            assert task.done()
            assert rig.events().count("mqtt_refused") == 1

    run(main())


class Refusing:
    """A client that never connects."""

    def __init__(self, status, text="no"):
        self.error = NetError(text, status)

    def __call__(self, access, will):
        return self

    async def open(self):
        raise self.error


@pytest.mark.parametrize(("status", "first_s", "cap_s"), [(0, 0.25, 2.0), (136, 0.25, 2.0), (134, 2.0, 30.0)])
def test_attempts_follow_each_other_later_each_time_up_to_a_cap(floor, monkeypatch, status, first_s, cap_s):
    waits = []

    async def waited(_, seconds):
        waits.append(seconds)
        if len(waits) == 12:
            raise asyncio.CancelledError

    monkeypatch.setattr(mqtt, "pause", waited)

    async def main():
        rig = Rig(floor, 1, Refusing(status))
        with pytest.raises(asyncio.CancelledError):
            await rig.bus.run()
        assert rig.events() == ["mqtt_down"]  # one reason is told once
        assert rig.bus.status().failure == "no"

    asyncio.run(main())
    for number, seconds in enumerate(waits):
        longest = min(cap_s, first_s * 2**number)
        assert longest / 2 <= seconds <= longest


def test_a_client_of_the_same_name_is_named(floor, monkeypatch):
    async def waited(_, seconds):
        raise asyncio.CancelledError

    monkeypatch.setattr(mqtt, "pause", waited)

    async def main():
        rig = Rig(floor, 1, Refusing(142, "it is gone: Session taken over"))
        with pytest.raises(asyncio.CancelledError):
            await rig.bus.run()
        assert rig.bus.failure.endswith(
            "Session taken over; another client may call itself 'tickd-one': give each daemon its own name"
        )

    asyncio.run(main())


def test_an_end_without_a_broker_waits_for_nobody_and_says_what_is_left(run, floor):
    async def main():
        async with tiny_broker() as broker:
            port = broker.port
        rig = Rig(floor, port)
        rig.alarm(1, 2, 3)
        task = asyncio.ensure_future(rig.bus.run())
        await until(lambda: rig.bus.failure)
        async with asyncio.timeout(1.0):
            await rig.bus.end()
            await rig.bus.end()
        assert task.cancelled()
        assert [one["count"] for one in rig.said if one["event"] == "mqtt_left"] == [3]

    run(main())


def test_an_end_before_the_beginning_is_none(floor):
    async def main():
        await Rig(floor, 1).bus.end()

    asyncio.run(main())


def test_an_end_whose_broker_is_frozen_is_over_in_time(run, floor, monkeypatch):
    monkeypatch.setattr(mqtt, "END_S", 0.1)

    async def main():
        async with tiny_broker() as broker:
            rig = Rig(floor, broker.port)
            task = asyncio.ensure_future(rig.bus.run())
            await until(lambda: rig.bus.connected)
            broker.deaf = True
            async with asyncio.timeout(1.0):
                await rig.bus.end()
            assert task.done()
            assert not rig.bus.connected

    run(main())


def test_a_bug_of_ours_costs_a_message_and_not_the_daemon(run, floor, monkeypatch):
    monkeypatch.setattr(mqtt, "_FIRST_S", 0.01)

    async def main():
        async with tiny_broker() as broker:
            rig = Rig(floor, broker.port)
            rig.bus.outbox._queue.append(("no such thing", "", 0, 0))
            rig.bus.outbox._appended += 1
            monkeypatch.setattr(mqtt, "EVENTS_MAX", 1)
            rig.alarm(2)
            task = asyncio.ensure_future(rig.bus.run())
            await until(lambda: alerts(broker) == ["2"])
            assert rig.bus.status().dropped == 1
            (told,) = [one for one in rig.said if one["event"] == "mqtt_failed"]
            assert "Traceback" in told["exception"]
            await rig.bus.end()
            assert task.done()

    run(main())


def test_positions_follow_fills_at_most_once_a_second(run, floor):
    async def main():
        async with tiny_broker() as broker:
            rig = Rig(floor, broker.port, health_s=3600)
            task = asyncio.ensure_future(rig.bus.run())
            await until(lambda: "health" in topics(broker))
            for _ in range(20):
                floor.core.tally.fills += 1
                await asyncio.sleep(0.03)
            assert topics(broker).count("positions") == 1
            await until(lambda: topics(broker).count("positions") == 2, 1.5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(main())


def test_it_is_told_every_so_often_how_it_is(run, floor):
    async def main():
        async with tiny_broker() as broker:
            rig = Rig(floor, broker.port, health_s=1.0)
            task = asyncio.ensure_future(rig.bus.run())
            await until(lambda: topics(broker).count("health") == 2, 3.0)
            assert topics(broker) == ["status", "positions", "health"] * 2
            health = json.loads(broker.told[-1].payload)
            assert (health["state"], health["mqtt_dropped"], health["uptime_s"]) == ("READY", 0, 2.5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(main())

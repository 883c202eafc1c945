"""What is told over MQTT, field by field, and that docs/mqtt.md says the same."""

from __future__ import annotations

import re
import shlex
import tomllib
import typing
from decimal import Decimal
from typing import get_args

import msgspec
import pytest
from paho.mqtt.client import topic_matches_sub

from daemon.config_sinks import MqttConfig
from daemon.events import Command, ExecutionReport
from daemon.faces import mqtt_messages as module
from daemon.faces.mqtt_messages import (
    FORMS,
    AlertEvent,
    FillEvent,
    Message,
    OrderEvent,
    Position,
    Teller,
)
from daemon.faces.mqtt_outbox import Outbox
from daemon.latency import BOUNDS_S
from daemon.orders.audit import ALARMS, Alarm, Filled, Latched
from daemon.orders.order import State
from daemon.orders.state import Event
from daemon.redact import register
from daemon.snapshot import held
from daemon.status import DaemonState, InstrumentStatus, MqttStatus, OrderCounts, StageLatency, Status
from kernels import dtypes as d


@pytest.fixture
def told(new_floor, new_script):
    """Return a floor, its script, and what gives everything that it has told so far as decoded JSON."""

    def make(**more):
        script = new_script()
        floor = new_floor(script, **more)
        box = Outbox(1000)
        floor.core.orders.observers.append(box)
        teller = Teller("one", floor.core.orders.ids.run, floor.instruments, floor.core.orders.desks)

        def messages():
            entries = box.take(1000)
            found = []
            for topic, message in teller.events(entries, 7):
                data = msgspec.json.encode(message)
                assert type(msgspec.json.decode(data, type=FORMS[topic])) is FORMS[topic]
                plain = msgspec.json.decode(data)
                found += [(topic, event) for event in plain.pop("events")]
                assert plain == {"v": 1, "name": "one", "run": floor.core.orders.ids.run, "now_ns": 7}
            box.done(list(entries), taken=True)
            return found

        return floor, script, messages

    return make


def test_an_order_s_life_is_told_in_exact_decimals(told):
    floor, script, messages = told()
    floor.open_market()
    script.rest((d.BUY, 99.9, 0.30001))
    floor.quote()
    floor.later(0.01)
    (sent, accepted) = messages()
    (order,) = floor.sent()
    assert sent == (
        "orders",
        {
            "seq": 1,
            "now_ns": order.wire_ns,
            "event": "SENT",
            "before": None,
            "state": "PENDING_NEW",
            "client_order_id": order.client_order_id,
            "venue_order_id": "",
            "strategy": floor.core.runtimes[0].name,
            "symbol": "BTC/USDT",
            "side": "buy",
            "kind": "rest",
            "price": "99.90",
            "qty": "0.30001",
            "filled": "0.00000",
            "reduces": False,
            "reason": "",
        },
    )
    _, step = accepted
    assert (step["seq"], step["event"], step["before"], step["state"]) == (
        2,
        "ACCEPTED",
        "PENDING_NEW",
        "WORKING",
    )
    script.wants = []
    floor.quote()
    floor.later(0.01)
    assert [(one["event"], one["state"]) for _, one in messages()] == [
        ("CANCEL_ASKED", "PENDING_CANCEL"),
        ("CANCELED", "CANCELED"),
    ]


def test_why_an_order_was_rejected_is_told_and_whether_it_ever_left(told):
    floor, script, messages = told(latency_ms=9000)
    floor.open_market()
    script.rest((d.BUY, 99.9, 1.0), (d.BUY, 99.8, 1.0))
    floor.quote()
    for order, reason in zip(floor.sent(), ("not sent: the venue is down", "no money"), strict=True):
        floor.engine.on_report(
            ExecutionReport(
                kind="REJECTED",
                client_order_id=order.client_order_id,
                instrument=0,
                wire_ns=floor.time.now_ns(),
                reason=reason,
            )
        )
    ended = [one for _, one in messages() if one["state"] == "REJECTED"]
    assert [one["reason"] for one in ended] == ["not sent: the venue is down", "no money"]


def test_a_fill_is_told_with_its_order_s_strategy(told):
    floor, script, messages = told()
    floor.open_market()
    script.target(0.30001, 100.02)
    floor.quote()
    floor.later(0.01)
    ((_, fill),) = [one for one in messages() if one[0] == "fills"]
    (order,) = floor.sent()
    assert fill == {
        "seq": 3,
        "now_ns": fill["now_ns"],
        "client_order_id": order.client_order_id,
        "venue_order_id": order.venue_order_id,
        "trade_id": fill["trade_id"],
        "strategy": floor.core.runtimes[0].name,
        "symbol": "BTC/USDT",
        "side": "buy",
        "price": "100.02",
        "qty": "0.30001",
        "maker": False,
        "fee": "0.00000",
        "fee_asset": fill["fee_asset"],
        "exch_ns": fill["exch_ns"],
    }
    told_positions = Teller("one", 1, floor.instruments, floor.core.orders.desks).positions(
        held(floor.core), 7
    )
    (one,) = told_positions.positions
    assert (one.symbol, one.base, one.qty, one.avg_price) == (
        "BTC/USDT",
        "BTC",
        pytest.approx(0.30001),
        100.02,
    )


def test_a_fill_of_nobody_s_order_has_no_strategy(told):
    floor, _, messages = told()
    report = ExecutionReport(
        "TRADE", "another", 0, 5, venue_order_id="9", side=-1, last_ticks=10000, last_lots=7,
        trade_id=3, is_maker=True, commission=Decimal("-1E-7"), commission_asset="BNB", exch_ns=4,
    )  # fmt: skip
    floor.core.orders.tell(Filled(None, report, 5))
    ((topic, fill),) = messages()
    assert topic == "fills"
    assert (fill["strategy"], fill["side"], fill["fee"], fill["maker"], fill["client_order_id"]) == (
        None,
        "sell",
        "-0.0000001",
        True,
        "another",
    )


def test_the_kill_switch_is_an_alert_and_its_reset_too(told):
    floor, _, messages = told()
    floor.open_market()
    floor.engine.on_command(Command(verb="halt", source="http", reason="lunch"))
    floor.engine.on_command(Command(verb="resume", source="http"))
    alerts = [one for topic, one in messages() if topic == "alerts"]
    assert [(one["kind"], one["halted"], one["source"]) for one in alerts] == [
        ("kill_switch", True, "http"),
        ("kill_switch", False, "http"),
    ]
    assert alerts[0]["text"] == "lunch"


def test_no_secret_leaves_by_an_alarm(told):
    floor, _, messages = told()
    register("bus-secret-1")
    floor.core.orders.tell(Alarm("gap", "it said bus-secret-1", 3))
    floor.core.orders.tell(Latched(True, "strategy", "raised bus-secret-1", 4))
    assert [one["text"] for _, one in messages()] == ["it said ***", "raised ***"]


def status(**more):
    latency = StageLatency(
        stage="order", count=1, sum_s=1.0, p50_s=4e-5, p99_s=9e-5, p999_s=None, max_s=None,
        buckets=[0] * len(BOUNDS_S),
    )  # fmt: skip
    return Status(
        name="one",
        mode="paper",
        version="1",
        state="HALTED",
        reason="lunch",
        now_ns=10_000_000_000,
        uptime_s=2.5,
        quote="USDT",
        instruments=[
            InstrumentStatus(symbol="A/USDT", feed_age_s=0.5),
            InstrumentStatus(symbol="B/USDT", feed_age_s=7.5, stale=True),
            InstrumentStatus(symbol="C/USDT"),
        ],
        orders=OrderCounts(
            by_state={"WORKING": 2, "UNKNOWN": 1, "FILLED": 40},
            fills=3,
            rejected={"-1": 4, "-2": 5},
            unsent=2,
            refusals={"collar": 6},
            unknown=1,
        ),
        latency=[latency],
        mqtt=MqttStatus(
            broker="h:1", connected=True, queued=7, published=8, dropped=9, refused={"fills": 10, "health": 1}
        ),
        **more,
    )


def test_status_says_whether_it_is_there(new_floor, new_script):
    teller = Teller("one", 5, [], [])
    one = teller.status(status())
    assert (one.online, one.state, one.reason, one.started_ns) == (True, "HALTED", "lunch", 7_500_000_000)
    will = teller.status(status(), "LOST")
    assert (will.online, will.state, will.reason) == (False, "LOST", "")
    ended = status()
    ended.state = "STOPPED"
    assert not teller.status(ended).online


def test_health_is_a_few_of_the_status_s_numbers():
    one = Teller("one", 5, [], []).health(status(equity=100.5))
    assert (one.feed_age_s, one.stale, one.orders_open, one.orders_unknown) == (7.5, ["B/USDT"], 3, 1)
    assert (one.fills, one.rejected, one.unsent, one.refused, one.equity) == (3, 9, 2, 6, 100.5)
    assert (one.tick_to_order_p50_s, one.tick_to_order_p99_s) == (4e-5, 9e-5)
    assert (one.mqtt_queued, one.mqtt_dropped, one.mqtt_refused) == (7, 9, 11)
    unknown = Status(name="one", mode="paper", version="1", state="READY", now_ns=1, uptime_s=0.0)
    unknown.mqtt = MqttStatus(broker="h:1", connected=True, queued=0, published=0, dropped=0)
    one = Teller("one", 5, [], []).health(unknown)
    assert (one.feed_age_s, one.equity, one.tick_to_order_p50_s) == (None, None, None)


# --- the page --------------------------------------------------------------------------------
WORDS = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    type(None): "null",
    list[str]: "list of text",
}
#: what stands in a topic's list
LISTED = {"positions": Position, "orders": OrderEvent, "fills": FillEvent, "alerts": AlertEvent}
WORDS |= {list[form]: "list of objects" for form in LISTED.values()}


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "mqtt.md").read_text(encoding="utf-8")


def tables(text):
    """Return the rows of each table of fields in a text: name -> (type, what)."""
    found = []
    for part in text.split("| field | type | what |\n|---|---|---|\n")[1:]:
        rows = part.partition("\n\n")[0].splitlines()
        found.append({row.split("|")[1].strip(" `"): row.split("|")[2].strip() for row in rows})
    return found


def fields(form, above):
    """Return the fields of a form that those above it have not, in the page's words."""
    hints = typing.get_type_hints(form)
    kinds = {name: hints[name] for name in form.__struct_fields__ if name not in above.__struct_fields__}
    return {
        name: " or ".join(WORDS[one] for one in ((kind,) if kind in WORDS else get_args(kind)))
        for name, kind in kinds.items()
    }


def test_the_page_names_every_field_of_every_message_and_no_other(page):
    head, *sections = re.split(r"^### ", page.partition("## Topics and fields")[2], flags=re.MULTILINE)
    assert tables(head) == [fields(Message, msgspec.Struct)]
    assert [section.partition("\n")[0].strip("`") for section in sections] == [*FORMS]
    for section in sections:
        topic = section.partition("\n")[0].strip("`")
        expected = [fields(FORMS[topic], Message)]
        if topic in LISTED:
            expected.append(fields(LISTED[topic], msgspec.Struct))
        assert tables(section) == expected, topic


def test_the_page_names_every_value_of_what_has_few(page):
    for name in (*State.__members__, *Event.__members__, *ALARMS, *get_args(DaemonState)):
        assert re.search(rf"\b{name}\b", page), name
    assert f"`v` is {module.VERSION}" in page


def test_the_page_s_section_is_one_that_can_be_read(page):
    text = page.partition("    [mqtt]\n")[2].partition("\n\n")[0]
    section = tomllib.loads("\n".join(line.strip() for line in text.splitlines()))
    config = msgspec.convert(section, MqttConfig)
    for name in ("topic", "client_id", "queue", "health_s"):
        assert section[name] == getattr(MqttConfig(), name)
    assert config.host == "broker.example"


def test_what_the_page_listens_to_is_what_is_told(page):
    section = page.partition("## Listening\n")[2].partition("\n## ")[0]
    lines = [
        shlex.split(re.split(r"\s{3,}", line.strip())[0])
        for line in section.splitlines()
        if line.startswith("    mosquitto_sub ")
    ]
    topics = [f"tickd/live/{topic}" for topic in FORMS]
    heard = [
        {topic for topic in topics if topic_matches_sub(asked, topic)}
        for words in lines
        for asked in (words[at + 1] for at, word in enumerate(words) if word == "-t")
    ]
    assert heard == [
        set(topics),
        {"tickd/live/fills"},
        {"tickd/live/alerts"},
        {"tickd/live/status"},
        {"tickd/live/alerts"},
    ]
    assert all(words[1:3] == ["-V", "mqttv5"] for words in lines)

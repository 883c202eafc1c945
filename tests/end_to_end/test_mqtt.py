"""A daemon that trades, and a real broker that is told of it, refuses, freezes, dies and comes back."""

from __future__ import annotations

import json
import signal
import ssl
import time
from collections import Counter

import msgspec
import pytest

from daemon.faces.mqtt_messages import FORMS
from tests.end_to_end.harness import CROSS, MAKER, fetch, until
from tests.mosquitto import PASSWORD, USER, Authority, Broker, Ear

PAIR = {"TICKD_MQTT_USERNAME": USER, "TICKD_MQTT_PASSWORD": PASSWORD}


@pytest.fixture
def new_broker(tmp_path_factory):
    """Starts brokers, apart from what must hold no secret."""
    made = []

    def make(*lines, **more):
        made.append(Broker(tmp_path_factory.mktemp("broker"), *lines, **more))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def listen():
    """Listens to brokers."""
    made = []

    def make(broker, **more):
        made.append(Ear(broker, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def section(broker, *lines):
    return "\n".join(["[mqtt]", 'host = "127.0.0.1"', f"port = {broker.port}", "health_s = 1.0", *lines, ""])


def bus(daemon):
    return daemon.state()["mqtt"]


def connected(daemon, seconds=30.0):
    return daemon.until(lambda state: state["mqtt"]["connected"], "the broker takes what it is told", seconds)


def everything_told(daemon, ear):
    """Halt, so that nothing more happens, and wait for all that did; return how it stands, and the events."""
    fetch(daemon.socket, "/halt", "POST")
    halted = daemon.until(lambda state: not state["orders"]["by_state"].get("PENDING_NEW"), "it is quiet")
    assert halted["state"] == "HALTED"
    state = daemon.until(lambda state: state["mqtt"]["queued"] == 0, "nothing waits")["mqtt"]

    def came():
        (events,) = ear.events().values()
        return events if len(events) >= state["published"] else None

    events = until(came, f"all {state['published']} that were published came", 30.0)
    state = bus(daemon)
    assert len(events) == state["published"]
    assert max(events) == state["published"] + state["dropped"]
    return state, events


def test_what_happens_is_told_and_decodes_and_no_command_comes_this_way(bench, exchange, new_broker, listen):
    broker = new_broker(password=True, deny=["tickd/one/positions"])
    ear = listen(broker, password=True)
    daemon = bench.live(exchange, CROSS, env=PAIR, more=section(broker))
    daemon.ready()
    daemon.filled(3)
    for topic in ("tickd/one/halt", "tickd/one/command", "tickd/one/status", "tickd/one", "tickd/halt"):
        ear.publish(topic, b'{"verb":"halt","reason":"by mqtt"}')
    daemon.filled(1)
    state = daemon.state()
    assert state["state"] == "READY"
    assert state["mqtt"]["refused"].keys() == {"positions"}
    assert daemon.metric("tickd_mqtt_connected") == 1.0
    assert daemon.metric('tickd_mqtt_refused_total{topic="positions"}') > 0
    assert "wait, 0 dropped" in bench.run("state", "--socket", daemon.socket).out
    assert daemon.child.end() == 0
    until(lambda: ear.on("status")[-1].get("state") == "STOPPED", "its last word came")

    assert "SUBSCRIBE from tickd-one" not in broker.log.replace("Received ", "")
    told = [one for one in ear.heard if one.message.get("name") == "one"]
    for one in told:
        assert one.topic.startswith("tickd/one/")
        topic = one.topic.rpartition("/")[2]
        form = msgspec.json.decode(json.dumps(one.message), type=FORMS[topic])
        assert form.__struct_fields__ == tuple(one.message)
        for event, told_event in zip(getattr(form, "events", []), one.message.get("events", []), strict=True):
            assert event.__struct_fields__ == tuple(told_event)
    assert {one.topic.rpartition("/")[2] for one in told} >= {"status", "health", "orders", "fills"}
    assert ear.on("positions") == []
    (events,) = ear.events().values()
    assert sorted(events) == list(range(1, len(events) + 1))
    statuses = [one for one in ear.on("status") if "online" in one]
    assert (statuses[0]["online"], statuses[-1]["online"], statuses[-1]["state"]) == (True, False, "STOPPED")

    # every order that was told of is one of the exchange's, with what traded of it
    traded = Counter()
    for one in (one for message in ear.on("fills") for one in message["events"]):
        traded[one["client_order_id"]] += round(float(one["qty"]) * 1e5)
    booked = {one["clientOrderId"]: one for one in exchange.orders()}
    for name, lots in traded.items():
        assert lots == round(float(booked[name]["executedQty"]) * 1e5)
    logged = daemon.log.read_text()
    assert "mqtt_refused" in logged
    assert "Not authorized" in logged


def test_a_broker_that_dies_or_freezes_costs_no_trade_and_no_message(bench, exchange, new_broker, listen):
    broker = new_broker()
    ear = listen(broker)
    broker.save()  # its next life knows who listens
    daemon = bench.live(exchange, CROSS, more=section(broker))
    daemon.ready()
    daemon.filled(1)
    connected(daemon)

    broker.kill()
    daemon.until(lambda state: not state["mqtt"]["connected"], "the bus is down")
    daemon.filled(2)
    assert bus(daemon)["failure"].startswith(f"the MQTT broker at 127.0.0.1:{broker.port} ")
    broker.start()
    back_s = time.monotonic()
    connected(daemon, 3.0)
    assert time.monotonic() - back_s < 3.0

    broker.send(signal.SIGSTOP)
    try:
        daemon.until(lambda state: not state["mqtt"]["connected"], "the bus is down")
        daemon.filled(2)
    finally:
        broker.send(signal.SIGCONT)
    connected(daemon, 3.0)

    assert daemon.state()["state"] == "READY"
    state, events = everything_told(daemon, ear)
    assert state["dropped"] == 0
    assert state["reconnects"] >= 2
    assert sorted(events) == list(range(1, len(events) + 1))

    daemon.child.send(signal.SIGKILL)
    killed_s = time.monotonic()
    until(lambda: ear.on("status")[-1]["state"] == "LOST", "the last will came", 1.0)
    assert time.monotonic() - killed_s < 1.0
    assert ear.on("status")[-1]["online"] is False
    late = listen(broker)
    until(lambda: late.on("status"), "it is told to who comes later")
    assert late.on("status")[0]["state"] == "LOST"


@pytest.mark.heavy
def test_with_certificates_and_a_password_no_secret_is_anywhere(
    bench, exchange, new_broker, listen, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder)
    ours = authority.sign("daemon")
    broker = new_broker(authority=authority, certificates=True, password=True)
    tls = ssl.create_default_context(cafile=authority.file)
    tls.load_cert_chain(ours, authority.key_of(ours))
    ear = listen(broker, password=True, tls=tls)
    files = (
        "tls = true",
        f'ca_file = "{authority.file}"',
        f'certificate_file = "{ours}"',
        f'key_file = "{authority.key_of(ours)}"',
    )
    credentials = folder / "credentials"
    credentials.mkdir(mode=0o700)
    for name, secret in PAIR.items():
        (credentials / name).write_text(secret + "\n")
    env = {"CREDENTIALS_DIRECTORY": str(credentials)}
    daemon = bench.live(exchange, CROSS, env=env, more=section(broker, *files), words=("--debug",))
    daemon.ready()
    connected(daemon)
    daemon.filled(2)
    everything_told(daemon, ear)
    texts = [fetch(daemon.socket, target)[1] for target in ("/state", "/metrics")]
    assert daemon.child.end() == 0
    texts += [bench.run("config", "show", bench.folder / "one.toml", env=PAIR).out]
    texts += [json.dumps(one.message) for one in ear.heard]
    texts += [path.read_text(errors="replace") for path in bench.folder.rglob("*") if path.is_file()]
    secret = authority.key_of(ours).read_text().splitlines()[1]
    for text in texts:
        assert PASSWORD not in text
        assert secret not in text


@pytest.mark.heavy
def test_ten_times_what_waits_costs_the_oldest_and_every_one_is_counted(bench, exchange, new_broker, listen):
    broker = new_broker()
    ear = listen(broker)
    daemon = bench.live(exchange, CROSS, more=section(broker, "queue = 16"))
    daemon.ready()
    daemon.filled(1)
    connected(daemon)
    broker.send(signal.SIGSTOP)
    try:
        daemon.until(lambda state: state["mqtt"]["dropped"] >= 160, "ten times what waits is gone", 120.0)
        assert daemon.state()["state"] == "READY"
    finally:
        broker.send(signal.SIGCONT)
    connected(daemon, 3.0)
    state, events = everything_told(daemon, ear)
    assert state["dropped"] >= 160
    assert max(events) == state["published"] + state["dropped"]
    assert "mqtt_dropped" in daemon.log.read_text()
    assert daemon.metric("tickd_mqtt_dropped_total") >= 160


@pytest.mark.heavy
@pytest.mark.parametrize("wrong", ["password", "authority", "certificate"])
def test_a_broker_that_cannot_be_had_is_told_of_and_trading_goes_on(
    bench, exchange, new_broker, tmp_path_factory, wrong
):
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "foreign").mkdir()
    authority, foreign = Authority(folder), Authority(folder / "foreign")
    broker = new_broker(authority=authority, certificates=True, password=True)
    ours = (foreign if wrong == "certificate" else authority).sign("daemon")
    files = (
        "tls = true",
        f'ca_file = "{(foreign if wrong == "authority" else authority).file}"',
        f'certificate_file = "{ours}"',
        f'key_file = "{Authority.key_of(ours)}"',
    )
    pair = PAIR | ({"TICKD_MQTT_PASSWORD": PASSWORD[::-1]} if wrong == "password" else {})
    daemon = bench.live(exchange, CROSS, env=pair, more=section(broker, *files))
    daemon.ready()
    state = daemon.filled(3)
    assert state["state"] == "READY"
    why = {
        "password": "refuses us: Not authorized (reason code 135)",
        "authority": "certificate verify failed",
        "certificate": "it closed the connection without a word",
    }[wrong]
    mqtt = daemon.until(lambda state: state["mqtt"]["failure"], "it is told")["mqtt"]
    assert not mqtt["connected"]
    assert why in mqtt["failure"]
    assert mqtt["queued"] > 0
    assert daemon.metric("tickd_mqtt_connected") == 0.0
    assert daemon.child.end() == 0  # nor does the end wait for it
    log = daemon.log.read_text()
    assert log.count("mqtt_down") <= 2
    for text in (log, daemon.child.err, daemon.child.out):
        assert PASSWORD[::-1] not in text


@pytest.mark.heavy
def test_two_daemons_on_one_broker_and_two_of_one_client_id(bench, exchange, new_broker, listen):
    broker = new_broker()
    ear = listen(broker)
    shared = section(broker, 'client_id = "same"')
    one = bench.live(exchange, CROSS, name="one", more=section(broker))
    one.ready()
    one.filled(1)
    other = bench.config(exchange.urls, MAKER, name="two", mode="paper", kind="paper", more=section(broker))
    two = bench.daemon(bench.tickd("paper", other, "--json"), "two")
    two.ready()
    until(lambda: {one.message.get("name") for one in ear.heard} == {"one", "two"}, "both are told of")
    for told in ear.heard:
        assert told.topic.split("/")[1] == told.message["name"]
    assert two.child.end() == 0
    assert one.child.end() == 0

    first = bench.config(exchange.urls, MAKER, name="a", mode="paper", kind="paper", more=shared)
    second = bench.config(exchange.urls, MAKER, name="b", mode="paper", kind="paper", more=shared)
    a, b = (bench.daemon(bench.tickd("paper", path, "--json"), path.stem) for path in (first, second))
    a.ready()
    b.ready()
    told = "another client may call itself 'same': give each daemon its own name"
    until(lambda: told in a.log.read_text() or told in b.log.read_text(), "it is told")

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
from tests.end_to_end.harness import CROSS, fetch, until
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
    """Wait until nothing waits any more; what was told must be what came, and what is missing was dropped."""

    def look():
        state = bus(daemon)
        (events,) = ear.events().values()
        return state if state["queued"] == 0 and len(events) == state["published"] else None

    # it trades on: the moment in which nothing waits has to be met
    state = until(look, "all that was published came", 30.0)
    (events,) = ear.events().values()
    return state, events


def test_what_happens_is_told_and_decodes_and_no_command_comes_this_way(bench, exchange, new_broker, listen):
    broker = new_broker(password=True, deny=["tickd/one/positions"])
    ear = listen(broker, password=True)
    daemon = bench.live(exchange, CROSS, env=PAIR, more=section(broker))
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
    assert {one.topic.rpartition("/")[2] for one in told} >= {"status", "health", "orders", "fills"}
    assert ear.on("positions") == []
    (events,) = ear.events().values()
    assert sorted(events) == list(range(1, len(events) + 1))
    statuses = [one for one in ear.on("status") if "online" in one]
    assert (statuses[0]["online"], statuses[-1]["online"], statuses[-1]["state"]) == (True, False, "STOPPED")

    # every order that was told of is one of the exchange's, with what traded of it
    traded = Counter()
    for one in ear.on("fills"):
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

    state, events = everything_told(daemon, ear)
    assert state["dropped"] == 0
    assert state["reconnects"] == 2
    assert sorted(events) == list(range(1, len(events) + 1))
    assert daemon.state()["state"] == "READY"

    daemon.child.send(signal.SIGKILL)
    killed_s = time.monotonic()
    until(lambda: ear.on("status")[-1]["state"] == "LOST", "the last will came", 1.0)
    assert time.monotonic() - killed_s < 1.0
    assert ear.on("status")[-1]["online"] is False
    late = listen(broker)
    until(lambda: late.on("status"), "it is told to who comes later")
    assert late.on("status")[0]["state"] == "LOST"


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

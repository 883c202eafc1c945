"""A real Mosquitto with the files of deploy/mosquitto, their places changed: who may tell and hear what."""

from __future__ import annotations

import os
import ssl
import subprocess
import threading

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.mosquitto import SOON_S, Authority, Broker, find

PASSWORD = "not a secret"
FORBIDDEN = 135


class Someone:
    """One user's connection: what became of it, of what he told, and what he heard."""

    def __init__(self, port, authority, user):
        self.heard = []
        self._told = threading.Event()
        self._code = None
        self._answered = threading.Event()
        self.client = client = paho.Client(
            CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5, reconnect_on_failure=False
        )
        client.tls_set_context(ssl.create_default_context(cafile=authority.file))
        if user is not None:
            client.username_pw_set(user, PASSWORD)
        client.on_connect = lambda _c, _u, _f, code, _p: self._answer(code)
        client.on_publish = lambda _c, _u, _m, code, _p: self._answer(code)
        client.on_subscribe = lambda _c, _u, _m, codes, _p: self._answer(codes[0])
        client.on_message = lambda _c, _u, one: self.heard.append((one.topic, one.payload))
        client.connect("127.0.0.1", port)
        client.loop_start()
        self.let_in = self._wait()

    def _answer(self, code):
        self._code = code.value
        self._answered.set()

    def _wait(self):
        assert self._answered.wait(SOON_S)
        self._answered.clear()
        return self._code

    def tells(self, topic):
        """Return the broker's word on a message: below 128 it was taken."""
        self.client.publish(topic, b"{}", qos=1)
        return self._wait()

    def subscribes(self, topic):
        self.client.subscribe(topic, qos=1)
        return self._wait()

    def leave(self):
        self.client.disconnect()
        self.client.loop_stop()
        self.client = None  # it closes what it woke its thread by once nobody has it any more


@pytest.fixture
def broker(root, tmp_path):
    """Yield a broker as it is deployed, and what lets somebody in."""
    folder = root / "deploy" / "mosquitto"
    users = tmp_path / "users"
    for number, name in enumerate(("watch", "spot", "perp")):
        create = [] if number else ["-c"]
        subprocess.run([find("mosquitto_passwd"), "-b", *create, str(users), name, PASSWORD], check=True)
    authority = Authority(tmp_path)
    server = authority.sign("server")
    places = {
        "/etc/mosquitto/certs/ca.pem": authority.file,
        "/etc/mosquitto/certs/server.pem": server,
        "/etc/mosquitto/certs/server.key": authority.key_of(server),
        "/etc/mosquitto/tickd.users": users,
        "/etc/mosquitto/tickd.acl": folder / "tickd.acl",
    }
    text = (folder / "tickd.conf").read_text()
    for place, file in places.items():
        assert f" {place}\n" in text
        text = text.replace(place, str(file))
    assert text.count("listener 8883\n") == 1
    one = Deployed(tmp_path / "broker", text)
    made = []

    def someone(user):
        made.append(Someone(one.port, authority, user))
        return made[-1]

    yield someone
    for each in made:
        each.leave()
    one.kill()


class Deployed(Broker):
    """A Mosquitto of a whole configuration of its own."""

    def __init__(self, folder, text):
        folder.mkdir()
        self._text = text
        super().__init__(folder)

    def start(self):
        text = self._text.replace("listener 8883\n", f"listener {self.port} 127.0.0.1\n")
        text += f"log_dest file {self._log}\n" + ("user root\n" if os.geteuid() == 0 else "")
        (self.folder / "mosquitto.conf").write_text(text)
        super().start()


def test_a_daemon_tells_of_itself_alone_and_who_watches_hears_all_and_tells_nothing(broker):
    watch, spot, perp = broker("watch"), broker("spot"), broker("perp")
    assert (watch.let_in, spot.let_in, perp.let_in) == (0, 0, 0)
    assert watch.subscribes("tickd/#") < 128
    spot.subscribes("tickd/#")  # nothing of it reaches a daemon
    assert spot.tells("tickd/spot/fills") < 128
    assert perp.tells("tickd/perp/positions") < 128
    assert spot.tells("tickd/perp/positions") == FORBIDDEN
    assert spot.tells("tickd/spotty/fills") == FORBIDDEN
    assert spot.tells("others/spot/fills") == FORBIDDEN
    assert watch.tells("tickd/spot/fills") == FORBIDDEN
    assert spot.tells("tickd/spot/status") < 128  # by when all before it was passed on, or never is
    topics = {"tickd/spot/fills", "tickd/perp/positions", "tickd/spot/status"}
    watch.subscribes("nothing")  # likewise
    assert {topic for topic, _ in watch.heard} == topics
    assert spot.heard == perp.heard == []


def test_who_does_not_say_who_he_is_stays_outside(broker):
    assert broker(None).let_in == FORBIDDEN
    assert broker("nobody").let_in == FORBIDDEN

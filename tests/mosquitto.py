"""A real broker for one test, on loopback, and somebody who listens to it; both end with the test."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import paho.mqtt.client as paho
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

if TYPE_CHECKING:
    from pathlib import Path

#: Debian has it where a user's PATH does not look
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
USER, PASSWORD = "trader", "canarybus" + "91ce" * 6
SOON_S = 20.0


def find(command="mosquitto"):
    """Return where Mosquitto is; without it a test is skipped, and with CI in the environment fails."""
    found = shutil.which(command, path=_PATH)
    if found is None:
        missing = "no Mosquitto here (on Debian: apt-get install mosquitto)"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def until(look, what, seconds=SOON_S):
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.01)
    return found


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Authority:
    """Who signs certificates: `folder/NAME.pem` and `NAME.key`, and its own, `ca.pem`."""

    def __init__(self, folder: Path, name: str = "ca"):
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, f"tests {name}")])
        self.file = self._write(name, self._key, self._name, x509.BasicConstraints(ca=True, path_length=0))

    def sign(self, name):
        """Return the files of a certificate for this machine, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
        return self._write(name, key, subject, x509.BasicConstraints(ca=False, path_length=None))

    def _write(self, name, key, subject, constraints):
        now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
        here = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(constraints, critical=True)
            .add_extension(x509.SubjectAlternativeName(here), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        file = self.folder / f"{name}.pem"
        file.write_bytes(made.public_bytes(pem))
        private = serialization.PrivateFormat.PKCS8
        self.key_of(file).write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()))
        self.key_of(file).chmod(0o600)
        return file

    @staticmethod
    def key_of(file):
        return file.with_suffix(".key")


class Broker:
    """A Mosquitto. `lines` go into its configuration; sessions outlive it once `save` was called."""

    def __init__(self, folder, *lines, password=False, authority=None, certificates=False, deny=()):
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.process = None
        self._log = folder / "mosquitto.log"
        config = [
            f"listener {self.port} 127.0.0.1",
            f"user {'root' if os.geteuid() == 0 else ''}".strip(),
            f"log_dest file {self._log}",
            "log_type all",
            "persistence true",
            f"persistence_location {folder}/",
            "max_queued_messages 0",  # no limit: what it has acknowledged is passed on
            "max_inflight_messages 0",
            *lines,
        ]
        if password:
            subprocess.run(
                [find("mosquitto_passwd"), "-b", "-c", str(folder / "users"), USER, PASSWORD], check=True
            )
            config.append(f"password_file {folder / 'users'}")
        if deny:
            rules = [f"user {USER}"] if password else []
            rules += [*(f"topic deny {topic}" for topic in deny), "topic readwrite #"]
            (folder / "acl").write_text("\n".join(rules) + "\n")
            config.append(f"acl_file {folder / 'acl'}")
        config.append(f"allow_anonymous {'false' if password else 'true'}")
        if authority is not None:
            server = authority.sign("server")
            config += [
                f"cafile {authority.file}",
                f"certfile {server}",
                f"keyfile {authority.key_of(server)}",
                f"require_certificate {'true' if certificates else 'false'}",
            ]
        (folder / "mosquitto.conf").write_text("\n".join(line for line in config if line != "user") + "\n")
        self.start()

    def start(self):
        """Start it, again; return once it listens."""
        command = [find(), "-c", str(self.folder / "mosquitto.conf")]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._listens, "the broker listens")

    def _listens(self):
        assert self.process.poll() is None, self.log
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def log(self):
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def send(self, number):
        self.process.send_signal(number)

    def save(self):
        """Let it write its sessions down, so that the next start knows them."""
        self.send(signal.SIGUSR1)
        until((self.folder / "mosquitto.db").exists, "the broker's sessions are saved")

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Heard(NamedTuple):
    topic: str
    message: dict
    retained: bool
    at_s: float  # time.monotonic


class Ear:
    """Listens to everything on a broker, in a thread of paho's, through its restarts."""

    def __init__(self, broker, *, password=False, tls=None):
        self.heard = []
        self._subscribed = 0
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="ear", protocol=paho.MQTTv5, reconnect_on_failure=True
        )
        client.reconnect_delay_set(1, 1)
        client.on_connect = lambda *_: client.subscribe("#", qos=1)
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        if password:
            client.username_pw_set(USER, PASSWORD)
        if tls is not None:
            client.tls_set_context(tls)
        keep = Properties(PacketTypes.CONNECT)
        keep.SessionExpiryInterval = 3600
        client.connect("127.0.0.1", broker.port, clean_start=False, properties=keep)
        client.loop_start()
        until(lambda: self._subscribed, "the ear listens")

    def _on_subscribe(self, *_):
        self._subscribed += 1

    def _on_message(self, _client, _userdata, message):
        told = Heard(message.topic, json.loads(message.payload), message.retain, time.monotonic())
        self.heard.append(told)

    def publish(self, topic, payload):
        self._client.publish(topic, payload, qos=1).wait_for_publish(SOON_S)

    def on(self, topic):
        """Return what was told on a topic below any daemon's."""
        return [one.message for one in list(self.heard) if one.topic.endswith(f"/{topic}")]

    def events(self):
        """Return what happened in each run by its number; what came twice must be the same."""
        runs = defaultdict(dict)
        for topic in ("orders", "fills", "alerts"):
            for message in self.on(topic):
                for event in message["events"]:
                    known = runs[message["run"]].setdefault(event["seq"], event)
                    assert known == event
        return runs

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()

"""How the broker is reached, and what is refused before anything is tried."""

from __future__ import annotations

import ssl
import subprocess
import sys

import pytest

from daemon.config import from_tree
from daemon.disk import RealDisk
from daemon.errors import ConfigError
from daemon.faces.mqtt_access import find_access, make_bus
from daemon.logs import Logs
from daemon.redact import redact
from daemon.seams import Seams
from tests.mosquitto import Authority

TREE = {
    "name": "one",
    "mode": "paper",
    "feed": {"symbols": ["BTC/USDT"]},
    "strategy": [{"name": "ema_cross"}],
}
PAIR = {"TICKD_MQTT_USERNAME": "somebody", "TICKD_MQTT_PASSWORD": "pass-word-1"}


def find(environ=None, **mqtt):
    config = from_tree({**TREE, "mqtt": {"host": "localhost", **mqtt}}, {}, "f.toml")
    return find_access(config, RealDisk(), environ or {})


def refusal(environ=None, **mqtt):
    with pytest.raises(ConfigError) as raised:
        find(environ, **mqtt)
    text = str(raised.value)
    assert "\n" not in text
    assert "pass-word-1" not in text
    return text


def test_what_is_left_out_has_a_default():
    one = find()
    assert (one.where, one.client_id, one.username, one.password, one.tls) == (
        "localhost:1883",
        "tickd-one",
        "",
        "",
        None,
    )
    assert find(tls=True).where == "localhost:8883"
    assert find(host="::1", port=7).where == "[::1]:7"
    assert find(client_id="me").client_id == "me"


def test_user_name_and_password_come_from_where_keys_come_from_and_are_masked(tmp_path):
    one = find(PAIR)
    assert (one.username, one.password) == ("somebody", "pass-word-1")
    assert redact("somebody said pass-word-1") == "*** said ***"
    (tmp_path / "BUS").write_text("of systemd\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), **PAIR}
    assert find(environ, password_env="BUS").password == "of systemd"
    assert "pass-word-1" not in f"{one} {one!r}"


def test_a_password_without_its_user_is_refused():
    text = refusal({"TICKD_MQTT_PASSWORD": "pass-word-1"})
    assert text.startswith("TICKD_MQTT_PASSWORD is set and TICKD_MQTT_USERNAME is not")


def test_a_password_leaves_this_machine_encrypted_or_by_a_word_of_its_own():
    assert refusal(PAIR, host="broker.example").startswith(
        "the password of mqtt.host broker.example would be readable on its way there"
    )
    assert find(PAIR, host="broker.example", tls=True).tls is not None
    assert find(PAIR, host="broker.example", clear_password=True).tls is None
    assert find(host="broker.example").tls is None


@pytest.mark.parametrize("secret", ["two\nlines", "nul\0", "x" * 1025])
def test_a_secret_that_no_broker_can_take_is_refused(secret):
    for name in PAIR:
        text = refusal({**PAIR, name: secret})
        assert text == f"{name} must hold one line of at most 1024 printable characters"


def test_certificates_are_looked_at_before_anything_else(tmp_path):
    authority = Authority(tmp_path)
    ours, other = authority.sign("ours"), authority.sign("other")
    key, foreign = authority.key_of(ours), authority.key_of(other)
    good = {"tls": True, "ca_file": str(authority.file), "certificate_file": str(ours), "key_file": str(key)}
    tls = find(**good).tls
    assert tls.verify_mode is ssl.CERT_REQUIRED
    assert tls.check_hostname
    assert "cannot be used together" in refusal(**{**good, "key_file": str(foreign)})
    assert "none.pem does not exist; check the name" in refusal(
        **{**good, "ca_file": str(tmp_path / "none.pem")}
    )
    assert "mqtt.key_file" in refusal(**{**good, "key_file": str(tmp_path / "none.key")})
    locked = tmp_path / "locked.key"
    command = ["openssl", "ec", "-aes256", "-passout", "pass:x", "-in", str(key), "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True)
    locked.chmod(0o600)
    assert "cannot be used together" in refusal(**{**good, "key_file": str(locked)})
    key.chmod(0o604)
    assert "is open to every user here" in refusal(**good)


@pytest.mark.parametrize(
    ("mqtt", "sentence"),
    [
        ({"topic": "tickd/#"}, "mqtt.topic must be one to four levels"),
        ({"topic": "+"}, "mqtt.topic must be one to four levels"),
        ({"topic": "$SYS"}, "mqtt.topic must be one to four levels"),
        ({"topic": "a//b"}, "mqtt.topic must be one to four levels"),
        ({"topic": "/a"}, "mqtt.topic must be one to four levels"),
        ({"topic": "a\0b"}, "mqtt.topic must be one to four levels"),
        ({"topic": "a\n"}, "mqtt.topic must be one to four levels"),
        ({"topic": "../a"}, "mqtt.topic must be one to four levels"),
        ({"topic": "tïckd"}, "mqtt.topic must be one to four levels"),
        ({"topic": "a/b/c/d/e"}, "mqtt.topic must be one to four levels"),
        ({"topic": "x" * 33}, "mqtt.topic must be one to four levels"),
        ({"topic": ""}, "mqtt.topic must be one to four levels"),
        ({"client_id": "a#b"}, "mqtt.client_id must be at most 64"),
        ({"client_id": "a\0"}, "mqtt.client_id must be at most 64"),
        ({"client_id": "me\n"}, "mqtt.client_id must be at most 64"),
        ({"client_id": "%c"}, "mqtt.client_id must be at most 64"),
        ({"client_id": "x" * 65}, "mqtt.client_id must be at most 64"),
        ({"host": "mqtt://broker"}, "mqtt.host must be the name or address of a host alone"),
        ({"host": "me:secret@broker"}, "mqtt.host must be the name or address of a host alone"),
        ({"host": "broker:1883"}, "mqtt.host is 'broker:1883'; a port stands in mqtt.port"),
        ({"port": 65536}, "mqtt.port"),
        ({"queue": 15}, "mqtt.queue"),
        ({"password": "x"}, "mqtt has no key 'password'"),
        ({"host": "", "tls": True}, "mqtt.host names no broker"),
        ({"ca_file": "ca.pem"}, "mqtt.ca_file is of mqtt.tls = true"),
        ({"tls": True, "key_file": "k"}, "mqtt.certificate_file and mqtt.key_file go together"),
        ({"tls": True, "certificate_file": "k"}, "mqtt.certificate_file and mqtt.key_file go together"),
    ],
)
def test_a_section_that_cannot_be_meant_is_refused_in_one_sentence(mqtt, sentence):
    with pytest.raises(ConfigError) as raised:
        from_tree({**TREE, "mqtt": {"host": "localhost", **mqtt}}, {}, "f.toml")
    text = str(raised.value)
    assert text.startswith(f"f.toml: {sentence}")
    assert "\n" not in text
    assert "secret" not in text


def test_a_demo_stays_on_this_machine():
    with pytest.raises(ConfigError, match=r"a demo stays on this machine, so mqtt.host can be 127.0.0.1 or "):
        from_tree({**TREE, "mode": "demo", "mqtt": {"host": "broker.example"}}, {}, "f.toml")
    from_tree({**TREE, "mode": "demo", "mqtt": {"host": "127.0.0.1"}}, {}, "f.toml")


@pytest.mark.parametrize("name", ["one\n", "a/b", "a+", "#", "$a", "a\0"])
def test_a_name_cannot_leave_its_place_in_the_tree(name):
    with pytest.raises(ConfigError, match="name must be 1 to 16 of"):
        from_tree({**TREE, "name": name}, {}, "f.toml")


def test_who_has_no_broker_loads_nothing_of_it():
    code = """
import sys
from daemon.config import from_tree
from daemon.faces.mqtt_access import make_bus
tree = {"name": "one", "mode": "paper", "feed": {"symbols": ["BTC/USDT"]}}
tree["strategy"] = [{"name": "ema_cross"}]
assert make_bus(from_tree(tree, {}, "x"), None, {}, None) is None
assert not any(name.startswith(("aiomqtt", "paho")) for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_who_has_one_gets_a_bus():
    config = from_tree({**TREE, "mqtt": {"host": "localhost"}}, {}, "f.toml")

    async def main():
        seams = Seams(SystemClockStub(), None, None, RealDisk(), None, None)
        return make_bus(config, seams, {}, Logs(seams.clock, bytes))

    import asyncio

    assert asyncio.run(main()).status().broker == "localhost:1883"


class SystemClockStub:
    def now_ns(self):
        return 0

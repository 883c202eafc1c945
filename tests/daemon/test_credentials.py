from __future__ import annotations

import sys
from pathlib import Path

import keyring
import pytest
from keyring.backends.fail import Keyring as NoKeyring

from daemon.config import from_tree
from daemon.credentials import find_secret, is_set, mask_keys, read_key_file
from daemon.disk import RealDisk
from daemon.errors import ConfigError
from daemon.memory_disk import MemoryDisk
from daemon.redact import redact, register
from tests.file_keyring import FileKeyring


def test_a_systemd_credential_comes_before_the_environment(tmp_path):
    (tmp_path / "TICKD_KEY").write_text("of systemd\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "TICKD_KEY": "of the environment", "OTHER": "o"}
    assert find_secret(environ, RealDisk(), "TICKD_KEY") == "of systemd"
    assert find_secret(environ, RealDisk(), "OTHER") == "o"
    assert find_secret(environ, RealDisk(), "NONE") == ""
    assert find_secret(environ, RealDisk(), "") == ""


def test_whether_one_is_set_is_told_without_reading_it(tmp_path):
    (tmp_path / "TICKD_KEY").write_text("of systemd")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "OTHER": "o"}
    assert [is_set(environ, name) for name in ("TICKD_KEY", "OTHER", "NONE")] == [True, True, False]
    assert not is_set({}, "TICKD_KEY")


def test_without_credentials_it_is_the_environment():
    assert find_secret({"TICKD_KEY": "k"}, MemoryDisk(), "TICKD_KEY") == "k"


@pytest.fixture
def file(tmp_path, monkeypatch):
    """The file of a keyring that is this process's until the test ends."""
    monkeypatch.setenv("TICKD_TEST_KEYRING", str(tmp_path / "keyring"))
    before = keyring.get_keyring()
    keyring.set_keyring(FileKeyring())
    yield tmp_path / "keyring"
    keyring.set_keyring(before)


def ask(name="TICKD_KEY", environ=None):
    return find_secret(environ or {}, RealDisk(), name, "tickd")


def test_a_keyring_is_asked_last_and_by_the_name_of_its_service(file, tmp_path):
    keyring.set_password("tickd", "TICKD_KEY", "of the keyring")
    keyring.set_password("another", "TICKD_SECRET", "another's")
    assert ask() == "of the keyring"
    assert ask("TICKD_SECRET") == ""
    assert ask("") == ""
    assert ask(environ={"TICKD_KEY": "of the environment"}) == "of the environment"
    (tmp_path / "TICKD_KEY").write_text("of systemd")
    assert ask(environ={"CREDENTIALS_DIRECTORY": str(tmp_path)}) == "of systemd"
    assert find_secret({}, RealDisk(), "TICKD_KEY") == ""


def test_a_locked_keyring_is_said_to_be_locked(file):
    file.write_text("locked")
    with pytest.raises(ConfigError) as caught:
        ask()
    assert str(caught.value) == "the keyring that holds TICKD_KEY is locked: unlock it and start again"


def test_where_there_is_no_keyring_that_is_said(file):
    keyring.set_keyring(NoKeyring())
    with pytest.raises(ConfigError, match=r"^there is no keyring here that could hold TICKD_KEY: "):
        ask()


def test_whatever_a_backend_raises_is_one_sentence_without_secrets(file):
    register("hunter2hunter2")
    file.write_text("{")
    with pytest.raises(
        ConfigError, match=r"^the keyring cannot be asked for TICKD_KEY \(JSONDecodeError: .*\)$"
    ):
        ask()
    keyring.get_keyring().get_password = lambda *_: 1 / 0 if file.unlink() else Path("hunter2hunter2").stat()
    with pytest.raises(ConfigError, match=r"\(FileNotFoundError: .*'\*\*\*'\)$"):
        ask()


def test_without_the_package_keyring_it_is_said_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError) as caught:
        ask()
    assert str(caught.value) == (
        "keyring = 'tickd' needs the package keyring; install it: scripts/setup keyring"
    )
    assert ask(environ={"TICKD_KEY": "k"}) == "k"


@pytest.mark.parametrize(("content", "why"), [(None, "Is a directory"), (b"\xff", "it is no text")])
def test_a_credential_that_cannot_be_read_is_named_and_not_passed_over(tmp_path, content, why):
    path = tmp_path / "TICKD_KEY"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        find_secret({"CREDENTIALS_DIRECTORY": str(tmp_path), "TICKD_KEY": "k"}, RealDisk(), "TICKD_KEY")
    assert str(caught.value) == f"the credential {path} cannot be read ({why})"


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_a_key_file_of_ones_own_is_read(tmp_path, mode):
    path = tmp_path / "key.pem"
    path.write_text("PEM")
    path.chmod(mode)
    assert read_key_file(RealDisk(), path, "venue.private_key_file") == "PEM"


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602])
def test_a_key_file_that_is_open_to_others_is_refused(tmp_path, mode):
    path = tmp_path / "key.pem"
    path.write_text("PEM")
    path.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        read_key_file(RealDisk(), path, "venue.private_key_file")
    assert str(caught.value) == (
        f"venue.private_key_file {path} is open to every user here (mode {mode:04o}): chmod 600 {path}"
    )


def test_a_key_file_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match=r"venue.private_key_file /no does not exist; check the name"):
        read_key_file(MemoryDisk(), Path("/no"), "venue.private_key_file")


def test_what_a_daemon_would_sign_with_is_masked_where_nobody_signs(tmp_path):
    (tmp_path / "THE_KEY").write_text("of-systemd-1234\n")
    tree = {
        "name": "x", "mode": "paper", "feed": {"symbols": ["BTC/USDT"]}, "strategy": [{"name": "ema_cross"}],
        "venue": {"key_env": "THE_KEY", "credentials": {"uid": "THE_UID"}},
    }  # fmt: skip
    environ = {
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "TICKD_SECRET": "of-the-environment",
        "THE_UID": "of-uid-5678",
        "TICKD_MQTT_PASSWORD": "of-the-bus",
    }
    mask_keys(environ, RealDisk(), from_tree(tree, {}, "the test"))
    text = "of-systemd-1234 of-the-environment of-uid-5678 of-the-bus no-secret"
    assert redact(text) == "*** *** *** *** no-secret"

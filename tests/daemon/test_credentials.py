from __future__ import annotations

from pathlib import Path

import pytest

from daemon.credentials import find_secret, is_set, read_key_file
from daemon.disk import RealDisk
from daemon.errors import ConfigError
from daemon.memory_disk import MemoryDisk


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
    with pytest.raises(ConfigError, match=r"venue.private_key_file /no cannot be read"):
        read_key_file(MemoryDisk(), Path("/no"), "venue.private_key_file")

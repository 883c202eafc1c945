from __future__ import annotations

import socket

import pytest

from daemon.errors import ConfigError
from daemon.notices import VARIABLE, open_notices


@pytest.mark.parametrize("abstract", [False, True])
def test_a_notice_is_one_datagram_at_the_named_address(tmp_path, abstract):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{path}" if abstract else path)
        manager.settimeout(5)
        notices = open_notices({VARIABLE: f"@{path}" if abstract else path})
        assert notices.send("READY=1\nSTATUS=fünf")
        assert manager.recv(4096).decode() == "READY=1\nSTATUS=fünf"
        notices.close()


def test_nobody_who_asked_is_nobody_to_tell():
    assert open_notices({}) is None
    assert open_notices({VARIABLE: ""}) is None


def test_a_manager_that_is_gone_or_does_not_read_is_not_waited_for(tmp_path):
    path = str(tmp_path / "notify")
    notices = open_notices({VARIABLE: path})
    assert not notices.send("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        sent = [notices.send("x" * 1000) for _ in range(10_000)]
        assert sent[0]
        assert not sent[-1]
    notices.close()


def test_an_address_of_another_kind_is_refused():
    with pytest.raises(ConfigError, match="NOTIFY_SOCKET 'vsock:2:1' is neither a path"):
        open_notices({VARIABLE: "vsock:2:1"})

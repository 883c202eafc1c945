"""A daemon as systemd starts it: with a socket to notify, and a watchdog."""

from __future__ import annotations

import signal
import socket

import pytest

from tests.end_to_end.harness import CROSS, MAKER, READY_S, SOON_S, until


class Manager:
    """Where notices go: a datagram socket, as the service manager's."""

    def __init__(self, path):
        self.heard = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.environ = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "5000000"}

    def said(self, word):
        """Return the first notice that is there and has this in it."""
        while True:
            try:
                self.heard.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                break
        return next((text for text in self.heard if word in text), None)

    def until(self, word, seconds=SOON_S):
        return until(lambda: self.said(word), f"{word} is told", seconds)

    def close(self):
        self._socket.close()


@pytest.fixture
def manager(tmp_path):
    one = Manager(tmp_path / "notify")
    yield one
    one.close()


def test_it_tells_how_it_is_from_its_start_to_its_end_and_takes_a_reload(bench, exchange, manager):
    daemon = bench.live(exchange, CROSS, env=manager.environ)
    ready = manager.until("READY=1", READY_S)
    assert ready.partition("\nSTATUS=live ")[1]
    assert "EXTEND_TIMEOUT_USEC=" in manager.heard[0]
    daemon.filled()
    manager.until("WATCHDOG=1")
    manager.heard.clear()
    assert "tick to order p99 " in manager.until("STATUS=live READY; feed 0.")

    path = bench.folder / "one.toml"
    path.write_text(path.read_text().replace('level = "debug"', 'level = "warning"').replace("100.0", "90.0"))
    manager.heard.clear()
    daemon.child.send(signal.SIGHUP)
    manager.until("RELOADING=1\nMONOTONIC_USEC=")
    assert manager.until("READY=1") == (
        "READY=1\nSTATUS=taken anew: log.level = warning; not taken before a restart: risk.orders_per_s_max"
    )
    path.write_text("nonsense")
    manager.heard.clear()
    daemon.child.send(signal.SIGHUP)
    assert "STATUS=nothing was taken anew: " in manager.until("READY=1")
    assert daemon.state()["state"] == "READY"

    manager.heard.clear()
    assert daemon.child.end() == 0
    assert manager.said("STOPPING=1")


def test_one_that_is_stuck_gives_no_sign_of_life_and_says_where_it_was(bench, exchange, manager):
    daemon = bench.live(exchange, CROSS, env=manager.environ)
    manager.until("READY=1", READY_S)
    manager.until("WATCHDOG=1")
    daemon.child.send(signal.SIGSTOP)
    manager.said("WATCHDOG=1")
    manager.heard.clear()
    assert manager.said("WATCHDOG=1") is None
    daemon.child.send(signal.SIGABRT)  # as the manager does once its limit is over
    daemon.child.send(signal.SIGCONT)
    assert daemon.child.wait() == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in daemon.child.err
    assert 'process.py", line ' in daemon.child.err


def test_a_hangup_ends_who_was_started_by_a_person_and_leaves_no_order_behind(bench, exchange):
    daemon = bench.live(exchange, MAKER)
    daemon.ready()
    until(lambda: len(exchange.open_orders()) == 2, "both quotes stand")
    daemon.child.send(signal.SIGHUP)  # the terminal is gone: its shell says so, and the kernel too
    daemon.child.send(signal.SIGHUP)
    assert daemon.child.wait() == 0
    assert daemon.child.json["state"] == "STOPPED"
    assert exchange.open_orders() == []

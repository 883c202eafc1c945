from __future__ import annotations

import structlog

from daemon.clock import VirtualTime
from daemon.faces.systemd import Served, SystemdFace, status_line
from daemon.redact import register
from daemon.status import InstrumentStatus, StageLatency, Status

MS, S = 1_000_000, 1_000_000_000
WATCHDOG_NS = 5 * S
IDLE_NS = 90 * S


class Manager:
    """A service manager, and the daemon that it hears of."""

    def __init__(self, watchdog_ns=WATCHDOG_NS):
        self.time = VirtualTime(1_000_000 * S)
        self.state = "STARTING"
        self.heard = []
        self.takes = True
        self.acted_ns = None  # None: the feed is looked after all the time
        self.log = structlog.testing.CapturingLogger()
        served = Served(
            lambda: self.state,
            self.status,
            lambda: self.time.mono_ns() if self.acted_ns is None else self.acted_ns,
            lambda: "taken anew: log.level = debug",
        )
        self.face = SystemdFace(
            served,
            self,
            self.time,
            self.time,
            self.log,
            watchdog_ns=watchdog_ns,
            idle_ns_max=IDLE_NS,
        )

    def status(self):
        return Status(name="t", mode="live", version="1", state=self.state, now_ns=1, uptime_s=2.0)

    def send(self, text):
        if self.takes:
            self.heard.append(text)
        return self.takes

    def pass_time(self, seconds):
        """Return what is told meanwhile."""
        self.heard.clear()
        self.time.advance(self.time.now_ns() + int(seconds * S))
        return list(self.heard)

    def ready(self):
        self.state = "READY"
        self.face.start()
        return self


def test_a_start_asks_for_more_time_until_it_is_up_and_is_told_once():
    manager = Manager()
    manager.face.start()
    # a sign of life would begin the watch, and compiling stops the loop for longer
    assert manager.heard == ["EXTEND_TIMEOUT_USEC=60000000\nSTATUS=starting"]
    manager.state = "RECOVERING"
    assert manager.pass_time(1) == ["EXTEND_TIMEOUT_USEC=60000000\nSTATUS=recovering"]
    manager.state = "WARMING"  # as it may stay, in a market that says nothing
    assert manager.pass_time(1)[0] == "READY=1\nSTATUS=live WARMING; no feed yet; flat"
    assert manager.pass_time(1) == ["WATCHDOG=1"]


def test_a_daemon_that_is_halted_is_up():
    manager = Manager()
    manager.state = "HALTED"
    manager.face.start()
    assert manager.heard[0].startswith("READY=1\n")


def test_up_is_told_again_until_it_is_taken():
    manager = Manager()
    manager.takes = False
    manager.ready()
    assert manager.pass_time(3) == []
    manager.takes = True
    told = manager.pass_time(10)
    assert told[0].startswith("READY=1\n")
    assert sum("READY=1" in text for text in told) == 1


def test_it_is_alive_every_second_and_says_how_it_is_every_five():
    told = Manager().ready().pass_time(20)
    assert told.count("WATCHDOG=1") == 20
    assert sum(text.startswith("STATUS=live READY; ") for text in told) == 4


def test_a_short_limit_is_fed_four_times_within_it_and_none_never():
    assert Manager(2 * S).ready().pass_time(10).count("WATCHDOG=1") == 20
    assert "WATCHDOG=1" not in Manager(0).ready().pass_time(10)


def test_a_loop_that_is_late_again_and_again_gives_no_sign_and_one_that_recovers_does():
    manager = Manager().ready()
    beat, late = manager.face._beat, True

    def stuck():
        if late:
            manager.time._now_ns += WATCHDOG_NS // 10 + 1
        beat()

    manager.face._beat = stuck
    manager.pass_time(1)
    assert "WATCHDOG=1" not in manager.pass_time(20)
    assert len(manager.log.calls) == 1  # not at every beat
    assert "the loop was 0.5 s late" in manager.log.calls[0].kwargs["text"]
    late = False
    assert "WATCHDOG=1" in manager.pass_time(3)


def test_a_feed_that_nobody_looks_after_gives_no_sign_and_one_that_is_silent_does():
    manager = Manager().ready()
    assert manager.pass_time(600).count("WATCHDOG=1") == 600  # silent, and looked after
    manager.acted_ns = manager.time.mono_ns()
    assert manager.pass_time(90).count("WATCHDOG=1") == 90
    assert "WATCHDOG=1" not in manager.pass_time(5)
    assert [call.kwargs["text"].partition(": ")[2] for call in manager.log.calls] == [
        "nobody has looked after the feed for 90 s"
    ]


def test_what_was_looked_after_before_a_long_start_counts_from_its_end():
    manager = Manager()
    manager.acted_ns = manager.time.mono_ns()
    manager.state = "RECOVERING"
    manager.face.start()
    manager.pass_time(600)
    manager.state = "READY"
    assert manager.pass_time(80).count("WATCHDOG=1") == 80


def test_a_reload_is_told_from_its_beginning_to_its_end():
    manager = Manager().ready()
    manager.heard.clear()
    manager.face.reload()
    assert manager.heard == [
        "RELOADING=1\nMONOTONIC_USEC=1000000000000",
        "READY=1\nSTATUS=taken anew: log.level = debug",
    ]
    assert manager.log.calls[0].kwargs == {"text": "taken anew: log.level = debug"}


def test_who_is_not_up_yet_takes_nothing_anew():
    manager = Manager()
    manager.face.start()
    manager.heard.clear()
    manager.face.reload()
    assert manager.heard == []
    assert "it starts, or it ends" in manager.log.calls[0].kwargs["text"]


def test_its_end_is_told_once_and_it_lives_until_then():
    manager = Manager().ready()
    manager.state = "DRAINING"
    assert manager.pass_time(2) == ["STOPPING=1\nSTATUS=ending", "WATCHDOG=1", "WATCHDOG=1"]
    manager.face.stop()
    manager.face.stop()
    assert manager.pass_time(10) == []


def test_an_end_that_comes_between_two_beats_is_told_as_well():
    manager = Manager().ready()
    manager.heard.clear()
    manager.face.stop()
    assert manager.heard == ["STOPPING=1\nSTATUS=ending"]


def test_the_status_line_has_mode_state_feed_positions_and_latency_and_no_line_break_or_secret():
    register("canarysecretcanary")
    held = [
        InstrumentStatus(symbol=f"{base}/USDT", position=qty, feed_age_s=age)
        for base, qty, age in (
            ("BTC", 0.25, 0.1),
            ("ETH", -2, 3.04),
            ("SOL", 1, None),
            ("XRP", 1, 0),
            ("A", 1, 0),
        )
    ]
    order = StageLatency(
        stage="order", count=1, sum_s=0.0, p50_s=0.0, p99_s=41.3e-6, p999_s=0.0, max_s=0.0, buckets=[]
    )
    status = Manager().status()
    status.state, status.reason = "HALTED", "two\nlines of canarysecretcanary"
    status.instruments, status.latency = held, [order]
    line = status_line(status)
    assert line.startswith("live HALTED (two lines of ")
    assert "canary" not in line
    assert line.endswith(
        "; feed 3.0 s old; BTC/USDT 0.25, ETH/USDT -2, SOL/USDT 1, and 2 more; tick to order p99 41 us"
    )

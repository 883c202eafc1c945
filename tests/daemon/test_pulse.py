"""The pulse: what was read late is known to be, whether it was read before the late beat or after it."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
import time
from base64 import b64encode

import pytest
import uvloop

from daemon.clock import LoopScheduler, SystemClock, VirtualTime
from daemon.net import RealNet
from daemon.pulse import STEADY, Heartbeat

MS = 1_000_000
LIMIT_NS = 100 * MS  # so a beat every 10 ms, and 2 ms of grace


class Stuck(VirtualTime):
    """Virtual time that can pass while no timer runs; those that are due at once run a turn later."""

    def block(self, ms: int) -> None:
        self._now_ns += ms * MS

    def turn(self) -> None:
        """Run what is due, but what it asks for waits for the next turn."""
        due = [timer for when_ns, _, timer in self._heap if when_ns <= self._now_ns]
        self._heap = [one for one in self._heap if one[2] not in due]
        for timer in due:
            if timer.fn is not None:
                timer.fn()


@pytest.fixture
def loop() -> Stuck:
    return Stuck(1_000 * MS)


@pytest.fixture
def heart(loop: Stuck) -> Heartbeat:
    heart = Heartbeat(loop, loop, LIMIT_NS)
    heart.start()
    return heart


def test_a_loop_of_virtual_time_and_one_not_started_are_never_late(loop):
    assert STEADY.before_ns(1 << 60) == Heartbeat(loop, loop, LIMIT_NS).before_ns(1 << 60) == 0


def test_an_idle_loop_is_not_late_between_its_beats(loop, heart):
    for _ in range(100):
        loop.advance(loop.now_ns() + MS)
        assert heart.before_ns(loop.now_ns()) == 0


def test_each_beat_is_counted_by_how_late_it_was_and_the_trips_behind_it_are_not(loop, heart):
    for _ in range(10):
        loop.advance(loop.now_ns() + 10 * MS)
    assert (heart.lags().count, heart.lags().sum_s) == (10, 0.0)
    loop.block(500)
    for _ in range(3):
        loop.turn()
    lags = heart.lags()
    assert (lags.count, lags.sum_s, lags.max_s) == (11, 0.49, 0.49)
    loop.advance(loop.now_ns() + 10 * MS)
    assert (heart.lags().count, heart.lags().sum_s) == (12, 0.49)


def test_what_is_read_before_the_late_beat_is_as_old_as_the_stall(loop, heart):
    loop.block(500)
    assert heart.before_ns(loop.now_ns()) == (500 - 12) * MS


def test_what_is_read_after_the_late_beat_is_too_until_the_loop_has_polled(loop, heart):
    loop.block(500)
    loop.turn()
    assert heart.before_ns(loop.now_ns()) == (500 - 12) * MS
    loop.turn()  # what was called at once comes before the poll
    assert heart.before_ns(loop.now_ns()) == (500 - 12) * MS
    loop.turn()
    assert heart.before_ns(loop.now_ns()) == 0


def test_long_turns_in_a_row_are_as_late_as_the_longest_and_no_more(loop, heart):
    loop.block(500)
    loop.turn()
    loop.turn()
    for _ in range(50):
        loop.block(40)
        loop.turn()
        assert heart.before_ns(loop.now_ns()) == (40 - 12) * MS
    loop.turn()
    assert heart.before_ns(loop.now_ns()) == 0


@pytest.mark.parametrize("step_ms", [-5_000, 5_000])
def test_a_clock_that_is_set_anew_is_no_stall_and_hides_none(loop, heart, step_ms):
    loop.block(step_ms)
    heart.clock_stepped(step_ms * MS)
    assert heart.before_ns(loop.now_ns()) == 0
    loop.block(200)
    assert heart.before_ns(loop.now_ns()) == (200 - 12) * MS


def test_a_stopped_one_has_no_timer(loop, heart):
    heart.stop()
    heart.stop()
    heart.clock_stepped(1)
    assert loop.next_ns is None


@pytest.mark.parametrize(("limit_ms", "beats"), [(1, 100), (60_000, 2)])
def test_it_beats_often_enough_for_the_limit_and_seldom_enough_for_the_loop(loop, limit_ms, beats):
    class Counting(VirtualTime):
        asked = 0

        def call_at(self, when_ns, fn):
            self.asked += 1
            return super().call_at(when_ns, fn)

    counting = Counting()
    Heartbeat(counting, counting, limit_ms * MS).start()
    counting.advance(100 * MS)
    assert counting.asked == 1 + beats


def serve(listener: socket.socket, go: threading.Event) -> None:
    """Shake hands, and send one frame each time that `go` is set."""
    peer, _ = listener.accept()
    with peer:
        request = peer.recv(4096).decode()
        key = request.lower().partition("sec-websocket-key: ")[2]
        key = request[-len(key) :].partition("\r\n")[0]
        accept = b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest())
        peer.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        while go.wait(10):
            go.clear()
            peer.sendall(b"\x81\x01x")


@pytest.mark.parametrize("stuck_in", ["a call", "a timer", "a timer before the beat"])
def test_a_frame_that_waited_for_a_stuck_loop_is_told_from_a_fresh_one(stuck_in):
    clock, go = SystemClock(), threading.Event()
    heart_ns: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        heart = Heartbeat(clock, LoopScheduler(clock), LIMIT_NS)
        came = asyncio.Event()

        class Reader:
            def on_frame(self, payload: bytes, last: bool) -> None:
                heart_ns.append(heart.before_ns(clock.now_ns()))
                came.set()

            def on_close(self, reason: str) -> None: ...

        def block() -> None:
            go.set()
            time.sleep(0.3)

        net = RealNet()
        await net.connect(f"ws://127.0.0.1:{listener.getsockname()[1]}/", Reader())
        heart.start()
        if stuck_in == "a call":
            loop.call_soon(block)
        else:
            loop.call_later(0.005, block)
        if stuck_in == "a timer before the beat":
            loop.call_soon(time.sleep, 0.03)  # both are due then
        await came.wait()
        came.clear()
        await asyncio.sleep(0.1)
        go.set()
        await came.wait()
        heart.stop()
        await net.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener, go), daemon=True)
        thread.start()
        uvloop.run(asyncio.wait_for(main(), 20))
    late, fresh = heart_ns
    assert 200 * MS < late < 2_000 * MS
    assert fresh < 200 * MS  # it is 0 where nobody else wants the core

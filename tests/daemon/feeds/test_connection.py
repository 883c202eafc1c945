"""A connection under every kind of cut and silence, on virtual time and a network that the test plays."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING

from msgspec.structs import replace

from daemon.errors import NetError
from daemon.feeds.base import Subscription
from daemon.feeds.binance import BinanceDecoder
from daemon.feeds.connection import CONNECTION_PATIENCE, STREAM_PATIENCE
from daemon.feeds.connections import FeedConnections
from daemon.feeds.core import FeedCore
from daemon.feeds.snapshots import SnapshotFetcher
from daemon.seams import Response, Seams
from tests.daemon.feeds.conftest import tell
from tests.daemon.orders.conftest import SteppedTime

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.seams import Handler

S = 1_000_000_000
STALE_MS = 5_000


class Socket:
    def __init__(self, handler: Handler, tell: Callable[[bytes], object]) -> None:
        self.handler = handler
        self.tell = tell
        self.closed = False
        self.asked: list[bytes] = []

    def send(self, payload: bytes) -> None:
        if self.closed:
            raise NetError("reset")
        self.asked.append(payload)
        self.tell(payload)

    def close(self) -> None:
        self.closed = True

    def say(self, payload: bytes) -> None:
        """What the exchange sends, as long as the socket is open on its side."""
        self.handler.on_frame(payload, True)

    def cut(self, reason: str = "reset") -> None:
        self.handler.on_close(reason)


class Network:
    """Hands out sockets; `refuse` connections are refused first."""

    def __init__(self) -> None:
        self.sockets: list[Socket] = []
        self.refuse = 0
        self.refusal = NetError("connection refused")
        self.attempts: list[int] = []
        self.snapshot = b""
        self.said: list[tuple[int, bytes]] = []  # by which socket, all that was asked

    async def connect(self, url: str, handler: Handler) -> Socket:
        assert url == "ws://exchange"
        self.attempts.append(self.time.now_ns())
        if self.refuse:
            self.refuse -= 1
            raise self.refusal
        number = len(self.sockets)
        self.sockets.append(Socket(handler, lambda payload: self.said.append((number, payload))))
        return self.sockets[-1]

    async def request(self, method, url, headers, body, timeout_s):
        return Response(200, {}, self.snapshot)


class Rig:
    def __init__(self, sink, instruments, requests=(), hush=()) -> None:
        self.time = SteppedTime(1_000_000 * S)
        self.net = Network()
        self.net.time = self.time
        self.sink = sink
        seams = Seams(self.time, self.time, self.net, None, None, Random(5))
        self.snapshots = SnapshotFetcher(["http://exchange/depth"] * len(instruments), seams)
        self.core = FeedCore(
            instruments,
            sink.rings,
            sink,
            BinanceDecoder(instruments),
            self.snapshots.request,
            self.time,
        )
        subscription = Subscription(
            "ws://exchange", tuple(range(len(instruments))), requests, 0.25, hush=hush
        )
        all_of_them = FeedConnections(self.core, [subscription], self.snapshots, seams, stale_ms=STALE_MS)
        self.connection = all_of_them._each[0]
        self.number = 0

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def pass_time(
        self, seconds: float, talk: Callable[[], None] | None = None, every_s: float = 1.0
    ) -> None:
        """Let time pass timer by timer; `talk` is called every `every_s` of it."""
        end_ns = self.time.now_ns() + int(seconds * S)
        talk_ns = self.time.now_ns()
        while True:
            await self.settle()
            due_ns = min(self.time.next_ns or end_ns, talk_ns if talk else end_ns)
            if due_ns > end_ns or (due_ns == end_ns and self.time.next_ns != end_ns):
                break
            self.time.advance(due_ns)
            if talk and due_ns >= talk_ns:
                talk()
                talk_ns += int(every_s * S)
        self.time.advance(end_ns)
        await self.settle()

    @property
    def open(self) -> list[Socket]:
        return [one for one in self.net.sockets if not one.closed]

    def run(self, scenario: Callable[[], object]) -> None:
        async def main() -> None:
            tasks = [
                asyncio.create_task(self.connection.run()),
                asyncio.create_task(self.snapshots.run(self.core.process_snapshot)),
            ]
            await self.settle()
            await scenario()
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

        asyncio.run(main())


def make_rig(bench, instrument, **asked) -> Rig:
    return Rig(bench().sink, [instrument()], **asked)


def talker(rig: Rig, frames, *, quotes: bool = True, depth: bool = True) -> Callable[[], None]:
    """Return what makes the newest socket speak once, with ids that go on where they were."""

    def talk() -> None:
        rig.number += 1
        for socket in rig.open:
            if quotes:
                socket.say(frames.quote(rig.number))
            if depth:
                socket.say(frames.depth(rig.number, rig.number))

    return talk


def test_a_feed_connects_and_its_book_gets_whole(bench, instrument, frames) -> None:
    rig = make_rig(bench, instrument)
    rig.net.snapshot = frames.snapshot(3)

    async def scenario() -> None:
        assert rig.connection.connected
        await rig.pass_time(5, talker(rig, frames))

    rig.run(scenario)
    assert rig.sink.statuses[0] == (0, True, "snapshot")
    assert len(rig.sink.drains) == 2 * rig.number
    assert rig.net.sockets[0].closed  # at the end, by the cancelled task
    assert not rig.connection.connected
    assert rig.time.next_ns is None


def test_a_cut_loses_the_book_and_reconnects_with_growing_delays(bench, instrument, frames) -> None:
    rig = make_rig(bench, instrument)
    rig.net.snapshot = frames.snapshot(1)

    async def scenario() -> None:
        await rig.pass_time(2, talker(rig, frames))
        rig.net.refuse = 6
        rig.net.sockets[0].cut()
        assert rig.sink.statuses[-1] == (0, False, "disconnected")
        assert not rig.connection.connected
        await rig.pass_time(200)

    rig.run(scenario)
    assert rig.connection.ends["closed"] == 1
    assert rig.connection.connects >= 2
    assert rig.connection.reconnects == rig.connection.connects - 1
    delays = [
        later - earlier for earlier, later in zip(rig.net.attempts, rig.net.attempts[1:], strict=False)
    ][:7]
    assert delays[5] > 4 * delays[0]
    assert all(delay <= 31 * S for delay in delays)


def test_it_tells_when_it_last_did_something_about_its_link(bench, instrument, frames) -> None:
    rig = make_rig(bench, instrument)
    idle_ns = []

    def look() -> None:
        idle_ns.append(rig.time.mono_ns() - rig.connection.acted_ns)

    async def scenario() -> None:
        await rig.pass_time(60, look)  # nothing is said, and somebody looks
        rig.net.refuse = 6
        rig.net.sockets[-1].cut()
        await rig.pass_time(100, look)  # attempts count
        rig.snapshots.limited(418, 3600)
        rig.net.sockets[-1].cut()
        await rig.pass_time(1800, look)  # so does waiting for the end of a ban
        assert not rig.connection.connected
        assert max(idle_ns) <= 31 * S
        rig.net.connect = never
        await rig.pass_time(3600, look)
        assert max(idle_ns) > 1700 * S  # but not an attempt that never comes back

    async def never(url, handler):
        await asyncio.Event().wait()

    rig.run(scenario)


def test_the_book_is_rebuilt_after_a_cut(bench, instrument, frames) -> None:
    rig = make_rig(bench, instrument)
    rig.net.snapshot = frames.snapshot(1)

    async def scenario() -> None:
        await rig.pass_time(3, talker(rig, frames))
        rig.net.sockets[0].cut()
        rig.number += 50
        rig.net.snapshot = frames.snapshot(rig.number + 1)
        await rig.pass_time(10, talker(rig, frames))

    rig.run(scenario)
    assert [synced for _, synced, _ in rig.sink.statuses[:3]] == [True, False, True]


def test_a_silent_connection_is_replaced(bench, instrument, frames) -> None:
    rig = make_rig(bench, instrument)

    async def scenario() -> None:
        await rig.pass_time(10, talker(rig, frames))
        assert rig.connection.ends == {}
        await rig.pass_time(CONNECTION_PATIENCE * STALE_MS / 1e3 + 4)

    rig.run(scenario)
    assert rig.connection.ends["silent"] == 1
    assert rig.net.sockets[0].closed
    assert len(rig.net.sockets) == 2


def test_a_clock_that_is_set_back_hides_no_silence(bench, instrument, frames) -> None:
    rig = make_rig(bench, instrument)

    async def scenario() -> None:
        await rig.pass_time(10, talker(rig, frames))
        rig.time.step_ns = -3600 * S
        await rig.pass_time(CONNECTION_PATIENCE * STALE_MS / 1e3 + 8)

    rig.run(scenario)
    assert rig.connection.ends["silent"] == 1


def test_one_silent_stream_among_speaking_ones_is_noticed(bench, instrument, frames) -> None:
    rig = make_rig(bench, instrument)

    async def scenario() -> None:
        await rig.pass_time(10, talker(rig, frames))
        await rig.pass_time(STREAM_PATIENCE * STALE_MS / 1e3 + 6, talker(rig, frames, quotes=False))

    rig.run(scenario)
    assert rig.connection.ends == {"silent_stream": 1}


def test_a_quiet_market_is_not_reconnected_for_ever_at_the_same_pace(bench, instrument) -> None:
    rig = make_rig(bench, instrument)

    async def scenario() -> None:
        await rig.pass_time(3_600)

    rig.run(scenario)
    assert 5 <= len(rig.net.sockets) <= 40


def test_what_an_abandoned_socket_still_says_is_not_heard(bench, instrument, frames) -> None:
    rig = make_rig(bench, instrument)

    async def scenario() -> None:
        await rig.pass_time(CONNECTION_PATIENCE * STALE_MS / 1e3 + 4)
        assert len(rig.net.sockets) == 2
        rig.net.sockets[0].say(frames.trade(1))
        rig.net.sockets[0].cut("closed at last")
        rig.net.sockets[1].say(frames.trade(2))

    rig.run(scenario)
    assert [tick.id for tick in rig.sink.ticks] == [2]
    assert rig.connection.ends["closed"] == 0


def test_the_daily_change_of_connection_loses_nothing_and_repeats_nothing(bench, instrument, frames) -> None:
    rig = make_rig(bench, instrument)
    rig.net.snapshot = frames.snapshot(1)

    async def scenario() -> None:
        await rig.pass_time(23.5 * 3_600, talker(rig, frames), every_s=12.0)

    rig.run(scenario)
    assert rig.connection.ends == {"rollover": 1}
    assert [one.closed for one in rig.net.sockets] == [True, True]
    assert [tick.id for tick in rig.sink.ticks] == list(range(1, rig.number + 1))
    assert len(rig.sink.statuses) == 1 + 1  # synced once, and lost when the test stopped
    assert rig.core.lanes[0].gaps == {"disconnected": 1}


def test_a_planned_change_ends_the_depth_of_the_old_connection_before_the_new_asks(
    bench, instrument, frames
) -> None:
    rig = make_rig(bench, instrument, requests=(b"all",), hush=(b"no depth", b"nor this"))

    async def scenario() -> None:
        await rig.pass_time(2, talker(rig, frames))
        rig.net.sockets[0].say(b'{"e":"serverShutdown","E":1}')
        await rig.pass_time(1, talker(rig, frames), every_s=0.5)
        assert rig.net.said == [(0, b"all"), (0, b"no depth"), (0, b"nor this"), (1, b"all")]
        assert len(rig.open) == 2
        await rig.pass_time(10, talker(rig, frames))
        rig.net.sockets[1].cut()  # nothing is planned: there is nobody to be hushed
        await rig.pass_time(10, talker(rig, frames))
        assert rig.net.said[4:] == [(2, b"all")]

    rig.run(scenario)


def test_an_announced_shutdown_changes_the_connection_first(bench, instrument, frames) -> None:
    rig = make_rig(bench, instrument)
    rig.net.snapshot = frames.snapshot(1)

    async def scenario() -> None:
        await rig.pass_time(2, talker(rig, frames))
        rig.net.sockets[0].say(b'{"e":"serverShutdown","E":1}')
        await rig.pass_time(1, talker(rig, frames), every_s=0.5)
        assert len(rig.open) == 2
        await rig.pass_time(5, talker(rig, frames))
        assert rig.open == [rig.net.sockets[1]]
        assert rig.core.lanes[0].sync.synced

    rig.run(scenario)
    assert rig.connection.ends == {"shutdown": 1}


def test_a_socket_that_dies_while_its_successor_is_sought_loses_the_book(bench, instrument, frames) -> None:
    rig = make_rig(bench, instrument)
    rig.net.snapshot = frames.snapshot(1)

    async def scenario() -> None:
        await rig.pass_time(2, talker(rig, frames))
        rig.net.refuse = 3
        rig.net.sockets[0].say(b'{"e":"serverShutdown","E":1}')
        await rig.settle()
        rig.net.sockets[0].cut()
        assert rig.sink.statuses[-1] == (0, False, "disconnected")
        await rig.pass_time(5)
        assert rig.connection.connected

    rig.run(scenario)


def test_what_the_address_had_no_room_for_is_asked_for_slowly_and_after_each_cut(bench, instrument) -> None:
    rig = Rig(bench().sink, [instrument()], (b"1", b"2", b"3"))

    async def scenario() -> None:
        assert rig.net.sockets[0].asked == [b"1"]
        await rig.pass_time(0.3)
        assert rig.net.sockets[0].asked == [b"1", b"2"]
        await rig.pass_time(1)
        assert rig.net.sockets[0].asked == [b"1", b"2", b"3"]
        rig.net.sockets[0].cut()
        await rig.pass_time(2)
        assert rig.net.sockets[1].asked == [b"1", b"2", b"3"]

    rig.run(scenario)


def test_a_cut_while_it_asks_opens_another(bench, instrument) -> None:
    rig = Rig(bench().sink, [instrument()], (b"1", b"2", b"3"))

    async def scenario() -> None:
        rig.net.sockets[0].closed = True  # and nobody was told yet
        await rig.pass_time(3)
        assert rig.net.sockets[0].asked == [b"1"]
        assert rig.net.sockets[1].asked == [b"1", b"2", b"3"]

    rig.run(scenario)


def test_a_thousand_cuts_leave_one_connection_and_one_timer(bench, instrument, frames) -> None:
    rig = make_rig(bench, instrument)
    rig.net.snapshot = frames.snapshot(1)

    async def scenario() -> None:
        for _ in range(1_000):
            await rig.pass_time(0.2, talker(rig, frames))
            if rig.open:
                socket = rig.open[-1]
                socket.cut()
                socket.closed = True
            await rig.pass_time(31)
        assert len(rig.connection._links) <= 1
        assert len(rig.time._heap) < 50

    rig.run(scenario)
    assert rig.connection.connects > 500


def test_a_handshake_that_is_told_to_wait_is_made_again_after_that_and_everybody_is_told(
    bench, instrument, frames
) -> None:
    rig = make_rig(bench, instrument)
    rig.net.snapshot = frames.snapshot(1)
    told = tell(rig.snapshots)

    async def scenario() -> None:
        await rig.pass_time(2, talker(rig, frames))
        rig.net.refuse, rig.net.refusal = 1, NetError("cannot connect: HTTP 418", 418, 90)
        rig.net.sockets[0].cut()
        await rig.pass_time(60)
        assert (len(rig.net.attempts), told) == (2, [(418, 90_000)])
        rig.snapshots.hold(100_000)  # orders were told too
        await rig.pass_time(99)
        assert len(rig.net.attempts) == 2
        await rig.pass_time(2)
        assert (len(rig.net.attempts), rig.connection.connected) == (3, True)

    rig.run(scenario)


# --- exchanges with rules of their own ----------------------------------------------------------------------
def test_a_connection_that_misses_a_frame_is_opened_anew(bench, instrument, frames) -> None:
    rig = make_rig(bench, instrument)
    rig.net.snapshot = frames.snapshot(1)
    rig.core.sequence = lambda payload: int(payload[-2:-1]) if payload.endswith(b"#") else -1

    async def scenario() -> None:
        await rig.pass_time(2, talker(rig, frames))
        first = rig.net.sockets[0]
        for number in (4, 5):  # from wherever it begins
            first.say(b"%d#" % number)
        first.say(frames.quote(50))  # one without a number
        assert not first.closed
        taken = len(rig.sink.ticks)
        first.say(b"7#")
        assert rig.sink.statuses[-1] == (0, False, "disconnected")
        first.say(frames.quote(51))  # the tail of a connection that was given up
        assert len(rig.sink.ticks) == taken
        await rig.pass_time(5, talker(rig, frames))
        assert len(rig.net.sockets) == 2
        rig.net.sockets[1].say(b"9#")

    rig.run(scenario)
    assert rig.connection.ends == {"sequence": 1}
    assert rig.sink.statuses[-2][:2] == (0, True)


def test_where_updates_have_no_ids_a_planned_change_cuts_first(bench, instrument, frames) -> None:
    rig = make_rig(bench, instrument)
    rig.net.snapshot = frames.snapshot(1)
    rig.connection._subscription = replace(rig.connection._subscription, overlaps=False)

    async def scenario() -> None:
        await rig.pass_time(2, talker(rig, frames))
        first = rig.net.sockets[0]
        first.say(b'{"e":"serverShutdown","E":1}')
        await rig.pass_time(0.01)
        assert rig.open == [rig.net.sockets[1]]  # at once, and never both
        taken = len(rig.sink.ticks)
        first.say(frames.quote(999_999))
        assert len(rig.sink.ticks) == taken
        assert rig.sink.statuses[-1] == (0, False, "disconnected")
        assert rig.connection.connected

    rig.run(scenario)
    assert rig.connection.ends == {"shutdown": 1}


def test_an_exchange_that_wants_to_hear_from_us_does(bench, instrument, frames) -> None:
    rig = make_rig(bench, instrument)
    rig.net.snapshot = frames.snapshot(1)
    rig.connection._subscription = replace(rig.connection._subscription, ping=b"ping", ping_s=20.0)

    async def scenario() -> None:
        await rig.pass_time(65, talker(rig, frames))

    rig.run(scenario)
    assert rig.net.sockets[0].asked == [b"ping"] * 4


def test_a_book_of_the_stream_is_asked_for_by_its_connection_until_it_comes(
    bench, instrument, frames
) -> None:
    rig = make_rig(bench, instrument)
    rig.snapshots._urls = [""]
    anew = {0: (b"unsubscribe", b"subscribe")}
    rig.connection._subscription = replace(rig.connection._subscription, anew=anew)

    async def scenario() -> None:
        socket = rig.net.sockets[0]
        socket.say(frames.depth(10, 10))
        await rig.pass_time(1)
        assert socket.asked == [b"unsubscribe", b"subscribe"]
        await rig.pass_time(5)
        assert socket.asked == [b"unsubscribe", b"subscribe"] * 2
        socket.say(frames.snapshot(10))
        assert rig.sink.statuses == [(0, True, "snapshot")]
        await rig.pass_time(5)
        assert len(socket.asked) == 4

    rig.run(scenario)

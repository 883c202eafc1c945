"""What of a feed a tape gets: all that its core takes, in that order, stamped once."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from daemon.feeds.base import Subscription
from daemon.feeds.connections import FeedConnections
from daemon.feeds.taped import tape_snapshots, tape_ways
from daemon.seams import Seams
from tests.daemon.feeds.test_connections import Asked, Chance, Network


class Tape:
    """Remembers what it is given."""

    def __init__(self):
        self.names = []
        self.entries = []

    def stream(self, name):
        self.names.append(name)
        return len(self.names) - 1

    def take(self, stream, wire_ns, last, payload):
        self.entries.append((self.names[stream], wire_ns, last, payload))


@pytest.fixture
def feed(bench, instrument):
    """Two connections of three instruments onto a tape: (bench, tape, network, turn, time)."""
    one = bench(*(instrument(index=k, symbol=f"B{k}/USDT") for k in range(3)))
    time, net, tape = one.time, Network(), Tape()
    subscriptions = [Subscription("ws://a", (0, 1)), Subscription("ws://b", (2,))]
    seams = Seams(time, time, net, None, None, Chance())
    both = FeedConnections(
        one.core, subscriptions, Asked(), seams, stale_ms=5_000, ways=tape_ways(tape, seams.clock)
    )
    return one, tape, net, both


async def turn():
    for _ in range(10):
        await asyncio.sleep(0)


def running(both, work):
    async def scenario():
        task = asyncio.create_task(both.run())
        await turn()
        await work()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_frames_are_recorded_with_the_stamp_and_the_drain_that_the_core_gets(feed, frames):
    one, tape, net, both = feed

    async def work():
        one.time.advance(2_000)
        first, second = frames.trade(name="b0usdt"), frames.trade(name="b2usdt")
        net.opened[0][1].on_frame(first, False)
        net.opened[1][1].on_frame(second, True)
        assert tape.entries == [("feed/0", 2_000, False, first), ("feed/1", 2_000, True, second)]
        assert [(tick.instrument, tick.wire_ns) for tick in one.sink.ticks] == [(0, 2_000), (2, 2_000)]
        assert one.sink.drains == [2_000]

    running(both, work)


def test_a_cut_is_recorded_before_its_books_are_lost_and_a_dead_link_s_tail_is_not(feed, frames):
    one, tape, net, both = feed

    async def work():
        gone = net.opened[1][1]
        gone.on_close("reset")
        gone.on_close("again")
        await turn()
        assert tape.entries == [("cut/1", one.time.now_ns(), False, b"")]
        gone.live = False
        gone.on_frame(frames.trade(name="b2usdt"), True)
        assert len(tape.entries) == 1

    running(both, work)


def test_a_frame_that_shows_a_hole_in_the_numbers_is_a_cut_and_no_frame(bench, instrument):
    one = bench(instrument())
    one.core.sequence = int
    net, tape = Network(), Tape()
    seams = Seams(one.time, one.time, net, None, None, Chance())
    alone = FeedConnections(
        one.core,
        [Subscription("ws://a", (0,))],
        Asked(),
        seams,
        stale_ms=5_000,
        ways=tape_ways(tape, seams.clock),
    )

    async def work():
        link = net.opened[0][1]
        for payload in (b"5", b"6", b"8", b"9"):
            link.on_frame(payload, True)
        assert [(name, payload) for name, _, _, payload in tape.entries] == [
            ("feed/0", b"5"),
            ("feed/0", b"6"),
            ("cut/0", b""),
        ]

    running(alone, work)


def test_whole_books_are_recorded_and_handed_on(instrument):
    tape, taken = Tape(), []
    take = tape_snapshots(
        tape, [instrument(), instrument(symbol="ETH/USDT")], lambda *what: taken.append(what)
    )
    take(1, b"{}", 7)
    assert tape.entries == [("snapshot/ETH/USDT", 7, False, b"{}")]
    assert taken == [(1, b"{}", 7)]


def test_what_was_recorded_makes_the_same_of_another_core(feed, bench, instrument, frames):
    one, tape, net, both = feed
    books = tape_snapshots(tape, one.core_instruments, one.core.process_snapshot)

    async def work():
        link = net.opened[0][1]
        link.on_frame(frames.depth(1, 2, name="b0usdt"), True)
        books(0, frames.snapshot(1), one.time.now_ns())
        link.on_frame(frames.depth(3, 4, bids='["99.00","1"]', name="b0usdt"), True)
        link.on_frame(frames.depth(9, 9, name="b0usdt"), True)
        books(0, frames.snapshot(9), one.time.now_ns())
        link.on_close("reset")

    running(both, work)
    other = bench(*one.core_instruments)
    for name, wire_ns, last, payload in tape.entries:
        kind, _, what = name.partition("/")
        if kind == "feed":
            other.core.process(payload, wire_ns, last)
        elif kind == "snapshot":
            other.core.process_snapshot(int(what[1]), payload, wire_ns)
        else:
            other.core.disconnected([[0, 1], [2]][int(what)])
    assert other.sink.statuses == one.sink.statuses
    assert other.sink.books == one.sink.books
    assert other.sink.statuses[-1] == (0, False, "disconnected")

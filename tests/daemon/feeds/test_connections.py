"""Several connections of one feed: each with its own instruments, all told of what concerns them all."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from daemon.clock import VirtualTime
from daemon.feeds.base import Control, Subscription
from daemon.feeds.connections import FeedConnections
from daemon.seams import Seams


class Wire:
    def __init__(self) -> None:
        self.closed = False

    def send(self, payload: bytes) -> None:
        raise AssertionError("there was room in the address")

    def close(self) -> None:
        self.closed = True


class Network:
    """Opens whatever it is asked for."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, object]] = []

    async def connect(self, url, handler) -> Wire:
        self.opened.append((url, handler))
        return Wire()


class Asked:
    """Remembers which instruments were forgotten; nobody has to keep still."""

    held_s = 0.0

    def __init__(self) -> None:
        self.forgotten: list[int] = []

    def forget(self, index: int) -> None:
        self.forgotten.append(index)


class Chance:
    def random(self) -> float:
        return 0.5

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


def test_where_there_is_none_nobody_is_late(bench, instrument) -> None:
    time = VirtualTime(10**18)
    seams = Seams(time, time, Network(), None, None, Chance())
    none = FeedConnections(bench(instrument()).core, [], Asked(), seams, stale_ms=5_000)
    assert (none.acted_ns, none.connected) == (time.mono_ns(), True)


def test_each_has_its_instruments_and_an_announcement_is_for_all(bench, instrument) -> None:
    core = bench(*(instrument(index=k, symbol=f"B{k}/USDT") for k in range(3))).core
    time, net, asked = VirtualTime(10**18), Network(), Asked()
    subscriptions = [Subscription("ws://a", (0, 1)), Subscription("ws://b", (2,))]
    seams = Seams(time, time, net, None, None, Chance())
    both = FeedConnections(core, subscriptions, asked, seams, stale_ms=5_000)

    async def turn() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def scenario() -> None:
        assert not both.connected
        task = asyncio.create_task(both.run())
        await turn()
        assert (both.connected, [url for url, _ in net.opened]) == (True, ["ws://a", "ws://b"])
        net.opened[1][1].on_close("reset")
        await turn()
        assert (both.connected, asked.forgotten) == (False, [2])
        time.advance(time.now_ns() + 10**9)
        await turn()
        assert (both.connected, both.reconnects) == (True, 1)
        core.on_control(Control("shutdown"))
        await turn()
        assert [url for url, _ in net.opened[3:]] == ["ws://a", "ws://b"]
        time.advance(time.now_ns() + 10**9)
        core.on_control(Control("shutdown"))  # the other connection announces the same end
        await turn()
        assert len(net.opened) == 5
        time.advance(time.now_ns() + 60 * 10**9)
        core.on_control(Control("shutdown"))
        await turn()
        assert len(net.opened) > 5
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(scenario())

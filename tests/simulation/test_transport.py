"""Connections in memory: bytes in order and in any pieces, full ways, resets, silence; clients on them."""

from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace

import pytest
from aiohttp import web

from daemon.clock import VirtualTime
from daemon.errors import NetError
from daemon.net import RealNet
from tests.simulation.byte_net import on_virtual_time
from tests.simulation.loop import ByteLoop
from tests.simulation.transport import HIGH_BYTES, WINDOW_BYTES, Network
from tests.simulation.weather import Weather

ORDERS, OTHERS = 9001, 9000
SECOND = 1_000_000_000


class Place:
    """A network, its weather, and whoever speaks on it."""

    def __init__(self, seed=1):
        self.time = VirtualTime(SECOND)
        self.random = Random(seed)
        self.weather = Weather(self)
        self.network = Network(self.time, Random(seed), self.weather, ORDERS)
        self.broken = []

    def on_broken(self, error):
        self.broken.append(error)

    async def open(self, port=ORDERS):
        """Return both protocols of a new connection, the daemon's first."""
        loop = asyncio.get_running_loop()
        far = Speaker()
        await loop.create_server(lambda: far, "localhost", port)
        _, near = await loop.create_connection(Speaker, "localhost", port)
        return near, far

    @property
    def link(self):
        (link,) = self.network.links
        return link


class Speaker(asyncio.Protocol):
    def __init__(self):
        self.heard, self.reads = b"", 0
        self.said_to = []  # what the transport told it
        self.lost = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.heard += data
        self.reads += 1

    def pause_writing(self):
        self.said_to.append("pause")

    def resume_writing(self):
        self.said_to.append("resume")

    def connection_lost(self, exc):
        assert not self.lost
        self.lost = type(exc).__name__


def play(main, place=None):
    place = place or Place()
    loop = ByteLoop(place.time, place.network)
    asyncio.set_event_loop(loop)
    try:
        with on_virtual_time(place):
            return loop.run_until_complete(main(place))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_bytes_arrive_in_order_in_other_pieces_than_they_were_written_in():
    async def main(place, shredding):
        place.weather.shredding = shredding
        near, far = await place.open(OTHERS)
        said = [place.random.randbytes(place.random.randint(1, 300)) for _ in range(400)]
        for number, part in enumerate(said):
            (near if number % 2 else far).transport.write(part)
            await asyncio.sleep(0.003 * place.random.random())
        await asyncio.sleep(60)
        assert far.heard == b"".join(said[1::2])
        assert near.heard == b"".join(said[::2])
        return near.reads

    whole, shredded = (play(lambda place, how=how: main(place, how), Place(4)) for how in (False, True))
    assert 150 < whole < 250
    assert shredded > 2 * whole


def test_a_way_that_nobody_reads_at_its_end_fills_and_pauses_who_writes_until_it_is_read():
    async def main(place):
        near, far = await place.open()
        place.weather.unread_until_ns[True] = place.time.now_ns() + 5 * SECOND
        fits = WINDOW_BYTES[True] + HIGH_BYTES[True]
        near.transport.write(bytes(fits))
        assert near.said_to == []
        near.transport.write(b"x")
        assert near.said_to == ["pause"]
        far.transport.write(b"the other way is free")
        await asyncio.sleep(1)
        assert (near.heard, far.heard) == (b"the other way is free", b"")
        await asyncio.sleep(60)
        assert near.said_to == ["pause", "resume"]
        assert far.heard == bytes(fits) + b"x"

    play(main)


@pytest.mark.parametrize("size", [0, 7, 150])
def test_a_reset_lets_so_many_bytes_through_and_is_told_to_both(size):
    async def main(place):
        near, far = await place.open()
        place.link.near.breaks_after = size
        far.transport.write(bytes(100))
        await asyncio.sleep(1)
        far.transport.write(bytes(100))
        await asyncio.sleep(1)
        assert near.heard == bytes(size)
        assert near.lost == far.lost == "ConnectionResetError"
        assert place.network.links == []

    play(main)


@pytest.mark.parametrize(("up", "down"), [(True, True), (True, False), (False, True)])
def test_what_is_swallowed_is_told_to_nobody_not_even_its_end(up, down):
    async def main(place):
        near, far = await place.open()
        place.link.near.swallows, place.link.far.swallows = up, down
        near.transport.write(b"up")
        far.transport.write(b"down")
        await asyncio.sleep(3600)
        assert far.heard == (b"" if up else b"up")
        assert near.heard == (b"" if down else b"down")
        near.transport.close()
        await asyncio.sleep(3600)
        assert near.lost == "NoneType"
        assert far.lost == (None if up else "NoneType")

    play(main)


def test_a_process_that_dies_leaves_what_had_left_it_and_an_end_and_in_the_dark_neither():
    async def main(place, silently):
        near, far = await place.open()
        near.transport.write(bytes(WINDOW_BYTES[True]) + b"still in the process")
        place.network.die(None, silently=silently)
        await asyncio.sleep(3600)
        return len(far.heard), far.lost

    assert play(lambda place: main(place, silently=False)) == (WINDOW_BYTES[True], "NoneType")
    heard, lost = play(lambda place: main(place, silently=True))
    assert (heard, lost) == (WINDOW_BYTES[True], None)


def test_a_close_waits_for_what_is_still_to_leave_unless_the_other_end_is_gone():
    async def main(place, gone):
        near, far = await place.open()
        place.weather.unread_until_ns[True] = place.time.now_ns() + 5 * SECOND
        near.transport.write(bytes(5000))
        near.transport.close()
        await asyncio.sleep(1)
        assert near.lost is None
        if gone:
            far.transport.close()
        await asyncio.sleep(10)
        return near.lost, far.lost, len(far.heard)

    assert play(lambda place: main(place, gone=False)) == ("NoneType", "NoneType", 5000)
    near, far, heard = play(lambda place: main(place, gone=True))
    assert (near, far, heard) == ("NoneType", "NoneType", 0)


@pytest.mark.parametrize("transport", ["picows", "websockets"])
def test_the_clients_say_why_they_cannot_be_connected(transport):
    async def main(place):
        net = RealNet(transport=transport)
        refusals = []
        for name, value in (("unresolved", True), ("unresolved", False)):
            setattr(place.weather, name, value)
            for asked in (
                lambda: net.connect("ws://localhost:9000/", SimpleNamespace(on_frame=None)),
                lambda: net.request("GET", "http://localhost:9000/", {}, b"", 1.0),
            ):
                with pytest.raises(NetError) as refused:
                    await asked()
                refusals.append(str(refused.value))
        await net.close()
        return refusals

    unresolved, unresolved_too, refused, refused_too = play(main)
    assert "Temporary failure in name resolution" in unresolved
    assert "Temporary failure in name resolution" in unresolved_too
    assert "Connection refused" in refused
    assert "Connection refused" in refused_too


def test_an_exception_in_the_exchange_s_server_ends_the_play():
    async def fail(_):
        raise LookupError("a bug")

    async def main(place):
        app = web.Application()
        app.router.add_get("/", fail)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "localhost", OTHERS).start()
        net = RealNet()
        assert (await net.request("GET", "http://localhost:9000/", {}, b"", 1.0)).status == 500
        await net.close()
        await runner.cleanup()
        return place.broken

    (error,) = play(main)
    assert str(error) == "a bug"


@pytest.mark.parametrize("transport", ["picows", "websockets"])
@pytest.mark.parametrize("shredding", [False, True])
def test_the_clients_give_whole_messages_and_each_read_s_end(transport, shredding):
    """Frames that arrive at one moment are one drain; a frame in pieces is one message."""
    said = [bytes([65 + number % 26]) * (number * 37 % 900 + 1) for number in range(200)]

    async def serve(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for payload in said:
            await socket.send_str(payload.decode())
            await asyncio.sleep(0.001)
        assert (await socket.receive()).data == "heard"
        await socket.close()
        return socket

    async def main(place):
        app = web.Application()
        app.router.add_get("/", serve)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "localhost", OTHERS).start()
        place.weather.shredding = shredding
        net, frames, ends = RealNet(transport=transport), [], []
        handler = SimpleNamespace(on_frame=lambda *frame: frames.append(frame), on_close=ends.append)
        wire = await net.connect("ws://localhost:9000/", handler)
        await asyncio.sleep(5)
        wire.send(b"heard")
        await asyncio.sleep(5)
        await net.close()
        await runner.cleanup()
        assert place.broken == []
        return frames, ends

    frames, ends = play(main)
    assert [payload for payload, _ in frames] == said
    assert ends == ["the other side closed with code 1000"]
    lasts = sum(last for _, last in frames)
    assert 40 < lasts < 200  # many reads, some of several frames

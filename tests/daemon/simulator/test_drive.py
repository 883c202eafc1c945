"""Pacing, on an event loop whose time the test owns."""

import asyncio

import pytest

from daemon.simulator import drive
from daemon.simulator.drive import TapeRun, run_synthetic
from daemon.simulator.publisher import Publisher
from daemon.simulator.settings import World
from daemon.simulator.streams import MarketSession
from daemon.simulator.tape import TapePlayer, scan
from tests.daemon.simulator.conftest import DEPTH, QUOTE, SNAPSHOT, TRADE


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop that never sleeps: when nothing is ready it jumps to its next timer."""

    def __init__(self):
        super().__init__()
        self.jumped_s = 0.0

    def time(self):
        return self.jumped_s

    def _run_once(self):
        if not self._ready and self._scheduled:
            self.jumped_s = max(self.jumped_s, self._scheduled[0]._when)
        super()._run_once()


class LoopClock:
    """The loop's own time as the clock."""

    def mono_ns(self):
        return int(asyncio.get_running_loop().time() * 1e9)

    def now_ns(self):
        return self.mono_ns() + 10**18


def run(work):
    loop = JumpingLoop()
    try:
        return loop.run_until_complete(asyncio.wait_for(work, 1_000))
    finally:
        loop.close()


class Stage:
    """A tape, its run, and what was said."""

    def __init__(self, kit, outbox, path, speed):
        facts = scan(path)
        self.gateway = kit.gateway
        self.outbox = outbox
        publisher = Publisher(self.gateway.hub, kit.market, facts.streams)
        self.player = TapePlayer(path, facts, self.gateway.hub, publisher, [kit.market])
        self.said = []
        world = World({"spot": self.gateway}, self.player, [], facts.streams)
        self.run = TapeRun(world, "spot", speed, LoopClock(), self.said.append)

    def listen(self, *streams):
        MarketSession(self.gateway.hub, self.outbox, list(streams), True, 1024)

    async def play(self):
        await self.run.run(self.ready)

    async def ready(self):
        pass


@pytest.fixture
def stage(kit, make_outbox):
    return lambda path, speed=1.0: Stage(kit, make_outbox(), path, speed)


def test_a_tape_is_played_at_its_own_pace_times_the_speed(stage, write):
    one = stage(write(*[QUOTE] * 5), speed=1e-6)  # a microsecond of tape a second
    times = []

    async def work():
        one.listen("btcusdt@bookTicker")
        one.outbox.send = lambda payload: times.append(asyncio.get_running_loop().time())
        await one.play()

    run(work())
    assert times == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0], abs=0.01)
    assert [message["event"] for message in one.said] == ["tape_started", "tape_ended"]
    assert one.said[1]["frames"] == 5
    assert one.run.state == "ended"


def test_the_tape_starts_once_every_expected_stream_is_heard(stage, write):
    one = stage(write(QUOTE, TRADE), speed=0.0)
    states = []

    async def work():
        playing = asyncio.ensure_future(one.play())
        await asyncio.sleep(100)
        states.append(one.run.state)
        one.listen("btcusdt@bookTicker")
        await asyncio.sleep(drive.GRACE_S / 2)
        states.append(one.run.state)
        one.listen("btcusdt@trade")
        await playing

    run(work())
    assert states == ["waiting", "waiting"]
    assert len(one.outbox.sent) == 2


def test_some_streams_alone_are_enough_after_a_grace(stage, write):
    one = stage(write(QUOTE, TRADE), speed=0.0)

    async def work():
        one.listen("btcusdt@bookTicker")
        await one.play()
        return asyncio.get_running_loop().time()

    assert run(work()) == pytest.approx(drive.GRACE_S, abs=0.01)
    assert len(one.outbox.sent) == 1


def test_the_control_port_can_start_it_for_nobody(stage, write):
    one = stage(write(QUOTE, TRADE), speed=0.0)

    async def work():
        playing = asyncio.ensure_future(one.play())
        await asyncio.sleep(1)
        one.run.start()
        await playing

    run(work())
    assert one.said[-1]["frames"] == 2


def test_time_spent_waiting_for_the_book_is_not_made_up_for(stage, write, kit):
    one = stage(write(DEPTH % (8, 9, "99.00", "5"), SNAPSHOT, QUOTE, QUOTE), speed=1e-6)
    times = []

    async def work():
        one.listen("btcusdt@bookTicker", "btcusdt@depth@100ms")
        one.outbox.send = lambda payload: times.append(asyncio.get_running_loop().time())
        playing = asyncio.ensure_future(one.play())
        await asyncio.sleep(3)
        kit.rest("GET", "depth", symbol="BTCUSDT")
        await playing

    run(work())
    assert times == pytest.approx([0.0, 4.0, 5.0], abs=0.01)


def test_the_tape_goes_on_when_nobody_asks_for_the_book(stage, write):
    one = stage(write(DEPTH % (8, 9, "99.00", "5"), SNAPSHOT, QUOTE), speed=0.0)

    async def work():
        one.listen("btcusdt@bookTicker", "btcusdt@depth@100ms")
        await one.play()
        return asyncio.get_running_loop().time()

    assert run(work()) == pytest.approx(drive.PATIENCE_S, abs=0.01)
    assert len(one.outbox.sent) == 2


def test_listeners_who_have_not_read_hold_the_tape_back(stage, write):
    one = stage(write(*[QUOTE] * 3), speed=0.0)
    asked = []

    async def slow():
        asked.append(len(one.outbox.sent))
        await asyncio.sleep(10)

    one.ready = slow

    async def work():
        one.listen("btcusdt@bookTicker")
        await one.play()
        return asyncio.get_running_loop().time()

    assert run(work()) == pytest.approx(10, abs=0.01)
    assert asked == [3]


def test_a_line_that_is_no_frame_is_said_and_ends_the_tape(stage, write):
    path = write(QUOTE, QUOTE, QUOTE)
    one = stage(path, speed=0.0)
    path.write_bytes(b"")
    one.player._lines = iter_that_fails()

    async def work():
        one.listen("btcusdt@bookTicker")
        await one.play()

    run(work())
    assert one.said[-1] == {"event": "tape_failed", "frames": 1, "error": "line 2 is no frame"}
    assert one.run.state == "failed"


def iter_that_fails():
    from daemon.errors import FileFormatError

    yield from ()
    raise FileFormatError("line 2 is no frame")


class Driver:
    def __init__(self):
        self.until = []

    def advance(self, until_ns):
        self.until.append(until_ns)
        return 0


def test_a_synthetic_market_keeps_up_with_the_clock(monkeypatch):
    driver, calls = Driver(), []

    async def work():
        task = asyncio.ensure_future(run_synthetic([driver], LoopClock(), lambda: calls.append(1)))
        await asyncio.sleep(1)
        task.cancel()

    run(work())
    assert len(driver.until) == len(calls) == pytest.approx(1 / drive.STEP_S, abs=2)
    assert driver.until[-1] == pytest.approx(10**18 + 10**9, abs=10**7)


def test_after_a_long_stall_the_market_skips_and_catches_up_in_small_steps():
    driver = Driver()

    class Stalling(LoopClock):
        stall_ns = 0

        def now_ns(self):
            return super().now_ns() + self.stall_ns

    clock = Stalling()

    async def work():
        task = asyncio.ensure_future(run_synthetic([driver], clock, lambda: None))
        await asyncio.sleep(0.1)
        clock.stall_ns = 3_600 * 10**9
        await asyncio.sleep(0.1)
        task.cancel()

    run(work())
    steps = [later - earlier for earlier, later in zip(driver.until, driver.until[1:], strict=False)]
    jump = max(range(len(steps)), key=steps.__getitem__)
    assert steps[jump] >= (3_600 - 11) * 10**9
    assert all(step <= 10**9 + 10**7 for step in steps[jump + 1 :])
    assert driver.until[-1] == pytest.approx(10**18 + 3_600 * 10**9, abs=10**9)

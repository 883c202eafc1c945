"""The network of a feed through ccxt: ccxt.pro's own classes at exchanges on loopback."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from ccxt.base.decimal_to_precision import DECIMAL_PLACES, SIGNIFICANT_DIGITS, TICK_SIZE
from structlog.testing import capture_logs

from daemon.clock import LoopScheduler, SystemClock
from daemon.config import FeedConfig
from daemon.errors import ConfigError, NetError
from daemon.feeds.ccxt_net import CcxtNet, rules_of
from daemon.feeds.ccxt_rest import CcxtExchange, Rules
from daemon.feeds.connections import FeedConnections
from daemon.feeds.core import FeedCore
from daemon.feeds.snapshots import SnapshotFetcher
from daemon.seams import Seams
from daemon.simulator.auth import Key
from daemon.simulator.server import running
from daemon.simulator.settings import SimulatorSettings
from kernels import book as books
from kernels.dtypes import BUY
from kernels.ring import new_rings
from tests.daemon.feeds.conftest import Sink
from tests.daemon.feeds.loopback import Exchange
from tests.daemon.feeds.test_paper_ccxt import OkxOfNow
from tests.daemon.feeds.test_paper_kraken import LEVELS, Kraken

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from daemon.instruments import Instrument

PAIR = "BTC/USDT"


KEY = Key("k" * 64, "main", secret=b"s" * 64)


class Handler:
    """A feed's core behind a websocket."""

    def __init__(self, instruments: list[Instrument]) -> None:
        self.clock = SystemClock()
        self.instruments = instruments
        rings = new_rings(len(instruments))
        self.sink = Sink(rings)
        decoder = CcxtExchange("ccxt:x").decoder(instruments)
        self.core = FeedCore(instruments, rings, self.sink, decoder, lambda _: None, self.clock)
        self.closed: list[str] = []
        self.came: list[tuple[bytes, int]] = []

    def on_frame(self, payload: bytes, last: bool) -> None:
        wire_ns = self.clock.now_ns()
        self.came.append((payload, wire_ns))
        self.core.process(payload, wire_ns, last)

    def on_close(self, reason: str) -> None:
        self.closed.append(reason)

    async def until(self, look: Callable[[], Any]) -> None:
        async with asyncio.timeout(30):
            while not look():  # noqa: ASYNC110 - looks at what nobody tells of
                await asyncio.sleep(0.02)


class Deaf:
    """Hears nothing."""

    def on_frame(self, payload: bytes, last: bool) -> None:
        raise AssertionError

    def on_close(self, reason: str) -> None:
        raise AssertionError


def net_of(name: str, urls: tuple[str, str], **more: Any) -> CcxtNet:
    config = FeedConfig(symbols=(PAIR,), exchange=f"ccxt:{name}", rest_url=urls[0], ws_url=urls[1], **more)
    return CcxtNet(config, SystemClock())


async def follow(net: CcxtNet, name: str, pair: str = PAIR) -> tuple[Handler, Any]:
    """Connect as the feed does; return who hears it, and the wire."""
    exchange = CcxtExchange(f"ccxt:{name}")
    answer = await net.request("GET", exchange.instruments_url("spot", [pair]), {}, b"", 1)
    instruments = exchange.instruments("spot", [pair], answer.body)
    handler = Handler(instruments)
    [one] = exchange.subscriptions("spot", instruments, ["trade", "quote", "depth"])
    wire = await net.connect(one.url, handler)
    for request in one.requests:
        wire.send(request)
    return handler, wire


def on_loopback(work: Callable[[CcxtNet], Coroutine[Any, Any, None]], **more: Any) -> None:
    """Run `work(net)` with ccxt's Binance at the simulated exchange; no error may be lost."""
    faults: list[Any] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        settings = SimulatorSettings(key=KEY, symbols=(PAIR,))
        async with running(settings, SystemClock(), Random(1), lambda message: None) as urls:
            net = net_of("binance", (urls["spot"], urls["spot"].replace("http", "ws")), **more)
            try:
                await work(net)
            finally:
                await net.close()

    asyncio.run(asyncio.wait_for(main(), 120))
    assert faults == []


def test_ccxt_s_binance_brings_trades_quotes_and_a_whole_book_of_the_simulated_exchange() -> None:
    async def work(net: CcxtNet) -> None:
        handler, _ = await follow(net, "binance")
        core, lane = handler.core, handler.core.lanes[0]
        await handler.until(lambda: lane.trade.count > 3 and lane.quote.count > 20 and lane.depth.count > 20)
        assert (core.errors, lane.gaps, lane.snapshots) == ({}, {}, 1)
        assert lane.sync.synced
        assert lane.trade_ids.repeated == 0
        *_, bid, ask = handler.sink.books[-1]
        assert 0 < bid < ask
        newest = handler.sink.ticks[-1]
        assert abs(newest.a / (bid * 0.01) - 1) < 0.01
        again = Handler(handler.instruments)  # what is recorded of it comes to the same
        for payload, wire_ns in handler.came:
            again.core.process(payload, wire_ns, True)
        assert again.sink.ticks == handler.sink.ticks
        assert again.sink.books == handler.sink.books

    on_loopback(work)


def test_the_rules_are_those_that_the_exchange_tells() -> None:
    async def work(net: CcxtNet) -> None:
        answer = await net.request("GET", "ccxt:binance/spot", {}, b"", 1)
        rules = {one.symbol: one for one in msgspec.json.decode(answer.body, type=list[Rules])}
        [one] = CcxtExchange("ccxt:binance").instruments("spot", [PAIR], answer.body)
        assert set(rules) == {PAIR}
        assert (str(one.tick_size), str(one.lot_size.normalize())) == ("0.01", "0.00001")
        assert (one.notional_min, one.status) == (5, "TRADING")
        answer = await net.request("GET", "ccxt:binance/usdm", {}, b"", 1)
        assert answer.body == b"[]"

    on_loopback(work)


def test_the_markets_are_asked_for_once_a_minute_at_most() -> None:
    class Later(SystemClock):
        later_ns = 0

        def mono_ns(self) -> int:
            return super().mono_ns() + self.later_ns

    async def main() -> None:
        exchange = Exchange(OkxOfNow)
        async with exchange.running() as urls:
            clock = Later()
            config = FeedConfig(symbols=(PAIR,), exchange="ccxt:okx", rest_url=urls[0], ws_url=urls[1])
            net = CcxtNet(config, clock)
            for later_s, times in ((0, 1), (59, 1), (61, 2)):
                clock.later_ns = later_s * 1_000_000_000
                answer = await net.request("GET", "ccxt:okx/spot", {}, b"", 1)
                assert msgspec.json.decode(answer.body, type=list[Rules])[0].symbol == PAIR
                assert exchange.paths.count("/api/v5/public/instruments?instType=SPOT") == times
            await net.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_lost_exchange_ends_the_wire_and_another_connection_brings_the_book_again() -> None:
    async def main() -> None:
        exchange = Exchange(OkxOfNow)
        async with exchange.running() as urls:
            net = net_of("okx", urls)
            handler, wire = await follow(net, "okx")
            lane = handler.core.lanes[0]
            await handler.until(lambda: lane.depth.count > 3)
            await exchange.cut()
            await handler.until(lambda: handler.closed)
            assert "closed by remote server" in handler.closed[0]
            with pytest.raises(NetError, match="okx takes nothing now"):
                wire.send(b"{}")
            again, _ = await follow(net, "okx")
            await again.until(lambda: again.core.lanes[0].sync.synced)
            await exchange.refuse_http()
            with pytest.raises(NetError, match="ccxt:okx tells no markets: ExchangeNotAvailable"):
                await net.connect("ccxt:okx/spot", again)
            await net.close()
            assert again.closed == ["closed by us"]

    asyncio.run(asyncio.wait_for(main(), 120))


class KrakenForAll(Kraken):
    """Kraken as it answers who asks for fewer levels than we do."""

    def answer(self, request: dict[str, Any]) -> Any:
        more = {"depth": 1000, "event_trigger": "bbo", "snapshot": False}
        yield from super().answer({**request, "params": {**request["params"], **more}})


def test_a_book_without_a_number_is_followed_and_called_unverified() -> None:
    async def main() -> None:
        exchange = Exchange(KrakenForAll)
        async with exchange.running() as urls:
            net = net_of("kraken", urls)
            handler, wire = await follow(net, "kraken", "BTC/USD")
            lane = handler.core.lanes[0]
            await handler.until(lambda: lane.depth.count > 3 and lane.quote.count > 3)
            assert (lane.sync.synced, lane.gaps, handler.core.errors) == (True, {}, {})
            assert len(books.levels(lane.book, BUY)[0]) == LEVELS
            with pytest.raises(NetError, match="the book of BTC/USD begins anew with the connection alone"):
                wire.send(b'{"verb":"anew","stream":"depth","symbol":"BTC/USD"}')
            await net.close()

    with capture_logs() as logs:
        asyncio.run(asyncio.wait_for(main(), 120))
    told = [line for line in logs if line["event"] == "book_unverified"]
    assert [(line["symbol"], line["exchange"]) for line in told] == [("BTC/USD", "kraken")]


def test_what_an_exchange_sends_that_ccxt_cannot_read_ends_the_wire_and_fails_nobody() -> None:
    faults: list[Any] = []

    class Odd(OkxOfNow):
        odd = False

        def go_on(self) -> Any:
            yield from super().go_on()
            if self.odd:
                yield self.book(b"update", b'[null,"1","0","1"]', self.update)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        exchange = Exchange(Odd)
        async with exchange.running() as urls:
            net = net_of("okx", urls)
            handler, _ = await follow(net, "okx")
            await handler.until(lambda: handler.core.lanes[0].sync.synced)
            exchange.voices[0].odd = True
            await handler.until(lambda: handler.closed)
            assert handler.closed[0].startswith("ccxt cannot read what okx sent: ")
            await net.close()
            assert handler.core.errors == {}

    asyncio.run(asyncio.wait_for(main(), 120))
    assert faults == []


def test_a_feed_that_falls_silent_is_opened_again_by_the_watchdog_above() -> None:
    class Mute(OkxOfNow):
        mute = False

        def go_on(self) -> Any:
            return iter(()) if self.mute else super().go_on()

    async def main() -> None:
        exchange = Exchange(Mute)
        async with exchange.running() as urls:
            clock = SystemClock()
            net = net_of("okx", urls)
            seams = Seams(clock, LoopScheduler(clock), net, None, None, Random(1))  # type: ignore[arg-type]
            handler, wire = await follow(net, "okx")  # for its instruments
            wire.close()
            core = handler.core
            snapshots = SnapshotFetcher([""], seams)
            subscriptions = CcxtExchange("ccxt:okx").subscriptions(
                "spot", handler.instruments, ["trade", "quote", "depth"]
            )
            feed = FeedConnections(core, subscriptions, snapshots, seams, stale_ms=500, backoff_s_max=0.5)
            task = asyncio.ensure_future(feed.run())
            await handler.until(lambda: core.lanes[0].sync.synced)
            exchange.voices[-1].mute = True
            await handler.until(lambda: core.lanes[0].gaps["disconnected"])
            await handler.until(lambda: core.lanes[0].sync.synced)
            assert feed.reconnects >= 1
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await net.close()

    asyncio.run(asyncio.wait_for(main(), 120))


def test_an_exchange_that_ccxt_has_not_is_refused_with_the_nearest() -> None:
    config = FeedConfig(symbols=(PAIR,), exchange="ccxt:krakn")
    with pytest.raises(ConfigError, match=r"ccxt.pro has no exchange 'krakn'; did you mean 'kraken'\?"):
        CcxtNet(config, SystemClock())


def test_where_hosts_are_limited_both_addresses_are_named() -> None:
    config = FeedConfig(symbols=(PAIR,), exchange="ccxt:kraken", rest_url="http://127.0.0.1:1")
    with pytest.raises(ConfigError, match=r"ccxt:kraken may reach 127.0.0.1 alone: name feed.rest_url and"):
        CcxtNet(config, SystemClock(), None, {"127.0.0.1"})


def test_an_exchange_that_wants_us_to_keep_still_is_a_429_with_its_time() -> None:
    class Busy(OkxOfNow):
        listing = b""

    async def main() -> None:
        exchange = Exchange(Busy)
        exchange.status = 429
        async with exchange.running() as urls:
            net = net_of("okx", urls)
            answer = await net.request("GET", "ccxt:okx/spot", {}, b"", 1)
            assert answer.status == 429
            assert int(answer.headers["Retry-After"]) in (16, 17)
            with pytest.raises(NetError, match="tells no markets") as caught:
                await net.connect("ccxt:okx/spot", Deaf())
            assert (caught.value.status, caught.value.retry_after_s) == (429, 17)
            await net.close()

    asyncio.run(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize(
    ("mode", "price", "amount", "steps"),
    [
        (TICK_SIZE, 0.01, 1e-08, ("0.01", "1E-8")),
        (DECIMAL_PLACES, 2, 8, ("0.01", "1E-8")),
        (SIGNIFICANT_DIGITS, 5, 8, ("", "")),
        (TICK_SIZE, None, 1e-08, ("", "")),
    ],
)
def test_steps_are_told_to_the_digit_or_not_at_all(mode: int, price: Any, amount: Any, steps: Any) -> None:
    market = {
        "symbol": PAIR,
        "precision": {"price": price, "amount": amount},
        "limits": {"amount": {"min": 0.0001, "max": None}, "cost": {"min": 5}},
        "active": None,
    }
    rules = rules_of(market, mode)
    assert (rules.tick_size, rules.lot_size) == steps
    if steps[0]:
        assert (rules.qty_min, rules.qty_max, rules.notional_min) == ("0.0001", "", "5")
    assert (rules.contract_size, rules.active) == ("1", True)
    swap = rules_of({**market, "contractSize": 0.01, "active": False}, mode)
    assert swap.active is False
    assert swap.contract_size == ("0.01" if steps[0] else "1")

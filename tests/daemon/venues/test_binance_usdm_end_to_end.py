"""The futures venue against the simulated exchange, which shares no code with it: another process."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from daemon.clock import LoopScheduler, SystemClock
from daemon.disk import RealDisk, ThreadWorker
from daemon.errors import ConfigError
from daemon.instruments import make_instrument
from daemon.net import RealNet
from daemon.orders.order import Order
from daemon.seams import Seams
from daemon.venues.binance_settings import UsdmSettings
from daemon.venues.binance_usdm import UsdmVenue
from daemon.venues.signing import Ed25519Signer, make_signer
from kernels.dtypes import BUY, REST, SELL, STOP, TARGET
from tests.daemon.venues.test_binance_end_to_end import API_KEY, PEM, PUBLIC, SECRET, Heard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from daemon.events import Funding
    from daemon.venues.signing import HmacSigner

KEYS = {"TICKD_SIMULATOR_KEY": API_KEY, "TICKD_SIMULATOR_SECRET": SECRET}
INSTRUMENT = make_instrument(
    0, "binance", "usdm", "BTC/USDT", tick_size="0.1", lot_size="0.001", qty_min="0.001", qty_max="9000",
    notional_min="100",
)  # fmt: skip


@asynccontextmanager
async def simulator(root: Path, *words: str, **keys: str) -> AsyncIterator[str]:
    """The simulated exchange; yields the address of its USD-M server."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "daemon.simulator", "--with-parent", "--seed", "1", "--market", "usdm", *words),
        cwd=root,
        env=os.environ | keys,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        while True:
            line = await asyncio.wait_for(process.stdout.readline(), 300)  # its first start compiles
            assert line, "the simulator ended before it was ready"
            said = json.loads(line)
            if said["event"] == "ready":
                break
        yield said["usdm"]
    finally:
        process.stdin.close()
        await process.communicate()


class UsdmHeard(Heard):
    def __init__(self) -> None:
        super().__init__()
        self.funded: list[Funding] = []

    def on_funding(self, funding: Funding) -> None:
        self.funded.append(funding)
        self._changed.set()

    def on_alarm(self, kind: str, text: str, wire_ns: int) -> None:
        """Nothing is made of it."""


class Session:
    """A venue connected to the simulator, and the market as it stands there."""

    def __init__(self, venue: UsdmVenue, heard: UsdmHeard, seams: Seams, url: str) -> None:
        self.venue = venue
        self.heard = heard
        self.seams = seams
        self._url = url

    async def ask(self, path: str) -> Any:
        """What the public REST interface answers."""
        answer = await self.seams.net.request("GET", f"{self._url}/fapi/v1/{path}", {}, b"", 5.0)
        return json.loads(answer.body)

    async def begun(self) -> None:
        """Wait for the market's first trade."""
        while not await self.ask("trades?symbol=BTCUSDT&limit=1"):  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.02)

    async def touch(self) -> tuple[int, int]:
        """Best bid and ask in ticks."""
        quote = await self.ask("ticker/bookTicker?symbol=BTCUSDT")
        return INSTRUMENT.price.parse(quote["bidPrice"]), INSTRUMENT.price.parse(quote["askPrice"])


def order(number: int, kind: int, side: int, price_ticks: int, qty_lots: int, reduces: bool = False) -> Order:
    return Order(
        client_order_id=f"demo-7-{number}",
        seq=number,
        strategy=0,
        instrument=0,
        slot=0,
        row=0,
        kind=kind,
        level=0,
        side=side,
        price_ticks=price_ticks,
        qty_lots=qty_lots,
        reduces=reduces,
    )


@asynccontextmanager
async def connected(url: str, signer: HmacSigner | Ed25519Signer, **settings: Any) -> AsyncIterator[Session]:
    clock = SystemClock()
    worker = ThreadWorker()
    net = RealNet(hosts={"127.0.0.1"})
    seams = Seams(clock, LoopScheduler(clock), net, RealDisk(), worker, random.Random(1))
    ws = url.replace("http", "ws")
    fields = {"ws_url": f"{ws}/ws-fapi/v1", "rest_url": url, "stream_url": f"{ws}/private"}
    venue = UsdmVenue(
        [INSTRUMENT], signer, UsdmSettings(**(fields | {"timeout_ms": 10_000} | settings)), seams
    )
    heard = UsdmHeard()
    try:
        await venue.start(heard)
        yield Session(venue, heard, seams, url)
    finally:
        await venue.stop()
        await net.close()
        worker.close()


async def _life_of_orders(session: Session) -> None:
    venue, heard = session.venue, session.heard
    await session.begun()
    started_ns = session.seams.clock.now_ns() - 1_000_000_000
    bid, ask = await session.touch()

    # a limit order that takes what stands there
    taker = order(1, TARGET, BUY, ask + 100_0, 20)
    venue.place(taker)
    trade = await heard.has(1, "TRADE")
    assert trade.last_ticks <= taker.price_ticks
    assert (trade.commission_asset, trade.is_maker) == ("USDT", False)
    await heard.until(lambda: sum(r.last_lots for r in heard.reports if r.kind == "TRADE") == 20)
    fills = [r for r in heard.reports if r.kind == "TRADE"]

    # one that rests, is lowered, asked about and cancelled
    resting = order(2, REST, BUY, bid - 500_0, 50)
    venue.place(resting)
    resting.venue_order_id = (await heard.has(2, "NEW")).venue_order_id
    venue.amend(resting, 40)
    assert (await heard.has(2, "REPLACED")).qty_lots == 40
    venue.query(resting)
    status = await heard.has(2, "STATUS")
    assert (status.status, status.qty_lots, status.price_ticks) == ("NEW", 40, bid - 500_0)
    stop = order(3, STOP, SELL, bid - 1000_0, 20, reduces=True)
    venue.place(stop)
    assert (await heard.has(3, "NEW", 2)).price_ticks == bid - 1000_0  # by the answer and by the stream
    snapshot = await venue.snapshot(started_ns)
    listed = {one.client_order_id: one for one in snapshot.open_orders}
    assert (listed["demo-7-2"].qty_lots, listed["demo-7-2"].stop) == (40, False)
    assert (listed["demo-7-3"].qty_lots, listed["demo-7-3"].stop) == (20, True)
    assert {t.trade_id for t in snapshot.trades} == {fill.trade_id for fill in fills}
    assert {t.client_order_id for t in snapshot.trades} == {"demo-7-1"}
    assert snapshot.positions == {0: 20}
    paid = sum(fill.commission for fill in fills)
    assert snapshot.balances["USDT"].free == 100_000 - paid
    venue.query(stop)
    assert (await heard.has(3, "STATUS")).status == "NEW"
    venue.cancel(resting)
    assert (await heard.has(2, "CANCELED", 2)).cum_lots == 0  # by the answer and by the stream
    venue.cancel(resting)
    assert (await heard.has(2, "CANCEL_REJECTED")).code == -2011
    venue.cancel(stop)
    await heard.has(3, "CANCELED", 2)
    venue.query(stop)
    assert (await heard.has(3, "STATUS", 2)).status == "CANCELED"

    # post-only that would take, one too small, a stop that would go off at once
    venue.place(order(4, REST, BUY, ask + 500_0, 10))
    assert (await heard.has(4, "REJECTED")).code == -5022
    venue.place(order(5, TARGET, BUY, ask, 1))
    assert (await heard.has(5, "REJECTED")).code == -4164
    venue.place(order(6, STOP, SELL, bid + 500_0, 20))
    assert (await heard.has(6, "REJECTED")).code == -2021

    # one that nobody knows, a stop that nobody knows, one that expires
    venue.query(order(7, TARGET, BUY, bid, 10))
    assert (await heard.has(7, "NOT_FOUND")).code == -2013
    venue.query(order(8, STOP, SELL, bid, 10))
    assert (await heard.has(8, "NOT_FOUND")).code == -2013
    venue.place(order(9, TARGET, BUY, bid - 500_0, 10))
    assert (await heard.has(9, "EXPIRED")).cum_lots == 0

    # a reduce-only order closes and never opens
    venue.place(order(10, TARGET, SELL, bid - 500_0, 20, reduces=True))
    await heard.until(
        lambda: sum(r.last_lots for r in heard.reports if r.client_order_id == "demo-7-10") == 20
    )
    venue.place(order(11, TARGET, SELL, bid - 500_0, 20, reduces=True))
    assert (await heard.has(11, "REJECTED")).code == -2022
    assert (await venue.snapshot(started_ns)).positions == {}
    assert venue.frame_errors == {}
    assert (
        venue.budget.used(venue.server.time_ms(session.seams.clock.now_ns()))["request_weight_60s"][1] == 2400
    )


async def _a_cut(session: Session) -> None:
    """A fill while the user data stream is down is found by asking, with its trade."""
    venue, heard = session.venue, session.heard
    _, ask = await session.touch()
    lost = order(20, TARGET, BUY, ask + 100_0, 10)
    current: Any = venue._session
    venue.place(lost)  # it leaves, and the stream that would tell of it is cut
    current.stream._wire._transport.disconnect(graceful=False)
    await heard.until(lambda: [status.up for status in heard.statuses] == [True, False, True])
    venue.query(lost)
    await heard.until(lambda: heard.reports[-1].kind in {"STATUS", "NOT_FOUND"})
    if heard.reports[-1].kind == "STATUS":  # its bytes had left: then it was filled, and the trade is told
        assert heard.reports[-1].status == "FILLED"
        trades = [r for r in heard.reports if r.client_order_id == "demo-7-20" and r.kind == "TRADE"]
        assert sum(trade.last_lots for trade in {t.trade_id: t for t in trades}.values()) == 10


@pytest.mark.parametrize("key_type", ["hmac", "ed25519"])
def test_orders_live_their_lives_and_survive_a_cut(root: Path, key_type: str) -> None:
    async def main() -> None:
        keys = (
            KEYS
            if key_type == "hmac"
            else {"TICKD_SIMULATOR_KEY": API_KEY, "TICKD_SIMULATOR_PUBLIC_KEY": PUBLIC}
        )
        signer = make_signer("hmac", API_KEY, SECRET) if key_type == "hmac" else Ed25519Signer(API_KEY, PEM)
        async with simulator(root, **keys) as url, connected(url, signer) as session:
            await _life_of_orders(session)
            await _a_cut(session)

    uvloop.run(main())


def test_leverage_and_margin_are_set_before_the_first_order_and_what_cannot_be_had_is_said(
    root: Path,
) -> None:
    async def main() -> None:
        signer = make_signer("hmac", API_KEY, SECRET)
        async with simulator(root, **KEYS) as url:
            async with connected(url, signer, leverage=7, margin="isolated") as session:
                setup = await session.venue.rest._setup(INSTRUMENT)
                assert (setup.leverage, setup.marginType) == (7, "ISOLATED")
                await session.begun()
                _, ask = await session.touch()
                session.venue.place(order(1, TARGET, BUY, ask + 100_0, 10))
                await session.heard.has(1, "TRADE")
            with pytest.raises(ConfigError, match="marginType CROSSED cannot be had for BTC/USDT:USDT"):
                async with connected(url, signer, margin="cross"):
                    raise AssertionError("it must not connect")
            with pytest.raises(ConfigError, match="Signature for this request is not valid"):
                async with connected(url, make_signer("hmac", API_KEY, "anothersecretcanary")):
                    raise AssertionError("it must not connect")

    uvloop.run(main())


def test_a_countdown_that_nobody_renews_any_more_cancels_what_rests(root: Path) -> None:
    async def main() -> None:
        signer = make_signer("hmac", API_KEY, SECRET)
        async with simulator(root, **KEYS) as url:
            async with connected(url, signer, countdown_ms=1_500) as session:
                await session.begun()
                bid, _ = await session.touch()
                session.venue.place(order(1, REST, BUY, bid - 500_0, 10))
                await session.heard.has(1, "NEW")
                await asyncio.sleep(2.5)  # it is renewed meanwhile
                assert [one.client_order_id for one in (await session.venue.snapshot(1)).open_orders] == [
                    "demo-7-1"
                ]
            async with connected(url, signer) as session:
                async with asyncio.timeout(10):
                    while (await session.venue.snapshot(time.time_ns())).open_orders:  # noqa: ASYNC110 - in another process
                        await asyncio.sleep(0.1)

    uvloop.run(main())

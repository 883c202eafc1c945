"""The venue against the simulated exchange, which shares no code with it: another process, real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.clock import LoopScheduler, SystemClock
from daemon.disk import RealDisk, ThreadWorker
from daemon.errors import ConfigError
from daemon.instruments import make_instrument
from daemon.net import RealNet
from daemon.orders.order import Order
from daemon.seams import Seams
from daemon.venues.binance_replacing import ReplacingBinanceVenue
from daemon.venues.binance_settings import BinanceSettings
from daemon.venues.signing import Ed25519Signer, HmacSigner, make_signer
from kernels.dtypes import BUY, REST, SELL, STOP, TARGET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from daemon.events import ExecutionReport, Funding, VenueStatus

API_KEY = "apikeyofthetest"
SECRET = "canarysecretofthetest"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PEM = PRIVATE.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
PUBLIC = (
    PRIVATE.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
INSTRUMENT = make_instrument(
    0,
    "binance",
    "spot",
    "BTC/USDT",
    tick_size="0.01",
    lot_size="0.00001",
    qty_min="0.00001",
    qty_max="9000",
    notional_min="5",
)


@asynccontextmanager
async def simulator(root: Path, **keys: str) -> AsyncIterator[str]:
    """The simulated exchange, with a calm market; yields the address of its spot server."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "daemon.simulator", "--with-parent", "--seed", "1", "--rate", "5"),
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
        yield said["spot"]
    finally:
        process.stdin.close()
        await process.communicate()


class Heard:
    """Reports and statuses, and a way to wait for them."""

    def __init__(self) -> None:
        self.reports: list[ExecutionReport] = []
        self.statuses: list[VenueStatus] = []
        self._changed = asyncio.Event()

    def on_report(self, report: ExecutionReport) -> None:
        self.reports.append(report)
        self._changed.set()

    def knows(self, kind: str, client_order_id: str, cum_lots: int, trade_id: int) -> bool:
        return False

    def on_funding(self, funding: Funding) -> None:
        raise AssertionError("spot has none")

    def on_venue_status(self, status: VenueStatus) -> None:
        self.statuses.append(status)
        self._changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def has(self, number: int, kind: str, count: int = 1) -> ExecutionReport:
        """Wait for the `count`-th report of a kind about an order."""

        def found() -> list[ExecutionReport]:
            name = f"demo-7-{number}"
            return [r for r in self.reports if r.client_order_id == name and r.kind == kind]

        await self.until(lambda: len(found()) >= count)
        return found()[count - 1]


class Session:
    """A venue connected to the simulator, and the market as it stands there."""

    def __init__(self, venue: ReplacingBinanceVenue, heard: Heard, seams: Seams, url: str) -> None:
        self.venue = venue
        self.heard = heard
        self.seams = seams
        self._url = url

    async def ask(self, path: str) -> Any:
        """What the public REST interface answers."""
        answer = await self.seams.net.request("GET", f"{self._url}/api/v3/{path}", {}, b"", 5.0)
        return json.loads(answer.body)

    async def begun(self) -> None:
        """Wait for the market's first trade: stops are judged by the last price."""
        while not await self.ask("trades?symbol=BTCUSDT&limit=1"):  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.02)

    async def touch(self) -> tuple[int, int]:
        """Best bid and ask in ticks."""
        quote = await self.ask("ticker/bookTicker?symbol=BTCUSDT")
        return INSTRUMENT.price.parse(quote["bidPrice"]), INSTRUMENT.price.parse(quote["askPrice"])


def order(number: int, kind: int, side: int, price_ticks: int, qty_lots: int) -> Order:
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
        reduces=False,
    )


@asynccontextmanager
async def connected(url: str, signer: HmacSigner | Ed25519Signer) -> AsyncIterator[Session]:
    clock = SystemClock()
    worker = ThreadWorker()
    net = RealNet(hosts={"127.0.0.1"})
    seams = Seams(clock, LoopScheduler(clock), net, RealDisk(), worker, random.Random(1))
    settings = BinanceSettings(
        ws_url=f"{url.replace('http', 'ws')}/ws-api/v3", rest_url=url, timeout_ms=10_000
    )
    venue = ReplacingBinanceVenue([INSTRUMENT], signer, settings, seams)
    heard = Heard()
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
    taker = order(1, TARGET, BUY, ask + 100_00, 2_000)
    venue.place(taker)
    trade = await heard.has(1, "TRADE")
    assert trade.last_lots <= 2_000
    assert trade.last_ticks <= taker.price_ticks
    assert trade.commission_asset == "BTC"
    told_twice = await heard.has(1, "TRADE", 2)  # by the answer and by the stream
    fills = [r for r in heard.reports if r.kind == "TRADE"]
    assert told_twice.trade_id in {fill.trade_id for fill in fills}

    # one that rests, is lowered, asked about and cancelled
    resting = order(2, REST, BUY, bid - 500_00, 5_000)
    venue.place(resting)
    resting.venue_order_id = (await heard.has(2, "NEW")).venue_order_id
    venue.amend(resting, 4_000)
    assert (await heard.has(2, "REPLACED")).qty_lots == 4_000
    venue.query(resting)
    status = await heard.has(2, "STATUS")
    assert (status.status, status.qty_lots, status.price_ticks) == ("NEW", 4_000, bid - 500_00)
    snapshot = await venue.snapshot(started_ns)
    (standing,) = snapshot.open_orders
    assert (standing.client_order_id, standing.qty_lots, standing.stop) == ("demo-7-2", 4_000, False)
    assert {t.client_order_id for t in snapshot.trades} == {"demo-7-1"}
    assert {t.trade_id for t in snapshot.trades} == {fill.trade_id for fill in fills}
    assert snapshot.balances["USDT"].locked == INSTRUMENT.price.decimal(bid - 500_00) * 4_000 / 100_000
    venue.cancel(resting)
    assert (await heard.has(2, "CANCELED", 2)).cum_lots == 0  # by the answer and by the stream
    venue.query(resting)
    assert (await heard.has(2, "STATUS", 2)).status == "CANCELED"
    venue.cancel(resting)
    assert (await heard.has(2, "CANCEL_REJECTED")).code == -2011

    # a stop held there, one that would trigger at once, and a post-only order that would take
    stop = order(3, STOP, SELL, bid - 500_00, 1_000)
    venue.place(stop)
    assert (await heard.has(3, "NEW", 2)).price_ticks == bid - 500_00
    (waiting,) = (await venue.snapshot(started_ns)).open_orders
    assert (waiting.client_order_id, waiting.price_ticks, waiting.stop) == ("demo-7-3", bid - 500_00, True)
    venue.cancel(stop)
    await heard.has(3, "CANCELED")
    venue.place(order(4, STOP, SELL, bid + 500_00, 1_000))
    assert (await heard.has(4, "REJECTED")).code == -2010
    venue.place(order(5, REST, BUY, ask + 500_00, 1_000))
    assert (await heard.has(5, "REJECTED")).reason == "Order would immediately match and take."

    # one too small, one too dear, one that nobody knows, one that expires
    venue.place(order(6, TARGET, BUY, ask, 1))
    assert (await heard.has(6, "REJECTED")).reason == "Filter failure: NOTIONAL"
    venue.place(order(7, REST, BUY, bid - 500_00, 100_000_000))
    assert (await heard.has(7, "REJECTED")).code in {-2010, -1013}
    venue.query(order(8, TARGET, BUY, bid, 1_000))
    assert (await heard.has(8, "NOT_FOUND")).code == -2013
    venue.place(order(9, TARGET, BUY, bid - 500_00, 1_000))
    assert (await heard.has(9, "EXPIRED", 2)).cum_lots == 0

    # one that would meet an order of ours: it goes, and what rests keeps its place
    _, ask = await session.touch()
    mine = order(10, REST, SELL, ask + 1_50, 1_000)
    venue.place(mine)
    mine.venue_order_id = (await heard.has(10, "NEW")).venue_order_id
    venue.place(order(11, TARGET, BUY, ask + 500_00, 150_000))  # takes more than is offered up to there
    prevented = await heard.has(11, "EXPIRED", 2)
    assert (prevented.status, prevented.cum_lots) == ("EXPIRED_IN_MATCH", 0)
    venue.cancel(mine)
    assert (await heard.has(10, "CANCELED", 2)).cum_lots == 0
    assert venue.frame_errors == {}
    used = venue.budget.used(venue.server.time_ms(session.seams.clock.now_ns()))
    assert used["request_weight_60s"][1] == 6000
    assert "orders_10s" in used


async def _replacements(session: Session) -> None:
    """One that is done, one whose old order is gone, one whose new order would take."""
    venue, heard = session.venue, session.heard
    bid, ask = await session.touch()
    first, second = (order(n, REST, BUY, bid - cents, 2_000) for n, cents in ((30, 500_00), (31, 600_00)))
    venue.place(first)
    await heard.has(30, "NEW")
    venue.replace(first, second)
    assert (await heard.has(30, "CANCELED", 2)).qty_lots == 2_000  # by the answer and by the stream
    await heard.has(31, "NEW", 2)
    venue.query(second)
    status = await heard.has(31, "STATUS")
    assert (status.status, status.price_ticks) == ("NEW", bid - 600_00)

    venue.replace(first, order(32, REST, BUY, bid - 700_00, 2_000))
    assert (await heard.has(30, "CANCEL_REJECTED")).code == -2011
    assert (await heard.has(32, "REJECTED")).code == -2022

    venue.replace(second, order(33, REST, BUY, ask + 500_00, 2_000))
    rejected = await heard.has(33, "REJECTED")
    assert (rejected.code, rejected.reason) == (-2010, "Order would immediately match and take.")
    await heard.has(31, "CANCELED", 2)
    venue.query(first)
    assert (await heard.has(30, "STATUS")).status == "CANCELED"
    assert venue.frame_errors == {}


async def _a_cut(session: Session) -> None:
    """A fill while the connection is down is found by asking, with its trade."""
    venue, heard = session.venue, session.heard
    _, ask = await session.touch()
    lost = order(20, TARGET, BUY, ask + 100_00, 1_000)
    assert venue._session is not None
    wire: Any = venue._session._wire
    venue.place(lost)  # it leaves, and the connection is cut before its answer is read
    wire._transport.disconnect(graceful=False)
    assert (await heard.has(20, "TIMEOUT")).reason.startswith("the connection ended")
    await heard.until(lambda: [status.up for status in heard.statuses] == [True, False, True])
    venue.query(lost)
    await heard.until(lambda: heard.reports[-1].kind in {"STATUS", "NOT_FOUND"})
    if heard.reports[-1].kind == "STATUS":  # its bytes had left: then it was filled, and the trade is told
        assert heard.reports[-1].status == "FILLED"
        trades = [r for r in heard.reports if r.client_order_id == "demo-7-20" and r.kind == "TRADE"]
        assert sum(trade.last_lots for trade in {t.trade_id: t for t in trades}.values()) == 1_000


@pytest.mark.parametrize("key_type", ["hmac", "ed25519"])
def test_orders_live_their_lives_and_survive_a_cut(root: Path, key_type: str) -> None:
    async def main() -> None:
        keys = {"TICKD_SIMULATOR_KEY": API_KEY, "TICKD_SIMULATOR_SECRET": SECRET}
        if key_type == "ed25519":
            keys = {"TICKD_SIMULATOR_KEY": API_KEY, "TICKD_SIMULATOR_PUBLIC_KEY": PUBLIC}
        signer = make_signer("hmac", API_KEY, SECRET) if key_type == "hmac" else Ed25519Signer(API_KEY, PEM)
        async with simulator(root, **keys) as url, connected(url, signer) as session:
            await _life_of_orders(session)
            await _replacements(session)
            await _a_cut(session)

    uvloop.run(main())


def test_a_wrong_secret_is_refused_at_start_without_being_shown(root: Path) -> None:
    async def main() -> None:
        keys = {"TICKD_SIMULATOR_KEY": API_KEY, "TICKD_SIMULATOR_SECRET": SECRET}
        async with simulator(root, **keys) as url:
            with pytest.raises(
                ConfigError, match=r"Signature for this request is not valid.*-1022"
            ) as refused:
                async with connected(url, make_signer("hmac", API_KEY, "anothersecretcanary")):
                    raise AssertionError("it must not connect")
            assert "canary" not in str(refused.value)

    uvloop.run(main())

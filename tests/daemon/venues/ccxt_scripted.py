"""A ccxt venue on virtual time under the real order side, at an exchange that says what a test wants."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from ccxt.base.errors import OrderNotFound

from daemon.clock import VirtualTime
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.no_net import NoNet
from daemon.seams import Seams
from daemon.venues.ccxt_client import TICKET, CcxtSettings
from daemon.venues.ccxt_venue import CcxtVenue
from tests.daemon.orders.conftest import START_NS, btc_usdt
from tests.daemon.venues.ccxt_kit import KEY, SECOND, Kit, new_world

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.orders.order import Order
    from daemon.orders.recovery import Recovery


class There:
    """What the exchange says, method by method in place of ccxt's; an exception is raised.

    `placed` and `cancelled` are said to whoever asks for that, or wait in `held` until a test lets them go.
    """

    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = []
        self.trades: list[dict[str, Any]] = []
        self.placed: Any = {}
        self.cancelled: Any = {}
        self.held: asyncio.Event | None = None
        self.came: list[str] = []

    async def create_order(self, *words: Any) -> Any:
        self.came.append("create")
        return await self._say("placed")

    async def cancel_order(self, number: str, *words: Any) -> Any:
        self.came.append(f"cancel {number}")
        return await self._say("cancelled")

    async def _say(self, what: str) -> Any:
        ticket = TICKET.get()
        assert ticket is not None
        ticket.left = True
        if self.held is not None:
            await self.held.wait()
        answer = getattr(self, what)
        if isinstance(answer, Exception):
            raise answer
        ticket.answered = True
        return answer

    async def fetch_order(self, number: str | None, symbol: str, params: Any = None) -> Any:
        wanted = number or params["clientOrderId"]
        self.came.append(f"order {wanted}")
        await asyncio.sleep(0)
        for row in self.orders:
            if wanted in {row.get("id"), row.get("clientOrderId")}:
                return row
        raise OrderNotFound(wanted)

    async def fetch_orders(self, *words: Any) -> Any:
        return list(self.orders)

    async def fetch_open_orders(self, *words: Any) -> Any:
        return [row for row in self.orders if row["status"] == "open"]

    async def fetch_my_trades(self, *words: Any) -> Any:
        self.came.append("trades")
        return list(self.trades)

    async def fetch_balance(self) -> Any:
        return {"free": {"USDT": "100000", "BTC": "10"}, "used": {}, "total": {}}

    # --- rows -----------------------------------------------------------------------------------------------
    def order(self, number: str, cid: str = "", status: str = "open", **more: Any) -> dict[str, Any]:
        row = {
            "id": number, "clientOrderId": cid, "status": status, "side": "buy", "symbol": "BTC/USDT",
            "price": "60000", "amount": "0.001", "filled": "0", "timestamp": START_NS // 1_000_000, **more,
        }  # fmt: skip
        self.orders = [one for one in self.orders if one["id"] != number] + [row]
        return row

    def trade(self, trade_id: str, number: str, amount: str, **more: Any) -> dict[str, Any]:
        row = {
            "id": trade_id, "order": number, "side": "buy", "price": "60000", "amount": amount,
            "timestamp": START_NS // 1_000_000, "symbol": "BTC/USDT",
            "fees": [{"cost": "0", "currency": "USDT"}], **more,
        }  # fmt: skip
        self.trades.append(row)
        return row


class Scripted(Kit):
    """The venue, and time as a test moves it."""

    there: There

    async def settle(self, seconds: float = 0.0) -> None:
        """Let everything that is due happen, and then so much time pass."""
        for _ in range(round(seconds * 10) + 1):
            for _ in range(30):
                await asyncio.sleep(0)
            if seconds:
                self.world.time.advance(self.world.time.now_ns() + SECOND // 10)
        for _ in range(30):
            await asyncio.sleep(0)

    def place(self, **more: Any) -> Order:
        return self.world.place(**{"price": 6_000_000, "qty": 100, **more})

    @property
    def recovery(self) -> Recovery:
        return self.world.recovery


async def new_scripted(
    there: There, time: VirtualTime, disk: MemoryDisk | None = None, *, blind: bool = False, **changes: Any
) -> Scripted:
    """Return a venue that is up; blind: the exchange tells of no single order, and leaves out our ids."""
    seams = Seams(time, time, NoNet(), MemoryDisk(), InlineWorker(), random.Random(1))
    credentials = {"apiKey": KEY.api_key, "secret": KEY.secret.decode()}
    settings = CcxtSettings(exchange="binance", name="test", credentials=credentials, **changes)
    venue = CcxtVenue([btc_usdt()], settings, seams)
    client = venue.client
    client.has = {**client.has, "fetchOrderTrades": False}
    for name in (
        *("create_order", "cancel_order", "fetch_order", "fetch_orders", "fetch_open_orders"),
        *("fetch_my_trades", "fetch_balance"),
    ):
        setattr(client, name, getattr(there, name))
    account = venue._account
    account.tells_ids = account._has_one = venue._requests.tells_by_id = not blind
    venue._requests.cancels_by_id = True
    kit = Scripted(await new_world(venue, disk), venue, None)  # type: ignore[arg-type]
    kit.there = there
    venue._sink = kit  # type: ignore[assignment]
    venue.on_alive()
    await kit.settle()
    return kit


def play(work: Callable[[Scripted], Any], **changes: Any) -> None:
    """Run `work(kit)` on virtual time."""

    async def main() -> None:
        kit = await new_scripted(There(), VirtualTime(START_NS), **changes)
        try:
            await work(kit)
        finally:
            await kit.venue.stop()

    asyncio.run(main())

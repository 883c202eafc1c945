"""A whole order side over a memory disk, virtual time and a venue that only writes down what it is told."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from daemon.clock import VirtualTime, VirtualTimer
from daemon.events import Balance, ExecutionReport, OpenOrder, VenueSnapshot
from daemon.instruments import Instrument, make_instrument
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.orders.audit import Alarm
from daemon.orders.clock_step import take_step
from daemon.orders.desk import Account, Desk
from daemon.orders.gone import without_gone
from daemon.orders.ids import Ids, next_run
from daemon.orders.intents import Approved
from daemon.orders.journal import Journal
from daemon.orders.manager import Orders
from daemon.orders.portfolio import Portfolio
from daemon.orders.reader import read_history
from daemon.orders.recovery import Recovery
from daemon.orders.risk import Risk, RiskLimits
from daemon.seams import Boot
from kernels import dtypes as d

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.orders.doubts import OrderRules
    from daemon.orders.order import Order

FOLDER = Path("/journal")
START_NS = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
HOUR = 3600 * SECOND
BOOT = Boot("memory", 0)


class SteppedTime(VirtualTime):
    """Virtual time by a wall clock that can be set; timers go by the monotonic one, as LoopTimer's do."""

    step_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self.step_ns

    def mono_ns(self) -> int:
        return super().now_ns()

    def call_at(self, when_ns: int, fn: Callable[[], None]) -> VirtualTimer:
        return super().call_at(when_ns - self.step_ns, fn)

    @property
    def next_ns(self) -> int | None:
        next_ns = super().next_ns
        return None if next_ns is None else next_ns + self.step_ns

    def advance(self, to_ns: int) -> None:
        super().advance(to_ns - self.step_ns)


def btc_usdt(index: int = 0, market: str = "spot") -> Instrument:
    return make_instrument(
        index,
        "binance",
        market,  # type: ignore[arg-type]
        "BTC/USDT",
        tick_size="0.01",
        lot_size="0.00001",
        qty_min="0.00001",
        qty_max="9000",
        notional_min="5",
    )


def eth_btc(index: int = 1) -> Instrument:
    return make_instrument(
        index,
        "binance",
        "spot",
        "ETH/BTC",
        tick_size="0.00001",
        lot_size="0.0001",
        qty_min="0.0001",
        qty_max="100000",
        notional_min="0.0001",
    )


def new_memory(rows: int) -> np.ndarray[Any, Any]:
    memory = np.zeros(1, dtype=d.memory_dtype(rows, 24, 8, 4, 2, 2))
    memory["rows"][:] = np.arange(25.0)
    return memory


class FakeVenue:
    """Writes down what it is told, and answers nothing by itself."""

    name = "fake"

    def __init__(self) -> None:
        self.up = self.can_amend = True
        self.stepped_ns = 0
        self.placed: list[str] = []
        self.canceled: list[str] = []
        self.amended: list[tuple[str, int]] = []
        self.replaced: list[tuple[str, str]] = []
        self.queried: list[str] = []

    def is_short(self):
        return False

    def clock_stepped(self, step_ns: int) -> None:
        self.stepped_ns += step_ns

    def place(self, order: Order) -> None:
        self.placed.append(order.client_order_id)

    def cancel(self, order: Order) -> None:
        self.canceled.append(order.client_order_id)

    def amend(self, order: Order, qty_lots: int) -> None:
        self.amended.append((order.client_order_id, qty_lots))

    def replace(self, old: Order, new: Order) -> None:
        self.replaced.append((old.client_order_id, new.client_order_id))

    def query(self, order: Order) -> None:
        self.queried.append(order.client_order_id)


class World:
    """One run of the daemon's order side; `restarted()` is the next one."""

    folder = FOLDER

    def __init__(
        self,
        instruments: list[Instrument] | None = None,
        strategies: dict[str, tuple[int, ...]] | None = None,
        *,
        disk: MemoryDisk | None = None,
        venue: FakeVenue | None = None,
        time: VirtualTime | None = None,
        limits: RiskLimits | None = None,
        rules: OrderRules | None = None,
        sync: Any = "group",
        balances: dict[str, str] | None = None,
        begin: bool = True,
        **margin: Any,
    ) -> None:
        self.instruments = instruments or [btc_usdt()]
        strategies = strategies or {"maker": (0,)}
        self.disk = disk or MemoryDisk()
        self.venue = venue or FakeVenue()
        self.time = time or SteppedTime(START_NS)
        self.audits: list[Any] = []
        history = read_history(self.disk, FOLDER)
        self.cut = history.cut
        self.ids = Ids("test", next_run(history.run_last, self.time.now_ns()))
        self.journal = Journal(self.disk, InlineWorker(), FOLDER, sync=sync, digest=True)
        self.memories = [new_memory(len(rows)) for rows in strategies.values()]
        accounts: defaultdict[str, Account] = defaultdict(Account)
        self.desks = [
            Desk(index, name, rows, self.memories[index], accounts[self.instruments[rows[0]].quote])
            for index, (name, rows) in enumerate(strategies.items())
        ]
        observers = [self.audits.append]
        self.portfolio = Portfolio(self.instruments, self.desks, "USDT", **margin)
        limits = limits or RiskLimits(orders_per_s_max=1000.0)
        self.risk = Risk(limits, self.instruments, self.desks, self.journal, observers)
        self.orders = Orders(
            self.time,
            self.time,
            self.ids,
            self.instruments,
            self.desks,
            self.portfolio,
            self.risk,
            self.journal,
            self.venue,  # type: ignore[arg-type]
            observers,
            rules,
        )
        self.recovery = Recovery(self.orders)
        self.recovery.restore(without_gone(history, self.orders))
        if begin:
            self.recovery.begin("0", "", BOOT)
            asyncio.run(self.journal.sync_now())
            if not history.records:
                self.meet(balances or {"USDT": "100000", "BTC": "10"})
            self.risk.open_all(d.GATE_NOT_READY)

    def restarted(self, **more: Any) -> World:
        """Return the run after this one, over the same disk, venue and time."""
        more.setdefault("instruments", self.instruments)
        more.setdefault("strategies", {desk.name: desk.instruments for desk in self.desks})
        return World(disk=self.disk, venue=self.venue, time=self.time, **more)

    # --- doing ----------------------------------------------------------------------------------------------
    def meet(self, balances: dict[str, str] | None = None, **more: Any) -> Any:
        """Meet a snapshot; without balances, those the trades make."""
        if balances is None:
            from daemon.orders.money import to_text

            balances = {
                asset: to_text(units)
                for asset, units in {a: p.total for a, p in self.portfolio.purses.items()}.items()
            }
        told = {asset: Balance(Decimal(text), Decimal(0)) for asset, text in balances.items()}
        open_orders, trades = more.pop("open_orders", []), more.pop("trades", [])
        snapshot = VenueSnapshot(
            told,
            open_orders,
            trades,
            self.time.now_ns(),
            positions=more.pop("positions", None),
            margin=more.pop("margin", None),
            funding=more.pop("funding", []),
            venue_ns=more.pop("venue_ns", 0),
        )
        return self.recovery.meet(snapshot, **more)

    def action(
        self,
        verb: int = d.PLACE,
        *,
        row: int = 0,
        slot: int = 0,
        kind: int = d.REST,
        level: int = 0,
        side: int = d.BUY,
        price: int = 6_000_000,
        qty: int = 100,
        reduces: bool = False,
        refusal: int = 0,
        decided: int = 0,
        replaces: int = 0,
    ) -> list[int]:
        return [verb, row, slot, kind, level, side, price, qty, int(reduces), refusal, decided, replaces]

    def place(self, strategy: int = 0, **more: Any) -> Order:
        """Approve and submit one order; fails when it is refused."""
        desk = self.desks[strategy]
        more.setdefault("slot", desk.free_slot(more.get("row", 0)))
        verdict = self.risk.check(desk, self.action(**more), self.time.now_ns())
        assert isinstance(verdict, Approved), verdict.reason
        order = self.orders.submit(verdict)
        assert type(order).__name__ == "Order"
        return order  # type: ignore[return-value]

    def replace(self, old: Order, **more: Any) -> Order:
        """Approve and submit the replacement of an order."""
        slot = self.desks[old.strategy].free_slot(old.row)
        usual: dict[str, Any] = {"level": old.level, "side": old.side, "price": old.price_ticks - 100}
        verdict = self.check(verb=d.REPLACE, slot=slot, replaces=old.slot, **(usual | more))
        assert isinstance(verdict, Approved), verdict.reason
        return self.orders.submit(verdict)  # type: ignore[return-value]

    def check(self, strategy: int = 0, **more: Any) -> Any:
        return self.risk.check(self.desks[strategy], self.action(**more), self.time.now_ns())

    def report(self, kind: Any, order: Order | str, **more: Any) -> ExecutionReport:
        """Apply a report; returns it, so that it can be applied again."""
        cid = order if isinstance(order, str) else order.client_order_id
        report = ExecutionReport(
            kind=kind,
            client_order_id=cid,
            instrument=more.pop("instrument", 0 if isinstance(order, str) else order.instrument),
            wire_ns=more.pop("wire_ns", self.time.now_ns()),
            **more,
        )
        self.orders.apply(report)
        return report

    def fill(self, order: Order, trade_id: int, lots: int, **more: Any) -> ExecutionReport:
        more.setdefault("cum_lots", order.filled_lots + lots)
        more.setdefault("last_ticks", order.price_ticks)
        return self.report("TRADE", order, trade_id=trade_id, last_lots=lots, side=order.side, **more)

    def later(self, seconds: float) -> None:
        self.time.advance(self.time.now_ns() + int(seconds * SECOND))

    def set_clock(self, step_ns: int) -> None:
        """Set the wall clock by so much, and tell of it as the app's beat does."""
        assert isinstance(self.time, SteppedTime)
        self.time.step_ns += step_ns
        take_step(self.orders, step_ns)

    def be_busy(self) -> tuple[Order, Order]:
        """Leave a bit of everything behind."""
        bought = self.place(level=1, qty=1000)
        self.report("NEW", bought)
        self.fill(bought, 1, 1000, commission=Decimal("0.00001"), commission_asset="BTC")
        part = self.place(level=2, qty=500)
        self.report("NEW", part)
        self.fill(part, 2, 200, commission=Decimal("0.12"), commission_asset="USDT")
        sold = self.place(level=3, side=d.SELL, price=6_100_000, qty=300)
        self.report("NEW", sold)
        self.fill(sold, 3, 300)
        self.report("REJECTED", self.place(level=4))
        amended = self.place(level=5, qty=50)
        self.report("NEW", amended)
        self.orders.amend(amended, 20, self.time.now_ns())
        self.report("REPLACED", amended, qty_lots=20)
        return part, amended

    @staticmethod
    def listed(order: Order | str, **more: Any) -> OpenOrder:
        """Return an order as the venue lists it: as we know it, unless told otherwise."""
        told: dict[str, Any] = {
            "client_order_id": order,
            "venue_order_id": "1",
            "instrument": 0,
            "side": d.BUY,
            "price_ticks": 6_000_000,
            "qty_lots": 100,
            "cum_lots": 0,
        }
        if not isinstance(order, str):
            told |= {
                "client_order_id": order.client_order_id,
                "side": order.side,
                "price_ticks": order.price_ticks,
                "qty_lots": order.qty_lots,
                "cum_lots": order.filled_lots,
            }
        return OpenOrder(**{**told, **more})

    @staticmethod
    def trade(client_order_id: str, trade_id: int, lots: int, **more: Any) -> ExecutionReport:
        """Return a buy as a snapshot tells it."""
        return ExecutionReport(
            kind="TRADE",
            client_order_id=client_order_id,
            instrument=0,
            wire_ns=1,
            trade_id=trade_id,
            last_lots=lots,
            last_ticks=6_000_000,
            side=d.BUY,
            **more,
        )

    # --- seeing ---------------------------------------------------------------------------------------------
    def alarms(self) -> list[str]:
        return [audit.kind for audit in self.audits if isinstance(audit, Alarm)]

    def slot(self, strategy: int = 0, row: int = 0, slot: int = 0) -> list[float]:
        return list(self.memories[strategy]["working"][0, row, slot].tolist())

    def position(self, column: int, strategy: int = 0, row: int = 0) -> float:
        return float(self.memories[strategy]["position"][0, row, column])

    def account(self, column: int, strategy: int = 0) -> float:
        return float(self.desks[strategy].account.array[column])


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def new_world() -> type[World]:
    """The class itself, for tests that restart, or need more than one strategy."""
    return World


@pytest.fixture
def pair() -> list[Instrument]:
    return [btc_usdt(), eth_btc()]


@pytest.fixture
def perpetual() -> Instrument:
    return btc_usdt(market="usdm")

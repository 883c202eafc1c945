"""The journal told again: every record through the very code that traded, so that nothing is believed twice.

For each run the order side is built anew from what the run's record says, its checkpoint is loaded, and what
follows is replayed as a start-up replays it (daemon/orders/recovery.py): nothing is sent, recorded or halted.
But here somebody listens: the audits are the same that observers heard while it happened. Memory does not
grow with the journal.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.clock import VirtualTime
from daemon.instruments import make_instrument
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.orders import records
from daemon.orders.desk import detached_desk
from daemon.orders.ids import Ids
from daemon.orders.journal import Journal
from daemon.orders.manager import Orders
from daemon.orders.money import Multipliers
from daemon.orders.order import State
from daemon.orders.portfolio import Portfolio
from daemon.orders.recovery import Recovery
from daemon.orders.risk import Risk, RiskLimits

if TYPE_CHECKING:
    from daemon.events import VenueSnapshot
    from daemon.instruments import Instrument, Market
    from daemon.orders.audit import Moved, Observer
    from daemon.orders.order import Order
    from daemon.orders.records import Record
    from daemon.venues.base import VenueSink

#: what an older version, which did not record tick and lot sizes, leaves us to count in
_UNKNOWN_STEP: Final = ("1", "1")


class _NoVenue:
    """Nobody can be asked about the past."""

    name = "record"
    up = False
    losses = 0
    can_amend = False
    can_replace = False

    def is_short(self) -> bool:
        """Return False: nothing is asked."""
        return False

    def place(self, order: Order) -> None:
        """Send nothing: it was sent then."""

    def cancel(self, order: Order) -> None:
        """Likewise."""

    def amend(self, order: Order, qty_lots: int) -> None:
        """Likewise."""

    def query(self, order: Order) -> None:
        """Ask nothing: the answer is on record, if there was one."""

    def clock_stepped(self, step_ns: int) -> None:
        """Likewise: its clock is the record's."""

    async def start(self, sink: VenueSink) -> None:
        """There is nothing to connect to."""

    async def snapshot(self, since_ns: int) -> VenueSnapshot:
        """Never asked for: nothing meets while the past is told."""
        raise AssertionError(since_ns)

    async def stop(self) -> None:
        """Nor to leave."""


class Retelling:
    """The order side as it was after each record. `orders` is None before the first run."""

    def __init__(self, observers: list[Observer], reporting: str = "") -> None:
        """Wire it; `reporting` is the currency of values, by default the first instrument's quote."""
        self.orders: Orders | None = None
        self.by: list[Multipliers] = []  # what a lot is worth, by instrument
        self.run: records.Run | None = None
        #: whether prices and quantities can be told in money: older versions recorded counts alone
        self.priced = True
        self._observers = observers
        self._reporting = reporting
        self._recovery: Recovery | None = None

    def take(self, record: Record) -> None:
        """Let a record happen. What stands before the first run can mean nothing, and is passed over."""
        if isinstance(record, records.Run):
            self._begin(record)
        if self._recovery is not None:
            self._recovery.replay(record)

    def _begin(self, run: records.Run) -> None:
        self.run = run
        self.priced = len(run.steps) == len(run.instruments)
        instruments = instruments_of(run)
        self.by = [Multipliers(instrument) for instrument in instruments]
        places = {instrument.symbol: instrument.index for instrument in instruments}
        desks = [
            detached_desk(index, name, tuple(places[symbol] for symbol in symbols))
            for index, (name, symbols) in enumerate(run.strategies)
        ]
        time = VirtualTime(run.now_ns)
        journal = Journal(MemoryDisk(), InlineWorker(), Path())
        reporting = self._reporting or (instruments[0].quote if instruments else "")
        portfolio = Portfolio(instruments, desks, reporting)
        risk = Risk(RiskLimits(), instruments, desks, journal, self._observers)
        ids = Ids(run.prefix, run.run)
        self.orders = orders = Orders(
            time, time, ids, instruments, desks, portfolio, risk, journal, _NoVenue(), self._observers
        )
        orders.restoring = True
        orders.life.doubts = None
        self._recovery = Recovery(orders)


def instruments_of(run: records.Run) -> list[Instrument]:
    """Return the instruments of a run, as far as its record tells: what counts are of, and no limits."""
    steps = run.steps if len(run.steps) == len(run.instruments) else [_UNKNOWN_STEP] * len(run.instruments)
    return [
        make_instrument(
            index,
            "",
            _market(symbol),
            symbol,
            tick_size=tick,
            lot_size=lot,
            qty_min=lot,
            qty_max=lot,
            notional_min="0",
        )
        for index, (symbol, (tick, lot)) in enumerate(zip(run.instruments, steps, strict=True))
    ]


def _market(symbol: str) -> Market:
    """Return the market of a unified symbol: BTC/USDT, BTC/USDT:USDT, BTC/USD:BTC."""
    pair, _, settled = symbol.partition(":")
    if not settled:
        return "spot"
    return "usdm" if pair.endswith(f"/{settled}") else "coinm"


class Spells:
    """The times in which orders were UNKNOWN, from the audits of a Retelling."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[int, Order]] = {}

    def moved(self, moved: Moved) -> tuple[int, int] | None:
        """Take a step; return (begin, end) of the spell that it ends, None where it ends none."""
        cid = moved.order.client_order_id
        if moved.after is State.UNKNOWN:
            self._since.setdefault(cid, (moved.now_ns, moved.order))
            return None
        since = self._since.pop(cid, None)
        return None if since is None else (since[0], moved.now_ns)

    def loaded(self, orders: Orders) -> None:
        """Take a checkpoint's orders: a run that begins doubts each that was open when the last one ended."""
        for cid, order in orders.life.open.items():
            if order.state is State.UNKNOWN:
                since_ns, _ = self._since.get(cid, (order.changed_ns, order))
                self._since[cid] = (since_ns, order)

    def lasting(self) -> list[tuple[int, Order]]:
        """Return when each spell that has no end yet began, and its order."""
        return list(self._since.values())

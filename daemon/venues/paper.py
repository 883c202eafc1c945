"""The paper venue: live market data, local fills, no keys.

Orders are matched by kernels.fills against what the feed shows, once they have arrived, and reports take
their time back (daemon/venues/paper_latency.py). Both travel as timers of the injected scheduler, so that on
virtual time the same ticks give the same reports. Ticks are taken from the feed's rings: while an order is
open that they may fill (`watching`) at every drain, else before the next order, a changed book, or when the
ring is full.

A TARGET is a limit IOC, a REST is post-only, a STOP sells or buys at the market once a trade reaches its
trigger. On derivatives a STOP is reduce-only: it shrinks with the position and goes with it. Reasons and
codes of refusals are those that Binance uses.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from mmap import mmap
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from daemon.entry import bound
from daemon.events import ExecutionReport, OpenOrder, VenueSnapshot, VenueStatus
from daemon.venues.paper_account import NEW_REJECTED, Entry, PaperAccount
from daemon.venues.paper_latency import Way
from kernels import fills
from kernels.dtypes import BUY, REST, STOP
from kernels.matcher import (
    ACCEPTED,
    AMENDED,
    CANCELED,
    EMPTY_BOOK,
    EV_KIND,
    EXPIRED,
    FILL,
    IOC,
    MARKET,
    MATCHER,
    POST_ONLY,
    REASON_WOULD_TAKE,
    REASON_WOULD_TRIGGER,
    REJECTED,
    RISK_ADVERSE,
    new_matcher,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from daemon.events import ReportKind
    from daemon.instruments import Instrument
    from daemon.orders.order import Order
    from daemon.seams import Clock, Scheduler
    from daemon.venues.base import VenueSink
    from daemon.venues.paper_latency import Delays

#: ended orders and trades that are remembered for queries and snapshots
_KEPT: Final = 10_000

_CANCEL_REJECTED: Final = -2011
_NO_SUCH_ORDER: Final = -2013
_AMEND_REJECTED: Final = -2038
_REASONS: Final = {
    REASON_WOULD_TAKE: "Order would immediately match and take.",
    REASON_WOULD_TRIGGER: "Stop price would trigger immediately.",
}


class _Market:
    """One instrument: its matcher, the newest book, the open orders by the matcher's key."""

    __slots__ = ("book", "entries", "matcher", "spot")

    def __init__(self, instrument: Instrument, queue: tuple[int, float]) -> None:
        # it has room for 2,048 events and needs a few: a mapping of its own is 174 kB of which the pages that
        # were never written to do not exist, where malloc hands out memory that was in use before
        memory = np.frombuffer(mmap(-1, MATCHER.itemsize), dtype=MATCHER)
        self.matcher = new_matcher(instrument.price.as_float, instrument.qty.as_float, *queue, memory)
        self.spot = instrument.spot
        self.book: Any = EMPTY_BOOK
        self.entries: dict[int, Entry] = {}


class PaperVenue:
    """A venue of our own (daemon/venues/base.py) that also listens to the feed."""

    name = "paper"
    can_amend = True
    can_replace = False
    losses = 0  # there is no connection

    def __init__(
        self,
        instruments: Sequence[Instrument],
        rings: NDArray[np.void],
        clock: Clock,
        scheduler: Scheduler,
        *,
        balances: Mapping[str, Decimal],
        fee_maker: Decimal,
        fee_taker: Decimal,
        delays: Delays,
        queue: tuple[int, float] = (RISK_ADVERSE, 0.0),
        round_trips_ns: Sequence[int] = (),
    ) -> None:
        """Wire it. round_trips_ns: what `delays` are drawn from, if they are: a session's record has them."""
        self.up = False
        self.round_trips_ns = round_trips_ns
        self.account = PaperAccount(instruments, balances, fee_maker, fee_taker)
        self._clock = clock
        self._way = Way(clock, scheduler, delays)
        self.watching: set[int] = set()
        self.on_watch: Callable[[int], None] = lambda _: None
        self._rings = rings
        self._markets = [_Market(instrument, queue) for instrument in instruments]
        self._entries: dict[str, Entry] = {}
        self._ended: deque[str] = deque()
        self._trades: deque[ExecutionReport] = deque(maxlen=_KEPT)
        self._sink: VenueSink | None = None
        self._match_ticks = bound(fills.on_ticks)
        self._match_book = bound(fills.on_book)
        self._last_id = clock.now_ns() // 1000  # so that no trade of an earlier run is met again

    # --- the venue ------------------------------------------------------------------------------------------
    async def start(self, sink: VenueSink) -> None:
        """Accept orders from now on."""
        self._sink, self.up = sink, True
        sink.on_venue_status(VenueStatus(up=True, reason="paper venue", wire_ns=self._clock.now_ns()))

    async def stop(self) -> None:
        """Report nothing any more."""
        self.up = False
        self._sink = None

    async def snapshot(self, since_ns: int) -> VenueSnapshot:
        """Return balances, open orders and the remembered trades since `since_ns`."""
        for index in range(len(self._markets)):
            self.absorb(index)
        return VenueSnapshot(
            balances=self.account.balances(),
            open_orders=[
                OpenOrder(
                    client_order_id=entry.client_order_id,
                    venue_order_id=entry.venue_order_id,
                    instrument=entry.instrument,
                    side=entry.side,
                    price_ticks=entry.price_ticks,
                    qty_lots=entry.qty_lots,
                    cum_lots=entry.cum_lots,
                )
                for market in self._markets
                for entry in market.entries.values()
            ],
            trades=[trade for trade in self._trades if trade.exch_ns >= since_ns],
            wire_ns=self._clock.now_ns(),
        )

    def clock_stepped(self, step_ns: int) -> None:  # noqa: ARG002
        """Let its timers run on: its clock is ours."""
        self._way.restart()

    def is_short(self) -> bool:
        """Return False: it tells of no budget."""
        return False

    def place(self, order: Order) -> None:
        """Send a new order: it is matched when it arrives."""
        self._last_id += 1
        entry = Entry(
            key=self._last_id,
            client_order_id=order.client_order_id,
            venue_order_id=str(self._last_id),
            instrument=order.instrument,
            side=order.side,
            kind=order.kind,
            price_ticks=order.price_ticks,
            qty_lots=order.qty_lots,
        )
        self._way.send(partial(self._on_place, entry))

    def cancel(self, order: Order) -> None:
        """Ask for its cancellation."""
        self._way.send(partial(self._on_cancel, order.client_order_id, order.instrument))

    def amend(self, order: Order, qty_lots: int) -> None:
        """Lower its whole quantity, what was filled included, to `qty_lots`."""
        self._way.send(partial(self._on_amend, order.client_order_id, order.instrument, qty_lots))

    def query(self, order: Order) -> None:
        """Ask what became of it."""
        self._way.send(partial(self._on_query, order.client_order_id, order.instrument))

    # --- the market -----------------------------------------------------------------------------------------
    def absorb(self, instrument: int) -> None:
        """Take the trades and quotes that wait in an instrument's ring."""
        market = self._markets[instrument]
        while n := self._match_ticks(market.matcher, market.book, self._rings, instrument):
            self._after(market, n)

    def _watch(self, instrument: int, wanted: bool) -> None:
        """See each tick of an instrument at its drain, or let them wait."""
        if wanted != (instrument in self.watching):
            (self.watching.add if wanted else self.watching.discard)(instrument)
            self.on_watch(instrument)

    def on_book(self, instrument: int, wire_ns: int, book: Any) -> None:  # noqa: ARG002
        """Take a changed book of the feed; it is read again until the next one."""
        self.absorb(instrument)
        market = self._markets[instrument]
        market.book = book
        self._after(market, self._match_book(market.matcher, book))

    def on_book_status(self, instrument: int, synced: bool, reason: str) -> None:  # noqa: ARG002
        """Stop believing a book that lost the exchange's sequence."""
        if not synced:
            self.absorb(instrument)
            self._markets[instrument].book = EMPTY_BOOK

    # --- what arrives ---------------------------------------------------------------------------------------
    def _on_place(self, entry: Entry) -> None:
        market = self._markets[entry.instrument]
        self.absorb(entry.instrument)
        if entry.client_order_id in self._entries:
            self._report(entry, "REJECTED", code=NEW_REJECTED, reason="Duplicate order sent.")
            return
        self._entries[entry.client_order_id] = entry
        code, reason = self.account.refusal(entry)
        if code:
            self._end(entry, "REJECTED", code=code, reason=reason)
            return
        market.entries[entry.key] = entry
        self._watch(entry.instrument, bool(market.entries))
        self._after(market, self._match(market, entry))

    def _match(self, market: _Market, entry: Entry) -> int:
        """Hand an order to the matcher; return its count of events."""
        side, ticks, lots = entry.side, entry.price_ticks, entry.qty_lots
        if entry.kind == STOP:
            rises = side == BUY
            return int(fills.arm(market.matcher, entry.key, side, MARKET, ticks, lots, ticks, rises))
        tif = POST_ONLY if entry.kind == REST else IOC
        return int(fills.place(market.matcher, market.book, entry.key, side, tif, ticks, lots))

    def _on_cancel(self, client_order_id: str, instrument: int) -> None:
        self.absorb(instrument)
        entry = self._open(client_order_id)
        if entry is None:
            self._unknown("CANCEL_REJECTED", client_order_id, instrument, _CANCEL_REJECTED)
            return
        market = self._markets[entry.instrument]
        self._after(market, fills.cancel(market.matcher, entry.key))

    def _on_amend(self, client_order_id: str, instrument: int, qty_lots: int) -> None:
        self.absorb(instrument)
        entry = self._open(client_order_id)
        if entry is None:
            self._unknown("AMEND_REJECTED", client_order_id, instrument, _NO_SUCH_ORDER)
        elif not entry.cum_lots < qty_lots < entry.qty_lots:
            self._report(entry, "AMEND_REJECTED", code=_AMEND_REJECTED, reason="The quantity must go down.")
        else:
            market = self._markets[entry.instrument]
            self._after(market, fills.amend(market.matcher, entry.key, qty_lots - entry.cum_lots))

    def _on_query(self, client_order_id: str, instrument: int) -> None:
        self.absorb(instrument)
        entry = self._entries.get(client_order_id)
        if entry is None:
            self._unknown("NOT_FOUND", client_order_id, instrument, _NO_SUCH_ORDER)
        else:
            self._report(entry, "STATUS")

    # --- what the matcher says ------------------------------------------------------------------------------
    def _after(self, market: _Market, n: int) -> None:
        """Report the n events of a call."""
        if n:
            events = market.matcher["events"][0, :n].tolist()
            for kind, key, _, ticks, lots, leaves, is_maker, reason in events:
                self._on_event(market.entries[key], kind, ticks, lots, leaves, is_maker, reason)
            if not market.spot and any(event[EV_KIND] == FILL for event in events):
                self._shrink_stops(market)

    def _on_event(
        self,
        entry: Entry,
        kind: int,
        ticks: int,
        lots: int,
        leaves: int,
        is_maker: int,
        reason: int,
    ) -> None:
        if kind == FILL:
            self._on_fill(entry, ticks, lots, leaves, is_maker)
        elif kind == ACCEPTED:
            entry.status = "NEW"
            self._report(entry, "NEW")
        elif kind == REJECTED:
            text = _REASONS.get(reason, "Too many new orders.")
            self._end(entry, "REJECTED", code=NEW_REJECTED, reason=text)
        elif kind == CANCELED:
            self._end(entry, "CANCELED")
        elif kind == EXPIRED:
            self._end(entry, "EXPIRED")
        elif kind == AMENDED:
            entry.qty_lots = entry.cum_lots + leaves
            self.account.release(entry, leaves)
            self._report(entry, "REPLACED")

    def _on_fill(self, entry: Entry, ticks: int, lots: int, leaves: int, is_maker: int) -> None:
        entry.cum_lots += lots
        settlement = self.account.settle(entry, ticks, lots, is_maker != 0)
        entry.status = "PARTIALLY_FILLED" if leaves else "FILLED"
        self._last_id += 1
        trade = self._report(
            entry,
            "TRADE",
            trade_id=self._last_id,
            last_ticks=ticks,
            last_lots=lots,
            is_maker=is_maker != 0,
            commission=settlement.commission,
            commission_asset=settlement.asset,
        )
        self._trades.append(trade)
        if not leaves:
            self._forget(entry)

    def _shrink_stops(self, market: _Market) -> None:
        """Bring the reduce-only orders of a derivative down to its position."""
        for entry in [entry for entry in market.entries.values() if entry.kind == STOP]:
            lots = self.account.reducible_lots(entry)
            if lots == 0:
                self._after(market, fills.cancel(market.matcher, entry.key))
            elif lots < entry.leaves_lots:
                self._after(market, fills.amend(market.matcher, entry.key, lots))

    # --- reports --------------------------------------------------------------------------------------------
    def _open(self, client_order_id: str) -> Entry | None:
        entry = self._entries.get(client_order_id)
        return entry if entry is not None and entry.key in self._markets[entry.instrument].entries else None

    def _end(self, entry: Entry, kind: ReportKind, code: int = 0, reason: str = "") -> None:
        """Report an order's end, other than by its last fill."""
        entry.status = kind
        self._report(entry, kind, code=code, reason=reason)
        self.account.release(entry, 0)
        self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        """Remember an ended order for queries only, and not for ever."""
        market = self._markets[entry.instrument]
        market.entries.pop(entry.key, None)
        self._watch(entry.instrument, bool(market.entries))
        self._ended.append(entry.client_order_id)
        if len(self._ended) > _KEPT:
            del self._entries[self._ended.popleft()]

    def _report(self, entry: Entry, kind: ReportKind, **more: Any) -> ExecutionReport:
        report = ExecutionReport(
            kind=kind,
            client_order_id=entry.client_order_id,
            venue_order_id=entry.venue_order_id,
            instrument=entry.instrument,
            side=entry.side,
            price_ticks=entry.price_ticks,
            qty_lots=entry.qty_lots,
            cum_lots=entry.cum_lots,
            status=entry.status,
            exch_ns=self._clock.now_ns(),
            wire_ns=0,
            **more,
        )
        self._way.tell(partial(self._deliver, report))
        return report

    def _unknown(self, kind: ReportKind, client_order_id: str, instrument: int, code: int) -> None:
        report = ExecutionReport(
            kind=kind,
            client_order_id=client_order_id,
            instrument=instrument,
            exch_ns=self._clock.now_ns(),
            wire_ns=0,
            code=code,
            reason="Unknown order.",
        )
        self._way.tell(partial(self._deliver, report))

    def _deliver(self, report: ExecutionReport) -> None:
        if self._sink is not None:
            self._sink.on_report(msgspec.structs.replace(report, wire_ns=self._clock.now_ns()))

"""Walking an order's way while nobody waits, so that a real order finds it warm.

An order that comes once in ten milliseconds takes several times as long as one in a hundred microseconds:
what it runs through has left the caches since. A spinning loop has the time to go through it: a stand-in of
the order side (risk, orders, portfolio, journal, the venue's requests and answers), made of the same classes,
takes one order from its check to its fill. Nothing of that leaves: its journal goes nowhere, its wire keeps
the bytes, its account is its own.

An order and its answer are walked in different turns of the loop, and only when neither a real order nor a
walk came within the period: a tick that comes meanwhile waits for one half of a walk at most.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from daemon.clock import VirtualTime
from daemon.events import Balance, VenueStatus
from daemon.memory_disk import InlineWorker, NowhereDisk
from daemon.no_net import NoNet
from daemon.orders.desk import Account, Desk
from daemon.orders.ids import Ids
from daemon.orders.intents import Approved
from daemon.orders.journal import Journal
from daemon.orders.manager import Orders
from daemon.orders.portfolio import Portfolio
from daemon.orders.recovery import Recovery
from daemon.orders.risk import Risk, RiskLimits
from daemon.spans import Spans
from daemon.tally import Tally
from daemon.venues.binance import BinanceVenue
from kernels.dtypes import BUY, GATE_NOT_READY, GATE_VENUE_DOWN, PLACE, SELL, TARGET, memory_dtype
from kernels.features import FEATURES

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.events import ExecutionReport, Funding
    from daemon.instruments import Instrument
    from daemon.orders.audit import Observer
    from daemon.seams import Seams
    from daemon.venues.binance_settings import BinanceSettings
    from daemon.venues.signing import Signer

_TICKS: Final = 100_000
_LOTS: Final = 1_000
_PLENTY: Final = Decimal(10**12)
_RATE: Final = 1e9  # orders a second: no walk is refused
_ANSWER: Final = (
    b'{"id":%d,"status":200,"result":{"symbol":"%b","orderId":%d,"orderListId":-1,"clientOrderId":"%b",'
    b'"transactTime":%d,"price":"%b","origQty":"%b","executedQty":"%b","status":"FILLED","timeInForce":"IOC",'
    b'"type":"LIMIT","side":"%b","fills":[{"price":"%b","qty":"%b","commission":"0.00000000",'
    b'"commissionAsset":"%b","tradeId":%d}]},"rateLimits":[]}'
)


class Rehearsal:
    """A stand-in order side on Binance; `idle` is called whenever a spinning loop comes round."""

    def __init__(
        self,
        instrument: Instrument,
        signer: Signer,
        settings: BinanceSettings,
        seams: Seams,
        period_ns: int,
        written_ns: Callable[[], int],
    ) -> None:
        """Build it; written_ns() is when the latest real order's bytes had left. Of the seams it has time."""
        one = msgspec.structs.replace(instrument, index=0)
        #: its next timer runs at each walk, whatever a clock says: answered orders are let go of
        self._timers = VirtualTime(seams.clock.now_ns())
        seams = seams._replace(scheduler=self._timers, net=NoNet(), disk=NowhereDisk(), worker=InlineWorker())
        memory = np.zeros(1, memory_dtype(1, len(FEATURES), 1, 1, 0, 0))
        self._desk = Desk(0, "rehearsal", (0,), memory, Account())
        self._wire = _Wire()
        self._orders = _order_side(one, self._desk, BinanceVenue([one], signer, settings, seams), seams)
        venue = self._orders.venue
        assert isinstance(venue, BinanceVenue)
        self._session = venue.attach(self._wire, self)
        texts = (one.exchange_symbol, one.price.text(_TICKS), one.qty.text(_LOTS), one.quote)
        self._texts = tuple(text.encode() for text in texts)
        self._now = seams.clock.now_ns
        self._period_ns = period_ns
        self._written_ns = written_ns
        self._walked_ns = 0
        self.walks = 0

    def idle(self) -> None:
        """Walk half a way, when it is time."""
        now_ns = self._now()
        if self._wire.sent:
            self._answer(self._wire.sent.pop(), now_ns)
        elif self._is_past(self._walked_ns, now_ns) and self._is_past(self._written_ns(), now_ns):
            self._walked_ns = now_ns
            self._order(now_ns)

    def _is_past(self, at_ns: int, now_ns: int) -> bool:
        """Whether something was a period ago, or the clock was set back since."""
        return not 0 <= now_ns - at_ns < self._period_ns

    def _order(self, now_ns: int) -> None:
        side = SELL if self.walks % 2 else BUY
        slot = self._desk.free_slot(0)
        action = [PLACE, 0, slot, TARGET, 0, side, _TICKS, _LOTS, 0, 0, 2 * _TICKS, 0]
        verdict = self._orders.risk.check(self._desk, action, now_ns)
        if type(verdict) is Approved:
            self._orders.submit(verdict)

    def _answer(self, request: bytes, now_ns: int) -> None:
        self.walks += 1
        symbol, price, qty, asset = self._texts
        number = int(request[request.index(b":") + 1 : request.index(b",")])
        order = next(iter(self._orders.life.open.values()))
        side = b"BUY" if order.side == BUY else b"SELL"
        name, walk, time_ms = order.client_order_id.encode(), self.walks, now_ns // 1_000_000
        head = (number, symbol, walk, name, time_ms, price, qty, qty, side)
        self._session.on_frame(_ANSWER % (*head, price, qty, asset, walk), True)
        self._timers.advance(max(now_ns, self._timers.next_ns or 0))

    # --- the venue's sink --------------------------------------------------------------------------------
    def on_report(self, report: ExecutionReport) -> None:
        """Apply it, as the engine does."""
        self._orders.apply(report)

    def knows(self, kind: str, client_order_id: str, cum_lots: int, trade_id: int) -> bool:
        """Whether it says only what is known."""
        return self._orders.knows(kind, client_order_id, cum_lots, trade_id)

    def on_funding(self, funding: Funding) -> None:
        """Do nothing: it holds nothing for so long."""

    def on_alarm(self, kind: str, text: str, wire_ns: int) -> None:
        """Do nothing."""

    def on_venue_status(self, status: VenueStatus) -> None:
        """Do nothing: it is up for ever."""


def _order_side(instrument: Instrument, desk: Desk, venue: BinanceVenue, seams: Seams) -> Orders:
    """Return an order side of its own, with plenty of both assets and every gate open."""
    journal = Journal(seams.disk, seams.worker, Path("rehearsal"), sync="os")
    portfolio = Portfolio([instrument], [desk], reporting=instrument.quote)
    tally: list[Observer] = [Tally(Spans())]
    risk = Risk(RiskLimits(orders_per_s_max=_RATE), [instrument], [desk], journal, tally)
    orders = Orders(
        seams.clock,
        seams.scheduler,
        Ids("rehearsal", 1),
        [instrument],
        [desk],
        portfolio,
        risk,
        journal,
        venue,
        tally,
    )
    Recovery(orders).begin("", "", seams.disk.boot())
    plenty = Balance(_PLENTY, Decimal(0))
    portfolio.adopt({instrument.base: plenty, instrument.quote: plenty}, moved=False)
    portfolio.mark(0, instrument.price.value(_TICKS))
    risk.set_ready(desk, True)
    for gate in (GATE_NOT_READY, GATE_VENUE_DOWN):
        risk.open_all(gate)
    return orders


class _Wire:
    """Keeps what would leave."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, payload: bytes) -> None:
        """Keep it."""
        self.sent.append(payload)

    def close(self) -> None:
        """Do nothing."""

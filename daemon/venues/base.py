"""What every venue does, live or paper.

`place`, `cancel`, `amend` and `query` are plain calls on the hot path: sign, frame, write. They never await
and never raise for a lost connection: an order whose bytes may have left is answered by a report (or by none,
and then the manager's timeout makes it UNKNOWN); one whose bytes certainly did not leave is answered with
REJECTED, reason "not sent". No report comes from within these calls: who asked is not done with it yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from daemon.events import ExecutionReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.events import Funding, ReportKind, VenueSnapshot, VenueStatus
    from daemon.instruments import Instrument
    from daemon.orders.order import Order


class VenueSink(Protocol):
    """Who hears of orders: the engine."""

    def on_report(self, report: ExecutionReport) -> None:
        """Take one order message."""

    def knows(self, kind: str, client_order_id: str, cum_lots: int, trade_id: int) -> bool:
        """Whether an order message says only what is known: then it need not be told."""

    def on_funding(self, funding: Funding) -> None:
        """Take what open derivatives cost or brought by themselves."""

    def on_alarm(self, kind: str, text: str, wire_ns: int) -> None:
        """Learn of what a person should look at, by one of the kinds of alarms (daemon/orders/audit.py)."""

    def on_venue_status(self, status: VenueStatus) -> None:
        """Learn that the connection on which orders travel came up or went down."""


class Venue(Protocol):
    """Where orders go."""

    name: str
    can_amend: bool  # whether an order can be lowered and keep its place
    can_replace: bool  # whether one request can cancel a resting order and place another

    @property
    def up(self) -> bool:
        """Whether orders can travel."""

    @property
    def losses(self) -> int:
        """Return the connections lost since the start."""

    def is_short(self) -> bool:
        """Whether its rate limits leave room for little more than cancels and queries."""

    def place(self, order: Order) -> None:
        """Send a new order."""

    def cancel(self, order: Order) -> None:
        """Ask for its cancellation."""

    def amend(self, order: Order, qty_lots: int) -> None:
        """Lower its quantity to `qty_lots`, keeping its priority."""

    def query(self, order: Order) -> None:
        """Ask what became of it; a STATUS or NOT_FOUND report follows."""

    def clock_stepped(self, step_ns: int) -> None:
        """Take the step of our clock, which was set anew by so much: the exchange's was not."""

    async def start(self, sink: VenueSink) -> None:
        """Connect, and keep connected until `stop`; returns once orders can be sent."""

    async def snapshot(self, since_ns: int) -> VenueSnapshot:
        """Return the venue's word on balances, open orders and trades since `since_ns`."""

    async def stop(self) -> None:
        """Disconnect."""


class LiveVenue(Venue, Protocol):
    """A venue at an exchange, which also says what its market is."""

    async def touches(self, instruments: Sequence[Instrument]) -> list[tuple[float, float]]:
        """Return the best bid and ask of each now, 0.0 where there is none; raises NetError, VenueError."""


class ReplacingVenue(Venue, Protocol):
    """A venue that can replace a resting order by one request."""

    def replace(self, old: Order, new: Order) -> None:
        """Ask for the old order's cancellation and, where that succeeds, send the new one.

        A plain call as those above. Reports follow on each, as if it had been asked for by itself.
        """


def refusal_report(
    order: Order, kind: ReportKind, reason: str, now_ns: int, code: int = 0
) -> ExecutionReport:
    """Return a report of a request that did nothing, or of which nothing is known."""
    return ExecutionReport(
        kind=kind,
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        wire_ns=now_ns,
        code=code,
        reason=reason,
    )

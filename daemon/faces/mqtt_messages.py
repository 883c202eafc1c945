"""What is told over MQTT: one versioned JSON object a message, as docs/mqtt.md has it field by field.

Prices and quantities of orders and fills are exact decimals, and so text; what is counted in floats inside
(positions, equity) is a number. Times are int64 nanoseconds UTC, spans seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from daemon.faces.journal_table import KINDS, SIDES
from daemon.orders.audit import Alarm, Filled, Latched, Moved, Sent
from daemon.orders.order import State
from daemon.redact import redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.instruments import Instrument
    from daemon.orders.desk import Desk
    from daemon.status import InstrumentStatus, Status

#: of every message's form: a field that is new leaves it, one that goes or changes its meaning raises it
VERSION: Final = 1


class Message(msgspec.Struct, kw_only=True, gc=False):
    """What every message begins with."""

    v: int = VERSION
    name: str  # of the daemon
    run: int  # of the daemon, as in its client order ids
    now_ns: int  # when it was made; of a will, when it was left


class StatusMessage(Message, kw_only=True):
    """Whether the daemon is there, and what it does; retained, and the last will."""

    online: bool
    state: str
    reason: str = ""
    mode: str
    version: str
    started_ns: int


class HealthMessage(Message, kw_only=True):
    """How it is, every mqtt.health_s."""

    state: str
    uptime_s: float
    feed_connected: bool
    feed_age_s: float | None
    feed_reconnects: int
    stale: list[str]
    venue_up: bool
    venue_reconnects: int
    orders_open: int
    orders_unknown: int
    fills: int
    rejected: int
    unsent: int
    refused: int
    quote: str
    equity: float | None
    day_pnl: float
    drawdown: float
    kill_switch: bool
    tick_to_order_p50_s: float | None
    tick_to_order_p99_s: float | None
    logs_dropped: int
    mqtt_queued: int
    mqtt_dropped: int
    mqtt_refused: int
    mqtt_reconnects: int


class Position(msgspec.Struct, kw_only=True, gc=False):
    """What is held of one instrument, by all strategies together."""

    symbol: str
    base: str
    qty: float
    avg_price: float
    realised: float
    unrealised: float
    fees: float


class PositionsMessage(Message, kw_only=True):
    """Everything that is held, or was; retained, and whole each time."""

    positions: list[Position]


class _Event(msgspec.Struct, kw_only=True, gc=False):
    """What happened: numbered in each run from 1, over all three topics."""

    seq: int
    now_ns: int


class OrderEvent(_Event, kw_only=True):
    """An order left, or took a step."""

    event: str  # SENT, or an Event's name
    before: str | None
    state: str
    client_order_id: str
    venue_order_id: str
    strategy: str
    symbol: str
    side: str  # buy, sell
    kind: str  # target, rest, stop
    price: str
    qty: str
    filled: str
    reduces: bool
    reason: str


class FillEvent(_Event, kw_only=True):
    """A trade was accounted for."""

    client_order_id: str
    venue_order_id: str
    trade_id: int
    strategy: str | None
    symbol: str
    side: str  # buy, sell
    price: str
    qty: str
    maker: bool
    fee: str
    fee_asset: str
    exch_ns: int


class AlertEvent(_Event, kw_only=True):
    """Something that a person should look at, the kill switch among them."""

    kind: str
    text: str
    source: str
    halted: bool | None


class OrdersMessage(Message, kw_only=True):
    """What happened to orders since the message before."""

    events: list[OrderEvent]


class FillsMessage(Message, kw_only=True):
    """What was accounted for since the message before."""

    events: list[FillEvent]


class AlertsMessage(Message, kw_only=True):
    """What a person should look at since the message before."""

    events: list[AlertEvent]


#: topic below TOPIC/NAME/ -> the form of what is told there
FORMS: Final[dict[str, type[Message]]] = {
    "status": StatusMessage,
    "health": HealthMessage,
    "positions": PositionsMessage,
    "orders": OrdersMessage,
    "fills": FillsMessage,
    "alerts": AlertsMessage,
}


EventsMessage: TypeAlias = OrdersMessage | FillsMessage | AlertsMessage
#: what waits to be told; of an order also what of it goes on changing: venue order id, lots, filled lots
Entry: TypeAlias = Filled | Alarm | Latched | tuple[Sent | Moved, str, int, int]


class Teller:
    """Turns what happened in one run into messages."""

    def __init__(self, name: str, run: int, instruments: Sequence[Instrument], desks: Sequence[Desk]) -> None:
        self._name, self._run = name, run
        self._instruments = instruments
        self._desks = desks

    def events(self, entries: dict[int, Entry], now_ns: int) -> list[tuple[str, EventsMessage]]:
        """Return what is told of a few entries of the outbox, by their numbers: topic and message of each."""
        orders = [self._order(seq, *one) for seq, one in entries.items() if isinstance(one, tuple)]
        fills = [self._fill(seq, one) for seq, one in entries.items() if isinstance(one, Filled)]
        alerts = [self._alert(seq, one) for seq, one in entries.items() if isinstance(one, (Alarm, Latched))]
        name, run = self._name, self._run
        told: list[tuple[str, EventsMessage]] = []
        if orders:
            told.append(("orders", OrdersMessage(name=name, run=run, now_ns=now_ns, events=orders)))
        if fills:
            told.append(("fills", FillsMessage(name=name, run=run, now_ns=now_ns, events=fills)))
        if alerts:
            told.append(("alerts", AlertsMessage(name=name, run=run, now_ns=now_ns, events=alerts)))
        return told

    def status(self, status: Status, state: str = "") -> StatusMessage:
        """Return whether the daemon is there and what it does; state: LOST, of the will of one that died."""
        state = state or status.state
        return StatusMessage(
            name=self._name,
            run=self._run,
            now_ns=status.now_ns,
            online=state not in {"LOST", "STOPPED"},
            state=state,
            reason=redact(status.reason) if state != "LOST" else "",
            mode=status.mode,
            version=status.version,
            started_ns=status.now_ns - round(status.uptime_s * 1e9),
        )

    def positions(self, held: Sequence[InstrumentStatus], now_ns: int) -> PositionsMessage:
        """Return what is held, of instruments that have a position or ever had one in this journal."""
        told = [
            Position(
                symbol=one.symbol,
                base=one.base,
                qty=one.position,
                avg_price=one.avg_price,
                realised=one.realised,
                unrealised=one.unrealised,
                fees=one.fees,
            )
            for one in held
        ]
        return PositionsMessage(name=self._name, run=self._run, now_ns=now_ns, positions=told)

    def health(self, status: Status) -> HealthMessage:
        """Return how it is; `status.mqtt` is set."""
        orders, mqtt = status.orders, status.mqtt
        assert mqtt is not None
        ages = [one.feed_age_s for one in status.instruments if one.feed_age_s is not None]
        left = next((one for one in status.latency if one.stage == "order"), None)
        return HealthMessage(
            name=self._name,
            run=self._run,
            now_ns=status.now_ns,
            state=status.state,
            uptime_s=status.uptime_s,
            feed_connected=status.feed_connected,
            feed_age_s=max(ages, default=None),
            feed_reconnects=status.feed_reconnects,
            stale=[one.symbol for one in status.instruments if one.stale],
            venue_up=status.venue_up,
            venue_reconnects=status.venue_reconnects,
            orders_open=sum(count for name, count in orders.by_state.items() if not State[name].terminal),
            orders_unknown=orders.unknown,
            fills=orders.fills,
            rejected=sum(orders.rejected.values()),
            unsent=orders.unsent,
            refused=sum(orders.refusals.values()),
            quote=status.quote,
            equity=status.equity,
            day_pnl=status.day_pnl,
            drawdown=status.drawdown,
            kill_switch=status.kill_switch,
            tick_to_order_p50_s=left.p50_s if left else None,
            tick_to_order_p99_s=left.p99_s if left else None,
            logs_dropped=status.logs_dropped,
            mqtt_queued=mqtt.queued,
            mqtt_dropped=mqtt.dropped,
            mqtt_refused=sum(mqtt.refused.values()),
            mqtt_reconnects=mqtt.reconnects,
        )

    def _order(
        self, seq: int, audit: Sent | Moved, venue_order_id: str, qty_lots: int, filled_lots: int
    ) -> OrderEvent:
        order = audit.order
        event, before, state, reason = "SENT", None, State.PENDING_NEW.name, ""
        if isinstance(audit, Moved):
            event, before, state = audit.event.name, audit.before.name, audit.after.name
            reason = redact(audit.report.reason) if audit.report is not None else ""
        instrument = self._instruments[order.instrument]
        return OrderEvent(
            now_ns=audit.now_ns,
            seq=seq,
            event=event,
            before=before,
            state=state,
            client_order_id=order.client_order_id,
            venue_order_id=venue_order_id,
            strategy=self._desks[order.strategy].name,
            symbol=instrument.symbol,
            side=SIDES[order.side],
            kind=KINDS[order.kind],
            price=instrument.price.text(order.price_ticks),
            qty=instrument.qty.text(qty_lots),
            filled=instrument.qty.text(filled_lots),
            reduces=order.reduces,
            reason=reason,
        )

    def _fill(self, seq: int, audit: Filled) -> FillEvent:
        report, order = audit.report, audit.order
        instrument = self._instruments[report.instrument]
        return FillEvent(
            now_ns=audit.now_ns,
            seq=seq,
            client_order_id=report.client_order_id,
            venue_order_id=report.venue_order_id,
            trade_id=report.trade_id,
            strategy=self._desks[order.strategy].name if order is not None else None,
            symbol=instrument.symbol,
            side=SIDES[report.side],
            price=instrument.price.text(report.last_ticks),
            qty=instrument.qty.text(report.last_lots),
            maker=report.is_maker,
            fee=f"{report.commission:f}",
            fee_asset=report.commission_asset,
            exch_ns=report.exch_ns,
        )

    def _alert(self, seq: int, audit: Alarm | Latched) -> AlertEvent:
        kind, text, source, halted = "kill_switch", "", "", None
        if isinstance(audit, Latched):
            text, source, halted = audit.reason, audit.source, audit.halted
        else:
            kind, text = audit.kind, audit.text
        return AlertEvent(
            now_ns=audit.now_ns,
            seq=seq,
            kind=kind,
            text=redact(text),
            source=source,
            halted=halted,
        )

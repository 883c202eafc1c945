"""What a person wants to read of trading: fills, alarms and the kill switch, as log lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.orders.audit import Alarm, Filled, Latched, Moved
from daemon.orders.order import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from structlog.typing import FilteringBoundLogger

    from daemon.instruments import Instrument
    from daemon.orders.audit import Audit


class AuditLog:
    """An observer of the orders that logs what is worth a line; lines are rendered later, off the stack."""

    def __init__(self, log: FilteringBoundLogger, instruments: Sequence[Instrument]) -> None:
        self._log = log
        self._instruments = instruments
        self._take: dict[type, Any] = {
            Filled: self._on_filled,
            Moved: self._on_moved,
            Alarm: self._on_alarm,
            Latched: self._on_latched,
        }

    def __call__(self, audit: Audit) -> None:
        """Log one audit, or not."""
        take = self._take.get(type(audit))
        if take is not None:
            take(audit)

    def _on_filled(self, audit: Filled) -> None:
        report = audit.report
        instrument = self._instruments[report.instrument]
        self._log.info(
            "fill",
            client_order_id=report.client_order_id,
            symbol=instrument.symbol,
            side="buy" if report.side > 0 else "sell",
            price=instrument.price.text(report.last_ticks),
            qty=instrument.qty.text(report.last_lots),
            fee=str(report.commission),
            fee_asset=report.commission_asset,
        )

    def _on_moved(self, audit: Moved) -> None:
        if audit.after is State.UNKNOWN or audit.after is State.REJECTED:
            self._log.warning(
                "order",
                client_order_id=audit.order.client_order_id,
                before=audit.before.name,
                after=audit.after.name,
            )

    def _on_alarm(self, audit: Alarm) -> None:
        self._log.error("alarm", kind=audit.kind, text=audit.text)

    def _on_latched(self, audit: Latched) -> None:
        self._log.error("kill_switch", halted=audit.halted, source=audit.source, reason=audit.reason)

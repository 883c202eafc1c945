"""What a person wants to read of trading: fills, alarms and the kill switch, as log lines.

On the trading stack an audit is only put aside (0.1 us where a call of the logger costs 10); it becomes a
line when lines are written, if it is to be one: six thousand fills a second would stop the loop for 8 ms ten
times in it, to be dropped as a burst in the end.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from daemon.orders.audit import RELIEFS, Alarm, Filled, Latched, Moved
from daemon.orders.order import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.instruments import Instrument
    from daemon.logs import Logs
    from daemon.orders.audit import Audit

#: states that a person should know of
_TOLD: Final = frozenset({State.UNKNOWN, State.REJECTED})


class AuditLog:
    """An observer of the orders that logs what is worth a line."""

    def __init__(self, logs: Logs, instruments: Sequence[Instrument]) -> None:
        self._log = logs.get("orders")
        self._passes_over = logs.passes_over
        self._instruments = instruments
        self._aside: deque[Audit] = deque()
        logs.sources.append(self.write)
        self._take: dict[type, Any] = {
            Filled: self._on_filled,
            Moved: self._on_moved,
            Alarm: self._on_alarm,
            Latched: self._on_latched,
        }

    def __call__(self, audit: Audit) -> None:
        """Put one audit aside, or not."""
        news = audit.after in _TOLD if isinstance(audit, Moved) else type(audit) in self._take
        if news:
            self._aside.append(audit)

    def write(self) -> None:
        """Log what was put aside."""
        while self._aside:
            audit = self._aside.popleft()
            self._take[type(audit)](audit)

    def _on_filled(self, audit: Filled) -> None:
        if self._passes_over("fill"):
            return
        report = audit.report
        instrument = self._instruments[report.instrument]
        self._log.info(
            "fill",
            now_ns=audit.now_ns,
            client_order_id=report.client_order_id,
            symbol=instrument.symbol,
            side="buy" if report.side > 0 else "sell",
            price=instrument.price.text(report.last_ticks),
            qty=instrument.qty.text(report.last_lots),
            fee=f"{report.commission:f}",
            fee_asset=report.commission_asset,
        )

    def _on_moved(self, audit: Moved) -> None:
        if self._passes_over("order", "warning"):
            return
        report = audit.report
        why = {"reason": report.reason} if report is not None and report.reason else {}
        code = {"code": report.code} if report is not None and report.code else {}
        self._log.warning(
            "order",
            now_ns=audit.now_ns,
            client_order_id=audit.order.client_order_id,
            before=audit.before.name,
            after=audit.after.name,
            **why,
            **code,
        )

    def _on_alarm(self, audit: Alarm) -> None:
        say = self._log.info if audit.kind in RELIEFS else self._log.error
        say("alarm", now_ns=audit.now_ns, kind=audit.kind, text=audit.text)

    def _on_latched(self, audit: Latched) -> None:
        say = self._log.error if audit.halted else self._log.info
        say(
            "kill_switch",
            now_ns=audit.now_ns,
            halted=audit.halted,
            source=audit.source,
            reason=audit.reason,
        )

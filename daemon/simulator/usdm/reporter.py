"""Telling futures accounts what happened, as events of their user data streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from daemon.simulator.reporter import Reporter
from daemon.simulator.usdm.order import FuturesOrder, account_update, algo_update, order_update

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.simulator.account import Account
    from daemon.simulator.order import Order
    from daemon.simulator.usdm.account import FuturesAccount, Position
    from daemon.simulator.usdm.order import AlgoOrder

#: why an order expired, by the number the exchange gives
_REASONS: Final = {"UNFILLED_IOC_QUANTITY_EXPIRED": "2", "TRADE_PREVENTION": "1", "REDUCE_ONLY": "4"}


class FuturesReporter(Reporter):
    """Hands events to `emit(account, event)` in the order in which they happened."""

    def order(self, order: Order, kind: str, now_ns: int, **details: Any) -> None:
        """Report one execution of an order."""
        assert isinstance(order, FuturesOrder)
        self.execution_id += 1
        if self.keep is not None:
            self.keep(order.account, order=order, fill=details.get("fill"))
        reason = _REASONS.get(details.get("expiry", "") or kind, "0")
        event = order_update(order, kind, now_ns, details.get("fill"), reason)
        self.emit(order.account.name, event)

    def position(self, account: Account, assets: Iterable[str], now_ns: int) -> None:
        """Report nothing: the futures tell of balances only what an execution or funding moved."""

    def moved(
        self,
        account: FuturesAccount,
        asset: str,
        positions: list[Position],
        reason: str,
        now_ns: int,
        change: int = 0,
    ) -> None:
        """Report what an execution or funding did to wallet and positions."""
        account.updated_ns = now_ns
        if self.keep is not None and reason != "ORDER":  # an execution is kept whole, as its order's
            self.keep(account)
        self.emit(account.name, account_update(account, asset, positions, reason, change, now_ns))

    def algo(self, algo: AlgoOrder, now_ns: int, reason: str = "") -> None:
        """Report what a conditional order came to."""
        algo.updated_ns = now_ns
        if self.keep is not None:
            self.keep(algo.account, algo=algo)
        self.emit(algo.account.name, algo_update(algo, now_ns, reason))

    def setup(self, account: FuturesAccount, position: Position, now_ns: int) -> None:
        """Report a changed leverage."""
        if self.keep is not None:
            self.keep(account)
        now_ms = now_ns // 1_000_000
        row = {"s": position.symbol.name, "l": position.leverage}
        self.emit(account.name, {"e": "ACCOUNT_CONFIG_UPDATE", "E": now_ms, "T": now_ms, "ac": row})

"""Telling accounts what happened to their orders and balances, as user data events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.simulator.order import execution_report
from daemon.simulator.symbols import text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from daemon.simulator.account import Account
    from daemon.simulator.order import Order


class Reporter:
    """Numbers executions and hands events to `emit(account, event)` in the order in which they happened."""

    def __init__(self) -> None:
        self.emit: Callable[[str, dict[str, Any]], None] = lambda _, __: None
        self.keep: Callable[..., None] | None = None  # told of an account, and order, fill or algo, first
        self.execution_id = 0

    def order(self, order: Order, kind: str, now_ns: int, **details: Any) -> None:
        """Report one execution of an order; details as `execution_report` takes them."""
        self.execution_id += 1
        if self.keep is not None:
            self.keep(order.account, order=order, fill=details.get("fill"))
        self.emit(order.account.name, execution_report(order, kind, self.execution_id, now_ns, **details))

    def position(self, account: Account, assets: Iterable[str], now_ns: int) -> None:
        """Report the balances of the assets that may have changed."""
        account.updated_ns = now_ns
        now_ms = now_ns // 1_000_000
        rows = []
        for asset in sorted(assets):
            balance = account.balance(asset)
            rows.append({"a": asset, "f": text(balance.free), "l": text(balance.locked)})
        self.emit(account.name, {"e": "outboundAccountPosition", "E": now_ms, "u": now_ms, "B": rows})

    def transfer(self, account: Account, asset: str, amount: int, now_ns: int) -> None:
        """Report a deposit (or, negative, a withdrawal)."""
        if self.keep is not None:
            self.keep(account)
        now_ms = now_ns // 1_000_000
        self.emit(
            account.name, {"e": "balanceUpdate", "E": now_ms, "a": asset, "d": text(amount), "T": now_ms}
        )

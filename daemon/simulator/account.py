"""One account: balances free and locked, in units, and what a fill does to them.

A working buy locks its worst cost, a working sell its quantity. A fill moves what was locked for the filled
part: the price improvement goes back to free, and the commission is taken from what is received.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.simulator.errors import rejected
from daemon.simulator.rates import OrderLimits
from daemon.simulator.symbols import UNIT, text

if TYPE_CHECKING:
    from daemon.simulator.rates import Limits


class Balance:
    """What there is of one asset."""

    __slots__ = ("free", "locked")

    def __init__(self, free: int = 0) -> None:
        self.free = free
        self.locked = 0


class Account:
    """An account of the exchange; several keys may trade on it."""

    def __init__(self, name: str, funds: dict[str, int], maker: int, taker: int, limits: Limits) -> None:
        self.name = name
        self.balances = {asset: Balance(free) for asset, free in funds.items()}
        self.maker = maker  # commission rates, in units of 1e-8
        self.taker = taker
        self.orders = OrderLimits(limits)
        self.updated_ns = 0

    def balance(self, asset: str) -> Balance:
        """Return the asset's balance, made at first use."""
        found = self.balances.get(asset)
        if found is None:
            found = self.balances[asset] = Balance()
        return found

    def lock(self, asset: str, amount: int) -> None:
        """Move free to locked; raises ApiError -2010 when there is too little."""
        balance = self.balance(asset)
        if balance.free < amount:
            raise rejected("Account has insufficient balance for requested action.")
        balance.free -= amount
        balance.locked += amount

    def unlock(self, asset: str, amount: int) -> None:
        """Move locked back to free."""
        balance = self.balance(asset)
        assert balance.locked >= amount, f"{asset}: {amount} to unlock, {balance.locked} locked"
        balance.locked -= amount
        balance.free += amount

    def spend(self, asset: str, locked: int, paid: int) -> None:
        """Pay out of what was locked for this part; the rest of it is free again."""
        balance = self.balance(asset)
        assert balance.locked >= locked >= paid, (
            f"{asset}: {paid} to pay of {locked}, {balance.locked} locked"
        )
        balance.locked -= locked
        balance.free += locked - paid

    def receive(self, asset: str, amount: int, is_maker: bool) -> int:
        """Credit what a fill brought, net of commission; returns the commission, in units of the asset."""
        commission = amount * (self.maker if is_maker else self.taker) // UNIT
        self.balance(asset).free += amount - commission
        return commission

    def deposit(self, asset: str, amount: int) -> None:
        """Add to (or, negative, take from) what is free."""
        self.balance(asset).free += amount

    def view(self, now_ms: int, omit_zero: bool) -> dict[str, Any]:
        """Return GET /api/v3/account."""
        maker, taker = self.maker * 10_000 // UNIT, self.taker * 10_000 // UNIT
        return {
            "makerCommission": maker,
            "takerCommission": taker,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {
                "maker": text(self.maker),
                "taker": text(self.taker),
                "buyer": text(0),
                "seller": text(0),
            },
            "canTrade": True,
            "canWithdraw": False,
            "canDeposit": False,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": now_ms,
            "accountType": "SPOT",
            "balances": [
                {"asset": asset, "free": text(balance.free), "locked": text(balance.locked)}
                for asset, balance in self.balances.items()
                if not omit_zero or balance.free or balance.locked
            ],
            "permissions": ["SPOT"],
            "uid": 354937868,
        }

    def rates(self) -> dict[str, str]:
        """Return the commission rates as order/test and account/commission show them."""
        return {"maker": text(self.maker), "taker": text(self.taker)}

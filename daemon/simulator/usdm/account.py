"""One futures account: a wallet, positions, and the margin they and open orders take.

Amounts in units of 1e-8. Wallets move by realised profits, commissions and funding alone; what an open
position would realise counts towards what is available, as it does in cross margin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from daemon.simulator.account import Account
from daemon.simulator.symbols import UNIT, notional, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.simulator.rates import Limits
    from daemon.simulator.symbols import Symbol

LEVERAGE_DEFAULT: Final = 20
LEVERAGE_MAX: Final = 125
#: the maintenance margin is one part in so many of a position's value
MAINTENANCE_SHARE: Final = 250
MARGIN_TYPES: Final = ("CROSSED", "ISOLATED")


class Position:
    """A one-way position, and how its symbol is set up; `cost` is what the open part was bought for."""

    __slots__ = (
        "asks",
        "bids",
        "cost",
        "isolated",
        "leverage",
        "mark",
        "qty",
        "realised",
        "symbol",
        "updated_ns",
    )

    def __init__(self, symbol: Symbol) -> None:
        self.symbol = symbol
        self.qty = 0  # negative when short
        self.cost = 0
        self.realised = 0
        self.leverage = LEVERAGE_DEFAULT
        self.isolated = False
        self.mark = 0
        self.bids = self.asks = 0  # notional of open orders that may add to it
        self.updated_ns = 0

    def trade(self, qty: int, paid: int) -> int:
        """Add a signed quantity for a signed value; return what closing realised."""
        if self.qty * qty >= 0:
            self.qty += qty
            self.cost += paid
            return 0
        closed = min(abs(qty), abs(self.qty))
        cost = self.cost * closed // abs(self.qty)
        worth = paid * closed // abs(qty)
        self.qty += qty
        self.cost += paid - worth - cost
        self.realised -= worth + cost
        return -worth - cost

    @property
    def entry(self) -> int:
        """The average price, 0 when flat."""
        return self.cost * UNIT // self.qty if self.qty else 0

    @property
    def notional(self) -> int:
        """Its signed value at the mark."""
        return -notional(self.mark, -self.qty) if self.qty < 0 else notional(self.mark, self.qty)

    @property
    def unrealised(self) -> int:
        """What closing it at the mark would bring."""
        return self.notional - self.cost

    def margin(self, bids: int = 0, asks: int = 0) -> int:
        """Return the initial margin of position and open orders, and of so much more on either side."""
        worst = max(abs(self.notional + self.bids + bids), abs(self.notional - self.asks - asks))
        return worst // self.leverage


class FuturesAccount(Account):
    """An account of the futures exchange; what is free in `balances` is the wallet."""

    def __init__(self, name: str, funds: dict[str, int], maker: int, taker: int, limits: Limits) -> None:
        super().__init__(name, funds, maker, taker, limits)
        self.positions: dict[str, Position] = {}

    def position(self, symbol: Symbol) -> Position:
        """Return the position in a symbol, flat at first."""
        found = self.positions.get(symbol.name)
        if found is None:
            found = self.positions[symbol.name] = Position(symbol)
        return found

    def wallet(self, asset: str) -> int:
        """Return the wallet's balance."""
        return self.balance(asset).free

    def settle(self, symbol: Symbol, qty: int, paid: int, is_maker: bool) -> tuple[int, int]:
        """Book one execution, signed; returns what it realised and the commission."""
        realised = self.position(symbol).trade(qty, paid)
        commission = abs(paid) * (self.maker if is_maker else self.taker) // UNIT
        self.deposit(symbol.quote, realised - commission)
        return realised, commission

    def available(self, asset: str) -> int:
        """Return what new orders may take as margin."""
        mine = [one for one in self.positions.values() if one.symbol.quote == asset]
        return self.wallet(asset) + sum(one.unrealised - one.margin() for one in mine)

    def liquidation(self, position: Position) -> int:
        """Return the price at which what secures a position is its maintenance margin; 0: at none."""
        if not position.qty:
            return 0
        others = [one for one in self.positions.values() if one is not position]
        if position.isolated:
            others, secured = [], abs(position.cost) // position.leverage
        else:
            others = [one for one in others if one.symbol.quote == position.symbol.quote]
            secured = self.wallet(position.symbol.quote)
        secured += sum(one.unrealised - _maintenance(one) for one in others)
        short_of = (position.cost - secured) * MAINTENANCE_SHARE * UNIT
        price = short_of // (position.qty * MAINTENANCE_SHARE - abs(position.qty))
        return max(0, price)

    # --- as the exchange writes it down ---
    def balance_views(self) -> list[dict[str, Any]]:
        """Return the rows of balance, versions 2 and 3."""
        return [
            {
                "accountAlias": "SgsR",
                "asset": asset,
                "balance": text(self.wallet(asset)),
                "crossWalletBalance": text(self.wallet(asset)),
                "crossUnPnl": text(self._unrealised(asset)),
                "availableBalance": text(max(0, self.available(asset))),
                "maxWithdrawAmount": text(max(0, self.available(asset))),
                "marginAvailable": True,
                "updateTime": self.updated_ns // 1_000_000,
            }
            for asset in self.balances
        ]

    def _unrealised(self, asset: str) -> int:
        return sum(one.unrealised for one in self.positions.values() if one.symbol.quote == asset)

    def account_view(self, *, every: bool) -> dict[str, Any]:
        """Return `account`: version 3 lists what is held or has orders, version 2 every symbol."""
        assets = [self._asset_view(asset) for asset in self.balances]
        totals: Mapping[str, str] = {
            "totalInitialMargin": "initialMargin",
            "totalMaintMargin": "maintMargin",
            "totalWalletBalance": "walletBalance",
            "totalUnrealizedProfit": "unrealizedProfit",
            "totalMarginBalance": "marginBalance",
            "totalPositionInitialMargin": "positionInitialMargin",
            "totalOpenOrderInitialMargin": "openOrderInitialMargin",
            "totalCrossWalletBalance": "crossWalletBalance",
            "totalCrossUnPnl": "crossUnPnl",
            "availableBalance": "availableBalance",
            "maxWithdrawAmount": "maxWithdrawAmount",
        }
        dollars = next((row for row in assets if row["asset"] == "USDT"), None)
        zero = text(0)
        view: dict[str, Any] = {total: dollars[one] if dollars else zero for total, one in totals.items()}
        if every:
            view |= {
                "feeTier": 0,
                "canTrade": True,
                "canDeposit": True,
                "canWithdraw": False,
                "updateTime": 0,
            }
            view |= {"feeBurn": True, "multiAssetsMargin": False, "tradeGroupId": -1}
        positions = [
            position_view(one, every=every) for one in self.positions.values() if every or one.margin()
        ]
        return view | {"assets": assets, "positions": positions}

    def _asset_view(self, asset: str) -> dict[str, Any]:
        wallet, unrealised = self.wallet(asset), self._unrealised(asset)
        mine = [one for one in self.positions.values() if one.symbol.quote == asset]
        margin = sum(one.margin() for one in mine)
        held = sum(abs(one.notional) // one.leverage for one in mine)
        available = text(max(0, wallet + unrealised - margin))
        return {
            "asset": asset,
            "walletBalance": text(wallet),
            "unrealizedProfit": text(unrealised),
            "marginBalance": text(wallet + unrealised),
            "maintMargin": text(sum(_maintenance(one) for one in mine)),
            "initialMargin": text(margin),
            "positionInitialMargin": text(held),
            "openOrderInitialMargin": text(margin - held),
            "crossWalletBalance": text(wallet),
            "crossUnPnl": text(unrealised),
            "availableBalance": available,
            "maxWithdrawAmount": available,
            "marginAvailable": True,
            # 0 marks a row that is not valid yet
            "updateTime": max(1, self.updated_ns // 1_000_000),
        }


def _maintenance(position: Position) -> int:
    return abs(position.notional) // MAINTENANCE_SHARE


def position_view(position: Position, *, every: bool) -> dict[str, Any]:
    """Return a position's row of `account`."""
    symbol = position.symbol
    margin = position.margin()
    view: dict[str, Any] = {
        "symbol": symbol.name,
        "positionSide": "BOTH",
        "positionAmt": symbol.qty_text(position.qty),
        "unrealizedProfit": text(position.unrealised),
        "isolatedMargin": text(0),
        "notional": text(position.notional),
        "isolatedWallet": text(0),
        "initialMargin": text(margin),
        "maintMargin": text(_maintenance(position)),
        "updateTime": position.updated_ns // 1_000_000,
    }
    if every:
        view |= {"leverage": str(position.leverage), "isolated": position.isolated}
        view |= {"entryPrice": text(position.entry), "breakEvenPrice": text(position.entry)}
        view |= {"positionInitialMargin": text(margin), "openOrderInitialMargin": text(0)}
        view |= {"maxNotional": "10000000", "bidNotional": text(0), "askNotional": text(0)}
    return view


def risk_view(account: FuturesAccount, position: Position, *, old: bool) -> dict[str, Any]:
    """Return a position's row of positionRisk; version 2 tells leverage and margin type too."""
    symbol = position.symbol
    view: dict[str, Any] = {
        "symbol": symbol.name,
        "positionSide": "BOTH",
        "positionAmt": symbol.qty_text(position.qty),
        "entryPrice": text(position.entry),
        "breakEvenPrice": text(position.entry),
        "markPrice": text(position.mark),
        "unRealizedProfit": text(position.unrealised),
        "liquidationPrice": text(account.liquidation(position)),
        "isolatedMargin": "0",
        "notional": text(position.notional),
        "isolatedWallet": "0",
        "updateTime": position.updated_ns // 1_000_000,
    }
    if old:
        return view | {
            "leverage": str(position.leverage),
            "maxNotionalValue": "10000000",
            "marginType": "isolated" if position.isolated else "cross",
            "isAutoAddMargin": "false",
        }
    margin = position.margin()
    held = abs(position.notional) // position.leverage
    return view | {
        "marginAsset": symbol.quote,
        "initialMargin": text(margin),
        "maintMargin": text(_maintenance(position)),
        "positionInitialMargin": text(held),
        "openOrderInitialMargin": text(margin - held),
        "adl": 1,
        "bidNotional": text(position.bids),
        "askNotional": text(position.asks),
    }

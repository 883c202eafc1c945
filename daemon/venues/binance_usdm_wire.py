"""The forms of USD-M's own messages: only the fields that are read, by the exchange's names."""

from __future__ import annotations

from decimal import Decimal  # noqa: TC003 - msgspec reads the annotations at run time

import msgspec

from daemon.venues.binance_wire import Time, TradeId, TradeRow


class OrderUpdate(msgspec.Struct, gc=False):
    """An order, in an event."""

    s: str
    c: str
    S: str
    q: str
    p: str
    x: str
    X: str
    i: int
    l: str  # noqa: E741
    z: str
    L: str
    T: Time
    t: TradeId
    m: bool
    n: str | None = None
    N: str | None = None
    er: int | str = ""


class OrderEvent(msgspec.Struct, gc=False, tag_field="e", tag="ORDER_TRADE_UPDATE"):
    """An order changed."""

    o: OrderUpdate


class AlgoUpdate(msgspec.Struct, gc=False):
    """A conditional order, in an event."""

    caid: str
    s: str
    S: str
    q: str
    X: str
    tp: str
    rm: str = ""


class AlgoEvent(msgspec.Struct, gc=False, tag_field="e", tag="ALGO_UPDATE"):
    """A conditional order changed."""

    o: AlgoUpdate
    T: Time


class WalletChange(msgspec.Struct, gc=False):
    """A wallet that changed; `bc` but for profits and commissions."""

    a: str
    bc: Decimal


class AccountChange(msgspec.Struct, gc=False):
    """What changed, and why."""

    m: str
    B: list[WalletChange] = []


class AccountEvent(msgspec.Struct, gc=False, tag_field="e", tag="ACCOUNT_UPDATE"):
    """Wallets and positions changed; but for funding they are counted from trades."""

    a: AccountChange
    T: Time


class ExpiredEvent(msgspec.Struct, gc=False, tag_field="e", tag="listenKeyExpired"):
    """The stream's key ended."""


class LiteEvent(msgspec.Struct, gc=False, tag_field="e", tag="TRADE_LITE"):
    """A trade in short, of which ORDER_TRADE_UPDATE tells in full."""


class ConfigEvent(msgspec.Struct, gc=False, tag_field="e", tag="ACCOUNT_CONFIG_UPDATE"):
    """Somebody changed a leverage or the assets mode."""


class MarginCall(msgspec.Struct, gc=False):
    """A position that is near its liquidation: its amount, mark price, open profit, and what it must keep."""

    s: str = ""
    pa: str = ""
    mp: str = ""
    up: str = ""
    mm: str = ""


class MarginEvent(msgspec.Struct, gc=False, tag_field="e", tag="MARGIN_CALL"):
    """Positions are near their liquidation."""

    p: list[MarginCall] = []


class StrategyEvent(msgspec.Struct, gc=False, tag_field="e", tag="STRATEGY_UPDATE"):
    """A strategy of the exchange's own; we have none."""


class GridEvent(msgspec.Struct, gc=False, tag_field="e", tag="GRID_UPDATE"):
    """A grid of the exchange's own; we have none."""


UserEvent = (
    OrderEvent
    | AlgoEvent
    | AccountEvent
    | ExpiredEvent
    | LiteEvent
    | ConfigEvent
    | MarginEvent
    | StrategyEvent
    | GridEvent
)


class AlgoRow(msgspec.Struct, gc=False):
    """A conditional order in an answer."""

    clientAlgoId: str  # noqa: N815 - theirs
    symbol: str = ""
    side: str = ""
    quantity: str = "0"
    triggerPrice: str = "0"  # noqa: N815
    algoStatus: str = ""  # noqa: N815
    actualOrderId: str = ""  # noqa: N815 - at the book, once triggered
    createTime: Time = 0  # noqa: N815
    updateTime: Time = 0  # noqa: N815


class UserTradeRow(TradeRow, gc=False):
    """One of our trades."""

    isBuyer: bool = msgspec.field(name="buyer")  # noqa: N815
    isMaker: bool = msgspec.field(name="maker")  # noqa: N815


class AssetRow(msgspec.Struct, gc=False):
    """A wallet."""

    asset: str
    walletBalance: Decimal  # noqa: N815


class PositionRow(msgspec.Struct, gc=False):
    """A position; negative when short."""

    symbol: str
    positionAmt: str  # noqa: N815


class UsdmAccount(msgspec.Struct):
    """The account; positions that are flat need not be listed."""

    assets: list[AssetRow]
    positions: list[PositionRow] = []


class RiskRow(PositionRow, gc=False):
    """A position and where it ends; "0": at no price."""

    entryPrice: Decimal  # noqa: N815
    liquidationPrice: float  # noqa: N815


class IncomeRow(msgspec.Struct, gc=False):
    """What moved a wallet."""

    income: Decimal
    asset: str
    time: Time
    tranId: TradeId  # noqa: N815
    symbol: str = ""


class Bracket(msgspec.Struct, gc=False):
    """From a position's value on, what it must at least be secured by."""

    notionalFloor: float  # noqa: N815
    maintMarginRatio: float  # noqa: N815


class SymbolBrackets(msgspec.Struct, gc=False):
    """A symbol's brackets."""

    symbol: str
    brackets: list[Bracket]


class SymbolSetup(msgspec.Struct, gc=False):
    """How a symbol is set up."""

    symbol: str
    marginType: str  # noqa: N815
    leverage: int


class PositionMode(msgspec.Struct, gc=False):
    """Whether long and short positions stand side by side."""

    dualSidePosition: bool  # noqa: N815


class AssetsMode(msgspec.Struct, gc=False):
    """Whether all assets are margin together."""

    multiAssetsMargin: bool  # noqa: N815


class ListenKey(msgspec.Struct, gc=False):
    """What a user data stream is opened with."""

    listenKey: str  # noqa: N815

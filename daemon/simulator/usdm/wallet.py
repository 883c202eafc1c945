"""The methods about a futures account: balances, positions, how symbols are set up, the user data stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.simulator import userstream
from daemon.simulator.errors import ApiError, missing
from daemon.simulator.methods import TRADE, USER_DATA, Method
from daemon.simulator.symbols import text
from daemon.simulator.usdm.account import LEVERAGE_MAX, MAINTENANCE_SHARE, MARGIN_TYPES, risk_view
from daemon.simulator.usdm.trading import parts

if TYPE_CHECKING:
    from daemon.simulator.methods import Call
    from daemon.simulator.usdm.account import Position


def _ready(call: Call) -> None:
    """Bring the account's marks up to now, with a position, flat or not, in every symbol."""
    exchange, account = parts(call)
    for market in exchange.markets.values():
        account.position(market.symbol)
    exchange.refresh(account)


def account_old(call: Call) -> dict[str, Any]:
    """Return version 2 of `account`."""
    _ready(call)
    return parts(call)[1].account_view(every=True)


def account(call: Call) -> dict[str, Any]:
    """Return version 3 of `account`."""
    _ready(call)
    return parts(call)[1].account_view(every=False)


def balance(call: Call) -> list[dict[str, Any]]:
    """Return the wallets."""
    _ready(call)
    return parts(call)[1].balance_views()


def _positions(call: Call) -> list[Position]:
    _ready(call)
    exchange, account = parts(call)
    symbol = call.params.optional("symbol")
    if symbol is not None:
        exchange.market(symbol)
    return [one for name, one in account.positions.items() if symbol in (None, name)]


def risk_old(call: Call) -> list[dict[str, Any]]:
    """Return version 2 of positionRisk: every symbol."""
    return [risk_view(parts(call)[1], one, old=True) for one in _positions(call)]


def risk(call: Call) -> list[dict[str, Any]]:
    """Return version 3 of positionRisk: what is held or has orders."""
    held = [one for one in _positions(call) if one.qty or one.bids or one.asks]
    return [risk_view(parts(call)[1], one, old=False) for one in held]


def symbol_config(call: Call) -> list[dict[str, Any]]:
    """Return how symbols are set up."""
    return [
        {
            "symbol": one.symbol.name,
            "marginType": MARGIN_TYPES[one.isolated],
            "isAutoAddMargin": False,
            "leverage": one.leverage,
            "maxNotionalValue": "10000000",
        }
        for one in _positions(call)
    ]


def leverage(call: Call) -> dict[str, Any]:
    """Set a symbol's leverage."""
    exchange, account = parts(call)
    position = account.position(exchange.market(call.params.text("symbol")).symbol)
    wanted = call.params.integer("leverage")
    if wanted is None:
        raise missing("leverage")
    call.params.finish()
    if not 1 <= wanted <= LEVERAGE_MAX:
        raise ApiError(-4028, f"Leverage {wanted} is not valid")
    position.leverage = wanted
    exchange.reporter.setup(account, position, call.now_ns)
    return {"leverage": wanted, "maxNotionalValue": "10000000", "symbol": position.symbol.name}


def margin_type(call: Call) -> dict[str, Any]:
    """Set a symbol's margin type, while it has neither orders nor a position."""
    exchange, account = parts(call)
    position = account.position(exchange.market(call.params.text("symbol")).symbol)
    wanted = call.params.choice("marginType", MARGIN_TYPES, -4049, "Invalid margin type.")
    call.params.finish()
    if wanted == MARGIN_TYPES[position.isolated]:
        raise ApiError(-4046, "No need to change margin type.")
    if exchange.registry.open_orders(account, position.symbol.name):
        raise ApiError(-4047, "Margin type cannot be changed if there exists open orders.")
    if position.qty:
        raise ApiError(-4048, "Margin type cannot be changed if there exists position.")
    position.isolated = wanted == "ISOLATED"
    if exchange.reporter.keep is not None:
        exchange.reporter.keep(account)
    return {"code": 200, "msg": "success"}


def dual_side(call: Call) -> dict[str, Any]:
    """Return the position mode: one-way."""
    del call
    return {"dualSidePosition": False}


def set_dual_side(call: Call) -> dict[str, Any]:
    """Keep the position mode; hedge mode is not simulated."""
    if call.params.flag("dualSidePosition", default=False):
        raise ApiError(-4067, "Position side cannot be changed if there exists open orders.")
    raise ApiError(-4059, "No need to change position side.")


def assets_mode(call: Call) -> dict[str, Any]:
    """Return the assets mode: single."""
    del call
    return {"multiAssetsMargin": False}


def account_config(call: Call) -> dict[str, Any]:
    """Return how the account is set up."""
    del call
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": False,
        "dualSidePosition": False,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


def brackets(call: Call) -> list[dict[str, Any]]:
    """Return the one bracket each symbol has."""
    return [
        {
            "symbol": one.symbol.name,
            "brackets": [
                {
                    "bracket": 1,
                    "initialLeverage": LEVERAGE_MAX,
                    "notionalCap": 10_000_000,
                    "notionalFloor": 0,
                    "maintMarginRatio": 1 / MAINTENANCE_SHARE,
                    "cum": 0.0,
                }
            ],
        }
        for one in _positions(call)
    ]


def commission_rate(call: Call) -> dict[str, Any]:
    """Return the commission rates of a symbol."""
    exchange, account = parts(call)
    name = exchange.market(call.params.text("symbol")).symbol.name
    return {
        "symbol": name,
        "makerCommissionRate": text(account.maker),
        "takerCommissionRate": text(account.taker),
    }


def income(call: Call) -> list[dict[str, Any]]:
    """Return what moved the wallet: by symbol, kind and time, the latest."""
    exchange, account = parts(call)
    symbol, kind = call.params.optional("symbol"), call.params.optional("incomeType")
    start, end = call.params.time_ms("startTime"), call.params.time_ms("endTime")
    limit = call.params.limit(100, 1_000)
    found = [
        entry["row"]
        for entry in exchange.income
        if entry["account"] == account.name
        and symbol in (None, entry["row"]["symbol"])
        and kind in (None, entry["row"]["incomeType"])
        and (start is None or entry["row"]["time"] >= start)
        and (end is None or entry["row"]["time"] <= end)
    ]
    return found[-limit:] if start is None else found[:limit]


METHODS = (
    Method("GET", "v2/account", "account.status", USER_DATA, 5, account_old),
    Method("GET", "v3/account", "v2/account.status", USER_DATA, 5, account),
    Method("GET", "v2/balance", "account.balance", USER_DATA, 5, balance),
    Method("GET", "v3/balance", "v2/account.balance", USER_DATA, 5, balance),
    Method("GET", "v2/positionRisk", "account.position", USER_DATA, 5, risk_old),
    Method("GET", "v3/positionRisk", "v2/account.position", USER_DATA, 5, risk),
    Method("GET", "symbolConfig", "", USER_DATA, 5, symbol_config),
    Method("GET", "accountConfig", "", USER_DATA, 5, account_config),
    Method("POST", "leverage", "", TRADE, 1, leverage),
    Method("POST", "marginType", "", TRADE, 1, margin_type),
    Method("GET", "positionSide/dual", "", USER_DATA, 30, dual_side),
    Method("POST", "positionSide/dual", "", TRADE, 1, set_dual_side),
    Method("GET", "multiAssetsMargin", "", USER_DATA, 30, assets_mode),
    Method("GET", "leverageBracket", "", USER_DATA, 1, brackets),
    Method("GET", "commissionRate", "", USER_DATA, 20, commission_rate),
    Method("GET", "income", "", USER_DATA, 30, income),
    *userstream.USDM,
)

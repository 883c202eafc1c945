"""What a trading program needs of the exchange's wallet API: what its key may do, and what trades cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from daemon.simulator.methods import USER_DATA, Method
from daemon.simulator.symbols import text

if TYPE_CHECKING:
    from daemon.simulator.methods import Call

PREFIX: Final = "/sapi/v1/"


def restrictions(call: Call) -> dict[str, Any]:
    """Return what the key that signed may do; it is bound to no address."""
    assert call.key is not None, "this API is REST alone"
    return {
        "ipRestrict": False,
        "createTime": 1623840271000,
        "enableReading": True,
        "enableWithdrawals": call.key.can_withdraw,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": True,
        "enableSpotAndMarginTrading": call.key.can_trade,
        "enablePortfolioMarginTrading": False,
    }


def trade_fees(call: Call) -> list[dict[str, str]]:
    """Return the commission rates of a symbol, or of all."""
    wanted = call.params.optional("symbol")
    symbols = [call.exchange.market(wanted).symbol.name] if wanted else list(call.exchange.markets)
    maker, taker = (text(rate).rstrip("0").rstrip(".") for rate in (call.account.maker, call.account.taker))
    return [{"symbol": name, "makerCommission": maker, "takerCommission": taker} for name in symbols]


METHODS: Final = (
    Method("GET", "account/apiRestrictions", "", USER_DATA, 1, restrictions),
    Method("GET", "asset/tradeFee", "", USER_DATA, 1, trade_fees),
)

"""The one method of the exchange's wallet API that a trading program needs: what its key may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from daemon.simulator.methods import USER_DATA, Method

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


METHODS: Final = (Method("GET", "account/apiRestrictions", "", USER_DATA, 1, restrictions),)

from __future__ import annotations

import msgspec
import pytest

from daemon.simulator.auth import Key, Keyring
from daemon.simulator.gateway import Gateway
from daemon.simulator.wallet import PREFIX
from tests.daemon.simulator.conftest import API_KEY, SECRET


@pytest.mark.parametrize("may", [False, True])
def test_a_key_is_told_what_it_may_do(kit, may):
    key = Key(API_KEY, "main", secret=SECRET.encode(), can_withdraw=may)
    kit.gateway = Gateway(kit.exchange, "spot", Keyring([key]), kit.limits)
    answer = kit.signed("GET", "account/apiRestrictions", prefix=PREFIX)
    assert answer.status == 200
    told = msgspec.json.decode(answer.body)
    assert (told["enableWithdrawals"], told["enableSpotAndMarginTrading"]) == (may, True)


def test_what_trades_cost_is_told_by_symbol(kit):
    rows = msgspec.json.decode(kit.signed("GET", "asset/tradeFee", prefix=PREFIX).body)
    assert [row["symbol"] for row in rows] == ["BTCUSDT", "ETHBTC"]
    answer = kit.signed("GET", "asset/tradeFee", prefix=PREFIX, symbol="ETHBTC")
    cost = {"makerCommission": "0.001", "takerCommission": "0.001"}
    assert msgspec.json.decode(answer.body) == [{"symbol": "ETHBTC"} | cost]


def test_nobody_else_is_told(kit):
    assert kit.gateway.request("GET", f"{PREFIX}account/apiRestrictions", {}, "", "a").status == 401

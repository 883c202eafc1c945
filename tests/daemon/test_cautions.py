from __future__ import annotations

from types import SimpleNamespace

from daemon.cautions import cautions


def test_a_collar_wider_than_the_exchange_takes_and_assets_without_a_price_are_told():
    instruments = [
        SimpleNamespace(symbol="BTC/USDT", reference_bound=0.05),
        SimpleNamespace(symbol="ETH/USDT", reference_bound=0),
        SimpleNamespace(symbol="SOL/USDT", reference_bound=0.2),
    ]
    worth = SimpleNamespace(unpriced=["XYZ", "ABC"])
    core = SimpleNamespace(
        portfolio=SimpleNamespace(worth=worth), engine=SimpleNamespace(instruments=instruments)
    )
    told = list(cautions(core, 0.1))
    assert [kind for kind, _ in told] == ["unpriced", "collar"]
    assert "XYZ, ABC" in told[0][1]
    assert "BTC/USDT be 0.1 away" in told[1][1]
    worth.unpriced = []
    assert list(cautions(core, 0.01)) == []

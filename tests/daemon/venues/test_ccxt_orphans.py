"""Trades that wait for their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.venues.ccxt_orphans import Orphans

if TYPE_CHECKING:
    import pytest


def trade(trade_id: str, number: str, symbol: str = "BTC/USDT") -> dict[str, Any]:
    return {"id": trade_id, "order": number, "symbol": symbol}


def test_they_are_handed_over_once_and_those_of_other_orders_go_on_waiting() -> None:
    orphans = Orphans()
    first, other, elsewhere = trade("1", "7"), trade("2", "8"), trade("1", "7", "ETH/USDT")
    for raw in (first, other, elsewhere, trade("3", "7")):
        orphans.keep(raw)
    assert orphans.of_order("BTC/USDT", "7") == [first, trade("3", "7")]
    assert orphans.of_order("BTC/USDT", "7") == []
    assert orphans.of_order("ETH/USDT", "7") == [elsewhere], "a number is one symbol's"
    assert orphans.of_order("BTC/USDT", "8") == [other]


def test_the_earliest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.venues.ccxt_orphans.KEPT", 2)
    orphans = Orphans()
    for trade_id in ("1", "2", "3"):
        orphans.keep(trade(trade_id, "7"))
    assert orphans.of_order("BTC/USDT", "7") == [trade("2", "7"), trade("3", "7")]

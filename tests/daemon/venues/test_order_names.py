"""Whose an order is, by its number at the exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.venues.order_names import OrderNames

if TYPE_CHECKING:
    import pytest


def test_a_number_names_an_order_of_its_instrument_alone() -> None:
    names = OrderNames()
    names.remember(0, "7", "demo-7-1")
    names.remember(1, "7", "demo-7-2")
    assert [names.find(index, "7") for index in range(3)] == ["demo-7-1", "demo-7-2", ""]


def test_the_earliest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.venues.order_names.KEPT", 2)
    names = OrderNames()
    for number in ("7", "8", "8", "9"):
        names.remember(0, number, f"demo-7-{number}")
    assert len(names) == 2
    assert [names.find(0, number) for number in "789"] == ["", "demo-7-8", "demo-7-9"]

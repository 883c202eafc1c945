from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import ConfigError
from daemon.instruments import make_instrument
from daemon.orders.money import UNIT, Holding, Multipliers, to_decimal, to_text, to_units


@given(st.decimals(min_value=-(10**15), max_value=10**15, places=18))
def test_an_amount_survives_units_and_text(amount):
    units = to_units(amount)
    assert to_decimal(units) == amount
    assert Decimal(to_text(units)) == amount


def test_text_has_no_exponent_and_no_idle_zeros():
    assert [to_text(to_units(Decimal(t))) for t in ("100", "0.10", "1E-8", "0", "-2.50")] == [
        "100",
        "0.1",
        "0.00000001",
        "0",
        "-2.5",
    ]


def instrument(market="spot", tick="0.01", lot="0.00001"):
    return make_instrument(
        0,
        "binance",
        market,
        "BTC/USDT",
        tick_size=tick,
        lot_size=lot,
        qty_min=lot,
        qty_max="1",
        notional_min="1",
    )


def test_a_lot_and_a_tick_are_whole_units():
    by = Multipliers(instrument())
    assert (by.lot, by.tick_lot) == (UNIT // 10**5, UNIT // 10**7)


def test_grids_too_fine_and_inverse_contracts_are_refused():
    with pytest.raises(ConfigError, match="more than 18 decimals"):
        Multipliers(instrument(tick="0.0000000001", lot="0.0000000001"))
    with pytest.raises(ConfigError, match="inverse contract"):
        Multipliers(instrument("coinm"))


trades = st.lists(st.tuples(st.integers(-50, 50).filter(bool), st.integers(1, 10**6)), max_size=30)


@given(trades)
def test_cost_and_realised_conserve_every_unit_traded(trades):
    holding = Holding()
    for qty, price in trades:
        holding.trade(qty, qty * price)
    assert holding.qty == sum(qty for qty, _ in trades)
    assert holding.cost == sum(qty * price for qty, price in trades) + holding.realised
    if holding.qty == 0:
        assert holding.cost == 0
        assert holding.average == 0.0


@given(trades)
def test_the_average_lies_among_the_prices_traded(trades):
    holding = Holding()
    for qty, price in trades:
        holding.trade(qty * UNIT, qty * UNIT * price)
    if holding.qty:
        prices = [price for _, price in trades]
        assert min(prices) * (1 - 1e-9) <= holding.average <= max(prices) * (1 + 1e-9)


@pytest.mark.parametrize("side", [1, -1])
def test_a_round_trip_realises_its_difference_and_a_flip_opens_at_the_new_price(side):
    holding = Holding()
    holding.trade(2 * side, 2 * side * 100)
    assert holding.trade(-side, -side * 110) == 10 * side
    assert holding.trade(-3 * side, -3 * side * 120) == 20 * side
    assert (holding.qty, holding.average) == (-2 * side, 120.0)

from __future__ import annotations

from math import isnan, nan

import pytest

from daemon.instruments import make_instrument
from daemon.orders.money import UNIT
from daemon.orders.valuation import DAY_NS, Baseline, Valuation


def listed(*symbols):
    return [
        make_instrument(
            index, "binance", "usdm" if ":" in symbol else "spot", symbol,
            tick_size="0.01", lot_size="0.001", qty_min="0.001", qty_max="9", notional_min="1",
        )
        for index, symbol in enumerate(symbols)
    ]  # fmt: skip


def worth_of(*symbols, **balances):
    worth = Valuation(listed(*symbols), "USDT")
    for asset, amount in balances.items():
        worth.set_balance(asset, amount * UNIT)
    worth.settle()
    return worth


def test_the_value_is_unknown_until_every_price_was_seen():
    worth = worth_of("BTC/USDT", "ETH/USDT", USDT=100, BTC=2, ETH=3)
    assert isnan(worth.value)
    worth.mark(0, 50.0)
    assert isnan(worth.value)
    assert (worth.day_pnl, worth.drawdown) == (0.0, 0.0)
    worth.mark(1, 10.0)
    assert worth.value == 230.0
    worth.mark(0, 60.0)
    assert worth.value == 250.0


def test_assets_are_priced_over_one_other():
    worth = worth_of("BTC/USDT", "ETH/BTC", ETH=4)
    worth.mark(0, 100.0)
    worth.mark(1, 0.5)
    assert worth.value == 200.0
    worth.mark(0, 200.0)
    assert worth.value == 400.0
    assert worth.rate("USDT", "ETH") == 1 / 100.0


def test_the_quote_of_the_reporting_currency_itself_is_divided():
    worth = Valuation(listed("USDT/TRY"), "USDT")
    worth.set_balance("TRY", 80 * UNIT)
    worth.settle()
    worth.mark(0, 40.0)
    assert worth.value == 2.0


def test_assets_nothing_prices_are_left_out_and_named():
    worth = worth_of("BTC/USDT", USDT=5, DOGE=7)
    assert worth.value == 5.0
    assert worth.unpriced == ["DOGE"]
    assert isnan(worth.rate("DOGE", "USDT"))


def test_a_derivative_adds_what_it_would_realise():
    worth = worth_of("BTC/USDT:USDT", USDT=1000)
    worth.quantity[0], worth.cost[0] = -2.0, -200.0
    worth.mark(0, 90.0)
    assert worth.value == 1020.0
    worth.mark(0, 110.0)
    assert worth.value == 980.0
    assert worth.drawdown == 40.0


def test_a_spot_and_a_perpetual_of_one_base_are_both_counted():
    worth = worth_of("BTC/USDT:USDT", "BTC/USDT", USDT=1000, BTC=1)
    worth.quantity[0], worth.cost[0] = 1.0, 100.0
    worth.mark(0, 100.0)
    worth.mark(1, 100.0)
    worth.mark(0, 110.0)
    first = worth.value
    worth.settle()
    assert worth.value == first


def test_many_marks_agree_with_a_sum_made_anew():
    worth = worth_of("BTC/USDT", USDT=100, BTC=2)
    for step in range(100_000):
        worth.mark(0, 60_000.0 + 0.01 * (step * 7919 % 1000))
    drifted = worth.value
    worth.settle()
    assert drifted == pytest.approx(worth.value, rel=1e-12)


def test_trades_and_fees_move_a_known_value_as_a_sum_made_anew_does():
    symbols = ("BTC/USDT", "ETH/BTC", "BNB/USDT", "ETH/USDT")
    moved, summed = (worth_of(*symbols, USDT=1_000_000, BTC=2, ETH=30, BNB=5, DOGE=9) for _ in range(2))
    units = {"USDT": 1_000_000, "BTC": 2, "ETH": 30, "BNB": 5, "DOGE": 9}
    for worth in (moved, summed):
        for index, mid in enumerate((60_000.0, 0.05, 600.0, 3_000.0)):
            worth.mark(index, mid)
    for step in range(2_000):
        for k, asset in enumerate(units):
            units[asset] += (step * 7919 + k * 31) % 7 - 3
            moved.move_balance(asset, units[asset] * UNIT)
            summed.set_balance(asset, units[asset] * UNIT)
        moved.raise_peak()
        summed.settle()
        mid = 60_000.0 + step % 11
        moved.mark(0, mid)
        summed.mark(0, mid)
        assert moved.value == pytest.approx(summed.value, rel=1e-12)
    assert moved.peak == pytest.approx(summed.peak, rel=1e-12)


def test_what_moves_in_one_look_makes_no_peak_of_its_half():
    worth = worth_of("ETH/USDT", "BTC/USDT", USDT=100, ETH=1, BTC=1)
    worth.mark_all([0, 1], [50.0, 50.0])
    assert (worth.value, worth.peak) == (200.0, 200.0)
    assert worth.mark_all([0, 1], [100.0, 0.5])
    assert (worth.value, worth.peak, worth.drawdown) == (200.5, 200.5, 0.0)


def test_a_value_that_is_not_known_is_not_moved_into_one():
    worth = worth_of("BTC/USDT", USDT=10, BTC=1)
    worth.move_balance("USDT", 20 * UNIT)
    assert not worth.known
    worth.mark(0, 5.0)
    assert worth.value == 25.0


def test_the_day_begins_with_the_first_value_and_at_each_boundary():
    worth = Valuation(listed("BTC/USDT"), "USDT", day_offset_ns=3_600_000_000_000)
    assert not worth.roll(10 * DAY_NS)
    worth.set_balance("USDT", 100 * UNIT)
    worth.settle()
    assert worth.roll(10 * DAY_NS)
    assert worth.day == 9  # the day begins at one o'clock
    worth.set_balance("USDT", 90 * UNIT)
    worth.settle()
    assert worth.day_pnl == -10.0
    assert not worth.roll(10 * DAY_NS + 3_599_999_999_999)
    assert worth.roll(10 * DAY_NS + 3_600_000_000_000)
    assert (worth.day, worth.day_pnl, worth.drawdown) == (10, 0.0, 10.0)


def test_a_restart_within_the_day_goes_on_with_its_baselines():
    worth = worth_of("BTC/USDT", USDT=100)
    worth.roll(DAY_NS)
    again = worth_of("BTC/USDT", USDT=80)
    again.load(worth.save())
    assert not again.roll(DAY_NS + 5)
    assert (again.day_pnl, again.drawdown) == (-20.0, 20.0)
    assert again.roll(2 * DAY_NS)
    assert again.day_pnl == 0.0


def test_a_deposit_is_no_profit():
    worth = worth_of("BTC/USDT", USDT=100)
    worth.roll(DAY_NS)
    worth.shift({"USDT": 50 * UNIT})
    worth.set_balance("USDT", 150 * UNIT)
    worth.settle()
    assert (worth.value, worth.peak, worth.day_pnl, worth.drawdown) == (150.0, 150.0, 0.0, 0.0)


def test_a_peak_of_an_earlier_run_outlives_the_time_without_prices():
    worth = worth_of("BTC/USDT", "ETH/USDT", BTC=1, ETH=1)
    worth.load(Baseline(5, 1000.0, 2000.0))
    worth.settle()
    worth.mark(0, 500.0)
    assert not worth.known
    worth.mark(1, 400.0)
    assert worth.known
    assert (worth.value, worth.peak, worth.drawdown, worth.day_pnl) == (900.0, 2000.0, 1100.0, -100.0)


def test_money_moved_by_hand_waits_for_its_price_and_over_a_restart():
    worth = worth_of("BTC/USDT", BTC=1)
    worth.load(Baseline(5, 1000.0, 2000.0))
    worth.shift({"BTC": 2 * UNIT, "DOGE": UNIT})
    worth.shift({"BTC": UNIT})
    again = worth_of("BTC/USDT", BTC=4)
    again.load(worth.save())
    again.mark(0, 900.0)
    assert (again.value, again.day_pnl, again.drawdown) == (3600.0, -100.0, 1100.0)
    assert again.moved == {}


def test_what_was_taken_away_before_its_price_was_seen_leaves_the_value_unknown_until_then():
    worth = worth_of("BTC/USDT", USDT=100, BTC=1)
    worth.load(Baseline(5, 150.0, 200.0))
    worth.shift({"BTC": -UNIT})
    worth.set_balance("BTC", 0)
    worth.settle()
    assert not worth.known
    worth.mark(0, 40.0)
    assert (worth.value, worth.day_pnl, worth.drawdown) == (100.0, -10.0, 60.0)


def test_measuring_anew_without_a_value_begins_with_the_first_one():
    worth = worth_of("BTC/USDT", BTC=1)
    worth.mark(0, 100.0)
    worth.roll(DAY_NS)
    worth.mark(0, nan)
    worth.rebase()
    worth.mark(0, 70.0)
    assert worth.roll(DAY_NS + 1)
    assert (worth.day_pnl, worth.drawdown) == (0.0, 0.0)
    worth.mark(0, 60.0)
    assert (worth.day_pnl, worth.drawdown) == (-10.0, 10.0)


def test_symbols_without_a_price_are_named():
    worth = worth_of("BTC/USDT", "ETH/USDT", BTC=1)
    worth.mark(0, 1.0)
    assert worth.unmarked == ["ETH/USDT"]


def days_of(*looks):
    """Return (day, the day's result) after each look: days since the first one, and the value then."""
    worth = worth_of("BTC/USDT", BTC=1)
    found = []
    for day, value in looks:
        worth.clock_stepped(0)  # by how much does not matter
        worth.mark(0, value)
        worth.roll((100 + day) * DAY_NS + 5)
        again = worth_of("BTC/USDT", BTC=1)
        again.load(worth.save())  # and a restart changes nothing
        again.mark(0, value)
        again.roll((100 + day) * DAY_NS + 5)
        assert (again.day, again.day_pnl) == (worth.day, worth.day_pnl)
        found.append((worth.day - 100, worth.day_pnl))
    return found


def test_a_clock_that_is_ahead_for_a_moment_forgives_no_loss():
    assert days_of((0, 1000.0), (1, 910.0), (0, 910.0), (0, 820.0)) == [
        (0, 0.0),
        (1, 0.0),
        (0, -90.0),
        (0, -180.0),
    ]
    assert days_of((0, 1000.0), (1, 950.0), (2, 940.0), (0, 900.0))[-1] == (0, -100.0)


def test_a_clock_that_is_behind_for_a_moment_forgives_no_loss():
    assert days_of((0, 1000.0), (1, 950.0), (0, 900.0), (1, 890.0)) == [
        (0, 0.0),
        (1, 0.0),
        (0, -100.0),
        (1, -60.0),
    ]
    assert days_of((0, 1000.0), (-1, 950.0), (0, 940.0)) == [(0, 0.0), (-1, -50.0), (0, -60.0)]


def test_a_day_that_was_begun_too_early_begins_at_the_higher_of_its_two_values():
    assert days_of((0, 1000.0), (1, 1000.0), (0, 1100.0), (1, 1200.0), (1, 1150.0))[-1] == (1, -50.0)


def test_money_that_came_moves_the_begin_of_the_day_before_too():
    worth = worth_of("BTC/USDT", USDT=100)
    worth.settle()
    worth.roll(DAY_NS)
    worth.clock_stepped(DAY_NS)
    worth.roll(2 * DAY_NS)
    worth.shift({"USDT": 50 * UNIT})
    worth.set_balance("USDT", 150 * UNIT)
    worth.settle()
    worth.clock_stepped(-DAY_NS)
    worth.roll(DAY_NS)
    assert worth.day_pnl == 0.0
    worth.clock_stepped(DAY_NS)
    for day in range(9):
        worth.roll((3 + day) * DAY_NS)
    assert len(worth.save().begun) == 4


# --- another configuration ----------------------------------------------------------------------------------
def taken_up(before, *symbols, reporting="USDT"):
    """Return the valuation of a start with other symbols or another currency, before any price."""
    after = Valuation(listed(*symbols), reporting)
    for asset, amount in before._balances.items():
        after.set_balance(asset, int(amount) * UNIT)
    after.load(before.save())
    return after


def test_what_a_new_symbol_prices_is_no_profit_of_the_day():
    worth = worth_of("ETH/USDT", USDT=100, BTC=2)
    worth.mark(0, 10.0)
    worth.roll(5 * DAY_NS)
    worth.set_balance("USDT", 90 * UNIT)
    worth.settle()
    after = taken_up(worth, "ETH/USDT", "BTC/USDT")
    again = taken_up(after, "ETH/USDT", "BTC/USDT")  # it ended before the price came
    for one in (after, again):
        one.mark(0, 10.0)
        one.mark(1, 50.0)
        assert (one.value, one.day_pnl, one.drawdown) == (190.0, -10.0, 10.0)
        assert one.save().unpriced == ()


@pytest.mark.parametrize("restarts", [0, 1])
def test_a_loss_is_the_same_in_another_currency(restarts):
    worth = worth_of("BTC/USDT", USDT=1000)
    worth.mark(0, 50.0)
    worth.roll(5 * DAY_NS)
    worth.set_balance("USDT", 900 * UNIT)
    worth.settle()
    after = taken_up(worth, "BTC/USDT", reporting="BTC")
    for _ in range(restarts):
        after = taken_up(after, "BTC/USDT", reporting="BTC")
    after.mark(0, 50.0)
    assert (after.value, after.day_pnl, after.drawdown) == (18.0, -2.0, 2.0)
    assert not after.roll(5 * DAY_NS + 1)
    back = taken_up(after, "BTC/USDT")
    back.mark(0, 40.0)
    assert (back.value, back.day_pnl) == (900.0, 900.0 - 20 * 40.0)


def test_where_no_price_leads_to_another_currency_losses_are_measured_anew():
    worth = worth_of("BTC/USDT", USDT=1000)
    worth.mark(0, 50.0)
    worth.roll(5 * DAY_NS)
    after = taken_up(worth, "ETH/EUR", reporting="EUR")
    assert isnan(after.day_start)
    after.mark(0, 5.0)
    assert after.roll(5 * DAY_NS + 1)
    assert (after.day_pnl, after.drawdown) == (0.0, 0.0)

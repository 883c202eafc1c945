"""What the account is worth: days, peaks, the distance from liquidation; the ledger's tests compare sums."""

from __future__ import annotations

import math

import numpy as np

from kernels import dtypes as d
from kernels import worth
from kernels.backtest_state import BACKTEST

DAY = 86_400_000_000_000


def record(now_ns=0, **fields):
    (made,) = np.zeros(1, BACKTEST)
    made["now_ns"] = now_ns
    for name, value in fields.items():
        made["ledger"][name] = value
    return made


def led(**fields):
    return record(**fields)["ledger"]


def test_a_day_begins_with_what_the_account_is_worth_then():
    t = record(5 * DAY + 1, value=math.nan, day_start=math.nan, peak=math.nan, day_end_ns=-1)
    one = t["ledger"]
    worth.roll(t)
    assert math.isnan(one["day_start"])
    one["value"] = one["peak"] = 100.0
    worth.roll(t)
    one["value"] = 90.0
    t["now_ns"] = 6 * DAY - 1
    worth.roll(t)
    assert (worth.day_pnl(one), worth.drawdown(one)) == (-10.0, 10.0)
    t["now_ns"] = 6 * DAY
    worth.roll(t)
    assert (worth.day_pnl(one), worth.drawdown(one)) == (0.0, 10.0)
    assert t["account"][: d.A_DRAWDOWN + 1].tolist() == [90.0, 0.0, 10.0]


def test_a_peak_is_never_lower_and_stays_unknown_while_it_is():
    one = led(value=5.0, peak=4.0)
    worth.raise_peak(one)
    assert one["peak"] == 5.0
    one["value"] = 3.0
    worth.raise_peak(one)
    assert one["peak"] == 5.0
    one["peak"] = math.nan
    worth.raise_peak(one)
    assert math.isnan(one["peak"])


def test_the_distance_from_liquidation_shrinks_with_the_position():
    fields = {"live": 1, "mid": 100.0, "rate": 0.025, "leverage": 1.0, "wallet": 1_000.0, "unrealised": 0.0}
    far = worth.liquidation_distance(led(quantity=1.0, cost=100.0, **fields))
    near = worth.liquidation_distance(led(quantity=9.0, cost=900.0, **fields))
    assert far == (1_000 - 2.5) / 102.5 > near > 0
    assert worth.liquidation_distance(led(**fields)) == math.inf
    own = worth.liquidation_distance(led(quantity=9.0, cost=900.0, isolated=1, **fields))
    assert own == (900 - 0.025 * 900) / (900 * (1 + 0.025))

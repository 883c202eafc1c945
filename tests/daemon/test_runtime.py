from __future__ import annotations

import numpy as np
import pytest

from daemon.compile import load_strategy
from daemon.config import ReconcileConfig, RiskConfig, StrategyConfig, VenueConfig
from daemon.errors import ConfigError
from daemon.instruments import make_instrument
from daemon.runtime import Runtime, new_memory, rules_of
from kernels import dtypes as d
from kernels import features
from kernels.ring import new_rings, push
from strategies.base import bind_params


def instrument(index=0, base="BTC", market="spot"):
    return make_instrument(
        index,
        "binance",
        market,
        f"{base}/USDT",
        tick_size="0.05",
        lot_size="0.002",
        qty_min="0.01",
        qty_max="900",
        notional_min="5.5",
    )


def memory_of(name, instruments, **config):
    strategy = load_strategy(name)
    return new_memory(
        strategy,
        instruments,
        StrategyConfig(name=name, **config),
        bind_params(strategy, {}),
        RiskConfig(order_notional_max=11.0, open_orders_max=3),
        ReconcileConfig(price_tolerance_ticks=2, qty_tolerance_lots=4, rest_ms_min=7),
        VenueConfig(leverage=4, margin="isolated"),
        (0.001, 0.002),
        can_amend=True,
    )


def test_rules_are_counted_in_ticks_and_lots():
    rules = rules_of(
        instrument(),
        ReconcileConfig(price_tolerance_ticks=2, qty_tolerance_lots=4, rest_ms_min=7),
        (0.001, 0.002),
        can_amend=False,
    )
    reconcile, filters = [1.0, 0.0, 2.0, 4.0, 7e6, 0.001, 0.002], [0.0, 0.0, 55_000.0, 0.0]
    assert rules.tolist() == [
        0.05,
        0.002,
        5.0,
        450_000.0,
        5.5,
        *reconcile,
        *filters,
        0.0,
        0.0,
        0.0,
        450_000.0,
    ]
    assert rules_of(instrument(market="usdm"), ReconcileConfig(), (0, 0), can_amend=True)[d.R_SPOT] == 0.0


@pytest.mark.parametrize("can_replace", [False, True])
def test_whether_quotes_are_replaced_is_a_rule(can_replace):
    rules = rules_of(instrument(), ReconcileConfig(), (0, 0), can_amend=True, can_replace=can_replace)
    assert rules[d.R_CAN_REPLACE] == can_replace


def test_how_margin_is_taken_is_a_rule_of_derivatives():
    columns = [d.R_MARGIN_RATE, d.R_ISOLATED]
    rules = [
        memory_of("ema_cross", [instrument(market=market)])["rules"][0, 0] for market in ("usdm", "spot")
    ]
    assert [row[columns].tolist() for row in rules] == [[0.25, 1.0], [0.0, 0.0]]


def test_a_memory_begins_knowing_nothing_and_with_every_gate_shut():
    memory = memory_of("pairs", [instrument(), instrument(1, "ETH")])
    record = memory[0]
    assert np.isnan(record["rows"]).all()
    assert np.isnan(record["book"][..., 0]).all()
    assert (record["book"][..., 1] == 0).all()
    assert record["gate"].tolist() == [d.GATE_NOT_READY] * 2
    assert record["limits"][1].tolist() == [11.0, 5000.0, 3.0, 0.01, 0.8, 0.05]
    assert record["rules"][1, d.R_CAN_AMEND] == 1.0
    assert (record["decisions"], record["digest"]) == (0, 0)
    for part in ("position", "working", "account", "state", "out", "actions"):
        assert not record[part].any(), part


def test_every_instrument_gets_the_configured_tuning():
    record = memory_of("pairs", [instrument(), instrument(1, "ETH")], tuning={"ema_slow": 99.0})[0]
    place = list(features.TUNING).index("ema_slow")
    assert record["feature_f"][:, place].tolist() == [99.0, 99.0]


def test_a_strategy_gets_as_many_instruments_as_it_trades_or_is_refused():
    with pytest.raises(ConfigError, match=r"pairs trades 2 instrument\(s\), but its symbols are BTC/USDT$"):
        memory_of("pairs", [instrument()])
    with pytest.raises(ConfigError, match="but its symbols are none"):
        memory_of("pairs", [])


def test_an_unknown_tuning_is_refused():
    with pytest.raises(ConfigError, match=r"strategy ema_cross: .*ema_fats"):
        memory_of("ema_cross", [instrument()], tuning={"ema_fats": 3.0})


def test_a_runtime_is_warm_once_each_of_its_instruments_is():
    memory = memory_of("pairs", [instrument(), instrument(1, "ETH")])
    runtime = Runtime(3, load_strategy("pairs"), [instrument(), instrument(1, "ETH")], memory, (), 2)
    assert (runtime.index, runtime.name, runtime.warm) == (3, "pairs", False)
    runtime.cold_ticks[0] = 0
    assert not runtime.warm
    runtime.cold_ticks[1] = 0
    assert runtime.warm


def test_views_share_the_memory_with_the_kernels():
    memory = memory_of("ema_cross", [instrument()])
    runtime = Runtime(0, load_strategy("ema_cross"), [instrument()], memory, (), 0)
    rings = new_rings(1)
    account = np.arange(1.0, d.ACCOUNT_COLUMNS + 1)
    runtime.follow(rings, account)
    push(rings, 0, d.QUOTE, 5, 0, 1, 100.0, 1.0, 100.05, 2.0)
    runtime.absorb(0)
    assert runtime.view("book")[0, :, 0].tolist() == [[100.0, 1.0], [100.05, 2.0]]
    runtime.gate[0] = 0
    assert memory[0]["gate"][0] == 0
    assert runtime.decide(6, d.WHY_DRAIN) == 0
    assert runtime.view("account").tolist() == account.tolist()
    assert runtime.view("rows")[0, features.FEATURES.index("spread_bps")] == pytest.approx(4.9988, abs=1e-4)

from __future__ import annotations

import numpy as np

from kernels import market
from kernels.market_book import LEVELS, MARKET, MARKET_EVENT

SECOND = 1_000_000_000


def started(seed: int = 1, own_seed: int = 2, signal: float = 0.35) -> np.ndarray:
    state = np.zeros(1, MARKET)
    for name, value in {
        "price_ticks": 6_000_000,
        "volatility": 1e-4,
        "signal_drift": signal,
        "trades_per_s": 28.0,
        "quotes_per_s": 60.0,
        "books_per_s": 120.0,
        "quote_lots": 30_000.0,
        "trade_lots": 1_000.0,
        "threshold_ticks": 180.0,
        "gap_ticks": 60.0,
        "depth_every_ns": 100_000_000,
        "rng": (seed, own_seed),
    }.items():
        state[name] = value
    market.start(state)
    return state


def run(state: np.ndarray, until_ns: int, capacity: int = 100_000) -> tuple[np.ndarray, np.ndarray]:
    events, levels = np.zeros(capacity, MARKET_EVENT), np.zeros((40 * capacity, 2), np.int64)
    n, m = market.advance(state, until_ns, events, levels)
    return events[:n], levels[:m]


def test_a_full_chunk_stops_early_and_the_next_call_goes_on() -> None:
    whole, whole_levels = run(started(), 20 * SECOND)
    state, parts, rows = started(), [], []
    while min(state[0][clock] for clock in ("next_ns", "depth_ns", "grid_ns")) <= 20 * SECOND:
        events, levels = np.zeros(40, MARKET_EVENT), np.zeros((5 * LEVELS, 2), np.int64)
        n, m = market.advance(state, 20 * SECOND, events, levels)
        parts.append(events[:n])
        rows.append(levels[:m])
    joined = np.concatenate(parts)
    for column in set(MARKET_EVENT.names) - {"level"}:
        np.testing.assert_array_equal(joined[column], whole[column])
    np.testing.assert_array_equal(np.concatenate(rows), whole_levels)


def test_the_common_part_is_the_same_for_markets_of_one_seed_and_no_other() -> None:
    first, second, other = started(1, 2), started(1, 3), started(4, 2)
    for state in (first, second, other):
        run(state, 30 * SECOND)
    assert first[0]["common"] == second[0]["common"] != other[0]["common"]
    assert first[0]["own"] != second[0]["own"]


def test_volatility_comes_in_clusters() -> None:
    state = started(seed=11)
    latent = []
    for second in range(1, 1800):
        market.advance(state, second * SECOND, np.zeros(4000, MARKET_EVENT), np.zeros((40_000, 2), np.int64))
        latent.append(float(state[0]["latent_ticks"]))
    moves = np.abs(np.diff(np.log(latent)))
    near = np.corrcoef(moves[1:], moves[:-1])[0, 1]
    assert near > 0.05
    assert np.mean(moves**4) / np.mean(moves**2) ** 2 > 3.3


def test_order_flow_foretells_the_move_only_where_there_is_signal() -> None:
    def correlation(signal: float) -> float:
        state = started(seed=3, signal=signal)
        flow, latent = [], []
        for step in range(1, 1200):
            events, _ = run(state, step * 3 * SECOND, 20_000)
            flow.append(float(events["c"][events["kind"] == 1].sum()))
            latent.append(float(state[0]["latent_ticks"]))
        return float(np.corrcoef(flow[:-1], np.diff(np.log(latent)))[0, 1])

    assert correlation(0.35) > 0.2
    assert abs(correlation(0.0)) < 0.12


def test_advancing_compiles_one_signature() -> None:
    run(started(), SECOND)
    assert len(market.advance.signatures) == 1

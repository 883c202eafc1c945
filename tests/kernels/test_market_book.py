from __future__ import annotations

import numpy as np

from kernels import market, market_book
from kernels.market_book import LEVELS, MARKET, MARKET_EVENT


def started(price_ticks: int = 50_000) -> np.ndarray:
    state = np.zeros(1, MARKET)
    state["price_ticks"] = price_ticks
    state["threshold_ticks"] = 2.0
    state["gap_ticks"] = 3.0
    state["quote_lots"] = 100.0
    state["rng"] = (1, 2)
    state["depth_every_ns"] = 100
    market.start(state)
    return state


def sides(state: np.ndarray) -> list[dict[int, int]]:
    ticks, lots = state[0]["ticks"], state[0]["lots"]
    return [dict(zip(ticks[side].tolist(), lots[side].tolist(), strict=True)) for side in (0, 1)]


def changes(state: np.ndarray) -> tuple[np.void, np.ndarray]:
    events, levels = np.zeros(16, MARKET_EVENT), np.zeros((4 * LEVELS, 2), np.int64)
    n, m = market_book.put_depth(state[0], events, 0, levels, 0, 777)
    assert n == 1
    return events[0], levels[:m]


def test_a_fresh_book_is_full_ordered_and_does_not_cross() -> None:
    state = started()
    ticks, lots = state[0]["ticks"], state[0]["lots"]
    assert (np.diff(ticks[0]) < 0).all()
    assert (np.diff(ticks[1]) > 0).all()
    assert ticks[0, 0] < ticks[1, 0]
    assert (lots > 0).all()


def test_what_did_not_change_is_not_published() -> None:
    _, levels = changes(started())
    assert len(levels) == 0


def test_a_depth_update_turns_what_was_published_into_what_stands() -> None:
    state = started()
    before = sides(state)
    first_id = int(state[0]["update_id"]) + 1
    record = state[0]
    market_book.remove_level(record, 1, 0)
    market_book.remove_level(record, 0, 7)
    market_book.insert_level(record, 0, 0, int(record["ticks"][0, 0]) + 1)
    record["lots"][1, 3] += 5
    event, levels = changes(state)
    for side, rows in ((0, levels[: event["n_bids"]]), (1, levels[event["n_bids"] :])):
        for price, lots in rows.tolist():
            if lots:
                before[side][price] = lots
            else:
                del before[side][price]
    assert before == sides(state)
    assert (event["first_id"], event["id"]) == (first_id, first_id + 2)
    assert event["n_asks"] == len(levels) - event["n_bids"]
    assert event["b"] == state[0]["lots"][0, :10].sum()


def test_quantities_lean_with_the_latent_price() -> None:
    state = started()
    record = state[0]
    record["latent_ticks"] = record["centre_ticks"] + 2.0
    means = [np.mean([market_book.fresh_lots(record, side, 0) for _ in range(2000)]) for side in (0, 1)]
    assert means[0] > 2.0 * means[1]

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from daemon.errors import ConfigError
from daemon.instruments import Instrument, make_instrument
from daemon.simulator.market import Chunk, MarketSettings, Seen, SyntheticMarket, tick_rows
from kernels import batch
from kernels.dtypes import DEPTH, QUOTE, TRADE
from kernels.features import FEATURES, bind_tuning

START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


def instrument(
    index: int = 0, tick: str = "0.01", lot: str = "0.00001", symbol: str = "BTC/USDT"
) -> Instrument:
    return make_instrument(
        index,
        "binance",
        "spot",
        symbol,
        tick_size=tick,
        lot_size=lot,
        qty_min=lot,
        qty_max="9000",
        notional_min="5",
    )


def market(seed: int = 7, **options: object) -> SyntheticMarket:
    return SyntheticMarket(instrument(), MarketSettings(seed=seed, **options), START)


def digest(chunk: Chunk) -> str:
    return hashlib.sha256(chunk.events.tobytes() + chunk.levels.tobytes()).hexdigest()


def test_a_market_is_the_same_however_it_is_cut() -> None:
    whole = market().advance(START + 30 * SECOND)
    cut, events, levels, rows = market(), [], [], 0
    for end in np.linspace(START, START + 30 * SECOND, 700).astype(np.int64):
        chunk = cut.advance(int(end))
        part = chunk.events.copy()
        part["level"][part["kind"] == DEPTH] += rows
        rows += len(chunk.levels)
        events.append(part)
        levels.append(chunk.levels)
    assert digest(Chunk(np.concatenate(events), np.concatenate(levels))) == digest(whole)


def test_a_market_is_the_same_in_every_process() -> None:
    code = (
        "import daemon.kernel_cache as k; k.activate()\n"
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import test_market as t; print(t.digest(t.market().advance(t.START + 20 * t.SECOND)))\n"
    )
    root = Path(__file__).resolve().parents[3]
    answers = {
        subprocess.run(
            [sys.executable, "-c", code, str(Path(__file__).parent)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert answers == {digest(market().advance(START + 20 * SECOND))}


def test_seeds_and_instruments_make_different_markets() -> None:
    end = START + 5 * SECOND
    other = SyntheticMarket(instrument(1), MarketSettings(seed=7), START)
    assert (
        len({digest(market(7).advance(end)), digest(market(8).advance(end)), digest(other.advance(end))}) == 3
    )


def test_depth_updates_applied_to_the_snapshot_follow_the_book() -> None:
    source = market()
    source.advance(START + SECOND // 3)  # a snapshot between two depth updates
    snapshot = source.snapshot()
    book = [dict(snapshot.bids.tolist()), dict(snapshot.asks.tolist())]
    chunk = source.advance(START + 60 * SECOND)
    last_id, quotes = None, []
    for event in chunk.events[chunk.events["kind"] == DEPTH]:
        if last_id is None:
            assert event["first_id"] <= snapshot.last_id + 1 <= event["id"]
        else:
            assert event["first_id"] == last_id + 1
        last_id = event["id"]
        at = event["level"]
        for side, count in ((0, event["n_bids"]), (1, event["n_asks"])):
            for price, lots in chunk.levels[at : at + count].tolist():
                book[side].pop(price, None)
                if lots:
                    book[side][price] = lots
            at += count
        assert (max(book[0]), min(book[1])) == (event["a"], event["c"])
        quotes.append(event["a"] < event["c"])
    assert all(quotes)
    assert len(quotes) > 500


def test_quotes_never_cross_and_ids_and_times_ascend() -> None:
    events = market().advance(START + 120 * SECOND).events
    quotes, trades = events[events["kind"] == QUOTE], events[events["kind"] == TRADE]
    assert (quotes["a"] < quotes["c"]).all()
    assert (quotes["a"] > 0).all()
    assert min(quotes["b"].min(), quotes["d"].min(), trades["b"].min()) > 0
    assert (np.diff(quotes["id"]) > 0).all()
    np.testing.assert_array_equal(trades["id"], np.arange(1, len(trades) + 1))
    assert set(np.unique(trades["c"])) == {-1, 1}
    assert (np.diff(events["exch_ns"]) >= 0).all()
    assert events["exch_ns"][0] >= START
    assert events["exch_ns"][-1] <= START + 120 * SECOND


def test_the_default_rates_are_those_of_a_busy_symbol() -> None:
    events = market().advance(START + 300 * SECOND).events
    per_s = {kind: np.sum(events["kind"] == kind) / 300 for kind in (TRADE, QUOTE, DEPTH)}
    assert 20 < per_s[TRADE] < 90
    assert 60 < per_s[QUOTE] < 220
    assert 9.5 < per_s[DEPTH] <= 10.0


def test_markets_of_one_seed_move_together_and_their_spread_reverts() -> None:
    both = [SyntheticMarket(instrument(k), MarketSettings(seed=5), START) for k in (0, 1)]
    paths = []
    for source in both:
        events = source.advance(START + 1800 * SECOND).events
        quotes = events[events["kind"] == QUOTE]
        at = np.searchsorted(quotes["exch_ns"], START + np.arange(10, 1800, 10) * SECOND) - 1
        paths.append(np.log(0.5 * (quotes["a"] + quotes["c"])[at]))
    returns = [np.diff(path) for path in paths]
    assert np.corrcoef(returns[0], returns[1])[0, 1] > 0.5
    spread = paths[0] - paths[1]
    assert np.corrcoef(spread[:-1], np.diff(spread))[0, 1] < -0.1


def test_a_coarse_tick_makes_a_market_too() -> None:
    coarse = instrument(tick="0.5", lot="1", symbol="DOGE/USDT")
    source = SyntheticMarket(coarse, MarketSettings(seed=1, price="600", quote_notional=1e6), START)
    events = source.advance(START + 600 * SECOND).events
    quotes = events[events["kind"] == QUOTE]
    assert (quotes["a"] < quotes["c"]).all()
    assert len(np.unique(quotes["a"])) > 2


def test_ticks_are_the_floats_that_decimal_text_gives_and_make_features() -> None:
    listed = instrument()
    chunk = market().advance(START + 90 * SECOND)
    ticks = tick_rows(chunk, listed)
    for k in range(0, len(ticks), 97):
        event, tick = chunk.events[k], ticks[k]
        assert (tick["kind"], tick["wire_ns"]) == (event["kind"], event["exch_ns"])
        assert tick["a"] == float(listed.price.text(int(event["a"])))
        assert tick["b"] == float(listed.qty.text(int(event["b"])))
        if event["kind"] == TRADE:
            assert (tick["c"], tick["d"]) == (event["c"], 0.0)
        else:
            assert tick["c"] == float(listed.price.text(int(event["c"])))
            assert tick["d"] == float(listed.qty.text(int(event["d"])))
    rows, places = np.empty((len(ticks), len(FEATURES))), batch.places(FEATURES)
    books = Seen(market()).take(chunk, ticks)
    batch.advance(batch.new_states(1, bind_tuning({})), 0, ticks, books, batch.every(ticks), places, rows)
    assert np.isfinite(rows[-1]).all()


def test_a_strategy_sees_the_markets_own_book_behind_the_newest_quote() -> None:
    source, listed = market(), instrument()
    seen = Seen(source)
    for step in range(1, 200):
        chunk = source.advance(START + step * SECOND // 10)
        ticks = tick_rows(chunk, listed)
        books = seen.take(chunk, ticks)
        assert len(books) == np.sum(ticks["kind"] == DEPTH)
        if len(ticks) and ticks["kind"][-1] == DEPTH:  # nothing has happened since
            _, *sides = source.snapshot()
            for shown, side in zip(books[-1], sides, strict=True):
                want = [
                    (float(listed.price.text(int(price))), float(listed.qty.text(int(lots))))
                    for price, lots in side[: len(shown)]
                ]
                assert list(map(tuple, shown.tolist())) == want


def test_nothing_happens_before_its_time() -> None:
    chunk = market().advance(START - 1)
    assert len(chunk.events) == len(chunk.levels) == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"price": "60000.001"}, "no multiple of the tick size 0.01"),
        ({"price": "sixty"}, "no multiple of the tick size"),
        ({"price": "1"}, "choose at least 10.00"),
        ({"trades_per_s": 0.0}, "trades_per_s must be positive"),
        ({"quote_notional": float("nan")}, "quote_notional must be positive"),
        ({"volatility_bps": 100.0}, "volatility_bps must be 0 to 20"),
        ({"signal": -1.0}, "signal must be 0 to 5"),
        ({"depth_ms": 0}, "depth_ms must be 1 to 10000"),
    ],
)
def test_settings_that_make_no_market_are_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        market(**options)

"""The fused features against a slow twin that recomputes each from the whole history, and their promises."""

from __future__ import annotations

import gzip
import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from numba import njit

from kernels import feature_bars, feature_state, features
from kernels.dtypes import DEPTH, QUOTE, TRADE
from kernels.features import FEATURE_FLOATS, FEATURE_INTS, FEATURES, TUNING, bind_tuning

if TYPE_CHECKING:
    from pathlib import Path

NAN = math.nan
START = 1_723_161_253_937_085_768
#: these come with books alone, and are tried in test_feature_depth
NEAR = {name for name in FEATURES if name.startswith("near_")}
SHORT_TUNING = {"ema_fast": 3, "ema_slow": 9, "mean_quotes": 5, "smooth": 4, "flow_half_life_s": 0.2}
SHORT_TUNING |= {
    "slow_half_life_s": 2.5,
    "bar_ms": 20,
    "silence_s": 5,
    "rsi_bars": 3,
    "macd_fast": 2,
    "macd_slow": 5,
}
SHORT_TUNING |= {
    "macd_signal": 2,
    "atr_bars": 2,
    "bollinger_bars": 3,
    "bollinger_devs": 1.5,
    "volatility_bars": 2,
}
SHORT_TUNING |= {"range_bars": 3, "return_short": 1, "return_medium": 2, "return_long": 7}


class Ticks(NamedTuple):
    """A run of ticks, each column in the order of `step`."""

    kind: np.ndarray
    wire_ns: np.ndarray
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    d: np.ndarray

    def first(self, n: int) -> Ticks:
        return Ticks(*(np.ascontiguousarray(x[:n]) for x in self))


def made(n: int, seed: int = 1, tick: float = 0.01) -> Ticks:
    """A made-up market: bursts of one stamp, steps back, still minutes, jumps, ticks that cannot be."""
    rng = np.random.default_rng(seed)
    kind = rng.choice([TRADE, QUOTE, DEPTH], n, p=[0.3, 0.6, 0.1])
    gaps = rng.choice([0, 0, 1_000, 2_000_000, 30_000_000], n)
    gaps[rng.integers(0, n, n // 150)] = rng.integers(0, 3_000_000_000, n // 150)
    gaps[rng.integers(0, n, n // 60)] = -900_000
    ticks = rng.choice([-2, -1, 0, 1, 2], n, p=[0.05, 0.15, 0.6, 0.15, 0.05])
    ticks[rng.integers(0, n, n // 400 + 1)] = 3_000
    ticks[n // 3 : n // 3 + n // 10] = 0
    bid = np.round(60_000.0 + np.cumsum(ticks) * tick, 2)
    ask = bid + rng.choice([1, 1, 2, 7], n) * tick
    side = rng.choice([-1.0, 1.0], n)
    trade, depth = kind == TRADE, kind == DEPTH
    a = np.where(trade, np.where(side > 0, ask, bid), bid)
    b, d = rng.integers(0, 2_000, n) * 0.001, rng.integers(0, 2_000, n) * 0.001
    b[trade] += 0.001
    b[depth] *= 10.0
    for column, value in ((a, NAN), (a, -1.0), (b, -1.0), (a, np.inf), (b, NAN)):
        column[rng.integers(0, n, n // 500)] = value
    return Ticks(kind.astype(np.int64), START + np.cumsum(gaps), a, b, np.where(trade, side, ask), d)


def rows(ticks: Ticks, tuning: dict[str, float] | None = None) -> np.ndarray:
    out = np.empty((len(ticks.kind), len(FEATURES)))
    run(*ticks, bind_tuning(tuning or {}), out)
    return out


@njit
def run(kind, wire_ns, a, b, c, d, tuning, out):
    """Write the row after each tick."""
    f, i = np.empty(FEATURE_FLOATS), np.zeros(FEATURE_INTS, np.int64)
    features.init(f, i, tuning)
    for k in range(kind.size):
        features.step(f, i, kind[k], wire_ns[k], a[k], b[k], c[k], d[k])
        features.row(f, i, wire_ns[k], out[k])


def fresh(tuning: dict[str, float] | None = None) -> tuple[np.ndarray, np.ndarray]:
    f, i = np.zeros(FEATURE_FLOATS), np.zeros(FEATURE_INTS, np.int64)
    features.init(f, i, bind_tuning(tuning or {}))
    return f, i


def stepped(ticks: Ticks, tuning: dict[str, float] | None = None) -> tuple[np.ndarray, np.ndarray]:
    f, i = fresh(tuning)
    for tick in zip(*(x.tolist() for x in ticks), strict=True):
        features.step(f, i, *tick)
    return f, i


# --- the twin: plain numpy over everything seen, nothing kept from one row to the next ----------------------


def present(ticks: Ticks, tuning: dict[str, float]) -> list[tuple[int, int, float, float, float, float]]:
    """The ticks that count: possible ones since the last restart, with times that never step back."""
    seen: list[tuple[int, int, float, float, float, float]] = []
    for kind, ns, a, b, c, d in zip(*(x.tolist() for x in ticks), strict=True):
        first, second = 0 < a < np.inf and b >= 0, 0 < c < np.inf and d >= 0 and a <= c
        if not (first and (c in (-1, 1) if kind == TRADE else second)):
            continue
        if seen and (ns - seen[-1][1] > tuning["silence_s"] * 1e9 or seen[-1][1] - ns > 1e9):
            seen = []
        seen.append((kind, max(ns, seen[-1][1]) if seen else ns, a, b, c, d))
    return seen


def ema(xs: np.ndarray, span: float) -> float:
    alpha = 2.0 / (span + 1.0)
    weights = alpha * (1.0 - alpha) ** np.arange(len(xs) - 1, -1, -1.0)
    weights[0] = (1.0 - alpha) ** (len(xs) - 1)
    return float(weights @ xs)


def emas(xs: np.ndarray, span: float) -> np.ndarray:
    averages = [xs[0]]
    for x in xs[1:]:
        averages.append(averages[-1] + 2.0 / (span + 1.0) * (x - averages[-1]))
    return np.array(averages)


def wilder(xs: np.ndarray, n: int) -> float:
    mean = xs[:n].mean()
    for x in xs[n:]:
        mean = (mean * (n - 1) + x) / n
    return float(mean)


def share(plus: float, minus: float) -> float:
    return (plus - minus) / (plus + minus) if plus + minus > 0 else 0.0


def twin(ticks: Ticks, given: dict[str, float] | None = None) -> dict[str, float]:
    """Every feature after the last of `ticks`, as its definition reads."""
    t = {**TUNING, **(given or {})}
    row = dict.fromkeys(FEATURES, NAN)
    seen = present(ticks, t)
    if not seen:
        return row
    now = max(int(ticks.wire_ns[-1]), seen[-1][1])
    values = {k: np.array([s[2:] for s in seen if s[0] == k]).reshape(-1, 4).T for k in (TRADE, QUOTE, DEPTH)}
    ages_s = {k: np.array([now - s[1] for s in seen if s[0] == k]) / 1e9 for k in values}
    row |= twin_rates(ages_s, (now - seen[0][1]) / 1e9, t)
    depths = values[DEPTH]
    if depths.size:
        imbalances = np.array([share(b, d) for b, d in zip(depths[1], depths[3], strict=True)])
        row["depth_imbalance"] = imbalances[-1]
        row["depth_imbalance_ema"] = ema(imbalances, t["smooth"]) if len(imbalances) >= t["smooth"] else NAN
    mid = NAN
    if values[QUOTE].size:
        row |= twin_quotes(values[QUOTE], 0.5 ** (ages_s[QUOTE] / t["flow_half_life_s"]), t)
        mids = (values[QUOTE][0] + values[QUOTE][2]) / 2
        mid = mids[-1]
        row |= twin_bars(np.array([s[1] for s in seen if s[0] == QUOTE]), mids, seen[-1][1], t)
    return row | twin_trades(values[TRADE], ages_s[TRADE], mid, t)


def twin_rates(ages_s: dict[int, np.ndarray], listened_s: float, t: dict[str, float]) -> dict[str, float]:
    if listened_s < t["flow_half_life_s"]:
        return {}

    def rate_hz(ages: np.ndarray, half_life_s: float) -> float:
        steady = half_life_s / math.log(2) * (1 - 0.5 ** (listened_s / half_life_s))  # of one event a second
        return float(np.sum(0.5 ** (ages / half_life_s)) / steady)

    fast, slow = t["flow_half_life_s"], t["slow_half_life_s"]
    row = {"quote_rate_hz": rate_hz(ages_s[QUOTE], fast), "trade_rate_hz": rate_hz(ages_s[TRADE], fast)}
    if ages_s[TRADE].size:
        row["trade_rate_ratio"] = row["trade_rate_hz"] / rate_hz(ages_s[TRADE], slow)
    return row


def twin_trades(trades: np.ndarray, ages_s: np.ndarray, mid: float, t: dict[str, float]) -> dict[str, float]:
    price, qty, sign, _ = trades
    row = {}
    if len(price) >= 1:
        row["last_trade_bps"] = (price[-1] / mid - 1) * 1e4
    if len(price) >= 8:
        fast, slow = (0.5 ** (ages_s / t[half]) for half in ("flow_half_life_s", "slow_half_life_s"))
        row["trade_flow"] = share((qty * fast)[sign > 0].sum(), (qty * fast)[sign < 0].sum())
        row["vwap_bps"] = (1 - (price * qty) @ slow / (qty @ slow) / mid) * 1e4
    if len(price) >= t["smooth"]:
        row["trade_sign_ema"] = ema(sign, t["smooth"])
        row["trade_size_ratio"] = qty[-1] / ema(qty, t["smooth"])
    return row


def twin_quotes(quotes: np.ndarray, weight: np.ndarray, t: dict[str, float]) -> dict[str, float]:
    bid, bid_qty, ask, ask_qty = quotes
    mids = (bid + ask) / 2
    mid, n = mids[-1], len(mids)
    tops = np.array([share(x, y) for x, y in zip(bid_qty, ask_qty, strict=True)])
    sizes = bid_qty[-1] + ask_qty[-1]
    micro = (bid[-1] * ask_qty[-1] + ask[-1] * bid_qty[-1]) / sizes if sizes else mid
    row = {"spread_bps": (ask[-1] - bid[-1]) / mid * 1e4, "microprice_bps": (micro / mid - 1) * 1e4}
    row["top_imbalance"] = tops[-1]
    if n >= t["smooth"]:
        row["spread_ratio"] = (ask[-1] - bid[-1]) / ema(ask - bid, t["smooth"])
        row["top_imbalance_ema"] = ema(tops, t["smooth"])
    if n > 8:
        flow = np.zeros(n)
        for k in range(1, n):
            flow[k] = (bid[k] >= bid[k - 1]) * bid_qty[k] - (bid[k] <= bid[k - 1]) * bid_qty[k - 1]
            flow[k] += (ask[k] >= ask[k - 1]) * ask_qty[k - 1] - (ask[k] <= ask[k - 1]) * ask_qty[k]
        flow *= weight
        row["order_flow"] = share(flow[flow > 0].sum(), -flow[flow < 0].sum())
    if n >= t["ema_slow"]:
        row["ema_spread_bps"] = (ema(mids, t["ema_fast"]) / ema(mids, t["ema_slow"]) - 1) * 1e4
    if n >= t["mean_quotes"]:
        last = mids[-int(t["mean_quotes"]) :] - mid
        row |= {"mean_bps": -last.mean() / mid * 1e4, "deviation_bps": last.std() / mid * 1e4}
        row["zscore"] = -last.mean() / last.std() if last.any() else 0.0
    return row


def twin_bars(ns: np.ndarray, mids: np.ndarray, last_ns: int, t: dict[str, float]) -> dict[str, float]:
    """What lives on bars: cut the mids on the grid, then use the textbook's formulas."""
    bar_ns = int(t["bar_ms"] * 1e6)
    ends = np.arange((int(ns[0]) // bar_ns + 1) * bar_ns, last_ns + 1, bar_ns)
    through = np.searchsorted(ns, np.append(ends, last_ns + bar_ns))  # quotes before each end, then all
    starts = np.append(0, through[:-1] - 1)  # a bar opens at the close before it
    spans = [mids[start:end] for start, end in zip(starts, through, strict=True)]
    highs, lows = (np.array([pick(span) for span in spans]) for pick in (np.max, np.min))
    closes, n, mid = mids[through[:-1] - 1], len(ends), mids[-1]
    row: dict[str, float] = {}
    for name in ("short", "medium", "long"):
        if n >= (back := int(t[f"return_{name}"])):
            row[f"return_{name}_bps"] = (mid / closes[-back] - 1) * 1e4
    if n >= (m := int(t["range_bars"])):
        low, high = lows[-m - 1 :].min(), highs[-m - 1 :].max()  # the bar being made counts, too
        row["range_position"] = (mid - low) / (high - low) if high > low else 0.5
    if n >= (m := int(t["bollinger_bars"])) - 1:
        last = np.append(closes[n - m + 1 :], mid) - mid
        row["bollinger_width_bps"] = 2 * t["bollinger_devs"] * last.std() / mid * 1e4
        band = t["bollinger_devs"] * last.std()
        row["bollinger_b"] = (band - last.mean()) / (2 * band) if last.any() else 0.5
    return row | twin_closes(closes, highs, lows, mid, t) | twin_returns(closes, t)


def twin_closes(
    closes: np.ndarray, highs: np.ndarray, lows: np.ndarray, mid: float, t: dict[str, float]
) -> dict[str, float]:
    row = {}
    n = len(closes)
    if n >= t["atr_bars"]:
        before = np.append(closes[:1], closes[:-1])
        ranges = np.maximum(highs[:n], before) - np.minimum(lows[:n], before)
        row["atr_bps"] = wilder(ranges, int(t["atr_bars"])) / mid * 1e4
    if n > t["rsi_bars"]:
        up, down = (wilder(np.maximum(sign * np.diff(closes), 0.0), int(t["rsi_bars"])) for sign in (1, -1))
        row["rsi"] = 100 * up / (up + down) if up + down > 0 else 50.0
    if n >= t["macd_slow"]:
        macd = emas(closes, t["macd_fast"]) - emas(closes, t["macd_slow"])
        row["macd_bps"] = macd[-1] / mid * 1e4
        if n >= t["macd_slow"] + t["macd_signal"] - 1:
            row["macd_signal_bps"] = ema(macd, t["macd_signal"]) / mid * 1e4
            row["macd_histogram_bps"] = row["macd_bps"] - row["macd_signal_bps"]
    return row


def twin_returns(closes: np.ndarray, t: dict[str, float]) -> dict[str, float]:
    row = {}
    r = closes[1:] / closes[:-1] - 1
    fast, slow = int(t["volatility_bars"]), int(t["range_bars"])
    if len(r) >= fast:
        row["volatility_bps"] = math.sqrt(np.mean(r[-fast:] ** 2) / (t["bar_ms"] / 1e3)) * 1e4
    if len(r) >= slow:
        last = r[-slow:]
        squares = np.sum(last**2)
        calm = squares == 0
        row["volatility_ratio"] = 1.0 if calm else math.sqrt(np.mean(r[-fast:] ** 2) / np.mean(last**2))
        row["trend"] = 0.0 if calm else last.sum() / math.sqrt(slow * squares)
        row["autocorrelation"] = 0.0 if calm else last[1:] @ last[:-1] / squares
    return row


def assert_equals_twin(ticks: Ticks, tuning: dict[str, float] | None, at: list[int]) -> None:
    got = rows(ticks, tuning)
    for n in at:
        want = twin(ticks.first(n), tuning)
        np.testing.assert_allclose(
            got[n - 1],
            [want[name] for name in FEATURES],
            rtol=1e-7,
            atol=2e-9,
            err_msg=f"after {n} ticks, in the order {FEATURES}",
        )


# --- what is promised ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("tuning", [{}, SHORT_TUNING], ids=["default", "short"])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_feature_equals_its_twin(tuning: dict[str, float], seed: int) -> None:
    ticks = made(2600, seed)
    assert_equals_twin(ticks, tuning, [*range(1, 400, 9), *range(400, 2601, 50)])


def test_every_feature_is_a_number_somewhere_in_the_twins_market() -> None:
    found = np.isfinite(rows(made(2600))).any(axis=0)
    assert {name for name, one in zip(FEATURES, found, strict=True) if not one} == NEAR


def test_every_feature_equals_its_twin_on_real_ticks(captures: Path) -> None:
    ticks = captured(captures / "binance-spot-btcusdt-20240808.gz", 4_000)
    assert_equals_twin(ticks, {}, [*range(50, 600, 50), *range(1_000, 4_001, 500)])


def captured(path: Path, n: int) -> Ticks:
    """The trades and quotes among the first lines of a capture."""
    found: list[tuple[Any, ...]] = []
    with gzip.open(path) as lines:
        for line in lines:
            ns, _, payload = line.partition(b" ")
            message = json.loads(payload)
            stream, data = message.get("stream", ""), message.get("data", {})
            if stream.endswith("@trade"):
                found.append(
                    (TRADE, int(ns), float(data["p"]), float(data["q"]), -1.0 if data["m"] else 1.0, 0.0)
                )
            elif stream.endswith("@bookTicker"):
                found.append((QUOTE, int(ns), *(float(data[key]) for key in "bBaA")))
            if len(found) == n:
                break
    kind, ns, *numbers = zip(*found, strict=True)
    return Ticks(np.array(kind), np.array(ns), *(np.array(x) for x in numbers))


def test_a_compiled_loop_is_stepping_to_the_last_bit() -> None:
    ticks = made(3_000)
    want = rows(ticks)
    f, i = fresh()
    out = np.empty(len(FEATURES) + 1)
    out[-1] = 42.0
    for n, tick in enumerate(zip(*(x.tolist() for x in ticks), strict=True)):
        features.step(f, i, *tick)
        features.row(f, i, tick[1], out)
        assert out[:-1].tobytes() == want[n].tobytes()
    assert out[-1] == 42.0  # a row has room for the prediction behind the features


def test_a_row_changes_no_state_and_fades_only_with_the_clock() -> None:
    ticks = made(1_500)
    f, i = stepped(ticks)
    before = f.tobytes(), i.tobytes()
    now_ns = int(i[feature_state.I_LAST_NS])
    first, again, later, earlier = (np.empty(len(FEATURES)) for _ in range(4))
    features.row(f, i, now_ns, first)
    features.row(f, i, now_ns + 1_000_000_000, later)
    features.row(f, i, now_ns - 1_000_000_000, earlier)
    features.row(f, i, now_ns, again)
    assert (f.tobytes(), i.tobytes()) == before
    assert first.tobytes() == again.tobytes() == earlier.tobytes()
    faded = {name for name, x, y in zip(FEATURES, first, later, strict=True) if x != y}
    assert faded - NEAR == {"trade_rate_hz", "trade_rate_ratio", "quote_rate_hz"}


@pytest.mark.parametrize("cut", [1, 77, 400, 1_203])
def test_no_row_knows_what_comes_after_it(cut: int) -> None:
    ticks = made(1_600)
    whole = rows(ticks)
    assert rows(ticks.first(cut)).tobytes() == whole[:cut].tobytes()
    other = made(1_600, seed=9)
    mixed = Ticks(*(np.concatenate([x[:cut], y[cut:]]) for x, y in zip(ticks, other, strict=True)))
    assert rows(mixed)[:cut].tobytes() == whole[:cut].tobytes()


def test_a_state_is_its_bytes() -> None:
    ticks = made(1_200)
    f, i = stepped(ticks.first(700))
    f, i = np.frombuffer(f.tobytes()).copy(), np.frombuffer(i.tobytes(), np.int64).copy()
    for tick in list(zip(*(x.tolist() for x in ticks), strict=True))[700:]:
        features.step(f, i, *tick)
    want_f, want_i = stepped(ticks)
    assert (f.tobytes(), i.tobytes()) == (want_f.tobytes(), want_i.tobytes())


def test_features_do_not_depend_on_the_units_of_price_and_quantity() -> None:
    ticks = made(2_000)
    trade = ticks.kind == TRADE
    scaled = ticks._replace(
        a=ticks.a * 4, b=ticks.b * 8, c=np.where(trade, ticks.c, ticks.c * 4), d=ticks.d * 8
    )
    assert rows(scaled).tobytes() == rows(ticks).tobytes()  # powers of two do not round


def test_features_do_not_depend_on_the_date() -> None:
    ticks = made(2_000)
    bars_of_a_year = 365 * 86_400 * 20
    moved = ticks._replace(wire_ns=ticks.wire_ns - bars_of_a_year * 50_000_000)
    assert rows(moved).tobytes() == rows(ticks).tobytes()


def test_a_mirrored_market_has_the_opposite_imbalances() -> None:
    ticks = made(2_000)
    trade, flip = ticks.kind == TRADE, 120_000.0  # prices seen from the other side
    mirrored = ticks._replace(
        a=flip - np.where(trade, ticks.a, ticks.c),
        b=np.where(trade, ticks.b, ticks.d),
        c=np.where(trade, -ticks.c, flip - ticks.a),
        d=np.where(trade, ticks.d, ticks.b),
    )
    possible = np.isfinite(ticks.a) & (ticks.a > 0)
    here, there = (
        rows(Ticks(*(np.ascontiguousarray(x[possible]) for x in run))) for run in (ticks, mirrored)
    )
    for name in (
        "top_imbalance",
        "top_imbalance_ema",
        "depth_imbalance",
        "order_flow",
        "trade_flow",
        "trade_sign_ema",
    ):
        k = FEATURES.index(name)
        np.testing.assert_allclose(here[:, k], -there[:, k], rtol=1e-9, atol=1e-12)


def test_ready_is_when_all_that_quotes_alone_make_is_a_number() -> None:
    by_others = {"depth_imbalance", "depth_imbalance_ema", "trade_flow", "trade_sign_ema", "trade_size_ratio"}
    by_others |= {"trade_rate_hz", "trade_rate_ratio", "last_trade_bps", "vwap_bps", *NEAR}
    columns = [k for k, name in enumerate(FEATURES) if name not in by_others]
    for tuning in ({}, SHORT_TUNING, {"ema_slow": 700.0}, {"flow_half_life_s": 8.0}, {"return_long": 90.0}):
        ticks = made(2_600)
        ticks = Ticks(*(np.ascontiguousarray(x[ticks.kind == QUOTE]) for x in ticks))
        got = rows(ticks, tuning)
        f, i = fresh(tuning)
        warm = []
        for n, tick in enumerate(zip(*(x.tolist() for x in ticks), strict=True)):
            features.step(f, i, *tick)
            warm.append(features.ready(f, i))
            assert warm[-1] == np.isfinite(got[n, columns]).all()
        assert not warm[0]
        assert warm[-1]


@pytest.mark.parametrize(
    "tick",
    [
        (QUOTE, 0, NAN, 1.0, 2.0, 1.0),
        (QUOTE, 0, 1.0, NAN, 2.0, 1.0),
        (QUOTE, 0, 1.0, 1.0, np.inf, 1.0),
        (QUOTE, 0, 1.0, 1.0, 1e308, 1.0),
        (QUOTE, 0, 0.0, 1.0, 2.0, 1.0),
        (QUOTE, 0, 1.0, -1.0, 2.0, 1.0),
        (QUOTE, 0, 2.0, 1.0, 1.0, 1.0),
        (TRADE, 0, -1.0, 1.0, 1.0, 0.0),
        (TRADE, 0, 1.0, 1e308, 1.0, 0.0),
        (TRADE, 0, 1.0, 1.0, 0.0, 0.0),
        (TRADE, 0, 1.0, 1.0, NAN, 0.0),
        (DEPTH, 0, NAN, 0.0, NAN, 0.0),
        (0, 0, 1.0, 1.0, 2.0, 1.0),
        (4, 0, 1.0, 1.0, 2.0, 1.0),
    ],
)
def test_a_tick_that_cannot_be_changes_nothing_and_is_counted(tick: tuple[float, ...]) -> None:
    f, i = stepped(made(300))
    want_f, want_i = f.tobytes(), i.copy()
    features.step(f, i, *tick)
    want_i[feature_state.I_IGNORED] += 1
    assert f.tobytes() == want_f
    assert i.tolist() == want_i.tolist()


@pytest.mark.parametrize("gap_ns", [60_000_000_001, -1_000_000_001])
def test_a_long_silence_or_a_clock_set_back_starts_again(gap_ns: int) -> None:
    ticks = made(1_500)
    ns = ticks.wire_ns.copy()
    ns[800:] += ns[799] - ns[800] + gap_ns
    got = rows(ticks._replace(wire_ns=ns))
    alone = rows(Ticks(*(np.ascontiguousarray(x[800:]) for x in ticks._replace(wire_ns=ns))))
    assert got[800:].tobytes() == alone.tobytes()
    _, i = stepped(ticks._replace(wire_ns=ns))
    assert i[feature_state.I_RESTARTS] == 1


def test_a_small_step_back_is_read_as_standing_still() -> None:
    ticks = made(1_500)
    level = ticks._replace(wire_ns=np.maximum.accumulate(ticks.wire_ns))
    assert (np.diff(ticks.wire_ns) < 0).any()
    assert rows(ticks).tobytes() == rows(level).tobytes()


@njit
def live_long(f: np.ndarray, i: np.ndarray, turns: int, turn_ns: int, ticks: Any) -> None:
    """Step the same ticks over and over, each turn `turn_ns` later."""
    kind, ns, a, b, c, d = ticks
    for turn in range(turns):
        for k in range(kind.size):
            features.step(f, i, kind[k], ns[k] + turn * turn_ns, a[k], b[k], c[k], d[k])


@pytest.mark.heavy
def test_after_twenty_million_ticks_only_the_recent_past_is_left() -> None:
    ticks = made(20_000)
    turn_ns = int(ticks.wire_ns.max() - ticks.wire_ns[0]) + 20_000_000
    old, young, want = *(fresh({"slow_half_life_s": 2.0}) for _ in range(2)), np.empty(len(FEATURES))
    live_long(*old, 1_000, turn_ns, tuple(ticks))
    recent = ticks._replace(wire_ns=ticks.wire_ns + 999 * turn_ns)
    live_long(*young, 1, turn_ns, tuple(recent))
    features.row(*young, int(young[1][feature_state.I_LAST_NS]), want)
    got = np.empty(len(FEATURES))
    features.row(*old, int(old[1][feature_state.I_LAST_NS]), got)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


PRICES = some.floats(1e-15, 1e15) | some.sampled_from([100.0, 100.01, 100.02])
SIZES = some.floats(0.0, 1e15) | some.sampled_from([0.0, 1.0])
STEPS = some.integers(-2_000_000_000, 3_000_000_000) | some.just(0) | some.just(20_000_000)
ANYTHING = some.tuples(some.integers(0, 4), STEPS, some.floats(), some.floats(), some.floats(), some.floats())
TICK = (
    some.tuples(some.just(TRADE), STEPS, PRICES, SIZES, some.sampled_from([-1.0, 1.0]), some.just(0.0))
    | some.tuples(some.sampled_from([QUOTE, DEPTH]), STEPS, PRICES, SIZES, PRICES, SIZES)
    | ANYTHING
)
BOUNDS = {
    "rsi": (0, 100),
    "range_position": (0, 1),
    "quote_rate_hz": (0, math.inf),
    "spread_bps": (0, math.inf),
}
BOUNDS |= {"deviation_bps": (0, math.inf), "volatility_bps": (0, math.inf), "atr_bps": (0, math.inf)}
BOUNDS |= dict.fromkeys(
    ("top_imbalance", "depth_imbalance", "order_flow", "trade_flow", "trade_sign_ema"), (-1, 1)
)
BOUNDS |= dict.fromkeys(("trend", "autocorrelation"), (-1, 1))


@given(some.lists(TICK, min_size=1, max_size=80))
def test_no_ticks_whatsoever_make_an_infinity_or_leave_a_bound(given_ticks: list[tuple[Any, ...]]) -> None:
    kind, steps, *numbers = zip(*given_ticks, strict=True)
    wire_ns = START + np.cumsum(np.array(steps, dtype=np.int64))
    ticks = Ticks(np.array(kind, np.int64), wire_ns, *(np.array(x, np.float64) for x in numbers))
    got = rows(ticks, SHORT_TUNING)
    assert not np.isinf(got).any()
    for name, (low, high) in BOUNDS.items():
        column = got[:, FEATURES.index(name)]
        inside = (column >= low - 1e-9) & (column <= high + 1e-9)
        assert (inside | np.isnan(column)).all(), name


def test_each_kernel_is_compiled_for_one_signature() -> None:
    stepped(made(300))
    rows(made(300))
    f, i = fresh()
    features.row(f, i, START, np.empty(len(FEATURES)))
    features.ready(f, i)
    for kernel in (features.init, features.step, features.row, features.ready, run):
        assert len(from_python(kernel)) == 1, kernel
    for module in (features, feature_bars, feature_state):  # helpers have none when their callers come cached
        for name, kernel in vars(module).items():
            assert len(from_python(kernel)) <= 1, name


def from_python(kernel: Any) -> list[Any]:
    """Return what a kernel was compiled for, but for records' arrays, which only kernels hand each other."""
    return [one for one in getattr(kernel, "signatures", []) if "NestedArray" not in str(one)]


def test_names_and_columns_agree() -> None:
    assert len(FEATURES) == len(set(FEATURES)) >= 24
    columns = {name: value for name, value in vars(features).items() if name.startswith("X_")}
    assert sorted(columns.values()) == list(range(len(FEATURES)))

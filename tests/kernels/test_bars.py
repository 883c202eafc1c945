"""Bars against a slow twin, incremental against batch, exact roll-ups, and the exchange's own bars."""

from __future__ import annotations

import csv
import io
import itertools
import zipfile
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from daemon.instruments import Scale
from kernels import bars
from kernels.bars import BAR, LOTS, NOTIONAL, STATE, TICKS, TIME, new_state

if TYPE_CHECKING:
    from pathlib import Path

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
START = 1_723_161_253_937_085_768

Trade = tuple[int, int, int, int, int]  # at_ns, price, lots, side, id


def made(n: int, seed: int = 1) -> list[Trade]:
    rng = np.random.default_rng(seed)
    at = START + np.cumsum(
        rng.choice([0, 1_000, 300_000_000, 2_500_000_000, -200_000_000], n, p=[0.3, 0.3, 0.3, 0.08, 0.02])
    )
    prices = 6_000_000 + np.cumsum(rng.integers(-3, 4, n))
    columns = (at, prices, rng.integers(1, 5_000, n), rng.choice([-1, 1], n), np.arange(n) + 700)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def arrays(trades: list[Trade]) -> list[np.ndarray]:
    return (
        [np.array(column, np.int64) for column in zip(*trades, strict=True)]
        if trades
        else [np.zeros(0, np.int64)] * 5
    )


def batch(kind: int, size: int, trades: list[Trade], room: int = 4_096) -> tuple[np.ndarray, np.ndarray]:
    """All bars closed by the trades, whatever room there is at once; and the state behind them."""
    state, out, found = new_state(kind, size), np.zeros(room, BAR), []
    while state["taken"][0] < len(trades):
        n = bars.take(state, *arrays(trades), out)
        found.append(out[:n].copy())
    return np.concatenate(found) if found else np.zeros(0, BAR), state


def stepped(kind: int, size: int, trades: list[Trade], room: int = 2) -> tuple[np.ndarray, np.ndarray]:
    state, out, found = new_state(kind, size), np.zeros(room, BAR), []
    for trade in trades:
        before = int(state["taken"][0])
        while state["taken"][0] == before:
            n = bars.step(state, *trade, out)
            found.append(out[:n].copy())
    return np.concatenate(found) if found else np.zeros(0, BAR), state


# --- the twin: groups of trades, each summed up anew --------------------------------------------------------


def summed(group: list[Trade], open_ns: int, end_ns: int, before: int, complete: int) -> tuple[int, ...]:
    prices = [price for _, price, *_ in group] or [before]
    bought = [(price, lots) for _, price, lots, side, _ in group if side > 0]
    return (
        open_ns,
        end_ns,
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        sum(lots for _, _, lots, _, _ in group),
        sum(price * lots for _, price, lots, _, _ in group),
        sum(lots for _, lots in bought),
        sum(price * lots for price, lots in bought),
        len(group),
        group[0][4] if group else -1,
        group[-1][4] if group else -1,
        complete,
    )


def twin_time(size: int, trades: list[Trade]) -> list[tuple[int, ...]]:
    """Closed bars: each trade belongs to its interval, or to the newest one that has begun before it came."""
    if not trades:
        return []
    places = list(itertools.accumulate((at // size for at, *_ in trades), max))
    found: list[tuple[int, ...]] = []
    for place in range(places[0], places[-1]):
        group = [trade for trade, its in zip(trades, places, strict=True) if its == place]
        before = found[-1][5] if found else 0
        found.append(summed(group, place * size, (place + 1) * size, before, int(place != places[0])))
    return found


def twin_filled(kind: int, size: int, trades: list[Trade]) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = []
    group: list[Trade] = []
    for trade in trades:
        group.append(trade)
        weight = {
            TICKS: len(group),
            LOTS: sum(t[2] for t in group),
            NOTIONAL: sum(t[1] * t[2] for t in group),
        }
        if weight[kind] >= size:
            found.append(summed(group, group[0][0], trade[0], 0, 1))
            group = []
    return found


def as_tuples(rows: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(row) for row in rows.tolist()]


SIZES = {TIME: SECOND, TICKS: 7, LOTS: 20_000, NOTIONAL: 200_000_000_000}


# --- what is promised ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SIZES)
@settings(max_examples=120)
@given(some.integers(0, 2**32), some.integers(0, 250), some.integers(2, 9))
def test_bars_are_the_twins_and_one_trade_at_a_time_makes_the_same_bits(
    kind: int, seed: int, n: int, room: int
) -> None:
    trades, size = made(n, seed), SIZES[kind]
    whole, state = batch(kind, size, trades)
    want = twin_time(size, trades) if kind == TIME else twin_filled(kind, size, trades)
    assert as_tuples(whole) == want
    for found, its in (stepped(kind, size, trades, room), batch(kind, size, trades, room)):
        assert found.tobytes() == whole.tobytes()
        assert its.tobytes() == state.tobytes()


@pytest.mark.parametrize("kind", SIZES)
def test_the_trades_of_all_bars_are_the_trades_there_were(kind: int) -> None:
    trades = made(3_000, 5)
    found, state = batch(kind, SIZES[kind], trades)
    assert len(found) > 20
    last = state["bar"][0] if state["begun"][0] else np.zeros((), BAR)
    for name, values in (
        ("lots", [lots for _, _, lots, _, _ in trades]),
        ("notional", [price * lots for _, price, lots, _, _ in trades]),
        ("buy_lots", [lots for _, _, lots, side, _ in trades if side > 0]),
        ("count", [1] * len(trades)),
    ):
        assert found[name].sum() + last[name] == sum(values)


def test_a_trade_at_the_open_is_in_and_one_at_the_end_is_in_the_next() -> None:
    minute = 1_700_000_040 * SECOND
    trades = [(minute, 10, 1, 1, 1), (minute + MINUTE - 1, 12, 1, -1, 2), (minute + MINUTE, 9, 1, 1, 3)]
    found, state = batch(TIME, MINUTE, trades)
    assert found["open_ns"].tolist() == [minute]
    assert found[["open", "high", "low", "close", "count"]].tolist() == [(10, 12, 10, 12, 2)]
    assert state["bar"]["open_ns"][0] == minute + MINUTE


def test_intervals_without_a_trade_are_bars_at_the_last_price() -> None:
    found, _ = batch(TIME, SECOND, [(0, 10, 5, 1, 1), (SECOND // 2, 8, 5, 1, 2), (4 * SECOND, 11, 5, 1, 3)])
    assert found["open_ns"].tolist() == [0, SECOND, 2 * SECOND, 3 * SECOND]
    assert found["count"].tolist() == [2, 0, 0, 0]
    for name in ("open", "high", "low", "close"):
        assert found[name][1:].tolist() == [8, 8, 8]
    for name in ("notional", "buy_lots", "buy_notional"):
        assert found[name][0] > 0
        assert not found[name][1:].any()
    assert found["lots"].tolist() == [10, 0, 0, 0]
    assert found["first_id"].tolist() == [1, -1, -1, -1]
    assert found["complete"].tolist() == [0, 1, 1, 1]


def test_time_alone_closes_bars_as_far_as_there_is_room() -> None:
    state, out = new_state(TIME, SECOND), np.zeros(3, BAR)
    assert bars.close_until(state, 10**18, out) == 0  # nothing has begun
    bars.step(state, 0, 10, 5, 1, 1, out)
    assert bars.close_until(state, SECOND - 1, out) == 0
    assert bars.close_until(state, 5 * SECOND, out) == 3
    assert bars.close_until(state, 5 * SECOND, out) == 2
    assert out["open_ns"][:2].tolist() == [3 * SECOND, 4 * SECOND]
    assert bars.close_until(new_state(TICKS, 2), 10**18, out) == 0


def test_a_bar_closes_at_the_trade_that_fills_it_and_carries_nothing_over() -> None:
    trades = [(1, 100, 4, 1, 1), (2, 101, 500, -1, 2), (3, 99, 10, 1, 3)]
    found, state = batch(LOTS, 10, trades)
    assert found["lots"].tolist() == [504, 10]
    assert found["open_ns"].tolist() == [1, 3]
    assert found["end_ns"].tolist() == [2, 3]
    assert state["begun"][0] == 0


def test_a_trade_that_comes_late_is_counted_where_it_comes() -> None:
    found, state = batch(
        TIME, SECOND, [(SECOND, 10, 1, 1, 1), (SECOND - 1, 7, 2, 1, 2), (2 * SECOND, 9, 1, 1, 3)]
    )
    assert found[["open", "low", "lots"]].tolist() == [(10, 7, 3)]
    assert state["backwards"][0] == 1


@pytest.mark.parametrize("wrong", [(0, 5, 1), (-3, 5, 1), (10, 0, 1), (10, -1, 1), (10, 5, 0), (10, 5, 2)])
def test_what_cannot_be_a_trade_changes_nothing_and_is_counted(wrong: tuple[int, int, int]) -> None:
    state, out = new_state(TIME, SECOND), np.zeros(2, BAR)
    bars.step(state, 5, 10, 5, 1, 1, out)
    before = state["bar"].tobytes()
    assert bars.step(state, 99 * SECOND, *wrong, 2, out) == 0
    assert state["bar"].tobytes() == before
    assert (state["taken"][0], state["ignored"][0]) == (2, 1)


def test_what_does_not_fit_is_an_error_and_not_a_wrong_number() -> None:
    state, out = new_state(LOTS, 2**62), np.zeros(2, BAR)
    bars.step(state, 5, 2**31, 2**31, 1, 1, out)
    with pytest.raises(OverflowError, match="make shorter bars"):
        bars.step(state, 5, 2**31, 2**31, 1, 1, out)
    for call in (bars.step, bars.take):
        trade = (5, 10, 5, 1, 1) if call is bars.step else arrays([(5, 10, 5, 1, 1)])
        with pytest.raises(ValueError, match="two rows"):
            call(new_state(LOTS, 1), *trade, np.zeros(1, BAR))
    with pytest.raises(ValueError, match="must be positive, not 0"):
        new_state(TIME, 0)


# --- roll-ups -----------------------------------------------------------------------------------------------


def rolled(size: int, parts: np.ndarray, until_ns: int, room: int = 4_096) -> np.ndarray:
    state, out, found = new_state(TIME, size), np.zeros(room, BAR), []
    while state["taken"][0] < len(parts):
        found.append(out[: bars.roll(state, parts, out)].copy())
    while n := bars.close_until(state, until_ns, out):
        found.append(out[:n].copy())
    return np.concatenate(found)


@settings(max_examples=120)
@given(some.integers(0, 2**32), some.integers(2, 300), some.sampled_from([2, 5, 60]), some.integers(2, 5))
def test_rolled_up_bars_are_those_of_the_trades(seed: int, n: int, times: int, room: int) -> None:
    trades = sorted(made(n, seed))
    last = trades[-1][0] // (times * SECOND) * times * SECOND
    seconds, _ = batch(TIME, SECOND, [*trades, (last + times * SECOND, 1, 1, 1, 9_999)])
    want, _ = batch(TIME, times * SECOND, [*trades, (last + times * SECOND, 1, 1, 1, 9_999)])
    got = rolled(times * SECOND, seconds, last + times * SECOND, room)
    assert as_tuples(got) == as_tuples(want)


def lean(path: Path, day_ns: int) -> np.ndarray:
    """One of QuantConnect's zipped CSVs: ms since midnight, OHLC, volume; prices and volumes as decimals."""
    with zipfile.ZipFile(path) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    price, qty = Scale(Decimal("0.01")), Scale(Decimal("0.00000001"))
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    found = np.zeros(len(rows), BAR)
    for bar, (ms, *prices, volume) in zip(found, rows, strict=True):
        bar["open_ns"] = day_ns + int(ms) * 1_000_000
        for name, value in zip(("open", "high", "low", "close"), prices, strict=True):
            bar[name] = price.parse(value)
        bar["lots"] = qty.parse(volume)
    return found


@pytest.mark.parametrize("day", [7, 8, 9])
def test_recorded_second_bars_roll_up_to_the_recorded_minutes(captures: Path, day: int) -> None:
    folder = captures.parent / "bars" / "coinbase"
    day_ns = (1_475_798_400 + (day - 7) * 86_400) * SECOND  # 2016-10-07
    seconds, minutes = (
        lean(folder / length / "btcusd" / f"201610{day:02d}_trade.zip", day_ns)
        for length in ("second", "minute")
    )
    got = rolled(MINUTE, seconds, day_ns + 86_400 * SECOND)
    traded = got[got["lots"] > 0]
    columns = ["open_ns", "open", "high", "low", "close", "lots"]
    assert len(minutes) > 900
    assert traded[columns].tolist() == minutes[columns].tolist()
    assert (np.diff(got["open_ns"]) == MINUTE).all()
    quiet = got[got["lots"] == 0]
    assert len(quiet) == len(got) - len(minutes) > 0


def test_a_state_is_its_bytes() -> None:
    trades = made(400, 3)
    state, out = new_state(TIME, SECOND), np.zeros(500, BAR)
    first = out[: bars.take(state, *arrays(trades[:150]), out)].copy()
    again = np.frombuffer(state.tobytes(), STATE).copy()
    again["taken"] = 0
    second = out[: bars.take(again, *arrays(trades[150:]), out)].copy()
    whole, _ = batch(TIME, SECOND, trades)
    assert np.concatenate((first, second)).tobytes() == whole.tobytes()


def test_each_kernel_is_compiled_for_one_signature() -> None:
    seconds, _ = batch(TIME, SECOND, made(50))
    stepped(LOTS, 100, made(50))
    rolled(MINUTE, seconds, START)
    for kernel in (bars.step, bars.take, bars.close_until, bars.roll):
        assert len(kernel.signatures) == 1, kernel

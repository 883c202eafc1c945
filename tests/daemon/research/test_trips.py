"""Round trips against a twin that keeps every unit apart, and against cash."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from daemon.config import from_tree
from daemon.instruments import make_instrument
from daemon.orders.money import UNIT, Holding
from daemon.research.backtest import fill_ledger
from daemon.research.trips import Fill, Terms, Trips, terms_of
from kernels.backtest_state import BACKTEST
from kernels.dtypes import BUY, SELL

#: a lot of 10 units; the taker's 10 % and the maker's nothing, of a buy on spot in what was bought
USDM = Terms(lot=10, tick=5, grain=10, fee_quote=(5, 0), fee_base=(0, 0), least=0)
SPOT = Terms(lot=10, tick=10, grain=10, fee_quote=(1, 0), fee_base=(1, 0), least=12_000)

#: by the orders of entry and exit
Units = dict[tuple[int, int], list[tuple[Fraction, Fraction]]]

FILLS = st.lists(
    st.builds(
        Fill,
        at_ns=st.just(0),
        key=st.integers(1, 6),
        side=st.sampled_from([BUY, SELL]),
        ticks=st.integers(1, 50),
        lots=st.integers(1, 5),
        maker=st.integers(0, 1),
    ),
    max_size=25,
)


def stamped(fills: list[Fill]) -> list[Fill]:
    """Give each side's orders keys of their own, and the fills ascending times."""
    return [
        one._replace(at_ns=100 * number, key=2 * one.key + (one.side == BUY))
        for number, one in enumerate(fills, 1)
    ]


def followed(terms: Terms, fills: list[Fill]) -> Trips:
    trips = Trips(terms)
    for fill in fills:
        trips.take(fill)
    return trips


def unit_by_unit(terms: Terms, fills: list[Fill]) -> tuple[Units, int]:
    """Return of each pair of orders what its units were bought for and gained, and how many are left."""
    waiting: deque[tuple[int, int, Fraction, Fraction]] = deque()
    met: Units = {}
    for fill in fills:
        got = fill.lots * terms.lot - (fill.lots * terms.fee_base[fill.maker] if fill.side == BUY else 0)
        fee = Fraction(fill.lots * fill.ticks * terms.fee_quote[fill.maker] * terms.grain, got)
        price = Fraction(fill.ticks * terms.tick)
        for _ in range(got):
            if waiting and waiting[0][1] != fill.side:
                key, side, entry, entry_fee = waiting.popleft()
                gain = side * (price - entry) - entry_fee - fee
                met.setdefault((key, fill.key), []).append((entry, gain))
            else:
                waiting.append((fill.key, fill.side, price, fee))
    return met, len(waiting)


@given(FILLS, st.sampled_from([USDM, SPOT]))
def test_trips_are_those_of_a_twin_that_keeps_every_unit_apart(fills, terms):
    fills = stamped(fills)
    trips = followed(terms, fills)
    met, waiting = unit_by_unit(terms, fills)
    closed, carried = trips.closed()
    assert abs(trips.held) == waiting
    gathered: dict[int, list[tuple[Fraction, Fraction]]] = {BUY: [], SELL: []}
    expected = []
    for (entry_key, _), units in met.items():
        side = BUY if entry_key % 2 else SELL
        gathered[side] += units
        value = sum(entry for entry, _ in gathered[side])
        if len(gathered[side]) >= terms.lot and value >= terms.least:
            expected.append((side, len(gathered[side]), value, sum(gain for _, gain in gathered[side])))
            gathered[side] = []
    assert [(one.side, one.quantity, one.entry_value) for one in closed] == [one[:3] for one in expected]
    # a share of a fee is rounded down once for each piece on either side
    left = sum(gain for units in gathered.values() for _, gain in units)
    gains = [*(one[3] for one in expected), left]
    for told, gain in zip([*(one.pnl for one in closed), carried], gains, strict=True):
        assert abs(told - gain) <= 2 * len(fills)


@given(FILLS, st.sampled_from([USDM, SPOT]), st.integers(1, 100))
def test_nothing_is_lost_all_trips_and_what_is_open_are_the_cash_and_what_is_held(fills, terms, half_ticks):
    fills = stamped(fills)
    cash = held = 0
    for fill in fills:
        cash -= fill.side * fill.lots * terms.lot * fill.ticks * terms.tick
        held += fill.side * fill.lots * terms.lot
        if fill.side == BUY and terms is SPOT:
            held -= fill.lots * terms.fee_base[fill.maker]
        else:
            cash -= fill.lots * fill.ticks * terms.fee_quote[fill.maker] * terms.grain
    trips = followed(terms, fills)
    closed, carried = trips.closed()
    assert trips.held == held
    told = 2 * (sum(one.pnl for one in closed) + carried) + trips.open_pnl(half_ticks)
    assert told == 2 * cash + held * half_ticks * terms.tick


@given(FILLS)
def test_what_the_account_keeps_at_average_cost_is_worth_the_same(fills):
    fills = stamped(fills)
    holding = Holding()
    for fill in fills:
        quantity = fill.side * fill.lots * USDM.lot
        holding.trade(quantity, quantity * fill.ticks * USDM.tick)
        holding.fees += fill.lots * fill.ticks * USDM.fee_quote[fill.maker] * USDM.grain
    trips = followed(USDM, fills)
    closed, carried = trips.closed()
    told = 2 * (sum(one.pnl for one in closed) + carried) + trips.open_pnl(33)
    assert told == 2 * (holding.realised - holding.cost - holding.fees) + holding.qty * 33 * USDM.tick


@given(FILLS, st.sampled_from([USDM, SPOT]), st.integers(0, 1_000))
def test_exposure_is_the_time_in_which_what_was_held_was_worth_an_order(fills, terms, more_ns):
    fills = stamped(fills)
    until_ns = 100 * len(fills) + more_ns
    expected = 0
    for number, fill in enumerate(fills):
        after_ns = fills[number + 1].at_ns if number + 1 < len(fills) else until_ns
        held = abs(followed(terms, fills[: number + 1]).held)
        worth = held >= terms.lot and held * fill.ticks * terms.tick >= terms.least
        expected += (after_ns - fill.at_ns) * worth
    trips = followed(terms, fills)
    assert trips.exposed_ns(until_ns) == expected
    assert trips.exposed_ns(until_ns) == expected  # asking changes nothing


def test_the_oldest_lots_go_first_and_an_order_in_pieces_is_one_trip():
    free = USDM._replace(fee_quote=(1, 0))
    trips = followed(
        free,
        [
            Fill(1, 1, BUY, 10, 2, 1),
            Fill(2, 1, BUY, 12, 1, 1),
            Fill(3, 2, BUY, 20, 1, 0),
            Fill(5, 3, SELL, 15, 1, 1),
            Fill(7, 3, SELL, 15, 3, 1),
        ],
    )
    (first, second), carried = trips.closed()
    assert (first.side, first.entry_ns, first.exit_ns, first.quantity) == (BUY, 1, 7, 30)
    assert first.pnl == (5 * 20 + 3 * 10) * 5
    assert free.price(first.entry_value, first.quantity) == 32 / 3 * 0.5
    assert (second.entry_ns, second.quantity, second.fees) == (3, 10, 20 * 10)
    assert second.pnl == -5 * 10 * 5 - 200
    assert (carried, trips.held) == (0, 0)


def test_a_fill_through_zero_closes_and_opens():
    trips = followed(USDM, [Fill(1, 1, BUY, 10, 1, 1), Fill(2, 2, SELL, 12, 3, 1), Fill(4, 3, BUY, 11, 2, 1)])
    closed, _ = trips.closed()
    assert [(one.side, one.quantity, one.pnl) for one in closed] == [(BUY, 10, 100), (SELL, 20, 100)]
    assert trips.held == 0


def test_a_piece_that_is_worth_no_order_is_part_of_the_next_trip_of_its_side():
    fills = [
        Fill(1, 1, BUY, 100, 20, 0),  # 180 units
        Fill(2, 2, SELL, 101, 17, 1),  # 10 are left
        Fill(9, 3, BUY, 200, 20, 1),
        Fill(11, 4, SELL, 210, 20, 1),
    ]
    trips = followed(SPOT, fills)
    (first, second), carried = trips.closed()
    assert (first.quantity, first.pnl) == (170, 170 * 10 - 20 * 100 * 10 * 170 // 180)
    assert (second.quantity, second.entry_ns, second.exit_ns) == (200, 9, 11)
    assert second.entry_value == 10 * 1_000 + 190 * 2_000
    assert second.pnl == 10 * 1_100 + 190 * 100 - (20_000 - 20_000 * 170 // 180)
    assert carried == 0
    assert trips.held == 10
    assert trips.exposed_ns(20) == 12  # the ten units are worth an order once the price has doubled


def test_terms_are_those_of_the_account():
    instrument = make_instrument(
        0,
        "binance",
        "spot",
        "BTC/USDT",
        tick_size="0.05",
        lot_size="0.001",
        qty_min="0.001",
        qty_max="1",
        notional_min="5.5",
    )
    fees = {"fee_taker": Decimal("0.001"), "fee_maker": Decimal("0.0005")}
    tree = {"name": "x", "mode": "paper", "strategy": [{"name": "ema_cross"}], "paper": fees}
    config = from_tree({**tree, "feed": {"symbols": ["BTC/USDT"]}}, {}, "x.toml")
    test = np.zeros(1, BACKTEST)
    fill_ledger(test[0]["ledger"], test[0]["money"], config, instrument)
    terms = terms_of(instrument, test[0]["ledger"])
    assert (terms.lot, terms.tick, terms.grain) == (10**15, 5, 100)
    assert terms.fee_quote == (5 * 10**10, 25 * 10**9)
    assert terms.fee_base == (10**12, 5 * 10**11)
    assert terms.least == 55 * UNIT * 10
    assert terms.to_text(-15 * UNIT * 10) == "-1.5"
    assert terms.to_text(1) == f"{Decimal(1).scaleb(-20):f}"
    assert terms.to_float(15 * UNIT * 10) == 1.5

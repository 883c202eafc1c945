from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from daemon.orders.doubts import OrderRules
from daemon.orders.trades import HASHED, REMEMBERED, TradeIds, hashed_id
from kernels.dtypes import BUY, P_QTY, SELL
from tests.daemon.orders.conftest import World

TRADES = st.tuples(st.integers(0, 25), st.sampled_from([BUY, SELL]))


@given(st.lists(TRADES))
def test_each_trade_is_new_once_and_its_two_sides_are_two(told):
    trades = TradeIds()
    assert [trades.add(*one) for one in told] == [one not in told[:n] for n, one in enumerate(told)]
    assert all(trades.has(*one) for one in told)


def test_memory_is_bounded_and_what_is_forgotten_stays_seen():
    trades = TradeIds()
    for trade_id in range(REMEMBERED + 100):
        assert trades.add(trade_id, BUY)
    assert len(trades.dump()) == REMEMBERED
    assert not trades.add(5, BUY)
    assert trades.has(5, BUY)


def test_a_restart_remembers_the_same():
    trades = TradeIds()
    for trade_id in range(0, 3 * REMEMBERED, 2):
        trades.add(trade_id, SELL)
    again = TradeIds(trades.dump(), trades.floor)
    for side in (BUY, SELL):
        probe = range(3 * REMEMBERED + 10)
        assert [again.has(i, side) for i in probe] == [trades.has(i, side) for i in probe]
    assert again.add(3 * REMEMBERED + 11, BUY)
    assert again.dump()[-1] == trades.dump()[-1] + 2 * 13 - 1


def test_an_absurd_id_does_not_make_true_ones_look_old():
    trades = TradeIds()
    assert trades.add(2**62, BUY)
    for trade_id in range(3 * REMEMBERED):
        assert trades.add(trade_id, BUY)
    assert not trades.add(2**62, BUY)


TEXTS = st.sampled_from([f"trade-{number}" for number in range(20)])


@given(st.lists(st.tuples(TEXTS, st.sampled_from([BUY, SELL]))))
def test_a_trade_known_by_a_text_is_new_once_too(told):
    trades = TradeIds()
    hashed = [(hashed_id(text), side) for text, side in told]
    assert [trades.add(*one) for one in hashed] == [one not in hashed[:n] for n, one in enumerate(hashed)]
    again = loaded(trades)
    assert all(again.has(*one) for one in hashed)
    assert again.dump() == trades.dump()


def loaded(trades):
    """Return what a restart makes of it."""
    return TradeIds(trades.dump(), trades.floor, trades.dump_times(), trades.floor_ns)


def test_of_texts_the_earliest_is_forgotten_and_what_is_not_later_counts_as_seen():
    trades = TradeIds()
    told = [(hashed_id(str(number)), BUY, 1000 + number) for number in range(REMEMBERED + 500)]
    assert all(trades.add(*one) for one in told)
    for same in (trades, loaded(trades)):
        assert len(same.dump()) == len(same.dump_times()) == REMEMBERED
        assert not any(same.add(*one) for one in told)
        assert all(same.has(*one) for one in told)
        assert not same.has(hashed_id("late"), BUY, 1500)
        assert same.add(5, BUY, 1)  # numbers beside them keep their own memory
        assert same.add(hashed_id("new"), BUY, 10**9)


def test_a_text_of_an_absurd_time_does_not_make_true_ones_look_old():
    trades = TradeIds()
    assert trades.add(hashed_id("absurd"), BUY, 2**62)
    for number in range(3 * REMEMBERED):
        assert trades.add(hashed_id(str(number)), BUY, 1000 + number)
    assert not trades.add(hashed_id("absurd"), BUY, 2**62)


def test_of_texts_without_a_time_the_oldest_is_forgotten_and_a_new_one_is_never_taken_for_old():
    trades = TradeIds()
    told = [hashed_id(str(number)) for number in range(REMEMBERED + 500)]
    assert all(HASHED <= one < 2 * HASHED for one in told)
    assert all(trades.add(one, BUY) for one in told)
    assert [trades.has(one, BUY) for one in told] == [False] * 500 + [True] * REMEMBERED
    assert trades.floor_ns == 0
    assert TradeIds(trades.dump(), trades.floor).dump() == trades.dump()  # by a version that kept no times


def test_a_trade_that_a_text_names_counts_once_though_its_name_is_forgotten(new_world):
    rules = OrderRules(ended_max=4)  # its order is forgotten too
    world = new_world(rules=rules)
    old = world.place(level=3, price=5_000_000)  # it stands for weeks: trades are asked for since it was sent
    world.report("NEW", old, venue_order_id="1")
    world.later(3600)
    first = world.fill(world.place(qty=1), hashed_id("first"), 1, exch_ns=world.time.now_ns())
    for number in range(REMEMBERED):
        world.later(1)
        one = world.place(qty=1, side=SELL if number % 2 else BUY)
        world.fill(one, hashed_id(str(number)), 1, exch_ns=world.time.now_ns())
    for _ in range(3):
        assert world.recovery.since_ns < first.exch_ns
        held = world.position(P_QTY)
        found = world.meet(open_orders=[World.listed(old)], trades=[msgspec.structs.replace(first)])
        assert (found.trades, found.adopted, world.position(P_QTY)) == (0, 0, held)
        world = world.restarted(rules=rules)

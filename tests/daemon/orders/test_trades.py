from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.orders.trades import HASHED, REMEMBERED, TradeIds, hashed_id
from kernels.dtypes import BUY, SELL

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
    again = TradeIds(trades.dump(), trades.floor)
    assert all(again.has(*one) for one in hashed)
    assert again.dump() == trades.dump()


def test_of_texts_the_oldest_is_forgotten_and_a_new_one_is_never_taken_for_old():
    trades = TradeIds()
    told = [hashed_id(str(number)) for number in range(REMEMBERED + 500)]
    assert all(HASHED <= one < 2 * HASHED for one in told)
    assert all(trades.add(one, BUY) for one in told)
    assert [trades.has(one, BUY) for one in told] == [False] * 500 + [True] * REMEMBERED
    assert trades.add(5, BUY)  # numbers beside them keep their own memory
    assert TradeIds(trades.dump(), trades.floor).dump() == trades.dump()

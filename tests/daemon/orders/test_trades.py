from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.orders.trades import REMEMBERED, TradeIds


@given(st.lists(st.integers(0, 50)))
def test_each_id_is_new_once(ids):
    trades = TradeIds()
    assert [trades.add(i) for i in ids] == [i not in ids[:n] for n, i in enumerate(ids)]


def test_memory_is_bounded_and_what_is_forgotten_stays_seen():
    trades = TradeIds()
    for trade_id in range(REMEMBERED + 100):
        assert trades.add(trade_id)
    assert len(trades.dump()) == REMEMBERED
    assert not trades.add(5)
    assert 5 in trades
    assert trades.highest == REMEMBERED + 99


def test_a_restart_remembers_the_same():
    trades = TradeIds()
    for trade_id in range(0, 3 * REMEMBERED, 2):
        trades.add(trade_id)
    again = TradeIds(trades.dump(), trades.floor)
    probe = range(3 * REMEMBERED + 10)
    assert [i in again for i in probe] == [i in trades for i in probe]
    assert again.highest == trades.highest

from __future__ import annotations

import numpy as np

from daemon.orders.desk import SLOT_OF_STATE, Account, detached_desk
from daemon.orders.order import State
from kernels import dtypes as d


def test_every_open_state_shows_in_its_slot_and_no_end_does():
    for state in State:
        assert (SLOT_OF_STATE[state] != d.SLOT_EMPTY) is (state < State.FILLED)


def test_the_views_write_the_memory_itself(new_world, pair):
    world = new_world(pair, {"both": (0, 1)})
    desk, memory = world.desks[0], world.memories[0]
    desk.position[d.POSITION_COLUMNS + d.P_QTY] = 2.5
    desk.gate[1] = d.GATE_HALTED
    assert memory["position"][0, 1, d.P_QTY] == 2.5
    assert memory["gate"][0].tolist() == [0, d.GATE_HALTED]
    assert np.shares_memory(desk.rows[1], memory)


def test_an_account_is_written_through_views_of_one_array():
    account = Account()
    account.view[d.A_FREE_QUOTE] = 5.0
    account.worth[:] = np.array([7.0, 8.0, 9.0]).tobytes()
    columns = [d.A_FREE_QUOTE, d.A_EQUITY, d.A_DAY_PNL, d.A_DRAWDOWN]
    assert account.array[columns].tolist() == [5.0, 7.0, 8.0, 9.0]


def test_an_order_is_shown_in_its_own_row_and_slot_and_nowhere_else(new_world, pair):
    world = new_world(pair, {"both": (0, 1)})
    world.place(row=1, slot=15, price=5000, qty=10)
    shown = world.memories[0]["working"][0]
    assert np.argwhere(shown[:, :, d.W_STATE]).tolist() == [[1, 15]]


def test_slots_run_out_and_come_back(world):
    desk = world.desks[0]
    orders = [world.place(level=level) for level in range(d.WORKING_SLOTS)]
    assert desk.free_slot(0) == -1
    world.report("REJECTED", orders[3])
    assert desk.free_slot(0) == 3


def test_freeing_an_order_leaves_a_slot_that_is_anothers(world):
    desk = world.desks[0]
    first = world.place(level=1)
    world.report("REJECTED", first)
    second = world.place(level=2)
    desk.free(first)
    assert desk.orders[0][0] is second
    assert world.slot()[d.W_STATE] == d.SLOT_PENDING_NEW


def test_a_detached_desk_has_a_memory_of_its_own():
    desk = detached_desk(4, "gone", (0, 2))
    desk.position[d.POSITION_COLUMNS] = 1.0
    assert (desk.index, desk.instruments, len(desk.orders)) == (4, (0, 2), 2)

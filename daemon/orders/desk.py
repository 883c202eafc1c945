"""A strategy's desk: its memory record as the order side sees it, and the orders in its slots.

The memory's arrays are written through memoryviews: `view[i] = x` costs 25 ns where a numpy element costs
110 and a record's field 530.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from daemon.orders.order import State
from kernels.dtypes import (
    A_DRAWDOWN,
    A_EQUITY,
    ACCOUNT_COLUMNS,
    POSITION_COLUMNS,
    SLOT_EMPTY,
    SLOT_PENDING_CANCEL,
    SLOT_PENDING_NEW,
    SLOT_PENDING_REPLACE,
    SLOT_UNKNOWN,
    SLOT_WORKING,
    W_LEAVES_LOTS,
    W_SIDE,
    W_STATE,
    WORKING_COLUMNS,
    WORKING_SLOTS,
    memory_dtype,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from daemon.orders.order import Order

#: what a slot says of its order's state; an ended order leaves its slot empty
SLOT_OF_STATE: Final[list[float]] = [float(SLOT_EMPTY)] * (len(State) + 1)
SLOT_OF_STATE[State.PENDING_NEW] = SLOT_PENDING_NEW
SLOT_OF_STATE[State.WORKING] = SLOT_WORKING
SLOT_OF_STATE[State.PARTIALLY_FILLED] = SLOT_WORKING
SLOT_OF_STATE[State.PENDING_REPLACE] = SLOT_PENDING_REPLACE
SLOT_OF_STATE[State.PENDING_CANCEL] = SLOT_PENDING_CANCEL
SLOT_OF_STATE[State.UNKNOWN] = SLOT_UNKNOWN

_SLOT: Final = Struct(f"{WORKING_COLUMNS}d")
_EMPTY: Final = bytes(_SLOT.size)


class Account:
    """What strategies see of the account, A_*: one for all of one quote currency, which is written once."""

    __slots__ = ("array", "view", "worth")

    def __init__(self) -> None:
        self.array: NDArray[np.float64] = np.zeros(ACCOUNT_COLUMNS)
        self.view: memoryview[float] = memoryview(self.array.data).cast("B").cast("d")
        #: equity, the day's result and the drawdown, as bytes
        self.worth = self.view.cast("B")[8 * A_EQUITY : 8 * (A_DRAWDOWN + 1)]


class Desk:
    """One strategy's place at the order side; `memory` is its record, a `memory_dtype` array of length 1."""

    __slots__ = (
        "_working",
        "account",
        "detached",
        "gate",
        "index",
        "instruments",
        "name",
        "orders",
        "position",
        "ready",
        "rows",
    )

    def __init__(
        self,
        index: int,
        name: str,
        instruments: tuple[int, ...],
        memory: NDArray[np.void],
        account: Account,
    ) -> None:
        self.index = index
        self.name = name
        self.instruments = instruments  # the daemon's index of each of the strategy's rows
        self.detached = False  # nobody decides here: the strategy is not configured any more
        self.ready = True  # False while the strategy warms up
        self._working = memoryview(memory["working"][0]).cast("B")
        self.position = memoryview(memory["position"][0]).cast("B").cast("d")  # row * POSITION_COLUMNS + P_*
        self.account = account
        self.gate = memoryview(memory["gate"][0]).cast("B").cast("q")  # row
        #: the feature row of each instrument, as it stood at the decision
        self.rows: list[NDArray[np.float64]] = list(memory["rows"][0])
        #: the order in each slot, or None
        self.orders: list[list[Order | None]] = [[None] * WORKING_SLOTS for _ in instruments]
        assert len(self.position) == len(instruments) * POSITION_COLUMNS

    def show(self, order: Order, leaves_lots: int) -> None:
        """Write an order's slot, so that reconcile and limits see it; one without a slot is only reserved."""
        if order.slot < 0:
            return
        _SLOT.pack_into(
            self._working,
            (order.row * WORKING_SLOTS + order.slot) * _SLOT.size,
            SLOT_OF_STATE[order.state],
            order.kind,
            order.level,
            order.side,
            order.price_ticks,
            leaves_lots,
            order.since_ns,
        )

    def free(self, order: Order) -> None:
        """Empty an order's slot."""
        slot = order.slot
        if slot >= 0 and self.orders[order.row][slot] is order:
            self.orders[order.row][slot] = None
            at = (order.row * WORKING_SLOTS + slot) * _SLOT.size
            self._working[at : at + _SLOT.size] = _EMPTY

    def live_lots(self, row: int, side: int) -> int:
        """Return what the orders in a row's slots may still trade on a side, as the limits kernel does."""
        first, last = row * WORKING_SLOTS * _SLOT.size, (row + 1) * WORKING_SLOTS * _SLOT.size
        slots = _SLOT.iter_unpack(self._working[first:last])
        return int(sum(slot[W_LEAVES_LOTS] for slot in slots if slot[W_STATE] and slot[W_SIDE] == side))

    def free_slot(self, row: int) -> int:
        """Return the first empty slot of a row, or -1."""
        try:
            return self.orders[row].index(None)
        except ValueError:
            return -1


def detached_desk(index: int, name: str, instruments: tuple[int, ...]) -> Desk:
    """Return a desk with a memory of its own: for orders whose strategy is not configured any more."""
    dtype: np.dtype[Any] = memory_dtype(len(instruments), 0, 1, 1, 0, 0)
    desk = Desk(index, name, instruments, np.zeros(1, dtype), Account())
    desk.detached = True
    return desk

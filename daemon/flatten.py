"""Closing every position: at once what can be, and again until nothing but dust is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.orders.audit import Alarm
from daemon.orders.closing import close_position
from kernels import dtypes as dt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.instruments import Instrument
    from daemon.orders.desk import Desk
    from daemon.orders.manager import Orders
    from daemon.orders.records import Latch

#: who throws the kill switch because of what was traded, and not because the books cannot be trusted
_TRIPS: Final = frozenset({"risk", "strategy"})
#: how much of the collar a flatten may use, so that the order stays within it when the market moves on
_SHARE: Final = 0.9


class Flatten:
    """The flattening that a person, or the kill switch, asked for.

    While it is active strategies are not listened to: a stop that is wanted back at each tick would go on
    holding what is to be sold.
    """

    def __init__(
        self,
        orders: Orders,
        instruments: Sequence[Instrument],
        touch: Callable[[int], tuple[float, float]],
        collar: float,
    ) -> None:
        """Wire it. touch(instrument): its newest bid and ask; collar: how far from them a price may be."""
        self.active = False  # until a person resumes: what is bought by a late fill is closed too
        self.under_way = False  # something is left that can be closed
        self._on_trip = orders.risk.limits.flatten_on_halt
        self._answered: Latch | None = None  # the trip that was
        self._orders = orders
        self._instruments = instruments
        self._touch = touch
        self._collar = collar
        self._told: set[tuple[int, int]] = set()  # (desk, row) that could not be closed, as a person knows

    def begin(self, now_ns: int) -> None:
        """Close what there is, and go on (`go_on`) until all is closed."""
        self.active = True
        self._answered = self._orders.risk.latch
        self._told.clear()
        self.go_on(now_ns)

    def look(self, now_ns: int) -> None:
        """Go on with what is under way; begin where it was asked for or the switch tripped, before too."""
        latch = self._orders.risk.latch
        if latch is not None and latch is not self._answered and self._closes(latch):
            self._orders.cancel_all(now_ns, stops=True)
            self.begin(now_ns)
        elif self.active:
            self.go_on(now_ns)

    def _closes(self, latch: Latch) -> bool:
        return latch.flatten or (self._on_trip and latch.source in _TRIPS)

    def end(self) -> None:
        """Leave what is still open as it is: a person resumed."""
        self.active = self.under_way = False

    def go_on(self, now_ns: int) -> None:
        """Close every position, of strategies no longer configured too, at prices within the collar.

        What our own orders, until they are cancelled, or a thin market keep open is tried again, and so is
        what has no market at all, of which a person is told.
        """
        self.under_way = False
        for desk in self._orders.desks:
            for row, index in enumerate(desk.instruments):
                qty = desk.position[row * dt.POSITION_COLUMNS + dt.P_QTY]
                if qty and not self._close(desk, row, index, qty, now_ns):
                    self.under_way = True

    def _close(self, desk: Desk, row: int, index: int, qty: float, now_ns: int) -> bool:
        """Send what closes one position; return whether nothing is left to do but dust."""
        side = dt.SELL if qty > 0 else dt.BUY
        bid, ask = self._touch(index)
        touch = bid if qty > 0 else ask
        if not touch > 0:
            if (desk.index, row) not in self._told:
                self._told.add((desk.index, row))
                instrument = self._instruments[index]
                text = (
                    f"flatten cannot close {qty:g} {instrument.base} of {desk.name}: "
                    f"{instrument.symbol} shows no price yet; it is tried again until one comes"
                )
                self._orders.tell(Alarm("flatten", text, now_ns))
            return False
        price = self._instruments[index].price
        worst = price.count(touch * (1 + side * _SHARE * self._collar))
        decided = price.count(bid) + price.count(ask) if bid > 0 and ask > 0 else 0
        closing = close_position(self._orders, desk, row, worst, now_ns, decided)
        return closing is None and not any(desk.orders[row])

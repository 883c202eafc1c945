"""Closing every position: at once what can be, and again until nothing but dust is left.

Orders that trade nothing follow each other at growing distances: an exchange counts a day's orders.

A protective stop stands until what it protects is closed. Where it holds back what the closing order needs,
as coins on spot, it goes once nothing else is in the way of that order, and is waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.orders.audit import Alarm
from daemon.orders.closing import close_position, lots_of, release
from daemon.orders.netting import settle_opposite
from daemon.orders.order import STANDING, Order
from kernels import dtypes as dt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.instruments import Instrument
    from daemon.orders.desk import Desk
    from daemon.orders.manager import Orders
    from daemon.orders.records import Latch

    #: (strategy, row) -> the position there, where it is more than dust
    Held = dict[tuple[int, int], float]

#: who throws the kill switch because of what was traded, and not because the books cannot be trusted
_TRIPS: Final = frozenset({"risk", "strategy"})
#: how much of the collar a flatten may use, so that the order stays within it when the market moves on
_SHARE: Final = 0.9
#: after an order that traded nothing the next waits, longer each time: at first less than until the next look
_WAIT_NS: Final = 50_000_000
_WAIT_NS_MAX: Final = 5_000_000_000
#: unless prices have moved by so much of the collar
_MOVED: Final = 0.25
#: a position that is not closed for so long is told of, and again at such distances
_LATE_NS: Final = 10_000_000_000
_LATE_AGAIN_NS: Final = 600_000_000_000


class _Closing:
    """How the closing of one position gets on."""

    __slots__ = ("bare", "late_ns", "qty", "since_ns", "touch", "tried_ns", "wait_ns")

    def __init__(self, now_ns: int) -> None:
        self.qty = self.touch = 0.0  # that it was when it last got on
        self.tried_ns = 0
        self.wait_ns = 0
        self.bare = False  # no stop protects it
        self.since_ns = now_ns
        self.late_ns = _LATE_NS  # after so long a person is told

    def look(self, qty: float, touch: float, moved: float, now_ns: int) -> None:
        """Take what is left and the price that it would find; where something came of it, wait no longer."""
        traded = qty != self.qty
        if traded or abs(touch - self.touch) > moved * self.touch:
            self.qty, self.touch, self.wait_ns = qty, touch, 0
        if traded and not self.bare:  # a position that is bare counts until it is closed
            self.since_ns, self.late_ns = now_ns, _LATE_NS

    def due(self, now_ns: int) -> bool:
        """Whether an order may be sent again."""
        return not 0 <= now_ns - self.tried_ns < self.wait_ns

    def tried(self, now_ns: int) -> None:
        """Note that an order was sent."""
        self.tried_ns = now_ns
        self.wait_ns = min(max(2 * self.wait_ns, _WAIT_NS), _WAIT_NS_MAX)

    def late(self, now_ns: int, *, bare: bool, told: bool) -> bool:
        """Whether a person is to be told now; bare: no stop protects it; told: they know why it must wait."""
        if bare is not self.bare or (told and not bare):
            self.bare, self.since_ns, self.late_ns = bare, now_ns, _LATE_NS
        if 0 <= now_ns - self.since_ns < self.late_ns:
            return False
        self.since_ns, self.late_ns = now_ns, _LATE_AGAIN_NS
        return True


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
        fresh: Callable[[int], bool] = lambda _: True,
    ) -> None:
        """Wire it.

        touch(instrument): its newest bid and ask; fresh(instrument): whether they are of now. collar: how far
        from them a price may be.
        """
        self.active = False  # until a person resumes: what is bought by a late fill is closed too
        self.under_way = False  # something is left, in a market that is open
        self._on_trip = orders.risk.limits.flatten_on_halt
        self._answered: Latch | None = None  # the trip that was
        self._orders = orders
        self._instruments = instruments
        self._touch = touch
        self._collar = collar
        self._fresh = fresh
        self._told: set[tuple[int, int, str]] = set()  # (strategy, row) and why it cannot be closed, as told
        self._closings: dict[tuple[int, int], _Closing] = {}  # by (strategy, row)

    def begin(self, now_ns: int) -> None:
        """Close what there is, and go on (`go_on`) until all is closed."""
        self.active = True
        self._answered = self._orders.risk.latch
        self._told.clear()
        self._closings.clear()
        self.go_on(now_ns)

    def look(self, now_ns: int) -> None:
        """Go on with what is under way; begin where it was asked for or the switch tripped, before too."""
        latch = self._orders.risk.latch
        if latch is not None and latch is not self._answered and self._closes(latch):
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
        what cannot be closed yet, of which a person is told. Stops go that have nothing left to protect.
        """
        orders = self._orders
        settle_opposite(orders, now_ns)
        held = self._held()
        for (strategy, row), qty in held.items():
            self._close(orders.desks[strategy], row, qty, now_ns)
        indices = {orders.desks[strategy].instruments[row] for strategy, row in held}
        self.under_way = bool(indices - orders.risk.suspended)
        for key in self._closings.keys() - held.keys():
            del self._closings[key]
        release(orders, [stop for stop in self._stops() if not self._protects(stop, held)], now_ns)

    @property
    def left(self) -> list[str] | None:
        """Return what is still to be closed or cancelled, in words; None where nothing was to be."""
        if not self.active:
            return None
        held = [self._name(self._orders.desks[at], row, qty) for (at, row), qty in self._held().items()]
        count = len(self._orders.life.open)
        return held + [f"{count} open order{'s' if count > 1 else ''}"] * bool(count)

    # --- what is held, and what protects it -----------------------------------------------------------------
    def _held(self) -> Held:
        return {
            (desk.index, row): qty
            for desk in self._orders.desks
            for row, index in enumerate(desk.instruments)
            if (qty := desk.position[row * dt.POSITION_COLUMNS + dt.P_QTY]) and not self._is_dust(index, qty)
        }

    def _is_dust(self, index: int, qty: float) -> bool:
        instrument = self._instruments[index]
        lots, worst_ticks = lots_of(instrument, qty), self._worst_ticks(index, qty)
        if not lots or not worst_ticks:
            return not lots  # how much it is worth nobody knows
        return instrument.is_dust(lots, instrument.price.decimal(worst_ticks))

    def _worst_ticks(self, index: int, qty: float) -> int:
        """Return the worst price to close a position at, 0 where there is no market."""
        bid, ask = self._touch(index)
        touch, side = (bid, dt.SELL) if qty > 0 else (ask, dt.BUY)
        if not touch > 0:
            return 0
        return self._instruments[index].price.count(touch * (1 + side * _SHARE * self._collar))

    def _stops(self) -> list[Order]:
        return [order for order in self._orders.life.open.values() if order.kind == dt.STOP]

    def _protects(self, stop: Order, held: Held) -> bool:
        """Whether a stop would reduce a position: its strategy's, or what a derivative's exchange nets."""
        if self._instruments[stop.instrument].spot:
            qty = held.get((stop.strategy, stop.row), 0.0)
        else:
            desks = self._orders.desks
            qty = sum(
                part for (at, row), part in held.items() if desks[at].instruments[row] == stop.instrument
            )
        return stop.side * qty < 0

    def _ends_loss(self, stop: Order, touch: float) -> bool:
        """Whether a loss would trigger a stop; what a person has waiting may be there to take a profit."""
        if self._orders.ids.parse(stop.client_order_id) is not None or not touch > 0:
            return True
        return stop.side * (stop.price_ticks - self._instruments[stop.instrument].price.count(touch)) >= 0

    # --- closing --------------------------------------------------------------------------------------------
    def _close(self, desk: Desk, row: int, qty: float, now_ns: int) -> None:
        """Send what closes one position, or let go what holds it back."""
        orders, index = self._orders, desk.instruments[row]
        stops = [one for one in self._stops() if self._protects(one, {(desk.index, row): qty})]
        bid, ask = self._touch(index)
        closing = self._closings.setdefault((desk.index, row), _Closing(now_ns))
        touch = bid if qty > 0 else ask
        closing.look(qty, touch, _MOVED * self._collar, now_ns)
        guards = [stop for stop in stops if self._ends_loss(stop, touch)]
        why = self._why_not(index, qty)
        if why:
            closing.wait_ns = 0  # it is tried at once when that ends
        elif closing.due(now_ns):
            price = self._instruments[index].price
            decided = price.count(bid) + price.count(ask) if bid > 0 and ask > 0 else 0
            sent = close_position(orders, desk, row, self._worst_ticks(index, qty), now_ns, decided)
            if type(sent) is Order:
                closing.tried(now_ns)
            if stops and (sent is None or desk.free_slot(row) < 0) and not self._others(desk, index):
                if self._fresh(index):
                    release(orders, stops, now_ns)
                else:
                    why = f"the prices of {self._instruments[index].symbol} are stale"
        if why:
            self._tell_why(desk, row, qty, why, now_ns, protected=bool(guards))
        bare = not any(stop.state in STANDING for stop in guards)
        if closing.late(now_ns, bare=bare, told=bool(why)):
            self._tell_late(desk, row, qty, now_ns, bare=bare)

    def _why_not(self, index: int, qty: float) -> str:
        """Return what no closing order can get past."""
        instrument = self._instruments[index]
        if index in self._orders.risk.suspended:
            return f"{instrument.symbol} is {'not TRADING' if instrument.listed else instrument.status}"
        if not self._orders.venue.up:
            return "the connection for orders is down"
        return "" if self._worst_ticks(index, qty) else f"{instrument.symbol} shows no price"

    def _others(self, desk: Desk, index: int) -> bool:
        """Whether orders that are no stops stand in a closing order's way, until they end."""
        return any(
            order.kind != dt.STOP and (order.strategy == desk.index or order.kind == dt.REST)
            for order in self._orders.risk.live[index]
        )

    # --- what a person is told ------------------------------------------------------------------------------
    def _name(self, desk: Desk, row: int, qty: float) -> str:
        return f"{qty:g} {self._instruments[desk.instruments[row]].base} of {desk.name}"

    def _tell_why(self, desk: Desk, row: int, qty: float, why: str, now_ns: int, *, protected: bool) -> None:
        """Tell once each reason why a position cannot be closed yet."""
        if (desk.index, row, why) in self._told:
            return
        self._told.add((desk.index, row, why))
        then = "its stop stands" if protected else "no stop protects it"
        text = f"flatten cannot close {self._name(desk, row, qty)} while {why}: {then}"
        self._orders.tell(Alarm("flatten", text, now_ns))

    def _tell_late(self, desk: Desk, row: int, qty: float, now_ns: int, *, bare: bool) -> None:
        """Tell of a position that is not closed for long: it may be bare, or orders come to nothing."""
        name, late = self._name(desk, row, qty), f"{_LATE_NS / 1e9:g} s"
        then = "it goes on, look at the venue"
        if bare:
            text = f"{name} is unprotected: flatten has not closed it for {late}, and no stop stands; {then}"
            self._orders.tell(Alarm("unprotected", text, now_ns))
        else:
            text = f"flatten has traded nothing of {name} for {late}: its stop stands; {then}"
            self._orders.tell(Alarm("flatten", text, now_ns))

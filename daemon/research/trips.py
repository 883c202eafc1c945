"""Round trips: what was bought and sold again (or sold and bought back), and what each gained after fees.

First in, first out: every lot then has one entry and one exit, so that a trip has a time it was held for and
prices that were traded, where the average cost that positions are kept at (daemon/orders/money.py) has
neither. The two share a gain out differently; all trips and what is open are worth the same in both. What one
order opened and another closed is one trip, in however many pieces the venue filled them.

Everything is whole numbers: quantities in units (1e-18) of the base, amounts of the quote in units over
`Terms.grain`, in which a unit of the base at any price is whole. Shares of a fee are rounded down but for the
last, which is the rest: sums are exact.

On spot the commission of a buy is taken from what was bought. It counts as sold at that price, and the
proceeds as the fee (as kernels/ledger.py has it). So an exit meets a little of the entry behind its own, at
the next one more, and so on: pieces that are worth no order are no round trips. They are gathered, and become
part of the next trip of their side.
"""

from __future__ import annotations

from collections import deque
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from daemon.orders.money import PLACES, UNIT, to_units
from kernels.dtypes import BUY
from kernels.exact import BASE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.instruments import Instrument

_EXACT: Final = Context(prec=80)


class Terms(NamedTuple):
    """What a lot and its commission are; [taker, maker] of one lot."""

    lot: int  # units of the base
    tick: int  # a tick is tick / grain of the quote
    grain: int
    fee_quote: tuple[int, int]  # at a price of one tick, units of the quote
    fee_base: tuple[int, int]  # where it is bought on spot, units of the base; elsewhere 0
    least: int  # amount that an order on spot must be worth; elsewhere 0, since one that closes may be less

    def to_float(self, amount: int) -> float:
        """Return the nearest float to an amount of the quote."""
        return amount / (UNIT * self.grain)

    def to_text(self, amount: int) -> str:
        """Return an amount of the quote as exact plain text."""
        places = PLACES + len(str(self.grain)) - 1  # the grain is a power of ten
        text = f"{_EXACT.scaleb(Decimal(amount), -places):f}"
        return text.rstrip("0").rstrip(".") if "." in text else text

    def price(self, value: int, quantity: int) -> float:
        """Return the mean price of a quantity of such a value."""
        return value / (quantity * self.grain)


class Fill(NamedTuple):
    """One trade of ours; `key` is its order's."""

    at_ns: int
    key: int
    side: int
    ticks: int
    lots: int
    maker: int


class Trip(NamedTuple):
    """What one order opened and another closed."""

    side: int  # of the entry
    entry_ns: int  # the first fill of it
    exit_ns: int  # the last fill of it
    quantity: int  # units of the base
    entry_value: int  # of the quantity at the prices of its entry, and of its exit
    exit_value: int
    fees: int  # of both

    @property
    def pnl(self) -> int:
        """Return what it gained after fees."""
        return self.side * (self.exit_value - self.entry_value) - self.fees

    def with_(self, other: Trip) -> Trip:
        """Return both in one, of one side, with the times of the larger."""
        larger = self if self.quantity >= other.quantity else other
        sums = (one + two for one, two in zip(self[3:], other[3:], strict=True))
        return Trip(self.side, larger.entry_ns, larger.exit_ns, *sums)


class _Open:
    """What is left of an entry."""

    __slots__ = ("at_ns", "fee", "key", "left", "value")

    def __init__(self, at_ns: int, key: int, left: int, value: int, fee: int) -> None:
        self.at_ns, self.key, self.left, self.value, self.fee = at_ns, key, left, value, fee

    def part(self, quantity: int) -> tuple[int, int]:
        """Take a quantity out; return its share of value and fee."""
        value, fee = self.value * quantity // self.left, self.fee * quantity // self.left
        self.left -= quantity
        self.value -= value
        self.fee -= fee
        return value, fee


class Trips:
    """Follows fills in the order in which the venue matched them."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._open: deque[_Open] = deque()
        self._side = BUY  # of what is open
        self._met: dict[tuple[int, int], Trip] = {}  # by the orders of entry and exit
        self._at_ns = 0
        self._exposed = False
        self._exposed_ns = 0
        self.held = 0  # units of the base, negative when short

    def take(self, fill: Fill) -> None:
        """Close what it closes, the oldest first, and open the rest."""
        self._wait(fill.at_ns)
        terms = self._terms
        left = fill.lots * terms.lot
        if fill.side == BUY:
            left -= fill.lots * terms.fee_base[fill.maker]
        value = left * fill.ticks * terms.tick
        fee = fill.lots * fill.ticks * terms.fee_quote[fill.maker] * terms.grain
        self.held += fill.side * left
        new = _Open(fill.at_ns, fill.key, left, value, fee)
        while new.left and self._open and self._side != fill.side:
            old = self._open[0]
            self._meet(old, new, min(old.left, new.left))
            if not old.left:
                self._open.popleft()
        if new.left:
            self._side = fill.side
            self._open.append(new)
        self._exposed = self._is_worth_an_order(self.held, self.held * fill.ticks * terms.tick)

    def _is_worth_an_order(self, quantity: int, value: int) -> bool:
        return abs(quantity) >= self._terms.lot and abs(value) >= self._terms.least

    def _meet(self, old: _Open, new: _Open, quantity: int) -> None:
        entry, entry_fee = old.part(quantity)
        exit_, exit_fee = new.part(quantity)
        fees = entry_fee + exit_fee
        key = old.key, new.key
        met = self._met.get(key)
        if met is not None:  # more of it
            entry, exit_, fees = met.entry_value + entry, met.exit_value + exit_, met.fees + fees
            quantity += met.quantity
        begin_ns = old.at_ns if met is None else met.entry_ns
        self._met[key] = Trip(self._side, begin_ns, new.at_ns, quantity, entry, exit_, fees)

    def _wait(self, now_ns: int) -> None:
        if self._exposed:
            self._exposed_ns += max(0, now_ns - self._at_ns)
        self._at_ns = max(self._at_ns, now_ns)

    def exposed_ns(self, until_ns: int) -> int:
        """Return for how long something worth an order was held until then, not before the last fill."""
        self._wait(until_ns)
        return self._exposed_ns

    def closed(self) -> tuple[list[Trip], int]:
        """Return the trips in the order in which their exits began, and what pieces in none gained."""
        trips: list[Trip] = []
        pieces: dict[int, Trip] = {}  # by side
        for trip in self._met.values():
            gathered = pieces.pop(trip.side, None)
            whole = trip if gathered is None else trip.with_(gathered)
            if self._is_worth_an_order(whole.quantity, whole.entry_value):
                trips.append(whole)
            else:
                pieces[trip.side] = whole
        return trips, sum(one.pnl for one in pieces.values())

    def open_pnl(self, half_ticks: int) -> int:
        """Return twice what the open entries gained at a price of so many half ticks, after their fees."""
        tick = self._terms.tick
        return sum(
            self._side * (one.left * half_ticks * tick - 2 * one.value) - 2 * one.fee for one in self._open
        )


def terms_of(instrument: Instrument, ledger: Any) -> Terms:
    """Return what an instrument's lots are, and their commissions as a backtest's LEDGER has them."""
    step = int(ledger["step"])
    on_quote = [int(high) * BASE + int(low) for high, low in ledger["fee_quote"]]
    on_base = [int(steps) * step if ledger["spot"] else 0 for steps in ledger["fee_steps"]]
    return Terms(
        lot=int(ledger["lot_steps"]) * step,
        tick=instrument.price.num,
        grain=10**instrument.price.places,
        fee_quote=(on_quote[0], on_quote[1]),
        fee_base=(on_base[0], on_base[1]),
        least=to_units(instrument.notional_min) * 10**instrument.price.places if ledger["spot"] else 0,
    )


def fills_of(rows: Any) -> Iterator[Fill]:
    """Yield the trades of FILL_ROW[n]."""
    names = ("exch_ns", "key", "side", "ticks", "lots", "maker")
    return map(Fill._make, zip(*(rows[name].tolist() for name in names), strict=True))

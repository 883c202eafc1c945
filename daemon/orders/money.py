"""Exact money: every amount of every asset is an integer count of 10**-18 of it.

Prices times quantities come out whole in this unit, additions are exact, and Python's integers have no
end, so that what the daemon believes to own can be compared with the venue's figures digit by digit.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from daemon.errors import ConfigError

if TYPE_CHECKING:
    from daemon.instruments import Instrument

PLACES: Final = 18
UNIT: Final = 10**PLACES

#: wide enough for any balance: Decimal's own default of 28 digits would round a billion
_EXACT: Final = Context(prec=80)


def to_units(amount: Decimal) -> int:
    """Return an amount in units; what is finer than a unit is rounded to the nearest even one."""
    return int(_EXACT.to_integral_value(_EXACT.scaleb(amount, PLACES)))


def to_decimal(units: int) -> Decimal:
    """Return the exact amount."""
    return _EXACT.scaleb(Decimal(units), -PLACES)


def to_text(units: int) -> str:
    """Return the amount as plain text without an exponent or trailing zeros."""
    text = f"{to_decimal(units):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class Apart(NamedTuple):
    """Something of which the venue has so much more (or less) than our trades make it.

    Both move with each trade, and a look may fall between a trade and its report; what is apart for good
    stays the same, within what the venue rounds.
    """

    of: str
    units: int
    text: str
    slack: int = 0

    def same(self, other: Apart) -> bool:
        """Whether another look found the same."""
        return self.of == other.of and abs(self.units - other.units) <= self.slack


class Multipliers:
    """What one lot, and one lot at one tick, are worth in units of the base and of the quote."""

    __slots__ = ("lot", "tick_lot")

    def __init__(self, instrument: Instrument) -> None:
        if instrument.market == "coinm":
            raise ConfigError(
                f"{instrument.symbol} is an inverse contract, whose profits are not linear in the price: "
                "trade spot or usdm, or record and replay it without orders"
            )
        lot = _EXACT.scaleb(instrument.lot_size, PLACES)
        tick_lot = _EXACT.multiply(lot, instrument.tick_size)
        if lot != int(lot) or tick_lot != int(tick_lot):
            raise ConfigError(f"{instrument.symbol}: its tick and lot size need more than {PLACES} decimals")
        self.lot: int = int(lot)
        self.tick_lot: int = int(tick_lot)


class Holding:
    """A position with its cost: all in units, so that nothing is ever lost to rounding.

    `cost` is what the open part was bought for (negative when short). Always: cost == sum of signed notionals
    traded + realised.
    """

    __slots__ = ("cost", "cost_float", "fees", "qty", "qty_float", "realised")

    def __init__(self, qty: int = 0, cost: int = 0, realised: int = 0, fees: int = 0) -> None:
        self.qty = qty
        self.cost = cost
        self.realised = realised
        self.fees = fees  # converted to the quote currency when they were paid
        self.qty_float = qty / UNIT  # kept by the portfolio for marks, which need not be exact
        self.cost_float = cost / UNIT

    def trade(self, qty: int, notional: int) -> int:
        """Add a signed quantity for a signed notional of the same sign; return what it realised."""
        held = self.qty
        if held == 0 or (held > 0) == (qty > 0):
            self.qty = held + qty
            self.cost += notional
            return 0
        if abs(qty) <= abs(held):
            removed = self.cost * abs(qty) // abs(held)
            realised = -notional - removed
            self.cost -= removed
        else:  # through zero: part closes, the rest opens
            closing = notional * abs(held) // abs(qty)
            realised = -closing - self.cost
            self.cost = notional - closing
        self.qty = held + qty
        self.realised += realised
        return realised

    @property
    def average(self) -> float:
        """Return the average entry price, 0.0 when flat."""
        return self.cost / self.qty if self.qty else 0.0

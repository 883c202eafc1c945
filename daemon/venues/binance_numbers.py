"""Binance's numbers: decimal text as ticks and lots by integer arithmetic, times, and amounts of money.

What is no number, off the grid, or larger than the journal's integers hold raises FrameError.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from daemon.errors import FrameError

if TYPE_CHECKING:
    from daemon.instruments import Scale

_DIGITS_MAX: Final = 38
_COUNT_MAX: Final = 1 << 62
#: digits before the point of an amount
_AMOUNT_DIGITS_MAX: Final = 20
_KNOWN_MAX: Final = 1024  # texts remembered by each reader
_NONE: Final = Decimal(0)
#: what the exchange calls no commission
_NOTHING: Final = frozenset({None, "0", "0.00000000"})
#: times are in ms, or in us where the connection asked for them: ms are so many in the year 2255
_MICROSECONDS_FROM: Final = 9 * 10**12


class Steps:
    """Reads decimal text as a count of ticks or lots; the texts of an order come with each report again."""

    __slots__ = ("_factors", "_known", "_scale")

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._factors: dict[int, tuple[int, int]] = {}  # decimals in the text -> multiplier, divisor
        self._known: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        """Return the count; raises FrameError for what is no number or off the grid."""
        count = self._known.get(text)
        if count is not None:
            return count
        count = self._count(text)
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known[text] = count
        return count

    def _count(self, text: str) -> int:
        whole, _, part = text.partition(".")
        digits = whole + part
        if not digits.isdecimal() or len(digits) > _DIGITS_MAX:
            raise FrameError("number", f"{text[:50]!r} is no decimal number")
        factors = self._factors.get(len(part))
        if factors is None:
            places = self._scale.places
            factors = 10 ** max(places - len(part), 0), self._scale.num * 10 ** max(len(part) - places, 0)
            self._factors[len(part)] = factors
        count, rest = divmod(int(digits) * factors[0], factors[1])
        if rest:
            raise FrameError("grid", f"{text} is no multiple of {self._scale.step}")
        if count >= _COUNT_MAX:
            raise FrameError("number", f"{text} is more than an exchange trades")
        return count


def to_ns(time: int) -> int:
    """Return an exchange's time, in ms or us, in ns."""
    return time * 1_000 if time >= _MICROSECONDS_FROM else time * 1_000_000


def amount_of(text: str | None) -> Decimal:
    """Return a commission; it may be negative (a rebate), and never NaN."""
    if text in _NOTHING:
        return _NONE
    try:
        amount = Decimal(text or "0")
    except InvalidOperation:
        raise FrameError("number", f"{(text or '')[:50]!r} is no amount") from None
    check_amounts(amount)
    return amount


def check_amounts(*amounts: Decimal) -> None:
    """Raise FrameError for NaN, infinity, and what has more digits than money has."""
    for amount in amounts:
        if not amount.is_finite() or amount.adjusted() >= _AMOUNT_DIGITS_MAX:
            raise FrameError("number", f"{str(amount)[:50]!r} is no amount")

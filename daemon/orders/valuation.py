"""What the account is worth in one reporting currency, and what the day and the worst fall have cost.

Every balance is valued at the mids of the instruments, over at most one other asset; open derivatives add
what they would realise. The value is NaN until each mid it needs was seen, which also holds for the price of
money that came or went by hand; assets no instrument prices are left out and listed in `unpriced`. A mark
and a trade move a known value by additions; everything else is summed anew, and only that makes it known.
"""

from __future__ import annotations

from math import isfinite, nan
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from daemon.orders.money import UNIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.instruments import Instrument

DAY_NS: Final = 86_400_000_000_000
#: so many of the latest days' begins are kept
_DAYS_KEPT: Final = 4

#: instruments whose mids lead from one asset to another, each with whether it is divided by
Route: TypeAlias = tuple[tuple[int, bool], ...]


class Baseline(msgspec.Struct, frozen=True, array_like=True):
    """From where the day's result and the drawdown are measured; survives a restart in the journal."""

    day: int = -1  # days since 1970, after the offset
    day_start: float = nan
    peak: float = nan
    moved: dict[str, str] = {}  # units that came or went by hand, which no mid has priced yet
    begun: dict[int, float] = {}  # the latest days, this one too: a clock may be set back into one
    currency: str = ""  # that it is measured in; empty: an older version's, taken for the present one
    unpriced: tuple[str, ...] = ()  # what the account had and no instrument priced


class Valuation:
    """The account's value and its baselines."""

    def __init__(self, instruments: Sequence[Instrument], reporting: str, day_offset_ns: int = 0) -> None:
        self.reporting = reporting
        self.value = nan
        self.peak = nan
        self.day_start = nan
        self.day = -1
        self._begun: dict[int, float] = {}  # day -> the value it began with, of the latest
        self.moved: dict[str, int] = {}  # units by asset, not yet in the baselines
        self._measured_in = reporting  # what the baselines are in, until the mids have led from there
        self.mids: list[float] = [nan] * len(instruments)
        #: of derivatives: the net quantity, and what it cost
        self.quantity: list[float] = [0.0] * len(instruments)
        self.cost: list[float] = [0.0] * len(instruments)
        self._instruments = instruments
        self._day_offset_ns = day_offset_ns
        self._day_end_ns = -1
        self._balances: dict[str, float] = {}
        self._routes: dict[str, Route | None] = {}
        #: instruments whose mid is part of no more than its own base's price: a mark is an addition
        self._plain = [self._is_plain(instrument) for instrument in instruments]
        self._weight = [0.0] * len(instruments)  # how the value moves with each plain mid

    @property
    def known(self) -> bool:
        """Whether there is a value; while there is none, `day_pnl` and `drawdown` say nothing."""
        return isfinite(self.value)

    @property
    def day_pnl(self) -> float:
        """Return the change since the day began, 0.0 while unknown."""
        change = self.value - self.day_start
        return change if isfinite(change) else 0.0

    @property
    def drawdown(self) -> float:
        """Return the fall from the highest value, 0.0 while unknown."""
        fall = self.peak - self.value
        return fall if isfinite(fall) else 0.0

    def mark(self, index: int, mid: float) -> bool:
        """Take a mid price; return whether the value moved."""
        before = self.mids[index]
        self.mids[index] = mid
        if self._plain[index] and before == before:  # noqa: PLR0124 - not NaN
            weight = self._weight[index]
            if weight == 0.0:
                return False
            self.value += weight * (mid - before)
            self.raise_peak()
        else:
            self.settle()
        return True

    def mark_all(self, indices: Sequence[int], mids: Sequence[float]) -> bool:
        """Take the mids (of all instruments) at these indices; return whether the value moved.

        It is summed anew once at most, and not for the first mid of what the account has nothing of.
        """
        moved = anew = False
        for index in indices:
            mid = mids[index]
            before = self.mids[index]
            self.mids[index] = mid
            weight = self._weight[index]
            if not self._plain[index] or (before != before and (weight or not self.known)):  # noqa: PLR0124
                anew = True
            elif weight:
                self.value += weight * (mid - before)
                moved = True
        if anew:
            self.settle()
        elif moved:  # not between two instruments: half a look is no peak
            self.raise_peak()
        return moved or anew

    def set_balance(self, asset: str, units: int) -> None:
        """Take the balance of one asset; `settle` values it."""
        self._balances[asset] = units / UNIT

    def move_balance(self, asset: str, units: int) -> None:
        """Take the balance of one asset that a trade or a fee has moved, and move a known value by that.

        An unknown value stays so until `settle`. The peak is `raise_peak`'s: half a trade is no peak.
        """
        amount = units / UNIT
        change = amount - self._balances.get(asset, 0.0)
        self._balances[asset] = amount
        route = self._route(asset)
        if route is None or not change:
            return
        if not route:
            self.value += change
            return
        self.value += change * self._follow(route)
        index, inverse = route[0]
        if self._plain[index] and not inverse and len(route) == 1:
            self._weight[index] += change

    def raise_peak(self) -> None:
        """Take the value as the peak where it is higher."""
        if self.value > self.peak:  # noqa: PLR1730 - max() costs five times as much
            self.peak = self.value

    def settle(self) -> None:
        """Sum the value anew, after balances, `quantity` or `cost` have changed."""
        balances = self._balances
        value = 0.0
        for asset, amount in balances.items():
            if amount:
                route = self._route(asset)
                if route is not None:
                    value += amount * self._follow(route)
        for index, instrument in enumerate(self._instruments):
            quantity = self.quantity[index]
            if quantity:
                open_value = quantity * self.mids[index] - self.cost[index]
                value += open_value * self.rate(instrument.quote, self.reporting)
            if self._plain[index]:
                priced_here = self._route(instrument.base) == ((index, False),)
                balance = balances.get(instrument.base, 0.0) if priced_here else 0.0
                self._weight[index] = balance + quantity
        if isfinite(value):
            value += self._convert() + self._take_moved()
        self.value = value
        if isfinite(self.value) and not self.peak >= self.value:  # also while the peak is not known
            self.peak = self.value

    def _convert(self) -> float:
        """Bring baselines of another currency into this one; return 0.0, or NaN while there is no rate.

        Where none leads here they begin anew.
        """
        if self._measured_in == self.reporting:
            return 0.0
        if self._find_route(self._measured_in, self.reporting) is None:
            self.day_start = self.peak = nan
            self.day, self._begun = -1, {}
        else:
            rate = self.rate(self._measured_in, self.reporting)
            if not isfinite(rate):
                return nan
            self.day_start *= rate
            self.peak *= rate
            self._begun = {day: start * rate for day, start in self._begun.items()}
        self._measured_in = self.reporting
        return 0.0

    def _take_moved(self) -> float:
        """Move the baselines by what came or went; return 0.0, or NaN while that has no price."""
        if not self.moved or self._measured_in != self.reporting:
            return 0.0
        change = 0.0
        for asset, units in self.moved.items():
            route = self._route(asset)
            if route is not None:  # else it is no part of the value
                change += units / UNIT * self._follow(route)
        if not isfinite(change):
            return nan
        self.moved.clear()
        self.day_start += change
        self.peak += change
        self._begun = {day: start + change for day, start in self._begun.items()}
        return 0.0

    @property
    def unmarked(self) -> list[str]:
        """Return the symbols of which no mid was seen."""
        return [
            instrument.symbol
            for instrument, mid in zip(self._instruments, self.mids, strict=True)
            if instrument.listed and not isfinite(mid)
        ]

    @property
    def unpriced(self) -> list[str]:
        """Return the assets of which there is something and which no instrument prices."""
        return sorted(
            asset for asset, amount in self._balances.items() if amount and self._route(asset) is None
        )

    def roll(self, now_ns: int) -> bool:
        """Begin a new day when it is time; return whether one began. The very first waits for a value.

        A clock that was set may lead back to a day that had begun, and on into one that it had begun too
        early: the first goes on from its own begin, the second from the higher of its two, so that a clock
        that is wrong for a moment forgives no loss.
        """
        if now_ns < self._day_end_ns or not isfinite(self.value):
            return False
        day = (now_ns - self._day_offset_ns) // DAY_NS
        self._day_end_ns = (day + 1) * DAY_NS + self._day_offset_ns
        if day == self.day and isfinite(self.day_start):
            return False  # restarted within the day
        if day < self.day and isfinite(self.day_start):
            self.day_start = self._begun.get(day, self.day_start)
        else:
            self.day_start = max(self.value, self._begun.get(day, self.value))
        self.day = day
        self._begun[day] = self.day_start
        while len(self._begun) > _DAYS_KEPT:
            del self._begun[next(iter(self._begun))]
        return True

    def clock_stepped(self, _: int) -> None:
        """Let the next `roll` look which day it is: the clock was set anew."""
        self._day_end_ns = -1

    def shift(self, units: Mapping[str, int]) -> None:
        """Note money that came or went by hand: it is no profit.

        The next `settle` that knows its price moves the baselines; until one does, the value is unknown.
        """
        for asset, amount in units.items():
            self.moved[asset] = self.moved.get(asset, 0) + amount

    def rebase(self) -> None:
        """Measure from the present value, or from the first one known: a person asked for it."""
        self.moved.clear()
        self._begun.clear()
        self._measured_in = self.reporting
        self.settle()
        self.day_start = self.peak = self.value
        if self.known:
            self._begun[self.day] = self.value
        if not self.known:
            self._day_end_ns = -1  # `roll` then begins the day with the value

    def save(self) -> Baseline:
        """Return what a restart needs."""
        moved = {asset: str(units) for asset, units in self.moved.items()}
        return Baseline(
            self.day,
            self.day_start,
            self.peak,
            moved,
            dict(self._begun),
            self._measured_in,
            tuple(self.unpriced),
        )

    def load(self, baseline: Baseline) -> None:
        """Go on from an earlier run's baselines; what could not be priced then, and can now, is no profit."""
        self.day, self.day_start, self.peak = baseline.day, baseline.day_start, baseline.peak
        self.moved = {asset: int(units) for asset, units in baseline.moved.items()}
        self._begun = dict(baseline.begun)
        self._measured_in = baseline.currency or self.reporting
        for asset in baseline.unpriced:
            if self._route(asset) is not None:
                self.shift({asset: int(self._balances.get(asset, 0.0) * UNIT)})
        if isfinite(self.day_start):
            self._begun[self.day] = self.day_start  # an older version kept no other
        self.settle()

    # --- prices -------------------------------------------------------------------------------------------
    def rate(self, asset: str, into: str) -> float:
        """Return an asset's price in another by the mids, over at most one third; NaN if unknown."""
        route = self._route(asset) if into == self.reporting else self._find_route(asset, into)
        return nan if route is None else self._follow(route)

    def _follow(self, route: Route) -> float:
        rate = 1.0
        for index, inverse in route:
            rate = rate / self.mids[index] if inverse else rate * self.mids[index]
        return rate

    def _route(self, asset: str) -> Route | None:
        """Return the way from an asset to the reporting currency, found once."""
        if asset not in self._routes:
            self._routes[asset] = self._find_route(asset, self.reporting)
        return self._routes[asset]

    def _find_route(self, asset: str, into: str) -> Route | None:
        if asset == into:
            return ()
        for index, instrument in enumerate(self._instruments):
            if instrument.listed and {asset, into} == {instrument.base, instrument.quote}:
                return ((index, instrument.base == into),)
        for first, one in enumerate(self._instruments):
            if one.listed and asset in {one.base, one.quote}:
                middle = one.quote if one.base == asset else one.base
                for second, other in enumerate(self._instruments):
                    if other.listed and {middle, into} == {other.base, other.quote}:
                        return ((first, one.quote == asset), (second, other.base == into))
        return None

    def _is_plain(self, instrument: Instrument) -> bool:
        if instrument.quote != self.reporting:
            return False
        return sum(instrument.base in {other.base, other.quote} for other in self._instruments) == 1

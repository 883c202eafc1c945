"""What the account is worth in one reporting currency, and what the day and the worst fall have cost.

Every balance is valued at the mids of the instruments, over at most one other asset; open derivatives add
what they would realise. The value is NaN until each mid it needs was seen; assets no instrument prices are
left out and listed in `unpriced`. A mark that moves one balance is an addition; everything else is summed
anew.
"""

from __future__ import annotations

from math import isfinite, nan
from typing import TYPE_CHECKING, Final

import msgspec

from daemon.orders.money import UNIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.instruments import Instrument

DAY_NS: Final = 86_400_000_000_000

#: what a mid means for the value
_NOTHING: Final = 0  # its base asset is priced by another instrument
_SUM: Final = 1  # it moves what is held by its weight: a mark is an addition
_ALL: Final = 2  # other prices are made of it: sum anew


class Baseline(msgspec.Struct, frozen=True, array_like=True):
    """From where the day's result and the drawdown are measured; survives a restart in the journal."""

    day: int = -1  # days since 1970, after the offset
    day_start: float = nan
    peak: float = nan


class Valuation:
    """The account's value and its baselines."""

    def __init__(self, instruments: Sequence[Instrument], reporting: str, day_offset_ns: int = 0) -> None:
        self.reporting = reporting
        self.value = nan
        self.peak = nan
        self.day_start = nan
        self.day = -1
        self.unpriced: list[str] = []
        self.mids: list[float] = [nan] * len(instruments)
        #: of derivatives: the net quantity, and what it cost
        self.quantity: list[float] = [0.0] * len(instruments)
        self.cost: list[float] = [0.0] * len(instruments)
        self._weight: list[float] = [0.0] * len(instruments)  # how the value moves with each mid
        self._instruments = instruments
        self._day_offset_ns = day_offset_ns
        self._day_end_ns = -1
        self._priced_by = self._find_prices()
        self._role = [self._role_of(index) for index in range(len(instruments))]
        self._totals: dict[str, float] = {}

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
        role = self._role[index]
        if role == _NOTHING:
            return False
        if role == _SUM and isfinite(self.value) and isfinite(before):
            weight = self._weight[index]
            if weight == 0.0:
                return False
            self.value += weight * (mid - before)
        else:
            self.value = self._sum()
        if not self.peak >= self.value:  # also when the peak is not known yet
            self.peak = self.value
        return True

    def balances(self, total: Mapping[str, int]) -> None:
        """Take the balances (in units) anew; derivatives' `quantity` and `cost` stand already."""
        self._totals = {asset: units / UNIT for asset, units in total.items() if units}
        self.unpriced = sorted(asset for asset in self._totals if not self._priceable(asset))
        for index, instrument in enumerate(self._instruments):
            priced_here = self._priced_by.get(instrument.base) == index
            balance = self._totals.get(instrument.base, 0.0) if priced_here else 0.0
            self._weight[index] = balance + self.quantity[index]
        self.value = self._sum()
        if not self.peak >= self.value:  # also when either is NaN
            self.peak = self.value

    def roll(self, now_ns: int) -> bool:
        """Begin a new day when it is time; return whether one began. The very first waits for a value."""
        if now_ns < self._day_end_ns or not isfinite(self.value):
            return False
        day = (now_ns - self._day_offset_ns) // DAY_NS
        self._day_end_ns = (day + 1) * DAY_NS + self._day_offset_ns
        if day == self.day and isfinite(self.day_start):
            return False  # restarted within the day
        self.day = day
        self.day_start = self.value
        return True

    def shift(self, change: float) -> None:
        """Move the baselines with money that came or went by hand: a deposit is no profit."""
        if isfinite(change):
            self.day_start += change
            self.peak += change

    def rebase(self) -> None:
        """Measure from the present value: after a person resumed."""
        self.day_start = self.peak = self.value

    def save(self) -> Baseline:
        """Return what a restart needs."""
        return Baseline(self.day, self.day_start, self.peak)

    def load(self, baseline: Baseline) -> None:
        """Go on from an earlier run's baselines."""
        self.day, self.day_start, self.peak = baseline.day, baseline.day_start, baseline.peak

    # --- prices -------------------------------------------------------------------------------------------
    def rate(self, asset: str, into: str) -> float:
        """Return an asset's price in another by the mids, over at most one third; NaN if unknown."""
        if asset == into:
            return 1.0
        direct = self._mid_of(asset, into)
        if isfinite(direct):
            return direct
        for instrument in self._instruments:
            middle = instrument.quote if instrument.base == asset else instrument.base
            if asset in {instrument.base, instrument.quote}:
                rate = self._mid_of(asset, middle) * self._mid_of(middle, into)
                if isfinite(rate):
                    return rate
        return nan

    def _mid_of(self, asset: str, into: str) -> float:
        for instrument, mid in zip(self._instruments, self.mids, strict=True):
            if isfinite(mid):
                if instrument.base == asset and instrument.quote == into:
                    return mid
                if instrument.base == into and instrument.quote == asset:
                    return 1.0 / mid
        return nan

    def _sum(self) -> float:
        value = 0.0
        for asset, amount in self._totals.items():
            if asset not in self.unpriced:
                value += amount * self.rate(asset, self.reporting)
        for index, instrument in enumerate(self._instruments):
            if self.quantity[index]:
                open_value = self.quantity[index] * self.mids[index] - self.cost[index]
                value += open_value * self.rate(instrument.quote, self.reporting)
        return value

    def _priceable(self, asset: str) -> bool:
        """Whether the instruments' pairs lead from the asset to the reporting currency."""
        near = {self.reporting}
        for instrument in self._instruments:
            if self.reporting in {instrument.base, instrument.quote}:
                near |= {instrument.base, instrument.quote}
        return asset in near or any(
            asset in {i.base, i.quote} and near & {i.base, i.quote} for i in self._instruments
        )

    def _find_prices(self) -> dict[str, int]:
        """Return which instrument prices each base asset: the first one quoted in the reporting currency."""
        found: dict[str, int] = {}
        for index, instrument in enumerate(self._instruments):
            if instrument.quote == self.reporting:
                found.setdefault(instrument.base, index)
        return found

    def _role_of(self, index: int) -> int:
        instrument = self._instruments[index]
        if instrument.quote != self.reporting:
            return _ALL
        others = sum(instrument.base in {i.base, i.quote} for i in self._instruments)
        if others > 1 and self._priced_by[instrument.base] == index:
            return _ALL  # through the base it may price further assets
        if instrument.spot and self._priced_by[instrument.base] != index:
            return _NOTHING
        return _SUM

"""What positions cost or brought by themselves, of a journal, by the instruments it was of."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from daemon.orders.money import to_text, to_units

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.events import Funding
    from daemon.orders.records import FundingNamed


class FundingSums:
    """Adds it up. What the stream tells first has no instrument; the venue's list names that later."""

    def __init__(self, since_ns: int, symbol_of: Callable[[int], str]) -> None:
        self._since_ns = since_ns
        self._symbol_of = symbol_of
        self._units: Counter[tuple[str, str]] = Counter()  # (instrument, asset)
        self._named: set[int] = set()  # after a kill the next run may name them again

    def __bool__(self) -> bool:
        return bool(self._units)

    def add(self, funding: Funding) -> None:
        """Take one that was accounted for."""
        self._units[self._symbol(funding), funding.asset] += to_units(funding.amount)

    def name(self, named: FundingNamed) -> None:
        """Move to their instruments what is in the sums without one."""
        for part in named.parts:
            if part.id not in self._named and part.exch_ns >= self._since_ns:
                self._named.add(part.id)
                self._units["", part.asset] -= to_units(part.amount)
                self.add(part)

    def told(self) -> dict[str, dict[str, str]]:
        """Return the sums by instrument and asset, "" being what no instrument is known of yet."""
        found: dict[str, dict[str, str]] = {}
        for (symbol, asset), units in sorted(self._units.items()):
            if units:
                found.setdefault(symbol, {})[asset] = to_text(units)
        return found

    def _symbol(self, funding: Funding) -> str:
        return self._symbol_of(funding.instrument) if funding.instrument >= 0 else ""

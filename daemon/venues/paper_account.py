"""The paper venue's books: balances, what open orders hold back, commissions. Exact, in Decimal.

Spot moves assets: a buy holds back its quote currency at its limit, a sell its base, and the commission is
taken from what is received. A linear derivative settles into its quote currency: realised profit and
commissions; margin is not modelled, the risk limits bound positions. Inverse contracts are refused.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from daemon.errors import ConfigError
from daemon.events import Balance
from kernels.dtypes import STOP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.instruments import Instrument

FILTER_FAILURE: Final = -1013
NEW_REJECTED: Final = -2010
REDUCE_ONLY_REJECTED: Final = -2022

_ZERO: Final = Decimal(0)


class Entry(msgspec.Struct, kw_only=True, gc=False):
    """One order as the venue holds it."""

    key: int
    client_order_id: str
    venue_order_id: str
    instrument: int
    side: int
    kind: int
    price_ticks: int
    qty_lots: int
    cum_lots: int = 0
    status: str = ""  # the venue's word; empty while on its way
    held: Decimal = _ZERO  # what is held back for it, in `asset`
    asset: str = ""

    @property
    def leaves_lots(self) -> int:
        """What is still to be traded."""
        return self.qty_lots - self.cum_lots


class Settlement(msgspec.Struct, frozen=True):
    """What a fill cost."""

    commission: Decimal
    asset: str


class PaperAccount:
    """Balances and derivative positions. What leaves one balance arrives in another, or is a fee."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        balances: Mapping[str, Decimal],
        fee_maker: Decimal,
        fee_taker: Decimal,
    ) -> None:
        for instrument in instruments:
            if instrument.market == "coinm":
                raise ConfigError(
                    f"the paper venue does not trade inverse contracts like {instrument.symbol}; "
                    "use a spot or USD-M market"
                )
        self._instruments = instruments
        self._fees = (fee_taker, fee_maker)
        self._free = dict(balances)
        self._held: dict[str, Decimal] = {}
        #: signed lots of each instrument, and what they cost (derivatives only)
        self.positions = [0] * len(instruments)
        self._costs = [_ZERO] * len(instruments)

    def restore(
        self, free: Mapping[str, Decimal], positions: Sequence[int], costs: Sequence[Decimal]
    ) -> None:
        """Go on where an earlier run ended: balances, and of derivatives signed lots and what they cost."""
        self._free = dict(free)
        self._held = {}
        self.positions = list(positions)
        self._costs = list(costs)

    def refusal(self, entry: Entry) -> tuple[int, str]:
        """Hold back what a new order needs; return why the venue does not take it instead, or code 0."""
        instrument = self._instruments[entry.instrument]
        qty = instrument.qty.decimal(entry.qty_lots)
        if not instrument.qty_min <= qty <= instrument.qty_max:
            return FILTER_FAILURE, "Filter failure: LOT_SIZE"
        reduces = not instrument.spot and entry.qty_lots <= self.reducible_lots(entry)
        if not reduces and instrument.price.decimal(entry.price_ticks) * qty < instrument.notional_min:
            return FILTER_FAILURE, "Filter failure: NOTIONAL"
        if entry.kind == STOP and not instrument.spot and entry.qty_lots > self.reducible_lots(entry):
            return REDUCE_ONLY_REJECTED, "ReduceOnly Order is rejected."
        if not self._hold(instrument, entry):
            return NEW_REJECTED, "Account has insufficient balance for requested action."
        return 0, ""

    def reducible_lots(self, entry: Entry) -> int:
        """Return the lots by which an order of its side can bring a derivative's position nearer to zero."""
        return max(0, -entry.side * self.positions[entry.instrument])

    def release(self, entry: Entry, leaves_lots: int) -> None:
        """Give back what an order with only so much left does not need any more."""
        if not entry.asset:
            return
        _, needed = self._need(self._instruments[entry.instrument], entry, leaves_lots)
        back = entry.held - needed
        entry.held = needed
        self._held[entry.asset] -= back
        self._free[entry.asset] += back

    def settle(self, entry: Entry, ticks: int, lots: int, is_maker: bool) -> Settlement:
        """Account for a fill; `entry.cum_lots` already counts it."""
        instrument = self._instruments[entry.instrument]
        qty = instrument.qty.decimal(lots)
        notional = instrument.price.decimal(ticks) * qty
        fee = self._fees[is_maker]
        if not instrument.spot:
            return self._settle_derivative(instrument, entry, ticks, lots, notional * fee)
        self.release(entry, entry.leaves_lots)
        bought = entry.side > 0
        received, amount = (instrument.base, qty) if bought else (instrument.quote, notional)
        paid, price = (instrument.quote, notional) if bought else (instrument.base, qty)
        commission = amount * fee
        self._move(paid, -price)
        self._move(received, amount - commission)
        return Settlement(commission, received)

    def balances(self) -> dict[str, Balance]:
        """Return what there is of each asset."""
        assets = sorted(set(self._free) | set(self._held))
        return {
            asset: Balance(self._free.get(asset, _ZERO), self._held.get(asset, _ZERO)) for asset in assets
        }

    def _hold(self, instrument: Instrument, entry: Entry) -> bool:
        """Hold back what an order may need; False, and nothing is held, when there is too little."""
        if not instrument.spot:
            return True
        asset, needed = self._need(instrument, entry, entry.leaves_lots)
        free = self._free.get(asset, _ZERO)
        if needed > free:
            return False
        self._free[asset] = free - needed
        self._held[asset] = self._held.get(asset, _ZERO) + needed
        entry.asset, entry.held = asset, needed
        return True

    def _settle_derivative(
        self, instrument: Instrument, entry: Entry, ticks: int, lots: int, commission: Decimal
    ) -> Settlement:
        """Move the position; what it closes realises its profit into the quote currency."""
        index = entry.instrument
        held, cost = self.positions[index], self._costs[index]
        value = instrument.price.decimal(ticks) * instrument.qty.step  # of one lot
        closed = min(lots, abs(held)) if held * entry.side < 0 else 0
        share = cost * closed / abs(held) if closed else _ZERO
        self.positions[index] = held + entry.side * lots
        self._costs[index] = cost - share + entry.side * (lots - closed) * value
        self._move(instrument.quote, -entry.side * closed * value - share - commission)
        return Settlement(commission, instrument.quote)

    def _move(self, asset: str, amount: Decimal) -> None:
        self._free[asset] = self._free.get(asset, _ZERO) + amount

    @staticmethod
    def _need(instrument: Instrument, entry: Entry, lots: int) -> tuple[str, Decimal]:
        """Return the asset and the worst case of what trading so many lots takes from it."""
        qty = instrument.qty.decimal(lots)
        if entry.side < 0:
            return instrument.base, qty
        return instrument.quote, instrument.price.decimal(entry.price_ticks) * qty

"""What the account has of one asset, exactly; and where that asset is margin, how much of it is used.

Margin is counted in floats, since it limits orders and is no part of the books. An instrument's exposure is
the worst case at its mid: the larger position of the two that its bids or its asks would leave. The account's
is their sum; a long position in one makes up for no short one in another. Its distance from liquidation is
how far all prices may move against it together, as a fraction, until what secures its positions is no more
than the maintenance margin. At the venue's rate that is never more than the venue's own figure.
"""

from __future__ import annotations

from math import inf, isfinite, nan
from struct import Struct
from typing import TYPE_CHECKING, Final

from daemon.orders.money import UNIT
from kernels.dtypes import A_EXPOSURE, A_FREE_QUOTE, A_MAINTENANCE_RATE, A_MARGIN_BALANCE, BUY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daemon.events import MarginTerms
    from daemon.instruments import Instrument
    from daemon.orders.order import Order
    from daemon.orders.valuation import Valuation

#: until a venue tells its own; six times what Binance takes for small positions in its largest instruments
MAINTENANCE_RATE: Final = 0.025
_MARGIN: Final = Struct("4d")
assert [A_FREE_QUOTE + n for n in (1, 2, 3)] == [A_MARGIN_BALANCE, A_EXPOSURE, A_MAINTENANCE_RATE]


class Purse:
    """What the account has of one asset, in units, and where the desks read what is free of it."""

    __slots__ = ("asset", "fees", "reserved", "shown_at", "total")

    def __init__(self, asset: str) -> None:
        self.asset = asset
        self.total = 0  # the venue's free and locked
        self.reserved = 0  # the worst case of open orders
        self.fees = 0  # paid in this asset so far
        self.shown_at: list[tuple[memoryview[float], int]] = []

    @property
    def free(self) -> int:
        """Return what may still be spent."""
        return self.total - self.reserved

    def show(self) -> None:
        """Write what is free into every desk that trades the asset."""
        free = (self.total - self.reserved) / UNIT
        for view, at in self.shown_at:
            view[at] = free


class MarginPurse(Purse):
    """The wallet of an asset that derivatives settle in. Nothing is reserved of it exactly."""

    __slots__ = (
        "_at_risk", "_bids_asks", "_lots", "_told", "_worth", "exposure", "isolated", "leverage", "rate",
        "unrealised",
    )  # fmt: skip

    def __init__(
        self,
        asset: str,
        instruments: Sequence[Instrument],
        worth: Valuation,
        leverage: int,
        *,
        isolated: bool,
    ) -> None:
        """`instruments`: all that there are; `worth` knows their positions and mids."""
        super().__init__(asset)
        self.leverage = leverage
        self.isolated = isolated
        self.rate = MAINTENANCE_RATE
        self.exposure = 0.0
        self.unrealised = 0.0
        self._worth = worth
        self._lots = [instrument.qty.as_float for instrument in instruments]
        self._bids_asks = [(0, 0)] * len(instruments)  # lots of open orders that may add to the position
        #: where there is anything: the exposure, and what closing the position would realise
        self._at_risk: dict[int, tuple[float, float]] = {}
        self._told: dict[int, tuple[float, float]] = {}  # the venue's liquidation price of which quantity

    @property
    def balance(self) -> float:
        """Return the wallet, in cross margin with what open positions would realise."""
        return self.total / UNIT + (0.0 if self.isolated else self.unrealised)

    def show(self) -> None:
        """Write what is free and what the limits need into the accounts that it is the quote currency of."""
        balance = self.balance
        free = balance - self.exposure / self.leverage
        shown = _MARGIN.pack(free, balance, self.exposure, self.rate)
        for view, at in self.shown_at:
            view.cast("B")[8 * at : 8 * at + _MARGIN.size] = shown

    # --- what moves it ------------------------------------------------------------------------------------
    def reserve(self, order: Order, leaves_lots: int) -> None:
        """Count what an order may still add to a position; one that only reduces adds nothing."""
        more = (0 if order.reduces else leaves_lots) - order.reserved
        if more:
            order.reserved += more
            bids, asks = self._bids_asks[order.instrument]
            is_bid = order.side == BUY
            self._bids_asks[order.instrument] = (bids + more, asks) if is_bid else (bids, asks + more)
            self.move(order.instrument)

    def move(self, index: int) -> None:
        """Take an instrument's position, mid and orders as they are now, and show what that makes."""
        worth = self._worth
        held, mid = worth.quantity[index], worth.mids[index]
        bids, asks = self._bids_asks[index]
        before = self._at_risk.pop(index, None)
        if held or bids or asks:
            lot = self._lots[index]
            exposure = max(abs(held + bids * lot), abs(held - asks * lot)) * mid
            unrealised = held * mid - worth.cost[index]
            self._at_risk[index] = exposure, unrealised
            self.exposure += exposure
            self.unrealised += unrealised
        elif before is None:
            return
        if before is not None:
            self.exposure -= before[0]
            self.unrealised -= before[1]
        if not self._at_risk or not isfinite(self.exposure):
            self.settle()
        self.show()

    def settle(self) -> None:
        """Sum anew, so that no rounding adds up, and nothing that was unknown stays."""
        self.exposure = sum(exposure for exposure, _ in self._at_risk.values())
        self.unrealised = sum(unrealised for _, unrealised in self._at_risk.values())

    def learn(self, terms: MarginTerms) -> None:
        """Take what the venue tells of margin."""
        self.rate = terms.maintenance_rate
        self._told = {
            index: (price, lots * self._lots[index]) for index, (price, lots) in terms.liquidations.items()
        }
        self.show()

    @property
    def used(self) -> float:
        """Return the share of the margin balance that is initial margin; infinite without any balance."""
        balance = self.balance
        return self.exposure / self.leverage / balance if balance > 0 else inf

    # --- how near liquidation is --------------------------------------------------------------------------
    def distances(self) -> Iterator[tuple[int, float]]:
        """Yield each instrument in which something is held, and its distance from liquidation.

        It is the smaller of ours and the venue's, which holds while the position is the one it told of.
        """
        worth = self._worth
        held = [index for index in self._at_risk if worth.quantity[index]]
        value = sum(abs(worth.quantity[index]) * worth.mids[index] for index in held)
        for index in held:
            quantity, mid = worth.quantity[index], worth.mids[index]
            if self.isolated:
                value = abs(quantity) * mid
                secured = abs(worth.cost[index]) / self.leverage + self._at_risk[index][1]
            else:
                secured = self.balance
            ours = (secured - self.rate * value) / (value * (1 + self.rate))
            price, of_quantity = self._told.get(index, (nan, 0.0))
            same = isfinite(price) and abs(of_quantity - quantity) < 0.5 * self._lots[index]
            theirs = (mid - price if quantity > 0 else price - mid) / mid if same else inf
            yield index, min(theirs, ours)  # ours is unknown while any mid is

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

    __slots__ = ("_shown", "asset", "elsewhere", "fees", "reserved", "total")

    def __init__(self, asset: str) -> None:
        self.asset = asset
        self.total = 0  # the venue's free and locked
        self.reserved = 0  # the worst case of open orders
        self.elsewhere = 0  # locked by orders that we know nothing of
        self.fees = 0  # paid in this asset so far
        self._shown: list[memoryview[float]] = []

    @property
    def free(self) -> int:
        """Return what may still be spent."""
        return self.total - self.reserved - self.elsewhere

    def show_in(self, view: memoryview[float], at: int) -> None:
        """Show what is free in a desk from now on."""
        self._shown.append(view[at : at + 1])

    def show(self) -> None:
        """Write what is free into every desk that trades the asset."""
        free = (self.total - self.reserved - self.elsewhere) / UNIT  # the property would cost 30 ns
        for view in self._shown:
            view[0] = free


class MarginPurse(Purse):
    """The wallet of an asset that derivatives settle in. Nothing is reserved of it exactly."""

    __slots__ = (
        "_accounts", "_asks", "_bids", "_exposures", "_live", "_lots", "_told", "_unrealised", "_wallet",
        "_worth", "exposure", "isolated", "leverage", "rate", "unrealised",
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
        count = len(instruments)
        self.leverage = leverage
        self.isolated = isolated
        self.rate = MAINTENANCE_RATE
        self.exposure = 0.0
        self.unrealised = 0.0
        self._worth = worth
        self._wallet = 0.0
        self._accounts: list[memoryview[int]] = []
        self._lots = [instrument.qty.as_float for instrument in instruments]
        self._bids, self._asks = [0] * count, [0] * count  # lots of orders that may add to the position
        self._live: set[int] = set()  # where there is a position or such an order
        self._exposures, self._unrealised = [0.0] * count, [0.0] * count
        self._told: dict[int, tuple[float, float]] = {}  # the venue's liquidation price of which quantity

    @property
    def balance(self) -> float:
        """Return the wallet, in cross margin with what open positions would realise."""
        return self._wallet if self.isolated else self._wallet + self.unrealised

    @property
    def used(self) -> float:
        """Return the share of the margin balance that is initial margin; infinite without any balance."""
        balance = self.balance
        return self.exposure / self.leverage / balance if balance > 0 else inf

    def show_in(self, view: memoryview[float], at: int) -> None:
        """Show it in an account from now on."""
        self._accounts.append(view.cast("B")[8 * at : 8 * at + _MARGIN.size])

    def show(self) -> None:
        """Write what is free and what the limits need into the accounts that it is the quote currency of."""
        self._wallet = self.total / UNIT
        self._write()

    def _write(self) -> None:
        balance = self.balance
        exposure = self.exposure
        shown = _MARGIN.pack(balance - exposure / self.leverage, balance, exposure, self.rate)
        for account in self._accounts:
            account[:] = shown

    # --- what moves it ------------------------------------------------------------------------------------
    def reserve(self, order: Order, leaves_lots: int) -> None:
        """Count what an order may still add to a position; one that only reduces adds nothing."""
        more = (0 if order.reduces else leaves_lots) - order.reserved
        if more:
            order.reserved += more
            (self._bids if order.side == BUY else self._asks)[order.instrument] += more
            self.move(order.instrument)

    def move(self, index: int) -> None:
        """Take an instrument's position, mid and orders as they are now, and show what that makes."""
        worth = self._worth
        held, bids, asks = worth.quantity[index], self._bids[index], self._asks[index]
        if held or bids or asks:
            self._live.add(index)
            lot, mid = self._lots[index], worth.mids[index]
            longest, shortest = held + bids * lot, asks * lot - held
            exposure = (longest if longest > shortest else shortest) * mid  # noqa: FURB136 - max() costs 100 ns
            unrealised = held * mid - worth.cost[index]
        elif index in self._live:
            self._live.discard(index)
            exposure = unrealised = 0.0
        else:
            return
        self.exposure += exposure - self._exposures[index]
        self.unrealised += unrealised - self._unrealised[index]
        self._exposures[index], self._unrealised[index] = exposure, unrealised
        if not self._live or not isfinite(self.exposure):
            self.settle()
        self._write()

    def settle(self) -> None:
        """Sum anew, so that no rounding adds up, and nothing that was unknown stays."""
        self.exposure = sum(self._exposures[index] for index in self._live)
        self.unrealised = sum(self._unrealised[index] for index in self._live)

    def learn(self, terms: MarginTerms) -> None:
        """Take what the venue tells of margin."""
        self.rate = terms.maintenance_rate
        self._told = {
            index: (price, lots * self._lots[index]) for index, (price, lots) in terms.liquidations.items()
        }
        self.show()

    # --- how near liquidation is --------------------------------------------------------------------------
    def distances(self) -> Iterator[tuple[int, float]]:
        """Yield each instrument in which something is held, and its distance from liquidation.

        It is the smaller of ours and the venue's, which holds while the position is the one it told of.
        """
        worth = self._worth
        held = [index for index in sorted(self._live) if worth.quantity[index]]
        value = sum(abs(worth.quantity[index]) * worth.mids[index] for index in held)
        for index in held:
            quantity, mid = worth.quantity[index], worth.mids[index]
            if self.isolated:
                value = abs(quantity) * mid
                secured = abs(worth.cost[index]) / self.leverage + self._unrealised[index]
            else:
                secured = self.balance
            ours = (secured - self.rate * value) / (value * (1 + self.rate))
            price, of_quantity = self._told.get(index, (nan, 0.0))
            same = isfinite(price) and abs(of_quantity - quantity) < 0.5 * self._lots[index]
            theirs = (mid - price if quantity > 0 else price - mid) / mid if same else inf
            yield index, min(theirs, ours)  # ours is unknown while any mid is

"""One account's orders in one symbol, on the same matching kernels as paper and backtest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.simulator.symbols import UNIT
from kernels import fills, matcher

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from daemon.simulator.marketdata import MarketData
    from daemon.simulator.order import Order

_TIF: Final = {"GTC": matcher.GTC, "IOC": matcher.IOC, "FOK": matcher.FOK, "GTX": matcher.POST_ONLY}


class Matcher:
    """Orders keyed by the exchange's order id; prices and quantities in units.

    While it is idle (nothing open, nothing taken remembered) the market's ticks are not passed on; it is
    brought up to the latest ones before its next order.
    """

    def __init__(self, market: MarketData, on_events: Callable[[NDArray[np.int64]], None]) -> None:
        self.market = market
        self.state = matcher.new_matcher(market.symbol.tick / UNIT, market.symbol.lot / UNIT)
        self._on_events = on_events
        self.live = False
        self._tick = market.symbol.tick
        self._lot = market.symbol.lot
        market.matchers.append(self)

    def trade(self, price: int, qty: int, taker_side: int) -> None:
        """Pass on a public trade."""
        if self.live:
            self._tell(
                fills.on_trade(
                    self.state, self.market.book, price // self._tick, qty // self._lot, taker_side
                )
            )

    def quote(self) -> None:
        """Pass on the market's latest quote."""
        if self.live:
            self._tell(self._pass_quote())

    def depth(self) -> None:
        """Pass on that the book changed."""
        if self.live:
            self._tell(fills.on_book(self.state, self.market.book))

    def _pass_quote(self) -> int:
        market, tick, lot = self.market, self._tick, self._lot
        n: int = fills.on_quote(
            self.state,
            market.book,
            market.bid // tick,
            market.bid_qty // lot,
            market.ask // tick,
            market.ask_qty // lot,
        )
        return n

    def _tell(self, n: int) -> None:
        if n:
            self._on_events(self.state["events"][0, :n].copy())
        self.live = not fills.idle(self.state)

    def _wake(self) -> None:
        if not self.live:
            self.market.catch_up()
            if self.market.bid or self.market.ask:
                self._pass_quote()
            else:
                fills.on_book(self.state, self.market.book)
            self.live = True

    def place(self, key: int, side: int, tif: int, price: int, qty: int) -> NDArray[np.int64]:
        """Place an order; returns its events."""
        self._wake()
        n = fills.place(self.state, self.market.book, key, side, tif, price // self._tick, qty // self._lot)
        events: NDArray[np.int64] = self.state["events"][0, :n].copy()
        return events

    def trial(self, key: int, side: int, qty: int) -> list[tuple[int, int]]:
        """Return the fills (price, quantity) that a market order would get now, changing nothing."""
        self._wake()
        saved = self.state.copy()
        events = self.place(key, side, matcher.MARKET, 0, qty)
        self.state[:] = saved
        return [
            (int(event[matcher.EV_TICKS]) * self._tick, int(event[matcher.EV_LOTS]) * self._lot)
            for event in events
            if event[matcher.EV_KIND] == matcher.FILL
        ]

    def cancel(self, key: int) -> None:
        """Take an open order off."""
        fills.cancel(self.state, key)
        self.live = not fills.idle(self.state)

    def amend(self, key: int, leaves: int) -> None:
        """Lower what is left of an open order, keeping its place."""
        fills.amend(self.state, key, leaves // self._lot)


def ask_of(order: Order) -> tuple[int, int, int, int, int]:
    """Return key, side, time in force, price and quantity as the matcher takes them."""
    if order.type == "LIMIT_MAKER":
        tif = matcher.POST_ONLY
    else:
        tif = matcher.MARKET if order.at_market else _TIF[order.tif]
    return order.order_id, order.side, tif, order.price, order.leaves

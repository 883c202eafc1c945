"""One symbol's market as the public sees it: book, touch, trades, bars; and the users' matchers.

It is told of trades, quotes, depth and snapshots by whatever drives the exchange (a tape or the synthetic
market) and answers the public REST queries. While its symbol is not TRADING no user's order is filled.
Prices and quantities are in units; the matching kernels count ticks and lots.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

from daemon.simulator.bars import Bar, Bars
from daemon.simulator.symbols import UNIT, notional, text
from kernels import book as books
from kernels.dtypes import BUY, SELL
from kernels.levels import make_grid, make_scratch

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from daemon.simulator.matching import Matcher
    from daemon.simulator.symbols import Symbol

TRADES_MAX: Final = 1_000
#: depth updates kept for the snapshot that will come
EARLY_MAX: Final = 1_000
#: the window of the average price that filters compare with
AVERAGE_MS: Final = 300_000
DAY_MS: Final = 86_400_000


class Trade:
    """A public trade, in units and ms."""

    __slots__ = ("buyer_is_maker", "price", "qty", "time_ms", "trade_id")

    def __init__(self, trade_id: int, price: int, qty: int, buyer_is_maker: bool, time_ms: int) -> None:
        self.trade_id = trade_id
        self.price = price
        self.qty = qty
        self.buyer_is_maker = buyer_is_maker
        self.time_ms = time_ms


class _Recent:
    """Volume and value of the last AVERAGE_MS, kept up trade by trade: every order's filters ask for them."""

    __slots__ = ("_trades", "paid", "volume")

    def __init__(self) -> None:
        self._trades: deque[tuple[int, int, int]] = deque()
        self.volume = 0
        self.paid = 0

    def add(self, time_ms: int, qty: int, paid: int) -> None:
        self._trades.append((time_ms, qty, paid))
        self.volume += qty
        self.paid += paid
        self.roll(time_ms)

    def roll(self, now_ms: int) -> None:
        while self._trades and self._trades[0][0] < now_ms - AVERAGE_MS:
            _, qty, paid = self._trades.popleft()
            self.volume -= qty
            self.paid -= paid


class Snapshot(msgspec.Struct):
    """A whole book as REST gives it."""

    lastUpdateId: int  # noqa: N815 - their name
    bids: list[list[str]]
    asks: list[list[str]]


class MarketData:
    """The public state of one symbol.

    `on_trade` is called after each trade, once the resting orders were served: stops listen to it.
    """

    def __init__(self, symbol: Symbol) -> None:
        self.symbol = symbol
        self.book: NDArray[Any] = books.make()
        self.update_id = 0  # of the book
        self.synced = False  # a snapshot was loaded, so the book is whole
        self.prior: Snapshot | None = None  # what is served until then
        self._early: deque[tuple[int, bytes]] = deque(maxlen=EARLY_MAX)
        self.bid = self.bid_qty = self.ask = self.ask_qty = 0
        self._unread: tuple[bytes, Callable[[bytes], tuple[int, int, int, int]]] | None = None
        self.last_price = 0
        self.time_ms = 0  # of the latest event, on the market's own clock
        self.trades: deque[Trade] = deque(maxlen=TRADES_MAX)
        self.bars = Bars()
        self._recent = _Recent()
        self.matchers: list[Matcher] = []
        self.on_trade: Callable[[MarketData], None] = lambda _: None
        places, grid_tick = _grid(symbol.tick)
        lot_places, grid_lot = _grid(symbol.lot)
        self._grid = make_grid(places, grid_tick, lot_places, grid_lot)
        self._scratch = make_scratch()

    # --- told by the driver ---
    def trade(self, trade_id: int, price: int, qty: int, buyer_is_maker: bool, time_ms: int) -> None:
        """Take a public trade."""
        self.trades.append(Trade(trade_id, price, qty, buyer_is_maker, time_ms))
        self.bars.add(trade_id, price, qty, buyer_is_maker, time_ms)
        self._recent.add(time_ms, qty, notional(price, qty))
        self.last_price = price
        self.time_ms = time_ms
        if self.symbol.status != "TRADING":
            return
        for held in self.matchers:
            held.trade(price, qty, SELL if buyer_is_maker else BUY)
        self.on_trade(self)

    def quote(self, bid: int, bid_qty: int, ask: int, ask_qty: int) -> None:
        """Take the best bid and ask; quantity 0 where a side is empty."""
        self.bid, self.bid_qty, self.ask, self.ask_qty = bid, bid_qty, ask, ask_qty
        self._unread = None
        if self.symbol.status != "TRADING":
            return
        for held in self.matchers:
            held.quote()

    def quote_later(self, frame: bytes, read: Callable[[bytes], tuple[int, int, int, int]]) -> None:
        """Take a quote as its frame, read at once only when somebody's orders depend on it.

        Two thirds of a tape are quotes, and most of them nobody looks at.
        """
        if any(held.live for held in self.matchers):
            self.quote(*read(frame))
        else:
            self._unread = (frame, read)

    def catch_up(self) -> None:
        """Read the latest quote, if it has not been."""
        if self._unread is not None:
            frame, read = self._unread
            self._unread = None
            self.bid, self.bid_qty, self.ask, self.ask_qty = read(frame)

    def depth(self, last_id: int, payload: bytes) -> None:
        """Take a depth update, its levels read from the JSON; what a snapshot already holds is skipped.

        Updates before the snapshot are kept: those it does not hold yet are applied after it.
        """
        if not self.synced:
            self._early.append((last_id, payload))
        elif last_id <= self.update_id:
            return
        self._apply(last_id, payload)

    def snapshot(self, last_id: int, payload: bytes) -> None:
        """Take a whole book from the JSON of a REST answer; one older than the book is not taken."""
        if self.synced and last_id < self.update_id:
            return
        self._count(books.replace(self.book, payload, self._grid, self._scratch))
        self.synced = True
        self._depth_changed(last_id)
        for early_id, early in self._early:
            if early_id > last_id:
                self._apply(early_id, early)
        self._early.clear()

    def _apply(self, last_id: int, payload: bytes) -> None:
        self._count(books.update(self.book, payload, self._grid, self._scratch))
        self._depth_changed(last_id)

    def _count(self, outcome: int) -> None:
        """Raise ValueError for levels that cannot be read; a crossed book is the market's own business."""
        if outcome < 0 and outcome != books.CROSSED:
            raise ValueError(
                f"{self.symbol.name}: the levels of a depth message cannot be read (error {outcome})"
            )

    def _depth_changed(self, last_id: int) -> None:
        self.update_id = last_id
        if self.symbol.status != "TRADING":
            return
        for held in self.matchers:
            held.depth()

    # --- asked by the public ---
    def served(self, limit: int) -> Snapshot:
        """Return the book for REST: our own once it is whole, before that the snapshot we know will come."""
        if not self.synced and self.prior is not None:
            return Snapshot(self.prior.lastUpdateId, self.prior.bids[:limit], self.prior.asks[:limit])
        return Snapshot(self.update_id, *self.levels(limit))

    def levels(self, limit: int) -> tuple[list[list[str]], list[list[str]]]:
        """Return the best `limit` bids and asks as texts, best first."""
        sides = []
        for side in (BUY, SELL):
            ticks, lots = books.levels(self.book, side)
            first = max(0, len(ticks) - limit)
            prices = ticks[first:][::-1].tolist()
            amounts = lots[first:][::-1].tolist()
            symbol = self.symbol
            sides.append(
                [
                    [symbol.price_text(price * symbol.tick), symbol.qty_text(amount * symbol.lot)]
                    for price, amount in zip(prices, amounts, strict=True)
                ]
            )
        return sides[0], sides[1]

    def touch(self) -> tuple[int, int, int, int]:
        """Return best bid and ask, each with its quantity: the quote's, or the book's before any quote."""
        self.catch_up()
        if self.bid or self.ask:
            return self.bid, self.bid_qty, self.ask, self.ask_qty
        tick, lot = self.symbol.tick, self.symbol.lot
        touch = [0, 0, 0, 0]
        for at, side in ((0, BUY), (2, SELL)):
            ticks, lots = books.levels(self.book, side)
            if len(ticks):
                touch[at : at + 2] = int(ticks[-1]) * tick, int(lots[-1]) * lot
        return touch[0], touch[1], touch[2], touch[3]

    def average_price(self) -> int:
        """Return the volume-weighted price of the last five minutes, else the middle of the touch."""
        self._recent.roll(self.time_ms)
        if self._recent.volume:
            return self._recent.paid * UNIT // self._recent.volume
        bid, _, ask, _ = self.touch()
        return self.last_price or (bid + ask) // 2

    def day(self) -> Bar:
        """Return the last 24 hours as one bar; a bar of nothing before the first trade."""
        minutes = [bar for bar in self.bars.rows("1m") if bar.open_ms > self.time_ms - DAY_MS]
        if not minutes:
            return Bar(self.time_ms, self.last_price, -1)
        day = minutes[0].copy_at(minutes[0].open_ms)
        for minute in minutes[1:]:
            day.join(minute)
        return day

    def quote_view(self) -> dict[str, str]:
        """Return ticker/bookTicker."""
        bid, bid_qty, ask, ask_qty = self.touch()
        return {
            "symbol": self.symbol.name,
            "bidPrice": text(bid),
            "bidQty": text(bid_qty),
            "askPrice": text(ask),
            "askQty": text(ask_qty),
        }


def _grid(step: int) -> tuple[int, int]:
    """Return (places, num) with step = num / 10**places, step given in units."""
    places, num = 8, step
    while places and num % 10 == 0:
        places, num = places - 1, num // 10
    return places, num

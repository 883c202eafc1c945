"""The futures engine: the spot engine's matching, with margin and positions in place of balances.

A reduce-only order is cut to the position it opposes, less what others of its kind already will close; it
shrinks and goes with the position. Each public trade moves the exchange's own clockwork on: conditional
orders, funding, and the countdowns after which a symbol's orders are cancelled.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from daemon.simulator.errors import ApiError, unknown_order
from daemon.simulator.exchange import Exchange
from daemon.simulator.matching import ask_of
from daemon.simulator.newrequest import NewOrder
from daemon.simulator.order import reached
from daemon.simulator.symbols import UNIT, notional, text
from daemon.simulator.usdm.account import FuturesAccount
from daemon.simulator.usdm.filters import check_order
from daemon.simulator.usdm.order import AlgoOrder, FuturesOrder
from daemon.simulator.usdm.reporter import FuturesReporter
from daemon.simulator.userstream import ListenKeys
from kernels import matcher as m

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from daemon.seams import Clock
    from daemon.simulator.account import Account
    from daemon.simulator.marketdata import MarketData
    from daemon.simulator.order import Fill, Order
    from daemon.simulator.symbols import Symbol
    from daemon.simulator.usdm.account import Position

FUNDING_NS: Final = 8 * 3_600_000_000_000
#: of a position's value, in units; the long pay
FUNDING_RATE: Final = 10_000
#: the ids of orders that liquidate, and what they cost beside the commission, of their value
LIQUIDATION_ID: Final = "autoclose-"
CLEARANCE_FEE: Final = UNIT // 80
ALGO_ID_FIRST: Final = 1_000_000_000_000
INCOME_MAX: Final = 10_000
FUNDINGS_MAX: Final = 1_000
_WAITING_MAX: Final = 200


class FuturesExchange(Exchange):
    """All symbols, accounts and orders of the simulated futures exchange."""

    reporter: FuturesReporter
    listen_keys: ListenKeys

    def __init__(
        self,
        symbols: Iterable[Symbol],
        accounts: Iterable[Account],
        clock: Clock,
        random: Random,
        funding_ns: int = FUNDING_NS,
    ) -> None:
        super().__init__(symbols, accounts, clock, random)
        self.reporter = FuturesReporter()
        self.listen_keys = ListenKeys(self.new_id)
        self.algos: dict[int, AlgoOrder] = {}
        self.income: deque[dict[str, Any]] = deque(maxlen=INCOME_MAX)
        self.countdowns: dict[tuple[str, str], int] = {}  # account, symbol -> when its orders are cancelled
        self.fundings: deque[dict[str, Any]] = deque(maxlen=FUNDINGS_MAX)
        self._algo_id = ALGO_ID_FIRST
        self._income_id = 0
        self._funding_ns = funding_ns
        self._funded = clock.now_ns() // funding_ns

    @property
    def next_funding_ns(self) -> int:
        """When positions are funded next."""
        return (self._funded + 1) * self._funding_ns

    def refresh(self, account: FuturesAccount) -> None:
        """Bring marks and the notional of open orders up to now."""
        for position in account.positions.values():
            market = self.markets[position.symbol.name]
            position.mark = market.last_price or market.average_price()
            position.bids = position.asks = 0
            for order in self.registry.open_orders(account, position.symbol.name):
                if _of(order).reduce_only:
                    continue
                worth = notional(order.price, order.leaves)
                position.bids += worth if order.side > 0 else 0
                position.asks += worth if order.side < 0 else 0

    # --- placing ---
    def check(self, account: Account, market: MarketData, new: NewOrder) -> None:
        """Raise ApiError when the order would be refused before it reaches the book."""
        assert isinstance(account, FuturesAccount)
        symbol = market.symbol
        if symbol.status != "TRADING":
            raise ApiError(-4140, "Invalid symbol status for opening position.")
        position = account.position(symbol)
        self.refresh(account)
        check_order(new, symbol, position.mark, len(self.registry.open_orders(account, symbol.name)))
        known = self.registry.bears(account, new.client_id) if new.client_id else None
        if known is not None and known.open:
            raise ApiError(-4116, "ClientOrderId is duplicated.")
        if new.reduce_only:
            if self._reducible(account, symbol, new.side) <= 0:
                raise ApiError(-2022, "ReduceOnly Order is rejected.")
            return
        worth = notional(new.price or position.mark, new.qty)
        bids, asks = (worth, 0) if new.side > 0 else (0, worth)
        more = position.margin(bids, asks) - position.margin()
        if more > 0 and more > account.available(symbol.quote):
            raise ApiError(-2019, "Margin is insufficient.")

    def _reducible(self, account: FuturesAccount, symbol: Symbol, side: int) -> int:
        """Return how much a reduce-only order of a side can still close."""
        others = sum(
            order.leaves
            for order in self.registry.open_orders(account, symbol.name)
            if _of(order).reduce_only and order.side == side
        )
        return max(0, -side * account.position(symbol).qty) - others

    def make_order(
        self, symbol: Symbol, account: Account, order_id: int, client_id: str, now_ns: int
    ) -> FuturesOrder:
        """Return a new order, about which nothing else is said yet."""
        assert isinstance(account, FuturesAccount)
        return FuturesOrder(symbol, account, order_id, client_id, now_ns)

    def resume(self) -> None:
        """Go on with the orders that the registry was given, and the conditional ones."""
        self._algo_id = max(self.algos, default=self._algo_id)
        for algo in self.algos.values():
            if algo.status == "TRIGGERING":  # it ended between trigger and order, or between order and word
                placed = self.registry.bears(algo.account, algo.client_id)
                algo.order = None if placed is None else _of(placed)
                algo.status = "TRIGGERED" if placed else "NEW"
        super().resume()

    def place(self, account: Account, market: MarketData, new: NewOrder) -> tuple[Order, list[Fill]]:
        """Take a new order; returns it with the fills it met at once."""
        assert isinstance(account, FuturesAccount)
        now_ns = self.clock.now_ns()
        account.orders.check(now_ns)
        self.check(account, market, new)
        client_id = new.client_id or self.new_id()
        number = self.registry.last_ids[market.symbol.name] + 1
        order = self.make_order(market.symbol, account, number, client_id, now_ns)
        order.side, order.type, order.tif = new.side, new.type, new.tif
        order.price, order.qty, order.stp = new.price, new.qty, new.stp
        order.reduce_only = new.reduce_only
        if new.reduce_only:
            order.qty = min(order.qty, self._reducible(account, market.symbol, new.side))
        if new.tif == "GTX" and self._crossing(order):
            raise self._refusal(order)
        return order, self._go_live(order, market, now_ns)

    def _refusal(self, order: Order) -> ApiError:  # noqa: ARG002 - post-only alone is refused by the book
        return ApiError(
            -5022,
            "Due to the order could not be executed as maker, the Post Only order will be rejected. "
            "The order will not be recorded in the order history",
        )

    def modify(self, order: FuturesOrder, price: int, qty: int) -> None:
        """Change an open order's price and quantity: it goes to the end of its new queue.

        A quantity that is filled already ends it, and so does a post-only order's price that would take.
        """
        market, now_ns = self.market(order.symbol.name), self.clock.now_ns()
        if price == order.price and qty == order.qty:
            raise ApiError(-5027, "No need to modify the order.")
        new = NewOrder(
            side=order.side, type="LIMIT", tif=order.tif, price=price, qty=qty, quote_qty=0, stop_price=0,
            client_id="", response="ACK", stp=order.stp, reduce_only=order.reduce_only,
        )  # fmt: skip
        check_order(new, order.symbol, market.last_price or market.average_price(), 0)
        matcher = self._matcher(order.account, market)
        matcher.cancel(order.order_id)
        if qty <= order.executed:
            self._close(order, "CANCELED", "CANCELED", now_ns)
            return
        order.price, order.qty, order.updated_ns = price, qty, now_ns
        self.reporter.order(order, "REPLACED", now_ns)
        events = matcher.place(*ask_of(order))
        if len(events) and events[0][m.EV_KIND] == m.REJECTED:
            self._close(order, "CANCELED", "CANCELED", now_ns)
        else:
            self._settle(market.symbol.name, events, now_ns, set())

    # --- what the market does to orders ---
    def _settle(self, name: str, events: Iterable[Any], now_ns: int, touched: set[str]) -> list[Fill]:
        """Book the matcher's events; then let reduce-only orders follow their positions."""
        fills = super()._settle(name, events, now_ns, touched)
        for account, symbol in {(_of(fill.order).account, fill.order.symbol.name) for fill in fills}:
            self._follow(account, symbol, now_ns)
        self._finish(now_ns)
        return fills

    def _pay(self, fill: Fill) -> None:
        """Move wallet and position by one execution."""
        order = _of(fill.order)
        account, symbol = order.account, order.symbol
        qty, paid = order.side * fill.qty, order.side * notional(fill.price, fill.qty)
        fill.realised, fill.commission = account.settle(symbol, qty, paid, fill.is_maker)
        position = account.position(symbol)
        position.updated_ns = fill.now_ns
        position.mark = self.markets[symbol.name].last_price or fill.price
        self.reporter.moved(account, symbol.quote, [position], "ORDER", fill.now_ns)
        self._note(account, symbol, "COMMISSION", -fill.commission, fill.now_ns, fill.trade_id)
        if fill.realised:
            self._note(account, symbol, "REALIZED_PNL", fill.realised, fill.now_ns, fill.trade_id)

    def _note(
        self, account: FuturesAccount, symbol: Symbol, kind: str, amount: int, now_ns: int, trade_id: int = 0
    ) -> None:
        """Keep a row of the account's income."""
        self._income_id += 1
        row = {
            "symbol": symbol.name,
            "incomeType": kind,
            "income": text(amount),
            "asset": symbol.quote,
            "info": kind,
            "time": now_ns // 1_000_000,
            "tranId": self._income_id,
            "tradeId": str(trade_id or ""),
        }
        self.income.append({"account": account.name, "row": row})

    def _follow(self, account: FuturesAccount, name: str, now_ns: int) -> None:
        """Cut reduce-only orders to the position, and end those that have nothing left to close."""
        market = self.market(name)
        matcher = self._matcher(account, market)
        room = abs(account.position(market.symbol).qty)
        closes = -1 if account.position(market.symbol).qty > 0 else 1
        for order in self.registry.open_orders(account, name):
            if not _of(order).reduce_only:
                continue
            if order.side != closes or room <= 0:
                matcher.cancel(order.order_id)
                self._close(order, "EXPIRED", "EXPIRED", now_ns, "REDUCE_ONLY")
                continue
            if order.leaves > room:
                order.qty = order.executed + room
                matcher.amend(order.order_id, room)
                self.reporter.order(order, "REPLACED", now_ns)
            room -= order.leaves

    def _trigger(self, market: MarketData) -> None:
        """Move on: set off the conditional orders that the last trade reached, and do what is due."""
        now_ns = self.clock.now_ns()
        for algo in [one for one in self.algos.values() if one.open and one.symbol is market.symbol]:
            if reached(algo.type, algo.side, algo.trigger, market.last_price):
                self._set_off(algo, market, now_ns)
        for account in self.accounts.values():
            assert isinstance(account, FuturesAccount)
            position = account.positions.get(market.symbol.name)
            if position is not None and position.qty:
                self._liquidate(account, market, position, now_ns)
        self.tick(now_ns)

    def tick(self, now_ns: int) -> None:
        """Do what is due: funding, countdowns, listen keys that end."""
        if now_ns // self._funding_ns > self._funded:
            self._funded = now_ns // self._funding_ns
            self._fund_all(now_ns)
        for (name, symbol), due_ns in list(self.countdowns.items()):
            if due_ns <= now_ns:
                del self.countdowns[name, symbol]
                for order in self.registry.open_orders(self.accounts[name], symbol):
                    self.cancel(order, "")
        for name, key in self.listen_keys.expire(now_ns):
            self.reporter.emit(name, {"e": "listenKeyExpired", "E": now_ns // 1_000_000, "listenKey": key})

    def _fund_all(self, now_ns: int) -> None:
        """Let every open position pay its funding, or be paid."""
        told = {"fundingTime": now_ns // 1_000_000, "fundingRate": text(FUNDING_RATE)}
        for market in self.markets.values():
            row = {"symbol": market.symbol.name, "markPrice": text(market.last_price)}
            self.fundings.append(row | told)
        for account in self.accounts.values():
            assert isinstance(account, FuturesAccount)
            self.refresh(account)
            for position in account.positions.values():
                if position.qty:
                    asset = position.symbol.quote
                    amount = -(position.notional * FUNDING_RATE // UNIT)
                    account.deposit(asset, amount)
                    shown = [position] if position.isolated else []
                    self.reporter.moved(account, asset, shown, "FUNDING_FEE", now_ns, amount)
                    self._note(account, position.symbol, "FUNDING_FEE", amount, now_ns)

    def _liquidate(
        self, account: FuturesAccount, market: MarketData, position: Position, now_ns: int
    ) -> None:
        """Cancel a symbol's orders and close its position, once only the maintenance margin secures it.

        What the book does not take, or nobody may, waits for a later trade that finds it no better secured.
        """
        position.mark = market.last_price
        limit, side = account.liquidation(position), -1 if position.qty > 0 else 1
        if not limit or (position.mark - limit) * side < 0:
            return
        for order in self.registry.open_orders(account, market.symbol.name):
            self.cancel(order, "")
        new = NewOrder(
            side=side, type="MARKET", tif="GTC", price=0, qty=abs(position.qty), quote_qty=0, stop_price=0,
            client_id=f"{LIQUIDATION_ID}{now_ns // 1_000_000}", response="ACK", stp="EXPIRE_MAKER",
            reduce_only=True,
        )  # fmt: skip
        try:
            order, _ = self.place(account, market, new)
        except ApiError:
            return  # a symbol that is halted, say
        fee = order.quote_executed * CLEARANCE_FEE // UNIT
        account.deposit(market.symbol.quote, -fee)
        self.reporter.moved(account, market.symbol.quote, [], "INSURANCE_CLEAR", now_ns, -fee)
        self._note(account, market.symbol, "INSURANCE_CLEAR", -fee, now_ns)

    # --- conditional orders ---
    def place_algo(self, account: FuturesAccount, market: MarketData, new: NewOrder) -> AlgoOrder:
        """Let a conditional order wait; its margin is looked at once it is triggered."""
        symbol, now_ns = market.symbol, self.clock.now_ns()
        waiting = [one for one in self.algos.values() if one.open and one.account is account]
        if new.client_id and any(one.client_id == new.client_id for one in waiting):
            raise ApiError(-4116, "ClientOrderId is duplicated.")
        if len(waiting) >= _WAITING_MAX:
            raise ApiError(-4045, "Reach max stop order limit.")
        check_order(new, symbol, new.stop_price, 0)
        if reached(new.type, new.side, new.stop_price, market.last_price):
            raise ApiError(-2021, "Order would immediately trigger.")
        account.orders.check(now_ns)
        account.orders.count(now_ns)
        self._algo_id += 1
        algo = AlgoOrder(symbol, account, self._algo_id, new.client_id or self.new_id(), now_ns)
        algo.side, algo.type, algo.tif = new.side, new.type, new.tif
        algo.price, algo.qty, algo.trigger = new.price, new.qty, new.stop_price
        algo.reduce_only = new.reduce_only
        self.algos[algo.algo_id] = algo
        self.reporter.algo(algo, now_ns)
        return algo

    def find_algo(self, account: Account, algo_id: int | None, client_id: str) -> AlgoOrder | None:
        """Return a conditional order by its number or, the latest, by its client id."""
        mine = [one for one in self.algos.values() if one.account is account]
        found = [
            one for one in mine if one.algo_id == algo_id or (algo_id is None and one.client_id == client_id)
        ]
        return found[-1] if found else None

    def cancel_algo(self, algo: AlgoOrder | None) -> AlgoOrder:
        """Take a conditional order that still waits off; raises ApiError -2011 for any other."""
        if algo is None or not algo.open:
            raise unknown_order()
        algo.status = "CANCELED"
        self.reporter.algo(algo, self.clock.now_ns())
        return algo

    def _set_off(self, algo: AlgoOrder, market: MarketData, now_ns: int) -> None:
        """Send the order that a conditional one stands for."""
        algo.status = "TRIGGERING"
        self.reporter.algo(algo, now_ns)
        at_market = algo.type.endswith("_MARKET")
        new = NewOrder(
            side=algo.side, type="MARKET" if at_market else "LIMIT", tif=algo.tif, price=algo.price,
            qty=algo.qty, quote_qty=0, stop_price=0, client_id=algo.client_id, response="ACK",
            stp="EXPIRE_MAKER", reduce_only=algo.reduce_only,
        )  # fmt: skip
        try:
            order, _ = self.place(algo.account, market, new)
        except ApiError as error:
            algo.status = "REJECTED"
            self.reporter.algo(algo, now_ns, error.message)
            return
        algo.order, algo.status = _of(order), "TRIGGERED"
        self.reporter.algo(algo, now_ns)
        self._finish(now_ns)

    def _finish(self, now_ns: int) -> None:
        """Tell of conditional orders whose order has ended."""
        for algo in self.algos.values():
            if algo.status == "TRIGGERED" and algo.order is not None and not algo.order.open:
                algo.status = "FINISHED"
                self.reporter.algo(algo, now_ns)


def _of(order: Order) -> FuturesOrder:
    assert isinstance(order, FuturesOrder), "the futures exchange has no other"
    return order

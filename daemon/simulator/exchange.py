"""The exchange's engine: places, matches, cancels and amends orders, and moves balances.

Sans-IO: time and randomness are given, users' events leave through `reporter`. Market events come in
through MarketData, whose matchers call back with the fills they caused. An operation either raises ApiError
having changed nothing, or is done whole.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from daemon.simulator.errors import (
    AMEND_REJECTED,
    INVALID_MESSAGE,
    ApiError,
    bad_symbol,
    filter_failure,
    rejected,
)
from daemon.simulator.filters import check_lot, check_order
from daemon.simulator.marketdata import MarketData
from daemon.simulator.matching import Matcher, ask_of
from daemon.simulator.order import Fill, Order, reached
from daemon.simulator.registry import Registry
from daemon.simulator.reporter import Reporter
from daemon.simulator.symbols import UNIT, notional
from kernels import matcher as m

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random

    import numpy as np
    from numpy.typing import NDArray

    from daemon.seams import Clock
    from daemon.simulator.account import Account
    from daemon.simulator.faults import Faults
    from daemon.simulator.newrequest import NewOrder
    from daemon.simulator.symbols import Symbol
    from daemon.simulator.userstream import ListenKeys

#: users' trade ids start here, clear of the ids of a tape's public trades
TRADE_ID_FIRST: Final = 900_000_000_000
_ID_CHARS: Final = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_EXPIRY: Final = {
    "IOC": "UNFILLED_IOC_QUANTITY_EXPIRED",
    "FOK": "UNFILLED_FOK_ORDER_EXPIRED",
    "GTC": "INSUFFICIENT_LIQUIDITY",
}


class Exchange:
    """All symbols, accounts and orders of the simulated exchange."""

    def __init__(
        self, symbols: Iterable[Symbol], accounts: Iterable[Account], clock: Clock, random: Random
    ) -> None:
        self.clock = clock
        self.accounts = {account.name: account for account in accounts}
        self.markets = {symbol.name: MarketData(symbol) for symbol in symbols}
        self.registry = Registry()
        self.reporter = Reporter()
        self.on_depth_served: Callable[[str], None] = lambda _: None
        self.faults: Faults | None = None
        self.listen_keys: ListenKeys | None = None  # spot has had none since 2026-02-20
        self._stops: dict[str, dict[int, Order]] = {name: {} for name in self.markets}
        self._matchers: dict[tuple[str, str], Matcher] = {}
        self._random = random
        self._trade_ids = dict.fromkeys(self.markets, TRADE_ID_FIRST)  # the latest
        for market in self.markets.values():
            market.on_trade = self._trigger

    def market(self, symbol: str) -> MarketData:
        """Return a listed market; raises ApiError -1121."""
        found = self.markets.get(symbol)
        if found is None:
            raise bad_symbol()
        return found

    def knows(self, symbol: Symbol, since_ns: int) -> bool:
        """Whether queries know of what happened to a symbol's orders then: they may lag behind."""
        return self.faults is None or not self.faults.hides(symbol, since_ns)

    def new_id(self) -> str:
        """Return a client order id as the exchange makes them."""
        return "".join(self._random.choices(_ID_CHARS, k=22))

    def deposit(self, account: Account, asset: str, amount: int) -> None:
        """Change what is free from outside, as a transfer does."""
        account.deposit(asset, amount)
        self.reporter.transfer(account, asset, amount, self.clock.now_ns())

    # --- placing ---
    def check(self, account: Account, market: MarketData, new: NewOrder) -> None:
        """Raise ApiError when the order would be refused before it reaches the book."""
        if market.symbol.status != "TRADING":
            raise ApiError(INVALID_MESSAGE, "Market is closed.")
        symbol = market.symbol
        check_order(
            new, market, self.registry.open_orders(account, symbol.name), account.balance(symbol.base)
        )
        known = self.registry.bears(account, new.client_id) if new.client_id else None
        if known is not None and known.open:
            raise rejected("Duplicate order sent.")
        if new.stop_price and reached(new.type, new.side, new.stop_price, market.last_price):
            raise rejected("Order would trigger immediately.")

    def make_order(
        self, symbol: Symbol, account: Account, order_id: int, client_id: str, now_ns: int
    ) -> Order:
        """Return a new order, about which nothing else is said yet."""
        return Order(symbol, account, order_id, client_id, now_ns)

    def place(self, account: Account, market: MarketData, new: NewOrder) -> tuple[Order, list[Fill]]:
        """Take a new order; returns it with the fills it met at once."""
        now_ns = self.clock.now_ns()
        account.orders.check(now_ns)
        self.check(account, market, new)
        client_id = new.client_id or self.new_id()
        number = self.registry.last_ids[market.symbol.name] + 1
        order = self.make_order(market.symbol, account, number, client_id, now_ns)
        order.side, order.type, order.tif = new.side, new.type, new.tif
        order.price, order.qty, order.stop_price = new.price, new.qty, new.stop_price
        order.quote_qty, order.stp, order.strategy = new.quote_qty, new.stp, new.strategy
        if new.type == "LIMIT_MAKER" and self._crossing(order):
            raise self._refusal(order)
        self._fund(order, market)
        if order.is_stop:
            self._hold(order, now_ns)
            return order, []
        return order, self._go_live(order, market, now_ns)

    def _fund(self, order: Order, market: MarketData) -> None:
        """Lock what the order may cost; raises ApiError -2010 when there is too little."""
        if order.quote_qty:
            order.qty = self._affordable(order, market)
        if order.side < 0:
            order.locked = order.qty
        elif order.type == "MARKET":
            order.locked = self._cost_now(order, market)
        else:
            order.locked = notional(order.price or order.stop_price, order.qty)
        order.account.lock(order.spends, order.locked)

    def _cost_now(self, order: Order, market: MarketData) -> int:
        """Return what taking the order's quantity at the displayed prices costs."""
        return sum(notional(price, qty) for price, qty in self._trial(order, market, order.qty))

    def _affordable(self, order: Order, market: MarketData) -> int:
        """Return the quantity that `quote_qty` buys or brings at the displayed prices, in whole lots."""
        budget, bought = order.quote_qty, 0
        for price, qty in self._trial(order, market, order.symbol.qty_max):
            affordable = budget * UNIT // price // order.symbol.lot * order.symbol.lot
            bought += min(qty, affordable)
            budget -= notional(price, min(qty, affordable))
            if affordable <= qty:
                break
        if not bought:
            raise rejected("Order book liquidity is less than `LOT_SIZE` filter minimum quantity.")
        return bought

    def _trial(self, order: Order, market: MarketData, qty: int) -> list[tuple[int, int]]:
        return self._matcher(order.account, market).trial(order.order_id, order.side, qty)

    def _hold(self, order: Order, now_ns: int) -> None:
        """Keep a stop until its trigger."""
        order.account.orders.count(now_ns)
        self.registry.enter(order)
        self._stops[order.symbol.name][order.order_id] = order
        self.reporter.order(order, "NEW", now_ns)
        self.reporter.position(order.account, {order.spends}, now_ns)

    def _go_live(self, order: Order, market: MarketData, now_ns: int) -> list[Fill]:
        """Match a new order and rest what is left; raises ApiError, unlocking, where the book refuses it."""
        account = order.account
        prevented = self._prevent(order, market, now_ns)
        events = None if prevented else self._matcher(account, market).place(*ask_of(order))
        if events is not None and events[0][m.EV_KIND] == m.REJECTED:
            account.unlock(order.spends, order.locked)
            raise self._refusal(order)
        account.orders.count(now_ns)
        self.registry.enter(order)
        order.working, order.working_ns = True, now_ns
        self.reporter.order(order, "NEW", now_ns)
        if events is None:
            self._close(order, "EXPIRED_IN_MATCH", "TRADE_PREVENTION", now_ns)
            self.reporter.position(account, {order.spends}, now_ns)
            return []
        return self._settle(order.symbol.name, events, now_ns, {order.spends})

    def _refusal(self, order: Order) -> ApiError:
        """Return what the book says of an order that it does not take."""
        if order.type == "LIMIT_MAKER":
            return rejected("Order would immediately match and take.")
        return rejected("Unsupported order combination")

    # --- self-trade prevention ---
    def _crossing(self, order: Order) -> list[Order]:
        """Return the account's own working orders at prices that the order takes."""
        return [
            other
            for other in self.registry.open_orders(order.account, order.symbol.name)
            if other.working
            and other.side == -order.side
            and (order.at_market or (order.price - other.price) * order.side >= 0)
        ]

    def _met(self, order: Order, market: MarketData) -> list[Order]:
        """Return those of them that it comes to before others' orders have filled it."""
        crossing = self._crossing(order)
        if not crossing:
            return []
        fills = self._trial(order, market, order.qty)
        last = fills[-1][0] if sum(qty for _, qty in fills) == order.qty else 0
        if not last or not (order.at_market or (order.price - last) * order.side >= 0):
            return crossing
        return [other for other in crossing if (last - other.price) * order.side >= 0]

    def _prevent(self, order: Order, market: MarketData, now_ns: int) -> bool:
        """Expire orders that would meet their own account's; returns whether the new one is among them."""
        if order.stp == "NONE":
            return False
        met = self._met(order, market)
        if order.stp in ("EXPIRE_MAKER", "EXPIRE_BOTH"):
            for other in met:
                self._matcher(other.account, self.market(other.symbol.name)).cancel(other.order_id)
                self._close(other, "EXPIRED_IN_MATCH", "TRADE_PREVENTION", now_ns)
                self.reporter.position(other.account, {other.spends}, now_ns)
        return bool(met) and order.stp in ("EXPIRE_TAKER", "EXPIRE_BOTH")

    # --- what the market does to orders ---
    def _matcher(self, account: Account, market: MarketData) -> Matcher:
        key = (account.name, market.symbol.name)
        found = self._matchers.get(key)
        if found is None:
            found = self._matchers[key] = Matcher(market, partial(self._on_market_events, market.symbol.name))
        return found

    def _on_market_events(self, name: str, events: NDArray[np.int64]) -> None:
        self._settle(name, events, self.clock.now_ns(), set())

    def _trigger(self, market: MarketData) -> None:
        """Set off the stops that the last trade reached."""
        stops = self._stops[market.symbol.name]
        if not stops:
            return
        due = [o for o in stops.values() if reached(o.type, o.side, o.stop_price, market.last_price)]
        for order in due:
            del stops[order.order_id]
            now_ns = self.clock.now_ns()
            order.updated_ns = order.working_ns = now_ns
            order.working = True
            if not self._top_up(order, market):
                self._close(order, "EXPIRED", "EXPIRED", now_ns, "REJECTED")
                self.reporter.position(order.account, {order.spends}, now_ns)
                continue
            self.reporter.order(order, "NEW", now_ns)
            events = self._matcher(order.account, market).place(*ask_of(order))
            self._settle(market.symbol.name, events, now_ns, {order.spends})

    def _top_up(self, order: Order, market: MarketData) -> bool:
        """Lock what a triggered market buy costs beyond its stop price; returns whether there was enough."""
        if not order.at_market or order.side < 0:
            return True
        more = self._cost_now(order, market) - order.locked
        if more > order.account.balance(order.spends).free:
            return False
        if more > 0:
            order.account.lock(order.spends, more)
            order.locked += more
        return True

    def _settle(self, name: str, events: Iterable[Any], now_ns: int, touched: set[str]) -> list[Fill]:
        """Book what a symbol's matcher did, fills and expiries; then tell accounts their new balances."""
        fills: list[Fill] = []
        accounts: dict[str, set[str]] = {}
        for event in events:
            kind, order = event[m.EV_KIND], self.registry.orders[name, int(event[m.EV_KEY])]
            assets = accounts.setdefault(order.account.name, set(touched))
            if kind == m.FILL:
                fills += [self._fill(order, piece, now_ns) for piece in self._pieces(order, event)]
                assets |= {order.spends, order.receives}
            elif kind == m.EXPIRED:
                expiry = _EXPIRY["GTC" if order.at_market else order.tif]
                self._close(order, "EXPIRED", "EXPIRED", now_ns, expiry)
                assets.add(order.spends)
        for owner, assets in accounts.items():
            if assets:
                self.reporter.position(self.accounts[owner], assets, now_ns)
        return fills

    def _pieces(self, order: Order, event: Any) -> list[Any]:
        """Return a fill as the executions in which it comes: one, unless a fault cuts it."""
        if self.faults is None:
            return [event]
        pieces = []
        for lots in self.faults.pieces(order.symbol, int(event[m.EV_LOTS])):
            piece = event.copy()
            piece[m.EV_LOTS] = lots
            pieces.append(piece)
        return pieces

    def _fill(self, order: Order, event: Any, now_ns: int) -> Fill:
        """Book one execution."""
        symbol, account = order.symbol, order.account
        price, qty = int(event[m.EV_TICKS]) * symbol.tick, int(event[m.EV_LOTS]) * symbol.lot
        if order.executed == 0:
            account.orders.filled(now_ns)
        order.executed += qty
        order.quote_executed += notional(price, qty)
        order.updated_ns = now_ns
        order.status = "PARTIALLY_FILLED" if order.leaves else "FILLED"
        self._trade_ids[symbol.name] += 1
        fill = Fill(order, self._trade_ids[symbol.name], price, qty, bool(event[m.EV_MAKER]), now_ns)
        self._pay(fill)
        self.registry.fills.append(fill)
        if not order.leaves:
            self.registry.close(order)
        self.reporter.order(order, "TRADE", now_ns, fill=fill)
        return fill

    def _pay(self, fill: Fill) -> None:
        """Move the balances of one execution."""
        order, account = fill.order, fill.order.account
        paid = notional(fill.price, fill.qty)
        spent, got = (paid, fill.qty) if order.side > 0 else (fill.qty, paid)
        keep = order.locked - spent if order.leaves else 0
        if not order.at_market:
            keep = min(keep, order.cost(order.leaves))
        account.spend(order.spends, order.locked - keep, spent)
        order.locked = keep
        fill.commission = account.receive(order.receives, got, fill.is_maker)

    # --- after a restart ---
    def resume(self) -> None:
        """Go on with the orders that the registry was given: they wait where they did, or meet the market."""
        for fill in self.registry.fills:
            self._trade_ids[fill.order.symbol.name] = fill.trade_id
        for account in self.accounts.values():
            for order in self.registry.open_orders(account):
                if order.working:
                    key, side, _, price, leaves = ask_of(order)
                    name = order.symbol.name
                    events = self._matcher(account, self.market(name)).place(key, side, m.GTC, price, leaves)
                    self._settle(name, events, self.clock.now_ns(), set())
                else:
                    self._stops[order.symbol.name][order.order_id] = order

    # --- cancelling and amending ---
    def cancel(self, order: Order, client_id: str) -> None:
        """Take an open order off; its report bears `client_id`, the cancel's own id."""
        now_ns = self.clock.now_ns()
        if order.working:
            self._matcher(order.account, self.market(order.symbol.name)).cancel(order.order_id)
        else:
            del self._stops[order.symbol.name][order.order_id]
        self._close(order, "CANCELED", "CANCELED", now_ns, client_id=client_id)
        self.reporter.position(order.account, {order.spends}, now_ns)

    def amend(self, order: Order, qty: int, client_id: str) -> int:
        """Lower an open order's quantity, keeping its priority; returns the execution id."""
        now_ns = self.clock.now_ns()
        check_lot(qty, order.symbol)
        if qty > order.qty:
            raise ApiError(AMEND_REJECTED, "Order amend (quantity increase) is not supported.")
        if qty == order.qty or qty <= order.executed:
            raise ApiError(AMEND_REJECTED, "The requested action would change no state; rejecting.")
        price = order.price or order.stop_price
        if notional(price, qty) < order.symbol.notional_min:
            raise filter_failure("NOTIONAL")
        if order.amends >= order.symbol.amends_max:
            raise ApiError(AMEND_REJECTED, "Filter failure: MAX_NUM_ORDER_AMENDS")
        original = order.client_id
        self.registry.name(order, client_id)
        order.amends += 1
        order.qty = qty
        if order.working:
            self._matcher(order.account, self.market(order.symbol.name)).amend(order.order_id, order.leaves)
        keep = notional(price, order.leaves) if order.side > 0 else order.leaves
        order.account.unlock(order.spends, order.locked - keep)
        order.locked = keep
        order.updated_ns = now_ns
        self.reporter.order(order, "REPLACED", now_ns, original=original)
        self.reporter.position(order.account, {order.spends}, now_ns)
        return self.reporter.execution_id

    def _close(
        self, order: Order, status: str, kind: str, now_ns: int, expiry: str = "", client_id: str = ""
    ) -> None:
        """End an order with leaves: give back what is locked, and report it, a cancel under its own id."""
        order.account.unlock(order.spends, order.locked)
        order.locked = 0
        order.status = status
        order.updated_ns = now_ns
        self.registry.close(order)
        self.reporter.order(
            order, kind, now_ns, original=order.client_id if client_id else "", expiry=expiry, by=client_id
        )

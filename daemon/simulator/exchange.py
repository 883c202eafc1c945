"""The exchange's engine: places, matches, cancels and amends orders, moves balances, and says what happened.

Sans-IO: time and randomness are given, users' events leave through `emit`. Market events come in through MarketData,
whose matchers call back with the fills they caused. An operation either raises ApiError having changed nothing, or is
done whole.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from daemon.simulator.errors import (
    AMEND_REJECTED,
    CLIENT_ORDER_ID_INVALID,
    INVALID_MESSAGE,
    ApiError,
    bad_symbol,
    filter_failure,
    rejected,
)
from daemon.simulator.filters import check_lot, check_order
from daemon.simulator.marketdata import MarketData
from daemon.simulator.matching import Matcher
from daemon.simulator.order import Fill, Order, execution_report
from daemon.simulator.symbols import notional, text
from kernels import matcher as m

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random

    import numpy as np
    from numpy.typing import NDArray

    from daemon.seams import Clock
    from daemon.simulator.account import Account
    from daemon.simulator.newrequest import NewOrder
    from daemon.simulator.symbols import Symbol

#: closed orders and fills that can still be asked for
HISTORY_MAX: Final = 100_000
#: users' trade ids start here, clear of the ids of a tape's public trades
TRADE_ID_FIRST: Final = 900_000_000_000
_ID_CHARS: Final = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TIF: Final = {"GTC": m.GTC, "IOC": m.IOC, "FOK": m.FOK}
_EXPIRY: Final = {
    "IOC": "UNFILLED_IOC_QUANTITY_EXPIRED",
    "FOK": "UNFILLED_FOK_ORDER_EXPIRED",
    "GTC": "INSUFFICIENT_LIQUIDITY",
}


class Exchange:
    """All symbols, accounts and orders of the simulated exchange.

    `emit(account, event)` is told every user data event in the order in which it happened.
    """

    def __init__(
        self, symbols: Iterable[Symbol], accounts: Iterable[Account], clock: Clock, random: Random
    ) -> None:
        self.clock = clock
        self.accounts = {account.name: account for account in accounts}
        self.markets = {symbol.name: MarketData(symbol) for symbol in symbols}
        self.emit: Callable[[str, dict[str, Any]], None] = lambda _, __: None
        self.on_depth_served: Callable[[str], None] = lambda _: None
        self.orders: dict[int, Order] = {}
        self.fills: deque[Fill] = deque(maxlen=HISTORY_MAX)
        self.by_client: dict[tuple[str, str], Order] = {}
        self._open: dict[int, Order] = {}
        self._stops: dict[str, dict[int, Order]] = {name: {} for name in self.markets}
        self._matchers: dict[tuple[str, str], Matcher] = {}
        self._random = random
        self._order_id = 0
        self._trade_id = TRADE_ID_FIRST
        self._execution_id = 0
        for market in self.markets.values():
            market.on_trade = self._trigger

    # --- looking up ---
    def market(self, symbol: str) -> MarketData:
        """Return a listed market; raises ApiError -1121."""
        found = self.markets.get(symbol)
        if found is None:
            raise bad_symbol()
        return found

    def open_orders(self, account: Account, symbol: str | None = None) -> list[Order]:
        """Return the account's open orders, oldest first."""
        return [
            order
            for order in self._open.values()
            if order.account is account and (symbol is None or order.symbol.name == symbol)
        ]

    def find(self, account: Account, symbol: str, order_id: int | None, client_id: str) -> Order | None:
        """Return the order by its id or its client id (the latest that bore it), open or not."""
        if order_id is not None:
            order = self.orders.get(order_id)
        else:
            order = self.by_client.get((account.name, client_id))
        if order is None or order.account is not account or order.symbol.name != symbol:
            return None
        if order_id is not None and client_id and order.client_id != client_id:
            raise ApiError(CLIENT_ORDER_ID_INVALID, "Client order ID is not correct for this order ID.")
        return order

    # --- placing ---
    def check(self, account: Account, market: MarketData, new: NewOrder) -> None:
        """Raise ApiError when the order would be refused before it reaches the book."""
        if market.symbol.status != "TRADING":
            raise ApiError(INVALID_MESSAGE, "Market is closed.")
        check_order(new, market, self.open_orders(account, market.symbol.name))
        known = self.by_client.get((account.name, new.client_id))
        if new.client_id and known is not None and known.open:
            raise rejected("Duplicate order sent.")
        if new.stop_price and _reached(new.type, new.side, new.stop_price, market.last_price):
            raise rejected("Order would trigger immediately.")

    def place(self, account: Account, market: MarketData, new: NewOrder) -> tuple[Order, list[Fill]]:
        """Take a new order; returns it with the fills it met at once."""
        now_ns = self.clock.now_ns()
        account.orders.check(now_ns)
        self.check(account, market, new)
        order = Order(market.symbol, account, self._order_id + 1, new.client_id or self.new_id(), now_ns)
        order.side, order.type, order.tif = new.side, new.type, new.tif
        order.price, order.qty, order.stop_price = new.price, new.qty, new.stop_price
        order.quote_qty, order.stp, order.strategy = new.quote_qty, new.stp, new.strategy
        if new.type == "LIMIT_MAKER" and self._crossing(order):
            raise rejected("Order would immediately match and take.")
        self._fund(order, market)
        fills = self._accept(order, market, now_ns)
        return order, fills

    def _fund(self, order: Order, market: MarketData) -> None:
        """Lock what the order may cost; raises ApiError -2010 when there is too little."""
        if order.type == "MARKET":
            if order.quote_qty:
                order.qty = self._affordable(order, market)
            if order.side > 0:
                order.locked = sum(notional(price, qty) for price, qty in self._trial(order, market))
            else:
                order.locked = order.qty
        elif order.side > 0:
            order.locked = notional(order.price or order.stop_price, order.qty)
        else:
            order.locked = order.qty
        order.account.lock(order.spends, order.locked)

    def _affordable(self, order: Order, market: MarketData) -> int:
        """Return the quantity that `quote_qty` buys or brings at the displayed prices, in whole lots."""
        budget, lot, bought = order.quote_qty, order.symbol.lot, 0
        for price, qty in self._trial(order, market):
            affordable = budget * 10**8 // price // lot * lot
            bought += min(qty, affordable)
            budget -= notional(price, min(qty, affordable))
            if affordable <= qty:
                break
        if not bought:
            raise rejected("Order book liquidity is less than `LOT_SIZE` filter minimum quantity.")
        return bought

    def _trial(self, order: Order, market: MarketData) -> list[tuple[int, int]]:
        qty = order.qty or order.symbol.qty_max
        return self._matcher(order.account, market).trial(order.order_id, order.side, qty)

    def _accept(self, order: Order, market: MarketData, now_ns: int) -> list[Fill]:
        """Give the order its number, then its life: waiting for its trigger, or live in the book."""
        account = order.account
        if order.is_stop:
            self._enter(order, now_ns)
            self._stops[market.symbol.name][order.order_id] = order
            self._report(order, "NEW", now_ns)
            self._position(account, {order.spends}, now_ns)
            return []
        post_only = order.type == "LIMIT_MAKER"
        tif = m.POST_ONLY if post_only else m.MARKET if order.at_market else _TIF[order.tif]
        prevented = self._prevent(order, now_ns)
        events = [] if prevented else self._matcher(account, market).place(*self._key(order, tif))
        if len(events) and events[0][m.EV_KIND] == m.REJECTED:
            account.unlock(order.spends, order.locked)
            raise rejected(
                "Order would immediately match and take." if post_only else "Unsupported order combination"
            )
        self._enter(order, now_ns)
        order.working, order.working_ns = True, now_ns
        self._report(order, "NEW", now_ns)
        if prevented:
            self._close(order, "EXPIRED_IN_MATCH", "TRADE_PREVENTION", now_ns)
            self._position(account, {order.spends}, now_ns)
            return []
        return self._settle(events, now_ns, {order.spends})

    def _enter(self, order: Order, now_ns: int) -> None:
        """Number and index an order that was accepted, and forget the oldest closed ones."""
        self._order_id = order.order_id
        order.account.orders.count(now_ns)
        self.orders[order.order_id] = self._open[order.order_id] = order
        self.by_client[order.account.name, order.client_id] = order
        if len(self.orders) > HISTORY_MAX:
            oldest = next(known for known in self.orders.values() if not known.open)
            del self.orders[oldest.order_id]
            if self.by_client.get((oldest.account.name, oldest.client_id)) is oldest:
                del self.by_client[oldest.account.name, oldest.client_id]

    def _key(self, order: Order, tif: int) -> tuple[int, int, int, int, int]:
        return order.order_id, order.side, tif, order.price, order.leaves

    # --- self-trade prevention ---
    def _crossing(self, order: Order) -> list[Order]:
        """Return the account's own working orders that the order would meet."""
        return [
            other
            for other in self.open_orders(order.account, order.symbol.name)
            if other.working
            and other.side == -order.side
            and (order.at_market or (order.price - other.price) * order.side >= 0)
        ]

    def _prevent(self, order: Order, now_ns: int) -> bool:
        """Expire what must not meet its own account's orders; returns whether that is the new order itself."""
        if order.stp == "NONE":
            return False
        crossing = self._crossing(order)
        if crossing and order.stp in ("EXPIRE_MAKER", "EXPIRE_BOTH"):
            for other in crossing:
                self._matcher(other.account, self.market(other.symbol.name)).cancel(other.order_id)
                self._close(other, "EXPIRED_IN_MATCH", "TRADE_PREVENTION", now_ns)
        return bool(crossing) and order.stp in ("EXPIRE_TAKER", "EXPIRE_BOTH")

    # --- what the market does to orders ---
    def _matcher(self, account: Account, market: MarketData) -> Matcher:
        key = (account.name, market.symbol.name)
        found = self._matchers.get(key)
        if found is None:
            found = self._matchers[key] = Matcher(market, self._on_market_events)
        return found

    def _on_market_events(self, events: NDArray[np.int64]) -> None:
        self._settle(events, self.clock.now_ns(), set())

    def _trigger(self, market: MarketData) -> None:
        """Set off the stops that the last trade reached."""
        stops = self._stops[market.symbol.name]
        reached = [o for o in stops.values() if _reached(o.type, o.side, o.stop_price, market.last_price)]
        for order in reached:
            del stops[order.order_id]
            now_ns = self.clock.now_ns()
            order.updated_ns = order.working_ns = now_ns
            order.working = True
            if not self._refund(order, market):
                self._close(order, "EXPIRED", "EXPIRED", now_ns, "REJECTED")
                self._position(order.account, {order.spends}, now_ns)
                continue
            self._report(order, "NEW", now_ns)
            tif = m.MARKET if order.at_market else _TIF[order.tif]
            self._settle(
                self._matcher(order.account, market).place(*self._key(order, tif)), now_ns, {order.spends}
            )

    def _refund(self, order: Order, market: MarketData) -> bool:
        """Lock what a triggered market buy costs beyond its stop price; returns whether there was enough."""
        if not order.at_market or order.side < 0:
            return True
        cost = sum(notional(price, qty) for price, qty in self._trial(order, market))
        if cost <= order.locked:
            return True
        more = cost - order.locked
        if order.account.balance(order.spends).free < more:
            return False
        order.account.lock(order.spends, more)
        order.locked = cost
        return True

    def _settle(self, events: Iterable[Any], now_ns: int, touched: set[str]) -> list[Fill]:
        """Book the matcher's events: fills and expiries; then tell each account its new balances."""
        fills: list[Fill] = []
        accounts: dict[str, set[str]] = {}
        for event in events:
            kind, order = event[m.EV_KIND], self.orders[int(event[m.EV_KEY])]
            assets = accounts.setdefault(order.account.name, set(touched))
            if kind == m.FILL:
                fills.append(self._fill(order, event, now_ns))
                assets |= {order.spends, order.receives}
            elif kind == m.EXPIRED:
                self._close(
                    order, "EXPIRED", "EXPIRED", now_ns, _EXPIRY["GTC" if order.at_market else order.tif]
                )
                assets.add(order.spends)
        for name, assets in accounts.items():
            if assets:
                self._position(self.accounts[name], assets, now_ns)
        return fills

    def _fill(self, order: Order, event: Any, now_ns: int) -> Fill:
        """Book one execution."""
        symbol, account = order.symbol, order.account
        price, qty = int(event[m.EV_TICKS]) * symbol.tick, int(event[m.EV_LOTS]) * symbol.lot
        is_maker = bool(event[m.EV_MAKER])
        first = order.executed == 0
        paid = notional(price, qty)
        spent, got = (paid, qty) if order.side > 0 else (qty, paid)
        order.executed += qty
        order.quote_executed += paid
        keep = 0 if order.executed == order.qty else max(order.locked - spent, 0)
        if not order.at_market and order.leaves:
            keep = min(order.locked - spent, order.cost(order.leaves))
        account.spend(order.spends, order.locked - keep, spent)
        order.locked = keep
        commission = account.receive(order.receives, got, is_maker)
        self._trade_id += 1
        fill = Fill(order, self._trade_id, price, qty, commission, is_maker, now_ns)
        self.fills.append(fill)
        order.updated_ns = now_ns
        order.status = "FILLED" if order.leaves == 0 else "PARTIALLY_FILLED"
        if order.leaves == 0:
            self._open.pop(order.order_id, None)
        if first:
            account.orders.filled(now_ns)
        self._report(order, "TRADE", now_ns, fill=fill)
        return fill

    # --- cancelling and amending ---
    def cancel(self, order: Order, client_id: str) -> None:
        """Take an open order off; its report bears `client_id`, the cancel's own id."""
        now_ns = self.clock.now_ns()
        if order.is_stop and not order.working:
            del self._stops[order.symbol.name][order.order_id]
        else:
            self._matcher(order.account, self.market(order.symbol.name)).cancel(order.order_id)
        self._close(order, "CANCELED", "CANCELED", now_ns, client_id=client_id)
        self._position(order.account, {order.spends}, now_ns)

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
        original, order.client_id = order.client_id, client_id
        self.by_client[order.account.name, client_id] = order
        order.amends += 1
        order.qty = qty
        if order.working:
            self._matcher(order.account, self.market(order.symbol.name)).amend(order.order_id, order.leaves)
        keep = notional(price, order.leaves) if order.side > 0 else order.leaves
        keep = min(keep, order.locked)
        order.account.unlock(order.spends, order.locked - keep)
        order.locked = keep
        order.updated_ns = now_ns
        self._report(order, "REPLACED", now_ns, original=original)
        self._position(order.account, {order.spends}, now_ns)
        return self._execution_id

    def _close(
        self, order: Order, status: str, kind: str, now_ns: int, expiry: str = "", client_id: str = ""
    ) -> None:
        """End an order with leaves: give back what is locked, and report."""
        order.account.unlock(order.spends, order.locked)
        order.locked = 0
        order.status = status
        order.updated_ns = now_ns
        self._open.pop(order.order_id, None)
        if client_id:
            original, order.client_id = order.client_id, client_id
            self._report(order, kind, now_ns, original=original)
            order.client_id = original
        else:
            self._report(order, kind, now_ns, expiry=expiry)

    # --- saying so ---
    def _report(self, order: Order, kind: str, now_ns: int, **details: Any) -> None:
        self._execution_id += 1
        self.emit(order.account.name, execution_report(order, kind, self._execution_id, now_ns, **details))

    def _position(self, account: Account, assets: set[str], now_ns: int) -> None:
        account.updated_ns = now_ns
        now_ms = now_ns // 1_000_000
        rows = []
        for asset in sorted(assets):
            balance = account.balance(asset)
            rows.append({"a": asset, "f": text(balance.free), "l": text(balance.locked)})
        self.emit(account.name, {"e": "outboundAccountPosition", "E": now_ms, "u": now_ms, "B": rows})

    def deposit(self, account: Account, asset: str, amount: int) -> None:
        """Change what is free from outside, as a transfer does."""
        now_ms = self.clock.now_ns() // 1_000_000
        account.deposit(asset, amount)
        self.emit(
            account.name, {"e": "balanceUpdate", "E": now_ms, "a": asset, "d": text(amount), "T": now_ms}
        )

    def new_id(self) -> str:
        """Return a client order id as the exchange makes them."""
        return "".join(self._random.choices(_ID_CHARS, k=22))


def _reached(kind: str, side: int, stop_price: int, last_price: int) -> bool:
    """Whether the last price sets a stop off: a stop-loss buys when it rises, a take-profit when it falls."""
    if not last_price:
        return False
    rises = (side > 0) == kind.startswith("STOP_LOSS")
    return last_price >= stop_price if rises else last_price <= stop_price

"""All orders the exchange knows, by symbol and number and by client id, and the fills they had.

Numbers are counted in each symbol, as the exchange does, so that two orders may well bear the same one.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from daemon.simulator.errors import CLIENT_ORDER_ID_INVALID, ApiError

if TYPE_CHECKING:
    from daemon.simulator.account import Account
    from daemon.simulator.order import Fill, Order

#: orders and fills that can still be asked for
HISTORY_MAX: Final = 100_000


class Registry:
    """Orders open and closed; the oldest closed ones are forgotten past HISTORY_MAX."""

    def __init__(self) -> None:
        self.orders: dict[tuple[str, int], Order] = {}  # by symbol and number
        self.fills: deque[Fill] = deque(maxlen=HISTORY_MAX)
        self.last_ids: Counter[str] = Counter()  # of orders, by symbol
        self._by_client: dict[tuple[str, str], Order] = {}
        self._open: dict[tuple[str, int], Order] = {}

    def enter(self, order: Order) -> None:
        """Take an accepted order in."""
        self.last_ids[order.symbol.name] = order.order_id
        self.orders[order.key] = self._open[order.key] = order
        self.name(order, order.client_id)
        if len(self.orders) > HISTORY_MAX:
            self._forget(next(known for known in self.orders.values() if not known.open))

    def _forget(self, order: Order) -> None:
        del self.orders[order.key]
        key = (order.account.name, order.client_id)
        if self._by_client.get(key) is order:
            del self._by_client[key]

    def name(self, order: Order, client_id: str) -> None:
        """Let an order be found by another client id too (an amended order gets a new one)."""
        order.client_id = client_id
        self._by_client[order.account.name, client_id] = order

    def close(self, order: Order) -> None:
        """Take an order off the open ones."""
        self._open.pop(order.key, None)

    def open_orders(self, account: Account, symbol: str | None = None) -> list[Order]:
        """Return the account's open orders, oldest first."""
        return [
            order
            for order in self._open.values()
            if order.account is account and (symbol is None or order.symbol.name == symbol)
        ]

    def bears(self, account: Account, client_id: str) -> Order | None:
        """Return the latest order that bore the client id."""
        return self._by_client.get((account.name, client_id))

    def find(self, account: Account, symbol: str, order_id: int | None, client_id: str) -> Order | None:
        """Return the order by its number, or by its client id, open or not.

        Raises ApiError -2039 when both are given and do not belong together.
        """
        if order_id is None:
            order = self.bears(account, client_id)
        else:
            order = self.orders.get((symbol, order_id))
        if order is None or order.account is not account or order.symbol.name != symbol:
            return None
        if order_id is not None and client_id and order.client_id != client_id:
            raise ApiError(CLIENT_ORDER_ID_INVALID, "Client order ID is not correct for this order ID.")
        return order

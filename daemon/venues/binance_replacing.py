"""Binance Spot, moving resting orders by `order.cancelReplace`: one request, and no time without a quote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.errors import NetError
from daemon.venues.binance import BinanceVenue
from daemon.venues.binance_session import CANCEL, PLACE, REPLACE, Asked

if TYPE_CHECKING:
    from daemon.orders.order import Order


class ReplacingBinanceVenue(BinanceVenue):
    """A venue (daemon/venues/base.py) on Binance Spot that can replace."""

    can_replace = True

    def replace(self, old: Order, new: Order) -> None:
        """Cancel the old order and, where that succeeds, place the new one.

        Where the limits have no room for an order the old one is cancelled alone.
        """
        now_ns, session = self._now(), self._session
        time_ms = self.server.time_ms(now_ns)
        refusal = "the venue is down"
        if session is None or (
            refusal := self.budget.take_order(time_ms, self._weights[REPLACE], reduces=new.reduces)
        ):
            self._refuse(PLACE, new, refusal, now_ns)
            self.cancel(old)
            return
        self._request_id = number = self._request_id + 1
        asked = Asked(REPLACE, new, now_ns, old=old)
        try:
            session.ask(number, asked, self._requests.replace(number, new, old, time_ms))
        except NetError as error:
            self._refuse(PLACE, new, str(error), now_ns)
            self._refuse(CANCEL, old, str(error), now_ns)

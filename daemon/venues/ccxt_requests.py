"""Requests about orders, in ccxt's unified words. What is said here holds for every exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kernels.dtypes import REST, SELL, STOP, TARGET

if TYPE_CHECKING:
    from daemon.instruments import Instrument
    from daemon.venues.ccxt_ids import ClientIds

_PARAMS: Final[dict[int, dict[str, Any]]] = {TARGET: {"timeInForce": "IOC"}, REST: {"postOnly": True}}


class Requests:
    """What is asked of an exchange about one order; each call is one request that writes, or only reads."""

    def __init__(self, client: Any, ids: ClientIds) -> None:
        self.client = client
        self.ids = ids
        self.form = ids.form
        #: what ccxt is told: in its own words, or in the exchange's where it has none (`rehearse` finds out)
        self.id_word = "clientOrderId"
        self.words = dict(_PARAMS)
        #: whether an order whose number is not known can be cancelled and asked about (`rehearse` finds out)
        self.cancels_by_id = False
        self.tells_by_id = False

    async def create(
        self, instrument: Instrument, kind: int, side: int, price: str, qty: str, client_order_id: str
    ) -> Any:
        """Place an order: a limit that takes or goes, a limit that only makes, or a stop that then takes."""
        params: dict[str, Any] = {self.id_word: self._said(client_order_id)}
        way = "sell" if side == SELL else "buy"
        if kind == STOP:
            params["stopLossPrice"] = price
            return await self.client.create_order(instrument.symbol, "market", way, qty, None, params)
        params |= self.words[kind]
        return await self.client.create_order(instrument.symbol, "limit", way, qty, price, params)

    async def cancel_number(self, symbol: str, number: str, client_order_id: str) -> Any:
        """Cancel an order by the exchange's number."""
        return await self.client.cancel_order(number, symbol, self._mark(client_order_id))

    async def cancel_id(self, symbol: str, client_order_id: str) -> Any:
        """Cancel an order by our id."""
        params = {"clientOrderId": self._said(client_order_id), **self._mark(client_order_id)}
        return await self.client.cancel_order(None, symbol, params)

    async def fetch_number(self, symbol: str, number: str) -> Any:
        """Return an order by the exchange's number."""
        return await self.client.fetch_order(number, symbol)

    async def fetch_id(self, symbol: str, client_order_id: str) -> Any:
        """Return an order by our id."""
        return await self.client.fetch_order(None, symbol, {"clientOrderId": self._said(client_order_id)})

    def _said(self, client_order_id: str) -> str | int:
        theirs = self.ids.theirs(client_order_id)
        return int(theirs) if self.form.id_kind == "number" else theirs

    def _mark(self, client_order_id: str) -> dict[str, str]:
        """Keep a cancel from calling the order something we cannot read."""
        ids, name = self.ids, self.form.id_cancel
        return {name: ids.theirs(client_order_id) + ids.cancel_mark} if name else {}

"""Hearing of orders without being told: the private streams of ccxt.pro, and looking.

ccxt loses events while a stream is down, and a stream that is silently stuck raises nothing. So open orders
are compared with the exchange's list every second without a stream and every five with one, and the exchange
is asked every five seconds whether it is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from daemon.errors import FrameError
from daemon.orders.order import State
from daemon.pause import Backoff, pause
from daemon.venues.ccxt_errors import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from daemon.instruments import Instrument
    from daemon.orders.order import Order
    from daemon.seams import Seams
    from daemon.venues.ccxt_account import Account
    from daemon.venues.ccxt_rows import Rows

BACKOFF_S_FIRST: Final = 0.25
BEAT_NS: Final = 5_000_000_000
LOOK_S: Final = 1.0
LOOK_NS_STREAM: Final = 5_000_000_000
#: their answer, or the manager's queries, tell of these
_WAITING: Final = frozenset({State.PENDING_NEW, State.UNKNOWN})


class Owner(Protocol):
    """Who hears of it: the venue."""

    up: bool
    live: dict[str, Order]  # what may still change, by our id

    async def look(self, order: Order) -> None:
        """Ask about an order."""

    def on_order_event(self, raw: Any) -> None:
        """Take an order of a stream."""

    def on_trade_event(self, raw: Any) -> None:
        """Take a trade of a stream."""

    def on_frame_error(self, error: FrameError) -> None:
        """Count what could not be read."""

    def on_alive(self) -> None:
        """Learn that the exchange answers."""

    def on_lost(self, reason: str) -> None:
        """Learn that it does not."""


class Watch:
    """Listens and looks, for as long as its coroutines run."""

    def __init__(
        self,
        client: Any,
        account: Account,
        rows: Rows,
        instruments: Sequence[Instrument],
        seams: Seams,
        owner: Owner,
        backoff_s_max: float,
    ) -> None:
        self.streams_up = 0
        self.losses = 0  # of streams
        self._client = client
        self._account = account
        self._rows = rows
        self._instruments = instruments
        self._seams = seams
        self._owner = owner
        self._backoff_s_max = backoff_s_max

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """Return what must run."""
        client, owner = self._client, self._owner
        work = [self._keep()]
        if client.has.get("watchOrders") is True:
            work.append(self._listen(client.watch_orders, owner.on_order_event))
        if client.has.get("watchMyTrades") is True:
            work.append(self._listen(client.watch_my_trades, owner.on_trade_event))
        return work

    async def ask_time(self) -> None:
        """Ask whether the exchange is there, and what its clock says where it tells; raises ccxt's errors."""
        if self._client.has.get("fetchTime") is True:
            await self._client.load_time_difference()
        else:
            await self._client.fetch_balance()

    async def _keep(self) -> None:
        clock, owner = self._seams.clock, self._owner
        beat_ns = look_ns = clock.mono_ns()
        backoff = Backoff(BACKOFF_S_FIRST, BEAT_NS / 1e9, self._seams.random)
        while True:
            await pause(self._seams, LOOK_S if owner.up else backoff.next_s())
            now_ns = clock.mono_ns()
            try:
                if now_ns - beat_ns >= BEAT_NS or not owner.up:  # one look that failed keeps nothing back
                    beat_ns = now_ns
                    await self.ask_time()
                    owner.on_alive()
                if owner.up and (not self.streams_up or now_ns - look_ns >= LOOK_NS_STREAM):
                    look_ns = now_ns
                    differing = await self._differing()
                    backoff.reset()
                else:
                    differing = []
            except Exception as error:  # ccxt raises whatever an odd answer makes of it
                owner.on_lost(reason_of(error))
                continue
            for order in differing:
                await owner.look(order)

    async def _differing(self) -> list[Order]:
        """Return our open orders that are not at the exchange as we believe."""
        live = self._owner.live
        for name in [
            name for name, order in live.items() if order.state.terminal and order.state < State.VOID
        ]:
            del live[name]
        mine = [one for one in live.values() if one.venue_order_id and one.state not in _WAITING]
        found = []
        for index in sorted({order.instrument for order in mine}):
            instrument = self._instruments[index]
            listed = {str(raw.get("id")): raw for raw in await self._account.open_orders(instrument.symbol)}
            for order in mine:
                raw = listed.get(order.venue_order_id)
                if order.instrument == index and (
                    raw is None or (self._rows.order(raw, instrument).cum_lots or 0) > order.filled_lots
                ):
                    found.append(order)
        return found

    async def _listen(
        self, listen: Callable[[], Coroutine[Any, Any, Any]], take: Callable[[Any], None]
    ) -> None:
        """Take a private stream's events; one that fails is opened again, later and later."""
        backoff = Backoff(BACKOFF_S_FIRST, self._backoff_s_max, self._seams.random)
        while True:
            self.streams_up += 1
            try:
                while True:
                    rows = await listen()
                    backoff.reset()
                    for raw in rows:
                        self._hand_over(raw, take)
            except Exception:  # as above; until it is open again, looking tells
                self.losses += 1
            finally:
                self.streams_up -= 1
            await pause(self._seams, backoff.next_s())

    def _hand_over(self, raw: Any, take: Callable[[Any], None]) -> None:
        try:
            take(raw)
        except FrameError as error:  # it may have been a fill: the next look at the order tells
            self._owner.on_frame_error(error)

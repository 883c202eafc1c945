"""A dead man's switch at an exchange of ccxt: armed before the first order, ended once nothing of ours rests.

All orders of the account are under it, whoever sent them: ccxt's exchanges count for an account, not for the
orders of a program. So it is ended where nothing of ours is left, and another's orders stand. What is left is
asked of the exchange: an earlier run's countdown is under way when a start fails, which may not take it away.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Protocol

from daemon.errors import ConfigError, NetError, VenueError
from daemon.orders.order import State
from daemon.pause import within
from daemon.venues.ccxt_client import TICKET, Ticket, fields
from daemon.venues.ccxt_errors import DEFINITE, reason_of
from daemon.venues.ccxt_exchanges import COUNTDOWNS
from daemon.venues.ccxt_start import dry_run
from daemon.venues.dead_man import DeadManSwitch

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from daemon.instruments import Instrument
    from daemon.orders.order import Order
    from daemon.seams import Seams
    from daemon.venues.ccxt_account import Account
    from daemon.venues.ccxt_client import CcxtSettings

#: so long a look at what rests may take at the end
_LOOK_S: Final = 5.0


class Owner(Protocol):
    """Whose orders are under it: the venue."""

    up: bool
    live: dict[str, Order]  # what may still change, by our id

    def on_unrenewed(self, text: str) -> None:
        """Learn that it is running out."""


class CcxtDeadMan:
    """Counts down at one exchange, or does nothing where no countdown is configured."""

    def __init__(
        self,
        client: Any,
        account: Account,
        instruments: Sequence[Instrument],
        settings: CcxtSettings,
        seams: Seams,
        owner: Owner,
    ) -> None:
        self._client = client
        self._account = account
        self._instruments = instruments
        self._seams = seams
        self._wait_ms = settings.countdown_ms
        self._owner = owner
        self._begun = False
        self._switch = DeadManSwitch(self._wait_ms, self._tell, self._can_cancel, owner.on_unrenewed, seams)

    async def begin(self) -> None:
        """Arm it. Raises ConfigError where the exchange has none, NetError where it did not answer."""
        if not self._wait_ms:
            return
        await self._check()
        try:
            await self._switch.begin()
        except VenueError as error:
            raise ConfigError(
                f"{self._client.id} does not count down ({error}): venue.dead_man_s must be 0 there"
            ) from None
        self._begun = True

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """Return what must run to keep it from running out."""
        return [self._switch.keep()] if self._wait_ms else []

    async def end(self) -> None:
        """Disarm it where nothing can rest in our symbols; else it goes on, and cancels what was left."""
        ended = all(order.state.terminal and order.state < State.VOID for order in self._owner.live.values())
        if not (self._begun and ended):
            return
        try:
            rests = await within(self._seams, _LOOK_S, self._rests())
        except Exception:  # as in `_tell`; nobody knows, so the exchange goes on counting
            return
        if not rests:
            await self._switch.end()

    async def _rests(self) -> bool:
        for instrument in self._instruments:
            if await self._account.open_orders(instrument.symbol):
                return True
        return False

    def _can_cancel(self) -> bool:
        return self._owner.up and not self._client.still_s

    async def _check(self) -> None:
        """Raise ConfigError unless ccxt says to the exchange what we mean: so many seconds."""
        client, seconds = self._client, str(self._wait_ms // 1000)
        if client.has.get("cancelAllOrdersAfter") is not True:
            raise ConfigError(f"ccxt has no countdown of {client.id}, so venue.dead_man_s must be 0 there")
        fault = f"ccxt cannot begin a countdown at {client.id}"
        known = COUNTDOWNS[client.id]
        ticket = await dry_run(known.word, self._ask(self._wait_ms), fault, known.weight)
        if (known.word, seconds) not in ticket.fields or ticket.request.startswith("GET "):
            raise ConfigError(f"ccxt does not say to {client.id} that it should count {seconds} s")

    async def _tell(self, wait_ms: int) -> None:
        """Begin a countdown, or end it by 0; raises VenueError where that was refused, NetError otherwise."""
        TICKET.set(Ticket(patient=True, weight=COUNTDOWNS[self._client.id].weight))
        try:
            answer = await self._ask(wait_ms)
        except Exception as error:  # ccxt raises whatever an odd answer makes of it
            reason = reason_of(error)
            raise (VenueError(0, reason) if type(error) in DEFINITE else NetError(reason)) from None
        finally:
            TICKET.set(None)
        said = fields("", json.dumps(answer))
        when = {value for name, value in said if name == "triggerTime"} - {"", "0", "null"}
        if wait_ms and (not when or ("status", "FAILED") in said):  # BingX fails so
            raise VenueError(0, "it does not say when it would cancel")

    async def _ask(self, wait_ms: int) -> Any:
        market = COUNTDOWNS[self._client.id].market
        return await self._client.cancel_all_orders_after(wait_ms, {"type": market} if market else {})

"""Which symbols their exchange has open for trading: asked while there is a reason to doubt it, then alone.

An exchange takes no order in a symbol that is in a break, halted or delisted, whatever it is for, so none is
tried; its rejections would throw the kill switch. The reasons to doubt are what the rules said at the start,
and a rejection; one that says so closes at once. A closed symbol is asked about until it is open again.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from daemon.errors import TickdError
from daemon.orders.audit import Alarm
from daemon.pause import pause, within

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from daemon.events import ExecutionReport
    from daemon.instruments import Instrument
    from daemon.orders.manager import Orders
    from daemon.seams import Seams

    #: () -> the instruments as their exchange has them now, None where it did not say; may raise TickdError
    Ask = Callable[[], Awaitable[Sequence[Instrument] | None]]
    Take = Callable[[Sequence[tuple[int, str, str]]], object]

_log = structlog.get_logger(component="feed")

#: a closed symbol is asked about so often, and nothing more often than that
_CLOSED_S: Final = 5.0
_APART_S: Final = 2.0
#: where ccxt tells, by a list of all markets and with a coarse word for each: nothing more often than that
_COARSE_S: Final = 60.0
#: "Market is closed." of Spot, "Symbol is closed." of USD-M, ccxt's MarketClosed
_SAYS_CLOSED: Final = re.compile(r"(market|symbol) ?(is )?closed", re.IGNORECASE)


class SymbolWatch:
    """Closes and opens instruments as their exchange does; `run` is the task that asks."""

    def __init__(self, instruments: Sequence[Instrument], orders: Orders) -> None:
        self._now = orders.clock.now_ns
        self._instruments = list(instruments)
        self._risk = orders.risk
        self._tell = orders.tell
        self._doubt = asyncio.Event()
        self.take(instruments)

    def take(self, instruments: Sequence[Instrument]) -> None:
        """Take what the exchange says."""
        for one in instruments:
            self._instruments[one.index] = one
            was, closed = one.index in self._risk.suspended, not one.trading
            if closed and not was:
                self._close(one, one.status)
            elif was and not closed:
                self._risk.restore(one.index)
                _log.info("market_open", symbol=one.symbol)

    def take_statuses(self, statuses: Sequence[tuple[int, str, str]]) -> None:
        """Take what an exchange says of some: index, status, and which exchange it is."""
        known = self._instruments
        self.take(
            [
                msgspec.structs.replace(known[index], status=status, exchange=exchange)
                for index, status, exchange in statuses
            ]
        )

    def on_rejected(self, report: ExecutionReport) -> None:
        """Doubt: it may be why the venue rejected an order."""
        if report.unsent:
            return
        if report.instrument not in self._risk.suspended and _SAYS_CLOSED.search(report.reason):
            self._close(self._instruments[report.instrument], "closed")
        self._doubt.set()

    def _close(self, instrument: Instrument, status: str) -> None:
        self._risk.suspend(instrument.index)
        text = (
            f"{instrument.symbol} is {status} at {instrument.exchange}: no order leaves until it is TRADING"
        )
        self._tell(Alarm("market_closed", text, self._now()))

    async def run(self, ask: Ask, seams: Seams, take: Take, *, coarse: bool = False) -> None:
        """Ask while there is a reason to, until cancelled.

        take(statuses): what to do with the answer.
        coarse: a market may be told open that refuses orders as closed, which asking at once would not mend.
        """
        while True:
            if not self._risk.suspended:
                await self._doubt.wait()
            if self._risk.suspended and coarse:
                await pause(seams, _COARSE_S)
            elif self._risk.suspended:
                with suppress(TimeoutError):
                    await within(seams, _CLOSED_S, self._doubt.wait())
            self._doubt.clear()
            try:
                take(statuses_of(await ask() or ()))
            except TickdError as error:  # one that it lists no more, or no answer: as it was
                _log.warning("symbols_unknown", reason=str(error))
            await pause(seams, _COARSE_S if coarse and not self._risk.suspended else _APART_S)


def statuses_of(instruments: Sequence[Instrument]) -> list[tuple[int, str, str]]:
    """Return index, status and exchange of each."""
    return [(one.index, one.status, one.exchange) for one in instruments]

"""The ticks of a backtest through the daemon's own engine, order side and paper venue, on virtual time.

What comes out has the form of a compiled backtest's outcome, row for row, so that the two can be compared.
"""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from daemon.clock import VirtualTime
from daemon.errors import FileFormatError
from daemon.feeds.exchanges import find_exchange
from daemon.orders.audit import Filled, Sent
from daemon.tape.replay import AFTER_NS, assemble, begin
from daemon.tape.source import MarketFeed
from daemon.tape.ticks import read_ticks
from daemon.tape.ticks_feed import TickReader
from daemon.warm import warm_up
from kernels.backtest_state import FILL_ROW, SENT_ROW
from kernels.dtypes import AMEND, P_FEES, P_QTY, P_REALISED, PLACE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from daemon.config import Config
    from daemon.core import Core
    from daemon.instruments import Instrument
    from daemon.orders.audit import Audit
    from daemon.tape.ticks import Header


class Ended(NamedTuple):
    """What one way of running a strategy over ticks has come to."""

    sent: NDArray[np.void]  # SENT_ROW[n]; orders are numbered from 1
    fills: NDArray[np.void]  # FILL_ROW[n]
    memory: NDArray[np.void]  # of the strategy, array of length 1
    account: NDArray[np.float64]  # A_*, as it is shown to the strategy
    refusals: dict[int, int]  # by code
    halted: bool
    events: int


class _Listener:
    """Writes down what leaves and what is filled."""

    def __init__(self) -> None:
        self.core: Core | None = None
        self.sent: list[tuple[Any, ...]] = []
        self.fills: list[tuple[Any, ...]] = []

    def __call__(self, audit: Audit) -> None:
        """Hear of a step of an order."""
        if type(audit) is Sent:
            order = audit.order
            lots = {PLACE: order.qty_lots, AMEND: order.asked_lots}.get(audit.verb, 0)
            told = order.seq, order.kind, order.level, order.side, order.price_ticks, lots
            self.sent.append((audit.now_ns, audit.verb, *told))
        elif type(audit) is Filled and audit.order is not None:
            assert self.core is not None
            order, report = audit.order, audit.report
            position = self.core.runtimes[0].view("position")[0]
            told = order.seq, order.kind, order.side, report.last_ticks, report.last_lots, report.is_maker
            shown = tuple(float(position[column]) for column in (P_QTY, P_REALISED, P_FEES))
            equity = self.core.portfolio.worth.value
            self.fills.append((report.exch_ns, report.wire_ns, *told, *shown, equity))

    def rows(self) -> tuple[NDArray[np.void], NDArray[np.void]]:
        """Return it as tables."""
        sent, fills = np.array(self.sent, SENT_ROW), np.array(self.fills, FILL_ROW)
        if len(sent):
            before = int(sent["key"][0]) - 1
            sent["key"] -= before
            fills["key"] -= before
        return sent, fills


def replay_ticks(
    path: Path, config: Config, instrument: Instrument, header: Header, step: Callable[[str], object]
) -> Ended:
    """Run a configuration's one strategy over a folder of ticks; raises FileFormatError and ConfigError.

    A strategy that fails halts it, as it halts a daemon.
    """
    blocks = (block for block in read_ticks(path) if block.ticks.shape[1] + block.depth.shape[1])
    first = next(blocks, None)
    if first is None:
        raise FileFormatError(f"{path} holds no ticks: name another folder")
    reader, listener = TickReader(header), _Listener()
    event, _ = next(reader.events(first))
    time = VirtualTime(event.wire_ns)
    asyncio.run(warm_up(paper=True))
    market = MarketFeed(find_exchange(instrument.exchange, instrument.market), [instrument])
    core, feeds = assemble(config, [market], [instrument], time, step, [listener])
    listener.core, (feed,) = core, feeds
    begin(core, feeds, event.wire_ns)
    events = 0
    for block in chain([first], blocks):
        for event, last in reader.events(block):
            time.advance(event.wire_ns)
            feed.take(event, last=last)
            events += 1
    core.engine.stop()
    time.advance(time.now_ns() + AFTER_NS)
    sent, fills = listener.rows()
    return Ended(
        sent,
        fills,
        core.runtimes[0].memory,
        core.orders.desks[0].account.array,
        dict(core.engine.risk.refusals),
        core.engine.risk.latch is not None,
        events,
    )

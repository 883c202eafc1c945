"""Bugs that somebody could have made: each must be found, or the simulation proves nothing.

Each is a context manager that puts the bug into the production code for as long as it lasts, and names the
faults among which it shows best.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

from msgspec.structs import replace

from daemon import core, plans
from daemon.core import order_rules
from daemon.engine import Engine
from daemon.errors import NetError
from daemon.orders.crowd import Crowd
from daemon.orders.intents import SEAL, Approved
from daemon.orders.journal import Journal
from daemon.orders.lifecycle import Lifecycle
from daemon.orders.losses import LossWatch
from daemon.orders.manager import Orders
from daemon.orders.meeting import Meeting
from daemon.orders.order import State
from daemon.orders.records import ADOPT, PLACE
from daemon.orders.recovery import Recovery
from daemon.orders.risk import Risk
from daemon.orders.state import Event
from daemon.orders.trades import TradeIds
from daemon.orders.valuation import Valuation
from daemon.venues.binance_session import Session
from kernels.dtypes import (
    GATE_UNKNOWN_ORDER,
    M_ORDER_NOTIONAL_MAX,
    M_POSITION_NOTIONAL_MAX,
    TARGET,
    X_KIND,
    X_QTY_LOTS,
    X_REDUCES,
)
from kernels.dtypes import PLACE as PLACE_ACTION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulation.faults import Level


class Bug(NamedTuple):
    """One bug: how it is planted, and the kinds of faults that bring it out."""

    plant: Callable[[], Any]
    mix: dict[str, int]


@contextmanager
def _send_before_journal() -> Iterator[None]:
    append = Journal.append

    def late(self: Journal, body: bytes) -> None:
        if body[0] == PLACE:
            asyncio.get_running_loop().call_soon(append, self, body)
        else:
            append(self, body)

    with patch.object(Journal, "append", late):
        yield


@contextmanager
def _send_again_on_timeout() -> Iterator[None]:
    doubt = Lifecycle._on_doubt

    def again(self: Lifecycle, order: Any, report: Any) -> None:
        was = order.state
        doubt(self, order, report)
        if was is State.PENDING_NEW and self.doubts is not None and self.doubts._venue.up:
            self.doubts._venue.place(order)

    with patch.object(Lifecycle, "_on_doubt", again):
        yield


@contextmanager
def _over_on_timeout() -> Iterator[None]:
    doubt = Lifecycle._on_doubt

    def over(self: Lifecycle, order: Any, report: Any) -> None:
        if order.state is State.PENDING_NEW:
            self.step(order, Event.REJECTED, report.wire_ns)
        else:
            doubt(self, order, report)

    with patch.object(Lifecycle, "_on_doubt", over):
        yield


@contextmanager
def _no_dedupe() -> Iterator[None]:
    with patch.object(TradeIds, "add", lambda *_: True), patch.object(TradeIds, "has", lambda *_: False):
        yield


@contextmanager
def _no_reserve_for_unknown() -> Iterator[None]:
    step = Lifecycle.step

    def careless(self: Lifecycle, order: Any, event: Any, now_ns: int, report: Any = None) -> None:
        step(self, order, event, now_ns, report)
        if order.state is State.UNKNOWN:
            self._portfolio.reserve(order, 0)
            self.desks[order.strategy].free(order)
            self._risk.open(order.instrument, GATE_UNKNOWN_ORDER)

    collides = Crowd.collides

    def blind(self: Crowd, desk: Any, action: list[int], replaced: Any = None) -> int:
        before = self.live
        self.live = [[one for one in orders if one.state is not State.UNKNOWN] for orders in before]
        try:
            return collides(self, desk, action, replaced)
        finally:
            self.live = before

    with patch.object(Lifecycle, "step", careless), patch.object(Crowd, "collides", blind):
        yield


@contextmanager
def _run_number_not_durable() -> Iterator[None]:
    begun = Journal.sync_now

    async def later(self: Journal) -> None:
        if self.syncs or self.records > 2:
            await begun(self)

    with (
        patch.object(core, "next_run", lambda last, _: last + 1),
        patch.object(Journal, "sync_now", later),
    ):
        yield


@contextmanager
def _adoption_not_journalled() -> Iterator[None]:
    record = Orders.record

    def forgetful(self: Orders, body: bytes) -> None:
        if body[0] != ADOPT:
            record(self, body)

    with patch.object(Orders, "record", forgetful):
        yield


@contextmanager
def _half_open_not_noticed() -> Iterator[None]:
    def unheard(self: Session, request_id: int, asked: Any, payload: bytes) -> None:
        with suppress(NetError):
            self.ask(request_id, asked, payload)

    with patch.object(Session, "knock", unheard):
        yield


@contextmanager
def _strangers_left_alone() -> Iterator[None]:
    with patch.object(core, "order_rules", lambda venue: replace(order_rules(venue), foreign="ignore")):
        yield


@contextmanager
def _switch_forgotten() -> Iterator[None]:
    restore = Recovery.restore

    def forgetful(self: Recovery, history: Any) -> None:
        restore(self, history)
        self._orders.risk.set_latch(None)

    with patch.object(Recovery, "restore", forgetful):
        yield


@contextmanager
def _gapped_book_trusted() -> Iterator[None]:
    status = Engine.on_book_status

    def trusting(self: Engine, instrument: int, synced: bool, reason: str) -> None:
        status(self, instrument, synced or reason == "gap", reason)

    with patch.object(Engine, "on_book_status", trusting):
        yield


@contextmanager
def _closed_by_a_doubt_for_good() -> Iterator[None]:
    doubt = Lifecycle._doubt

    def lasting(self: Lifecycle, order: Any, now_ns: int, *, begins: bool) -> None:
        with patch.object(self._risk, "open", lambda *_: None):
            doubt(self, order, now_ns, begins=begins)

    with patch.object(Lifecycle, "_doubt", lasting):
        yield


@contextmanager
def _transfers_taken_for_profit() -> Iterator[None]:
    with patch.object(Valuation, "shift", lambda *_: None):
        yield


@contextmanager
def _reserve_kept() -> Iterator[None]:
    leave = Lifecycle._leave

    def miserly(self: Lifecycle, order: Any) -> None:
        with patch.object(self._portfolio, "reserve", lambda *_: None):
            leave(self, order)

    with patch.object(Lifecycle, "_leave", miserly):
        yield


@contextmanager
def _balances_not_compared() -> Iterator[None]:
    compare = Meeting._meet_balances

    def blind(self: Meeting, *told: Any) -> None:
        if self.first:
            compare(self, *told)

    with patch.object(Meeting, "_meet_balances", blind):
        yield


@contextmanager
def _no_limit(column: int) -> Iterator[None]:
    make = plans.new_memory

    def boundless(*args: Any, **more: Any) -> Any:
        memory = make(*args, **more)
        memory[0]["limits"][:, column] = inf
        return memory

    with patch.object(plans, "new_memory", boundless):
        yield


@contextmanager
def _orders_not_counted() -> Iterator[None]:
    with patch.object(Risk, "_spend", lambda *_: 0):
        yield


@contextmanager
def _losses_not_watched() -> Iterator[None]:
    with patch.object(LossWatch, "breach", lambda *_: ""):
        yield


@contextmanager
def _loss_forgotten() -> Iterator[None]:
    restore = Recovery.restore

    def forgetful(self: Recovery, history: Any) -> None:
        restore(self, history)
        self._orders.portfolio.rebase()

    with patch.object(Recovery, "restore", forgetful):
        yield


@contextmanager
def _placed_again_by_itself() -> Iterator[None]:
    take = Orders.take

    def eager(self: Orders, report: Any) -> None:
        order = self.life.find(report.client_order_id)
        take(self, report)
        if report.kind == "REJECTED" and order is not None and not self.restoring:
            action = [PLACE_ACTION, order.row, order.slot, order.kind, order.level, order.side]
            action += [order.price_ticks, order.qty_lots, int(order.reduces), 0, order.decided_half_ticks, 0]
            now_ns, desk = self.clock.now_ns(), self.desks[order.strategy]
            self._place(Approved(SEAL, 0, desk, action, order.instrument, now_ns))

    with patch.object(Orders, "take", eager):
        yield


@contextmanager
def _enlarged_after_approval() -> Iterator[None]:
    place = Orders._place

    def generous(self: Orders, approved: Approved, replaced: Any = None) -> Any:
        action = list(approved.action)
        action[X_QTY_LOTS] += action[X_KIND] == TARGET and not action[X_REDUCES]
        return place(self, replace(approved, action=action), replaced)

    with patch.object(Orders, "_place", generous):
        yield


_ANSWERS = {
    "mute": 4,
    "lose_answer": 6,
    "lose_request": 4,
    "lose_report": 4,
    "stall_orders": 3,
    "cut_orders": 4,
}

BUGS: dict[str, Bug] = {
    "send before journal": Bug(_send_before_journal, _ANSWERS),
    "re-send on timeout": Bug(_send_again_on_timeout, _ANSWERS),
    "terminal on timeout": Bug(_over_on_timeout, _ANSWERS),
    "no dedupe": Bug(_no_dedupe, {"repeat_report": 4, "cut_orders": 4, "kill": 3}),
    "no reserve for UNKNOWN": Bug(_no_reserve_for_unknown, {"mute": 1}),
    "run number not durable": Bug(_run_number_not_durable, {"blackouts": 1, "repeat_report": 9}),
    "adoption not journalled": Bug(_adoption_not_journalled, {"blackouts": 2, "slow_disk": 4, "kill": 6}),
    "strangers' orders left alone": Bug(_strangers_left_alone, {"foreign_order": 1}),
    "balances not compared": Bug(_balances_not_compared, {"transfer": 1}),
    "kill switch forgotten by a restart": Bug(_switch_forgotten, {"halt": 4, "kill": 4, "crash": 2}),
    "gapped book trusted": Bug(_gapped_book_trusted, {"depth_gap": 3, "rest_503": 2, "lag": 1}),
    "closed by a doubt for good": Bug(_closed_by_a_doubt_for_good, _ANSWERS),
    "transfers taken for profit": Bug(_transfers_taken_for_profit, {"transfer": 1}),
    "placed again by itself": Bug(_placed_again_by_itself, {"break": 2, "5xx_undone": 2, "maintenance": 1}),
    "enlarged after its approval": Bug(_enlarged_after_approval, {"partial_fill": 1}),
    "no limit on an order": Bug(partial(_no_limit, M_ORDER_NOTIONAL_MAX), {"partial_fill": 1}),
    "no limit on a position": Bug(partial(_no_limit, M_POSITION_NOTIONAL_MAX), {"partial_fill": 1}),
    "orders not counted": Bug(_orders_not_counted, {"partial_fill": 1}),
    "losses not watched": Bug(_losses_not_watched, {"partial_fill": 1}),
    "loss forgotten by a restart": Bug(_loss_forgotten, {"kill": 4, "crash": 2}),
}
#: what only an account of coins shows
SPOT_BUGS: dict[str, Bug] = {"reserves not given back": Bug(_reserve_kept, {"partial_fill": 1})}
#: what messages cannot show
BYTE_BUGS: dict[str, Bug] = {
    "half-open not noticed": Bug(_half_open_not_noticed, {"swallow": 1, "partial_fill": 2})
}
BUGS_OF: dict[Level, dict[str, Bug]] = {
    "messages": BUGS | SPOT_BUGS,
    "bytes": BUGS | SPOT_BUGS | BYTE_BUGS,
    "usdm": BUGS,
    "usdm-bytes": BUGS | BYTE_BUGS,
}

"""Names do not resolve and nothing can be reached: only the exchange's own answers end an order."""

from __future__ import annotations

from daemon.errors import NetError
from daemon.events import ExecutionReport
from daemon.meetings import Meetings
from daemon.orders.audit import Alarm
from daemon.orders.order import State
from daemon.venues.binance_session import Session
from kernels.dtypes import GATE_VENUE_DOWN
from tests.failures.stage import ignore, mutation, play

CUT_S = 30


def test_06_network_error():
    play(nothing_can_be_reached)
    play(only_the_account_cannot_be_seen)


async def nothing_can_be_reached(stage):
    stage.befall("lag", lasts_s=1.2, size=400_000_000)
    stage.want(stage.bid())
    await stage.until(lambda: stage.theirs, "the order is at the exchange", 2)
    assert stage.ours[0].state is State.PENDING_NEW, "the scene is another: it was answered already"
    stage.weather.http_share, stage.weather.http_fate = 1.0, "unresolved"
    stage.after(CUT_S, lambda: setattr(stage.weather, "http_fate", ""))
    for kind in ("cut_orders", "cut_market", "refuse_orders", "refuse_market"):
        stage.befall(kind, lasts_s=CUT_S)
    await stage.rest(1)
    stage.trade_through()
    for _ in range(10 * (CUT_S - 2)):
        await stage.rest(0.1)
        states = {order.state for order in stage.ours}
        assert states == {State.UNKNOWN}, "the order was dropped on an error of the network"
    stage.want()
    await stage.agree(60)
    assert stage.position[0] > 0
    stage.want(stage.hold(0.02))
    await stage.until(lambda: stage.position[0] > 0.015, "it trades again", 10)
    await stage.agree()


async def only_the_account_cannot_be_seen(stage):
    alarms = []
    stage.core.orders.observers.append(lambda audit: isinstance(audit, Alarm) and alarms.append(audit.kind))
    stage.go_wrong("http_5xx", of="rest", count=10**6, lasts_s=340)
    stage.want(stage.bid(below=0.02))
    await stage.rest(100)
    assert alarms == ["account_unseen"], f"who is to know that the account is not seen heard {alarms}"
    assert stage.ours[0].state is State.WORKING
    await stage.rest(230)
    assert stage.core.orders.risk.gate(0) == GATE_VENUE_DOWN, "risk is added to an account that nobody sees"
    assert alarms == ["account_unseen"]
    await stage.until(lambda: not stage.core.orders.risk.gate(0), "risk may be added again", 20)
    await stage.agree()


def _dropped(self, asked, reason):
    if asked.order is not None:
        self._owner.on_report(
            ExecutionReport(
                kind="REJECTED",
                client_order_id=asked.order.client_order_id,
                instrument=asked.order.instrument,
                wire_ns=self._clock.now_ns(),
                reason=reason,
            )
        )


_meet = Meetings.meet


async def _gives_up(self):
    if not getattr(self, "gave_up", False):
        try:
            await _meet(self)
        except NetError:
            self.gave_up = True
            raise


MUTATIONS = (
    mutation(
        Session,
        "_unknown",
        "a cut line rejects what was asked on it",
        _dropped,
        "the order was dropped on an error of the network",
    ),
    mutation(
        Meetings,
        "_go_unseen",
        "looks that fail are logged",
        ignore,
        "who is to know that the account is not seen",
    ),
    mutation(Meetings, "meet", "a snapshot that failed is not asked for again", _gives_up, "it trades again"),
)

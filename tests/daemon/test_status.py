from __future__ import annotations

import msgspec

from daemon.status import InstrumentStatus, Status


def make(**changes):
    return Status(name="t", mode="paper", version="1", state="READY", now_ns=1, uptime_s=1.0, **changes)


def test_events_and_pnl_are_sums_over_the_instruments():
    one = InstrumentStatus(
        symbol="A/B", trades=1, quotes=2, depths=3, snapshots=9, realised=5.0, unrealised=-1.0, fees=0.5
    )
    two = InstrumentStatus(symbol="C/B", trades=10, realised=1.0, fees=2.0)
    status = make(instruments=[one, two])
    assert status.events == 16
    assert status.pnl == 2.5


def test_a_snapshot_survives_its_own_json():
    status = make(instruments=[InstrumentStatus(symbol="A/B")], feed_errors={"json": 2})
    assert msgspec.json.decode(msgspec.json.encode(status), type=Status) == status


def test_two_snapshots_never_share_their_counters():
    one, two = make(), make()
    one.orders.by_state["WORKING"] = 1
    one.feed_errors["json"] = 1
    assert two.orders.by_state == {}
    assert two.feed_errors == {}

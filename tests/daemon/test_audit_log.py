from __future__ import annotations

import json

import pytest

from daemon.audit_log import AuditLog
from daemon.config import PaperConfig
from daemon.events import ExecutionReport
from daemon.logs import BURST_MAX, Logs
from daemon.orders.audit import Alarm, Filled
from kernels import dtypes as d


@pytest.fixture
def logged(new_floor, new_script):
    """Return a floor whose orders are logged, its script, and what gives the lines so far."""

    def make(**more):
        script = new_script()
        floor = new_floor(script, **more)
        written = []
        logs = Logs(floor.time, written.append, "info", "json")
        floor.core.orders.observers.append(AuditLog(logs, floor.instruments))

        def lines():
            logs.flush()
            return [json.loads(line) for line in b"".join(written).splitlines()]

        return floor, script, lines

    return make


def test_a_fill_is_one_line_in_exact_decimals(logged):
    paper = PaperConfig(latency_in_us=0, latency_out_us=0, balances={"USDT": 1000})
    floor, script, lines = logged(paper=paper)
    floor.open_market()
    script.target(0.30001, 100.02)
    floor.quote()
    floor.later(0.01)
    (line,) = lines()
    assert line == {
        "time": line["time"],
        "level": "info",
        "component": "orders",
        "event": "fill",
        "client_order_id": floor.sent()[0].client_order_id,
        "symbol": "BTC/USDT",
        "side": "buy",
        "price": "100.02",
        "qty": "0.30001",
        "fee": "0.00030001",
        "fee_asset": "BTC",
    }


def test_only_a_step_that_a_person_should_know_of_is_logged(logged):
    floor, script, lines = logged(latency_ms=3)
    floor.open_market()
    script.rest((d.BUY, 99.9, 1.0))
    floor.quote()
    floor.later(0.01)
    assert lines() == []  # it stands: no news
    script.rest((d.BUY, 99.9, 1.0), (d.BUY, 100.0, 1.0))
    floor.quote()
    floor.quote(99.95, 99.97)  # the second would take
    script.wants = None
    floor.later(0.01)
    (line,) = lines()
    assert (line["level"], line["event"], line["before"], line["after"]) == (
        "warning",
        "order",
        "PENDING_NEW",
        "REJECTED",
    )
    assert (line["reason"], line["code"]) == ("Order would immediately match and take.", -2010)


def test_an_order_of_unknown_fate_is_a_warning(logged):
    floor, script, lines = logged(latency_ms=9000)
    floor.open_market()
    script.rest((d.BUY, 99.9, 1.0))
    floor.quote()
    floor.later(3.0)
    assert [(line["level"], line["after"]) for line in lines()] == [("warning", "UNKNOWN")]


@pytest.mark.parametrize(
    ("reason", "code", "told"),
    [
        ("not sent: the venue is down", 0, {"reason": "not sent: the venue is down"}),
        ("", -2010, {"code": -2010}),
    ],
)
def test_why_an_order_was_rejected_stands_in_its_line(logged, reason, code, told):
    floor, script, lines = logged(latency_ms=9000)
    floor.open_market()
    script.rest((d.BUY, 99.9, 1.0))
    floor.quote()
    (order,) = floor.sent()
    floor.engine.on_report(
        ExecutionReport(
            kind="REJECTED",
            client_order_id=order.client_order_id,
            instrument=0,
            wire_ns=floor.time.now_ns(),
            reason=reason,
            code=code,
        )
    )
    (line,) = lines()
    assert {key: line[key] for key in ("reason", "code") if key in line} == told


def test_alarms_and_a_thrown_kill_switch_are_errors_and_its_reset_is_none(logged):
    floor, _, lines = logged()
    floor.engine.on_report(
        ExecutionReport(
            kind="TRADE",
            client_order_id="somebody-else",
            instrument=0,
            wire_ns=floor.time.now_ns(),
            trade_id=1,
            side=d.BUY,
            last_ticks=10_000,
            last_lots=5,
        )
    )
    floor.command("halt", "lunch")
    floor.command("resume")
    floor.core.orders.tell(Alarm("feed_back", "it comes again", floor.time.now_ns()))
    found = [
        {key: line.get(key) for key in ("level", "event", "kind", "halted", "reason")} for line in lines()
    ]
    # who resumes has the venue's word compared anew, and the stranger's trade is in its balances
    assert [one for one in found if one["event"] == "kill_switch"] == [
        {"level": "error", "event": "kill_switch", "kind": None, "halted": True, "reason": "lunch"},
        {"level": "info", "event": "kill_switch", "kind": None, "halted": False, "reason": ""},
    ]
    assert {
        "level": "error",
        "event": "alarm",
        "kind": "foreign_trade",
        "halted": None,
        "reason": None,
    } in found
    assert [one["level"] for one in found if one["kind"] == "feed_back"] == ["info"]


def test_a_burst_of_fills_is_counted_like_lines_and_put_in_words_no_more_than_is_written(logged, monkeypatch):
    floor, _, lines = logged()
    floor.open_market()
    log = floor.core.orders.observers[-1]
    report = ExecutionReport(
        kind="TRADE", client_order_id="x-1-1", instrument=0, wire_ns=1, side=1, last_ticks=7, last_lots=9
    )
    worded = []
    monkeypatch.setattr(floor.instruments[0].price.__class__, "text", lambda _, n: worded.append(n) or str(n))
    for _ in range(BURST_MAX + 500):
        log(Filled(None, report, floor.time.now_ns()))
    assert len(lines()) == BURST_MAX
    assert len(worded) == 2 * BURST_MAX
    floor.later(1.0)
    log(Filled(None, report, floor.time.now_ns()))
    assert lines()[-1]["suppressed"] == 500

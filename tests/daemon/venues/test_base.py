from __future__ import annotations

from types import SimpleNamespace

from daemon.venues.base import refusal_report

ORDER = SimpleNamespace(client_order_id="a-7-1", instrument=3)


def test_a_refusal_has_its_reason_and_claims_nothing_of_the_order():
    report = refusal_report(ORDER, "REJECTED", "not sent: the venue is down", 9)
    assert (report.kind, report.reason, report.wire_ns) == ("REJECTED", "not sent: the venue is down", 9)
    assert (report.venue_order_id, report.cum_lots, report.status) == ("", 0, "")
    assert (report.client_order_id, report.instrument, report.code) == ("a-7-1", 3, 0)
    assert refusal_report(ORDER, "TIMEOUT", "", 9, -1007).code == -1007

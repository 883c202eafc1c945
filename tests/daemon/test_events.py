from __future__ import annotations

import pytest

from daemon.events import NOT_SENT, ExecutionReport


@pytest.mark.parametrize(
    ("reason", "unsent"),
    [(f"{NOT_SENT}: the venue is down", True), ("", False), ("the order was not sent by a member", False)],
)
def test_a_report_of_what_never_left_says_so_at_its_beginning(reason, unsent):
    report = ExecutionReport(kind="REJECTED", client_order_id="x", instrument=0, wire_ns=1, reason=reason)
    assert report.unsent is unsent

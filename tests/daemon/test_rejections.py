from __future__ import annotations

import pytest

from daemon.events import ExecutionReport
from daemon.rejections import Rejections


def rejected(reason, code=0):
    return ExecutionReport(
        kind="REJECTED", client_order_id="x-1-1", instrument=0, wire_ns=1, reason=reason, code=code
    )


def test_what_was_never_sent_is_no_rejection_of_the_venues():
    counts = Rejections()
    counts.add(rejected("not sent: the venue is down"))
    counts.add(rejected("not sent: the order before it was not cancelled", -2022))
    assert (counts.unsent, counts.by_code) == (2, {})


@pytest.mark.parametrize(("reason", "code"), [("Filter failure: NOTIONAL", -1013), ("", 0)])
def test_what_the_venue_refuses_is_counted_by_its_code(reason, code):
    counts = Rejections()
    counts.add(rejected(reason, code))
    counts.add(rejected(reason, code))
    assert (counts.unsent, counts.by_code) == (0, {code: 2})

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from daemon.orders.audit import Moved
from daemon.orders.order import State
from daemon.orders.state import Event
from daemon.session.digests import Digests


def runtime(decisions, digest):
    memory = np.zeros(1, dtype=[("decisions", "i8"), ("digest", "u8")])
    memory[0] = (decisions, digest)
    return SimpleNamespace(memory=memory)


def moved(cid, event=Event.ACCEPTED):
    order = SimpleNamespace(client_order_id=cid)
    return Moved(order, State.PENDING_NEW, State.WORKING, event, 1)


def test_only_what_decided_since_is_in_the_record():
    one, other = runtime(0, 1), runtime(0, 1)
    digests = Digests([one, other])
    assert not digests.changed
    other.memory[0] = (3, 2**63 + 5)
    assert digests.changed
    assert digests.take(9).strategies == [(1, 3, 2**63 + 5)]
    assert not digests.changed
    assert digests.take(10).strategies == []


def test_each_step_of_an_order_changes_it_and_so_does_their_order():
    def crc(*audits):
        digests = Digests([])
        for audit in audits:
            digests(audit)
        record = digests.take(1)
        assert record.steps == len(audits)
        return record.steps_crc

    a, b = moved("s-1-1"), moved("s-1-2")
    assert len({crc(), crc(a), crc(b), crc(a, b), crc(b, a), crc(moved("s-1-1", Event.REJECTED))}) == 6
    digests = Digests([])
    digests("no step")
    assert not digests.changed

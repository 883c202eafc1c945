from __future__ import annotations

from daemon.orders.audit import ALARMS, Filled, Moved, Sent
from daemon.orders.order import State
from daemon.orders.state import Event
from kernels import dtypes as d


def test_an_order_is_told_from_sending_to_its_end(world):
    order = world.place(qty=10)
    world.report("NEW", order)
    world.fill(order, 1, 10)
    told = [audit for audit in world.audits if isinstance(audit, Sent | Moved | Filled)]
    assert [type(audit) for audit in told] == [Sent, Moved, Filled, Moved]
    assert (told[0].verb, told[0].order) == (d.PLACE, order)
    assert (told[1].before, told[1].after, told[1].event) == (
        State.PENDING_NEW,
        State.WORKING,
        Event.ACCEPTED,
    )
    assert told[2].report.last_lots == 10
    assert told[3].after is State.FILLED


def test_alarms_have_bounded_kinds(world):
    from pathlib import Path
    from re import findall

    import daemon.orders

    folder = Path(daemon.orders.__file__).parent
    paths = [*folder.glob("*.py"), *folder.parent.glob("*.py"), *folder.parent.glob("venues/*.py")]
    paths += folder.parent.glob("session/*.py")
    used = {kind for path in paths for kind in findall(r'(?:Alarm|on_alarm)\("(\w+)"', path.read_text())}
    assert used == set(ALARMS)

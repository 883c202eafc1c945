from __future__ import annotations

import asyncio
import random

import msgspec
import pytest

from daemon.assembly import assemble
from daemon.clock import VirtualTime
from daemon.config import from_tree
from daemon.disk import RealDisk
from daemon.instruments import make_instrument
from daemon.logs import Logs
from daemon.memory_disk import InlineWorker
from daemon.no_net import NoNet
from daemon.plans import plan_strategies
from daemon.pulse import STEADY
from daemon.seams import Seams
from daemon.session.doors import RecordedDoors
from kernels.ring import new_rings

START_NS = 1_700_000_000_000_000_000


@pytest.fixture
def desk_of(tmp_path):
    """Return what puts a paper daemon's core together."""

    def make(*, record):
        tree = {
            "name": "s",
            "mode": "paper",
            "feed": {"symbols": ["BTC/USDT"]},
            "strategy": [{"name": "ema_cross"}],
            "journal": {"path": str(tmp_path / f"journal-{record}")},
            "tape": {"record": record, "path": str(tmp_path / "tape")},
        }
        config = from_tree(tree, {}, "the test")
        time = VirtualTime(START_NS)
        seams = Seams(time, time, NoNet(), RealDisk(), InlineWorker(), random.Random(0))
        rules = {"tick_size": "0.01", "lot_size": "0.001", "qty_min": "0.001", "qty_max": "9"}
        one = make_instrument(0, "binance", "spot", "BTC/USDT", notional_min="5", **rules)
        plans = plan_strategies(config, RealDisk(), lambda _: None)
        logs = Logs(time, lambda _: None, "error", "json")
        return asyncio.run(assemble(config, plans, [one], new_rings(1), seams, seams, STEADY, logs))

    return make


def test_without_a_recording_nothing_lies_between(desk_of):
    desk = desk_of(record=False)
    assert (desk.recording, desk.tape, desk.ways, desk.tape_status()) == (None, None, None, None)
    assert desk.core.orders.venue is desk.venue
    assert type(desk.core.orders.clock) is VirtualTime
    feed = type("Feed", (), {"process_snapshot": print})
    assert desk.books(feed) is print


def test_a_session_that_is_recorded_has_its_own_folder_and_doors(desk_of, tmp_path):
    desk = desk_of(record=True)
    run = desk.core.orders.ids.run
    assert desk.tape.folder == tmp_path / "tape" / f"s-{run}"
    assert isinstance(desk.core.doors, RecordedDoors)
    assert desk.core.orders.venue is desk.venue  # on paper, a part of the core
    status = msgspec.structs.asdict(desk.tape_status())
    assert status["lost_from"] == -1
    assert desk.tape.seq == 2  # how it began, and what it read

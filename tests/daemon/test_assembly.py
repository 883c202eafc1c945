from __future__ import annotations

import asyncio
import random

import msgspec
import pytest
import structlog

from daemon import assembly
from daemon.assembly import assemble
from daemon.clock import LoopScheduler, SystemClock, VirtualTime
from daemon.config import from_tree
from daemon.disk import RealDisk
from daemon.errors import ConfigError, NetError, VenueError
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


# --- what the key may do ------------------------------------------------------------------------------------
@pytest.fixture
def asked(monkeypatch):
    """Return what asks for the rights of a key, and says how many of these answers are left."""

    def ask(*answers):
        left = list(answers)

        async def answer(*_):
            one = left.pop(0)
            if isinstance(one, Exception):
                raise one
            return one

        monkeypatch.setattr(assembly, "_KEY_S_FIRST", 0.001)
        monkeypatch.setattr("daemon.venues.make.check_key_rights", answer)

        async def run():
            clock = SystemClock()
            seams = Seams(clock, LoopScheduler(clock), NoNet(), RealDisk(), InlineWorker(), random.Random(0))
            return await assembly._key_rights(None, None, seams)

        return asyncio.run(run()), len(left)

    return ask


def test_an_exchange_that_does_not_answer_is_asked_again_until_it_does(asked):
    down, broken = NetError("no connection"), VenueError(0, "a page", 503)
    with structlog.testing.capture_logs() as told:
        assert asked(down, down, broken, ["it may trade"]) == (["it may trade"], 0)
    assert [one["event"] for one in told] == ["venue_connect_failed"] * 3


@pytest.mark.parametrize("error", [ConfigError("it may withdraw"), VenueError(-1121, "no", 400)])
def test_one_that_says_no_is_not_asked_again(asked, error):
    with pytest.raises(type(error)):
        asked(error, ["it may trade"])

"""Playing one seed: what a pool's process does, and what comes back from it."""

from __future__ import annotations

import gc
import time
import traceback
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

from tests.simulation.checks import ViolationError
from tests.simulation.faults import draw
from tests.simulation.planted import BUGS_OF
from tests.simulation.shrink import kind_of
from tests.simulation.usdm import UsdmWorld
from tests.simulation.world import World, daemon_config, exchange_settings

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from tests.simulation.faults import Fault, Level


class Outcome(NamedTuple):
    """What became of one seed."""

    seed: int
    broken: str  # the kind of promise, or of exception; or nothing
    promised: bool  # whether a promise was broken, rather than that something failed
    text: str
    digest: str
    counts: Counter[str]
    starts: int
    ticks: int
    orders: int
    replacements: int  # of these
    amends: int
    fills: int
    cpu_s: float
    log: list[str]


def play(
    seed: int,
    faults: Sequence[Fault] | None = None,
    bug: str = "",
    sync: str = "group",
    level: Level = "messages",
) -> Outcome:
    """Play a seed with its faults or others."""
    planted = BUGS_OF[level][bug] if bug else None
    if faults is None:
        faults = draw(seed, planted.mix if planted else None, level)
    began = time.process_time()
    broken, promised, text = "", False, ""
    with planted.plant() if planted else nullcontext():
        carried: Level = "bytes" if level.endswith("bytes") else "messages"
        transport = "websockets" if carried == "bytes" and seed % 4 == 0 else "picows"
        if level.startswith("usdm"):
            world: World = UsdmWorld(seed, faults, sync, transport, carried)
        else:
            config = daemon_config(sync, transport, loses=seed % 4 == 2)
            world = World(seed, faults, config, exchange_settings(seed), level=carried)
        try:
            world.play()
        except Exception as error:  # a violation, or a bug that shows as any other exception
            broken, promised, text = kind_of(error), isinstance(error, ViolationError), str(error)
            world.log += traceback.format_exception(error)
    fills = len(world.exchange.registry.fills)
    cpu_s = time.process_time() - began
    digest = world.digest.hexdigest()
    checks = world.checks
    asked = (checks.ticks, checks.orders, checks.replacements, checks.amends)
    counted = (world.counts, world.starts, *asked, fills, cpu_s)
    return Outcome(seed, broken, promised, text, digest, *counted, world.log)


def play_task(task: tuple[int, str, str, Level]) -> Outcome:
    seed, bug, sync, level = task
    threshold, callbacks = gc.get_threshold(), list(gc.callbacks)
    outcome = play(seed, None, bug, sync, level)
    # runs that were killed have left the collector as they had made it: blind, deaf and slow to begin
    gc.set_threshold(*threshold)
    gc.callbacks[:] = callbacks
    gc.unfreeze()
    gc.collect()
    return outcome

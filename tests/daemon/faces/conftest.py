"""A session's journal as the real order side writes it; and a loop for what listens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from daemon.events import Command
from daemon.orders.reader import read_all
from kernels import dtypes as d
from tests.daemon.orders.conftest import FOLDER, World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def busy_world() -> World:
    """Trade, doubt, refuse, halt and resume: every view has something to tell."""
    world = World()
    part, _ = world.be_busy()
    world.later(1)
    world.check(slot=0, level=9)  # refused: the slot is taken, or the budget says so
    world.orders.cancel(part, world.time.now_ns())
    world.later(3)
    world.report("STATUS", part, status="CANCELED", qty_lots=500, cum_lots=200)
    world.orders.command(Command("halt", "cli", "lunch"), world.time.now_ns())
    world.check(level=9, side=d.SELL, price=6_200_000)
    world.later(5)
    world.orders.command(Command("resume", "cli"), world.time.now_ns())
    world.later(1)
    return world


def records_of(world: World) -> list[Any]:
    return [record for _, _, record in read_all(world.disk, FOLDER)]


def write_out(world: World, folder: Path) -> Path:
    """Put a world's journal into a real folder."""
    for path in world.disk.list(FOLDER):
        (folder / path.name).write_bytes(world.disk.read(path))
    return folder


@pytest.fixture
def busy() -> World:
    return busy_world()


@pytest.fixture
def told() -> Callable[[World], list[Any]]:
    return records_of


@pytest.fixture
def folder(busy: World, tmp_path: Path) -> Path:
    return write_out(busy, tmp_path)


@pytest.fixture
def run():
    """Runs a coroutine on the daemon's own kind of loop, with a limit on everything."""

    def runner(main):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as active:
            active.run(asyncio.wait_for(main, 20))

    return runner

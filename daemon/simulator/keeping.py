"""An exchange built anew or from the state it kept in a file, and kept there from then on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from daemon.disk import RealDisk
from daemon.errors import TickdError, UsageError
from daemon.simulator.settings import build
from daemon.simulator.state import Past, Recorder, header, read, restore, save

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

    from daemon.seams import Clock
    from daemon.simulator.settings import SimulatorSettings, World


@contextmanager
def kept(settings: SimulatorSettings, clock: Clock, random: Random) -> Iterator[World]:
    """Build the exchange that the settings ask for; raises TickdError where its file is no good."""
    path = settings.state
    if path is None:
        yield build(settings, clock, random)
        return
    disk = RealDisk()
    try:
        with _opened(settings, path, disk, clock, random) as world:
            yield world
    finally:
        disk.release()


@contextmanager
def _opened(
    settings: SimulatorSettings, path: Path, disk: RealDisk, clock: Clock, random: Random
) -> Iterator[World]:
    try:
        disk.lock(path.with_name(f"{path.name}.lock"))
        past = _past(disk, path, clock.now_ns())
        world = build(_resumed(settings, past, clock.now_ns()), clock, random)
        exchanges = {name: gateway.exchange for name, gateway in world.gateways.items()}
        restore(exchanges, past)
        # the ids that it makes up go on, and do not begin again
        random.seed(f"{settings.seed} {sum(one.registry.last_ids.total() for one in exchanges.values())}")
        disk.replace(path, header(past.began_ns), *save(exchanges))
        file = disk.append(path)
    except BlockingIOError:
        raise UsageError(f"the state {path} is in use by another simulated exchange") from None
    except OSError as error:
        raise TickdError(f"the state {path} cannot be kept: {error.strerror}") from None
    Recorder(exchanges, file.write)
    try:
        yield world
    finally:
        file.close()


def _past(disk: RealDisk, path: Path, now_ns: int) -> Past:
    try:
        return read(disk.read(path), str(path))
    except FileNotFoundError:
        return Past(now_ns, [], {})


def _resumed(settings: SimulatorSettings, past: Past, now_ns: int) -> SimulatorSettings:
    """Return the settings with which the market goes on: an id a millisecond is more than it ever used."""
    elapsed_ms = max(0, now_ns - past.began_ns) // 1_000_000
    return msgspec.structs.replace(settings, prices=past.prices, first_id=elapsed_ms)

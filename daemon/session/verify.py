"""`tickd replay --verify SESSION`: a session replayed, and every record of its journal found again, or not.

Exit code 0: all that both files hold is the same. 3: it is not, and the first difference is named. 1: it
cannot be verified, or the recorder lost a part.
"""

from __future__ import annotations

import asyncio
import gc
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console

from daemon import __version__
from daemon.config import Config
from daemon.config_show import to_toml
from daemon.credentials import mask_keys
from daemon.disk import RealDisk
from daemon.errors import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    CheckFailedError,
    FileFormatError,
    TickdError,
    UsageError,
)
from daemon.faces.compiling import compiling
from daemon.faces.journal_table import iso
from daemon.faces.session_summary import show
from daemon.faces.terminal import counting
from daemon.lifetime import nothing_to_lose
from daemon.memory_checkpoint import layout
from daemon.orders.records import Run, unpack
from daemon.plans import plan_strategies, strategies_to_load
from daemon.session.checker import Checker, ReplayDisk, find_run
from daemon.session.difference import Found, describe
from daemon.session.entries import Begin, begin_of
from daemon.session.events import Events
from daemon.session.player import Player
from daemon.tape.reader import read_tape
from daemon.warm import warm_up

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.options import VerifyOptions
    from daemon.tape.reader import Entry


class Verdict(msgspec.Struct, kw_only=True):
    """What came of it."""

    session: str
    run: int
    events: int  # that were replayed
    until: str  # time of the last of them
    records: int  # of the journal that are the same
    records_of_session: int
    digests: int  # among those records
    complete: bool  # up to the session's own end
    lost_from: int = -1  # entry from which on the tape cannot tell
    why_short: str = ""  # why it is not complete
    changed: list[str] = []  # what is not as it was when the session ran
    difference: Found | None = None


def run(options: VerifyOptions) -> int:
    """Verify a session and print what came of it; raises CheckFailedError, and TickdError where it cannot."""
    verdict = verify(options)
    show(verdict, as_json=options.json)
    changed = f" (changed since: {'; '.join(verdict.changed)})" if verdict.changed else ""
    if verdict.difference is not None:
        raise CheckFailedError(f"the replay of {options.session} differs{changed}: {verdict.difference.text}")
    if verdict.lost_from >= 0:
        raise TickdError(
            f"{options.session} cannot be verified from entry {verdict.lost_from} on: {verdict.why_short}; "
            "all before it is the same"
        )
    return EXIT_DONE


def verify(options: VerifyOptions) -> Verdict:
    """Replay a session against its journal; raises TickdError where that cannot be."""
    tape = read_tape(options.session)
    header, disk = tape.header, RealDisk()
    number, folder = header.session.get("run"), header.session.get("journal")
    if not isinstance(number, int) or not isinstance(folder, str):
        raise UsageError(
            f"{options.session} is a tape of the market alone, with no session in it: leave --verify out"
        )
    journal = options.journal or Path(folder)
    journalled = find_run(disk, journal, number)
    ran = unpack(journalled.bodies[0])
    assert isinstance(ran, Run)
    config = _config(ran.config, options)
    mask_keys(os.environ, disk, config)
    begin = _begin(options.session, tape)
    with (
        nothing_to_lose(EXIT_INTERRUPTED),
        compiling(Console(stderr=True), 1 + strategies_to_load(config)) as step,
    ):
        plans = plan_strategies(config, disk, step)
        step("feed and venue")
        asyncio.run(warm_up(paper=begin.paper))
    checker = Checker(journalled)
    past = ReplayDisk(disk, Path(config.journal.path), journalled, checker, begin)
    player = Player(config, header.instruments, plans, past, checker)
    events = Events(tape)
    gc.collect()
    gc.freeze()
    try:
        with counting(Console(stderr=True), "verifying", len(journalled.bodies)) as told:
            difference = player.play(events, lambda: told(checker.place))
    except FileFormatError as error:
        raise FileFormatError(f"{options.session}: {error}") from None
    finally:
        gc.unfreeze()
    verdict = Verdict(
        session=str(options.session),
        run=number,
        events=player.played,
        until=iso(player.played_ns),
        records=min(checker.place, len(journalled.bodies)),
        records_of_session=len(journalled.bodies),
        digests=checker.digests,
        complete=events.closed and checker.whole,
        lost_from=events.lost_from,
        changed=_changed(ran, config, begin, player),
    )
    if difference is not None:
        verdict.difference = describe(difference, journalled.bodies)
        verdict.records = min(
            verdict.records, difference.mismatch.place if difference.mismatch else checker.place
        )
    verdict.why_short = _why_short(verdict, events, checker, [str(cut) for cut in tape.cuts])
    return verdict


def _config(text: str, options: VerifyOptions) -> Config:
    """Return the session's own configuration, or what is to take its place."""
    config = options.config or msgspec.convert(tomllib.loads(text), Config)
    if options.strategy is None and options.model is None:
        return config
    strategies = tuple(
        msgspec.structs.replace(
            one,
            name=options.strategy or one.name,
            model=one.model if options.model is None else str(options.model),
        )
        for one in config.strategy
    )
    return msgspec.structs.replace(config, strategy=strategies)


def _begin(path: Path, entries: Iterable[Entry]) -> Begin:
    """Return how a session began; raises FileFormatError."""
    first = next(iter(entries), None)
    if first is None:
        raise FileFormatError(f"{path} holds nothing yet: the session has only begun")
    begin = begin_of(first)
    if begin is None:
        raise FileFormatError(
            f"{path} lacks how the session began: it cannot be verified, only replayed (leave --verify out)"
        )
    return begin


def _changed(ran: Run, config: Config, begin: Begin, player: Player) -> list[str]:
    """Return what is not as it was when the session ran."""
    changed = _keys("", tomllib.loads(ran.config), tomllib.loads(to_toml(config, {})))
    if ran.program != __version__:
        changed.append(f"tickd {ran.program} is {__version__}")
    for runtime in player.core.runtimes if hasattr(player, "core") else ():
        was, now = begin.hashes.get(f"{runtime.index} {runtime.name}", {}), layout(runtime)
        changed += [
            f"{what} of strategy {runtime.name}" for what in now if was and was.get(what) != now[what]
        ]
    return changed


def _keys(where: str, was: object, now: object) -> list[str]:
    """Return each key of two configurations whose values differ, with both."""
    if isinstance(was, dict) and isinstance(now, dict):
        return [
            text
            for key in sorted(was.keys() | now.keys())
            for text in _keys(f"{where}.{key}" if where else key, was.get(key), now.get(key))
        ]
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        pairs = enumerate(zip(was, now, strict=True))
        return [text for place, (one, other) in pairs for text in _keys(f"{where}[{place}]", one, other)]
    return [] if was == now else [f"{where} {was} is {now}"]


def _why_short(verdict: Verdict, events: Events, checker: Checker, cuts: list[str]) -> str:
    """Return why not all of a session was verified; "": it was."""
    if verdict.difference is not None or verdict.complete:
        return ""
    if events.lost_from >= 0:
        return "the recorder lost entries there (a full or slow disk)"
    if checker.lost:
        return f"the journal ends after {len(checker.bodies)} records, and the tape goes on"
    left = verdict.records_of_session - verdict.records
    tail = f", and the journal has {left} records more" if left else ""
    torn = f" ({'; '.join(cuts)})" if cuts else ""
    return f"the tape has no end{torn}: the session runs, or was killed{tail}"

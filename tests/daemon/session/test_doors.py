from __future__ import annotations

import asyncio
import inspect

import pytest

from daemon.doors import Doors
from daemon.session.doors import RecordedDoors, run_now
from daemon.session.entries import ARGUMENTS

#: verbs that change nothing in the core, or are properties
UNNOTED = {"sink", "knows"}


def test_every_verb_is_noted_and_can_be_read_again():
    verbs = {name for name, _ in inspect.getmembers(Doors) if not name.startswith("_")} - UNNOTED
    assert verbs <= set(vars(RecordedDoors))
    assert verbs <= set(ARGUMENTS)


async def _at_once():
    return 5


def test_what_waits_for_nothing_is_run_at_once():
    assert run_now(_at_once()) == 5
    waiting = asyncio.sleep(0)
    with pytest.raises(AssertionError, match="it waited"):
        run_now(waiting)
    waiting.close()

"""Starting what is measured, and having the exchange run a segment with it."""

from __future__ import annotations

import asyncio
import http.client
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from daemon.bench.exchange import Plan, Segment
from daemon.errors import DECODE_ERRORS, NotRunningError, TickdError
from daemon.faces.client import fetch_status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from daemon.child import Child
    from daemon.status import Status

#: a first start compiles for a minute
READY_S: Final = 300.0
_LOOK_S: Final = 0.05
_REQUEST_S: Final = 120.0


async def start(child: Child, core: int, command: list[str], environ: Mapping[str, str]) -> None:
    """Start a process that has this core alone, all its threads together.

    A helper's thread on the exchange's spinning core would wait 4 ms there for its slice, with what it holds.
    """
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        await child.start(command, environ)
    finally:
        os.sched_setaffinity(0, allowed)


async def until(child: Child, socket: Path, holds: Callable[[Status], bool], look_s: float = _LOOK_S) -> None:
    """Wait until a daemon's Status is so; raises TickdError where it ends before."""
    for _ in range(int(READY_S / look_s)):
        if not child.running:
            raise child.failure()
        with suppress(NotRunningError):
            if holds(fetch_status(socket)):
                return
        await asyncio.sleep(look_s)
    raise TickdError(f"the daemon did not get ready within {READY_S:.0f} s; its log is in {socket.parent}")


def ask(url: str, name: str, plan: Plan) -> Segment:
    """Have the exchange at `url` run one segment, and return it; raises TickdError."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_REQUEST_S)
    try:
        connection.request("POST", f"{parts.path}/bench/{name}", msgspec.json.encode(plan))
        return msgspec.json.decode(connection.getresponse().read(), type=Segment)
    except (OSError, http.client.HTTPException, *DECODE_ERRORS) as error:
        raise TickdError(f"the exchange {url} ran no segment of {name}: {error}") from None
    finally:
        connection.close()

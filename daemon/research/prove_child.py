"""The other process of `tickd backtest --prove`: another hash seed, another clock, other random numbers.

Started by daemon/research/prove.py. It reads what it is to do from standard input, as one message, and writes
what came of it to standard output. The clock that Python tells is moved before the strategy is loaded, and
what the strategy reads is listened to.
"""

from __future__ import annotations

import datetime
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.research.trial import Bench

Plain: TypeAlias = datetime.datetime
#: the clock is ahead by so much: another month, day of the week, hour, minute and second
AHEAD_S: Final = 100 * 86_400 + 11 * 3_600 + 37 * 60 + 13


class Ask(msgspec.Struct, kw_only=True):
    """What is to be run, and the digests behind each decision that it is to come to."""

    path: str
    strategy: str | None
    model: str | None
    config: bytes  # as JSON; empty: none
    digests: bytes  # uint64


class Answer(msgspec.Struct, kw_only=True):
    """What came of it."""

    error: str = ""
    decisions: int = 0
    digest: int = 0
    now_ns: int = 0  # of the last decision, as are the next two
    row: list[float] = []
    wanted: bytes = b""
    sent: bytes = b""  # SENT_ROW[n]
    fills: bytes = b""  # FILL_ROW[n]
    reads: list[str] = []


def main() -> int:
    """Do what is asked; return the exit code."""
    out = os.dup(1)
    os.dup2(2, 1)  # what a strategy prints is no answer
    from daemon import kernel_cache  # noqa: PLC0415 - the kernels' cache is chosen before numba is imported

    kernel_cache.activate()
    answer = run(msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Ask))
    left = memoryview(msgspec.msgpack.encode(answer))
    while left:
        left = left[os.write(out, left) :]
    return 0


def run(ask: Ask) -> Answer:
    """Run it here: moves this process's clock for good."""
    from daemon.errors import TickdError  # noqa: PLC0415 - behind the choice of the cache, as all that follow
    from daemon.research.reads import Reads  # noqa: PLC0415

    reads = Reads(_own(ask.strategy))
    reads.listen()
    try:
        answer = _run(ask)
    except TickdError as error:
        answer = Answer(error=str(error))
    answer.reads = reads.found
    return answer


def _run(ask: Ask) -> Answer:
    import numpy as np  # noqa: PLC0415

    from daemon.config import Config  # noqa: PLC0415
    from daemon.research.trial import Bench  # noqa: PLC0415
    from daemon.research.witness import Witness  # noqa: PLC0415
    from daemon.tape.replay import Given  # noqa: PLC0415

    config = msgspec.json.decode(ask.config, type=Config) if ask.config else None
    model = None if ask.model is None else Path(ask.model)
    move_clock(AHEAD_S)
    given = Given(config, ask.strategy if config is None else None, model)
    bench: Bench = Bench(Path(ask.path), given, 60)
    bench.read()
    test = Witness(bench)
    test.watch(expected=np.frombuffer(ask.digests, np.uint64))
    test.take_all(bench.record.whole())
    ended = test.run()
    answer = Answer(
        decisions=test.decisions,
        digest=test.digest,
        sent=ended.rows.sent.tobytes(),
        fills=ended.rows.fills.tobytes(),
    )
    if ended.last is not None:
        answer.now_ns, answer.row = ended.last.now_ns, list(ended.last.row)
        answer.wanted = ended.last.wanted or b""
    return answer


def _own(reference: str | None) -> Callable[[str], bool]:
    """Return whether a module is a user's strategy or one of its helpers."""
    from daemon.disk import RealDisk  # noqa: PLC0415
    from daemon.local_sources import local_sources  # noqa: PLC0415

    path = Path((reference or "").partition(":")[0])
    helpers: set[str] = set()
    if path.suffix == ".py":
        with suppress(OSError, UnicodeDecodeError):  # loading it will say so
            helpers = set(local_sources(path, RealDisk().read(path).decode()))
    return lambda name: name in helpers or name.startswith("tickd_strategy_")


class _Kind(type):
    def __instancecheck__(cls, one: Any) -> bool:
        return isinstance(one, Plain)


class _Moved(Plain, metaclass=_Kind):
    """A datetime whose now is later."""

    ahead = datetime.timedelta()

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return Plain.now(tz) + cls.ahead

    @classmethod
    def utcnow(cls) -> Any:
        return Plain.now(datetime.UTC).replace(tzinfo=None) + cls.ahead

    @classmethod
    def today(cls) -> Any:
        return Plain.now() + cls.ahead


def move_clock(seconds: int) -> None:
    """Let what Python tells of the time of day be so much later, for whoever asks from here on."""
    real, real_ns, gmtime, localtime = time.time, time.time_ns, time.gmtime, time.localtime
    time.time = lambda: real() + seconds
    time.time_ns = lambda: real_ns() + seconds * 1_000_000_000
    time.gmtime = lambda at=None: gmtime(time.time() if at is None else at)
    time.localtime = lambda at=None: localtime(time.time() if at is None else at)
    _Moved.ahead = datetime.timedelta(seconds=seconds)
    datetime.datetime = _Moved  # type: ignore[misc]


if __name__ == "__main__":
    sys.exit(main())

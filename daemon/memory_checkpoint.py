"""The checkpoint of strategies' memories: what features and state had learnt, and when that was.

One file beside the journal, replaced as a whole every so often and at the end: a header, then a frame for
each, as the journal has them (daemon/orders/records.py). A start takes up what it can. Nothing depends on it:
positions and orders come from the journal and the venue, and a strategy without its memory warms up. So what
is odd about it, a torn file, other code, another tuning, its age, costs the warm-up, and one line says so.

Rules, limits, parameters, gates and positions are not in it: they are those of the run that starts.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import structlog

from daemon import whole_file
from daemon.errors import DECODE_ERRORS, FileFormatError
from daemon.orders.records import frame
from daemon.pause import pause
from daemon.research.bundle import feature_code
from kernels import feature_state as st

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from daemon.instruments import Instrument
    from daemon.runtime import Runtime
    from daemon.seams import Seams

NAME: Final = "memories.checkpoint"
_MAGIC: Final = b"tickdmem"
_VERSION: Final = 1
_PARTS: Final = ("feature_f", "feature_i", "state")
_log = structlog.get_logger(component="daemon")


class Memory(msgspec.Struct, frozen=True, array_like=True):
    """What one strategy had learnt by `now_ns`."""

    name: str
    symbols: list[str]
    layout: dict[str, str]  # a hash of each thing that its bytes and their meaning depend on
    now_ns: int
    cold_ticks: list[int]  # by instrument: still missing for its warm-up
    newest_ids: list[tuple[int, int]]  # by instrument: of the newest trade and quote, -1 for none
    parts: list[bytes]  # _PARTS


def layout(runtime: Runtime) -> dict[str, str]:
    """Return a hash of each thing that a memory depends on, by its name."""
    f, i = runtime.view("feature_f"), runtime.view("feature_i")
    return {
        "feature code": _feature_code(),
        "strategy": _hash(runtime.strategy.source.encode()),
        "parameters": _hash(runtime.view("params").tobytes()),
        "tuning": _hash(f[:, : st.F_SEEN].tobytes(), i[:, : st.I_IGNORED].tobytes()),
        "model": _hash(*(part.tobytes() for part in runtime.forest)),
        "instruments": _hash(*(_grid(one).encode() for one in runtime.instruments)),
        "warm-up": str(runtime.warmup_ticks),
    }


def _grid(one: Instrument) -> str:
    return f"{one.exchange} {one.market} {one.symbol} {one.tick_size} {one.lot_size}"


@cache
def _feature_code() -> str:
    return feature_code()[:16]  # it reads and takes apart the sources: once for all strategies


def _hash(*parts: bytes) -> str:
    digest = blake2b(digest_size=8)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


# --- the file -----------------------------------------------------------------------------------------------
def header(count: int) -> bytes:
    """Return the file's first bytes: so many frames follow, a memory each."""
    return whole_file.header(_MAGIC, _VERSION, count)


def encode(memory: Memory) -> bytes:
    """Return a memory's frame."""
    return frame(msgspec.msgpack.encode(memory))


def decode(data: bytes) -> list[Memory]:
    """Return what a file holds; raises FileFormatError, its text to be put behind the file's name."""
    memories = []
    for at, body in whole_file.frames_of(data, _MAGIC, _VERSION, "checkpoint"):
        try:
            memories.append(msgspec.msgpack.decode(body, type=Memory))
        except DECODE_ERRORS as error:
            raise FileFormatError(f"cannot be read at offset {at}: {error}") from None
    return memories


class Checkpoints:
    """Gives strategies their memories back, and writes them every so often and at the end."""

    def __init__(self, seams: Seams, folder: Path, runtimes: Sequence[Runtime]) -> None:
        self.path = folder / NAME
        self.written = 0
        #: (instrument): the ids of the newest trade and quote that the feed took, -1 for none
        self.newest_ids: Callable[[int], tuple[int, int]] = _no_ids
        self._seams = seams
        self._runtimes = runtimes
        self._layouts = [layout(runtime) for runtime in runtimes]
        #: lets a strategy take what waits; whoever records the session has it go through its doors
        self.settling: Callable[[int], object] = self.settle
        self._told = ""

    # --- a start ------------------------------------------------------------------------------------------
    def take_up(self, age_ns_max: int) -> None:
        """Give each strategy its memory back where that is whole, its own and fresh.

        It is as warm then as it was; `began` says what came of it. The time since the checkpoint is a gap to
        it.
        """
        try:
            left = decode(self._seams.disk.read(self.path))
        except FileNotFoundError:
            return
        except OSError as error:
            self._begin_anew(f"the checkpoint {self.path} cannot be read ({error.strerror or error})")
            return
        except FileFormatError as error:
            self._begin_anew(f"the checkpoint {self.path} {error}")
            return
        now_ns = self._seams.clock.now_ns()
        for runtime, here in zip(self._runtimes, self._layouts, strict=True):
            symbols = [one.symbol for one in runtime.instruments]
            mine = [one for one in left if (one.name, one.symbols) == (runtime.name, symbols)]
            # one configured twice finds each of its own
            memory = next((one for one in mine if one.layout == here), mine[0] if mine else None)
            if memory is None:
                runtime.began = "anew: the checkpoint has nothing of it"
                continue
            left.remove(memory)
            why = _refusal(runtime, memory, here, now_ns - memory.now_ns, age_ns_max)
            if why:
                runtime.began = f"anew: {why}"
            else:
                _restore(runtime, memory, now_ns)

    def _begin_anew(self, why: str) -> None:
        for runtime in self._runtimes:
            runtime.began = f"anew: {why}"

    # --- while it runs ------------------------------------------------------------------------------------
    async def run(self, every_s: float) -> None:
        """Write every so often until cancelled."""
        while True:
            await pause(self._seams, every_s)
            await self.write()

    async def write(self) -> None:
        """Write what strategies know now, but for those that failed; a disk that cannot is told of once."""
        frames: list[bytes] = []
        for runtime, here in zip(self._runtimes, self._layouts, strict=True):
            if frames:
                await pause(self._seams, 0.0)  # each takes some 20 us: trading goes on between two
            if not runtime.fault:
                frames.append(encode(self._memory(runtime, here)))
        try:  # not joined: a copy of many would hold the interpreter for milliseconds
            await self._seams.worker.call(self._seams.disk.replace, self.path, header(len(frames)), *frames)
        except OSError as error:
            why = error.strerror or str(error)
            if why != self._told:
                _log.error("checkpoint_failed", path=str(self.path), reason=why)
            self._told = why
        else:
            self.written += 1
            self._told = ""

    def settle(self, strategy: int) -> None:
        """Let a strategy take the ticks that wait: they belong to its memory."""
        runtime = self._runtimes[strategy]
        for row in range(len(runtime.instruments)):
            runtime.absorb(row)

    def _memory(self, runtime: Runtime, here: dict[str, str]) -> Memory:
        self.settling(runtime.index)
        return Memory(
            name=runtime.name,
            symbols=[one.symbol for one in runtime.instruments],
            layout=here,
            now_ns=self._seams.clock.now_ns(),
            cold_ticks=list(runtime.cold_ticks),
            newest_ids=[self.newest_ids(one.index) for one in runtime.instruments],
            parts=[runtime.view(part).tobytes() for part in _PARTS],
        )


def _refusal(runtime: Runtime, memory: Memory, here: dict[str, str], age_ns: int, age_ns_max: int) -> str:
    """Return why a memory cannot be taken up; empty: it can."""
    other = [what for what, value in here.items() if memory.layout.get(what) != value]
    if other:
        return f"the checkpoint is of another {', '.join(other)}"
    sizes = [len(part) for part in memory.parts]
    if sizes != [runtime.view(part).nbytes for part in _PARTS] or len(memory.cold_ticks) != len(
        runtime.instruments
    ):
        return "the checkpoint is of another size"
    age = f"{age_ns / 1e9:.1f} s"
    if age_ns < 0:
        return f"the checkpoint is from the future ({age}): the clock was set back"
    if age_ns > age_ns_max:
        return f"the checkpoint is {age} old, beyond journal.checkpoint_age_s_max"
    if runtime.strategy.on_gap == "reset":
        return f"the ticks of {age} since the checkpoint were missed"
    return ""


def _restore(runtime: Runtime, memory: Memory, now_ns: int) -> None:
    for part, data in zip(_PARTS, memory.parts, strict=True):
        view = runtime.view(part)
        view[:] = np.frombuffer(data, dtype=view.dtype).reshape(view.shape)
    runtime.cold_ticks = list(memory.cold_ticks)
    for row, i in enumerate(runtime.view("feature_i")):
        if i[st.I_TICKS] and now_ns - i[st.I_LAST_NS] > i[st.I_SILENCE_NS]:
            runtime.begin_features(row)  # as its next tick would, but then it would act and know nothing
    runtime.gaps += 1
    runtime.began = f"restored from {(now_ns - memory.now_ns) / 1e9:.1f} s ago"


def _no_ids(_: int) -> tuple[int, int]:
    """Know of no feed yet."""
    return -1, -1

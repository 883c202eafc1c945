from __future__ import annotations

import asyncio
import random
from pathlib import Path
from zlib import crc32

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.clock import VirtualTime
from daemon.compile import load_strategy
from daemon.config import JournalConfig, ReconcileConfig, RiskConfig, StrategyConfig, VenueConfig
from daemon.errors import FileFormatError
from daemon.instruments import make_instrument
from daemon.memory_checkpoint import NAME, Checkpoints, decode, encode, header
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.no_net import NoNet
from daemon.orders.records import HEADER
from daemon.runtime import Runtime, new_memory
from daemon.seams import Seams
from kernels import dtypes as d
from kernels.feature_state import I_TICKS
from kernels.ring import new_rings, push
from strategies.base import bind_params

START_NS = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
FOLDER = Path("journal")
AGE_NS = 300 * SECOND
#: short, so that rows become numbers within a few ticks
TUNING = {"ema_fast": 2.0, "ema_slow": 4.0, "mean_quotes": 4.0, "smooth": 4.0, "bar_ms": 20.0}


def instrument(index, lot_size="0.001"):
    rules = {"tick_size": "0.01", "qty_min": "0.001", "qty_max": "9", "notional_min": "5"}
    base = ("BTC", "ETH")[index]
    return make_instrument(index, "binance", "spot", f"{base}/USDT", lot_size=lot_size, **rules)


class Run:
    """Strategies at work on rings, without orders; `now_ns` is where their market is."""

    def __init__(self, *names, disk=None, now_ns=START_NS, on_gap="", age_ns_max=AGE_NS, **config):
        self.time = VirtualTime(now_ns)
        self.disk = disk or MemoryDisk()
        self.rings = new_rings(2)
        self.runtimes = [self._runtime(index, name, on_gap, **config) for index, name in enumerate(names)]
        seams = Seams(self.time, self.time, NoNet(), self.disk, InlineWorker(), random.Random(0))
        self.checkpoints = Checkpoints(seams, FOLDER, self.runtimes)
        self.checkpoints.take_up(age_ns_max)
        for runtime in self.runtimes:
            runtime.follow(self.rings, np.zeros(d.ACCOUNT_COLUMNS))

    @staticmethod
    def _runtime(index, name, on_gap, *, params=None, warmup_ticks=7, lot_size="0.001", tuning=None):
        strategy = load_strategy(name)
        owned = [instrument(i, lot_size) for i in range(strategy.instruments)]
        memory = new_memory(
            strategy,
            owned,
            StrategyConfig(name=name, tuning=TUNING | (tuning or {})),
            bind_params(strategy, params or {}),
            RiskConfig(),
            ReconcileConfig(),
            VenueConfig(),
            (0.0, 0.0),
            can_amend=True,
        )
        strategy = strategy._replace(on_gap=on_gap or strategy.on_gap)
        return Runtime(index, strategy, owned, memory, (), warmup_ticks)

    def tick(self, index, kind, step_ns, price, qty, *, decides=True):
        """Let one tick come, and every strategy decide; return what each saw, knows and wants."""
        now_ns = self.time.now_ns() + step_ns
        self.time.advance(now_ns)
        prices = (price, qty, 1.0, 0.0) if kind == d.TRADE else (price, qty, price + 0.02, 2 * qty)
        push(self.rings, index, kind, now_ns, 0, 1, *prices)
        return [self._decided(runtime, now_ns) for runtime in self.runtimes] if decides else []

    @staticmethod
    def _decided(runtime, now_ns):
        runtime.decide(now_ns, d.WHY_DRAIN)
        record = runtime.memory[0]
        parts = [record[part] for part in ("rows", "state", "feature_f", "feature_i", "wanted")]
        wanted = record["out"][: max(0, record["wanted"])]
        return [part.tobytes() for part in (*parts, wanted)]

    def write(self):
        asyncio.run(self.checkpoints.write())
        return self.disk.read(FOLDER / NAME)

    def seen(self, strategy=0):
        return self.runtimes[strategy].view("feature_i")[:, I_TICKS].tolist()


def quotes(run, count=30):
    for number in range(count):
        run.tick(number % 2, d.QUOTE, SECOND // 50, 100.0 + number % 5, 1.0)


@pytest.fixture(scope="module")
def written():
    """Return a disk with a checkpoint of ema_cross, and the moment at which it was written."""
    run = Run("ema_cross")
    quotes(run)
    run.write()
    return run


def disk_with(data):
    disk = MemoryDisk()
    disk.replace(FOLDER / NAME, bytes(data))
    return disk


def file_of(*memories):
    return b"".join([header(len(memories)), *map(encode, memories)])


def again(written, *, later_ns=0, data=None, **changes):
    disk = disk_with(written.disk.read(FOLDER / NAME) if data is None else data)
    now_ns = written.time.now_ns() + later_ns
    return Run("ema_cross", disk=disk, now_ns=now_ns, **changes)


TICKS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from([d.QUOTE, d.QUOTE, d.TRADE]),
        st.integers(0, 200_000_000),
        st.integers(9_900, 10_100),
        st.integers(1, 50),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=25, deadline=None)
@given(before=TICKS, after=TICKS)
def test_who_is_restored_goes_on_as_if_he_had_never_stopped(before, after):
    names = ("ema_cross", "pairs")
    whole = Run(*names, on_gap="mark")
    for index, kind, step_ns, ticks, qty in before:
        whole.tick(index, kind, step_ns, ticks / 100, qty / 10)
    asyncio.run(_write(whole))
    restored = Run(*names, disk=whole.disk, now_ns=whole.time.now_ns(), on_gap="mark")
    for index in range(2):  # the market itself is not remembered: it is heard of before anybody decides
        for run in (whole, restored):
            run.tick(index, d.QUOTE, 1, 100.0, 1.0, decides=False)
    for index, kind, step_ns, ticks, qty in after:
        ours, theirs = (run.tick(index, kind, step_ns, ticks / 100, qty / 10) for run in (whole, restored))
        assert ours == theirs


async def _write(run):
    """Write on virtual time: between two strategies it waits for a timer that is due at once."""
    task = asyncio.ensure_future(run.checkpoints.write())
    while not task.done():
        await asyncio.sleep(0)
        run.time.advance(run.time.now_ns())
    task.result()


def test_it_is_as_warm_as_it_was_and_counts_the_gap(written):
    written.runtimes[0].cold_ticks = [3]
    data = written.write()
    run = again(written, later_ns=2 * SECOND, data=data)
    (one,) = run.runtimes
    assert (one.cold_ticks, one.gaps, one.began) == ([3], 1, "restored from 2.0 s ago")
    assert run.seen() == written.seen()
    assert np.array_equal(one.view("feature_f"), written.runtimes[0].view("feature_f"), equal_nan=True)


def test_ticks_that_waited_are_in_it(written):
    push(written.rings, 0, d.QUOTE, written.time.now_ns(), 0, 1, 100.0, 1.0, 100.02, 1.0)
    before = written.seen()[0]
    run = again(written, data=written.write())
    assert run.seen() == [before + 1]


def test_a_start_without_a_checkpoint_begins_anew():
    assert Run("ema_cross").runtimes[0].began == "anew"


def test_a_strategy_that_forgets_at_gaps_begins_anew(written):
    run = again(written, later_ns=SECOND, on_gap="reset")
    assert run.runtimes[0].began == "anew: the ticks of 1.0 s since the checkpoint were missed"
    assert (run.seen(), run.runtimes[0].cold_ticks, run.runtimes[0].gaps) == ([0], [7], 0)


@pytest.mark.parametrize(
    ("later_ns", "said"),
    [
        (AGE_NS, "restored from 300.0 s ago"),
        (AGE_NS + 1, "anew: the checkpoint is 300.0 s old, beyond journal.checkpoint_age_s_max"),
        (-SECOND, "anew: the checkpoint is from the future (-1.0 s): the clock was set back"),
    ],
)
def test_an_old_checkpoint_is_not_taken_up(written, later_ns, said):
    assert again(written, later_ns=later_ns).runtimes[0].began == said


def test_features_that_forget_after_a_silence_begin_anew_and_the_state_goes_on(written):
    written.runtimes[0].view("state")[0] = -1.0
    run = again(written, later_ns=61 * SECOND, data=written.write())
    (one,) = run.runtimes
    assert one.began.startswith("restored")
    assert (run.seen(), one.cold_ticks, one.view("state")[0]) == ([0], [7], -1.0)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"params": {"qty": 0.5}}, "parameters"),
        ({"tuning": {"ema_slow": 5.0}}, "tuning"),
        ({"lot_size": "0.01"}, "instruments"),
        ({"warmup_ticks": 8}, "warm-up"),
        ({"params": {"qty": 0.5}, "warmup_ticks": 8}, "parameters, warm-up"),
    ],
)
def test_a_checkpoint_of_another_configuration_is_refused_by_name(written, changes, what):
    run = again(written, **changes)
    assert run.runtimes[0].began == f"anew: the checkpoint is of another {what}"
    assert run.seen() == [0]


@pytest.mark.parametrize("what", ["feature code", "strategy", "model"])
def test_a_checkpoint_of_other_code_is_refused_by_name(written, what):
    (memory,) = decode(written.disk.read(FOLDER / NAME))
    other = msgspec.structs.replace(memory, layout=memory.layout | {what: "other"})
    assert (
        again(written, data=file_of(other)).runtimes[0].began == f"anew: the checkpoint is of another {what}"
    )


@pytest.mark.parametrize("changes", [{"parts": [b"", b"", b""]}, {"cold_ticks": [0, 0]}])
def test_parts_of_another_size_are_refused(written, changes):
    (memory,) = decode(written.disk.read(FOLDER / NAME))
    other = msgspec.structs.replace(memory, **changes)
    assert again(written, data=file_of(other)).runtimes[0].began == "anew: the checkpoint is of another size"


def test_a_strategy_that_the_checkpoint_lacks_begins_anew(written):
    run = Run("market_maker", disk=written.disk, now_ns=written.time.now_ns())
    assert run.runtimes[0].began == "anew: the checkpoint has nothing of it"


def test_one_configured_twice_finds_each_of_its_own(written):
    (memory,) = decode(written.disk.read(FOLDER / NAME))
    other = msgspec.structs.replace(memory, layout=memory.layout | {"parameters": "other"}, cold_ticks=[5])
    for memories in ([other, memory], [memory, other]):
        run = again(written, data=file_of(*memories))
        assert run.runtimes[0].cold_ticks == memory.cold_ticks


# --- damage -------------------------------------------------------------------------------------------------
def test_a_checkpoint_cut_at_any_byte_is_told_and_ignored(written):
    data = written.disk.read(FOLDER / NAME)
    for size in range(len(data)):
        with pytest.raises(FileFormatError, match=r"^is torn|^is damaged"):
            decode(data[:size])
    with pytest.raises(FileFormatError, match="more follows"):
        decode(data + b"\0")
    with pytest.raises(FileFormatError, match="is torn at offset 16"):
        decode(header(1))  # at the end of a frame
    run = again(written, data=data[:-1])
    assert run.runtimes[0].began.startswith(f"anew: the checkpoint journal/{NAME} is torn")
    assert run.seen() == [0]


def test_one_flipped_bit_anywhere_is_told_and_ignored(written):
    data = written.disk.read(FOLDER / NAME)
    body = bytearray(data)
    for at in range(len(data)):
        body[at] ^= 1 << at % 8
        with pytest.raises(FileFormatError):
            decode(bytes(body))
        body[at] = data[at]
    body[-9] ^= 16
    assert (
        again(written, data=body)
        .runtimes[0]
        .began.endswith("is damaged at offset 16: the checksum does not hold")
    )


def test_a_newer_format_and_other_content_are_refused(written):
    data = written.disk.read(FOLDER / NAME)
    head = HEADER.pack(b"tickdmem", 2, 0, 0)[:-4]
    newer = head + crc32(head).to_bytes(4, "little") + data[HEADER.size :]
    with pytest.raises(FileFormatError, match=r"newer tickd \(format 2, ours is 1\)"):
        decode(newer)
    with pytest.raises(FileFormatError, match="no checkpoint"):
        decode(b"\0" * 100)


class Unreadable(MemoryDisk):
    def read(self, path):
        raise PermissionError(13, "Permission denied", str(path))


def test_a_file_that_cannot_be_read_fails_no_start():
    began = Run("ema_cross", disk=Unreadable()).runtimes[0].began
    assert began == f"anew: the checkpoint journal/{NAME} cannot be read (Permission denied)"


# --- writing ------------------------------------------------------------------------------------------------
def test_a_strategy_that_failed_is_not_remembered(written):
    run = Run("ema_cross")
    run.runtimes[0].fault = -1
    assert decode(run.write()) == []


def test_a_full_disk_leaves_the_old_checkpoint_and_trading_goes_on():
    run = Run("ema_cross")
    before = run.write()
    run.disk.bytes_max = 10
    quotes(run)
    for _ in range(2):
        assert run.write() == before
    assert run.checkpoints.written == 1
    run.disk.bytes_max = None
    assert run.write() != before
    assert run.checkpoints.written == 2


def test_where_it_stood_is_on_record(written):
    written.checkpoints.newest_ids = lambda index: (7 + index, 9)
    (memory,) = decode(written.write())
    assert (memory.now_ns, memory.newest_ids) == (written.time.now_ns(), [(7, 9)])
    assert (memory.name, memory.symbols) == ("ema_cross", ["BTC/USDT"])


def test_a_daemon_on_virtual_time_writes_every_so_often(written):
    async def go():
        before = written.checkpoints.written
        task = asyncio.ensure_future(written.checkpoints.run(10.0))
        for _ in range(3):
            await asyncio.sleep(0)
            written.time.advance(written.time.now_ns() + 10 * SECOND)
            for _ in range(5):
                await asyncio.sleep(0)
        task.cancel()
        return written.checkpoints.written - before

    assert asyncio.run(go()) == 3


# --- the whole core -----------------------------------------------------------------------------------------
def test_a_restarted_core_is_ready_at_once_where_its_strategy_goes_on_and_warms_up_where_not(new_floor):
    cross = StrategyConfig(name="ema_cross", warmup_ticks=5, tuning={"ema_fast": 2.0, "ema_slow": 4.0})
    floor = new_floor(cross)
    for _ in range(6):
        floor.quote()
    assert floor.engine.state == "READY"
    asyncio.run(floor.core.checkpoints.write())
    floor.later(3)
    later = floor.restarted(cross)
    assert (later.engine.state, later.core.runtimes[0].began) == ("READY", "restored from 3.0 s ago")
    anew = floor.restarted(msgspec.structs.replace(cross, on_gap="reset"))
    assert anew.engine.state == "WARMING"
    old = floor.restarted(cross, journal=JournalConfig(path="journal", checkpoint_age_s_max=2.0))
    assert old.engine.state == "WARMING"

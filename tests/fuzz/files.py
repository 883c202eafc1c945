"""Files: what is torn, garbled or somebody else's is refused in a sentence; the rest is read as it is."""

from __future__ import annotations

import atexit
import gzip
import shutil
import tempfile
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from daemon import memory_checkpoint
from daemon.config import from_tree
from daemon.errors import FileFormatError, JournalError, TickdError, UsageError
from daemon.memory_disk import MemoryDisk
from daemon.orders.reader import read_all, read_history, scan
from daemon.orders.records import FRAME, unpack
from daemon.simulator import fault
from daemon.simulator.state import header, read, restore, save
from daemon.tape.capture import read_frames
from tests.daemon.orders.conftest import World
from tests.daemon.orders.test_reader import FOLDER, PATH, written
from tests.daemon.simulator.conftest import Kit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_ROOT = Path(__file__).resolve().parents[2]


def new_folder() -> Path:
    """Return a folder that goes when the process does."""
    folder = tempfile.mkdtemp(prefix="tickd-fuzz-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


# --- the journal --------------------------------------------------------------------------------------------
def journal() -> Callable[[bytes], object]:
    """Open the reader of a journal's one file."""

    def run(data: bytes) -> None:
        disk = MemoryDisk()
        disk.replace(PATH, data)
        try:
            told = [record for _, _, record in read_all(disk, FOLDER)]
            history = read_history(disk, FOLDER)
        except JournalError:
            return
        assert _texts(history.records) == _texts(told)
        assert data.startswith(disk.read(PATH)), "a start cuts, and changes nothing"
        assert _texts(record for _, _, record in read_all(disk, FOLDER)) == _texts(told)

    return run


def _texts(found: Iterable[object]) -> list[str]:
    return [repr(one) for one in found]  # NaN is not equal to itself


def journal_seeds() -> list[bytes]:
    """Return journals of each policy, one of which orders wrote."""
    return [written(), written(sync="os"), written(records=0), _orders_journal()]


def _orders_journal() -> bytes:
    world = World()
    order = world.place(qty=100)
    world.report("NEW", order, venue_order_id="17")
    world.fill(order, 1, 40)
    world.orders.cancel(order, world.time.now_ns())
    world.report("CANCELED", order, cum_lots=40)
    world.check(refusal=3)
    return world.disk.read(world.disk.list(world.folder)[0])


def records() -> Callable[[bytes], object]:
    """Open the reader of a record's body, which a checksum stands before."""

    def run(data: bytes) -> None:
        with suppress(ValueError):
            unpack(data)

    return run


def records_seeds() -> list[bytes]:
    """Return a body of each kind that orders write."""
    data = _orders_journal()
    return [_body(data, at) for at in scan(data, PATH).offsets]


def _body(data: bytes, at: int) -> bytes:
    size, _ = FRAME.unpack_from(data, at)
    return data[at + FRAME.size : at + FRAME.size + size]


def memories() -> Callable[[bytes], object]:
    """Open the reader of the checkpoint of strategies' memories."""

    def run(data: bytes) -> None:
        with suppress(FileFormatError):
            memory_checkpoint.decode(data)

    return run


def memories_seeds() -> list[bytes]:
    """Return a checkpoint of two."""
    memory = memory_checkpoint.Memory(
        "one", ["BTC/USDT"], {"a": "b"}, 5, [0], [(1, 2)], [b"x" * 64, b"", b"y"]
    )
    return [memory_checkpoint.header(2) + 2 * memory_checkpoint.encode(memory), memory_checkpoint.header(0)]


# --- captures -----------------------------------------------------------------------------------------------
def capture() -> Callable[[bytes], object]:
    """Open the reader of captures, plain lines of which an input is; and of what is no gzip file."""
    path = new_folder() / "one.gz"

    def run(data: bytes) -> None:
        for stored in (gzip.compress(data, 1), data):
            path.write_bytes(stored)
            with suppress(FileFormatError):
                for local_ns, payload in read_frames(path):
                    assert local_ns > 0 or payload
                    assert payload.startswith(b"{")

    return run


def capture_seeds() -> list[bytes]:
    """Return a few lines."""
    return [b'1723161255343000000 {"stream":"btcusdt@trade","data":{"e":"trade"}}\n' * 3, b""]


# --- what people write --------------------------------------------------------------------------------------
def config() -> Callable[[bytes], object]:
    """Open the reader of configurations."""

    def run(data: bytes) -> None:
        try:
            tree = tomllib.loads(data.decode())
        except (ValueError, RecursionError):
            return
        with suppress(TickdError):
            from_tree(tree, {}, "it")

    return run


def config_seeds() -> list[bytes]:
    """Return those that the project ships."""
    return [path.read_bytes() for path in sorted((_ROOT / "configs").glob("*.toml"))]


def faults() -> Callable[[bytes], object]:
    """Open the reader of schedules of faults, TOML or JSON."""

    def run(data: bytes) -> None:
        with suppress(UnicodeDecodeError), suppress(UsageError):
            fault.parse(data.decode(), "it")

    return run


def faults_seeds() -> list[bytes]:
    """Return a schedule in each form."""
    tables = (
        b'[[fault]]\nkind = "stall"\nat_s = 1.5\nlasts_s = 2\n\n'
        b'[[fault]]\nkind = "drop"\nof = "events"\ncount = 3\n'
    )
    lines = (
        b'{"kind": "crossed_book", "symbol": "BTCUSDT", "count": 1}\n'
        b'{"kind": "delay", "delay_s": 0.5, "count": 9}\n'
    )
    listed = b'[{"kind": "http_5xx", "method": "order.place", "code": 503, "count": 2, "executed": false}]'
    return [tables, lines, listed]


def state() -> Callable[[bytes], object]:
    """Open the reader of the simulated exchange's own file, and let it live on with what was read."""

    def run(data: bytes) -> None:
        with suppress(FileFormatError):
            restore({"spot": Kit().exchange}, read(data, "it"))

    return run


def state_seeds() -> list[bytes]:
    """Return the state of an exchange with orders and trades."""
    kit = Kit()
    kit.order(quantity="0.5", price="100.01")
    kit.order(quantity="0.5", price="99.50")
    return [header(kit.time.now_ns()) + b"".join(save({"spot": kit.exchange}))]

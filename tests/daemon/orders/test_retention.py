from __future__ import annotations

import asyncio

import pytest

from daemon.errors import JournalError
from daemon.faces.journal_summary import Summing
from daemon.memory_disk import InlineWorker
from daemon.orders import retention
from daemon.orders.reader import read_all, read_history, segments
from daemon.orders.retention import DAY_NS, expire
from daemon.seams import Seams
from kernels import dtypes as d
from tests.daemon.orders.conftest import FOLDER

DAY_S = 86_400


@pytest.fixture
def month(world):
    """Return the last of four runs, ten days apart, that hold what the first one bought."""
    bought = world.place(kind=d.TARGET, qty=1000)
    world.fill(bought, 1, 1000)
    for _ in range(3):
        world.later(10 * DAY_S)
        world = world.restarted()
    return world


def names(world):
    return [path.stem[-1] for path in segments(world.disk, FOLDER)]


@pytest.mark.parametrize(("days", "left"), [(40, "1234"), (25, "1234"), (15, "234"), (5, "34"), (0, "4")])
def test_what_is_older_goes_and_a_start_finds_everything(month, days, left):
    month.later(1)
    now_ns = month.time.now_ns()
    expire(month.disk, FOLDER, now_ns - days * DAY_NS, {})
    assert names(month) == list(left)
    again = month.restarted()
    assert again.position(d.P_QTY) == 0.01
    assert again.ids.run > month.ids.run


def test_a_file_without_a_whole_state_behind_it_stays(month):
    *_, newest = segments(month.disk, FOLDER)
    month.disk.truncate(newest, 20)  # its header and no record, as a power cut leaves it
    assert [path.stem[-1] for path in expire(month.disk, FOLDER, month.time.now_ns(), {})] == ["1", "2"]
    assert names(month) == ["3", "4"]
    assert read_history(month.disk, FOLDER).records


def test_when_a_file_began_is_read_once(month, monkeypatch):
    begins, read = {}, []
    monkeypatch.setattr(
        month.disk, "read", lambda path, whole=month.disk.read: read.append(path) or whole(path)
    )
    for _ in range(2):
        expire(month.disk, FOLDER, month.time.now_ns() - 365 * DAY_NS, begins)
    assert read == segments(month.disk, FOLDER)[1:2]


def test_what_is_damaged_stays_and_is_told(month):
    second = segments(month.disk, FOLDER)[1]
    month.disk._files[second].data[40] ^= 1
    with pytest.raises(JournalError, match="damaged at offset"):
        expire(month.disk, FOLDER, month.time.now_ns(), {})
    assert names(month) == list("1234")


def test_it_is_looked_at_every_hour_and_a_failure_is_told(month, monkeypatch):
    lines, time = [], month.time

    class Log:
        def info(self, event, **more):
            lines.append((event, more["path"][-9:]))

        def warning(self, event, **more):
            lines.append((event, more["reason"]))

    def fail(path):
        raise PermissionError(13, "Permission denied")

    async def scene():
        seams = Seams(time, time, None, month.disk, InlineWorker(), None)
        task = asyncio.ensure_future(retention.run(FOLDER, 20, seams, Log()))
        for hours in (0, 1, 24):
            monkeypatch.setattr(month.disk, "remove", fail) if hours == 24 else None
            time.advance(time.now_ns() + hours * 3600 * 1_000_000_000 + 10 * (hours == 24) * DAY_NS)
            for _ in range(5):
                await asyncio.sleep(0)
        task.cancel()

    asyncio.run(scene())
    assert [event for event, _ in lines] == ["journal_expired", "journal_kept"]
    assert "Permission denied" in lines[1][1]


def test_a_summary_tells_from_when_its_figures_count_and_leaves_out_what_was_before(month):
    sold = month.place(kind=d.TARGET, side=d.SELL, price=6_100_000, qty=400)
    month.fill(sold, 2, 400)
    month.later(DAY_S)
    last = month.restarted()
    sold = last.place(kind=d.TARGET, side=d.SELL, price=6_100_000, qty=600)
    last.fill(sold, 3, 600)
    last.later(1)
    lines = []
    for expires in (False, True):
        if expires:
            expire(last.disk, FOLDER, last.time.now_ns(), {})
        summing = Summing()
        for _, _, record in read_all(last.disk, FOLDER):
            summing.take(record)
        summary = summing.summary(lambda _: True)
        (line,) = summary.lines
        gone = [note for note in summary.notes if "older files of the journal are gone" in note]
        lines.append((line.position, line.realised, line.fills, len(gone)))
    assert lines == [("0", "10", 3, 0), ("0", "6", 1, 1)]

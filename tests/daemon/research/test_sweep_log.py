"""A sweep's file: resumed, torn, foreign, damaged."""

from __future__ import annotations

import errno

import msgspec
import pytest

from daemon.disk import RealDisk
from daemon.errors import FileFormatError, UsageError
from daemon.research.sweep_log import Head, SweepLog, TrialLine

HEAD = Head(
    data="d",
    strategy="s",
    model="",
    base={"risk": {"daily_loss_max": 500.0}},
    ranges={"qty": ["1", "2"]},
    search={"kind": "grid"},
    point_s=60,
    walk_forward=0,
)


def line(number):
    return TrialLine(window=0, trial=number, values={"qty": str(number)}, figures={"net": 1.5})


def begun(path, *numbers, head=HEAD):
    log = SweepLog(RealDisk(), path, head)
    for number in numbers:
        log.add(line(number))
    log.close()
    return log


def test_trials_are_known_again(tmp_path):
    path = tmp_path / "sweep.jsonl"
    assert begun(path, 0, 1).known == {}
    assert begun(path, 2).known == {(0, 0): line(0), (0, 1): line(1)}
    assert list(begun(path).known) == [(0, 0), (0, 1), (0, 2)]
    assert len(path.read_bytes().splitlines()) == 4


def test_a_torn_line_is_cut_off_wherever_it_is_torn(tmp_path):
    path = tmp_path / "sweep.jsonl"
    begun(path, 0, 1)
    data = path.read_bytes()
    keeps = data.index(b"\n") + 1, data.rindex(b"\n", 0, -1) + 1
    for size in range(1, len(data)):
        path.write_bytes(data[:size])
        log = begun(path, 1)
        assert (0, 0) in log.known if size >= keeps[1] else log.known == {}
        found = path.read_bytes()
        assert found == data[: next((k for k in reversed(keeps) if size >= k), keeps[0])] + data[keeps[1] :]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"data": "e"}, "data"),
        ({"strategy": "t"}, "strategy"),
        ({"base": {"risk": {"daily_loss_max": 5.0}}}, "base.risk.daily_loss_max"),
        ({"ranges": {"qty": ["1", "2", "3"]}}, "ranges.qty"),
        ({"search": {"kind": "random", "seed": 1}}, "search.kind, search.seed"),
        ({"point_s": 1}, "point_s"),
    ],
)
def test_a_file_of_another_sweep_is_refused_by_what_differs(tmp_path, changed, named):
    path = tmp_path / "sweep.jsonl"
    begun(path, 0)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=f"another sweep: {named} differ"):
        begun(path, head=msgspec.structs.replace(HEAD, **changed))
    assert path.read_bytes() == before


@pytest.mark.parametrize("data", [b"hello\n", b"hello", b'{"a":1}\n', b"\x00\xff\n", b"[]\n"])
def test_what_is_no_sweep_s_file_is_left_alone(tmp_path, data):
    path = tmp_path / "notes"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="no sweep's file"):
        begun(path)
    assert path.read_bytes() == data


def test_a_newer_and_a_damaged_file_are_refused(tmp_path):
    path = tmp_path / "sweep.jsonl"
    begun(path, 0, 1)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"tickd_sweep":1', b'"tickd_sweep":2'))
    with pytest.raises(FileFormatError, match="newer tickd"):
        begun(path)
    path.write_bytes(data.replace(b'"trial":0', b'"trial":x'))
    with pytest.raises(FileFormatError, match="damaged behind its 0 first trials"):
        begun(path)


def test_a_full_disk_and_a_folder_are_a_sentence(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="cannot be read"):
        begun(tmp_path)
    log = SweepLog(RealDisk(), tmp_path / "sweep.jsonl", HEAD)

    def full(_data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(log._file, "write", full)
    with pytest.raises(FileFormatError, match="cannot be written \\(No space left"):
        log.add(line(0))
    log.close()


def test_without_a_name_nothing_is_kept():
    log = SweepLog(RealDisk(), None, HEAD)
    log.add(line(0))
    log.close()
    assert log.known == {}

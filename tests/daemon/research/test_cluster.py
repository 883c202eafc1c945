"""Dask in the place of threads: in order, the same results, a worker lost, and what is missing told."""

from __future__ import annotations

import builtins
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import msgspec
import pytest

from daemon.cli import main
from daemon.errors import TickdError, UsageError
from daemon.faces.sweep_table import SweepResult
from daemon.research.cluster import Cluster, Crew

GRID = ["--point", "1", "--param", "qty=0.001:0.012:0.001", "--param", "band_bps=0.1,0.3", "--json"]


class KilledError(Exception):
    """In place of Dask's own."""


class Future:
    """Done, or not, or failed."""

    def __init__(self, value, status="finished"):
        self.value = value
        self.status = status

    def result(self):
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class Client:
    """Does what it is asked at once."""

    def __init__(self):
        self.cancelled = []
        self.next = []

    def submit(self, do, *, pure):
        assert pure is False  # else the same point would be taken for the same trial
        return self.next.pop(0) if self.next else Future(do())

    def cancel(self, futures):
        self.cancelled += futures


def crew():
    client = Client()
    return Crew(client, SimpleNamespace(KilledWorker=KilledError)), client


def test_what_was_asked_first_is_given_back_first():
    one, _ = crew()
    one.ask(lambda: 1)
    one.know(2)
    one.ask(lambda: 3)
    assert len(one) == 3
    assert [one.oldest() for _ in range(3)] == [1, 2, 3]


def test_an_end_keeps_what_is_done_and_lets_the_rest_be():
    one, client = crew()
    waits = Future(9, "pending")
    client.next = [Future(1), waits, Future(3)]
    for _ in range(3):
        one.ask(bool)
    one.know(4)
    assert one.ended() == [1, 3, 4]
    assert waits in client.cancelled
    assert len(one) == 0


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            ModuleNotFoundError("no", name="daemon"),
            "a Dask worker lacks daemon: install the same tickd there",
        ),
        (KilledError("x"), "workers were lost one after the other"),
        (TickdError("a Dask worker reads other ticks"), "reads other ticks"),
    ],
)
def test_what_a_worker_lacks_is_a_sentence(error, sentence):
    one, client = crew()
    client.next = [Future(error)]
    one.ask(bool)
    with pytest.raises(TickdError, match=sentence):
        one.oldest()


def test_without_dask_one_sentence_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def lacking(name, *rest):
        if name == "distributed":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(UsageError, match=r"pip install -r requirements/dask\.txt"):
        Cluster("", 2)


def ran(capsys, swung, *words):
    assert main(["sweep", str(swung), *GRID, *words]) == 0
    result = msgspec.json.decode(capsys.readouterr().out, type=SweepResult)
    return msgspec.structs.replace(result, threads=0, seconds=0.0, trials_per_s=0.0)


@pytest.mark.heavy(seconds=20)
def test_processes_find_what_threads_do(capsys, swung, tmp_path):
    out = tmp_path / "sweep.jsonl"
    for words in ([], ["--walk-forward", "2"], ["--search", "tpe", "--trials", "9", "--threads", "2"]):
        expected = ran(capsys, swung, *words)
        assert ran(capsys, swung, *words, "--cluster", "2") == expected
    # what threads began, processes go on with
    expected = ran(capsys, swung, "--out", str(out))
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:9]))
    again = ran(capsys, swung, "--out", str(out), "--cluster", "2")
    assert again == msgspec.structs.replace(expected, resumed=8)
    assert out.read_bytes() == b"".join(lines)


@pytest.mark.heavy(seconds=15)
def test_a_scheduler_that_is_not_there_is_a_sentence(capsys, swung):
    assert main(["sweep", str(swung), *GRID, "--dask", "tcp://127.0.0.1:9"]) == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.heavy(seconds=30)
def test_a_worker_that_is_lost_is_survived(capsys, swung, tmp_path, monkeypatch):
    from daemon.research import sweep_verb

    expected = ran(capsys, swung)
    clusters, real = [], sweep_verb.Cluster
    monkeypatch.setattr(sweep_verb, "Cluster", lambda *given: clusters.append(real(*given)) or clusters[0])
    take, taken = sweep_verb.Sweep._take, []

    def kill_one(self, line):
        take(self, line)
        taken.append(line)
        if len(taken) == 4:
            workers = clusters[0]._client.run(os.getpid)
            os.kill(next(iter(workers.values())), signal.SIGKILL)

    monkeypatch.setattr(sweep_verb.Sweep, "_take", kill_one)
    assert ran(capsys, swung, "--cluster", "2") == expected
    assert len(taken) == 24


@pytest.mark.heavy(seconds=20)
def test_ctrl_c_ends_all_processes(root, swung, tmp_path):
    out = tmp_path / "sweep.jsonl"
    words = [str(swung), "--point", "1", "--param", "qty=0.001:2:0.001", "--out", str(out), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "daemon.cli", "sweep", *words, "--cluster", "2"],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    for _ in range(600):
        if out.exists() and out.read_bytes().count(b"\n") > 5:
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    told, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, b"")
    result = msgspec.json.decode(told, type=SweepResult)
    assert result.interrupted
    assert 5 < result.done == out.read_bytes().count(b"\n") - 1 < 2_000

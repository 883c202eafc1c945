"""What a strategy reads beside what it is given."""

from __future__ import annotations

import os
import sys
from types import FunctionType

import pytest

from daemon.research.reads import Reads


def from_module(name, function):
    """Return the function as if that module had it."""
    return FunctionType(
        function.__code__,
        {"__name__": name, "__builtins__": __builtins__},
        "call",
        None,
        function.__closure__,
    )


@pytest.fixture
def reads():
    return Reads(lambda name: name == "mine")


def hear(reads, *event, module="mine"):
    from_module(module, lambda: reads.hear(event[0], event[1:]))()
    return reads.found


def test_a_file_that_the_strategy_opens_is_told_once(reads, tmp_path):
    path = str(tmp_path / "future.npy")
    assert hear(reads, "open", path, "r", os.O_RDONLY) == [path]
    assert hear(reads, "open", path.encode(), "rb", os.O_RDONLY) == [path]
    assert hear(reads, "open", "near.csv", None, os.O_RDWR) == [path, str(tmp_path.cwd() / "near.csv")]


@pytest.mark.parametrize(
    "event",
    [
        ("open", 7, "r", os.O_RDONLY),
        ("open", "/tmp/log.txt", "w", os.O_WRONLY | os.O_CREAT),
        ("open", "/tmp/helper.py", "r", os.O_RDONLY),
        ("open", "/tmp/helper.cpython-311.pyc", "r", os.O_RDONLY),
        ("open", f"{sys.prefix}/share/zone.tab", "r", os.O_RDONLY),
        ("os.listdir", "/tmp"),
    ],
)
def test_programs_what_is_written_and_what_is_installed_is_not(reads, event):
    assert hear(reads, *event) == []


def test_what_others_open_is_not(reads):
    assert hear(reads, "open", "/tmp/ticks.parquet", "r", os.O_RDONLY, module="daemon.tape.ticks") == []


def test_a_function_that_the_strategy_calls_is_the_strategy_s(reads):
    arguments = "/tmp/future", "r", os.O_RDONLY
    other = from_module("numpy", lambda: reads.hear("open", arguments))
    from_module("mine", lambda: [other()])()
    assert reads.found == ["/tmp/future"]


def test_sockets_and_processes_are_told(reads):
    hear(reads, "socket.connect", None, ("127.0.0.1", 80))
    assert hear(reads, "subprocess.Popen", "ls", [], None, None) == ["a socket", "another process"]


def test_calls_of_pyarrow_tell_what_they_are_given(reads, tmp_path):
    path = tmp_path / "future.parquet"
    path.write_text("")
    call = reads._wrapped(lambda *given, **more: (given, more))

    def ask():
        return call(path, mode="hive", other=3)

    assert from_module("mine", ask)() == ((path,), {"mode": "hive", "other": 3})
    assert reads.found == [str(path)]

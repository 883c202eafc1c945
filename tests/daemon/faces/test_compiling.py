from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import suppress

import pytest
from numba import njit
from rich.console import Console

from daemon.faces.compiling import compiling, told_to
from daemon.kernel_cache import is_warm

CHILD = """
import sys
from rich.console import Console
from daemon.faces.compiling import compiling
with compiling(Console(file=sys.stdout), 2) as step:
    step("imports")
    import kernel_to_cache
    step("kernel")
    kernel_to_cache.add(1)
"""


def test_two_processes_on_one_terminal_tell_of_their_steps_in_lines_that_say_whose(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, to rich
    assert told_to(beside_others=False).is_terminal
    console = told_to(beside_others=True)
    with compiling(console, 1, whose="the daemon's ") as step:
        step("forest")
        njit(lambda x: x + 4)(1)
    assert capsys.readouterr().err == "compiling: the daemon's forest (1 of 1)\n"


def test_a_kind_of_process_is_warm_once_all_its_steps_were_made(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    with suppress(KeyError), compiling(Console(quiet=True), 1, kind="daemon") as step:
        step("forest")
        raise KeyError
    assert not is_warm("daemon")
    with compiling(Console(quiet=True), 1, kind="daemon"):
        pass
    assert is_warm("daemon")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_step_is_told_of_once_something_compiles_in_it(terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    first, second = njit(lambda x: x + 1), njit(lambda x: x + 2)
    first(1)
    with compiling(console, 3) as step:
        step("compiled before")
        first(1)
        assert console.file.getvalue() == ""
        step("new")
        second(1)
        second(1.0)
        step("nothing to do")
    said = console.file.getvalue()
    assert "compiling: new" in said
    assert "nothing to do" not in said
    if terminal:
        assert "1/3" in said  # what was found counts as done
    else:
        assert said == "compiling: new (2 of 3)\n"
    second(2j)  # nobody listens any more
    assert console.file.getvalue() == said


def test_what_the_cache_holds_is_loaded_without_a_word(root, tmp_path):
    (tmp_path / "kernel_to_cache.py").write_text(
        "from numba import njit\n\n@njit(cache=True)\ndef add(x):\n    return x + 1\n"
    )
    environ = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": f"{root}:{tmp_path}"}
    said = [
        subprocess.run([sys.executable, "-c", CHILD], env=environ, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert [one.stdout for one in said] == ["compiling: kernel (2 of 2)\n", ""]

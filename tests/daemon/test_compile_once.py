from __future__ import annotations

import os
import subprocess
import sys

KERNELS = """
from numba import njit

@njit(cache=True)
def grow(x):
    if x > 3:
        return x
    return grow(x + 1)

@njit(cache=True)
def many(x):
    for _ in range(3):
        x = grow(x) - 2
    return x

@njit
def kept_nowhere(x):
    return many(x) + 1
"""
CHILD = """
import sys
from daemon import compile_once
compile_once.install()
from locked_kernels import grow, kept_nowhere, many
print("ready", flush=True)
sys.stdin.readline()
kept_nowhere(int(sys.argv[1]))
kept_nowhere(float(sys.argv[1]))
print([sum(one.stats.cache_misses.values()) for one in (grow, many)], flush=True)
"""


def test_of_processes_that_start_together_one_compiles_a_kernel_and_the_others_load_it(root, tmp_path):
    (tmp_path / "locked_kernels.py").write_text(KERNELS)
    environ = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": f"{root}:{tmp_path}"}
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, "1"],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    try:
        for one in children:
            assert one.stdout.readline() == "ready\n"
        for one in children:
            one.stdin.write("go\n")
            one.stdin.flush()
        misses = [[int(word) for word in one.stdout.readline().strip("[]\n").split(",")] for one in children]
    finally:
        for one in children:
            one.communicate(timeout=60)
    assert [sum(column) for column in zip(*misses, strict=True)] == [2, 2]  # of integers, and of floats

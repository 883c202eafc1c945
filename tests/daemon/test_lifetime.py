from __future__ import annotations

import signal
import subprocess
import sys

import pytest

RUN = {"asyncio": "import asyncio; asyncio.run(main())", "uvloop": "import uvloop; uvloop.run(main())"}
WAITING = """
import asyncio
from daemon.lifetime import catch_signals
async def main():
    told = asyncio.get_running_loop().create_future()
    catch_signals(told.set_result)
    print("waiting", flush=True)
    print(await told, flush=True)
    await asyncio.sleep(60)
"""
BUSY = """
from daemon.lifetime import catch_signals
async def main():
    catch_signals(print)
    print("busy", flush=True)
    while True:
        pass
"""
CHILD = """
import asyncio
from daemon.lifetime import watch_parent
async def main():
    told = asyncio.get_running_loop().create_future()
    await watch_parent(told.set_result)
    print("waiting", flush=True)
    print(await told, flush=True)
"""


COMPILING = """
import asyncio
from daemon.lifetime import catch_signals, nothing_to_lose
async def main():
    catch_signals(lambda name: print(name, flush=True))
    with nothing_to_lose(7):
        print("compiling", flush=True)
        while True:
            pass
"""
COMPILED = (
    COMPILING.replace("while True:", "if True:")
    + """
    print("open", flush=True)
    await asyncio.sleep(60)
"""
)


def start(text, loop, stdin=subprocess.DEVNULL):
    return subprocess.Popen(
        [sys.executable, "-c", text + RUN[loop]],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("loop", RUN)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_is_told_by_name_and_a_second_ends_at_once(loop, number):
    with start(WAITING, loop) as process:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        assert process.stdout.readline() == f"{number.name}\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 130
        assert process.stderr.read() == ""


@pytest.mark.parametrize("loop", RUN)
def test_two_signals_end_even_a_loop_that_never_turns(loop):
    with start(BUSY, loop) as process:
        assert process.stdout.readline() == "busy\n"
        while process.poll() is None:  # two that come at once may count as one
            process.send_signal(signal.SIGINT)
        assert process.returncode == 130


@pytest.mark.parametrize("loop", RUN)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_a_process_that_has_nothing_to_lose_yet(loop, number):
    with start(COMPILING, loop) as process:
        assert process.stdout.readline() == "compiling\n"
        process.send_signal(number)
        assert process.wait(10) == 7
        assert process.stderr.read() == ""


@pytest.mark.parametrize("loop", RUN)
def test_a_signal_is_told_again_once_there_is_something_to_lose(loop):
    with start(COMPILED, loop) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["compiling\n", "open\n"]
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "SIGTERM\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 130


def test_a_signal_after_the_loop_has_ended_changes_nothing():
    text = """
import asyncio, os, signal
from daemon.lifetime import catch_signals
async def main():
    catch_signals(print)
asyncio.run(main())
os.kill(os.getpid(), signal.SIGTERM)
print("still here")
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "still here\n", "")


@pytest.mark.parametrize("loop", RUN)
def test_the_end_of_the_parent_is_noticed(loop):
    with start(CHILD, loop, stdin=subprocess.PIPE) as process:
        assert process.stdout.readline() == "waiting\n"
        process.stdin.close()
        assert process.stdout.readline() == "parent\n"
        assert process.wait(10) == 0


@pytest.mark.parametrize("loop", RUN)
def test_a_line_of_the_parent_is_told_and_ends_nothing(loop):
    text = CHILD.replace(
        "watch_parent(told.set_result)", 'watch_parent(print, lambda: told.set_result("go on"))'
    )
    with start(text, loop, stdin=subprocess.PIPE) as process:
        assert process.stdout.readline() == "waiting\n"
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "go on\n"
        assert process.wait(10) == 0


@pytest.mark.parametrize("loop", RUN)
def test_a_parent_is_watched_through_a_pipe_only(loop, tmp_path):
    (tmp_path / "file").write_text("")
    with (tmp_path / "file").open() as file, start(CHILD, loop, stdin=file) as process:
        assert process.wait(10) == 1
        assert "--with-parent wants a pipe from the parent as standard input" in process.stderr.read()


def test_killing_oneself_is_what_a_power_cut_is_to_a_process():
    text = "import atexit; from daemon.lifetime import kill_self; atexit.register(print, 'bye'); kill_self()"
    child = subprocess.run([sys.executable, "-c", text], capture_output=True, check=False)
    assert (child.returncode, child.stdout) == (-signal.SIGKILL, b"")

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys

import pytest

from daemon.clock import VirtualTime
from daemon.errors import ConfigError, NetError
from daemon.lifetime import Interrupts, children_deaf, signals_caught, start_in_time
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.no_net import NoNet
from daemon.seams import Seams

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
def test_hangups_are_one_first_signal_however_many_and_no_second(loop):
    text = """
import asyncio, os, signal
from daemon.lifetime import catch_signals
async def main():
    told = asyncio.Queue()
    catch_signals(told.put_nowait)
    print("waiting", flush=True)
    print(await told.get(), flush=True)
    for number in (signal.SIGHUP, signal.SIGTERM):  # the latter a first one, which has been told
        os.kill(os.getpid(), number)
    await asyncio.sleep(0)
    print("here, and told", told.qsize(), "more", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(60)
"""
    with start(text, loop) as process:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGHUP)
        assert process.stdout.readline() == "SIGHUP\n"
        assert process.stdout.readline() == "here, and told 0 more\n"
        assert process.wait(10) == 130
        assert process.stderr.read() == ""


def test_who_is_to_outlive_the_terminal_does():
    text = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + WAITING  # as nohup does
    with start(text, "asyncio") as process:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "SIGTERM\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 130


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


SECOND = 1_000_000_000


def started(seconds, *, ready_s=None, connects_s=0, stops_s=None, fails=False):
    """Return what came of a start on virtual time, and after how many seconds."""

    async def main():
        time = VirtualTime()
        seams = Seams(time, time, NoNet(), MemoryDisk(), InlineWorker(), random.Random(1))
        ready, stopping, connecting = asyncio.Event(), asyncio.Event(), asyncio.Event()
        for event, at_s in ((ready, ready_s), (stopping, stops_s), (connecting, connects_s)):
            if at_s is not None:
                time.call_at(at_s * SECOND, event.set)

        async def begin():
            await ready.wait()
            if fails:
                raise ConfigError("no such symbol")

        start = asyncio.ensure_future(begin())
        over = asyncio.ensure_future(start_in_time(start, stopping, connecting, seconds, seams))
        while not over.done() and time.now_ns() < 1000 * SECOND:
            for _ in range(10):
                await asyncio.sleep(0)
            if not over.done():
                time.advance(time.now_ns() + SECOND)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not over.done() or len(asyncio.all_tasks()) == 1
        over.cancel()
        return (over.result() if over.done() else None), time.now_ns() // SECOND

    return asyncio.run(main())


def test_a_start_is_waited_for_until_its_end_is_asked_for():
    assert started(None, ready_s=5) == (True, 5)
    assert started(None, ready_s=5, stops_s=3) == (False, 3)
    with pytest.raises(ConfigError, match="no such symbol"):
        started(None, ready_s=5, fails=True)


def test_one_that_waits_for_its_exchange_longer_than_it_is_to_run_is_given_up():
    assert started(None)[1] == 1000, "without an end it waits for ever"
    assert started(5.0, ready_s=29) == (True, 29), "half a minute it has in any case"
    for seconds, begun_s, within_s in ((5.0, 0, 30), (90.0, 0, 90), (5.0, 60, 30)):
        assert started(seconds, ready_s=begun_s + within_s - 1, connects_s=begun_s)[0]
        with pytest.raises(
            NetError, match=f"^not READY within {within_s} s, and --seconds asks for no longer run"
        ):
            started(seconds, ready_s=begun_s + within_s + 3, connects_s=begun_s)


INTERRUPTED = """
import signal
from daemon.lifetime import interrupted_by_any
before = signal.getsignal(signal.SIGTERM)
try:
    with interrupted_by_any():
        print("working", flush=True)
        signal.pause()
finally:
    print("undone", signal.getsignal(signal.SIGTERM) is before, flush=True)
"""


def test_a_work_that_is_told_to_end_undoes_what_is_half_done():
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL) as child:  # fmt: skip
        assert child.stdout.readline() == "working\n"
        child.send_signal(signal.SIGTERM)
        assert child.stdout.read() == "undone True\n"


@pytest.mark.parametrize("loop", RUN)
def test_each_hangup_is_told_and_ends_nothing(loop):
    text = """
import asyncio
from daemon.lifetime import catch_hangup
async def main():
    told = asyncio.Queue()
    catch_hangup(lambda: told.put_nowait(1))
    print("waiting", flush=True)
    for _ in range(2):
        await told.get()
        print("told", flush=True)
"""
    with start(text, loop) as process:
        assert process.stdout.readline() == "waiting\n"
        for _ in range(2):
            process.send_signal(signal.SIGHUP)
            assert process.stdout.readline() == "told\n"
        assert process.wait(10) == 0


def test_a_first_interrupt_is_heard_where_it_is_waited_and_a_second_at_once():
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts() as interrupts:
        with interrupts.waiting():
            pass
        signal.raise_signal(signal.SIGTERM)  # nothing yet
        with pytest.raises(KeyboardInterrupt), interrupts.waiting():
            pytest.fail("it was told before")
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt), interrupts.waiting():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_is_started_meanwhile_does_not_hear_the_terminal():
    before = signal.getsignal(signal.SIGINT)
    text = "import signal; print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"
    with children_deaf():
        told = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout
    assert told == "True\n"
    assert signal.getsignal(signal.SIGINT) is before


def test_signals_are_caught_for_as_long_as_asked_for():
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    async def main():
        told = asyncio.get_running_loop().create_future()
        with signals_caught(told.set_result):
            signal.raise_signal(signal.SIGTERM)
            return await asyncio.wait_for(told, 10)

    assert asyncio.run(main()) == "SIGTERM"
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before

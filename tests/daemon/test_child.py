from __future__ import annotations

import asyncio
import os
import socket
import sys

import pytest

from daemon import child as module
from daemon.child import Child, free_port
from daemon.errors import ReportedError, TickdError


def with_child(text, use):
    async def go():
        child = Child("the tool")
        await child.start([sys.executable, "-c", text], os.environ)
        try:
            return await use(child)
        finally:
            await child.gone()
            assert not child.running

    return asyncio.run(go())


def test_the_message_asked_for_is_returned_and_others_are_passed_over():
    text = """print('{"event":"ready"}\\n{"event":"started"}\\n{"event":"ended","frames":3}')"""
    assert with_child(text, lambda child: child.message("ended")) == {"event": "ended", "frames": 3}


@pytest.mark.parametrize("event", ["tape_failed", "failed"])
def test_a_market_that_breaks_off_is_its_own_sentence(event):
    text = f"""print('{{"event":"{event}","error":"a.gz is a truncated gzip"}}')"""
    with pytest.raises(TickdError, match=r"^a.gz is a truncated gzip$"):
        with_child(text, lambda child: child.message("ended"))


def test_one_that_fails_has_said_why_and_its_exit_code_is_ours():
    with pytest.raises(ReportedError) as caught:
        with_child("raise SystemExit(78)", lambda child: child.message("ready"))
    assert (caught.value.exit_code, str(caught.value)) == (78, "")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("import os; os.kill(os.getpid(), 9)", "the tool was killed by signal 9; start again"),
        ("", "the tool ended by itself; start again"),
    ],
)
def test_one_that_ends_without_a_word_is_named(text, sentence):
    with pytest.raises(TickdError, match=f"^{sentence}$"):
        with_child(text, lambda child: child.message("ready"))


def test_it_ends_when_its_input_closes_and_what_it_printed_is_returned():
    async def use(child):
        child.end()
        return await child.output(), child.exit_code

    assert with_child("import sys; sys.stdin.read(); print('bye')", use) == (b"bye\n", 0)


def test_one_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(module, "END_S", 0.2)

    async def use(child):
        child.end()
        with pytest.raises(TickdError, match="the tool did not end within 0 s, so it was killed"):
            await child.output()
        await child.gone()
        return child.exit_code

    assert with_child("import time\nwhile True: time.sleep(1)", use) == -9


def test_one_with_nothing_to_lose_is_killed_at_once():
    async def use(child):
        child.kill()
        await child.ended(10)
        child.kill()  # to one that has ended it is nothing
        return child.exit_code

    assert with_child("while True: pass", use) == -9


def test_an_end_is_waited_for_no_longer_than_asked():
    async def use(child):
        before = await child.ended(0.05)
        child.end()
        return before, await child.ended(10)

    assert with_child("import sys; sys.stdin.read()", use) == (False, True)


def test_one_that_holds_is_released():
    async def use(child):
        child.release()
        message = await child.message("going")
        child.end()
        await child.ended(10)
        child.go_on()  # to one that has ended it is nothing
        return message

    text = """import sys; sys.stdin.readline(); print('{"event":"going"}', flush=True); sys.stdin.read()"""
    assert with_child(text, use) == {"event": "going"}


def test_a_free_port_can_be_listened_on():
    with socket.create_server(("127.0.0.1", free_port())) as server:
        assert server.getsockname()[1] > 0


def test_one_that_was_never_started_is_gone_already():
    child = Child("the tool")
    assert not child.running
    asyncio.run(child.gone())


def test_one_that_is_paused_says_nothing_until_it_goes_on():
    text = 'import sys\nfor line in sys.stdin: print(\'{"event":"heard"}\', flush=True)'

    async def use(child):
        child._process.stdin.write(b"x\n")
        await child.message("heard")
        child.pause()
        child._process.stdin.write(b"x\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await child.message("heard")
        child.go_on()
        return await child.message("heard")

    assert with_child(text, use) == {"event": "heard"}


def test_pausing_one_that_has_ended_is_harmless():
    async def use(child):
        assert await child.ended(10)
        child.pause()
        child.go_on()

    with_child("", use)


def test_what_it_takes_of_memory_is_told_while_it_runs():
    async def use(child):
        before = child.resident_bytes()
        child.release()
        await child.message("grown")
        return child.resident_bytes() - before

    text = """input(); x = b"x" * 50_000_000; print('{"event":"grown"}', flush=True); input()"""
    assert 40_000_000 < with_child(text, use) < 80_000_000

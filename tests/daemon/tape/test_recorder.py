"""The recorder: what it takes is on disk soon, in order, and a disk that fails costs the tape alone."""

from __future__ import annotations

import asyncio

from daemon.tape.reader import Entry, read_tape


def run(work):
    return asyncio.run(work)


def test_what_was_taken_is_read_back_in_order(session, tmp_path):
    one = session()

    async def live():
        task = asyncio.create_task(one.recorder.run())
        one.take("feed/0", b"a")
        one.take("feed/1", b"b", last=False)
        await one.passes(1)
        one.take("snapshot/BTC/USDT", b"")
        one.take("cut/0", b"", last=False)
        await one.recorder.close()
        await one.passes(1)
        await task

    run(live())
    tape = read_tape(tmp_path / "tape")
    assert list(tape) == [Entry(*entry) for entry in one.recorded]
    assert (tape.closed, tape.lost_from, tape.cuts) == (True, -1, [])
    assert (one.recorder.taken, one.recorder.written, one.recorder.dropped) == (4, 4, 0)
    assert one.recorder.lag_ns == 0

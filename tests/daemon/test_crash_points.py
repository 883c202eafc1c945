"""Each point is there, is counted, and kills; a name that is none is refused."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from daemon.crash_points import POINTS, Death, arm
from daemon.errors import UsageError
from daemon.memory_disk import MemoryDisk
from daemon.seams import Response, Seams


class Calls(list):
    """Whoever is behind the wrappers: remembers what reached it."""

    async def connect(self, url, handler):
        self.append("connect")
        self.handler = handler
        return self

    async def request(self, *_):
        self.append("request")
        return Response(200, {}, b"")

    def send(self, _):
        self.append("send")

    def close(self):
        self.append("close")

    def on_frame(self, payload, last):
        self.append(f"frame {payload.decode()} {last}")

    def on_close(self, reason):
        self.append(reason)


@pytest.fixture
def deaths(monkeypatch):
    found = []
    monkeypatch.setattr(os, "kill", lambda pid, number: found.append((pid, number)))
    return found


def walk(point):
    """Do everything once through armed seams; return what had been reached when it died, or all."""
    calls, disk = Calls(), MemoryDisk()
    seams, net = arm(point, Seams(None, None, None, disk, None, None), calls)

    async def go():
        file = seams.disk.journal(Path("/j/1"))
        file.write(b"x")
        file.sync()
        file.close()
        seams.disk.replace(Path("/j/2"), b"y")
        wire = await net.connect("ws://here", calls)
        wire.send(b"hello")
        calls.handler.on_frame(b"word", True)
        await net.request("GET", "http://here", {}, b"", 1.0)
        wire.close()

    asyncio.run(go())
    return calls, disk


@pytest.mark.parametrize("point", POINTS)
def test_each_point_kills_once(deaths, point):
    walk(f"{point}#1")
    assert deaths == [(os.getpid(), signal.SIGKILL)]


def test_a_later_call_is_waited_for(deaths):
    walk("wire.sent#2")
    assert deaths == []


def test_everything_passes_through(deaths):
    calls, disk = walk("wire.sent#99")
    assert calls == ["connect", "send", "frame word True", "request", "close"]
    assert (disk.read(Path("/j/1")), disk.read(Path("/j/2"))) == (b"x", b"y")
    assert deaths == []


@pytest.mark.parametrize(("point", "thing"), [("send", "send"), ("frame", "frame word True")])
def test_before_a_call_nothing_has_reached_the_other_side(monkeypatch, point, thing):
    class DeadError(Exception):
        pass

    def die(*_):
        raise DeadError

    monkeypatch.setattr(os, "kill", die)
    calls = Calls()
    _, net = arm(f"wire.{point}#1", Seams(None, None, None, MemoryDisk(), None, None), calls)

    async def go():
        wire = await net.connect("ws://here", calls)
        (wire.send(b"") if point == "send" else calls.handler.on_frame(b"word", True))

    with pytest.raises(DeadError):
        asyncio.run(go())
    assert thing not in calls


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("wire.snd#1", "there is no point wire.snd; did you mean 'wire.send'"),
        ("wire.send", "takes the number of the call"),
        ("wire.send#0", "from 1 on"),
        ("wire.send#x", "from 1 on"),
    ],
)
def test_what_names_no_call_is_refused(text, sentence):
    with pytest.raises(UsageError, match=sentence):
        Death(text)

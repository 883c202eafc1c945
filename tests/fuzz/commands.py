"""What people and programs ask of a daemon, and of the command line."""

from __future__ import annotations

import asyncio
import io
import re
import socket
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Final

from daemon.clock import VirtualTime
from daemon.errors import TickdError
from daemon.faces.http import COMMANDS, HttpFace
from daemon.grammar import parse
from daemon.status import Status
from tests.fuzz.files import new_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.events import Command
    from daemon.faces.http_forms import Audit

_TOKEN: Final = "fuzzed"
_STATUS: Final = Status(name="f", mode="paper", version="0", state="READY", now_ns=1, uptime_s=1.0)
_LINE: Final = re.compile(rb"HTTP/1\.[01] [1-5][0-9][0-9] ")


class _Leaping(VirtualTime):
    """Ten seconds pass whenever somebody looks, so that nobody ever asks too often."""

    def mono_ns(self) -> int:
        self.advance(self.now_ns() + 10_000_000_000)
        return self.now_ns()


class _Door:
    """A face on a port of its own, and a client that writes what it likes."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        path = new_folder() / "s"
        self._port = _free_port()
        self.commands: list[Command] = []
        self.audits: list[Audit] = []
        face = HttpFace(lambda: _STATUS, self._take, self.audits.append, _Leaping(), _TOKEN)
        self._loop.run_until_complete(face.start(path, self._port))

    def __call__(self, data: bytes) -> None:
        self.commands.clear()
        self.audits.clear()
        answer = self._loop.run_until_complete(self._ask(data))
        assert not answer or _LINE.match(answer), answer[:80]
        accepted = sum(audit.accepted for audit in self.audits)
        assert len(self.commands) == accepted, "a command that nobody audits, or the other way round"
        assert accepted == 0 or _TOKEN.encode() in data, "a command without the token"
        assert {one.verb for one in self.commands} <= set(COMMANDS)

    async def _take(self, command: Command, *, often: bool) -> bool:
        assert not often
        self.commands.append(command)
        return True

    async def _ask(self, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(data)
            writer.write_eof()
            return await asyncio.wait_for(reader.read(1 << 16), 10)
        except ConnectionError:
            return b""
        finally:
            writer.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def http() -> Callable[[bytes], object]:
    """Open a daemon's port, at which a token is asked for; an input is the bytes of a connection."""
    return _Door()


def http_seeds() -> list[bytes]:
    """Return requests of each kind, with the token and without."""
    head = b"Host: localhost\r\nConnection: close\r\n"
    token = b"Authorization: Bearer " + _TOKEN.encode() + b"\r\n"
    body = b'Content-Length: 17\r\n\r\n{"reason":"sure"}'
    gets = [
        b"GET /%b HTTP/1.1\r\n" % path + head + b"\r\n"
        for path in (b"healthz", b"readyz", b"metrics", b"state")
    ]
    posts = [b"POST /%b HTTP/1.1\r\n" % verb.encode() + head for verb in COMMANDS]
    return [
        *gets,
        *(post + token + body for post in posts),
        *(post + body for post in posts),
        b"POST /halt HTTP/1.1\r\n" + head + b"Origin: http://evil.example\r\n" + token + body,
    ]


def line() -> Callable[[bytes], object]:
    """Open the command line; an input is its words, a line each."""

    def run(data: bytes) -> None:
        words = data.decode(errors="replace").split("\n")
        ended: BaseException | None = None
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            try:
                parse(words)
            except (TickdError, SystemExit) as error:
                ended = error
        # --help and --version end without a word; whatever else ends has one
        assert ended is None or (str(ended) if isinstance(ended, TickdError) else not ended.code)

    return run


def line_seeds() -> list[bytes]:
    """Return a command of each kind."""
    return [
        b"demo\n--seconds\n10\n--strategy\npairs",
        b"replay\ntape.gz\n--speed\nmax\n--json\n--repeat\n4",
        b"bench\nlatency\n--many\n1,10\n--cores\n0,1\n--seed\n7",
        b"journal\nvar/journal\n--show\norders\n--since\n2026-01-02T03:04:05Z",
        b"simulate\n--market\nusdm\n--rate\n10\n--port\n8080",
        b"run\nlive.toml\n--live\n--json",
        b"flatten\n--direct\nlive.toml\n--yes",
        b"--help",
    ]

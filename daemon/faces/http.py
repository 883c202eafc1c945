"""The daemon over HTTP: a Unix socket for its owner, and a loopback port when asked for.

GET  /healthz   200 while the loop turns
GET  /readyz    200 while READY and any feed speaks, else 503 with the state and the reason
GET  /metrics   Prometheus text
GET  /state     the Status as JSON
GET  /frames    the newest frames of ticks as they came
GET  /openapi.json                 all of this for programs (daemon/faces/openapi.py)
POST /halt, /resume, /flatten      202; a body {"reason": "..."} is optional and is kept on the record, of a
                                   resume also {"rebase": true}: measure losses anew; 409 with a sentence
                                   where losses forbid it, 503 where it cannot be done, or made durable

The socket file has mode 0600: who can open it owns the daemon. Over the port commands want
`Authorization: Bearer TOKEN`, and without a token there are none. A web page in a browser of the same machine
can reach a loopback port, so requests with an Origin or a foreign Host are refused. Who asks too often is
refused too: over the port whoever shows no token, and a resume; what makes safe never is (`_admit`). A
command whose `id` was taken before is not taken twice. Every command, taken or refused, is audited, and what
is refused is counted by its reason. What is read is made anew only so often that it takes a twentieth of the
loop's time, and given again in between (`Reused`); after a command it is always made anew.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import stat
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from aiohttp import web

from daemon.errors import DECODE_ERRORS, ConfigError, TickdError, UsageError
from daemon.events import Command, Verb
from daemon.faces.http_forms import (
    BODY_BYTES_MAX,
    COMMANDS,
    ID_CHARS_MAX,
    REASON_CHARS_MAX,
    SAFE,
    Accepted,
    Audit,
    Kind,
    Order,
    Readiness,
    Refusal,
    ResumeOrder,
)
from daemon.faces.http_limits import Bucket, Pieced, Reused, Taken
from daemon.faces.metrics import expositions, media_type
from daemon.faces.openapi import document

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.seams import Clock
    from daemon.status import Status

_KINDS: Final[dict[int, Kind]] = {404: "path", 405: "method", 413: "size"}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: requests at once, and then a second: over the port by whoever shows no token; of one command, by anybody
_REQUESTS: Final = (200, 100.0)
_COMMANDS: Final = (10, 5.0)
#: sockaddr_un holds 108 bytes with the closing zero
SOCKET_BYTES_MAX: Final = 107
#: a hung client must not hold up the daemon's end
SHUTDOWN_S: Final = 1.0


class Obey(Protocol):
    """Does a command, and returns once it is on disk; raises TickdError."""

    async def __call__(self, command: Command, *, often: bool) -> bool:
        """Do it, often: unless it stands already; return whether it was done now."""


class _RefusedError(Exception):
    """A request that is answered with a status and one sentence; `kind` is what it is counted as."""

    def __init__(self, status: int, kind: Kind, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.kind = kind


class HttpFace:
    """Serves one daemon. `read` makes a Status, `command` does what is asked."""

    def __init__(
        self,
        read: Callable[[], Status],
        command: Obey,
        audit: Callable[[Audit], None],
        clock: Clock,
        token: str = "",
        frames: Callable[[], Iterable[bytes]] = tuple,
    ) -> None:
        """Wire it; frames: the newest frames of ticks as they came, for whoever asks what went wrong."""
        self.refused: Counter[str] = Counter()  # requests, by why
        self._read = read
        self._newest = Reused(self._status, clock.mono_ns)
        self._state_body = Reused(lambda: msgspec.json.encode(self._status()), clock.mono_ns)
        self._metrics = {kind: Pieced(one, clock.mono_ns) for kind, one in expositions(self._status).items()}
        self._frames_body = Reused(lambda: b"".join(b"%b\n" % one for one in frames()), clock.mono_ns)
        self._command = command
        self._audit = audit
        self._token = token.encode()
        self._openapi = msgspec.json.encode(document())
        self._requests = Bucket(*_REQUESTS, clock.mono_ns)
        self._commands = {verb: Bucket(*_COMMANDS, clock.mono_ns) for verb in COMMANDS}
        self._taken = Taken()
        self._port = 0
        self._socket: Path | None = None
        self._runner: web.AppRunner | None = None

    async def start(self, socket: Path | None, port: int = 0) -> None:
        """Listen on the socket, and on 127.0.0.1:port unless that is 0; raises TickdError for a busy one.

        Without a socket there is the port alone, and so no command without a token.
        """
        app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[self._guard])
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._get_metrics)
        app.router.add_get("/state", self._state)
        app.router.add_get("/frames", self._get_frames)
        app.router.add_get("/openapi.json", self._get_openapi)
        for verb in COMMANDS:
            app.router.add_post(f"/{verb}", self._post(verb))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        try:
            if socket is not None:
                await self._listen_socket(self._runner, socket)
            if port:
                await self._listen_port(self._runner, port)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the connections and remove the socket."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._socket is not None:
            _remove(self._socket)
            self._socket = None

    async def _listen_socket(self, runner: web.AppRunner, socket: Path) -> None:
        if len(os.fsencode(socket)) > SOCKET_BYTES_MAX:
            raise ConfigError(
                f"http.socket {socket} is longer than {SOCKET_BYTES_MAX} bytes; choose a shorter path"
            )
        await _claim(socket)
        before = os.umask(0o177)  # created 0600, with no moment in which it is more
        try:
            await web.UnixSite(runner, str(socket)).start()
        except OSError as error:
            raise ConfigError(f"http.socket {socket} cannot be opened: {error.strerror or error}") from None
        finally:
            os.umask(before)
        self._socket = socket

    async def _listen_port(self, runner: web.AppRunner, port: int) -> None:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError as error:
            # aiohttp and uvloop word it differently, the number is the same
            raise TickdError(
                f"http.port {port} cannot be opened ({os.strerror(error.errno or 0)}); "
                "stop what listens there or choose another"
            ) from None
        self._port = port

    # --- requests -------------------------------------------------------------------------------------------
    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            if "Origin" in request.headers:
                raise _RefusedError(403, "origin", "requests from web pages are refused")
            if self._via(request) == "port":
                if request.host not in self._hosts():
                    raise _RefusedError(403, "host", "the Host header names another host")
                if not self._shows_token(request) and not self._requests.take():
                    raise _RefusedError(
                        429, "rate", "too many requests without a token; ask again in a second"
                    )
            return await handler(request)
        except _RefusedError as refused:
            return self._refuse(refused.status, refused.kind, str(refused))
        except UsageError as error:  # a resume with losses beyond their limits
            return self._refuse(409, "state", str(error))
        except TickdError as error:  # a command that could not be done, or not be recorded: a full disk
            return self._refuse(503, "failed", str(error))
        except web.HTTPException as error:
            sentence = f"{request.method} {request.path}: {error.reason}"
            answer = self._refuse(error.status, _KINDS.get(error.status, "form"), sentence)
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
            return answer

    def _refuse(self, status: int, kind: Kind, sentence: str) -> web.Response:
        self.refused[kind] += 1
        answer = _json(status, Refusal(sentence))
        if status == 401:
            answer.headers["WWW-Authenticate"] = "Bearer"
        if status == 429:
            answer.headers["Retry-After"] = "1"
        return answer

    def _forget(self) -> None:
        """Tell nobody what was before a command."""
        kept: list[Reused[Any] | Pieced] = [self._newest, self._state_body, *self._metrics.values()]
        for one in kept:
            one.forget()

    def _status(self) -> Status:
        """Return what the daemon tells, with what this face knows."""
        status = self._read()
        status.http_refused = dict(self.refused)
        return status

    def _hosts(self) -> tuple[str, ...]:
        return (f"127.0.0.1:{self._port}", f"localhost:{self._port}")

    @staticmethod
    def _via(request: web.Request) -> str:
        peer = request.transport.get_extra_info("sockname") if request.transport else None
        return "port" if isinstance(peer, tuple) else "socket"

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        status = self._newest.get()
        silence = _silence(status)
        ready = status.state == "READY" and not silence
        return _json(200 if ready else 503, Readiness(status.state, status.reason or silence))

    async def _get_metrics(self, request: web.Request) -> web.Response:
        kind = media_type(request.headers.get("Accept", ""))
        return web.Response(body=await self._metrics[kind].get(), headers={"Content-Type": kind})

    async def _get_frames(self, _: web.Request) -> web.Response:
        return web.Response(body=self._frames_body.get(), content_type="text/plain")

    async def _get_openapi(self, _: web.Request) -> web.Response:
        return web.Response(body=self._openapi, content_type="application/json")

    async def _state(self, _: web.Request) -> web.Response:
        return web.Response(body=self._state_body.get(), content_type="application/json")

    def _post(self, verb: Verb) -> _Handler:
        async def handle(request: web.Request) -> web.Response:
            via = self._via(request)
            try:
                self._authorise(request, via)
                order = _read_order(await request.read(), verb)
                often = self._admit(verb, order)
            except (_RefusedError, web.HTTPException) as refused:
                self._audit(Audit(verb=verb, reason="", via=via, accepted=False, refusal=str(refused)))
                raise
            reason, rebase = order.reason, order.rebase
            audit = Audit(verb=verb, reason=reason, via=via, accepted=True, rebase=rebase, often=often)
            command = Command(verb=verb, source="http", reason=reason, rebase=rebase)
            done = True  # it may be although it fails
            try:
                done = await self._command(command, often=often)
            except Exception as error:  # not done, or a restart may not know of it: it may be said again
                self._taken.discard(order.id)
                self._audit(msgspec.structs.replace(audit, accepted=False, refusal=str(error)))
                raise
            finally:
                if done:
                    self._forget()
            self._audit(audit)
            return _json(202, Accepted(verb, self._newest.get().state))

        return handle

    def _authorise(self, request: web.Request, via: str) -> None:
        if via == "socket":
            return  # only the owner can open it
        if not self._token:
            sentence = "no token is set, so commands are taken on the Unix socket only"
            raise _RefusedError(403, "token", sentence)
        if not self._shows_token(request):
            raise _RefusedError(401, "token", "the token is missing or wrong")

    def _shows_token(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        shown = given.encode("utf-8", "surrogateescape")
        return bool(self._token) and scheme == "Bearer" and hmac.compare_digest(shown, self._token)

    def _admit(self, verb: Verb, order: Order) -> bool:
        """Let a command in once; return whether it comes too often. A resume that does is refused.

        A halt is not, nor a flatten: the eleventh of a second may be the one that counts, since somebody has
        resumed in between. A limit spares the loop the work behind a request: a record, its sync, a status.
        For a halt that stands already none of it is done (Core.obey), and its answer costs what a refusal
        would; one that does not stand is done, and resumes, which are limited, bound how often that can be.
        Its id is not kept: twice is as good as once, and a flood would push out ids that matter.
        """
        if order.id in self._taken:
            raise _RefusedError(409, "replayed", f"a command with the id {order.id} was taken before")
        often = not self._commands[verb].take()
        if often and verb not in SAFE:
            raise _RefusedError(429, "rate", f"too many of {verb}; say it again in a second")
        if order.id and not often:
            self._taken.add(order.id)
        return often


def _silence(status: Status) -> str:
    """Return for how long every feed has been silent past its limit, in words; empty while one speaks.

    One silent market among others may be a quiet one, and is no reason to take a whole daemon for down.
    """
    instruments = status.instruments
    if not instruments or not all(one.stale for one in instruments):
        return ""
    ages = [one.feed_age_s for one in instruments if one.feed_age_s is not None]
    return f"the feed is silent for {min(ages):.1f} s" if ages else "the feed has said nothing yet"


def _read_order(data: bytes, verb: Verb) -> ResumeOrder:
    if not data:
        return ResumeOrder()
    try:
        if verb == "resume":
            return msgspec.json.decode(data, type=ResumeOrder)
        order = msgspec.json.decode(data, type=Order)
    except DECODE_ERRORS as error:
        raise _RefusedError(400, "form", _explain(str(error))) from None
    return ResumeOrder(order.reason, order.id)


def _explain(error: str) -> str:
    """Return in a sentence what is wrong with a body."""
    if error.endswith("`$.reason`"):
        return f"a reason is one line of at most {REASON_CHARS_MAX} characters"
    if error.endswith("`$.id`"):
        return f"an id is at most {ID_CHARS_MAX} letters, digits, dots, dashes and underscores"
    if "unknown field `rebase`" in error:
        return "rebase goes with resume"
    return f'the body must be empty or {{"reason": "..."}}: {error}'


def _json(status: int, value: object) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")


async def _claim(socket: Path) -> None:
    """Make the socket's folder and remove what a killed daemon left; raises for a live one."""
    if not _exists(socket):
        return
    try:
        _, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        _remove(socket)
        return
    writer.close()
    raise TickdError(f"another daemon answers on {socket}; stop it, or give this one another name")


def _exists(socket: Path) -> bool:
    try:
        socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        mode = socket.lstat().st_mode
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ConfigError(f"http.socket {socket} cannot be used: {error.strerror}") from None
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"http.socket {socket} is no socket; move that file away or choose another path")
    return True


def _remove(socket: Path) -> None:
    socket.unlink(missing_ok=True)

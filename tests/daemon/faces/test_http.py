from __future__ import annotations

import asyncio
import contextlib
import socket
import stat

import aiohttp
import msgspec
import pytest

from daemon.clock import VirtualTime
from daemon.errors import ConfigError, JournalError, TickdError, UsageError
from daemon.faces.http import HttpFace
from daemon.faces.http_forms import BODY_BYTES_MAX, REASON_CHARS_MAX
from daemon.status import InstrumentStatus, Status

TOKEN = "a-token-of-some-length"


class Daemon:
    def __init__(self, token="", time=None):
        self.state = "READY"
        self.commands = []
        self.often = []  # of each command, whether it came too often
        self.audits = []
        self.time = time or VirtualTime()
        frames = lambda: [b"{1}", b"{2}"]  # noqa: E731
        self.face = HttpFace(self.status, self.command, self.audits.append, self.time, token, frames)

    def status(self):
        return Status(name="t", mode="paper", version="1", state=self.state, now_ns=1, uptime_s=2.0)

    async def command(self, command, *, often):
        self.commands.append(command)
        self.often.append(often)
        done, self.state = self.state != "HALTED" or not often, "HALTED"
        return done


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.asynccontextmanager
async def served(tmp_path, daemon, port=0):
    path = tmp_path / "run" / "t.sock"
    await daemon.face.start(path, port)
    base = f"http://127.0.0.1:{port}" if port else "http://localhost"
    connector = None if port else aiohttp.UnixConnector(str(path))
    try:
        async with aiohttp.ClientSession(base, connector=connector) as session:
            yield session
    finally:
        await daemon.face.stop()


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario, 20))


def test_health_readiness_state_and_metrics_answer(tmp_path):
    async def scenario():
        daemon = Daemon()
        async with served(tmp_path, daemon) as session:
            async with session.get("/healthz") as answer:
                assert (answer.status, await answer.text()) == (200, "ok\n")
            async with session.get("/readyz") as answer:
                assert answer.status == 200
            daemon.state = "WARMING"
            async with session.get("/readyz") as answer:
                assert (answer.status, (await answer.json())["state"]) == (503, "WARMING")
            async with session.get("/state") as answer:
                assert msgspec.json.decode(await answer.read(), type=Status) == daemon.status()
            async with session.get("/frames") as answer:
                assert (answer.content_type, await answer.text()) == ("text/plain", "{1}\n{2}\n")
            async with session.get("/metrics") as answer:
                assert answer.content_type == "text/plain"
                assert 'tickd_state{state="WARMING"} 1.0' in await answer.text()
            async with session.get("/metrics", headers={"Accept": "application/openmetrics-text"}) as answer:
                assert answer.content_type == "application/openmetrics-text"
                assert (await answer.text()).endswith("\n# EOF\n")

    run(scenario())


@pytest.mark.parametrize(
    ("ages", "stale", "told"),
    [
        ([9.0, 0.1], [True, False], (200, "")),
        ([9.0, 7.25], [True, True], (503, "the feed is silent for 7.2 s")),
        ([None], [True], (503, "the feed has said nothing yet")),
        ([None], [False], (200, "")),
        ([], [], (200, "")),
    ],
)
def test_a_feed_that_is_silent_altogether_is_not_ready(tmp_path, ages, stale, told):
    async def scenario():
        daemon = Daemon()
        status = daemon.status()
        status.instruments = [
            InstrumentStatus(symbol="BTC/USDT", feed_age_s=age, stale=silent)
            for age, silent in zip(ages, stale, strict=True)
        ]
        daemon.face._read = lambda: status
        async with served(tmp_path, daemon) as session, session.get("/readyz") as answer:
            assert (answer.status, (await answer.json())["reason"]) == told
            async with session.get("/healthz") as health:
                assert health.status == 200

    run(scenario())


def test_the_socket_is_the_owners_alone_and_goes_with_the_daemon(tmp_path):
    async def scenario():
        path = tmp_path / "run" / "t.sock"
        async with served(tmp_path, Daemon()):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not path.exists()

    run(scenario())


@pytest.mark.parametrize("verb", ["halt", "resume", "flatten"])
def test_a_command_becomes_an_event_and_is_audited(tmp_path, verb):
    async def scenario():
        daemon = Daemon()
        async with (
            served(tmp_path, daemon) as session,
            session.post(f"/{verb}", json={"reason": "lunch"}) as answer,
        ):
            assert answer.status == 202
            assert await answer.json() == {"accepted": verb, "state": "HALTED"}
        (command,) = daemon.commands
        assert (command.verb, command.source, command.reason) == (verb, "http", "lunch")
        (audit,) = daemon.audits
        assert (audit.verb, audit.accepted, audit.via) == (verb, True, "socket")

    run(scenario())


@pytest.mark.parametrize(("error", "status"), [(JournalError, 503), (UsageError, 409)])
def test_a_command_that_cannot_be_done_says_why(tmp_path, error, status):
    async def refuse(command, *, often):
        raise error("the journal cannot be written")

    async def scenario():
        daemon = Daemon()
        daemon.face._command = refuse
        async with served(tmp_path, daemon) as session, session.post("/resume") as answer:
            assert answer.status == status
            assert await answer.json() == {"error": "the journal cannot be written"}
        (audit,) = daemon.audits
        assert (audit.accepted, audit.refusal) == (False, "the journal cannot be written")

    run(scenario())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": f"Bearer {TOKEN}é"}, 401),
        ({"Authorization": f"Bearer {TOKEN}"}, 202),
    ],
)
def test_commands_over_the_port_want_the_token(tmp_path, headers, status):
    async def scenario():
        daemon = Daemon(TOKEN)
        async with (
            served(tmp_path, daemon, free_port()) as session,
            session.post("/halt", headers=headers) as answer,
        ):
            assert answer.status == status
        assert len(daemon.commands) == (status == 202)
        assert [audit.accepted for audit in daemon.audits] == [status == 202]

    run(scenario())


def test_the_socket_is_its_owners_and_wants_no_token(tmp_path):
    async def scenario():
        daemon = Daemon(TOKEN)
        async with served(tmp_path, daemon) as session, session.post("/halt") as answer:
            assert answer.status == 202
        assert [(audit.via, audit.accepted) for audit in daemon.audits] == [("socket", True)]

    run(scenario())


def test_the_port_takes_no_command_without_a_token(tmp_path):
    async def scenario():
        daemon = Daemon()
        async with served(tmp_path, daemon, free_port()) as session:
            async with session.get("/healthz") as answer:
                assert answer.status == 200
            async with session.post("/halt") as answer:
                assert answer.status == 403
                assert "no token is set" in (await answer.json())["error"]
        assert not daemon.commands
        assert daemon.audits[0].via == "port"

    run(scenario())


@pytest.mark.parametrize(
    "header", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}]
)
def test_a_web_page_of_the_same_machine_reaches_nothing(tmp_path, header):
    async def scenario():
        daemon = Daemon(TOKEN)
        headers = {"Authorization": f"Bearer {TOKEN}", **header}
        async with served(tmp_path, daemon, free_port()) as session:
            async with session.post("/halt", headers=headers) as answer:
                assert answer.status == 403
            async with session.get("/state", headers=headers) as answer:
                assert answer.status == 403
        assert not daemon.commands

    run(scenario())


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"\xff\xfe", 400),
        (b'{"reason": 5}', 400),
        (b'{"verb": "x"}', 400),
        *((b'{"reason": "two\\u%04xlines"}' % sign, 400) for sign in (0, 10, 13, 27, 0x85, 0x2028, 0x202E)),
        (b'{"reason": "a line\\n"}', 400),
        (b'{"reason": "%s"}' % (b"x" * (REASON_CHARS_MAX + 1)), 400),
        (b'{"reason": "%s"}' % (b"x" * BODY_BYTES_MAX), 413),
        (b'{"rebase": true}', 400),
        (b'{"id": "a b"}', 400),
        (b'{"id": "a\\n"}', 400),
        (b'{"id": "%s"}' % (b"x" * 65), 400),
    ],
)
def test_a_wrong_body_is_refused_in_one_sentence_and_audited(tmp_path, body, status):
    async def scenario():
        daemon = Daemon()
        async with served(tmp_path, daemon) as session, session.post("/halt", data=body) as answer:
            assert answer.status == status
            assert (await answer.json()).keys() == {"error"}
        assert not daemon.commands
        assert [audit.accepted for audit in daemon.audits] == [False]

    run(scenario())


def test_unknown_paths_and_methods_are_refused_in_json(tmp_path):
    async def scenario():
        async with served(tmp_path, Daemon()) as session:
            for method, path, status in (
                ("POST", "/explode", 404),
                ("GET", "/halt", 405),
                ("DELETE", "/state", 405),
            ):
                async with session.request(method, path) as answer:
                    assert (answer.status, answer.content_type) == (status, "application/json")
                    if status == 405:
                        assert answer.headers["Allow"] == ("POST" if path == "/halt" else "GET,HEAD")

    run(scenario())


def test_a_command_of_one_id_is_taken_once_and_again_only_where_it_was_not_done(tmp_path):
    async def scenario():
        daemon = Daemon()
        taken = daemon.face._command

        async def refuse(command, *, often):
            raise UsageError("a loss is beyond its limit")

        async def fail(command, *, often):
            raise JournalError("the disk is full")  # after a resume it is HALTED as before

        async with served(tmp_path, daemon) as session:
            for command, verb, name, status in (
                (taken, "halt", "a1", 202),
                (taken, "halt", "a1", 409),
                (taken, "resume", "a1", 409),
                (refuse, "resume", "a2", 409),
                (taken, "resume", "a2", 202),
                (fail, "resume", "a3", 503),
                (taken, "resume", "a3", 202),
                (taken, "halt", "", 202),
                (taken, "halt", "", 202),
            ):
                daemon.face._command = command
                async with session.post(f"/{verb}", json={"id": name}) as answer:
                    assert answer.status == status
                    told = await answer.json()
                if name == "a1" and status == 409:
                    assert told == {"error": "a command with the id a1 was taken before"}
        assert [one.verb for one in daemon.commands] == ["halt", "resume", "resume", "halt", "halt"]
        assert daemon.audits[1].refusal == "a command with the id a1 was taken before"
        assert daemon.status().http_refused == {}
        assert daemon.face.refused == {"replayed": 2, "state": 1, "failed": 1}

    run(scenario())


@pytest.mark.parametrize("verb", ["halt", "flatten"])
def test_what_makes_safe_is_never_refused_and_what_comes_too_often_is_done_where_it_does_not_stand(
    tmp_path, verb
):
    async def scenario():
        daemon = Daemon(TOKEN)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with served(tmp_path, daemon, free_port()) as session:
            for number in range(60):
                async with session.post(f"/{verb}", json={"id": f"n{number}"}, headers=headers) as answer:
                    assert answer.status == 202
            assert daemon.often == [False] * 10 + [True] * 50
            async with session.post("/resume", headers=headers) as answer:
                assert answer.status == 202
            daemon.state = "READY"
            # an id of those that came too often is not kept, one of the others is
            for name, status in (("n59", 202), ("n9", 409)):
                async with session.post(f"/{verb}", json={"id": name}, headers=headers) as answer:
                    assert answer.status == status
        assert [audit.event for audit in daemon.audits[:60]] == ["command"] * 10 + ["command_repeated"] * 50
        assert daemon.audits[-1].event == "command_refused"
        assert daemon.face.refused == {"replayed": 1}

    run(scenario())


def test_a_resume_that_comes_too_often_is_refused_and_keeps_no_halt_out(tmp_path):
    async def scenario():
        daemon = Daemon()

        async def ask(session, verb):
            async with session.post(f"/{verb}") as answer:
                if answer.status == 429:
                    assert answer.headers["Retry-After"] == "1"
                    assert await answer.json() == {"error": "too many of resume; say it again in a second"}
                return answer.status

        async with served(tmp_path, daemon) as session:
            assert [await ask(session, "resume") for _ in range(12)] == [202] * 10 + [429] * 2
            assert await ask(session, "halt") == 202
            daemon.time.advance(1_000_000_000)
            assert [await ask(session, "resume") for _ in range(6)] == [202] * 5 + [429]
        assert [audit.accepted for audit in daemon.audits].count(False) == 3

    run(scenario())


def test_who_shows_no_token_is_limited_over_the_port_and_keeps_nobody_out_who_does(tmp_path):
    async def scenario():
        daemon = Daemon(TOKEN)
        right, wrong = ({"Authorization": f"Bearer {token}"} for token in (TOKEN, "wrong"))

        async def ask(session, method, path, headers):
            async with session.request(method, path, headers=headers) as answer:
                return answer.status

        async with served(tmp_path, daemon, free_port()) as session:
            assert [await ask(session, "POST", "/halt", wrong) for _ in range(200)] == [401] * 200
            for path in ("/state", "/healthz", "/nowhere"):
                assert await ask(session, "GET", path, {}) == 429
            assert await ask(session, "POST", "/halt", wrong) == 429
            assert await ask(session, "GET", "/state", right) == 200
            assert await ask(session, "POST", "/halt", right) == 202
            daemon.time.advance(1_000_000_000)
            assert await ask(session, "GET", "/state", {}) == 200
        assert daemon.face.refused == {"token": 200, "rate": 4}
        assert len(daemon.commands) == 1

    run(scenario())


def test_the_socket_is_its_owners_and_reads_are_not_limited(tmp_path):
    async def scenario():
        async with served(tmp_path, Daemon()) as session:
            for _ in range(300):
                async with session.get("/healthz") as answer:
                    assert answer.status == 200

    run(scenario())


class _Dear(VirtualTime):
    """A clock of a busy machine: whatever lies between two looks takes 10 ms."""

    def mono_ns(self):
        self.advance(self.now_ns() + 10_000_000)
        return self.now_ns()


@pytest.mark.parametrize("path", ["/metrics", "/state", "/frames", "/readyz"])
def test_reads_are_made_anew_only_as_often_as_they_can_be_afforded_and_after_a_command(tmp_path, path):
    async def scenario():
        made = []

        def read():
            made.append(1)
            return Daemon.status(daemon)

        daemon = Daemon(time=_Dear())
        frames = lambda: read() and ()  # noqa: E731
        daemon.face = HttpFace(read, daemon.command, daemon.audits.append, daemon.time, "", frames)
        async with served(tmp_path, daemon) as session:

            async def ask():
                async with session.get(path) as answer:
                    assert answer.status < 600
                    return await answer.text()

            for _ in range(10):
                await ask()
            assert len(made) == 1
            before = await ask()
            async with session.post("/halt") as answer:
                assert (await answer.json())["state"] == "HALTED"
            made.clear()
            assert (await ask() == before) == (path == "/frames")
            assert len(made) == (path not in {"/frames", "/readyz"})  # the answer to the halt made the latter

    run(scenario())


def test_what_is_refused_is_counted_and_told(tmp_path):
    async def scenario():
        daemon = Daemon()
        async with served(tmp_path, daemon) as session:
            async with session.get("/nowhere"), session.get("/state", headers={"Origin": "null"}):
                pass
            async with session.get("/state") as answer:
                assert (await answer.json())["http_refused"] == {"path": 1, "origin": 1}
            async with session.get("/metrics") as answer:
                assert 'tickd_http_refused_total{reason="origin"} 1.0' in await answer.text()

    run(scenario())


def test_a_socket_left_by_a_killed_daemon_is_taken_over_and_a_live_one_is_not(tmp_path):
    async def scenario():
        path = tmp_path / "run" / "t.sock"
        path.parent.mkdir()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        daemon = Daemon()
        async with served(tmp_path, daemon) as session:
            with pytest.raises(TickdError, match="another daemon answers on"):
                await Daemon().face.start(path)
            async with session.get("/healthz") as answer:
                assert answer.status == 200

    run(scenario())


def test_a_busy_port_is_one_sentence_and_leaves_no_socket_behind(tmp_path):
    async def scenario():
        path = tmp_path / "t.sock"
        with socket.socket() as busy:
            busy.bind(("127.0.0.1", 0))
            busy.listen()
            port = busy.getsockname()[1]
            with pytest.raises(
                TickdError, match=rf"http\.port {port} cannot be opened \(Address already in use\)"
            ):
                await Daemon().face.start(path, port)
        assert not path.exists()

    run(scenario())


def test_a_path_that_cannot_be_a_socket_is_one_sentence(tmp_path):
    async def scenario():
        plain = tmp_path / "plain"
        plain.write_text("precious")
        with pytest.raises(ConfigError, match="is no socket; move that file away"):
            await Daemon().face.start(plain)
        with pytest.raises(ConfigError, match="cannot be used: File exists"):
            await Daemon().face.start(plain / "x.sock")
        with pytest.raises(ConfigError, match="is longer than 107 bytes"):
            await Daemon().face.start(tmp_path / ("x" * 100))
        assert plain.read_text() == "precious"

    run(scenario())

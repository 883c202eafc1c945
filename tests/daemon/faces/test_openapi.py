"""The document is held to the face: its routes, and every answer that anybody gets."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from contextlib import asynccontextmanager
from importlib.util import find_spec

import aiohttp
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.clock import VirtualTime
from daemon.errors import JournalError, UsageError
from daemon.faces import http_forms
from daemon.faces.http_forms import BODY_BYTES_MAX, ROUTES
from daemon.faces.openapi import document
from daemon.latency import BOUNDS_S
from daemon.status import InstrumentStatus, StageLatency, Status, TapeStatus
from tests.daemon.faces.test_http import TOKEN, Daemon, free_port

PATHS = document()["paths"]
POSTS = sorted(path for path, item in PATHS.items() if "post" in item)
BUCKETS = [1] * len(BOUNDS_S)
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Whole(Daemon):
    """One that has something to tell in every part."""

    def status(self):
        stage = StageLatency(
            stage="order", count=1, sum_s=0.1, p50_s=0.1, p99_s=None, p999_s=0.1, max_s=0.1, buckets=BUCKETS
        )
        return msgspec.structs.replace(
            super().status(),
            instruments=[InstrumentStatus(symbol="BTC/USDT", bid=1.0, feed_age_s=0.5)],
            tape=TapeStatus(entries=1, bytes=2, dropped=3, lost_from=-1, lag_s=0.5),
            latency=[stage],
            feed_errors={"json": 1},
        )


class Unhurried(VirtualTime):
    """Ten seconds pass whenever somebody looks, so that nobody asks too often."""

    def mono_ns(self):
        self.advance(self.now_ns() + 10_000_000_000)
        return self.now_ns()


@asynccontextmanager
async def served(daemon, folder, *, port):
    path, number = folder / "s", free_port() if port else 0
    await daemon.face.start(path, number)
    connector = None if port else aiohttp.UnixConnector(str(path))
    base = f"http://127.0.0.1:{number}" if port else "http://localhost"
    try:
        async with aiohttp.ClientSession(base, connector=connector) as session:
            yield session
    finally:
        await daemon.face.stop()


async def ask(session, method, path, headers, body):
    """Return the status of an answer that is as the document says; fails for any other."""
    async with session.request(method, path, headers=headers, data=body) as answer:
        data = await answer.read()
    item = PATHS.get(path, {})
    operation = item.get("get" if method == "HEAD" else method.lower())
    if operation is None:  # of no route; or too often, or from a web page
        assert answer.status in ({403, 429, 405} if item else {403, 429, 404}), (method, path, data)
        form = "Refusal"
    else:
        responses = operation["responses"]
        assert str(answer.status) in responses, (method, path, answer.status, data)
        ((media, content),) = responses[str(answer.status)]["content"].items()
        assert answer.content_type == media
        form = content["schema"]["$ref"].rpartition("/")[2] if content else ""
    if form and method != "HEAD":
        assert answer.content_type == "application/json"
        kind = Status if form == "Status" else getattr(http_forms, form)
        # nothing is missing, nothing of another type, and nothing more than is documented
        assert msgspec.to_builtins(msgspec.json.decode(data, type=kind)) == json.loads(data)
    return answer.status


def test_it_has_the_routes_of_the_face_and_no_others():
    daemon = Daemon()

    async def routes():
        async with aiohttp.ClientSession():
            await daemon.face.start(None, free_port())
            app = daemon.face._runner.app
            found = {(route.method, route.resource.canonical) for route in app.router.routes()}
            await daemon.face.stop()
            return found

    known = {(method.upper(), path) for path, item in PATHS.items() for method in item}
    assert known == {(method, path) for method, path in asyncio.run(routes()) if method != "HEAD"}


def test_it_is_whole_and_served(tmp_path):
    async def scenario():
        async with (
            served(Daemon(), tmp_path, port=False) as session,
            session.get("/openapi.json") as answer,
        ):
            return await answer.json()

    told = asyncio.run(scenario())
    assert told == json.loads(json.dumps(document()))
    assert told["openapi"] == "3.1.0"
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(told)))
    assert named == told["components"]["schemas"].keys()
    assert {"Status", "InstrumentStatus", "Order", "Accepted", "Refusal"} <= named
    operations = [one["operationId"] for item in told["paths"].values() for one in item.values()]
    assert len(set(operations)) == len(operations)
    bodies = {path: json.dumps(told["paths"][path]["post"]["requestBody"]) for path in POSTS}
    forms = {path: re.findall(r"schemas/(\w+)", body) for path, body in bodies.items()}
    assert forms == {"/flatten": ["Order"], "/halt": ["Order"], "/resume": ["ResumeOrder"]}


def test_every_answer_that_is_documented_is_given_by_somebody(tmp_path):
    seen = {path: set() for path in PATHS}

    async def scenario():
        daemon = Whole(TOKEN)

        async def fail(command, *, often):
            raise JournalError("no space left")

        async def refuse(command, *, often):
            raise UsageError("a loss is beyond its limit")

        async with served(daemon, tmp_path, port=True) as session:

            async def see(path, headers=BEARER, body=None):
                method = "POST" if path in POSTS else "GET"
                seen[path].add(await ask(session, method, path, headers, body))

            taken = daemon.face._command
            for path in PATHS:
                await see(path, BEARER | {"Origin": "http://a.example"})
                for state in ("READY", "WARMING"):
                    daemon.state = state
                    await see(path)
            for path in POSTS:
                await see(path, {})
                for body in (b"{", b'{"reason": "%s"}' % (b"x" * BODY_BYTES_MAX)):
                    await see(path, BEARER, body)
                for daemon.face._command in (fail, refuse, taken):
                    await see(path)
            for _ in range(200):
                await ask(session, "GET", "/healthz", {}, None)
            for path in PATHS:
                await see(path, {})

    asyncio.run(scenario())
    assert {path: sorted(found) for path, found in seen.items()} == {
        route.path: sorted(route.answers) for route in ROUTES
    }


# most are those that there are
METHODS = ("GET", "POST") * 4 + ("HEAD", "PUT", "DELETE", "PATCH", "OPTIONS")
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Authorization": st.sampled_from([f"Bearer {TOKEN}", "Bearer x", "Bearer", "Basic eDp4", ""]),
        "Origin": st.sampled_from(["null", "http://127.0.0.1"]),
        "Content-Type": st.sampled_from(["application/json", "text/plain", "multipart/form-data", "x"]),
        "Accept": st.sampled_from(["*/*", "image/png"]),
        "Host": st.sampled_from(["a.example", "localhost"]),
    },
)
VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=300)
BODIES = st.one_of(
    st.just(None),
    st.binary(max_size=64),
    st.dictionaries(st.sampled_from(["reason", "rebase", "id", "more"]), VALUES).map(
        lambda body: json.dumps(body).encode()
    ),
    st.fixed_dictionaries(
        {},
        optional={"reason": st.text(max_size=200), "rebase": st.booleans(), "id": st.text("ab", max_size=2)},
    ).map(lambda body: json.dumps(body).encode()),
    st.just(b" " * (BODY_BYTES_MAX + 1)),
)


@pytest.mark.parametrize("port", [False, True])
def test_whatever_is_asked_is_answered_as_documented_and_every_command_is_audited(tmp_path, port):
    with asyncio.Runner() as runner:
        daemon = Whole(TOKEN)
        opened = served(daemon, tmp_path, port=port)
        session = runner.run(opened.__aenter__())

        @given(
            st.sampled_from(METHODS),
            st.sampled_from([*PATHS, "/", "/halt/", "/state/x", "/openapi"]),
            HEADERS,
            BODIES,
            st.integers(0, 2_000_000_000),
        )
        def check(method, path, headers, body, wait_ns):
            daemon.time.advance(daemon.time.now_ns() + wait_ns)
            daemon.commands.clear()
            daemon.audits.clear()
            status = runner.run(ask(session, method, path, headers, body))
            assert len(daemon.commands) == (status == 202)
            assert sum(audit.accepted for audit in daemon.audits) == (status == 202)
            if port and status == 202:
                assert headers["Authorization"] == f"Bearer {TOKEN}"
            if status in {400, 401, 409, 413}:
                assert [audit.accepted for audit in daemon.audits] == [False]

        try:
            check()
        finally:
            runner.run(opened.__aexit__(None, None, None))


@pytest.mark.heavy
def test_schemathesis_has_no_finding(tmp_path):
    if find_spec("schemathesis") is None:
        missing = "no schemathesis here; make setup installs it"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    # what is too large is a refusal as well, and 503 is how readiness is told
    (tmp_path / "schemathesis.toml").write_text(
        "[checks.negative_data_rejection]\n"
        'expected-statuses = [400, 401, 403, 404, 405, 406, 413, 415, 422, 428, 429, "5xx"]\n'
        "[checks.not_a_server_error]\n"
        'expected-statuses = ["2xx", "3xx", "4xx", 503]\n'
    )

    async def scenario():
        daemon = Whole(TOKEN, Unhurried())
        async with served(daemon, tmp_path, port=True) as session:
            command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run"]
            command += [str(session._base_url / "openapi.json"), "-H", f"Authorization: Bearer {TOKEN}"]
            command += ["--seed", "1", "-n", "100", "--phases", "examples,coverage,fuzzing", "--no-color"]
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=tmp_path,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            said, _ = await process.communicate()
        return process.returncode, said.decode(), daemon.commands

    code, said, commands = asyncio.run(scenario())
    assert code == 0, said
    assert "No issues found" in said
    assert {one.verb for one in commands} == {"halt", "resume", "flatten"}

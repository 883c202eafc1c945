from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import ExitStack

import pytest

from daemon.clock import SystemClock
from daemon.errors import NotRunningError, TickdError, UsageError
from daemon.faces import client
from daemon.faces.http import HttpFace
from daemon.status import Status


def status():
    return Status(name="t", mode="paper", version="1", state="READY", now_ns=1, uptime_s=2.0)


def ask(tmp_path, question):
    """Answer `question(path)` by a daemon's face; return its answer and the commands that arrived."""
    path = tmp_path / "t.sock"
    commands = []

    async def take(command, *, often):
        commands.append(command)
        return True

    async def scenario():
        face = HttpFace(status, take, lambda audit: None, SystemClock(), "a-token")
        await face.start(path)
        try:
            return await asyncio.to_thread(question, path)
        finally:
            await face.stop()

    return asyncio.run(scenario()), commands


def raw_server(tmp_path, answer):
    """Serve one connection with fixed bytes; for what no daemon of ours would say."""
    path = tmp_path / "raw.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve():
        with listener, listener.accept()[0] as one:
            one.recv(4096)
            one.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return path, thread


def test_the_state_comes_back_whole(tmp_path):
    got, _ = ask(tmp_path, client.fetch_status)
    assert got == status()


def test_a_command_arrives_with_its_reason(tmp_path):
    got, commands = ask(tmp_path, lambda path: client.command(path, "halt", "lunch"))
    assert got == "READY"
    assert [(one.verb, one.reason) for one in commands] == [("halt", "lunch")]


def test_a_resume_says_whether_losses_are_measured_anew(tmp_path):
    _, commands = ask(tmp_path, lambda path: client.command(path, "resume", "", rebase=True))
    _, others = ask(tmp_path, lambda path: client.command(path, "resume", ""))
    assert [one.rebase for one in commands + others] == [True, False]
    with pytest.raises(TickdError, match="the daemon refused halt: rebase goes with resume"):
        ask(tmp_path, lambda path: client.command(path, "halt", "", rebase=True))


def test_a_refusal_is_the_daemons_own_sentence(tmp_path):
    with pytest.raises(TickdError, match="the daemon refused halt: a reason is one line of at most"):
        ask(tmp_path, lambda path: client.command(path, "halt", "two\nlines"))


def test_no_daemon_is_told_with_its_own_exit_code(tmp_path):
    with pytest.raises(NotRunningError, match="no daemon answers on"):
        client.fetch_status(tmp_path / "none.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    for question in (client.fetch_status, client.fetch_metrics, client.daemon_pid):
        with pytest.raises(NotRunningError, match="no daemon answers on"):
            question(tmp_path / "dead.sock")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"", "cannot be asked"),
        (b"SSH-2.0-OpenSSH\r\n", "cannot be asked"),
        (b"HTTP/1.1 500 oh\r\nContent-Length: 3\r\n\r\nwhy", "the daemon refused state: it gave no reason"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "answers with another version's state"),
    ],
)
def test_an_answer_that_is_not_understood_is_one_sentence(tmp_path, answer, sentence):
    path, thread = raw_server(tmp_path, answer)
    with pytest.raises(TickdError, match=sentence):
        client.fetch_status(path)
    thread.join()


def test_a_daemon_that_hangs_is_given_up_on(tmp_path, monkeypatch):
    monkeypatch.setattr(client, "TIMEOUT_S", 0.05)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s.sock"))
        silent.listen()
        with pytest.raises(TickdError, match=r"did not answer within 0 s$"):
            client.fetch_status(tmp_path / "s.sock")
        with pytest.raises(TickdError, match="it may halt all the same, so ask for its state"):
            client.command(tmp_path / "s.sock", "halt", "lunch")


def test_the_only_daemon_that_runs_is_found_and_of_several_one_must_be_named(tmp_path):
    def found(name):
        return client.find_socket(name, tmp_path, tmp_path / "none")

    with pytest.raises(NotRunningError, match="no daemon runs here"):
        found(None)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = (tmp_path / name / "tickd.sock" for name in ("a", "b"))
    with socket.socket(socket.AF_UNIX) as killed, socket.socket(socket.AF_UNIX) as alive:
        killed.bind(str(first))  # nobody listens: so a killed daemon leaves it
        assert found(None) == first
        alive.bind(str(second))
        assert found(None) == first  # it is said that nobody answers
        alive.listen()
        assert found(None) == second
        killed.listen()
        with pytest.raises(UsageError, match=r"several daemons run here \(a, b\); choose one with --name"):
            found(None)
    assert found("b") == second


def test_a_service_is_found_where_no_daemon_runs_in_the_folder(tmp_path):
    here, run = tmp_path / "var", tmp_path / "run"

    def found(name=None):
        return client.find_socket(name, here, run)

    with ExitStack() as stack:

        def listening(place, name):
            (place / name).mkdir(parents=True)
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            one.bind(str(place / name / "tickd.sock"))
            one.listen()
            return place / name / "tickd.sock"

        live = listening(run, "live")
        assert found() == found("live") == live
        assert found("b") == here / "b" / "tickd.sock"  # it is said that nobody answers there
        perp = listening(run, "perp")
        with pytest.raises(UsageError, match=r"several daemons run here \(live, perp\); choose one"):
            found()
        assert found("perp") == perp
        own = listening(here, "live")
        assert found() == found("live") == own
    assert found() == own  # it was killed, and so was the service

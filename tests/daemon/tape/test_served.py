"""A replay's metrics: how far it is and how fast, answered while it plays, and nothing can be commanded."""

from __future__ import annotations

import json
import socket
import urllib.request
from threading import Thread
from urllib.error import HTTPError

import pytest

from daemon.errors import TickdError
from daemon.options import ReplayOptions
from daemon.status import Status
from daemon.tape import replay as replays
from daemon.tape.player import Span
from daemon.tape.replay import replay, run
from daemon.tape.served import Served, Unserved
from daemon.tape.source import open_source
from tests.daemon.tape.test_replay import lasting, replayed

#: a proxy of the machine is none of this
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def asked(turn, port, path, data=None):
    """Return what is answered to a request while `turn` is called."""
    found = []

    def ask():
        try:
            with OPENER.open(f"http://127.0.0.1:{port}{path}", data, 10) as answer:
                found.append((answer.status, answer.read()))
        except HTTPError as error:
            found.append((error.code, error.read()))

    thread = Thread(target=ask)
    thread.start()
    while thread.is_alive():
        turn()
    thread.join()
    return found[0]


class Asking(Served):
    """Asks itself, once so many chunks were played."""

    def __init__(self, port, chunks, paths):
        super().__init__(port)
        self.port, self.left, self.paths, self.found = port, chunks, paths, {}

    def turn(self):
        super().turn()
        self.left -= 1
        if self.left == 0:
            for path in self.paths:
                self.found[path] = asked(super().turn, self.port, path)


def value(text, name):
    (line,) = [one for one in text.decode().splitlines() if one.startswith(name + " ")]
    return float(line.rpartition(" ")[2])


def test_a_replay_tells_position_and_rate_and_comes_to_the_same(lines_of, tape_of):
    lines = lines_of(2_000)
    folder = tape_of(lines, segment_s=1)
    source = open_source(folder)
    config = replays._config(ReplayOptions(files=(folder,)), source)
    served = Asking(free_port(), 3, ["/metrics", "/state", "/healthz"])
    result = replay(source, config, served=served)
    assert lasting(result) == lasting(replay(source, config))
    status, text = served.found["/metrics"]
    assert status == 200
    played = int(value(text, "tickd_replay_entries_total"))
    assert 0 < played < 2_000
    assert value(text, "tickd_replay_position_seconds") == pytest.approx(int(lines[played - 1][:19]) / 1e9)
    assert value(text, "tickd_replay_end_seconds") == pytest.approx(int(lines[-1][:19]) / 1e9)
    assert value(text, "tickd_replay_entries_per_second") > 0
    assert value(text, "tickd_replay_speed") > 0
    state = json.loads(served.found["/state"][1])
    assert (state["mode"], state["replay"]["entries"]) == ("replay", played)
    assert (
        sum(state["instruments"][0][kind] for kind in ("trades", "quotes", "depths", "snapshots")) == played
    )
    assert served.found["/healthz"] == (200, b"ok\n")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", served.port), 5)


def test_a_paced_replay_answers_while_it_waits(lines_of, capture_of):
    path = capture_of(lines_of(300))  # 0.9 s
    source = open_source(path)
    config = replays._config(ReplayOptions(files=(path,)), source)
    served, found = Served(free_port()), []
    wait = served.wait
    thread = Thread(target=lambda: found.append(asked(lambda: None, served._port, "/metrics")))

    def waits(mono_ns):
        if not thread.ident:
            thread.start()
        wait(mono_ns)

    served.wait = waits
    result = replay(source, config, Span(speed=1.0), served)
    thread.join()
    assert found[0][0] == 200
    assert result.seconds > 0.8
    assert result.decision_digest == replayed(path).decision_digest


def test_it_takes_no_command(lines_of):
    served = Served(free_port())
    with served.serving(
        lambda: Status(name="x", mode="replay", version="0", state="READY", now_ns=1, uptime_s=1)
    ):
        status, text = asked(served.turn, served._port, "/halt", b"{}")
    assert status in {401, 403}
    assert b"error" in text


def test_a_busy_port_is_named(lines_of, capture_of):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        port = one.getsockname()[1]
        with pytest.raises(TickdError, match=f"http.port {port} cannot be opened"):
            run(ReplayOptions(files=(capture_of(lines_of(50)),), port=port))


def test_nobody_is_answered_where_nobody_asked():
    face = Unserved()
    with face.serving(lambda: None):
        face.turn()
    face.wait(0)

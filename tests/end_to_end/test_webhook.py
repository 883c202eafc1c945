"""A daemon that trades, and a program that it notifies: each fill and halt once, though some answers fail."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.end_to_end.harness import CROSS, fetch

SECTION = '[webhook]\nurl_env = "HOOK"\ntoken_env = "HOOK_TOKEN"\n'
TOKEN, SECRET = "hook-token-canary", "hook-path-canary"


class Ear(ThreadingHTTPServer):
    """Takes what is posted, and fails the first two requests."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.failures = 2
        self.taken, self.tokens = [], set()

    def events(self, topic):
        return [event for body in self.taken if body["topic"] == topic for event in body["events"]]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ear = self.server
        ear.tokens.add(self.headers["Authorization"])
        if ear.failures:
            ear.failures -= 1
            self.send_response(503)
        else:
            ear.taken.append(body)
            self.send_response(204)
        self.end_headers()

    def log_message(self, *words):
        """Say nothing."""


@pytest.fixture
def ear():
    with Ear() as one:
        thread = threading.Thread(target=one.serve_forever, daemon=True)
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def test_each_fill_and_halt_is_told_once_it_is_taken(bench, exchange, ear):
    env = {"HOOK": f"http://127.0.0.1:{ear.server_port}/{SECRET}", "HOOK_TOKEN": TOKEN}
    daemon = bench.live(exchange, CROSS, env=env, more=SECTION)
    daemon.ready()
    daemon.filled(3)
    daemon.until(lambda state: state["webhook"]["told"] >= 3, "three fills were told", 60.0)
    fetch(daemon.socket, "/halt", "POST")
    daemon.until(lambda state: state["state"] == "HALTED" and not state["webhook"]["queued"], "all is told")
    assert daemon.metric("tickd_webhook_dropped_total") == 0.0
    state = daemon.state()
    assert daemon.child.end() == 0

    assert ear.tokens == {f"Bearer {TOKEN}"}
    fills = ear.events("fills")
    assert len({one["trade_id"] for one in fills}) == len(fills) >= state["orders"]["fills"]
    (halt,) = [one for one in ear.events("alerts") if one["kind"] == "kill_switch"]
    assert halt["halted"] is True
    numbers = [one["seq"] for body in ear.taken for one in body["events"]]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    logged = daemon.log.read_text()
    assert "webhook_down" in logged
    assert "webhook_up" in logged
    assert "canary" not in logged

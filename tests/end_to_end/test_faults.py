"""A misbehaving exchange as its page tells of it, and the daemon that trades on one."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import signal

import pytest

from tests.end_to_end.agreement import check_agreement
from tests.end_to_end.harness import CROSS, READY_S, fetch, free_port, until

#: each strikes a daemon that trades; after each it trades again
FAULTS = (
    {"kind": "duplicate", "method": "executionReport", "count": 4},
    {"kind": "reorder", "method": "executionReport", "count": 2},
    {"kind": "partial_fill", "count": 2},
    {"kind": "drop", "method": "executionReport", "count": 1},
    {"kind": "lose_answer", "method": "order.place", "count": 1},
    {"kind": "-1007", "method": "order.place", "count": 1},
    {"kind": "depth_gap", "count": 1},
    {"kind": "disconnect"},
)


@pytest.fixture
def page(root):
    return (root / "docs" / "simulator.md").read_text(encoding="utf-8")


def commands(page, name):
    """Return the page's commands of a name as words, explanations cut off and ports replaced by free ones."""
    ports = {port: str(free_port()) for port in ("8080", "8081")}
    found = []
    for line in re.findall(rf"^    ({name} .*)$", page, re.MULTILINE):
        text = re.split(r"\s{3,}", line)[0]
        for port, free in ports.items():
            text = text.replace(port, free)
        found.append(shlex.split(text))
    return found, ports["8080"]


def test_every_exchange_of_the_page_starts(bench, page):
    (bench.folder / "faults.toml").write_text(re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[0])
    starts, _ = commands(page, "tickd simulate")
    assert len(starts) == 4
    for words in starts:
        child = bench.tickd(*words[1:])
        ready = json.loads(until(lambda child=child: child.out.partition("\n")[0], "it is ready", READY_S))
        assert ready["event"] == "ready"
        assert child.end(signal.SIGINT) == 0
    assert (bench.folder / "var" / "exchange.state").exists()


def test_every_request_of_the_page_is_answered(bench, page):
    (bench.folder / "faults.toml").write_text(re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[0])
    asked, port = commands(page, "curl")
    exchange = bench.exchange("--symbol", "BTC/USDT", "--port", port)
    answers = []
    for words in asked:
        child = bench.start(words, "curl")
        assert child.wait() == 0, child.err
        answers.append(child.json)
    assert [len(answer["faults"]) for answer in answers[:5]] == [1, 3, 7, 7, 0]
    assert answers[5]["api_sessions"] == 0
    assert exchange.child.alive


@pytest.mark.heavy
def test_it_trades_on_through_faults_and_agrees_with_the_exchange_at_the_end(bench):
    """Nothing is lost and nothing sent twice: what it holds is what the exchange says, after all of it."""
    exchange = bench.exchange("--symbol", "BTC/USDT")
    before = exchange.holds()
    port = int(exchange.urls["spot"].rpartition(":")[2])
    daemon = bench.live(exchange, CROSS)
    daemon.ready()
    daemon.filled()
    for fault in FAULTS:
        post(port, fault)
        until(lambda fault=fault: struck(port).get(fault["kind"]), f"{fault['kind']} strikes", 60)
        daemon.until(lambda state: state["state"] == "READY", "it is READY again", 90)
        daemon.filled()
    check_agreement(bench, exchange, daemon, before)
    assert daemon.child.end() == 0


def test_a_symbol_in_a_break_is_left_alone_at_the_start_and_later_and_traded_once_it_is_over(bench):
    exchange = bench.exchange("--symbol", "BTC/USDT")
    port = int(exchange.urls["spot"].rpartition(":")[2])
    post(port, {"kind": "break", "lasts_s": 600})
    daemon = bench.live(exchange, CROSS)
    for _ in ("at the start", "later"):
        daemon.until(
            lambda state: state["instruments"][0]["gate"] == "market_closed", "the symbol is closed", 60
        )
        assert daemon.state()["state"] in {"WARMING", "READY"}
        assert fetch(port, "/_simulator/faults", "DELETE")[0] == 200
        daemon.filled()
        post(port, {"kind": "break", "lasts_s": 600})
    assert daemon.child.end() == 0
    said = daemon.log.read_text()
    assert "BTC/USDT is BREAK at binance: no order leaves until it is TRADING" in said
    assert "BTC/USDT is closed at binance" in said
    assert "kill_switch" not in said


@pytest.mark.heavy(seconds=70)  # ccxt's word is asked for once a minute
def test_through_ccxt_a_symbol_in_a_break_at_the_start_is_closed_and_traded_once_it_is_over(bench):
    exchange = bench.exchange("--symbol", "BTC/USDT")
    port = int(exchange.urls["spot"].rpartition(":")[2])
    post(port, {"kind": "break", "lasts_s": 600})
    daemon = bench.live(exchange, CROSS, kind="ccxt")
    daemon.until(lambda state: state["instruments"][0]["gate"] == "market_closed", "the symbol is closed", 60)
    assert fetch(port, "/_simulator/faults", "DELETE")[0] == 200
    daemon.until(lambda state: state["instruments"][0]["gate"] == "", "the symbol is open", 120)
    daemon.filled()
    assert daemon.child.end() == 0
    assert "BTC/USDT is BREAK at binance: no order leaves until it is TRADING" in daemon.log.read_text()


def post(port, fault):
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)  # it may be busy
    line.request("POST", "/_simulator/faults", json.dumps(fault))
    answer = line.getresponse()
    assert answer.status == 200, answer.read()
    line.close()


def struck(port):
    return json.loads(fetch(port, "/_simulator/faults")[1])["struck"]

import http.client
import json
import socket
import threading

import msgspec
import pytest

from daemon.bench import exchange as module
from daemon.bench.exchange import Exchange, Plan, Segment
from daemon.bench.peer import connect


@pytest.fixture
def served():
    """An exchange, and the URL at which it answers."""
    module.warm_up()
    exchange = Exchange(3, 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(exchange, listener), daemon=True).start()
        yield exchange, f"http://127.0.0.1:{listener.getsockname()[1]}"
    for one in exchange._participants.values():
        for connection in (one.market, one.orders):
            if connection is not None:
                connection.close()


def _accept(exchange, listener):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=exchange.serve, args=(connection,), daemon=True).start()


def ask(url, method, path, body=b""):
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request(method, path, body)
    answer = connection.getresponse()
    said = answer.status, json.loads(answer.read())
    connection.close()
    return said


def test_it_tells_its_symbols_and_its_rest(served):
    _, url = served
    assert ask(url, "GET", "/bench") == (200, {"symbols": 3})
    status, said = ask(url, "GET", "/ours/api/v3/exchangeInfo")
    assert (status, len(said["symbols"])) == (200, 3)
    assert ask(url, "GET", "/ours/api/v3/klines")[0] == 404


def test_a_segment_of_nobody_is_a_fault_and_no_plan_is_refused(served):
    _, url = served
    status, said = ask(url, "POST", "/bench/ours", msgspec.json.encode(Plan(kind="closed", duration_ns=1)))
    assert (status, said["fault"]) == (200, "ours is not connected")
    assert ask(url, "POST", "/bench/ours", b'{"kind":"open"}')[0] == 400


def test_between_segments_requests_and_pings_are_answered(served, masked):
    exchange, url = served
    with connect(url.replace("http", "ws") + "/ours/ws-api/v3") as one:
        one.settimeout(10)
        one.sendall(masked(b'{"id":7,"method":"time","params":{}}') + b"\x89\x81\0\0\0\0x")
        exchange.look()
        got = one.recv(1 << 12)
        size = got[1]
        assert json.loads(got[2 : 2 + size])["id"] == 7
        assert (got[2 + size :] or one.recv(16)) == b"\x8a\x01x"


def test_a_segment_runs_on_both_connections(served):
    _, url = served
    ws = url.replace("http", "ws")
    plan = Plan(kind="unmarked", duration_ns=2_000_000, gap_ns=1_000_000)
    with connect(f"{ws}/ours/stream?streams=x") as market, connect(f"{ws}/ours/ws-api/v3"):
        status, said = ask(url, "POST", "/bench/ours", msgspec.json.encode(plan))
        segment = msgspec.convert(said, Segment)
        assert (status, segment.fault, segment.orders, segment.latency_ns) == (200, "", 0, [])
        assert segment.sent > 0
        assert market.recv(4)[:2] == b"\x81\x7e"


def test_an_http_order_makes_its_connection_the_participant_s(served):
    exchange, url = served
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request("POST", "/naive/api/v3/order")
    assert connection.getresponse().status == 200
    one = exchange._participants["naive"]
    assert one.by_http
    assert one.orders is not None
    connection.close()


def test_it_compiles_before_it_is_asked():
    module.warm_up()
    assert len(module.segment.run.signatures) == 1

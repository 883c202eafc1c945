"""A daemon on the simulated exchange under a real Prometheus: every panel and rule has something to show."""

from __future__ import annotations

import http.client
import json
import re
import time

import pytest

from daemon.tape.reader import read_tape
from tests.end_to_end.asked import Asked, prometheus
from tests.end_to_end.harness import CROSS, free_port, until
from tests.mosquitto import Broker

#: panels that may have nothing to show, and why
EMPTY = {
    "Drift of models": "only of strategies with a model, after half an hour",
    "Margin used": "only of derivatives",
    "Distance to liquidation": "only of derivatives",
    "Rejected by the venue": "a series begins with the first rejection",
    "Rate limits": "this exchange has none",
    "Webhook": "only with [webhook]",
    "Notifications": "only with [webhook]",
}
WINDOW_S = 20


@pytest.fixture
def broker(tmp_path_factory):
    one = Broker(tmp_path_factory.mktemp("broker"))
    yield one
    one.kill()


def panels(root):
    """Return every panel's title and query, as Grafana would ask it."""
    for path in sorted((root / "deploy" / "grafana" / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel.get("targets", ()):
                query = (
                    target["expr"].replace("$__rate_interval", f"{WINDOW_S}s").replace("$instance", "spot|x")
                )
                yield panel["title"], query


def strike(exchange, fault):
    line = http.client.HTTPConnection("127.0.0.1", int(exchange.urls["spot"].rpartition(":")[2]), timeout=60)
    line.request("POST", "/_simulator/faults", json.dumps(fault))
    assert line.getresponse().status == 200
    line.close()


@pytest.mark.heavy
def test_every_panel_and_every_rule_has_something_to_show(bench, root, broker):
    prometheus()
    port = free_port()
    more = f'[http]\nport = {port}\n[tape]\nrecord = true\n[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
    exchange = bench.exchange("--symbol", "BTC/USDT")
    daemon = bench.live(exchange, CROSS, more=more)  # one strategy alone takes turns
    daemon.ready()
    asked = Asked(bench, root, {"spot": port})
    began = time.monotonic()
    daemon.filled(3)
    for fault in (
        {"kind": "depth_gap", "count": 1},
        {"kind": "partial_fill", "count": 2},
        {"kind": "disconnect"},
    ):
        strike(exchange, fault)
    daemon.until(lambda state: state["feed_reconnects"] > 0 and state["state"] == "READY", "it came back")
    daemon.filled(3)
    seen = 'count_over_time(tickd_feed_reconnects_total{instance="spot"}[5m])'
    until(lambda: max(asked.values(seen, 2), default=0) > 1.5 * WINDOW_S, "it was scraped for a while")
    since = time.monotonic() - began

    queries = list(panels(root))
    silent = {title for title, query in queries if not asked.values(query, since)}
    assert silent <= set(EMPTY), silent - set(EMPTY)
    assert set(EMPTY) <= {title for title, _ in queries}

    rules = [one for group in asked.get("rules")["groups"] for one in group["rules"]]
    assert [(one["name"], one.get("lastError")) for one in rules if one["health"] != "ok"] == []
    for one in rules:
        if one["type"] == "recording":
            assert asked.values(one["name"], since), one["name"]
            continue
        for name in set(re.findall(r"\b(?:tickd|process)_\w+|\bup\b", one["query"])):
            if name not in {"tickd_order_rejects_total", "tickd_liquidation_distance", "tickd_model_drift"}:
                assert asked.values(name, since), (one["name"], name)
    slow = asked.exemplars('tickd_stage_latency_seconds_bucket{stage="turn"}', since)
    assert daemon.child.end() == 0
    asked.child.end()
    (session,) = (bench.folder / "var" / "one" / "tape-live").iterdir()
    entries = {entry.seq: entry for entry in read_tape(session)}
    assert slow
    for one in slow:
        entry = entries[int(one["labels"]["seq"])]
        assert entry.stream == "feed/0"
        assert abs(one["timestamp"] - entry.wire_ns / 1e9) < 0.01 + float(one["value"])

"""Two daemons on one host, one a venue: they share a Prometheus, a broker, a folder, and nothing else."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.end_to_end.asked import Asked, prometheus
from tests.end_to_end.harness import CROSS, free_port, until
from tests.mosquitto import Broker, Ear


@pytest.fixture
def broker(tmp_path_factory):
    one = Broker(tmp_path_factory.mktemp("broker"))
    yield one
    one.kill()


@pytest.fixture
def ear(broker):
    one = Ear(broker)
    yield one
    one.close()


def memory(pid):
    """Return the MiB of a process that are resident, and those that no other has too."""
    rows = dict(line.split(":") for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    kilobytes = {name: int(row.split()[0]) for name, row in rows.items()}
    return kilobytes["Rss"] >> 10, (kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]) >> 10


def told(ear, name, topic):
    return [one.message for one in list(ear.heard) if one.topic == f"tickd/{name}/{topic}"]


@pytest.mark.heavy(seconds=60)
def test_two_daemons_share_a_host_a_dashboard_and_a_broker_and_nothing_else(
    bench, root, broker, ear, record_property
):
    prometheus()
    ports = {"spot": free_port(), "perp": free_port()}
    daemons, exchanges = {}, {}
    for name, market in (("spot", "spot"), ("perp", "usdm")):
        bus = f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\nhealth_s = 1.0\n'
        more = f"[http]\nport = {ports[name]}\n{bus}"
        exchanges[name] = bench.exchange("--market", market, "--symbol", "BTC/USDT")
        daemons[name] = bench.live(exchanges[name], CROSS, name=name, market=market, more=more)
    for daemon in daemons.values():
        daemon.ready()
        daemon.filled(3)
    asked = Asked(bench, root, ports)

    for name in daemons:
        fills = f'tickd_fills_total{{instance="{name}"}}'
        until(lambda fills=fills: max(asked.values(fills, 3), default=0) >= 3, f"{name} is on the dashboard")
        until(lambda name=name: told(ear, name, "fills"), f"{name} tells of its fills")
        assert {one["name"] for topic in ("fills", "health") for one in told(ear, name, topic)} == {name}
        assert json.loads(bench.run("state", "--name", name, "--json").out)["name"] == name
    ids = {one["clientOrderId"].partition("-")[0] for one in exchanges["spot"].orders()}
    assert ids == {"spot"}
    resident, alone = zip(*(memory(daemon.child.popen.pid) for daemon in daemons.values()), strict=True)
    text = f"{resident[0]} and {resident[1]} MiB resident, {alone[0]} and {alone[1]} of it shared with nobody"
    record_property("figure", f"two daemons of one symbol each: {text}")

    assert "several daemons run here (perp, spot)" in bench.run("halt", code=2).err
    bench.run("halt", "--name", "perp", "--reason", "only this one")
    assert (daemons["perp"].state()["state"], daemons["spot"].state()["state"]) == ("HALTED", "READY")
    daemons["spot"].filled(2)
    bench.run("resume", "--name", "perp")

    daemons["spot"].child.send(signal.SIGKILL)
    until(lambda: told(ear, "spot", "status")[-1]["state"] == "LOST", "the broker says that spot is lost")
    daemons["perp"].filled(3)
    assert told(ear, "perp", "status")[-1]["state"] == "READY"
    until(lambda: asked.values('up{instance="spot"}', 1)[-1:] == [0.0], "Prometheus sees that spot is down")
    assert asked.values('up{instance="perp"}', 1)[-1] == 1.0
    assert daemons["perp"].child.end() == 0
    asked.child.end()

"""The unit under a systemd that has really booted, in a container: minutes, root, and Debian's archive.

    make booted

It is asked for by that alone: what it needs cannot be had everywhere that tests run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PACKAGES = "systemd,systemd-sysv,python3,procps"
RUN_S = 1800

CONFIG = """
name = "one"
mode = "live"
[feed]
symbols = ["BTC/USDT"]
rest_url = "http://127.0.0.1:8080"
ws_url = "ws://127.0.0.1:8080"
[venue]
kind = "binance"
rest_url = "http://127.0.0.1:8080"
ws_url = "ws://127.0.0.1:8080/ws-api/v3"
[risk]
orders_per_s_max = 100.0
daily_loss_max = 50000.0
drawdown_max = 50000.0
[log]
level = "info"
[[strategy]]
name = "market_maker"
params = { qty = 0.001, half_spread_bps = 50.0, volatility_weight = 0.0 }
warmup_ticks = 20
"""
EXCHANGE = """
[Service]
Environment=HOME=/root TICKD_SIMULATOR_KEY=bootedkey TICKD_SIMULATOR_SECRET=bootedsecret
StateDirectory=exchange
Environment="IT=--symbol BTC/USDT --no-limits --port 8080"
ExecStart=/opt/tickd/current/bin/tickd simulate --state ${STATE_DIRECTORY}/it $IT
StandardOutput=file:/report/exchange
StandardError=journal
[Install]
WantedBy=multi-user.target
"""
STEPS = """
[Service]
Type=oneshot
ExecStart=/bin/bash /report/steps.sh
ExecStopPost=/bin/systemctl --no-block poweroff
StandardOutput=append:/report/out
StandardError=append:/report/out
TimeoutStartSec=infinity
[Install]
WantedBy=multi-user.target
"""

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif("BOOTED" not in os.environ, reason="asked for by make booted alone"),
]


def install(root):
    """Install the checkout into a container, whose own Python then stands in for the one of this host."""
    environ = {**os.environ, "DESTDIR": str(root)}
    subprocess.run(["make", "-C", ROOT, "install"], env=environ, check=True)
    release = (root / "opt/tickd/current").resolve()
    for link in (release / "bin").glob("python3.*"):
        link.unlink()
        link.symlink_to("/usr/bin/python3")
    settings = release / "pyvenv.cfg"
    settings.write_text(re.sub(r"^home = .*$", "home = /usr/bin", settings.read_text(), flags=re.MULTILINE))


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Return, by step of steps.sh, what was seen."""
    for command, package in (("mmdebstrap", "mmdebstrap"), ("systemd-nspawn", "systemd-container")):
        assert shutil.which(command), f"no {command} here: apt-get install {package}"
    assert os.geteuid() == 0, "a container is booted by root"
    root = tmp_path_factory.mktemp("booted") / "root"
    subprocess.run(["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", root], check=True)
    install(root)
    units, report = root / "etc/systemd/system", root / "report"
    report.mkdir()
    shutil.copy(HERE / "steps.sh", report)
    (root / "etc/tickd/one.toml").write_text(CONFIG)
    hook = root / "etc/tickd/on-failure"
    hook.write_text('#!/bin/sh\necho "$1 is down" >/report/hook\n')
    hook.chmod(0o755)
    (units / "exchange.service").write_text(EXCHANGE)
    (units / "steps.service").write_text(STEPS)
    subprocess.run(["systemctl", f"--root={root}", "enable", "steps"], check=True)
    with booting(root) as container:
        while not (report / "please").exists() and container.poll() is None:
            time.sleep(0.5)
        install(root)  # into what runs, as on any host
        (report / "upgraded").touch()
    with booting(root):
        pass
    parts = re.split(r"^== (\w+)\n", (report / "out").read_text(), flags=re.MULTILINE)
    steps = dict(zip(parts[1::2], parts[2::2], strict=True))
    late = [text for text in steps.values() if "not within" in text]
    assert not late, "\n".join(late)
    ready = (report / "exchange").read_text()
    return steps | {"secret": re.search(r'"secret":"([^"]+)"', ready)[1]}


@contextmanager
def booting(root):
    """Boot a container; wait at the end until it has switched itself off."""
    command = ["systemd-nspawn", "--boot", "--register=no", "--keep-unit", "--private-network", "-D", root]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as container:
        try:
            yield container
            assert container.wait(RUN_S) == 0
        finally:
            container.kill()


def properties(text):
    return dict(re.findall(r"^([A-Z]\w+)=(.*)$", text, re.MULTILINE))


def test_one_of_two_switches_is_refused_and_not_tried_again(seen):
    shown = properties(seen["one_switch"])
    assert (shown["ActiveState"], shown["ExecMainStatus"], shown["NRestarts"]) == ("failed", "2", "0")


def test_it_starts_with_credentials_and_says_how_it_is(seen):
    shown = properties(seen["start"])
    assert (shown["ActiveState"], shown["SubState"], shown["NRestarts"]) == ("active", "running", "0")
    assert re.match(r"live READY; feed \d+\.\d s old; .*; tick to order p99 \d+ us$", shown["StatusText"])
    assert re.findall(r"^\d+(?==/)", seen["start"], re.MULTILINE) == ["600", "700", "700"]


def test_a_reload_takes_what_can_change_and_names_the_rest(seen):
    assert properties(seen["reload"])["StatusText"] == (
        "taken anew: log.level = warning; not taken before a restart: risk.orders_per_s_max"
    )


def test_one_that_hangs_is_started_again_with_its_orders_known_and_said_where_it_was(seen):
    shown = properties(seen["hang"])
    assert (shown["ActiveState"], shown["NRestarts"]) == ("active", "1")
    state = json.loads(seen["hang"].splitlines()[-1])
    assert (state["state"], state["orders"]["unknown"], state["kill_switch"]) == ("READY", 0, False)
    assert "Fatal Python error: Aborted" in seen["journal"]
    assert "(most recent call first)" in seen["journal"]


def test_a_halt_outlasts_a_restart_and_is_no_failure(seen):
    shown = properties(seen["halt"])
    assert shown["ActiveState"] == "active"
    assert shown["StatusText"].startswith("live HALTED (a check); ")
    assert "the daemon is READY" in seen["halt"]


def test_a_wrong_configuration_is_not_tried_again_and_somebody_is_told(seen):
    shown = properties(seen["configuration"])
    assert (shown["ActiveState"], shown["ExecMainStatus"], shown["NRestarts"]) == ("failed", "78", "0")
    assert "one is down" in seen["configuration"]
    assert "the file has no key 'nonsense'" in seen["journal"]


def test_crashes_in_a_row_end_at_the_limit(seen):
    shown = properties(seen["crashes"])
    assert (shown["ActiveState"], shown["Result"]) == ("failed", "signal")
    assert "Start request repeated too quickly" in seen["journal"]


def test_an_upgrade_lets_the_daemon_run_until_it_is_restarted_and_carries_its_journal_over(seen):
    releases = re.findall(r"^/opt/tickd/releases/\S+$", seen["upgrade"], re.MULTILINE)
    assert len(releases) == len(set(releases)) == 2
    shown = properties(seen["upgrade"])
    assert shown["StatusText"].startswith("live READY; ")
    assert int(re.search(r"records, (\d+) runs$", seen["upgrade"], re.MULTILINE)[1]) >= 9  # those before too


def test_a_halt_outlasts_a_reboot(seen):
    assert properties(seen["reboot"])["StatusText"].startswith("live HALTED (before the reboot); ")
    state = json.loads(seen["reboot"].splitlines()[-1])
    assert (state["state"], state["orders"]["unknown"], state["kill_switch"]) == ("READY", 0, False)


def test_it_ends_in_order_and_no_secret_is_in_the_journal(seen):
    shown = properties(seen["stop"])
    assert (shown["ActiveState"], shown["Result"], shown["ExecMainStatus"]) == ("inactive", "success", "0")
    for journal in (seen["journal"], seen["second_journal"]):
        assert seen["secret"] not in journal
        assert "Operation not permitted" not in journal

"""A full disk under the journal: one sentence, no more risk, nothing lost that was recorded."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.end_to_end.harness import CROSS, MAKER, READY_S, TICKD, until

#: of the file system or the file; the first records need some 5 kB
BYTES = 64 << 10


@pytest.fixture
def small_disk(bench):
    """Mount a small file system under the journals; only root may, and not everywhere."""
    folder = bench.folder / "var"
    folder.mkdir()
    options = f"size={BYTES},mode=0700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        if os.environ.get("CI"):
            pytest.fail("a file system cannot be mounted here")
        pytest.skip("a file system cannot be mounted here")
    yield folder
    bench.close()
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def records(bench):
    """Return the journal as it reads back; the verb fails where it does not."""
    listed = bench.run("journal", "var/one/journal-live", "--json").out
    return [json.loads(line) for line in listed.splitlines()]


def check_halted(bench, exchange, daemon, orders_before):
    """Wait until the journal cannot be written; check that nothing leaves any more, and what is on record."""
    state = daemon.until(lambda state: state["state"] == "HALTED", "it is HALTED", READY_S)
    assert state["reason"].startswith("the journal var/one/journal-live/00000001.journal cannot be written (")
    assert state["reason"].endswith(
        "nothing that adds risk leaves until this is mended and trading is resumed"
    )
    until(lambda: not exchange.open_orders(), "what stood is cancelled")
    placed = state["orders"]["placed"]
    later = daemon.until(
        lambda one: one["feed_frames"] > state["feed_frames"] + 200 and one["orders"]["unknown"] == 0,
        "200 more frames",
    )
    assert later["orders"]["placed"] - placed <= 1, "at most the position is reduced"
    intents = [one for one in records(bench) if one["record"] == "Placed"]
    sent = exchange.orders()[orders_before:]
    assert 0 < len(sent) <= len(intents)
    (run,) = {one["clientOrderId"].split("-")[1] for one in sent}
    assert {int(one["clientOrderId"].split("-")[2]) for one in sent} <= {one["seq"] for one in intents}
    return run


def refused_resume(bench, daemon):
    """Resume until it is refused: its record is small, and may fit where an order's did not; return why."""
    for _ in range(20):
        child = bench.tickd("resume")
        if child.wait(READY_S):
            return child.complaint
        daemon.until(lambda state: state["state"] == "HALTED", "it is HALTED again", READY_S)
    pytest.fail("there was always room for one more")


def test_a_full_disk_halts_and_room_on_it_mends(bench, exchange, small_disk):
    orders = len(exchange.orders())
    daemon = bench.live(exchange, CROSS, MAKER)
    check_halted(bench, exchange, daemon, orders)
    assert refused_resume(bench, daemon).startswith("the daemon could not resume for good: the journal ")
    assert daemon.state()["state"] == "HALTED"
    subprocess.run(["mount", "-o", f"remount,size={64 * BYTES}", str(small_disk)], check=True)
    assert bench.run("resume").out == "resume accepted; the daemon is READY\n"
    daemon.filled()
    assert daemon.child.end() == 0
    assert records(bench)[-1]["record"]


def test_a_disk_that_stays_full_is_what_it_ends_with(bench, exchange):
    orders = len(exchange.orders())
    config = bench.config(exchange.urls, CROSS, MAKER)
    limit = f"import resource, sys, os; resource.setrlimit(resource.RLIMIT_FSIZE, ({BYTES}, {BYTES}));"
    start = f"{limit} os.execv(sys.argv[1], sys.argv[1:])"
    words = ["run", str(config), "--live", "--json"]
    env = {**exchange.keys, "TICKD__LOG__FILE": ""}
    child = bench.start([TICKD[0], "-c", start, *TICKD, *words], "run", env)
    daemon = bench.daemon(child)
    check_halted(bench, exchange, daemon, orders)
    assert child.end() == 1
    assert child.complaint.startswith(
        "the journal var/one/journal-live/00000001.journal cannot be written (File too"
    )
    assert child.json["state"] == "STOPPED"
    assert child.json["reason"] == child.complaint
    # with room again: what is on the record agrees with the exchange, the halt where that could be recorded
    again = bench.live(exchange, MAKER)
    state = again.until(lambda state: state["state"] in {"READY", "HALTED"}, "it has recovered", READY_S)
    if state["state"] == "HALTED":
        assert state["reason"] == child.complaint
        bench.run("resume")
    until(lambda: len(exchange.open_orders()) == 2, "it trades again")
    assert again.child.end() == 0


def test_a_disk_full_from_the_start_is_one_sentence(bench, exchange, small_disk):
    blocks = os.statvfs(small_disk)
    with (small_disk / "filler").open("wb") as file:
        file.write(b"x" * (blocks.f_bavail * blocks.f_frsize))
    daemon = bench.live(exchange, MAKER)
    assert daemon.child.wait(READY_S) == 1
    assert "(No space left on device)" in daemon.child.complaint
    (small_disk / "filler").unlink()
    again = bench.live(exchange, MAKER)
    again.ready()
    assert again.child.end() == 0

"""A short soak; `make soak MINUTES=30` is the long one, whose slopes tell of memory."""

from __future__ import annotations

import pytest

from daemon.simulator.fault import read_one
from tests.end_to_end.harness import checked_bench
from tests.soak.run import FAULTS, Outcome, soak
from tests.soak.slopes import Slope


def test_every_fault_is_one_that_the_exchange_knows_and_over_before_the_next():
    for entry in FAULTS:
        read_one(entry, "it")
        assert entry.get("lasts_s", 0.0) + entry.get("delay_s", 0.0) < 20.0


@pytest.mark.parametrize(("grown_kb", "orders", "leaks"), [(1_900, 1_000, []), (3_000, 1_000, ["memory_kb"])])
def test_what_orders_leave_in_bounded_stores_is_no_leak(grown_kb, orders, leaks):
    flat = Slope(0.0, 0.1, 20.0)
    slopes = {"memory_kb": Slope(grown_kb, 100.0, 9e4), "descriptors": flat, "threads": flat, "tasks": flat}
    outcome = Outcome(30.0, 500, orders, 200, {}, slopes)
    assert outcome.leaks() == leaks
    assert ("GROWS" in outcome.lines()[1]) is bool(leaks)
    assert "+1,300 an hour are the orders" in outcome.lines()[1]


@pytest.mark.parametrize(
    ("minutes", "reconnects", "easy"), [(30.0, 499, True), (30.0, 500, False), (1.5, 20, False)]
)
def test_a_long_soak_wants_five_hundred_connections_made_anew(minutes, reconnects, easy):
    outcome = Outcome(minutes, reconnects, 1_000, 200, {}, {})
    assert outcome.easy is easy
    assert any("TOO EASY" in line for line in outcome.lines()) is easy


@pytest.mark.heavy(seconds=100)
def test_a_daemon_on_a_bad_line_keeps_nothing_open_and_agrees_at_the_end(tmp_path, record_property):
    with checked_bench(tmp_path) as bench:
        outcome = soak(bench, 1.5, seed=2)
    for line in outcome.lines():
        record_property("figure", f"soak: {line.strip()}")
    assert outcome.reconnects >= 15
    assert outcome.fills > 0
    # so short a line tells nothing of slopes; one left open at each reconnect would be 15 more than there are
    last = {name: one.last for name, one in outcome.slopes.items()}
    assert last["descriptors"] < 34
    assert last["threads"] < 14
    assert last["tasks"] < 24

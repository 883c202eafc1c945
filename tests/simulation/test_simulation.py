"""The simulated world itself: it is deterministic, it finds what is planted, and it finds nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from tests.simulation.faults import BYTE_KINDS, KINDS, draw
from tests.simulation.planted import BUGS_OF
from tests.simulation.play import play
from tests.simulation.shrink import shrink
from tests.simulation.world import END_S

#: seeds that one planted bug gets; other levels are counted by hand
SEEDS = 100
#: the bugs that three of those must find among messages; every other is found once
OFTEN = (
    "send before journal",
    "re-send on timeout",
    "terminal on timeout",
    "no dedupe",
    "no reserve for UNKNOWN",
    "run number not durable",
    "adoption not journalled",
)


def check_size(outcomes):
    """Hold seeds to 50 ticks a second, and 20 orders and 3 fills a minute; one that is cut off has fewer."""
    minutes = len(outcomes) * END_S / 60
    assert sum(one.ticks for one in outcomes) >= 50 * 60 * minutes
    assert sum(one.orders for one in outcomes) >= 20 * minutes
    assert sum(one.fills for one in outcomes) >= 3 * minutes


@pytest.mark.parametrize(("level", "seed"), [("messages", 1), ("bytes", 1)])
def test_a_seed_breaks_no_promise(level, seed):
    outcome = play(seed, level=level)
    assert not outcome.broken, outcome.text
    check_size([outcome])
    assert outcome.replacements >= 5
    assert outcome.amends >= 10


@pytest.mark.parametrize("level", ["messages", "bytes"])
def test_without_faults_nothing_is_unknown_and_the_daemon_starts_once(level):
    outcome = play(1, [], level=level)
    assert (outcome.broken, outcome.starts) == ("", 1)
    assert not outcome.counts


@pytest.mark.parametrize("sync", ["intent", pytest.param("os", marks=pytest.mark.heavy)])
def test_every_sync_policy_keeps_the_promises(sync):
    # "os" promises nothing of a power cut: what it garbles is refused at the next start
    faults = [fault for fault in draw(4) if sync != "os" or fault.kind != "power_cut"]
    outcome = play(4, faults, sync=sync)
    assert not outcome.broken, outcome.text


@pytest.mark.parametrize(
    ("level", "seed"),
    [
        ("messages", 5),
        pytest.param("bytes", 4, marks=pytest.mark.heavy),  # by websockets
        pytest.param("usdm-bytes", 3, marks=pytest.mark.heavy),
    ],
)
def test_another_process_with_another_hash_seed_plays_the_same(level, seed):
    outcome = play(seed, level=level)
    assert not outcome.broken, outcome.text
    ours = os.environ.get("PYTHONHASHSEED")  # where it is not set, it is another in each process
    elsewhere = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--digest", "--first", str(seed), "--level", level],
        env=os.environ | {"PYTHONHASHSEED": "2" if ours == "1" else "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert elsewhere.stdout.strip() == outcome.digest


@pytest.mark.heavy
def test_a_planted_bug_is_found_and_cut_down_to_what_it_needs():
    bug = "re-send on timeout"
    outcome = play(1, bug=bug)
    assert outcome.broken == "sent twice"
    drawn = draw(1, BUGS_OF["messages"][bug].mix)
    left, _ = shrink(drawn, lambda faults: play(1, faults, bug).broken == outcome.broken)
    assert 1 <= len(left) < len(drawn)
    for number in range(len(left)):
        assert play(1, left[:number] + left[number + 1 :], bug).broken != outcome.broken


def test_a_planted_bug_is_found_in_bytes_too():
    assert play(1, bug="re-send on timeout", level="bytes").broken == "sent twice"


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("level", "bug"),
    [
        # the rarest takes half of the seeds
        pytest.param(level, bug, marks=pytest.mark.heavy(seconds=200) if bug.startswith("adoption") else ())
        for level in ("messages", "bytes")
        for bug in BUGS_OF[level]
    ],
)
def test_every_planted_bug_is_found(level, bug, record_property):
    found, seeds = 0, 0
    wanted = 3 if level == "messages" and bug in OFTEN else 1
    mix = BUGS_OF[level][bug].mix
    while found < wanted and seeds < SEEDS:
        seeds += 1
        outcome = play(seeds, bug=bug, level=level)
        assert outcome.promised == bool(outcome.broken), f"the plant itself fails: {outcome.text}"
        found += outcome.promised
    assert not play(seeds, draw(seeds, mix, level), level=level).broken, "it is found without the bug too"
    record_property("figure", f"planted bug, {bug} ({level}): found by {found} of {seeds} seeds")
    assert found == wanted


@pytest.mark.heavy(seconds=230)
@pytest.mark.parametrize(("level", "seeds", "kinds"), [("messages", 40, KINDS), ("bytes", 20, BYTE_KINDS)])
def test_seeds_break_no_promise_and_meet_every_kind_of_fault(level, seeds, kinds, record_property):
    met, counts, cpu_s, outcomes = set(), Counter(), 0.0, []
    for seed in range(1000, 1000 + seeds):
        outcome = play(seed, level=level)
        assert not outcome.broken, f"seed {seed}: {outcome.text}"
        outcomes.append(outcome)
        met |= {fault.kind for fault in draw(seed, level=level)}
        counts += outcome.counts
        cpu_s += outcome.cpu_s
    check_size(outcomes)
    assert met >= set(kinds)
    what = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    speed = f"{seeds * END_S / cpu_s:.0f} times real time"
    record_property("figure", f"simulation of {level}, {seeds} seeds at {speed}: {what}")


def test_shrinking_finds_the_one_pair_that_matters():
    tries = []

    def breaks(faults):
        tries.append(faults)
        return {3, 11} <= set(faults)

    assert shrink(list(range(16)), breaks)[0] == [3, 11]
    assert len(tries) < 60

"""The simulated world itself: it is deterministic, it finds what is planted, and it finds nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from tests.simulation.faults import KINDS, draw
from tests.simulation.planted import BUGS
from tests.simulation.play import play
from tests.simulation.shrink import shrink
from tests.simulation.world import END_S

#: seeds that one planted bug gets, and how many of them must find it
SEEDS, FOUND = 100, 3


@pytest.mark.parametrize("seed", [1, 2])
def test_a_seed_breaks_no_promise(seed):
    outcome = play(seed)
    assert not outcome.broken, outcome.text
    assert outcome.orders >= 60
    assert outcome.fills >= 12


def test_without_faults_nothing_is_unknown_and_the_daemon_starts_once():
    outcome = play(1, [])
    assert (outcome.broken, outcome.starts) == ("", 1)
    assert not outcome.counts


@pytest.mark.parametrize("sync", ["intent", "os"])
def test_every_sync_policy_keeps_the_promises(sync):
    # "os" promises nothing of a power cut: what it garbles is refused at the next start
    faults = [fault for fault in draw(4) if sync != "os" or fault.kind != "power_cut"]
    outcome = play(4, faults, sync=sync)
    assert not outcome.broken, outcome.text


def test_another_process_with_another_hash_seed_plays_the_same():
    def elsewhere(hash_seed):
        return subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--digest", "--first", "5"],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    assert elsewhere("1") == elsewhere("2") == play(5).digest


def test_a_planted_bug_is_found_and_cut_down_to_what_it_needs():
    bug = "re-send on timeout"
    outcome = play(1, bug=bug)
    assert outcome.broken == "sent twice"
    drawn = draw(1, BUGS[bug].mix)
    left, _ = shrink(drawn, lambda faults: play(1, faults, bug).broken == outcome.broken)
    assert 1 <= len(left) < len(drawn)
    for number in range(len(left)):
        assert play(1, left[:number] + left[number + 1 :], bug).broken != outcome.broken


@pytest.mark.heavy
@pytest.mark.parametrize("bug", BUGS)
def test_every_planted_bug_is_found(bug, record_property):
    found, seeds = 0, 0
    while found < FOUND and seeds < SEEDS:
        seeds += 1
        found += bool(play(seeds, bug=bug).broken)
    record_property("figure", f"planted bug, {bug}: found by {found} of {seeds} seeds")
    assert found == FOUND


@pytest.mark.heavy
def test_forty_seeds_break_no_promise_and_meet_every_kind_of_fault(record_property):
    met, counts, cpu_s = set(), Counter(), 0.0
    for seed in range(1000, 1040):
        outcome = play(seed)
        assert not outcome.broken, f"seed {seed}: {outcome.text}"
        met |= {fault.kind for fault in draw(seed)}
        counts += outcome.counts
        cpu_s += outcome.cpu_s
    assert met == set(KINDS)
    what = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    record_property("figure", f"simulation, 40 seeds at {40 * END_S / cpu_s:.0f} times real time: {what}")


def test_shrinking_finds_the_one_pair_that_matters():
    tries = []

    def breaks(faults):
        tries.append(faults)
        return {3, 11} <= set(faults)

    assert shrink(list(range(16)), breaks)[0] == [3, 11]
    assert len(tries) < 60

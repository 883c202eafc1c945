import json
import os
import subprocess
import sys

import pytest

from daemon.bench import latency
from daemon.errors import UsageError
from daemon.options import LatencyOptions

#: at most 0.4 of an order's time is wanted, 0.25 is seen alone and 0.32 beside others at work on both cores
SHARE_MAX = 0.5


def test_cores_default_to_the_first_two_and_may_be_one():
    allowed = sorted(os.sched_getaffinity(0))
    assert latency.choose_cores(LatencyOptions()) == (allowed[0], allowed[:2][-1])
    assert latency.choose_cores(LatencyOptions(cores=(allowed[0],))) == (allowed[0], allowed[0])


def test_a_core_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="core 4096 is asked for"):
        latency.choose_cores(LatencyOptions(cores=(0, 4096)))


@pytest.mark.heavy(seconds=150)
@pytest.mark.parametrize("mode", ["spin", "epoll"])
def test_a_whole_run_skips_nothing(tmp_path, mode, record_property):
    """It spends no large part of an order on judging and recording it, either."""
    command = [sys.executable, "-m", "daemon.cli", "bench", "latency", "--json"]
    words = [
        "--seconds",
        "2",
        "--symbols",
        "4",
        "--trees",
        "120",
        "--rate",
        "1000",
        "--mode",
        mode,
        "--many",
        "1,3",
    ]
    ended = subprocess.run(
        [*command, *words], cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False
    )
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    for proof in said["proofs"]:
        names = ("approvals", "journal_places", "orders", "journal_reports", "filled")
        assert {proof[name] for name in names} == {proof["marked"]}
        assert proof["marked"] > 0
        assert proof["ticks_taken"] == proof["ticks_sent"]
    assert {one["participant"] for one in said["latency"]} >= {"ours", "floor_spin", "floor_sleep", "echo"}
    (share,) = [
        one["measured"] for one in said["targets"] if one["what"].endswith("order state and journal of it")
    ]
    record_property(
        "figure", f"limits, order state and journal, {mode}: {share:.2f} of frame to written order"
    )
    assert 0 < share <= SHARE_MAX
    assert [one["symbols"] for one in said["many"]] == [1, 3]
    assert all(one["ticks_sent"] == one["ticks_taken"] > 0 for one in said["many"])

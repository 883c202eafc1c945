import json

import numpy as np
import pytest

from daemon.bench import plans
from daemon.bench.exchange import Segment
from daemon.bench.many import Many
from daemon.bench.participants import ECHO, FLOOR_SLEEP, FLOOR_SPIN, NAIVE, OURS, OURS_FLOODED
from daemon.bench.report import make_report, show
from daemon.bench.results import Proof
from daemon.options import LatencyOptions
from daemon.status import Footprint, StageLatency, Status


def segment(us, **more):
    same = dict.fromkeys(("late", "held_back", "strange"), 0)
    given = {"sent": 300_000, "marked": 4, "orders": 30_000, "elapsed_ns": 10**9, **same}
    return [Segment(latency_ns=[us * 1000] * 4, **(given | more))]


#: of two rounds
BARE = [np.array([3_000, 4_000, 9_000]), np.array([4_000])]
JUDGE = [np.array([500]), np.array([500])]


@pytest.fixture
def measured():
    found = {}
    for scenario in (plans.SETTLED, plans.COLLIDING, plans.POISSON):
        for name, us in ((FLOOR_SPIN, 10), (OURS, 20), (FLOOR_SLEEP, 30), (ECHO, 12)):
            found[scenario, name] = segment(us)
    found[plans.SETTLED, NAIVE] = segment(900)
    found[plans.ORDERS, OURS_FLOODED] = segment(100)
    found[plans.FLOOD, OURS_FLOODED] = segment(100)
    return found


def a_stage(name, p50_s, p99_s):
    return StageLatency(
        stage=name, count=9, sum_s=1.0, p50_s=p50_s, p99_s=p99_s, p999_s=p99_s, max_s=p99_s, buckets=[]
    )


_SENT = [a_stage("risk", 1.5e-6, 2e-6), a_stage("record", 1e-6, 2e-6), a_stage("order", 8e-6, 32e-6)]


@pytest.fixture
def report(measured):
    def make(mode="spin", left_out=()):
        options = LatencyOptions(mode=mode)
        status = Status(
            name="bench",
            mode="live",
            version="0",
            state="STOPPED",
            now_ns=1,
            uptime_s=1.0,
            latency=[a_stage("decode", 1e-6, 2e-6), *_SENT],
        )
        kept = {key: value for key, value in measured.items() if key not in left_out}
        same = dict.fromkeys(Proof.__struct_fields__[:-1], 1)
        return make_report(options, (0, 1), kept, [status], [Proof(**same)], BARE, JUDGE)

    return make


def reached(report):
    return {one.what: (one.measured, one.verdict == "reached") for one in report.targets}


def test_ours_is_compared_with_the_floor_of_its_mode(report):
    assert reached(report())["settled: p50 to the floor's"] == (2.0, True)
    assert reached(report("epoll"))["settled: p50 to the floor's"] == (pytest.approx(2 / 3), True)


def test_a_figure_that_is_not_reached_is_said(report):
    targets = reached(report())
    assert targets["inside, frame to order written: p99 to p50"] == (4.0, False)
    assert targets["inside, frame to order written: p50 to the bare sum"] == (2.0, True)
    share = targets["inside, frame to order written: reconcile, limits, order state and journal of it"]
    assert share == (pytest.approx(3 / 8), True)
    assert targets["the naive stack's p50 to ours"] == (45.0, True)
    assert targets["orders/s, each acknowledged and reported"] == (30_000.0, True)


def test_the_table_has_everybody_and_says_what_is_missed(report, capsys):
    show(report(), as_json=False)
    text = capsys.readouterr().out
    for word in (OURS, FLOOR_SPIN, FLOOR_SLEEP, ECHO, NAIVE, "decode", "not reached"):
        assert word in text
    assert OURS_FLOODED not in text


def test_a_naive_stack_that_is_not_installed_is_left_out_and_said(report, capsys):
    show(report(left_out=[(plans.SETTLED, NAIVE)]), as_json=False)
    assert "the naive stack was left out" in capsys.readouterr().out.replace("\n", " ")


def test_stalls_of_the_floor_are_said(measured, report, capsys):
    assert not report().disturbed
    measured[plans.SETTLED, FLOOR_SPIN] = segment(10)
    measured[plans.SETTLED, FLOOR_SPIN][0].latency_ns = [10_000] * 90 + [4_000_000] * 10
    disturbed = report()
    assert disturbed.disturbed
    verdicts = {one.what: one.verdict for one in disturbed.targets}
    assert {verdict for what, verdict in verdicts.items() if "p99" in what} == {"disturbed"}
    assert verdicts["orders/s, each acknowledged and reported"] == "reached"
    show(disturbed, as_json=False)
    out = capsys.readouterr().out
    assert "others use these cores" in out.replace("\n", " ")
    tails = [line for line in out.splitlines() if line.startswith(("settled: p99", "colliding: p99"))]
    assert len(tails) == 2
    assert all(line.rstrip().endswith("disturbed") for line in tails)


def test_many_instruments_have_a_table_and_their_targets(measured, capsys):
    options, stages = LatencyOptions(), _SENT
    status = Status(
        name="b", mode="live", version="0", state="STOPPED", now_ns=1, uptime_s=1.0, latency=stages
    )
    many = [
        Many(
            symbols=symbols,
            ready_s=1.0 + symbols / 1000,
            ticks_sent=9,
            ticks_taken=9,
            tick_p50_us=4.0 + symbols / 1000,
            tick_p99_us=9.0,
            resident_mb=200.0 + symbols / 10,
            accounted=Footprint(rings=16_000 * symbols, strategies=24_000 * symbols),
        )
        for symbols in (1, 500)
    ]
    report = make_report(options, (0, 1), measured, [status], [], BARE, JUDGE, many)
    targets = reached(report)
    assert targets["s from the command to READY, 500 symbols"] == (1.5, True)
    assert targets["a tick's p50, 500 symbols to 1 symbol"] == (pytest.approx(4.5 / 4.001), True)
    assert targets["kB an instrument beyond its ring, 500"] == (pytest.approx(84.0), False)
    show(report, as_json=False)
    assert "many instruments" in capsys.readouterr().out


def test_programs_get_one_object(report, capsys):
    show(report(), as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["latency"][0]["participant"] == FLOOR_SPIN
    assert said["ratios"][0]["p50"] == {"low": 2.0, "median": 2.0, "high": 2.0}
    assert said["proofs"][0]["marked"] == 1


def test_only_what_noise_cannot_explain_is_out_of_bounds(report, measured):
    assert all(one.kept for one in report().targets)
    measured[plans.SETTLED, OURS] = segment(95)
    measured[plans.ORDERS, OURS_FLOODED] = segment(100, orders=1_000)
    assert [one.what for one in report().targets if not one.kept] == [
        "settled: p50 to the floor's",
        "the naive stack's p50 to ours",
        "orders/s, each acknowledged and reported",
    ]

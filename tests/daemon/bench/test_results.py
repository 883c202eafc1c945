import pytest

from daemon.bench import results
from daemon.bench.exchange import Segment
from daemon.bench.results import Proof


def segment(latencies, **more):
    given = {
        "sent": 10,
        "marked": 5,
        "orders": 5,
        "late": 1,
        "held_back": 2,
        "strange": 0,
        "elapsed_ns": 10**9,
    }
    return Segment(latency_ns=latencies, **(given | more))


def proof(**more):
    same = dict.fromkeys(
        ("marked", "approvals", "journal_places", "orders", "journal_reports", "filled"), 1000
    )
    return Proof(
        **({"ticks_sent": 1300, "ticks_taken": 1300, "predictions": 900, "buys": 500, **same} | more)
    )


def test_quantiles_are_over_all_segments():
    one = results.latency("settled", "ours", [segment([1000] * 99), segment([1000] * 900 + [9000])])
    assert (one.min_us, one.p50_us, one.p99_us, one.max_us, one.count) == (1.0, 1.0, 1.0, 9.0, 1000)
    assert (one.late, one.held_back) == (2, 4)


def test_ratios_are_of_the_same_round():
    ours, floor = [segment([20]), segment([60]), segment([40])], [segment([10]), segment([20]), segment([20])]
    one = results.ratio("settled", "ours", "floor", ours, floor)
    assert (one.p50.low, one.p50.median, one.p50.high) == (2.0, 2.0, 2.5)


def test_a_rate_is_per_second_of_its_own_segment():
    one = results.rate([segment([1], orders=30, elapsed_ns=2 * 10**9)], "orders")
    assert one.median == 15.0


def test_a_run_in_which_nothing_is_skipped_has_no_breach():
    assert proof().breaches() == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"approvals": 999}, "1000 ticks were marked, but approvals are 999"),
        ({"journal_places": 0}, "1000 ticks were marked, but journal_places are 0"),
        ({"orders": 1001}, "1000 ticks were marked, but orders are 1001"),
        ({"journal_reports": 998}, "1000 ticks were marked, but journal_reports are 998"),
        ({"filled": 1}, "1000 ticks were marked, but filled are 1"),
        ({"ticks_taken": 1299}, "1300 ticks were sent, but 1299 taken in"),
        ({"predictions": 1}, "the model gave 1 different outputs for 1000 decisions"),
        ({"buys": 1000}, "1000 of 1000 orders buy: the decisions do not vary"),
        ({"faults": ("refusals: collar",)}, "refusals: collar"),
    ],
)
def test_whatever_was_skipped_is_said(more, said):
    assert proof(**more).breaches() == [said]


def test_a_run_without_an_order_proves_nothing():
    nothing = dict.fromkeys(
        ("marked", "approvals", "journal_places", "orders", "journal_reports", "filled"), 0
    )
    assert proof(**nothing).breaches() == ["no tick was marked"]

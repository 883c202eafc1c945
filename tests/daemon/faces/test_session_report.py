from __future__ import annotations

from daemon.faces.session_report import make_report
from kernels import dtypes as d
from tests.daemon.faces.conftest import records_of
from tests.daemon.orders.conftest import World


def report_of(world, run=None):
    return make_report(lambda: records_of(world), "the journal", run, None)


def test_it_says_what_ran_and_what_became_of_its_orders(busy):
    report, drawn = report_of(busy)
    (ran,) = report.runs
    assert (report.name, ran.strategies, ran.end) == ("test", {"maker": ["BTC/USDT"]}, None)
    assert report.orders == {"FILLED": 2, "REJECTED": 1, "CANCELED": 1, "UNKNOWN": 1}
    assert (report.rejections, report.refusals) == ({"no reason told": 1}, {"halted": 1, "no_slot": 1})
    assert [(one.kind, one.text) for one in report.happenings] == [
        ("halt", "cli: lunch"),
        ("halted", "cli: lunch"),
        ("resumed", "cli"),
        ("resume", "cli"),
    ]
    assert [(one.strategy, one.quote, one.result, one.fall) for one in report.results] == [
        ("", "USDT", "11.27", "0.72"),
        ("maker", "USDT", "11.27", None),
    ]
    assert drawn.curves["USDT"][1].tolist()[-1] == 11.27
    assert report.summary.lines[0].fees == "0.72"


def test_a_rejection_is_counted_by_its_reason():
    world = World()
    for level, reason in enumerate(("no money", "too small", "no money")):
        world.report("REJECTED", world.place(level=level), reason=reason, code=-2010)
    report, _ = report_of(world)
    assert list(report.rejections.items()) == [("no money", 2), ("too small", 1)]


def test_one_run_is_told_of_by_itself():
    world = World()
    for level in (1, 2):
        order = world.place(level=level, qty=100)
        world.report("NEW", order)
        world.fill(order, level, 100)
        world.report("STATUS", order, status="FILLED", qty_lots=100, cum_lots=100)
    world.later(60)
    again = world.restarted()
    again.later(1)
    sold = again.place(level=3, side=d.SELL, price=6_010_000, qty=50)
    again.report("NEW", sold)
    again.fill(sold, 3, 50)
    both, _ = report_of(again)
    first, second = (one.run for one in both.runs)
    of_first, _ = report_of(again, first)
    of_second, _ = report_of(again, second)
    assert [len(one.runs) for one in (both, of_first, of_second)] == [2, 1, 1]
    assert [sum(one.orders.values()) for one in (both, of_first, of_second)] == [3, 2, 1]
    assert [one.summary.lines[0].fills for one in (both, of_first, of_second)] == [3, 2, 1]
    # bought at 60 000 and worth 60 100 now
    assert [one.results[0].result for one in (both, of_first, of_second)] == ["0.2", "0", "0.2"]
    assert (of_first.runs[0].run, of_second.runs[0].run) == (first, second)

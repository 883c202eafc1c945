from __future__ import annotations

import pytest

from daemon.faces.journal_runs import Runs, ends
from daemon.orders.records import Ended, Run, Voided


def run(number, *, tells_end=True):
    return Run(number, "t", number, "0", [], [], "", tells_end=tells_end)


def runs_of(*records):
    runs = Runs()
    for record in records:
        runs.take(record)
    return runs.count, runs.cut, runs.last_open


@pytest.mark.parametrize(
    ("records", "told"),
    [
        ([], (0, 0, False)),
        ([Voided(1, "x")], (0, 0, False)),
        ([run(1)], (1, 0, True)),
        ([run(1), Ended(2)], (1, 0, False)),
        ([run(1), run(2), Ended(3)], (2, 1, False)),
        ([run(1), run(2), Ended(3), run(5)], (3, 1, True)),
        ([run(1), run(1), run(1), Ended(2), run(2), run(2), Ended(3)], (2, 0, False)),  # of several files
        ([run(1), Ended(2), run(1)], (1, 0, False)),  # no file of a run follows its end
        ([run(1, tells_end=False), run(2, tells_end=False)], (2, 0, False)),  # of an older version
        ([run(1, tells_end=False), run(2), run(3), Ended(4)], (3, 1, False)),
    ],
)
def test_a_run_without_an_end_was_cut_unless_none_would_be_on_record_or_it_is_the_last(records, told):
    assert runs_of(*records) == told


def test_what_is_told_of_ends_is_nothing_where_all_is_well():
    assert list(ends(0, last_open=False)) == []
    one, last = ends(1, last_open=True)
    assert one == (
        "1 run before the last has no end on record: killed, or the power was cut, or the disk took no more"
    )
    assert last == "the last run has no end on record yet: it runs, or was killed"
    assert next(ends(1200, last_open=False)).startswith("1,200 runs before the last have no end on record")

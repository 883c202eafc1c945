from __future__ import annotations

import pytest

from daemon.faces.journal_count import Count, bps


def count(**more):
    one = Count()
    for name, value in more.items():
        setattr(one, name, value)
    return one


def test_a_sum_has_the_sums_of_all_fields_but_the_longest_doubt():
    one, other = count(orders=2, turnover=7), count(orders=3, fills=1)
    one.doubt(5)
    one.doubt(9)
    other.doubt(8)
    one.rejections["-2010"] = 1
    other.rejections["-2010"] = 2
    one.add(other)
    assert (one.orders, one.fills, one.turnover) == (5, 1, 7)
    assert (one.unknown, one.unknown_ns, one.unknown_ns_max) == (3, 22, 9)
    assert one.rejections == {"-2010": 3}


@pytest.mark.parametrize(("mine", "theirs"), [(None, 5), (5, None)])
def test_what_is_unknown_of_a_part_is_unknown_of_the_sum(mine, theirs):
    one = count(unrealised=mine)
    one.add(count(unrealised=theirs))
    assert one.unrealised is None


def test_a_share_of_nothing_is_not_known():
    assert (bps(1, 10_000), bps(3, 0)) == (1.0, None)

"""What a sweep varies, read from the command line."""

from __future__ import annotations

from itertools import product

import pytest

from daemon.errors import UsageError
from daemon.research.ranges import check_names, count, parse_axis, point_at


def param(text):
    return parse_axis(text, "--param", numbers=True)


def key(text):
    return parse_axis(text, "--set", numbers=False)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("qty=1:3:1", ["1", "2", "3"]),
        ("qty=0.1:0.5:0.1", ["0.1", "0.2", "0.3", "0.4", "0.5"]),  # floats would end at 0.4
        ("qty=0:1:0.3", ["0.0", "0.3", "0.6", "0.9"]),
        ("qty=-1:1:1", ["-1", "0", "1"]),
        ("qty=5:5:1", ["5"]),
        ("qty=0.001, 0.01", ["0.001", "0.01"]),
        ("qty=3", ["3"]),
    ],
)
def test_a_range_has_both_its_ends_and_exact_steps(text, values):
    assert list(param(text).values) == values


def test_settings_may_be_words_and_hold_colons():
    assert key("paper.queue=risk_adverse,log_prob").values == ("risk_adverse", "log_prob")
    assert key("risk.day_begins=00:00,08:00").values == ("00:00", "08:00")
    assert key("paper.latency_in_us=0:10:5").values == ("0", "5", "10")
    assert key("paper.latency=measured:a:b").numbers is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("qty", "no range such as"),
        ("qty=", "no range such as"),
        ("=1", "no range such as"),
        ("qty=1:0:1", "is empty"),
        ("qty=0:1:0", "step must be above zero"),
        ("qty=0:1:-1", "step must be above zero"),
        ("qty=0:x:1", "'x' is not a number"),
        ("qty=0:inf:1", "'inf' is not a number"),
        ("qty=1,b", "'b' is not a number"),
        ("qty=1,nan", "'nan' is not a number"),
        ("qty=1:2", "'1:2' is not a number"),
        ("qty=1,,2", "a value of nothing"),
        ("qty=1,1.0", "names a value twice"),
        ("qty=0:1:0.000001", "more than 100,000 values"),
    ],
)
def test_what_is_no_range_is_refused_in_one_sentence(text, sentence):
    with pytest.raises(UsageError, match=sentence):
        param(text)


def test_names_are_given_once_and_some_are():
    with pytest.raises(UsageError, match="varies something"):
        check_names([])
    with pytest.raises(UsageError, match="qty is given twice"):
        check_names([param("qty=1"), param("qty=2")])


def test_points_are_the_grid_with_the_last_name_fastest():
    axes = [param("a=1,2"), param("b=1:3:1"), key("c.d=x,y")]
    grid = [dict(zip(["a", "b", "c.d"], one, strict=True)) for one in product(*(one.values for one in axes))]
    assert [point_at(axes, number) for number in range(count(axes))] == grid
    assert count(axes) == 12


def test_what_a_search_may_look_between_is_ordered_numbers():
    assert param("a=1,2,10").ordered
    assert not param("a=2,1").ordered
    assert not key("a.b=x,y").ordered

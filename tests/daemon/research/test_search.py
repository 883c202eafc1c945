"""The order in which points are tried."""

from __future__ import annotations

import builtins

import pytest

from daemon.errors import UsageError
from daemon.research.ranges import parse_axis, point_at
from daemon.research.search import make_search

AXES = [
    parse_axis("a=0:20:1", "--param", numbers=True),
    parse_axis("b=0:20:1", "--param", numbers=True),
    parse_axis("c.d=x,y", "--set", numbers=False),
]


def worth(point):
    """Largest at a = 15, b = 5, c.d = y."""
    return -((float(point["a"]) - 15) ** 2) - (float(point["b"]) - 5) ** 2 - 50 * (point["c.d"] == "x")


def path(kind, trials, seed, *, ahead=1):
    search = make_search(kind, AXES, trials, seed)
    asked, told = [], 0
    while told < search.trials:
        if len(asked) < search.trials and len(asked) - told < ahead:
            asked.append(search.ask())
        else:
            search.tell(worth(asked[told]) if told % 7 != 3 else None)  # some have no figure
            told += 1
    return asked


def test_a_grid_is_tried_whole_and_in_order():
    assert path("grid", None, 1) == [point_at(AXES, number) for number in range(882)]


def test_random_draws_are_different_points_and_the_same_for_the_same_seed():
    drawn = path("random", 100, 5)
    assert drawn == path("random", 100, 5)
    assert drawn != path("random", 100, 6)
    assert len({tuple(one.values()) for one in drawn}) == 100
    assert len(path("random", 10_000, 5)) == 882  # there are no more


@pytest.mark.parametrize("ahead", [1, 3])
def test_tpe_is_the_same_for_the_same_seed_and_comes_nearer(ahead):
    found = path("tpe", 60, 1, ahead=ahead)
    assert found == path("tpe", 60, 1, ahead=ahead)
    assert found != path("tpe", 60, 2, ahead=ahead)
    first, last = ([worth(one) for one in some] for some in (found[:20], found[-20:]))
    assert sum(last) > sum(first)
    assert max(map(worth, found)) > -10


@pytest.mark.parametrize(
    ("kind", "trials", "sentence"),
    [
        ("grid", 5, "a grid is tried whole"),
        ("random", None, "say --trials N"),
        ("tpe", None, "say --trials N"),
    ],
)
def test_what_does_not_go_together_is_refused(kind, trials, sentence):
    with pytest.raises(UsageError, match=sentence):
        make_search(kind, AXES, trials, 1)


def test_a_grid_too_large_is_refused_and_may_be_drawn_from():
    axes = [parse_axis(f"{name}=1:9999:1", "--param", numbers=True) for name in "ab"]
    with pytest.raises(UsageError, match="99,980,001 points"):
        make_search("grid", axes, None, 1)
    assert make_search("random", axes, 50, 1).trials == 50
    axes = [parse_axis(f"{name}=1:99999:1", "--param", numbers=True) for name in "abcd"]
    with pytest.raises(UsageError, match="more than can be numbered"):
        make_search("random", axes, 50, 1)


def test_without_optuna_one_sentence_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def lacking(name, *rest):
        if name == "optuna":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(UsageError, match="not installed: make setup"):
        make_search("tpe", AXES, 5, 1)

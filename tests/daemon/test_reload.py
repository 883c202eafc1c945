from __future__ import annotations

import pytest

from daemon.config import from_tree
from daemon.errors import ConfigError
from daemon.reload import Reload, differing

TREE = {
    "name": "one",
    "mode": "paper",
    "feed": {"symbols": ["BTC/USDT"]},
    "strategy": [{"name": "ema_cross", "params": {"qty": 0.001}}],
}


def config(**sections):
    return from_tree({**TREE, **sections}, {}, "test")


class Running:
    def __init__(self):
        self.levels = []
        self.next = config()
        self.reload = Reload(config(), self.read, {"log.level": self.levels.append})

    def read(self):
        if isinstance(self.next, Exception):
            raise self.next
        return self.next


def test_what_can_change_changes_and_the_rest_is_named_and_goes_on():
    running = Running()
    running.next = config(
        log={"level": "debug"},
        risk={"collar": 0.5, "windows": ["mon-fri 08:00-16:30"]},
        strategy=[{"name": "ema_cross", "params": {"qty": 0.002}}],
    )
    assert running.reload() == (
        "taken anew: log.level = debug; "
        "not taken before a restart: risk.collar, risk.windows, strategy[0].params.qty"
    )
    assert running.levels == ["debug"]
    # the one is taken already, and the others are still refused
    assert running.reload() == (
        "not taken before a restart: risk.collar, risk.windows, strategy[0].params.qty"
    )
    assert running.levels == ["debug"]
    running.next = config()
    assert running.reload() == "taken anew: log.level = info"


def test_an_unchanged_file_says_so():
    running = Running()
    assert running.reload() == "nothing in the configuration has changed"
    assert running.levels == []


def test_a_surprise_in_the_file_ends_nobody():
    def load():
        raise RecursionError("too deep")

    assert Reload(config(), load, {})() == "nothing was taken anew: RecursionError: too deep"


def test_a_configuration_that_is_wrong_changes_nothing():
    running = Running()
    running.next = ConfigError("test: log.level must be one of debug, info, warning, error")
    assert running.reload() == (
        "nothing was taken anew: test: log.level must be one of debug, info, warning, error"
    )
    assert running.levels == []


@pytest.mark.parametrize(
    ("before", "after", "keys"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["a.c"]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, ["a[0].b"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a"]),
        ({"a": {}}, {"a": {"new": 1}}, ["a.new"]),
        ({"a": None}, {"a": {"b": 1}}, ["a"]),
    ],
)
def test_differing_keys_are_named(before, after, keys):
    assert list(differing(before, after)) == keys
    assert list(differing(after, before)) == keys

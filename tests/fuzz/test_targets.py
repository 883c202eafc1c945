"""Every door takes its seeds, some hundred damaged ones, and what once went through it to where it hurt."""

from __future__ import annotations

import logging
import os
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.fuzz.__main__ import _measure
from tests.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterator

#: of each target, in a test run; `make fuzz` has no end
_DAMAGED = 400

#: what fuzzing has found
TRADE = (
    b'[{"symbol":"BTCUSDT","id":7,"orderId":12,"price":"1.00","qty":"%b","commission":"0",'
    b'"commissionAsset":"B","time":%b,"isBuyer":true,"isMaker":false}]'
)
FOUND = [
    ("records", b""),
    # a time and a quantity that no integer of the journal holds
    ("rest-spot", TRADE % (b"0.005", b"1660800000000000000000001715639")),
    ("rest-spot", TRADE % (b"9" * 30, b"1660801715639")),
    # no UTF-8, and nested beyond any reader's depth
    ("simulator-api", b'{"id":2,"\xffethod":"order.status"}'),
    ("simulator-api", b"[" * 5000),
    ("simulator-streams", b'{"method":"SUBSCRIBE","params":["btcusdt@b\x91\x94"],"id":1}'),
    ("simulator-streams", b"[" * 5000),
    ("simulator-state", b'\xbc {"format":1,"began_ns":1}\n'),
]
_ODD = [b"-1", b"1e308", b"NaN", b"9" * 30, b"null", b"{}", b'""', b"\0"]


def damaged(random: Random, seeds: list[bytes]) -> bytes:
    """Return a seed with a few bytes changed, doubled, moved, cut off or taken from another."""
    data = bytearray(random.choice(seeds))
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data) + 1)
        size = random.choice([1, 1, 2, 8, 40])
        how = random.randrange(5)
        if how == 0:
            data[at : at + 1] = random.randbytes(1)
        elif how == 1:
            data[at : at + size] = random.choice(_ODD)
        elif how == 2:
            data[at:at] = data[at : at + size]
        elif how == 3:
            del data[at : at + size]
        else:
            other = random.choice(seeds)
            data[at:] = other[random.randrange(len(other) + 1) :]
    return bytes(data)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", TARGETS)
def test_a_door_takes_what_belongs_there_and_refuses_what_does_not(name):
    target = TARGETS[name]
    run, seeds = target.open(), target.seeds()
    for one in seeds:
        run(one)
    random = Random(name)
    for _ in range(_DAMAGED):
        run(damaged(random, seeds))


@pytest.mark.parametrize(("name", "data"), FOUND)
def test_what_was_found_once_is_not_found_again(name, data):
    TARGETS[name].open()(data)


@pytest.mark.heavy
@pytest.mark.parametrize(("name", "fine"), [("memories", True), ("nobody", False)])
def test_the_runner_tells_a_clean_target_from_one_that_raised(name, fine, root, monkeypatch):
    monkeypatch.chdir(root)
    if not os.environ.get("CI"):  # there it must be
        pytest.importorskip("atheris")
    text, clean = _measure(name, 2, 1)
    assert clean is fine, text
    assert ("nothing raised" in text) is fine

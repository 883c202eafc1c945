from __future__ import annotations

import pytest

from daemon.orders.intents import Approved, Refused
from daemon.orders.refusals import REFUSAL_NAMES
from kernels import dtypes as d


def test_an_approval_and_a_refusal_are_different_types_and_neither_can_be_changed(world):
    approved, refused = world.check(), world.check(refusal=d.REFUSED_COLLAR)
    assert (type(approved), type(refused)) == (Approved, Refused)
    with pytest.raises(AttributeError):
        approved.number = 5
    with pytest.raises(AttributeError):
        refused.code = 0


def test_every_refusal_has_its_name(world):
    for code, name in REFUSAL_NAMES.items():
        assert Refused(code, world.desks[0], world.action(), 0, 0).reason == name


def test_wishes_are_told_apart_by_strategy_instrument_verb_kind_level_and_side(world):
    base = {"level": 1, "side": d.BUY, "kind": d.REST}
    keys = {
        Refused(1, world.desks[0], world.action(**{**base, **other}), 0, 0).key
        for other in ({}, {"level": 2}, {"side": d.SELL}, {"kind": d.STOP}, {"verb": d.CANCEL}, {"row": 1})
    }
    assert len(keys) == 6
    again = Refused(2, world.desks[0], world.action(**base, price=1, qty=2, slot=3), 9, 9)
    assert again.key in keys

from __future__ import annotations

import numpy as np

from kernels import dtypes


def prefixed(prefix):
    return {
        name: value
        for name, value in vars(dtypes).items()
        if name.startswith(prefix) and isinstance(value, int)
    }


def test_every_column_of_a_table_is_named_once():
    for prefix, columns in (
        ("O_", dtypes.OUT_COLUMNS),
        ("P_", dtypes.POSITION_COLUMNS),
        ("W_", dtypes.WORKING_COLUMNS),
        ("A_", dtypes.ACCOUNT_COLUMNS),
        ("R_", dtypes.RULES_COLUMNS),
        ("M_", dtypes.LIMITS_COLUMNS),
        ("X_", dtypes.ACTION_COLUMNS),
    ):
        assert sorted(prefixed(prefix).values()) == list(range(columns)), prefix


def test_the_bits_of_why_are_apart():
    bits = list(prefixed("WHY_").values())
    assert sum(bits) == np.bitwise_or.reduce(bits)


def test_every_refusal_has_its_own_name():
    codes = {*prefixed("REFUSED_").values(), *prefixed("GATE_").values(), dtypes.APPROVED}
    assert codes == dtypes.REFUSAL_NAMES.keys()
    assert len(set(dtypes.REFUSAL_NAMES.values())) == len(codes)


def test_a_strategys_memory_has_the_shapes_that_decide_is_given():
    k, features = 2, 5
    memory = np.zeros(1, dtypes.memory_dtype(k, features, 7, 3, states=0, params=4))[0]
    shapes = {
        "rows": (k, features + 1),
        "book": (k, 2, dtypes.BOOK_LEVELS, 2),
        "position": (k, dtypes.POSITION_COLUMNS),
        "working": (k, dtypes.WORKING_SLOTS, dtypes.WORKING_COLUMNS),
        "account": (dtypes.ACCOUNT_COLUMNS,),
        "state": (1,),
        "params": (4,),
        "out": (k * dtypes.OUT_PER_INSTRUMENT, dtypes.OUT_COLUMNS),
        "actions": (k * dtypes.ACTIONS_PER_INSTRUMENT, dtypes.ACTION_COLUMNS),
    }
    assert {name: memory[name].shape for name in shapes} == shapes


def test_the_tick_record_has_no_padding():
    assert dtypes.TICK.itemsize == 8 * len(dtypes.TICK.names)

"""The level parser against Decimal: exact on every grid, refusing by name, never outside its bytes."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.types import Bytes

from kernels import levels as lv

SPOT = lv.make_grid(2, 1, 5, 1)  # 0.01, 0.00001


def buf(text: str | bytes) -> np.ndarray:
    return text if isinstance(text, bytes) else text.encode()


def parse(
    text: str | bytes, grid: np.ndarray = SPOT, room: int = 16
) -> tuple[list[tuple[int, int]] | int, int]:
    """Return (levels, end), or (error, offset of the fault)."""
    ticks, lots = np.zeros(room, np.int64), np.zeros(room, np.int64)
    count, end = lv.parse(buf(text), 0, grid, ticks, lots)
    if count < 0:
        return int(count), int(end)
    return list(zip(ticks[:count].tolist(), lots[:count].tolist(), strict=True)), int(end)


def error(text: str | bytes, grid: np.ndarray = SPOT) -> str:
    code, _ = parse(text, grid)
    assert isinstance(code, int), code
    return lv.ERROR_NAMES[code]


def test_levels_become_exact_ticks_and_lots() -> None:
    text = '[["61737.63000000","0.50000000"],["61730.1","12"],["1","0.00000000"]]'
    assert parse(text) == ([(6173763, 50000), (6173010, 1200000), (100, 0)], len(text))


def test_an_empty_list_has_no_levels() -> None:
    assert parse("[]") == ([], 2)
    assert parse(" [ ] ") == ([], 4)


def test_white_space_bare_numbers_and_further_members_are_read() -> None:
    text = '[ [ "1.50" , 2 , "0" , "x\\"]" ] ,\n[1.25,"3"]\t]'
    assert parse(text) == ([(150, 200000), (125, 300000)], len(text))


def test_steps_that_are_no_power_of_ten_divide_the_digits() -> None:
    grid = lv.make_grid(1, 5, 0, 100)  # 0.5 and 100
    assert parse('[["61800.50","300"]]', grid)[0] == [(123601, 3)]
    assert error('[["61800.20","300"]]', grid) == "grid"


def test_a_price_off_the_grid_is_refused_and_a_quantity_is_rounded_down() -> None:
    assert error('[["61737.631","1"]]') == "grid"
    assert parse('[["61737.63","93.75658700"]]')[0] == [(6173763, 9375658)]


def test_a_quantity_smaller_than_a_lot_is_not_taken_for_a_deletion() -> None:
    assert parse('[["1.00","0.00000001"]]')[0] == [(100, 1)]
    assert parse('[["1.00","0.00000000"]]')[0] == [(100, 0)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "levels"),
        ("[", "levels"),
        ("[[", "levels"),
        ('[["1"', "levels"),
        ('[["1","1"', "levels"),
        ('[["1","1"]', "levels"),
        ('[["1","1"],', "levels"),
        ('[["1","1"],]', "levels"),
        ('[["1","1"]["1","1"]]', "levels"),
        ('[["1"]]', "levels"),
        ('[["","1"]]', "levels"),
        ('[["1.","1"]]', "levels"),
        ('[[".5","1"]]', "levels"),
        ('[["1e308","1"]]', "levels"),
        ('[["1","1e3"]]', "levels"),
        ('[["NaN","1"]]', "levels"),
        ('[["1","inf"]]', "levels"),
        ('[["0x10","1"]]', "levels"),
        ('[["+1","1"]]', "levels"),
        ('[["1 ","1"]]', "levels"),
        ('[[null,"1"]]', "levels"),
        ('[["1","1",["x"]]]', "levels"),
        ('[["1","1","x]]', "levels"),
        ("[1,2]", "levels"),
        ('{"1":"1"}', "levels"),
        ('[["-1","1"]]', "not_positive"),
        ('[["1","-1"]]', "not_positive"),
        ('[["0","1"]]', "not_positive"),
        ('[["0.00","1"]]', "not_positive"),
        ('[["99999999999999999999","1"]]', "overflow"),
        ('[["1","99999999999999999999"]]', "overflow"),
        ('[["1","9000000000000000000"]]', "overflow"),
        ("[" + ",".join(['["1","1"]'] * 17) + "]", "levels_max"),
    ],
)
def test_a_malformed_list_is_refused_by_name(text: str, reason: str) -> None:
    assert error(text) == reason


def test_the_largest_numbers_that_fit_are_exact() -> None:
    grid = lv.make_grid(0, 1, 0, 1)
    assert parse('[["8999999999999999999","9000000000000000009"]]', grid)[0] == [
        (8999999999999999999, 9000000000000000009)
    ]


def test_every_error_has_a_name() -> None:
    codes = [lv.MALFORMED, lv.OFF_GRID, lv.TOO_MANY, lv.NOT_POSITIVE, lv.OVERFLOW, lv.MISSING]
    assert sorted(lv.ERROR_NAMES) == sorted(codes)


counts = st.integers(0, 10**9)
#: mostly on the grid; now and then a little above a step
offsets = st.sampled_from([Decimal(0)] * 9 + [Decimal("0.000000001")])
pairs_of_counts = st.lists(st.tuples(counts, offsets, counts, offsets), max_size=16)


@given(pairs_of_counts, st.integers(0, 8), st.sampled_from([1, 5, 25]))
def test_the_parser_agrees_with_decimal(
    drawn: list[tuple[int, Decimal, int, Decimal]], places: int, num: int
) -> None:
    step = Decimal(num) / 10**places
    grid = lv.make_grid(places, num, places, num)
    pairs = [(price * step + over, qty * step + more) for price, over, qty, more in drawn]
    text = "[" + ",".join(f'["{price:f}","{qty:f}"]' for price, qty in pairs) + "]"
    expected = []
    for price, qty in pairs:
        if price % step != 0:
            assert error(text, grid) == "grid"
            return
        if price == 0:
            assert error(text, grid) == "not_positive"
            return
        expected.append((int(price / step), max(int(qty / step), 1) if qty > 0 else 0))
    assert parse(text, grid) == (expected, len(text))


@given(st.binary(max_size=200), st.sampled_from([b'"1"]]"}', b'1","1"]]', b"]]]]]", b"0000000"]))
def test_bytes_behind_the_buffer_are_never_read(data: bytes, behind: bytes) -> None:
    ticks, lots = np.zeros(16, np.int64), np.zeros(16, np.int64)
    alone = lv.parse(buf(data), 0, SPOT, ticks, lots)
    followed = lv.parse(buf(data + behind)[: len(data)], 0, SPOT, ticks, lots)
    assert alone == followed
    assert 0 <= alone[1] <= len(data)


def test_each_kernel_has_one_signature() -> None:
    ticks, lots = np.zeros(4, np.int64), np.zeros(4, np.int64)
    lv.parse(buf("[]"), 0, SPOT, ticks, lots)
    kernels = [kernel for kernel in vars(lv).values() if hasattr(kernel, "signatures")]
    assert len(kernels) > 5
    # one that only others call has none when these came compiled from the cache; kernels.frames, which no
    # daemon that trades loads, calls some of them with arrays, and one from a constant place
    of_bytes = {
        one.__name__: len({sig[0] for sig in one.signatures if isinstance(sig[0], Bytes)}) for one in kernels
    }
    assert {name: count for name, count in of_bytes.items() if count > 1} == {}
    assert len(lv.parse.signatures) == 1

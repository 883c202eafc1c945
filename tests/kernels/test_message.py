"""Both level lists of a message, in each form that exchanges write them in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import levels as lv
from kernels import message as ms

SPOT = lv.make_grid(2, 1, 5, 1)  # 0.01, 0.00001


def parsed(text: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]] | str:
    """Return both sides of a message, or the name of what is wrong with it."""
    scratch = lv.make_scratch()
    bids, asks = ms.sides(text.encode(), SPOT, scratch)
    if bids < 0:
        return lv.ERROR_NAMES[bids]
    return tuple(  # type: ignore[return-value]
        list(zip(*scratch[[ticks, lots], :n].tolist(), strict=True))
        for ticks, lots, n in ((lv.S_BID_TICKS, lv.S_BID_LOTS, bids), (lv.S_ASK_TICKS, lv.S_ASK_LOTS, asks))
    )


def test_both_sides_are_found_by_their_keys_in_any_order() -> None:
    scratch = lv.make_scratch()
    message = (
        '{"e":"b","s":"a\\"b\\":[","b":1,"x":{"a":"b"},"asks":[["2.00","1"]] ,'
        ' "bids" : [["1.00","3"],["0.99","1"]]}'
    )
    assert ms.sides(message.encode(), SPOT, scratch) == (2, 1)
    assert scratch[lv.S_BID_TICKS, :2].tolist() == [100, 99]
    assert scratch[lv.S_BID_LOTS, :2].tolist() == [300000, 100000]
    assert scratch[lv.S_ASK_TICKS, 0] == 200


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"b":[["1","1"]]}', lv.MISSING),
        ('{"a":[]}', lv.MISSING),
        ('{"bid":[],"asq":[]}', lv.MISSING),
        ("{}", lv.MISSING),
        ("", lv.MISSING),
        ('"', lv.MISSING),
        ('{"b":[["1","1"]],"a":[["x","1"]]}', lv.MALFORMED),
        ('{"b":[["1","1"]', lv.MALFORMED),
    ],
)
def test_a_message_without_both_sides_is_refused(message: str, code: int) -> None:
    assert ms.sides(message.encode(), SPOT, lv.make_scratch())[0] == code


def test_a_message_may_carry_more_levels_than_a_snapshot_and_not_more_than_the_scratch() -> None:
    scratch = lv.make_scratch()

    def message(levels: int) -> bytes:
        return ('{"b":[],"a":[' + ",".join(f'["{i + 1}","1"]' for i in range(levels)) + "]}").encode()

    assert ms.sides(message(lv.LEVELS_MAX), SPOT, scratch) == (0, lv.LEVELS_MAX)
    assert ms.sides(message(lv.LEVELS_MAX + 1), SPOT, scratch)[0] == lv.TOO_MANY


OBJECTS = (
    '{"symbol":"BTC/USD","bids":[{"price":0.5,"qty":10.00000},{"qty":"2","price":"0.49","orders":3}],'
    '"asks": [ { "price" : 0.51 , "qty" : 0 } ],"checksum":1}'
)


def test_levels_may_be_objects_of_numbers() -> None:
    assert parsed(OBJECTS) == ([(50, 1_000_000), (49, 200_000)], [(51, 0)])
    assert parsed('{"bids":[],"asks":[{"price":1,"qty":1}]}') == ([], [(100, 100_000)])


UPDATES = (
    '{"type":"update","updates":[{"side":"bid","event_time":"2023-02-09T20:32:50.71Z","price_level":"21921.73",'
    '"new_quantity":"0.063"},{"side":"offer","event_time":"x","price_level":"21921.74","new_quantity":"0"},'
    '{"side":"bid","price_level":"21921.72","new_quantity":"1"}]}'
)


def test_levels_may_say_their_side_themselves() -> None:
    assert parsed(UPDATES) == ([(2192173, 6300), (2192172, 100_000)], [(2192174, 0)])
    assert parsed('{"updates":[]}') == ([], [])


@pytest.mark.parametrize(
    ("message", "what"),
    [
        ('{"bids":[{"price":1.001,"qty":1}],"asks":[]}', "grid"),
        ('{"bids":[{"price":0,"qty":1}],"asks":[]}', "not_positive"),
        ('{"bids":[{"price":-1,"qty":1}],"asks":[]}', "not_positive"),
        ('{"bids":[{"price":1,"qty":-1}],"asks":[]}', "not_positive"),
        ('{"bids":[{"price":1e3,"qty":1}],"asks":[]}', "levels"),
        ('{"bids":[{"price":1}],"asks":[]}', "levels"),
        ('{"bids":[{"qty":1}],"asks":[]}', "levels"),
        ('{"bids":[{"price":1,"qty":1,"more":[]}],"asks":[]}', "levels"),
        ('{"bids":[{"price":1,"qty":1}', "levels"),
        ('{"bids":[{"price":1,"qty":1},[]],"asks":[]}', "levels"),
        ('{"bids":[{"price":1,"qty":1}]}', "side_missing"),
        ('{"updates":[{"price_level":"1","new_quantity":"1"}]}', "levels"),
        ('{"updates":[{"side":"middle","price_level":"1","new_quantity":"1"}]}', "levels"),
        ('{"updates":[{"side":1,"price_level":"1","new_quantity":"1"}]}', "levels"),
    ],
)
def test_an_object_that_is_no_level_is_refused(message: str, what: str) -> None:
    assert parsed(message) == what


VALID = (
    b'{"e":"depthUpdate","b":[["61737.63","0.5"],["61730.1","12"]],"a":[["61800.00","0.00000"]]}',
    OBJECTS.encode(),
    UPDATES.encode(),
)


@given(st.data())
def test_mutated_messages_never_crash_the_parser(data: st.DataObject) -> None:
    mutated = bytearray(data.draw(st.sampled_from(VALID)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        kind = data.draw(st.sampled_from(["set", "cut", "insert", "delete"]))
        if kind == "set":
            mutated[at] = data.draw(st.integers(0, 255))
        elif kind == "insert":
            mutated.insert(at, data.draw(st.sampled_from(list(b'[]{}",:.-0189eNab'))))
        elif kind == "delete" and len(mutated) > 1:
            del mutated[at]
        elif kind == "cut":
            mutated = mutated[: max(at, 1)]
    scratch = lv.make_scratch()
    bids, asks = ms.sides(bytes(mutated), SPOT, scratch)
    if bids < 0:
        assert bids in lv.ERROR_NAMES
    else:
        assert (scratch[lv.S_BID_TICKS, :bids] > 0).all()
        assert (scratch[lv.S_ASK_LOTS, :asks] >= 0).all()


def test_each_kernel_has_one_signature() -> None:
    ms.sides(b"{}", SPOT, lv.make_scratch())
    kernels = [kernel for kernel in vars(ms).values() if hasattr(kernel, "signatures")]
    assert {kernel.__name__: len(kernel.signatures) for kernel in kernels if len(kernel.signatures) > 1} == {}
    assert len(ms.sides.signatures) == 1

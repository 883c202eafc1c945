from typing import Annotated, Literal, get_args

import msgspec
import pytest
from msgspec import Meta

from daemon.explain import below, explain, keys_of, names_at

Many = Literal["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
MANY = get_args(Many)


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    colour: Literal["red", "green"]
    size: Annotated[int, Meta(ge=1)] = 1
    word: Annotated[str, Meta(pattern="^[a-z]$", description="a small letter")] = "a"
    plain: Annotated[str, Meta(pattern="^[a-z]$")] = "a"
    many: Many = "one"


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    one: Inner
    many: tuple[Inner, ...] = ()
    named: dict[str, Annotated[float, Meta(gt=0)]] = {}


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        ({}, "it lacks the key 'one'"),
        ({"two": 1}, "it has no key 'two'"),
        ({"oen": 1}, "it has no key 'oen'; did you mean 'one'?"),
        ({"one": {"colour": "red", "sice": 1}}, "one has no key 'sice'; did you mean 'size'?"),
        ({"one": {"colour": "blue"}}, "one.colour is 'blue', and can be red or green"),
        ({"one": {"colour": "red", "size": 0}}, "one.size: expected int >= 1"),
        ({"one": {"colour": "red"}, "many": [{"colour": 1}]}, "many[0].colour: expected str, got int"),
        ({"one": {"colour": "red", "word": "A"}}, "one.word must be a small letter"),
        ({"one": {"colour": "red", "plain": "A"}}, "one.plain: expected str matching regex '^[a-z]$'"),
        ({"one": {"colour": "red", "many": "sevn"}}, "one.many is 'sevn'; did you mean 'seven'?"),
        ({"one": {"colour": "red", "many": "zz"}}, f"one.many is 'zz', and can be {' or '.join(MANY)}"),
        (3, "it: expected object, got int"),
    ],
)
def test_a_refusal_names_the_key_and_what_it_can_be(tree, sentence):
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(tree, Outer)
    assert explain(str(refused.value), Outer, "it") == sentence


def test_types_are_found_below_structs_tuples_and_dictionaries():
    assert below(Outer, "one") is Inner
    assert below(Outer, "three") is None
    assert below(below(Outer, "many"), "0") is Inner
    assert below(below(Outer, "named"), "x") == Annotated[float, Meta(gt=0)]
    assert names_at(Outer, ["one"]) == ("colour", "size", "word", "plain", "many")
    assert names_at(Outer, ["named"]) == ()


def test_the_keys_are_those_of_the_value_that_is_wrong():
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert({"one": {"colour": "red"}, "many": [{"colour": 1}]}, Outer)
    assert keys_of(str(refused.value)) == ["many", "0", "colour"]
    assert keys_of("Expected `object`, got `int`") == []

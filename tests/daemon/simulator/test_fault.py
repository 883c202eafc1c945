"""Faults as they are written down, and what is wrong with some."""

import re
from typing import get_args

import msgspec
import pytest

from daemon.errors import UsageError
from daemon.simulator.fault import Fault, Kind, parse, read_one

TOML = """
[[fault]]
at_s = 5
kind = "drop"
method = "executionReport"
count = 1

[[fault]]
kind = "-1007"
lasts_s = 2.5
executed = false
"""


def test_toml_and_json_in_every_form_say_the_same():
    faults = parse(TOML, "f")
    assert faults == [
        Fault(kind="drop", at_s=5.0, method="executionReport", count=1, of="events"),
        Fault(kind="-1007", lasts_s=2.5, executed=False),
    ]
    objects = [msgspec.json.encode(fault).decode() for fault in faults]
    assert parse("\n".join(objects) + "\n\n", "f") == faults
    assert parse(f"[{','.join(objects)}]", "f") == faults
    assert parse(f" [\n{objects[0]}]", "f") == faults[:1]
    assert parse(objects[1], "f") == faults[1:]


def test_nothing_is_no_fault():
    assert parse("", "f") == parse("[]", "f") == parse("# quiet\n", "f") == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[fault]\n", "f is not valid TOML: "),
        ("fault = 3", "f: faults are written as [[fault]] tables, and nothing else is"),
        ('[[faults]]\nkind = "stall"', "f: faults are written as [[fault]] tables, and nothing else is"),
        ('{"kind": "crash"}\n{"kind"', "f: line 2 is not valid JSON: Input data was truncated"),
        ('{"kind": "crash"}\n{"kind": "dorp"}', "f: fault 2: kind is 'dorp'; did you mean 'drop'?"),
        ('{"kind": "zzz"}', "f: fault 1: kind is 'zzz', and can be stall or "),
        (TOML + '[[fault]]\nkin = "stall"', "f: fault 3: it has no key 'kin'; did you mean 'kind'?"),
        ('{"lasts_s": 3}', "f: fault 1: it lacks the key 'kind'"),
        ('{"kind": "stall", "lasts_s": -1}', "f: fault 1: lasts_s: expected float >= 0.0"),
        (
            '{"kind": "stall", "lasts_s": 1, "of": "east"}',
            "f: fault 1: of is 'east', and can be events or market",
        ),
    ],
)
def test_a_text_that_is_wrong_is_refused_naming_the_entry(text, sentence):
    with pytest.raises(UsageError) as refused:
        parse(text, "f")
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"kind": "drop"}, "it needs count, lasts_s or both"),
        ({"kind": "stall"}, "it needs lasts_s"),
        ({"kind": "delay", "count": 1}, "it needs delay_s"),
        ({"kind": "delay", "count": 1, "delay_s": -1.0}, "delay_s must not be negative"),
        ({"kind": "drop", "count": 1, "of": "rest"}, "of is 'rest', and can be events or market or answers"),
        ({"kind": "stall", "lasts_s": 1, "of": "rest"}, "of is 'rest', and can be market or api or user"),
        ({"kind": "-1007", "count": 1, "of": "events"}, "of is 'events', and can be rest or api"),
        ({"kind": "http_5xx", "count": 1, "code": 404}, "code must be a status of 500 to 599, not 404"),
        ({"kind": "stall", "lasts_s": float("inf")}, "lasts_s must be a finite number"),
        ({"kind": "crash", "delay_s": float("nan")}, "delay_s must be a finite number"),
        ({"kind": "crash", "count": 1}, "it has no count; it reads at_s, market"),
        (
            {"kind": "crossed_book", "count": 1, "method": "trade"},
            "method is 'trade', and can be depth or bookTicker",
        ),
    ],
)
def test_a_fault_that_its_kind_cannot_read_is_refused(entry, sentence):
    with pytest.raises(UsageError) as refused:
        read_one(entry, "here")
    assert str(refused.value) == f"here ({entry['kind']}): {sentence}"


def test_what_a_kind_strikes_by_default_is_said_by_the_fault():
    assert read_one({"kind": "delay", "count": 1, "delay_s": 1}, "").of == "events"
    assert read_one({"kind": "crossed_book", "count": 1}, "").method == "depth"
    assert read_one({"kind": "clock_step", "lasts_s": 1, "delay_s": -5}, "").delay_s == -5.0


def test_the_page_tells_every_kind_and_every_key_and_its_examples_are_sound(root):
    page = (root / "docs" / "simulator.md").read_text(encoding="utf-8")
    cells = {
        name for row in re.findall(r"^\| (.*?) \|", page, re.MULTILINE) for name in re.findall("`(.*?)`", row)
    }
    assert set(get_args(Kind)) | set(Fault.__struct_fields__) <= cells
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert [fault.kind for fault in parse(example, "page")] == ["lose_answer", "delay", "stall", "storm"]
    posted = re.findall(r"-d '(.*?)'", page)
    assert len(posted) == 2
    for text in (*posted, *re.findall(r"`(\{\"kind.*?)`", page)):
        assert parse(text, "page")

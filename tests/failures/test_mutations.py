"""Each failure's test fails once its handling is taken out, and for the reason named.

A line a mutation: failure, handling, what becomes of it, and how the test told.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("test_[0-9]*.py"))
MODULES = [import_module(f"tests.failures.{name}") for name in NAMES]


def its_test(module):
    """Return a failure's one test."""
    (name,) = (name for name in vars(module) if re.match(r"test_\d\d_", name))
    return getattr(module, name)


CASES = [
    pytest.param(its_test(module), one, id=f"{its_test(module).__name__}-{number}")
    for module in MODULES
    for number, one in enumerate(module.MUTATIONS, 1)
]


def test_every_failure_has_its_test_and_its_mutations():
    numbers = [its_test(module).__name__.split("_")[1] for module in MODULES]
    assert numbers == [f"{number:02}" for number in range(1, 21)]
    assert all(module.MUTATIONS for module in MODULES)


def test_the_page_names_every_failure_and_all_of_its_handling(root):
    page = (root / "docs" / "failures.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d\d) \| ([^|]*) \|[^|]*\| ([^|]*) \|$", page, re.MULTILINE)
    told = {
        f"test_{number}_{name.replace(' ', '_')}": set(re.findall("`(.*?)`", rest))
        for number, name, rest in rows
    }
    assert told == {
        its_test(module).__name__: {".".join(one.handling.split(".")[-2:]) for one in module.MUTATIONS}
        for module in MODULES
    }


@pytest.mark.heavy
@pytest.mark.parametrize(("failure", "mutant"), CASES)
def test_without_its_handling_the_failure_is_seen(failure, mutant, record_property):
    with mutant.plant(), pytest.raises(AssertionError) as caught:
        failure()
    text = str(caught.value)
    assert re.search(mutant.caught, text), f"it failed, but not for what was taken out: {text}"
    name = failure.__name__.removeprefix("test_").replace("_", " ")
    told = text.splitlines()[0]
    record_property("figure", f"failure {name}: {mutant.handling} ({mutant.becomes}): caught, {told}")

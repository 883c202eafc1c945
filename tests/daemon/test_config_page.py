"""docs/configuration.md has every setting as the code has it, and names none that there is not."""

from __future__ import annotations

import importlib
import re
import shlex
import tomllib
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest

from daemon.config import Config, FeedConfig, LineConfig, StrategyConfig, VenueConfig, from_tree
from daemon.config_show import _value
from daemon.explain import below
from daemon.venues.ccxt_exchanges import ExchangeForm
from strategies.base import SHIPPED

#: the heading of a table of settings -> what they are read into, and what of it has a table of its own
SECTIONS: dict[str, tuple[Any, Any]] = {
    "Above the sections": (Config, msgspec.Struct),
    "`[feed]` and `[venue]`: the line": (LineConfig, msgspec.Struct),
    "`[feed]`": (FeedConfig, LineConfig),
    "`[venue]`": (VenueConfig, LineConfig),
    "`[venue.form]`": (ExchangeForm, msgspec.Struct),
    "`[[strategy]]`": (StrategyConfig, msgspec.Struct),
} | {
    f"`[{name}]`": (kind, msgspec.Struct)
    for name, kind in get_type_hints(Config).items()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and name not in {"feed", "venue"}
}
PLAIN: dict[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    Decimal: "decimal",
    Any: "anything",
}
HEAD = "| key | what it can be | left out | what it does |\n|---|---|---|---|\n"


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "configuration.md").read_text(encoding="utf-8")


def words(kind):
    """Say what a value of a type can be, as the page does."""
    if get_origin(kind) is Annotated:
        bare, *metas = get_args(kind)
        return words(bare) + "".join(bounds(one) for one in metas if bare in {int, float})
    if get_origin(kind) is Literal:
        return ", ".join(f"`{_value(one)}`" for one in get_args(kind))
    if get_origin(kind) is tuple:
        return f"list of {words(get_args(kind)[0])}"
    if get_origin(kind) is dict:
        return f"table of {words(get_args(kind)[1])}"
    return PLAIN[kind]


def bounds(meta):
    low = meta.ge if meta.ge is not None else meta.gt
    low = f"{'above ' if meta.gt is not None else ''}{low:g}" if abs(low) < 1e5 else str(low)
    high = meta.le if meta.le is not None else meta.lt
    if high is None:
        return f", {low} or more"
    high = (str(high) if isinstance(high, int) else f"{high:g}").replace("e+", "e")
    return f", {low} to {'below ' if meta.lt is not None else ''}{high}"


def left_out(field):
    if field.default is not msgspec.NODEFAULT:
        return f"`{_value(field.default)}`"
    if field.default_factory is not msgspec.NODEFAULT:
        return f"`{_value(field.default_factory())}`"
    return "must be there"


def settings(kind, above):
    """Return name -> (what it can be, what it is where it is left out), without sections."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        field.name: (words(hints[field.name]), left_out(field))
        for field in msgspec.structs.fields(kind)
        if field.name not in above.__struct_fields__ and not below_it(hints[field.name])
    }


def below_it(kind):
    """Whether a value of a type is a section, or a list of them."""
    inner = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    inner = get_args(inner)[0] if get_origin(inner) is tuple else inner
    return isinstance(inner, type) and issubclass(inner, msgspec.Struct)


def table(text):
    rows = [
        [cell.strip() for cell in row.strip("| ").split(" | ")]
        for row in text.partition(HEAD)[2].partition("\n\n")[0].splitlines()
    ]
    assert all(len(row) == 4 and row[3] for row in rows), rows
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0].strip("`"): (row[1], row[2]) for row in rows}


def test_every_setting_is_on_the_page_with_what_it_can_be_and_its_default_and_no_other(page):
    parts = {part.partition("\n")[0]: part for part in re.split(r"^##+ ", page, flags=re.MULTILINE)[1:]}
    told = {heading: table(part) for heading, part in parts.items() if HEAD in part}
    assert told == {heading: settings(*kinds) for heading, kinds in SECTIONS.items()}
    assert page.count(HEAD) == len(SECTIONS)


def test_the_sections_of_the_test_are_all_there_are():
    nested = {name for name, kind in get_type_hints(VenueConfig).items() if below_it(kind)}
    assert nested == {"form"}
    for kind in [kinds[0] for heading, kinds in SECTIONS.items() if heading != "Above the sections"]:
        sections = {name for name, hint in get_type_hints(kind).items() if below_it(hint)}
        assert sections == (nested if kind is VenueConfig else set())


def test_no_page_names_a_setting_that_there_is_not(root):
    names = "|".join(Config.__struct_fields__)
    for path in (root / "README.md", *sorted((root / "docs").glob("*.md"))):
        text = path.read_text(encoding="utf-8")
        named = re.findall(rf"`((?:{names})(?:\.[a-z_]+)+)(?: = [^`]*)?`", text)
        for keys in (one.split(".") for one in named if not one.endswith(".md")):
            if keys[0] == "strategy":
                keys.insert(1, "0")
            kind: Any = Config
            for key in keys:
                kind = below(kind, key)
            assert kind is not None, f"{path.name}: {'.'.join(keys)}"


def test_the_numbers_of_the_shipped_strategies_are_there_with_their_defaults(page):
    part = page.partition("### The shipped strategies' numbers")[2].partition("\n## ")[0]
    rows = [row.split(" | ") for row in part.splitlines() if row.startswith("| `")]
    told: dict[str, dict[str, float]] = {}
    for name, key, default, _ in rows:
        told.setdefault(name.strip("| `"), {})[key.strip("`")] = float(default)
    assert told == {name: importlib.import_module(f"strategies.{name}").PARAMS for name in SHIPPED}


def test_the_page_s_first_file_loads_and_its_overrides_are_taken(page):
    block = page.partition("    name = ")[2].partition("\n\nThe file")[0]
    tree = tomllib.loads("name = " + block.replace("\n    ", "\n"))
    lines = [shlex.split(line) for line in page.splitlines() if line.startswith("    TICKD__")]
    environ = dict(line[0].split("=", 1) for line in lines)
    assert len(environ) == len(lines) == 4
    from_tree(tree, {}, "page")
    config = from_tree(tree, environ, "page")
    assert (config.feed.stale_ms, config.feed.symbols) == (3000, ("BTC/USDT",))
    assert (config.risk.daily_loss_max, config.strategy[0].params) == (50.0, {"qty": 0.002})

"""What msgspec refuses, in the words of who wrote it: the key, what it can be, the nearest valid one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec

from daemon.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

#: of more the nearest alone is told
_CHOICES_TOLD: Final = 8


def explain(message: str, root: Any, whole: str) -> str:
    """Turn msgspec's "... - at `$.feed.ring`" into a sentence; `whole` is what is read as the type `root`."""
    text, _, where = message.partition(" - at `$")
    where = where.rstrip("`").lstrip(".")
    keys = keys_of(message)
    if match := re.match(r"Object contains unknown field `(.*)`", text):
        return f"{where or whole} has no key {match[1]!r}{nearest(match[1], names_at(root, keys))}"
    if match := re.match(r"Object missing required field `(.*)`", text):
        return f"{where or whole} lacks the key {match[1]!r}"
    if match := re.match(r"Invalid enum value '(.*)'", text):
        choices = list(filter(None, _choices_at(root, keys)))
        near = nearest(match[1], choices) if len(choices) > _CHOICES_TOLD else ""
        return f"{where} is {match[1]!r}{near or ', and can be ' + ' or '.join(choices)}"
    if text.startswith("Expected `str` matching regex") and (form := _form_at(root, keys)):
        return f"{where} must be {form}"
    return f"{where or whole}: {text[0].lower()}{text[1:]}".replace("`", "")


def keys_of(message: str) -> list[str]:
    """Return the keys of the value that msgspec speaks of."""
    where = message.partition(" - at `$")[2].rstrip("`")
    return [part for part in re.split(r"[.\[\]]+", where) if part]


def below(kind: Any, key: str) -> Any:
    """Return the type one step down, or None where there is no such key."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return get_type_hints(kind, include_extras=True).get(key)
    if get_origin(kind) in {dict, tuple}:
        return get_args(kind)[1 if get_origin(kind) is dict else 0]
    return None


def names_at(root: Any, keys: Iterable[str]) -> tuple[str, ...]:
    """Return the keys that the struct at `keys` has; none where there is no struct."""
    kind = _type_at(root, keys)
    known = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    return kind.__struct_fields__ if known else ()


def _type_at(root: Any, keys: Iterable[str]) -> Any:
    kind: Any = root
    for key in keys:
        kind = below(kind, key)
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind


def _choices_at(root: Any, keys: Iterable[str]) -> tuple[str, ...]:
    kind = _type_at(root, keys)
    return get_args(kind) if get_origin(kind) is Literal else ()


def _form_at(root: Any, keys: Iterable[str]) -> str:
    """Return what a text must look like, as its type's description has it; empty where it has none."""
    kind: Any = root
    for key in keys:
        kind = below(kind, key)
    metas = (one for one in get_args(kind)[1:] if isinstance(one, msgspec.Meta))
    return next((one.description for one in metas if one.description), "")

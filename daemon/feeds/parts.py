"""Cutting what is asked for into pieces that an exchange takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_Item = TypeVar("_Item")


def parts_of(items: Iterable[_Item], size_of: Callable[[_Item], int], size_max: int) -> list[list[_Item]]:
    """Return the items in order, in parts of at most `size_max`; what is larger by itself is a part alone."""
    parts: list[list[_Item]] = []
    room = 0
    for item in items:
        size = size_of(item)
        if not parts or size > room:
            parts.append([])
            room = size_max
        parts[-1].append(item)
        room -= size
    return parts

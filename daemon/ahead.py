"""Lets a thread make what is wanted next, while what it made before is worked on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

T = TypeVar("T")


def ahead(items: Generator[T, None, None]) -> Generator[T, None, None]:
    """Yield what a generator does, always one made ahead: worth it where making lets go of the interpreter.

    An exception comes where its item would. The generator is closed with this one.
    """
    with ThreadPoolExecutor(1, "tickd-ahead") as thread:
        try:
            coming = thread.submit(_next, items)
            while made := coming.result():
                coming = thread.submit(_next, items)
                yield made[0]
        finally:
            thread.submit(items.close).result()


def _next(items: Generator[T, None, None]) -> tuple[T] | None:
    """Return the next, if there is one: no thread's result may be StopIteration."""
    for item in items:
        return (item,)
    return None

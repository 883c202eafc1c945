"""What a sweep varies: the values of each name, and the points that they make.

    qty=0.001:0.005:0.001     from, to (both inclusive) and step, exact decimals
    qty=0.001,0.01            these values

Points are numbered as a grid is written out: the last name changes fastest. None is made before it is asked
for, so a grid may be as large as one likes.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from math import prod
from typing import TYPE_CHECKING, Final, NamedTuple

from daemon.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: values of one name: more can only be a slip of the step
VALUES_MAX: Final = 100_000
#: the text of each name's value
Point = dict[str, str]


class Axis(NamedTuple):
    """One name and its values, as text."""

    name: str
    values: tuple[str, ...]
    numbers: tuple[float, ...] | None  # of the values; None: not all are

    @property
    def ordered(self) -> bool:
        """Whether it is numbers from small to large, between which a search may look for more."""
        return self.numbers is not None and list(self.numbers) == sorted(self.numbers)


def parse_axis(text: str, option: str, *, numbers: bool) -> Axis:
    """Return what NAME=A:B:STEP or NAME=a,b,c says; raises UsageError. numbers: nothing else is taken."""
    name, mark, said = text.partition("=")
    name = name.strip()
    if not (name and mark and said.strip()):
        raise UsageError(f"{option} {text!r} is no range such as {_like(numbers)}")
    whole = f"{option} {text}"
    parts = [one.strip() for one in said.split(":")]
    if len(parts) == 3 and (numbers or all(_number(one) is not None for one in parts)):
        values = _steps(parts, whole)
    else:
        values = tuple(one.strip() for one in said.split(","))
    if "" in values:
        raise UsageError(f"{whole} has a value of nothing between its commas")
    found = [_number(one) for one in values]
    for value, number in zip(values, found, strict=True):
        if numbers and number is None:
            raise UsageError(f"{whole}: {value!r} is not a number; a range is such as {_like(numbers)}")
    known = tuple(float(one) for one in found if one is not None)
    told = known if len(known) == len(values) else None
    if len(set(values if told is None else told)) != len(values):
        raise UsageError(f"{whole} names a value twice")
    return Axis(name, values, told)


def check_names(axes: Sequence[Axis]) -> None:
    """Raise UsageError where a name is given twice, or none is."""
    if not axes:
        raise UsageError("a sweep varies something: name --param NAME=A:B:STEP or --set KEY=a,b,c")
    names = [one.name for one in axes]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{name} is given twice; write its values as one list")


def count(axes: Sequence[Axis]) -> int:
    """Return how many points there are."""
    return prod(len(one.values) for one in axes)


def point_at(axes: Sequence[Axis], number: int) -> Point:
    """Return a point of the grid by its number from 0 on."""
    places = []
    for one in reversed(axes):
        number, place = divmod(number, len(one.values))
        places.append(place)
    return {axis.name: axis.values[place] for axis, place in zip(axes, reversed(places), strict=True)}


def _steps(parts: Sequence[str], whole: str) -> tuple[str, ...]:
    numbers = [_number(one) for one in parts]
    for part, number in zip(parts, numbers, strict=True):
        if number is None:
            raise UsageError(f"{whole}: {part!r} is not a number")
    first, last, step = (one for one in numbers if one is not None)
    if step <= 0:
        raise UsageError(f"{whole}: the step must be above zero")
    if last < first:
        raise UsageError(f"{whole} is empty: it ends below where it begins")
    steps = int((last - first) / step)
    if steps >= VALUES_MAX:
        raise UsageError(f"{whole} has more than {VALUES_MAX:,} values; take larger steps")
    return tuple(f"{first + step * place:f}" for place in range(steps + 1))


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _like(numbers: bool) -> str:
    return "qty=0.001:0.005:0.001 or qty=0.001,0.01" if numbers else "paper.latency_in_us=0,1000,5000"

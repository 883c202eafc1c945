"""The first row in which what two runs sent and filled is not the same, in words and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np

from daemon.faces.journal_table import KINDS, SIDES, VERBS, iso

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from daemon.instruments import Instrument

_TIMES: Final = frozenset({"now_ns", "exch_ns", "told_ns"})
#: of a column of a row, what people call it
_NAMES: Final = {
    "now_ns": "time",
    "exch_ns": "time at the venue",
    "told_ns": "time",
    "key": "order",
    "ticks": "price",
    "lots": "quantity",
    "realised": "realised gain so far",
    "fees": "fees so far",
}


class Rows(NamedTuple):
    """What left for the venue, and what was filled."""

    sent: NDArray[np.void]  # SENT_ROW[n]
    fills: NDArray[np.void]  # FILL_ROW[n]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A difference between two runs; `one` and `other` are their values."""

    text: str  # all of it, as a sentence
    what: str  # request, fill, feature, decision, state, account, ...
    number: int = 0  # of the row, from 1
    order: int = 0
    time: str = ""
    time_ns: int = 0
    field: str = ""
    one: str = ""
    other: str = ""


def differing(one: NDArray[np.void], other: NDArray[np.void]) -> tuple[int, str] | None:
    """Return the number of the first row that is not the same to the last bit, and its first such column.

    Where one table goes on behind the other's end that is the row, and the column "". NaN is NaN, however it
    is written.
    """
    count = min(len(one), len(other))
    first, column = count, ""
    assert one.dtype.names is not None
    for name in one.dtype.names:
        mine, theirs = (np.ascontiguousarray(table[name][:count]) for table in (one, other))
        odd = mine.view(np.int64) != theirs.view(np.int64)
        if mine.dtype.kind == "f":
            odd &= ~(np.isnan(mine) & np.isnan(theirs))
        at = int(np.argmax(odd)) if odd.any() else count
        if at < first:
            first, column = at, name
    return None if first == len(one) == len(other) else (first, column)


def first_difference(one: Rows, other: Rows, whose: tuple[str, str], instrument: Instrument) -> Found | None:
    """Return the earliest difference of two runs, None: there is none; whose: how each is called."""
    found = []
    for what, mine, theirs, time in (
        ("request", one.sent, other.sent, "now_ns"),
        ("fill", one.fills, other.fills, "told_ns"),
    ):
        odd = differing(mine, theirs)
        if odd is not None:
            at, column = odd
            pair = [table[at] if at < len(table) else None for table in (mine, theirs)]
            when = min(int(row[time]) for row in pair if row is not None)
            found.append((when, what, at, column, pair))
    if not found:
        return None
    when, what, at, column, pair = min(found, key=lambda each: each[0])
    orders = [int(row["key"]) for row in pair if row is not None]
    said = ["nothing" if row is None else words(row, instrument) for row in pair]
    text = f"{what} {at + 1}, at {iso(when)}: {whose[0]} has {said[0]}, and {whose[1]} {said[1]}"
    values = ["", ""]
    if column:
        values = [value(row, column, instrument) for row in pair]
        named = _NAMES.get(column, column)
        text += f"; first, its {named} is {values[0]} in {whose[0]} and {values[1]} in {whose[1]}"
    return Found(
        text=text,
        what=what,
        number=at + 1,
        order=orders[0],
        time=iso(when),
        time_ns=when,
        field=column,
        one=values[0] or said[0],
        other=values[1] or said[1],
    )


def words(row: Any, instrument: Instrument) -> str:
    """Return a SENT_ROW or a FILL_ROW in words."""
    names = row.dtype.names
    what = VERBS[int(row["verb"])] if "verb" in names else "a fill of"
    parts = [what, f"order {int(row['key'])}"]
    parts += [value(row, name, instrument) for name in ("kind", "side", "lots")]
    parts += ["at", value(row, "ticks", instrument)]
    parts += ["on", value(row, "now_ns" if "verb" in names else "told_ns", instrument)]
    return " ".join(parts)


def value(row: Any, column: str, instrument: Instrument) -> str:
    """Return what stands in a row's column, as people read it."""
    one = row[column].item()
    if column in _TIMES:
        return iso(one)
    if column == "ticks":
        return instrument.price.text(one)
    if column == "lots":
        return instrument.qty.text(one)
    if column in {"verb", "kind", "side"}:
        return {"verb": VERBS, "kind": KINDS, "side": SIDES}[column].get(one, str(one))
    if column == "maker":
        return "resting" if one else "taking"
    return repr(one)

"""A decision that two runs do not make alike, in words: which feature it differs in, or what is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from daemon.faces.journal_table import KINDS, SIDES, iso
from daemon.research.difference import Found
from kernels.dtypes import O_KIND, O_LEVEL, O_PRICE, O_QTY, O_SIDE, OUT_COLUMNS, TARGET
from kernels.features import FEATURES

if TYPE_CHECKING:
    from daemon.research.witness import Decision

_NAMES = (*FEATURES, "prediction")


def decision_found(
    number: int, one: Decision | None, other: Decision | None, whose: tuple[str, str]
) -> Found:
    """Return what differs in a decision, given as both runs made it; None: the run had no such decision."""
    when_ns = min(each.now_ns for each in (one, other) if each is not None)
    head = f"decision {number:,}, at {iso(when_ns)}"
    what, field, values = "decision", "", ("none", "none")
    if one is None or other is None:
        values = (_known(one), _known(other))
        text = f"{head}: {whose[0]} has {values[0]}, and {whose[1]} {values[1]}"
    elif one.now_ns != other.now_ns:
        field, values = "time", (iso(one.now_ns), iso(other.now_ns))
        text = f"{head}: it is made at {values[0]} in {whose[0]} and at {values[1]} in {whose[1]}"
    elif (column := _first(one.row, other.row)) is not None:
        what, field = "feature", _NAMES[column]
        values = (repr(one.row[column]), repr(other.row[column]))
        text = f"{head}: feature {field} is {values[0]} in {whose[0]} and {values[1]} in {whose[1]}"
    elif one.wanted != other.wanted:
        field, values = "wanted", (words(one.wanted), words(other.wanted))
        text = f"{head}: {whose[0]} wants {values[0]}, and {whose[1]} {values[1]}"
    else:
        text = f"{head} differs between {whose[0]} and {whose[1]}, and differs again each time it is made"
        values = ("", "")
    return Found(
        text=text,
        what=what,
        number=number,
        time=iso(when_ns),
        time_ns=when_ns,
        field=field,
        one=values[0],
        other=values[1],
    )


def _known(one: Decision | None) -> str:
    return "no such decision" if one is None else words(one.wanted)


def words(wanted: bytes | None) -> str:
    """Return what a strategy wants, as kernels.dtypes has it in `out`."""
    if wanted is None:
        return "something that is not known any more"
    if wanted == b"-":
        return "no opinion"
    rows = np.frombuffer(wanted, np.float64).reshape(-1, OUT_COLUMNS).tolist()
    said = []
    for row in rows:
        kind, where = _named(KINDS, row[O_KIND], "kind"), f"{row[O_QTY]!r} at {row[O_PRICE]!r}"
        if row[O_KIND] == TARGET:
            said.append(f"{kind} {where}")
        else:
            side = _named(SIDES, row[O_SIDE], "side")
            said.append(f"{kind} {side} {where}, level {row[O_LEVEL]:g}")
    return "; ".join(said) or "nothing standing"


def _named(names: dict[int, str], value: float, what: str) -> str:
    return names.get(int(value), f"{what} {value:g}") if np.isfinite(value) else f"{what} {value:g}"


def _first(one: tuple[float, ...], other: tuple[float, ...]) -> int | None:
    if len(one) != len(other):  # of one run it is not known
        return None
    mine, theirs = np.array(one), np.array(other)
    odd = (mine.view(np.int64) != theirs.view(np.int64)) & ~(np.isnan(mine) & np.isnan(theirs))
    return int(np.argmax(odd)) if odd.any() else None

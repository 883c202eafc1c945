"""The first difference between a session and its replay, in words: event, order, feature and both values."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Final

import msgspec

from daemon.faces.journal_table import RowReader, iso
from daemon.feeds.taped import FEED
from daemon.orders.records import Checkpoint, Digest, Placed, RefusedAction, Run, unpack
from kernels.features import FEATURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.orders.records import Record
    from daemon.session.events import Event
    from daemon.session.player import Difference

_NAMES: Final = (*FEATURES, "prediction")
#: of a frame, what is shown
_FRAME_MAX: Final = 160


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A difference, for a person and for a program."""

    text: str  # all of it, as a sentence
    seq: int  # of the event on the tape
    stream: str
    event: str
    order: str = ""
    feature: str = ""  # or what else of a record differs
    session: str = ""  # its value
    replay: str = ""
    since: str = ""  # of what only a digest shows: the interval
    until: str = ""


def describe(difference: Difference, bodies: Sequence[bytes]) -> Found:
    """Put it into words; bodies: the session's records."""
    event, mismatch = difference.event, difference.mismatch
    where: dict[str, Any] = {"seq": event.entry.seq, "stream": event.entry.stream, "event": event_text(event)}
    head = f"at event {event.entry.seq} ({where['event']})"
    if mismatch is None:
        text = f"{head} {_unseen(difference)}"
        return Found(text=f"{text}; no record of it in the journal differs", **where)
    reader = RowReader()
    for body in bodies[: mismatch.place]:
        reader.row(unpack(body))
    theirs, ours = (None if body is None else unpack(body) for body in (mismatch.session, mismatch.replay))
    if isinstance(theirs, Digest) and isinstance(ours, Digest):
        return _digests(theirs, ours, bodies[: mismatch.place], head, where)
    says = [_words(reader, record) for record in (theirs, ours)]
    what, values = _first(theirs, ours)
    cause = f"; first, {what} is {values[0]} in the session and {values[1]} in the replay" if what else ""
    text = f"{head} the session recorded {says[0][0]}, and the replay {says[1][0]}{cause}"
    return Found(
        text=text,
        order=says[0][1] or says[1][1],
        feature=what,
        session=values[0] or says[0][0],
        replay=values[1] or says[1][0],
        **where,
    )


def event_text(event: Event) -> str:
    """Return what happened, and when."""
    entry = event.entry
    when = iso(entry.wire_ns)
    if event.name:
        arguments = ", ".join(str(one)[:_FRAME_MAX] for one in event.arguments)
        return (
            f"{event.name} {arguments}".rstrip() + f", {when}" if event.name != "begin" else f"begin, {when}"
        )
    if entry.stream.startswith(FEED):
        shown = repr(entry.payload[:_FRAME_MAX].decode(errors="replace"))[1:-1]  # one line, whatever it is
        return f"{entry.stream}, {when}, {shown}" + ("..." if len(entry.payload) > _FRAME_MAX else "")
    return f"{entry.stream}, {when}"


def _unseen(difference: Difference) -> str:
    raised = difference.event.raised
    if raised != difference.raised:
        return f"the session raised {raised or 'nothing'}, and the replay {difference.raised or 'nothing'}"
    more = difference.reads
    return f"the replay read {abs(more)} {'more' if more > 0 else 'fewer'} times and states than the session"


def _words(reader: RowReader, record: Record | None) -> tuple[str, str]:
    """Return a record in words, and the order that it is of."""
    if record is None:
        return "nothing", ""
    row = reader.row(record)
    if row is None:
        return "a digest", ""
    parts = (row.what, row.order, row.side, row.quantity, row.instrument, row.price and f"at {row.price}")
    said = " ".join(part for part in parts if part)
    return (f"{said} ({row.reason})" if row.reason else said), row.order


def _first(theirs: Record | None, ours: Record | None) -> tuple[str, tuple[str, str]]:
    """Return the first feature that differs, else the first field, and both values."""
    decided = (Placed, RefusedAction)
    if isinstance(theirs, decided) and isinstance(ours, decided):
        for name, one, other in zip(_NAMES, array("d", theirs.row), array("d", ours.row), strict=False):
            if one != other and not (one != one and other != other):  # noqa: PLR0124 - both NaN
                return f"feature {name}", (repr(one), repr(other))
    if type(theirs) is not type(ours) or theirs is None:
        return "", ("", "")
    for field in msgspec.structs.fields(theirs):
        one, other = getattr(theirs, field.name), getattr(ours, field.name)
        if one != other and not isinstance(theirs, Run):
            return field.name, (_short(one), _short(other))
    return "", ("", "")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _FRAME_MAX else text[:_FRAME_MAX] + "..."


def _digests(
    theirs: Digest, ours: Digest, before: Sequence[bytes], head: str, where: dict[str, Any]
) -> Found:
    names: list[str] = []
    since_ns = 0
    for body in before:
        record = unpack(body)
        if isinstance(record, Run):
            names = [f"{name} of {', '.join(symbols)}" for name, symbols in record.strategies]
        if isinstance(record, Digest | Checkpoint):
            since_ns = record.now_ns
    since, until = iso(since_ns), iso(theirs.now_ns)
    session, replay = ({index: rest for index, *rest in one.strategies} for one in (theirs, ours))
    differing = [
        index for index in sorted(session.keys() | replay.keys()) if session.get(index) != replay.get(index)
    ]
    if differing:
        first = differing[0]
        whose = f"the rows and decisions of strategy {names[first] if first < len(names) else first}"
        values = str(session.get(first)), str(replay.get(first))
    else:
        whose, values = "the steps that orders took", (str(theirs.steps_crc), str(ours.steps_crc))
    text = f"between {since} and {until} {whose} differ, though no order or refusal shows it; found {head}"
    return Found(text=text, session=values[0], replay=values[1], since=since, until=until, **where)

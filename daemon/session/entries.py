"""What the stream "core" of a session's tape holds, as bytes: the calls of doors, and what came of them.

An entry is msgpack: the door's name, and its arguments. "timer" names a timer of the core by the number
under which it was asked for. What follows an entry belongs to it: of the stream "reads" what the core read
of clocks meanwhile, and how many records the journal then had; "raised" an exception that came out of it;
"append_failed" a record that could not be journalled.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Final

import msgspec

from daemon.errors import DECODE_ERRORS, FileFormatError
from daemon.events import Command, ExecutionReport, Funding, VenueSnapshot, VenueStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.tape.reader import Entry

CORE: Final = "core"
READS: Final = "reads"
#: what follows the entry it belongs to
RAISED: Final = "raised"
APPEND_FAILED: Final = "append_failed"
#: of which nobody can know that a replay takes it at the same place
NESTED: Final = "nested"


class Begin(msgspec.Struct, frozen=True, kw_only=True):
    """What a session began with, beside its configuration and the journal before it."""

    run: int
    paper: bool
    venue: str
    can_amend: bool
    can_replace: bool
    memories: bytes | None  # the checkpoint of strategies' memories as it was read; None: there was none
    journals: dict[str, int]  # the sizes of those files of the journal that the start had read
    round_trips_ns: list[int] = []  # that a paper venue's waits are drawn from; none: they are fixed
    boot: tuple[str, int]  # of the machine: name and age in ns
    hashes: dict[str, dict[str, str]]  # by strategy: of each thing that its decisions depend on


#: the arguments of each door (daemon/doors.py) and of what else is noted
ARGUMENTS: Final[dict[str, tuple[Any, ...]]] = {
    "begin": (Begin,),
    "timer": (int,),
    "connect": (),
    "snapshot": (),
    "disconnect": (),
    "on_report": (ExecutionReport,),
    "on_funding": (Funding,),
    "on_alarm": (str, str, int),
    "on_venue_status": (VenueStatus,),
    "meet": (VenueSnapshot | None, int),
    "close_venue": (),
    "command": (Command,),
    "halt": (str, str),
    "journal_failed": (str,),
    "set_phase": (str,),
    "withdraw_unseen": (),
    "start": (),
    "stop": (),
    "trim_stops": (int,),
    "close": (),
    "second": (int,),
    "clock_stepped": (int,),
    "rotation": (),
    "settle_memory": (int,),
    "take_symbols": (list[tuple[int, str, str]],),
    RAISED: (str,),
    APPEND_FAILED: (int, int, str, bool),
    NESTED: (str,),
}

encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, list[Any]]).decode


def decode(payload: bytes) -> tuple[str, list[Any]]:
    """Return the door and its arguments; raises FileFormatError."""
    try:
        name, arguments = _decode(payload)
        kinds = ARGUMENTS[name]
        if len(kinds) != len(arguments):
            raise ValueError(f"{name} with {len(arguments)} arguments")
        return name, [msgspec.convert(one, kind) for one, kind in zip(arguments, kinds, strict=True)]
    except KeyError as error:
        raise FileFormatError(f"it holds a call of {error}, which this version does not know") from None
    except DECODE_ERRORS as error:
        raise FileFormatError(f"it holds a call that cannot be read: {error}") from None


def begin_of(entry: Entry) -> Begin | None:
    """Return how a session began, which the first entry of its tape says; raises FileFormatError."""
    name, arguments = decode(entry.payload) if entry.stream == CORE else ("", [])
    return None if entry.seq or name != "begin" else arguments[0]


def encode_reads(records: int, reads: Sequence[int]) -> bytes:
    """Return what follows an entry: how many records the journal then had, and what was read meanwhile."""
    return array("q", (records, *reads)).tobytes()


def decode_reads(payload: bytes) -> tuple[int, list[int]]:
    """Return both again; raises FileFormatError."""
    values = array("q")
    try:
        values.frombytes(payload)
    except ValueError as error:
        raise FileFormatError(f"it holds readings that cannot be read: {error}") from None
    if not values:
        raise FileFormatError("it holds readings of nothing")
    return values[0], values[1:].tolist()

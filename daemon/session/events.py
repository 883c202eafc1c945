"""The events of a session: each entry of its tape with what stands behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from daemon.session.entries import APPEND_FAILED, CORE, RAISED, READS, decode, decode_reads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from daemon.tape.reader import Entry


class Event(NamedTuple):
    """What the core was told, and what it read meanwhile."""

    entry: Entry
    name: str  # of the door; "" of what came from the market
    arguments: list[Any]
    reads: list[int]
    records: int = -1  # that the journal had by its end; -1: as many as before
    failures: tuple[tuple[int, int, str, bool], ...] = ()  # of appends
    raised: str = ""  # by what class of exception it ended


class Events:
    """Iterate it once. `lost_from`, by then: the seq from which the tape lacks entries, or -1."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = entries
        self.lost_from = -1
        self.closed = False  # the session's end stands on the tape

    def __iter__(self) -> Iterator[Event]:
        """Yield all that are whole; raises FileFormatError.

        Of a tape without an end the last is none of them: what stands behind it may be missing.
        """
        event: Event | None = None
        for seq, entry in enumerate(self._entries):
            if entry.seq != seq:
                self.lost_from = seq
                return
            name, arguments = decode(entry.payload) if entry.stream == CORE else ("", [])
            if event is None:
                event = Event(entry, name, arguments, [])
            elif entry.stream == READS:
                records, reads = decode_reads(entry.payload)
                event = event._replace(records=records, reads=reads)
            elif name == RAISED:
                event = event._replace(raised=arguments[0])
            elif name == APPEND_FAILED:
                event = event._replace(failures=(*event.failures, tuple(arguments)))
            else:
                yield event
                if event.name == "close":  # what comes behind it has no effect
                    self.closed = True
                    return
                event = Event(entry, name, arguments, [])
        if event is not None and event.name == "close":
            self.closed = True
            yield event

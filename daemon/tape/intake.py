"""Where entries wait between the loop that takes them and the worker that writes them: bounded in bytes.

Four appends to lists an entry: nothing is copied, and nothing is made that the garbage collector would look
at. The payload is kept, not its bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.tape.segment import Rows

if TYPE_CHECKING:
    from collections.abc import Callable

#: what an entry takes beside its payload: four places in lists, and two objects
ENTRY_BYTES: Final = 120


class Intake:
    """Takes entries until `bytes_max` wait; on_drop() is called for each that finds no room.

    take(stream, wire_ns, last, payload) is the hot path, a plain function.
    """

    def __init__(self, bytes_max: int, on_drop: Callable[[], None]) -> None:
        room = bytes_max
        rows = Rows(0, [], [], [], [])
        waiting: list[Rows] = []
        _, add_stream, add_time, add_last, add = _adders(rows)

        def take(stream: int, wire_ns: int, last: bool, payload: bytes) -> None:
            nonlocal room
            size = len(payload) + ENTRY_BYTES
            if size > room:
                skip()
                on_drop()
                return
            room -= size
            add_stream(stream)
            add_time(wire_ns)
            add_last(last)
            add(payload)

        def begin(first_seq: int) -> None:
            nonlocal rows, add_stream, add_time, add_last, add
            rows, add_stream, add_time, add_last, add = _adders(Rows(first_seq, [], [], [], []))

        def next_seq() -> int:
            return rows.first_seq + len(rows.payloads)

        def skip() -> None:
            if rows.payloads:
                waiting.append(rows)
            begin(next_seq() + 1)

        def swap() -> list[Rows]:
            nonlocal waiting
            if rows.payloads:
                waiting.append(rows)
                begin(next_seq())
            found, waiting = waiting, []
            return found

        def give_back(size: int) -> None:
            nonlocal room
            room += size

        def first_ns() -> int:
            oldest = waiting[0] if waiting else rows
            return oldest.wires_ns[0] if oldest.wires_ns else 0

        self.take = take
        #: () -> what the next entry's seq will be
        self.next_seq = next_seq
        #: () -> all that waits, consecutive entries together; it counts against the room until given back
        self.swap = swap
        #: (bytes as `size_of` has them): what left
        self.give_back = give_back
        #: () -> when the oldest that waits was received, 0 for none
        self.first_ns = first_ns


def size_of(rows: Rows) -> int:
    """Return what entries take of the room."""
    return sum(map(len, rows.payloads)) + ENTRY_BYTES * len(rows.payloads)


def _adders(
    rows: Rows,
) -> tuple[
    Rows,
    Callable[[int], None],
    Callable[[int], None],
    Callable[[bool], None],
    Callable[[bytes], None],
]:
    return rows, rows.streams.append, rows.wires_ns.append, rows.lasts.append, rows.payloads.append

"""What a session's tape tells of its feed: the connections that were cut, and how long each was silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from daemon.feeds.taped import CUT, FEED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.tape.reader import Batch

#: so many of the earliest are kept; all are counted
KEPT_MAX: Final = 1_000


class Gap(NamedTuple):
    """A time in which a connection brought nothing: from its last frame, or its cut, to its next frame."""

    connection: int
    begin_ns: int
    end_ns: int  # 0: nothing came any more
    cut: bool  # whether it was cut; else it was silent


class Gaps(NamedTuple):
    """What was found of a tape."""

    frames: int
    total: int
    kept: list[Gap]  # by their ends


def find_gaps(batches: Iterable[Batch], silent_ns: int, *, closed: bool) -> Gaps:
    """Return the cuts of connections, and their silences longer than `silent_ns`; raises FileFormatError.

    What a connection kept silent at the tape's end is none: nobody knows that it was to go on. Nor is the cut
    by which a session that ended in order (`closed`) took leave: one within `silent_ns` of its end.
    """
    last_ns: dict[int, int] = {}
    cut_ns: dict[int, int] = {}
    kept: list[Gap] = []
    frames = total = newest_ns = 0
    for batch in batches:
        newest_ns = max(newest_ns, *batch.wires_ns)
        for stream, ns in zip(batch.streams, batch.wires_ns, strict=True):
            if stream.startswith(CUT):
                cut_ns.setdefault(int(stream.removeprefix(CUT)), ns)
                continue
            if not stream.startswith(FEED):
                continue
            frames += 1
            number = int(stream.removeprefix(FEED))
            was_cut = cut_ns.pop(number, None)
            begin_ns = last_ns.get(number, ns) if was_cut is None else was_cut
            last_ns[number] = ns
            if was_cut is not None or ns - begin_ns > silent_ns:
                total += 1
                if len(kept) < KEPT_MAX:
                    kept.append(Gap(number, begin_ns, ns, cut=was_cut is not None))
    for number, begin_ns in cut_ns.items():
        if closed and newest_ns - begin_ns <= silent_ns:
            continue
        total += 1
        if len(kept) < KEPT_MAX:
            kept.append(Gap(number, begin_ns, 0, cut=True))
    return Gaps(frames, total, kept)

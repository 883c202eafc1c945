"""The exchange's clock, estimated: requests carry its time, a second ahead is refused. Sans-IO."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: measurements kept; the one with the shortest round trip counts, since its error is at most half of that
_KEPT: Final = 8


class ServerClock:
    """Offset of the exchange's clock against ours."""

    def __init__(self, on_move: Callable[[int], object] = bool) -> None:
        """`on_move` is told by how many ms `time_ms` has just jumped."""
        self._on_move = on_move
        self.offset_ns = 0
        self.round_trip_ns = 0  # of the measurement that counts; 0: none yet
        self._measured: deque[tuple[int, int]] = deque(maxlen=_KEPT)

    def measure(self, sent_ns: int, server_ns: int, received_ns: int) -> None:
        """Take one answer of the exchange's clock, asked at `sent_ns` and heard at `received_ns`."""
        round_trip_ns = received_ns - sent_ns
        if round_trip_ns < 0:
            return  # our own clock was stepped in between
        self._measured.append((round_trip_ns, server_ns - (sent_ns + received_ns) // 2))
        before_ms = self.offset_ns // 1_000_000
        self.round_trip_ns, self.offset_ns = min(self._measured)
        self._on_move(self.offset_ns // 1_000_000 - before_ms)

    def forget(self) -> None:
        """Distrust earlier measurements: one of the two clocks was stepped."""
        self._measured.clear()

    def clock_stepped(self, step_ns: int) -> None:
        """Go on telling the same time, though our own clock was set anew by so much."""
        self.offset_ns -= step_ns
        self._measured = deque(((trip, offset - step_ns) for trip, offset in self._measured), maxlen=_KEPT)

    def time_ms(self, now_ns: int) -> int:
        """Return the exchange's time in ms at our time `now_ns`."""
        return (now_ns + self.offset_ns) // 1_000_000

"""What decoders have in common whose exchange brings whole books in its streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.events import Snapshot


class StreamedDecoder:
    """A decoder (feeds.base) of streams that no kernel reads; times in numbers are milliseconds."""

    key_size = 0
    time_unit_ns = 1_000_000
    sequence: Callable[[bytes], int] | None = None

    def __init__(self) -> None:
        self.keys: dict[bytes, tuple[int, int]] = {}
        self.fields: dict[int, dict[str, tuple[int, int]]] = {}

    def snapshot(self, instrument: int, payload: bytes, wire_ns: int) -> Snapshot:
        """Refuse what nobody asked for."""
        raise FrameError(
            "stream",
            f"a book of instrument {instrument} at {wire_ns} that no request was for: {payload[:80]!r}",
        )

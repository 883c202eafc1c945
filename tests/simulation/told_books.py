"""What a process was told of each book: by that alone it is judged whether it could know it whole."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import msgspec

if TYPE_CHECKING:
    from daemon.seams import Response


class _Update(msgspec.Struct, rename={"symbol": "s", "first": "U", "last": "u", "before": "pu"}):
    symbol: str
    first: int
    last: int
    before: int | None = None  # of futures: the last of the update before


class _Frame(msgspec.Struct):
    data: _Update


class _Snapshot(msgspec.Struct, rename="camel"):
    last_update_id: int


class ToldBooks:
    """The books of one process, as far as update ids tell."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._lacks: dict[str, int] = {}  # symbol -> up to which id a snapshot must tell

    def take(self, frame: bytes) -> None:
        """Take a market frame that it was given."""
        if b"@depth" not in frame[:64]:
            return
        update = msgspec.json.decode(frame, type=_Frame).data
        last = self._last.get(update.symbol)
        if last is not None and update.last <= last:
            return  # a snapshot told it, or the connection that takes another's place
        before = update.first - 1 if update.before is None else update.before
        if last is None or before > last:
            self._lacks[update.symbol] = before
        self._last[update.symbol] = update.last

    def take_answer(self, target: str, response: Response) -> None:
        """Take an answer that it was given: a snapshot ends what was lacking, if it is not from before."""
        parts = urlsplit(target)
        if response.status != 200 or not parts.path.endswith("/depth"):
            return
        symbol = parse_qs(parts.query)["symbol"][0]
        last = msgspec.json.decode(response.body, type=_Snapshot).last_update_id
        if last >= self._lacks.get(symbol, 0):
            self._lacks.pop(symbol, None)
            self._last[symbol] = max(last, self._last.get(symbol, 0))

    def whole(self, symbol: str) -> bool:
        """Whether nothing of a book is lacking."""
        return symbol in self._last and symbol not in self._lacks

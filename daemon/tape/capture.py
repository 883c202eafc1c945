"""Reading captures: gzip files of raw frames, one a line, `local_ns json`.

`local_ns` is the recorder's receive time in nanoseconds UTC. Market frames keep the exchange's combined form
({"stream": .., "data": ..}); a line without a stream is the REST depth snapshot of the file's one instrument.
Captures come from Binance Spot, USD-M and COIN-M. The instrument's rules (tick and lot size) are not in the
file and are inferred from the decimals that its snapshot and first frames show.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from io import SEEK_END
from math import inf
from typing import TYPE_CHECKING, Final, overload

import msgspec
import numpy as np

from daemon.ahead import ahead
from daemon.errors import DECODE_ERRORS, FileFormatError, unread
from daemon.instruments import Instrument, Market, make_instrument, unify
from kernels import frames

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

_CHUNK_BYTES: Final = 1 << 18
_GZIP: Final = zlib.MAX_WBITS | 16
#: frames looked at when the rules are inferred; the snapshot alone shows thousands of prices
_SCAN_FRAMES: Final = 2_000
#: a line longer than this is no frame of an exchange (a 5,000-level snapshot weighs 0.4 MB)
_LINE_BYTES_MAX: Final = 4 << 20


class _Header(msgspec.Struct):
    stream: str = ""


class _Levels(msgspec.Struct):
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []
    b: list[tuple[str, str]] | str = ""
    a: list[tuple[str, str]] | str = ""
    p: str = ""
    q: str = ""
    pu: int = -1
    symbol: str = msgspec.field(default="", name="s")


class _Body(msgspec.Struct):
    data: _Levels = msgspec.field(default_factory=_Levels)


class Lines(Sequence[bytes]):
    """The frames of consecutive lines of a capture, each cut out of their text when somebody asks for it."""

    def __init__(self, text: bytes, starts: Ints, ends: Ints, wires_ns: Ints, read_bytes: int) -> None:
        """Take where each frame lies in the text, and when it came.

        read_bytes: of the file, this text's included.
        """
        self.text, self.starts, self.ends, self.wires_ns = text, starts, ends, wires_ns
        self.read_bytes = read_bytes

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> Lines: ...
    def __getitem__(self, at: int | slice) -> bytes | Lines:
        if isinstance(at, slice):
            return Lines(self.text, self.starts[at], self.ends[at], self.wires_ns[at], self.read_bytes)
        return self.text[self.starts.item(at) : self.ends.item(at)]

    def __iter__(self) -> Iterator[bytes]:
        text = self.text
        return (text[start:end] for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True))


def read_frames(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (receive time in ns UTC, frame) for every line of a capture, in file order.

    Raises FileFormatError as `read_lines` does.
    """
    for lines in read_lines(path):
        yield from zip(lines.wires_ns.tolist(), lines, strict=True)


def read_lines(path: Path) -> Iterator[Lines]:
    """Yield all lines of a capture, many at a time, while a thread reads and inflates what follows.

    Raises FileFormatError for an empty, truncated or foreign file and for a line that is no `local_ns json`
    or has an absurd time, naming the line. Lines before it have been yielded by then.
    """
    number = 0
    for text, read_bytes in ahead(_read_chunks(path)):
        count = text.count(b"\n") + 1
        starts, ends, wire_ns = np.empty((3, count), np.int64)
        whole, fault = frames.split(text, starts, ends, wire_ns)
        if whole:
            yield Lines(text, starts[:whole], ends[:whole], wire_ns[:whole], read_bytes)
        number += whole
        if fault == frames.NO_TIME:
            raise _no_time(path, number + 1, text.split(b"\n", whole + 1)[whole].partition(b" ")[0])
        if whole < count:
            raise _no_frame(path, number + 1)
    if number == 0:
        raise FileFormatError(f"{path} holds no frames: name another file")


def _no_frame(path: Path, number: int) -> FileFormatError:
    """Return the refusal of a line."""
    return FileFormatError(
        f"{path} line {number} is no frame (`local_ns json` is expected): cut it out, or name another file"
    )


def _no_time(path: Path, number: int, stamp: bytes) -> FileFormatError:
    """Return the refusal of a line's stamp."""
    return FileFormatError(
        f"{path} line {number} is stamped {stamp[:24].decode()}, which is no time before 2100"
        " in nanoseconds UTC: cut it out, or name another file"
    )


def _read_chunks(path: Path) -> Generator[tuple[bytes, int], None, None]:
    """Yield a gzip (or plain) file in chunks of whole lines, the last newline of each left out.

    With each comes how many bytes of the file were read. Raises FileFormatError as `read_lines` does.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise FileFormatError(f"{path} {unread(error)}") from None
    with file:
        size = file.seek(0, SEEK_END)
        file.seek(0)
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        inflate = zlib.decompressobj(_GZIP)
        tail = b""
        while chunk := file.read(_CHUNK_BYTES):
            data = chunk
            if packed:
                try:
                    data = inflate.decompress(chunk)
                    # a gzip file may be several members, one after the other
                    while inflate.eof and inflate.unused_data:
                        rest = inflate.unused_data
                        inflate = zlib.decompressobj(_GZIP)
                        data += inflate.decompress(rest)
                except zlib.error as error:
                    raise FileFormatError(
                        f"{path} is damaged gzip near byte {file.tell()} ({error})"
                    ) from None
            data = tail + data
            end = data.rfind(b"\n")
            tail = data[end + 1 :]
            if len(tail) > _LINE_BYTES_MAX:
                raise FileFormatError(f"{path} has a line over {_LINE_BYTES_MAX} bytes; it is no capture")
            if end >= 0:
                yield data[:end], file.tell()
        if file.tell() > size:
            raise FileFormatError(
                f"{path} grew while it was read ({size:,} to {file.tell():,} bytes): read it when it is whole"
            )
        if packed and not inflate.eof:
            raise FileFormatError(f"{path} is a truncated gzip: it ends at byte {file.tell()}; copy it again")
        if tail:
            yield tail, file.tell()


def capture_instrument(path: Path, index: int = 0, scanned: int = _SCAN_FRAMES) -> Instrument:
    """Return the capture's one instrument, its rules inferred from the decimals its first frames show.

    A power-of-ten grid as fine as the finest price seen holds every price of the true grid, so an inferred
    tick of 0.1 for a true 0.5 loses nothing but the rounding of our own quotes.
    """
    header = msgspec.json.Decoder(_Header)
    body = msgspec.json.Decoder(_Body)
    bare = msgspec.json.Decoder(_Levels)
    symbol, market = "", "spot"
    price_places = qty_places = 0
    for number, (_, payload) in enumerate(read_frames(path)):
        try:
            stream = header.decode(payload).stream
            levels = body.decode(payload).data if stream else bare.decode(payload)
        except DECODE_ERRORS:
            continue  # the decoder of the feed counts it; the rules come from the others
        if stream:
            symbol = symbol or stream.partition("@")[0]
            if not stream.startswith(symbol + "@"):
                continue  # a capture is of one instrument: the first that it names
        if levels.pu >= 0:
            market = "coinm" if symbol.endswith("_perp") else "usdm"
        pairs = [*levels.bids, *levels.asks, *_pairs(levels.b), *_pairs(levels.a)]
        if levels.p and levels.q:
            pairs.append((levels.p, levels.q))
        for price, qty in pairs:
            price_places = max(price_places, _places(price))
            qty_places = max(qty_places, _places(qty))
        if number >= scanned:
            break
    if not symbol:
        raise FileFormatError(f"{path} names no stream, so its symbol is unknown")
    found: Market = "usdm" if market == "usdm" else "coinm" if market == "coinm" else "spot"
    lot = _step(qty_places)
    return make_instrument(
        index,
        "binance",
        found,
        unify(symbol, found),
        tick_size=_step(price_places),
        lot_size=lot,
        qty_min=lot,
        qty_max="9000",
        notional_min="5",
    )


def capture_price(path: Path) -> float:
    """Return the first price a capture shows, by which an order's size can be chosen."""
    body = msgspec.json.Decoder(_Body)
    for _, payload in read_frames(path):
        try:
            levels = body.decode(payload).data
            price = float(levels.p or (levels.a if isinstance(levels.a, str) else "") or "nan")
        except DECODE_ERRORS:
            continue
        if 0 < price < inf:
            return price
    raise FileFormatError(f"{path} shows neither a trade nor a quote")


def _pairs(levels: list[tuple[str, str]] | str) -> list[tuple[str, str]]:
    """Return the levels of a depth update, or a quote's one price."""
    if isinstance(levels, str):
        return [(levels, "0")] if levels else []
    return levels


def _places(text: str) -> int:
    """Return how many decimals a number shows, trailing zeros aside."""
    _, _, decimals = text.partition(".")
    return len(decimals.rstrip("0"))


def _step(places: int) -> str:
    """Return 10**-places as text."""
    return "1" if places == 0 else "0." + "0" * (places - 1) + "1"

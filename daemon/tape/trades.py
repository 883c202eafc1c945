"""The trades of one instrument in a capture, a tape or typed ticks, in arrays of whole numbers.

Frames go by their exchange's own decoder. Floats become counts of the instrument's steps where they are
exactly what a decoder makes of that many, and are refused otherwise.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import numpy as np

from daemon.errors import ConfigError, FileFormatError, FrameError, UsageError
from daemon.events import Tick
from daemon.feeds.exchanges import find_exchange
from daemon.feeds.sync import TradeNames
from daemon.feeds.taped import FEED
from daemon.instruments import Scale, make_instrument
from daemon.tape.capture import capture_instrument, read_frames
from kernels.columns import T_A, T_B, T_EXCH_NS, T_ID, T_KIND, T_SIDE, T_WIRE_NS
from kernels.dtypes import TRADE

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from daemon.feeds.base import Decoder, TradeIds
    from daemon.instruments import Instrument, Market

    Ints = NDArray[np.int64]

#: trades that are in memory at once
_BATCH: Final = 16_384


class Told(NamedTuple):
    """Trades as a source tells them, int64[n] each."""

    wire_ns: Ints
    exch_ns: Ints  # 0: the exchange stamps none
    prices: Ints  # ticks
    lots: Ints
    sides: Ints  # the taker's: 1 bought, -1 sold, 0 not known
    ids: Ints  # -1: it has none


class TradeSource(NamedTuple):
    """What holds trades of an instrument."""

    instrument: Instrument
    trade_ids: TradeIds
    received: bool  # it knows when each was received
    #: counts the frames that are refused, by reason; raises FileFormatError
    read: Callable[[Counter[str]], Iterator[Told]]


def open_trades(path: Path, symbol: str = "") -> TradeSource:
    """Return what is at a path; raises FileFormatError, and UsageError where it does not hold `symbol`.

    symbol: which instrument's, where a tape has several.
    """
    from daemon.tape.convert import is_ticks  # noqa: PLC0415 - Arrow, for who reads more than a capture
    from daemon.tape.manifest import SUFFIX  # noqa: PLC0415

    if is_ticks(path):
        source = _ticks(path)
    elif path.is_dir() or path.suffix == SUFFIX:
        return _tape(path, symbol)
    else:
        source = read_capture(path, capture_instrument(path))
    if symbol and symbol != source.instrument.symbol:
        raise UsageError(f"{path} holds {source.instrument.symbol}, not {symbol}: name another file")
    return source


class Admission:
    """Which trades are news by their ids, and how many are missing between them."""

    def __init__(self, rule: TradeIds) -> None:
        self.repeated = self.missed = 0
        self._contiguous = rule == "contiguous"
        self._names = TradeNames() if rule == "names" else None
        self._newest = -1

    def admit(self, ids: Ints) -> NDArray[np.bool_]:
        """Return which of these are news; those without an id are."""
        if self._names is not None:
            news = np.array([one < 0 or self._names.admit(one) for one in ids.tolist()], np.bool_)
        else:
            before = np.maximum.accumulate(np.concatenate(([self._newest], ids)))
            news = (ids > before[:-1]) | (ids < 0)
            if self._contiguous:
                kept = np.concatenate(([self._newest], ids[news & (ids >= 0)]))
                self.missed += int(np.sum(np.diff(kept[kept >= 0]) - 1))
            self._newest = int(before[-1])
        self.repeated += int(np.count_nonzero(~news))
        return news


# --- captures -----------------------------------------------------------------------------------------------
def read_capture(path: Path, instrument: Instrument) -> TradeSource:
    """Return the trades of a capture of an instrument."""
    decoder = find_exchange(instrument.exchange, instrument.market).decoder([instrument])
    frames = partial(_capture_frames, path)
    return TradeSource(instrument, decoder.trade_ids, True, partial(_decoded, frames, decoder, instrument))


def _capture_frames(path: Path) -> Iterator[tuple[int, bytes]]:
    return ((wire_ns, payload) for wire_ns, payload in read_frames(path) if b"@trade" in payload[:96])


# --- tapes --------------------------------------------------------------------------------------------------
def _tape(path: Path, symbol: str) -> TradeSource:
    from daemon.tape.reader import read_tape  # noqa: PLC0415 - as above

    tape = read_tape(path)
    header = tape.header
    known = {one.symbol: one for one in header.instruments}
    if not symbol and len(known) == 1:
        (symbol,) = known
    if symbol not in known:
        asked = f"no {symbol}: name one of them" if symbol else "several instruments: name one"
        raise UsageError(f"{path} holds {', '.join(known)}, {asked} (--symbol)")
    instrument = known[symbol]
    if "trade" not in header.streams:
        raise FileFormatError(f"{path} holds {', '.join(header.streams)} and no trades: name another tape")
    decoder = find_exchange(header.exchange, cast("Market", header.market)).decoder(header.instruments)

    def frames() -> Iterator[tuple[int, bytes]]:
        size, keys, mine = decoder.key_size, decoder.keys, (instrument.index, TRADE)
        for batch in tape.batches():
            for wire_ns, stream, payload in zip(batch.wires_ns, batch.streams, batch.payloads, strict=True):
                if stream.startswith(FEED) and keys.get(payload[:size], mine) == mine:
                    yield wire_ns, payload

    return TradeSource(instrument, decoder.trade_ids, True, partial(_decoded, frames, decoder, instrument))


# --- frames -------------------------------------------------------------------------------------------------
def _decoded(
    frames: Callable[[], Iterable[tuple[int, bytes]]],
    decoder: Decoder,
    instrument: Instrument,
    errors: Counter[str],
) -> Iterator[Told]:
    """Yield the trades of frames, a batch at a time."""
    ticks: list[Tick] = []
    for wire_ns, payload in frames():
        try:
            said = decoder.decode(payload, wire_ns)
        except FrameError as error:
            errors[error.reason] += 1
            continue
        ticks += [
            event
            for event in (said if isinstance(said, list) else [said])
            if isinstance(event, Tick) and event.kind == TRADE and event.instrument == instrument.index
        ]
        if len(ticks) >= _BATCH:
            yield _arrays(ticks, instrument)
            ticks = []
    if ticks:
        yield _arrays(ticks, instrument)


def _arrays(ticks: list[Tick], instrument: Instrument) -> Told:
    """Return trades as columns of whole numbers; raises FileFormatError for one off the instrument's grid."""
    size, of = instrument.told_ratio
    told = instrument.told_qty
    return Told(
        np.array([one.wire_ns for one in ticks], np.int64),
        np.array([one.exch_ns for one in ticks], np.int64),
        _counts(ticks, [one.a for one in ticks], instrument.price, instrument.price, (1, 1), "price"),
        _counts(ticks, [one.b for one in ticks], instrument.qty, told, (size, of), "quantity"),
        np.array([one.c for one in ticks]).astype(np.int64),
        np.array([one.id for one in ticks], np.int64),
    )


def _counts(
    ticks: list[Tick], floats: list[float], scale: Scale, told: Scale, ratio: tuple[int, int], what: str
) -> Ints:
    """Return whole counts of a step, each giving its float back exactly.

    told: the step as the exchange counts it; what it tells the decoder multiplies by `ratio`.
    """
    values = np.array(floats)
    counts = np.rint(values * float(10**scale.places) / scale.num)
    off = np.flatnonzero(counts * told.num / float(10**told.places) * ratio[0] / ratio[1] != values)
    if off.size:
        first = int(off[0])
        raise FileFormatError(
            f"trade {ticks[first].id} has a {what} of {values[first]}, which is no multiple of {scale.step}, "
            "as its instrument's are: convert the file (tickd convert), and make bars of the ticks"
        )
    return counts.astype(np.int64)


# --- typed ticks --------------------------------------------------------------------------------------------
def _ticks(path: Path) -> TradeSource:
    from daemon.tape.ticks import read_header  # noqa: PLC0415 - as above

    header = read_header(path)
    instrument = make_instrument(
        0,
        header.exchange,
        header.market,
        header.symbol,
        tick_size=header.tick,
        lot_size=header.lot,
        qty_min=header.lot,
        qty_max="1",
        notional_min="0",
        exchange_symbol=header.exchange_symbol,
    )
    try:
        rule = find_exchange(header.exchange, header.market).decoder([instrument]).trade_ids
    except ConfigError:  # of an exchange that has no feed here
        rule = "growing"
    return TradeSource(instrument, rule, header.clock == "received", partial(_read_ticks, path))


def _read_ticks(path: Path, errors: Counter[str]) -> Iterator[Told]:
    from daemon.tape.ticks import read_ticks  # noqa: PLC0415 - as above

    del errors  # no frame is left in them
    for block in read_ticks(path, depth=False):
        ticks = block.ticks[:, block.ticks[T_KIND] == TRADE]
        if ticks.shape[1]:
            yield Told(*(ticks[one] for one in (T_WIRE_NS, T_EXCH_NS, T_A, T_B, T_SIDE, T_ID)))

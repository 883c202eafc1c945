"""Tapes, a recorder's raw frames (daemon/tape/reader.py), to ticks and depth of every instrument in them.

Each frame goes by its exchange's own decoder. Those whose first bytes tell their instrument are read many in
one compiled call; of the others each is decoded alone. What the trading core recorded besides is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from daemon.errors import FrameError
from daemon.feeds.exchanges import find_exchange
from daemon.feeds.taped import CUT, FEED, SNAPSHOT
from daemon.tape.forms.base import Grid, Piece, Series
from daemon.tape.forms.captures import FrameReader
from daemon.tape.reader import read_tape
from daemon.tape.source import connections_of
from daemon.tape.ticks import Block, places
from kernels.columns import D_ROW, D_SEQ, T_ROW, T_SEQ

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from daemon.events import Depth, Snapshot, Tick
    from daemon.feeds.base import Decoder
    from daemon.instruments import Instrument
    from daemon.tape.forms.base import State
    from daemon.tape.reader import Batch, Tape

    Ints = NDArray[np.int64]


class Tapes:
    """A session's folder, or one segment of it."""

    def pieces(self, path: Path, state: State) -> Iterator[Piece]:
        """Yield each batch's rows, an instrument after the other."""
        tape = read_tape(path)
        header = tape.header
        decoder = find_exchange(header.exchange, header.market).decoder(header.instruments)  # type: ignore[arg-type]
        readers = [_Instrument(one, decoder, path.name, state) for one in header.instruments]
        begun = state.seq
        done = 0
        cuts = _Cuts(readers, connections_of(header))
        for batch in tape.batches():
            _read(batch, decoder, readers, begun, cuts)
            done += sum(map(len, batch.payloads))
            for one in readers:
                block = one.take()
                one.checks.look(block)
                yield Piece(one.series, block, done)
            state.seq = begun + batch.seqs[-1] + 1
        _tell_of_losses(tape, readers)


class _Instrument:
    """One instrument's rows in the making."""

    def __init__(self, instrument: Instrument, decoder: Decoder, file: str, state: State) -> None:
        self.symbol = instrument.symbol
        self.series = Series(
            exchange=instrument.exchange,
            market=instrument.market,
            symbol=instrument.symbol,
            exchange_symbol=instrument.exchange_symbol,
            clock="received",
        )
        state.at_least(
            self.series,
            Grid(
                places(f"{instrument.tick_size.normalize():f}"),
                places(f"{instrument.lot_size.normalize():f}"),
            ),
        )
        self.checks = state.checks_of(self.series, file, decoder.trade_ids)
        self._reader = FrameReader(instrument, decoder, self.series, state, self.checks)
        self._blocks: list[Block] = []

    def frames(self, frames: list[bytes], wire_ns: Ints, last: Ints, seqs: Ints, begun: int) -> None:
        """Read frames that are this instrument's, whose entries are `seqs`."""
        ends = np.cumsum([len(one) for one in frames], dtype=np.int64)
        starts = np.concatenate((np.zeros(1, np.int64), ends[:-1]))
        block = self._reader.read(b"".join(frames), starts, ends, wire_ns, last, 0, 0, seqs)
        for table, row, seq in ((block.ticks, T_ROW, T_SEQ), (block.depth, D_ROW, D_SEQ)):
            table[row] = seqs[table[seq]]
            table[seq] = table[row] + begun
        self._blocks.append(block)

    def event(self, event: Tick | Depth | Snapshot, last: bool, seq: int, begun: int) -> None:
        """Take what a frame said that may have said more."""
        try:
            self._blocks.append(self._reader.event(event, int(last), begun + seq, seq))
        except FrameError as error:
            self.checks.note("frame", seq, event.wire_ns, f"{error.reason}: {error}")

    def take(self) -> Block:
        """Return the rows since the last call, in the order of the record."""
        ticks = np.concatenate([self._reader.no_block.ticks, *(one.ticks for one in self._blocks)], axis=1)
        depth = np.concatenate([self._reader.no_block.depth, *(one.depth for one in self._blocks)], axis=1)
        self._blocks = []
        return Block(
            ticks[:, np.argsort(ticks[T_SEQ], kind="stable")],
            depth[:, np.argsort(depth[D_SEQ], kind="stable")],
        )


class _Cuts:
    """Connections that were lost.

    waiting: (seq, wire_ns, number) of those behind which no frame came yet. Behind the last ones none does: a
    recorder that ends closes its own connections, and nothing is missing between rows.
    """

    def __init__(self, readers: list[_Instrument], connections: list[Sequence[int]]) -> None:
        self.waiting: list[tuple[int, int, str]] = []
        self._readers = readers
        self._connections = connections

    def tell(self) -> None:
        """Note each with the instruments that came by it, a connection that nobody knows of with all."""
        for seq, wire_ns, number in self.waiting:
            known = number.isdigit() and int(number) < len(self._connections)
            mine = self._connections[int(number)] if known else range(len(self._readers))
            for index in mine:
                self._readers[index].checks.note(
                    "cut", seq, wire_ns, "a connection was lost: what came meanwhile is missing"
                )
        self.waiting.clear()


def _read(
    batch: Batch,
    decoder: Decoder,
    readers: list[_Instrument],
    begun: int,
    cuts: _Cuts,
) -> None:
    """Give every entry to its instrument."""
    mine: list[list[int]] = [[] for _ in readers]
    by_symbol = {one.symbol: (index, one) for index, one in enumerate(readers)}
    for k, (seq, wire_ns, stream, last, payload) in enumerate(zip(*batch, strict=True)):
        try:
            if stream.startswith(FEED):
                if cuts.waiting:
                    cuts.tell()
                known = decoder.keys.get(payload[: decoder.key_size])
                if known is not None:
                    mine[known[0]].append(k)
                    continue
                said = decoder.decode(payload, wire_ns)
                for event in said if isinstance(said, list) else [said]:
                    if (index := getattr(event, "instrument", None)) is not None:
                        readers[index].event(event, last, seq, begun)
            elif stream.startswith(SNAPSHOT):
                symbol = stream.removeprefix(SNAPSHOT)
                if symbol not in by_symbol:
                    raise FrameError("symbol", f"a book of {symbol[:32]!r} is of no instrument of the tape")
                index, one = by_symbol[symbol]
                one.event(decoder.snapshot(index, payload, wire_ns), last, seq, begun)
            elif stream.startswith(CUT):
                cuts.waiting.append((seq, wire_ns, stream.removeprefix(CUT)))
        except FrameError as error:
            readers[0].checks.note("frame", seq, wire_ns, f"{error.reason}: {error}")
    for one, entries in zip(readers, mine, strict=True):
        if entries:
            one.frames(
                [batch.payloads[k] for k in entries],
                np.array([batch.wires_ns[k] for k in entries], np.int64),
                np.array([batch.lasts[k] for k in entries], np.int64),
                np.array([batch.seqs[k] for k in entries], np.int64),
                begun,
            )


def _tell_of_losses(tape: Tape, readers: list[_Instrument]) -> None:
    for one in readers:
        if tape.lost_from >= 0:
            one.checks.note("cut", tape.lost_from, 0, "the recorder could not write from this entry on")
        for cut in tape.cuts:
            one.checks.note("cut", cut.seq, 0, str(cut))

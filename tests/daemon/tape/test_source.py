"""What is replayed: a capture's lines and a tape's entries do to a feed what they did when they came."""

from __future__ import annotations

import pytest

from daemon.errors import FileFormatError
from daemon.session.entries import Begin, encode
from daemon.tape.capture import capture_instrument
from daemon.tape.source import CaptureSource, TapeSource, open_source

BEGIN = Begin(
    run=3, paper=True, venue="paper", can_amend=True, can_replace=False, memories=None, journals={},
    boot=("b", 5), hashes={"0 market_maker": {}, "1 mine.py:decide": {}},
)  # fmt: skip


class Feed:
    """Remembers what is done to it."""

    def __init__(self):
        self.done = []

    def process(self, payload, wire_ns, last):
        self.done.append(("frame", payload, wire_ns, last))

    def process_snapshot(self, instrument, payload, wire_ns):
        self.done.append(("snapshot", instrument, payload, wire_ns))

    def disconnected(self, instruments):
        self.done.append(("cut", tuple(instruments)))


def played(source, from_ns=0):
    feed = Feed()
    plays = source.plays([feed])
    for chunk in source.chunks(from_ns):
        for wire_ns, stream, last, payload in zip(*chunk, strict=True):
            plays[stream](payload, wire_ns, last)
    return feed.done


def test_every_line_of_a_capture_is_a_frame_and_a_drain(lines_of, capture_of):
    lines = lines_of(5000)
    source = open_source(capture_of(lines))
    assert isinstance(source, CaptureSource)
    assert source.capture == source.path
    assert played(source) == [("frame", line[20:], int(line[:19]), True) for line in lines]
    assert source.notes() == []


def test_a_tape_s_streams_do_what_they_are(session, tmp_path):
    one = session()
    one.take("feed/0", b"f", last=False)
    one.take("core", b"not the market")
    one.take("reads", b"nor this")
    one.take("snapshot/BTC/USDT", b"s")
    one.take("snapshot/ETH/USDT", b"of an instrument that the header lacks")
    one.take("cut/0", b"")
    one.take("cut/7", b"of a connection that there was not")
    one.take("feed/0", b"g")
    import asyncio

    asyncio.run(one.recorder.close())
    source = open_source(tmp_path / "tape")
    assert isinstance(source, TapeSource)
    now_ns = one.time.now_ns()
    assert played(source) == [
        ("frame", b"f", now_ns, False),
        ("snapshot", 0, b"s", now_ns),
        ("cut", (0,)),
        ("cut", ()),
        ("frame", b"g", now_ns, True),
    ]
    assert [entry.symbol for entry in source.instruments] == ["BTC/USDT"]
    assert (source.markets[0].exchange.name, source.streams) == ("binance", ("trade", "quote", "depth"))
    assert source.last_ns == now_ns


@pytest.mark.parametrize(
    ("begin", "names"),
    [
        (encode(("begin", (BEGIN,))), ["market_maker", "mine.py:decide"]),
        (encode(("timer", (1,))), []),
        (b"of a newer version", []),
        (b"", []),
    ],
)
def test_a_session_s_tape_says_which_strategies_traded(tape_of, lines_of, begin, names):
    source = open_source(tape_of(lines_of(50), begin=begin))
    assert source.traded_by == names
    assert len(played(source)) == 50


@pytest.mark.parametrize("segment_s", [1, 3600])
def test_the_cuts_of_the_recorder_s_own_end_are_left_out_and_no_others(session, tmp_path, segment_s):
    import asyncio

    one = session(segment_s=segment_s)

    async def live():
        task = asyncio.ensure_future(one.recorder.run())
        for stream in ("feed/0", "cut/0", "core", None, "snapshot/BTC/USDT", None, "feed/1", "cut/1", "reads",
                       "snapshot/BTC/USDT", None, "cut/0", "core"):  # fmt: skip
            if stream is None:
                await one.passes(2.0)
            else:
                one.take(stream, b"%d" % one.recorder.seq)
        await one.recorder.close()
        task.cancel()

    asyncio.run(live())
    source = open_source(tmp_path / "tape")
    assert len(source.tape.segments) == (4 if segment_s == 1 else 1)
    streams = [stream for chunk in source.chunks(0) for stream in chunk.streams]
    assert streams == ["feed/0", "cut/0", "core", "snapshot/BTC/USDT", "feed/1", "reads",
                       "snapshot/BTC/USDT", "core"]  # fmt: skip


def test_a_segment_alone_is_a_source(tape_of, lines_of):
    folder = tape_of(lines_of(50))
    assert len(played(open_source(folder / "00000001.arrows"))) == 50


def test_a_seek_begins_with_the_segment_that_has_the_last_whole_book(tape_of, lines_of):
    lines = lines_of(1000)
    (snapshot,) = [line for line in lines if b"lastUpdateId" in line]
    again = b"%s %s" % (lines[550][:19], snapshot[20:])
    lines[551:551] = [again]
    folder = tape_of(lines, segment_s=1)  # 333 lines a second
    source = open_source(folder)
    parts = [one for _, one in source.tape.segments]
    assert len(parts) == 3
    assert ["snapshot/BTC/USDT" in one.streams for one in parts] == [True, True, False]
    assert len(played(source, 0)) == 1001
    assert len(played(source, parts[1].first_ns)) == 1001  # the first has the only book before it
    assert len(played(source, parts[2].first_ns)) == parts[1].entries + parts[2].entries
    assert len(played(source, 2**62)) == parts[1].entries + parts[2].entries


def test_a_cut_is_noted_once_it_was_met(tape_of, lines_of):
    folder = tape_of(lines_of(50))
    (folder / "manifest.json").unlink()
    path = folder / "00000001.arrows"
    path.write_bytes(path.read_bytes()[:-100])
    source = open_source(folder)
    assert source.notes() == []
    played(source)
    (note,) = source.notes()
    assert note.startswith(f"{path} is cut at byte ")


def test_a_tape_knows_its_end_though_no_manifest_says_it(tape_of, lines_of):
    lines = lines_of(700)
    folder = tape_of(lines, segment_s=1)
    whole = open_source(folder).last_ns
    assert whole == int(lines[-1][:19])
    assert open_source(folder / "00000001.arrows").last_ns < whole
    (folder / "manifest.json").unlink()
    assert open_source(folder).last_ns == whole


def test_what_is_neither_is_refused(tmp_path):
    (tmp_path / "x.gz").write_bytes(b"x\n")
    with pytest.raises(FileFormatError):
        open_source(tmp_path / "x.gz")
    (tmp_path / "x.arrows").write_bytes(b"x\n")
    with pytest.raises(FileFormatError, match=r"x\.arrows is no tape"):
        open_source(tmp_path / "x.arrows")


def test_a_capture_s_instrument_is_as_inferred(capture_of, lines_of):
    path = capture_of(lines_of(50))
    (one,) = open_source(path).instruments
    assert (one.symbol, one.tick_size) == (
        capture_instrument(path).symbol,
        capture_instrument(path).tick_size,
    )

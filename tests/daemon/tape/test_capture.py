"""Captures are read whole, or refused with a sentence that names the place."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from daemon.errors import FileFormatError
from daemon.tape import capture
from daemon.tape.capture import capture_instrument, read_frames

if TYPE_CHECKING:
    from pathlib import Path

TRADE = (
    b'1723161254087896568 {"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT","t":7,'
    b'"p":"61837.63000000","q":"0.02000000","T":1,"m":true}}'
)
SNAPSHOT = (
    b'1723161254206652067 {"lastUpdateId":50,"bids":[["61837.60000000","3.78826000"]],'
    b'"asks":[["61837.64000000","1.50000000"]]}'
)
PERP = (
    b'1723161254206652067 {"stream":"ethusdt@depth@0ms","data":{"e":"depthUpdate","s":"ETHUSDT",'
    b'"U":1,"u":2,"pu":0,"b":[["2710.20","0.014"]],"a":[]}}'
)


def write(path: Path, *lines: bytes) -> Path:
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n"))
    return path


def test_frames_come_back_in_file_order_with_their_receive_times(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gz", TRADE, SNAPSHOT)
    frames = list(read_frames(path))
    assert [local_ns for local_ns, _ in frames] == [1723161254087896568, 1723161254206652067]
    assert frames[0] == (1723161254087896568, TRADE.split(b" ", 1)[1])


def test_a_plain_file_and_a_file_of_several_gzip_members_read_alike(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(TRADE + b"\n" + SNAPSHOT)
    members = tmp_path / "members.gz"
    members.write_bytes(gzip.compress(TRADE + b"\n") + gzip.compress(SNAPSHOT + b"\n"))
    assert list(read_frames(plain)) == list(read_frames(members))


def test_lines_cut_by_the_reading_chunks_are_put_together(tmp_path: Path) -> None:
    lines = [b'%d {"n":"%s"}' % (1_723_161_254 * 10**9 + n, b"x" * (n % 997)) for n in range(5000)]
    frames = list(read_frames(write(tmp_path / "long.gz", *lines)))
    assert [b"%d %s" % frame for frame in frames] == lines


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "holds no frames"),
        (gzip.compress(b"", mtime=0), "holds no frames"),
        (gzip.compress(TRADE + b"\n" + SNAPSHOT)[:-20], "truncated gzip"),
        (gzip.compress(TRADE * 200)[:60] + b"\0" * 400, "damaged gzip"),
        (TRADE + b"\nnot a frame at all\n", "line 2 is no frame"),
        (TRADE + b"\n17 [1, 2]\n", "line 2 is no frame"),
        (TRADE + b"\n4102444800000000000 {}\n", "line 2 is stamped 4102444800000000000, which is no time"),
        (
            TRADE + b"\n" + b"9" * 5000 + b" {}\n",
            "line 2 is stamped 999999999999999999999999, which is no time",
        ),
        (b"x" * (5 << 20), "is no capture"),
    ],
)
def test_a_bad_file_is_refused_with_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "bad.gz"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=sentence) as refusal:
        list(read_frames(path))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_grows_while_it_is_read_is_refused_with_both_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    monkeypatch.setattr(capture, "_CHUNK_BYTES", 512)
    lines = b"".join(b"%d %s\n" % (int(TRADE[:19]) + n, TRADE[20:]) for n in range(1_000))
    data = gzip.compress(lines) if packed else lines
    path = tmp_path / "growing"
    path.write_bytes(data)
    frames = read_frames(path)
    next(frames)
    with path.open("ab") as file:
        file.write(data)
    with pytest.raises(FileFormatError, match=f"grew while it was read .* to {2 * len(data):,} bytes"):
        list(frames)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="does not exist"):
        list(read_frames(tmp_path / "none.gz"))


def test_a_spot_capture_shows_its_instruments_rules(tmp_path: Path) -> None:
    instrument = capture_instrument(write(tmp_path / "spot.gz", TRADE, SNAPSHOT))
    assert (instrument.symbol, instrument.market) == ("BTC/USDT", "spot")
    assert (str(instrument.tick_size), str(instrument.lot_size)) == ("0.01", "0.00001")


def test_a_perpetuals_capture_is_known_by_its_previous_update_id(tmp_path: Path) -> None:
    instrument = capture_instrument(write(tmp_path / "perp.gz", PERP))
    assert (instrument.symbol, instrument.market) == ("ETH/USDT:USDT", "usdm")
    assert (str(instrument.tick_size), str(instrument.lot_size)) == ("0.1", "0.001")


def test_a_file_without_a_stream_has_no_symbol(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="names no stream"):
        capture_instrument(write(tmp_path / "snapshot.gz", SNAPSHOT))


def test_the_real_captures_hold_what_their_source_says(captures: Path) -> None:
    path = captures / "binance-spot-btcusdt-20240808.gz"
    assert sum(1 for _ in read_frames(path)) == 41_249
    assert str(capture_instrument(path).tick_size) == "0.01"

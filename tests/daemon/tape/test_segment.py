"""A segment: entries to Arrow's bytes and back; torn anywhere it is read as far as it is whole."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import FileFormatError
from daemon.tape.segment import END, LIVE_ROWS, Packer, Rows, Scan, begin_segment, integers, messages

NAMES = ["feed/0", "snapshot/BTC/USDT"]
ENTRIES = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 2**62), st.booleans(), st.binary(max_size=40)),
    min_size=1,
    max_size=30,
)


def rows_of(entries, first_seq=0):
    return Rows(first_seq, *(list(column) for column in zip(*entries, strict=True)))


def read(data):
    """Return every entry of a segment and its scan, the slow way."""
    scan = Scan(pa.py_buffer(data))
    found = [
        tuple(row[name] for name in ("seq", "wire_ns", "stream", "drain_end", "payload"))
        for batch in scan.batches()
        for row in batch.to_pylist()
    ]
    return found, scan


def told(entries, first_seq=0):
    return [
        (first_seq + n, wire_ns, NAMES[s], last, data) for n, (s, wire_ns, last, data) in enumerate(entries)
    ]


@settings(max_examples=100)
@given(ENTRIES, st.integers(0, 2**40))
def test_entries_come_back_live_and_packed(header, entries, first_seq):
    live = begin_segment(header()) + messages(NAMES, rows_of(entries, first_seq))
    found, scan = read(live)
    assert found == told(entries, first_seq)
    assert (scan.size, scan.ended, scan.problem) == (len(live), False, "")
    packer = Packer(live + END)
    packed = None
    while packed is None:
        packed = packer.step()
    found, scan = read(packed)
    assert found == told(entries, first_seq)
    assert (scan.size, scan.ended, scan.problem) == (len(packed), True, "")


def test_any_arrow_reader_opens_it(header):
    entries = [(0, 5, True, b"a"), (1, 6, False, b"")]
    table = pa.ipc.open_stream(begin_segment(header()) + messages(NAMES, rows_of(entries)) + END).read_all()
    assert table.column("stream").to_pylist() == NAMES
    assert table.column("payload").to_pylist() == [b"a", b""]


def test_a_new_stream_may_come_at_any_time(header):
    first, second = (
        messages(NAMES[:1], rows_of([(0, 1, True, b"a")])),
        messages(NAMES, rows_of([(1, 2, True, b"b")], 1)),
    )
    data = begin_segment(header()) + first + second
    assert [entry[2] for entry in read(data)[0]] == NAMES
    packer = Packer(data + END)
    assert packer.step() is None
    assert [entry[2] for entry in read(packer.step())[0]] == NAMES


def test_a_tail_torn_at_every_byte_is_cut_at_the_last_whole_batch(header):
    entries = [(0, n, True, b"frame %d" % n) for n in range(3)]
    head = begin_segment(header())
    parts = [messages(NAMES, rows_of(entries[n : n + 1], n)) for n in range(3)]
    whole = head + b"".join(parts)
    last = len(whole) - len(parts[-1])
    for size in range(last, len(whole)):
        found, scan = read(whole[:size])
        assert found == told(entries[:2])
        assert scan.size == last
        assert bool(scan.problem) == (size > last)
    assert read(whole)[0] == told(entries)


def test_a_header_torn_at_every_byte_is_refused(header):
    head = begin_segment(header())
    for size in range(len(head)):
        with pytest.raises(FileFormatError, match=f"{size} bytes"):
            Scan(pa.py_buffer(head[:size]))


@settings(max_examples=100)
@given(st.data())
def test_no_garbage_behind_whole_batches_hurts(header, data):
    entries = [(0, n, True, b"x" * 50) for n in range(5)]
    head = begin_segment(header())
    part = messages(NAMES, rows_of(entries))
    garbled = bytearray(messages(NAMES, rows_of(entries, 5)))
    for _ in range(data.draw(st.integers(1, 4))):
        garbled[data.draw(st.integers(0, len(garbled) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    found, scan = read(head + part + bytes(garbled))
    assert found[:5] == told(entries)
    assert scan.size <= len(head + part + garbled)


def test_zeros_behind_it_are_a_torn_tail(header):
    data = begin_segment(header()) + messages(NAMES, rows_of([(0, 1, True, b"a")]))
    found, scan = read(data + bytes(64))
    assert (len(found), scan.size) == (1, len(data))
    assert scan.problem


def test_entries_out_of_order_end_it(header):
    one = messages(NAMES, rows_of([(0, 1, True, b"a")], 3))
    found, scan = read(begin_segment(header()) + one + one)
    assert (len(found), scan.problem) == (1, "its entries are out of order")


def test_a_damaged_segment_is_not_packed(header):
    data = begin_segment(header()) + messages(NAMES, rows_of([(0, 1, True, b"a")]))
    packer = Packer(data[:-3])
    with pytest.raises(FileFormatError, match="damaged at offset"):
        packer.step()


def test_batches_are_small_while_it_grows_and_large_once_packed(header):
    rows = Rows(0, [0] * 1000, list(range(1000)), [True] * 1000, [b"x"] * 1000)
    data = begin_segment(header()) + messages(NAMES, rows)
    assert [batch.num_rows for batch in Scan(pa.py_buffer(data)).batches()] == [LIVE_ROWS] * 3 + [232]
    packer = Packer(data + END)
    packer.step()
    (batch,) = Scan(pa.py_buffer(packer.step())).batches()
    assert integers(batch.column(1)).tolist() == list(range(1000))


def test_writing_and_reading_never_import_pandas(root):
    import subprocess
    import sys

    code = (
        "import sys; from daemon.tape.segment import *; import pyarrow as pa;"
        "from daemon.tape.header import TapeHeader;"
        "h = TapeHeader(name='a', exchange='b', market='spot', streams=(), instruments=(), started_ns=1,"
        " version='', mode='');"
        "d = begin_segment(h) + messages(['f'], Rows(0, [0], [1], [True], [b'x'])) + END;"
        "p = Packer(d); p.step(); list(Scan(pa.py_buffer(p.step())).batches());"
        "sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0

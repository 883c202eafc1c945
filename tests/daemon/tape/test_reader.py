"""Reading a tape back: closed segments to the byte, the tail as far as it is whole."""

from __future__ import annotations

import asyncio
import shutil
from itertools import islice

import pyarrow as pa
import pytest

from daemon.errors import FileFormatError
from daemon.tape.header import SCHEMA, schema_of
from daemon.tape.manifest import NAME
from daemon.tape.reader import Entry, read_tape
from daemon.tape.segment import Rows, begin_segment, messages


@pytest.fixture
def closed(session, tmp_path):
    """A session of three segments, closed; returns its folder and what it was told."""
    one = session(segment_s=1)

    async def live():
        for number in range(30):
            one.take("feed/0", b"frame %d" % number * 20, last=number % 3 == 0)
            if number % 10 == 9:
                await one.recorder._round()
                one.time.advance(one.time.now_ns() + 2_000_000_000)
        await one.recorder.close()

    asyncio.run(live())
    return tmp_path / "tape", [Entry(*entry) for entry in one.recorded]


def segments(folder):
    return sorted(folder.glob("*.arrows"))


def test_a_folder_is_read_whole_and_a_segment_by_itself(closed):
    folder, entries = closed
    assert len(segments(folder)) == 3
    tape = read_tape(folder)
    assert list(tape) == list(tape) == entries
    assert (tape.header.name, tape.closed, tape.lost_from, tape.cuts) == ("test", True, -1, [])
    assert list(read_tape(segments(folder)[1])) == entries[10:20]
    assert [entry for batch in tape.batches(2) for entry in batch.seqs] == list(range(20, 30))


def test_files_are_the_owners_alone(closed):
    folder, _ = closed
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_every_altered_byte_of_a_closed_segment_is_refused_and_its_file_named(closed):
    folder, _ = closed
    path = segments(folder)[1]
    whole = path.read_bytes()
    for at in range(len(whole)):
        altered = bytearray(whole)
        altered[at] ^= 1 << at % 8
        path.write_bytes(altered)
        with pytest.raises(FileFormatError, match=r"00000002\.arrows is damaged: its SHA-256"):
            list(read_tape(folder))
        with pytest.raises(FileFormatError, match=r"00000002\.arrows is damaged: its SHA-256"):
            read_tape(path)
    path.write_bytes(whole[:-9])
    with pytest.raises(
        FileFormatError, match=rf"it ends at byte {len(whole) - 9} of {len(whole)}; copy it again"
    ):
        list(read_tape(folder))


def test_a_missing_segment_is_named(closed):
    folder, _ = closed
    segments(folder)[2].unlink()
    with pytest.raises(FileFormatError, match=r"00000003\.arrows does not exist; copy the whole folder"):
        list(read_tape(folder))


def test_an_altered_manifest_is_refused_and_named(closed):
    folder, _ = closed
    data = (folder / NAME).read_bytes()
    (folder / NAME).write_bytes(data.replace(b'"lost_from": -1', b'"lost_from": 99'))
    with pytest.raises(FileFormatError, match=r"manifest\.json is damaged"):
        read_tape(folder)


def test_without_its_manifest_it_is_read_as_a_session_that_runs(closed):
    folder, entries = closed
    (folder / NAME).unlink()
    tape = read_tape(folder)
    assert list(tape) == entries
    assert (tape.closed, tape.cuts, tape.lost_from) == (False, [], -1)


def test_a_folder_of_sessions_is_refused_with_their_names(closed, tmp_path):
    folder, _ = closed
    sessions = tmp_path / "sessions"
    for number in range(1, 8):
        shutil.copytree(folder, sessions / f"demo-{number}")
        with pytest.raises(FileFormatError) as refused:
            read_tape(sessions)
        told = str(refused.value).partition("holds no segment of a tape (*.arrows): ")[2]
        if number == 1:
            assert told == f"name the session in it, {sessions}/demo-1"
        elif number == 2:
            assert told == f"name one of the sessions in it, {sessions}/demo-1, {sessions}/demo-2"
    newest = ", ".join(f"{sessions}/demo-{one}" for one in range(3, 8))
    assert told == f"name one of the sessions in it, the last of 7 are {newest}"
    read_tape(sessions / "demo-7")


def test_what_is_no_tape_is_refused(closed, tmp_path, header):
    folder, _ = closed
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FileFormatError, match=r"holds no segment of a tape .*: name another folder$"):
        read_tape(empty)
    foreign = empty / "a.arrows"
    with pytest.raises(FileFormatError, match="does not exist"):
        read_tape(foreign)
    for data in (b"", b"PK\x03\x04" * 50, SCHEMA.serialize().to_pybytes()):
        foreign.write_bytes(data)
        with pytest.raises(FileFormatError, match=r"a\.arrows is no tape") as caught:
            read_tape(foreign)
        assert "\n" not in str(caught.value)
    newer = schema_of(header()).with_metadata({b"tickd.format": b"9", b"tickd.tape": b"{}"})
    foreign.write_bytes(newer.serialize().to_pybytes())
    with pytest.raises(FileFormatError, match=r"newer tickd \(format 9"):
        read_tape(foreign)
    other = begin_segment(header(name="other"))
    shutil.copy(segments(folder)[0], empty / "00000001.arrows")
    foreign.write_bytes(other)
    with pytest.raises(FileFormatError, match=r"a\.arrows is of another session"):
        list(read_tape(empty))


def test_what_a_closed_session_s_manifest_does_not_list_is_refused(closed):
    folder, _ = closed
    shutil.copy(segments(folder)[0], folder / "00000004.arrows")
    with pytest.raises(FileFormatError, match=r"00000004\.arrows is no part of its closed session"):
        read_tape(folder)


def test_the_same_segment_twice_is_refused(closed):
    folder, _ = closed
    (folder / NAME).unlink()
    shutil.copy(segments(folder)[0], folder / "00000009.arrows")
    with pytest.raises(FileFormatError, match=r"00000009\.arrows begins with entry 0, after 29"):
        list(read_tape(folder))


def test_a_tape_is_read_while_it_grows_as_far_as_it_is_whole(tmp_path, header):
    path = tmp_path / "00000001.arrows"
    path.write_bytes(begin_segment(header()))
    assert list(read_tape(path)) == []
    part = messages(["feed/0"], Rows(0, [0] * 600, [1] * 600, [True] * 600, [b"x"] * 600))
    with path.open("ab") as file:
        for at in range(0, len(part), 97):
            file.write(part[at : at + 97])
            file.flush()
            tape = read_tape(path)
            count = len(list(tape))
            assert count in (0, 256, 512, 600)
            for cut in tape.cuts:
                assert (cut.seq, cut.path) == (count, path)
                assert str(cut).startswith(f"{path} is cut at byte {cut.offset}, before entry {count}: ")
    assert count == 600
    assert tape.cuts == []


def test_entries_come_before_all_of_the_tape_was_read(closed):
    folder, entries = closed
    segments(folder)[2].unlink()
    assert list(islice(read_tape(folder), 20)) == entries[:20]


def test_dictionaries_that_other_tools_write_are_read(tmp_path, header):
    table = pa.table(
        {
            "seq": pa.array([0, 1], pa.int64()),
            "wire_ns": pa.array([5, 6], pa.int64()),
            "stream": pa.array(["b", "a"]).dictionary_encode().cast(SCHEMA.field("stream").type),
            "drain_end": pa.array([True, False]),
            "payload": pa.array([b"", b"y"], pa.binary()),
        },
        schema=schema_of(header()),
    )
    path = tmp_path / "x.arrows"
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table.slice(0, 1))
        writer.write_table(table.slice(1, 1))  # an offset into the same buffers
    assert list(read_tape(path)) == [Entry(0, 5, "b", True, b""), Entry(1, 6, "a", False, b"y")]

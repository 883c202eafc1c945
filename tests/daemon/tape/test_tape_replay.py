"""A tape replayed: the same market, whole, in part, and at any pace."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from daemon.errors import FileFormatError
from daemon.options import ReplayOptions
from daemon.session.entries import encode
from daemon.tape import replay as module
from daemon.tape.capture import capture_instrument
from daemon.tape.player import Span
from daemon.tape.replay import replay, run
from daemon.tape.source import open_source
from tests.daemon.tape.test_replay import lasting, replayed
from tests.daemon.tape.test_source import BEGIN


def played(path, span=module.WHOLE):
    source = open_source(path)
    return replay(source, module._config(ReplayOptions(files=(path,)), source), span)


def market(result):
    """Return what the market did to whoever replayed it; a tape's snapshot is no drain."""
    return (result.events, result.gaps, result.resyncs, result.trades_missed, result.books_unsynced)


@pytest.fixture
def lines(lines_of):
    return lines_of(2_000)


def test_a_capture_on_a_tape_is_the_same_market_and_trades_the_same(lines, capture_of, tape_of):
    path = capture_of(lines)
    one = replayed(path)
    other = played(tape_of(lines, capture_instrument(path)))
    assert market(other) == market(one)
    assert other.orders == one.orders
    assert other.order_digest == one.order_digest != ""
    assert (other.ratio, other.bare_seconds) == (0.0, 0.0)


def test_it_is_the_same_at_every_pace_and_in_any_segments(lines, tape_of):
    whole = played(tape_of(lines))
    paced = played(tape_of(lines, segment_s=1), Span(speed=20.0))
    skip = {"file", "seconds", "events_per_s"}
    differ = {
        key for key, value in msgspec.to_builtins(paced).items() if value != msgspec.to_builtins(whole)[key]
    }
    assert differ <= skip
    assert paced.seconds > 6.0 / 20  # of the record's own
    assert whole.orders.fills > 0


def test_one_altered_frame_makes_other_decisions(lines, tape_of):
    (place, *_) = [n for n, line in enumerate(lines) if b"@trade" in line][200:]
    changed = list(lines)
    changed[place] = changed[place].replace(b'"q":"0.00123"', b'"q":"0.00124"')
    assert played(tape_of(changed)).decision_digest != played(tape_of(lines)).decision_digest


def test_a_seek_has_the_books_and_begins_its_features_there(lines, tape_of):
    folder = tape_of(lines, segment_s=1)
    at_ns = int(lines[1_200][:19])
    result = played(folder, Span(from_ns=at_ns))
    assert result.books_unsynced == []
    assert sum(result.events.values()) == 2_000  # the first segment has the only whole book
    assert result.decisions - result.orders.fills == 800
    assert result.decision_digest != played(folder).decision_digest
    again = played(folder, Span(from_ns=at_ns))
    assert lasting(again) == lasting(result)


def test_until_ends_before_it(lines, tape_of):
    folder = tape_of(lines)
    result = played(folder, Span(until_ns=int(lines[500][:19])))
    assert sum(result.events.values()) == 500


def test_a_time_behind_the_end_is_refused(lines, tape_of):
    with pytest.raises(FileFormatError, match="ends before that: name an earlier --from"):
        played(tape_of(lines), Span(from_ns=2**62))


@pytest.mark.parametrize(
    ("cut_before", "told"), [(300, ({"disconnected": 1}, ["BTC/USDT"])), (600, ({}, []))]
)
def test_a_cut_of_the_connection_is_honoured_and_the_recorder_s_own_end_is_none(
    lines, session, tmp_path, cut_before, told
):
    import asyncio

    one = session()
    for number, line in enumerate(lines[:601]):
        one.time.advance(int(line[:19]))
        if number == cut_before:
            one.take("cut/0", b"", last=False)
        if number < 600:
            one.take("snapshot/BTC/USDT" if b"lastUpdateId" in line else "feed/0", line[20:])
    asyncio.run(one.recorder.close())
    result = played(tmp_path / "tape")
    assert (result.gaps, result.books_unsynced) == told


def test_a_torn_tape_is_replayed_as_far_as_it_is_whole_and_says_so(lines, tape_of, capsys):
    folder = tape_of(lines, segment_s=1)
    (folder / "manifest.json").unlink()
    path = max(folder.glob("*.arrows"))
    path.write_bytes(path.read_bytes()[:-50])
    assert run(ReplayOptions(files=(folder,))) == 0
    assert "is cut at byte" in " ".join(capsys.readouterr().out.split())


def test_where_another_strategy_runs_than_the_session_s_it_is_said_in_one_line(lines, tape_of, capsys):
    folder = tape_of(lines, begin=encode(("begin", (BEGIN,))))
    told = (
        f"{folder} is a session of market_maker, mine.py:decide, and ema_cross runs on it now: choose by "
        "--strategy or --config, or prove the session itself by --verify\n"
    )
    assert run(ReplayOptions(files=(folder,), json=True)) == 0
    printed = capsys.readouterr()
    assert told in printed.err
    result = msgspec.json.decode(printed.out, type=module.ReplayResult)
    assert (result.strategies, result.traded_by) == (["ema_cross"], ["market_maker", "mine.py:decide"])
    alone = tape_of(lines, begin=encode(("begin", (replace(BEGIN, hashes={"0 ema_cross": {}}),))))
    assert run(ReplayOptions(files=(alone,))) == 0
    assert "runs on it now" not in capsys.readouterr().err


def test_a_tape_without_an_entry_is_refused(tmp_path, header):
    from daemon.tape.segment import begin_segment

    (tmp_path / "00000001.arrows").write_bytes(begin_segment(header()))
    with pytest.raises(FileFormatError, match="holds no entries"):
        played(tmp_path)

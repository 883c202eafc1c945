from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from daemon.cli import main
from daemon.errors import CheckFailedError, FileFormatError, JournalError, TickdError, UsageError
from daemon.options import VerifyOptions
from daemon.session.verify import run
from daemon.tape.manifest import SUFFIX
from daemon.tape.reader import read_tape
from strategies import ema_cross


class Tape:
    """Another tape of the same header."""

    cuts = ()

    def __init__(self, path, entries):
        self.header = read_tape(path).header
        self._entries = entries

    def __iter__(self):
        return iter(self._entries)


def altered(entries, place, old, new):
    """Return the entries with one frame of the market altered."""
    entry = [one for one in entries if one.stream == "feed/0"][place]
    assert old in entry.payload
    other = entry._replace(payload=entry.payload.replace(old, new))
    return [other if one is entry else one for one in entries]


def mine(folder: Path) -> Path:
    """Return a copy of the shipped strategy that wants the other side."""
    text = Path(ema_cross.__file__).read_text()
    file = folder / "ema_cross.py"
    file.write_text(text.replace("wanted = side *", "wanted = -side *"))
    return file


def test_a_session_verifies_to_its_end(session, verified):
    verdict = verified(session)
    assert verdict.difference is None
    assert verdict.complete
    assert not verdict.changed
    assert verdict.records == verdict.records_of_session
    assert verdict.digests >= 29
    assert verdict.events > 900


def test_the_run_after_it_begins_with_what_it_left_and_verifies_too(tmp_path, new_session, verified):
    first = new_session(tmp_path)
    first.play(6)
    first.end()
    second = new_session(tmp_path, start_ns=first.time.now_ns() + 10**9)
    second.play(6, seed=2)
    second.core.doors.halt("risk", "a test")
    second.play(2, seed=3)
    path = second.end()
    verdict = verified(path)
    assert verdict.complete
    assert verdict.difference is None
    assert verified(first.path).complete
    shutil.move(tmp_path / "journal" / "00000001.journal", tmp_path / "away")
    with pytest.raises(JournalError, match="deleted since"):
        verified(path)


BARRED = """
PARAMS = {}
STATES = 1
INSTRUMENTS = 1
TIMER_S = 0.0
BAR_S = 0.5


def decide(now_ns, why, rows, book, position, working, account, state, params, out):
    if not why & 8:  # WHY_BAR
        return -1
    rose = state[1 + 5] > state[1 + 2]  # BAR_CLOSE, BAR_OPEN
    out[0] = (1, 0, 0, 0, book[0, 1, 0, 0] + 0.5 if rose else book[0, 0, 0, 0] - 0.5, 0.5 if rose else 0.0)
    return 1
"""


def test_a_session_that_trades_by_bars_verifies_and_one_of_other_bars_does_not(
    tmp_path, new_session, verified
):
    file = tmp_path / "barred.py"
    file.write_text(BARRED)
    barred = {"name": str(file), "params": {}}
    one = new_session(tmp_path, strategy=barred)
    for number in range(200):
        one.time.advance(one.time.now_ns() + 70_000_000)
        if number % 3:
            one.trade(100.0 + number % 7 / 100, 0.25, sold=number % 2 == 0)
        else:
            one.quote(100.0)
    path = one.end()
    assert one.core.tally.fills > 2
    verdict = verified(path)
    assert (verdict.complete, verdict.difference) == (True, None)
    file.write_text(BARRED.replace("BAR_S = 0.5", "BAR_S = 0.6"))
    assert verified(path).difference is not None


def test_a_changed_parameter_is_found_and_named(session, verified):
    verdict = verified(session, params={"qty": 1.5, "band_bps": 0.5})
    found = verdict.difference
    assert verdict.changed == ["strategy[0].params.qty 1.0 is 1.5", "parameters of strategy ema_cross"]
    assert found.since < found.until  # what it wanted in its warm-up is in the digest of that second
    assert "ema_cross of BTC/USDT" in found.text


def test_a_changed_feature_is_named_with_both_values(session, verified):
    found = verified(session, tuning={"ema_fast": 5.0}).difference
    assert found.order or found.since < found.until
    assert found.session != found.replay


def test_one_altered_frame_is_found(entries, forged, verified):
    frame = [one for one in entries if one.stream == "feed/0"][300]
    bid = json.loads(frame.payload)["data"]["b"].encode()
    verdict = verified(forged(altered(entries, 300, b'"b":"' + bid, b'"b":"1' + bid)))
    assert verdict.difference is not None
    assert verdict.difference.seq >= frame.seq
    assert verdict.difference.text


def test_what_only_a_digest_shows_is_placed_within_its_second(entries, forged, verified):
    frame = [one for one in entries if one.stream == "feed/0"][5]  # in its warm-up nothing is ordered
    found = verified(forged(altered(entries, 5, b'"A":"5.000"', b'"A":"5.001"'))).difference
    assert found is not None
    assert (found.order, found.feature) == ("", "")
    assert found.since < found.until
    assert "ema_cross of BTC/USDT" in found.text
    assert found.seq > frame.seq


def test_a_tape_that_was_tampered_with_is_refused_already(session, tmp_path, verified):
    copy = tmp_path / session.name
    shutil.copytree(session, copy)
    segment = next(copy.glob(f"*{SUFFIX}"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    with pytest.raises(FileFormatError, match="damaged"):
        verified(copy)


def test_a_tape_with_holes_says_from_where_on_it_cannot_be_verified(session, entries, monkeypatch):
    holed = Tape(session, [*entries[:500], *entries[510:]])
    monkeypatch.setattr("daemon.session.verify.read_tape", lambda _: holed)
    with pytest.raises(TickdError, match="cannot be verified from entry 500 on"):
        run(VerifyOptions(session=session))


def test_a_tape_without_an_end_is_verified_as_far_as_it_goes(entries, forged, verified):
    verdict = verified(forged(entries[:600]))
    assert verdict.difference is None
    assert not verdict.complete
    assert "the tape has no end: the session runs, or was killed" in verdict.why_short
    assert "records more" in verdict.why_short


def test_a_journal_that_ends_before_the_tape_is_verified_as_far_as_it_goes(tmp_path, new_session, verified):
    run = new_session(tmp_path)
    run.play(5)
    path = run.end()
    file = tmp_path / "journal" / "00000001.journal"
    file.write_bytes(file.read_bytes()[:-600])  # a power cut
    verdict = verified(path)
    assert verdict.difference is None
    assert "and the tape goes on" in verdict.why_short


def test_it_ends_with_the_codes_of_a_check(session, capsys, tmp_path):
    assert main(["replay", "--verify", str(session), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["complete"] is True
    assert main(["replay", "--verify", str(session), "--strategy", str(mine(tmp_path))]) == 3
    assert main(["replay", "--verify", str(tmp_path / "none")]) == 2
    assert main(["replay", "--verify", str(session), "--repeat", "2"]) == 2
    assert main(["replay", str(session), "--journal", "x"]) == 2


def test_a_difference_is_an_error_that_says_what_was_changed(session, tmp_path):
    with pytest.raises(CheckFailedError, match="changed since"):
        run(VerifyOptions(session=session, strategy=str(mine(tmp_path))))


def test_a_tape_of_the_market_alone_is_no_session(session, entries, monkeypatch):
    tape = Tape(session, entries)
    tape.header = msgspec.structs.replace(tape.header, session={})
    monkeypatch.setattr("daemon.session.verify.read_tape", lambda _: tape)
    with pytest.raises(UsageError, match="the market alone"):
        run(VerifyOptions(session=session))


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_other_processes_with_other_hash_seeds_find_the_same(session, hash_seed):
    told = subprocess.run(
        [sys.executable, "-m", "daemon.cli", "replay", "--verify", str(session), "--json"],
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(told.stdout)["complete"] is True

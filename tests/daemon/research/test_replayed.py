"""Ticks through the daemon's engine: what a replay of the capture that they came from does."""

from __future__ import annotations

import pytest

from daemon.errors import FileFormatError
from daemon.options import ConvertOptions
from daemon.research.backtest_verb import instrument_of
from daemon.research.replayed import replay_ticks
from daemon.tape.convert import convert
from daemon.tape.ticks import read_header
from tests.daemon.research.test_backtest import configured, lively, replayed, rows, write

SENT = ("now_ns", "verb", "key", "kind", "level", "side", "ticks", "lots")
FILLS = ("exch_ns", "told_ns", "key", "kind", "side", "ticks", "lots", "maker")
FILLS += ("position", "realised", "fees", "equity")


@pytest.mark.parametrize("strategy", ["ema_cross", "market_maker"])
def test_typed_ticks_do_what_their_frames_do(tmp_path, monkeypatch, strategy):
    path = write(tmp_path / "one.gz", lively(3_000, seed=41))
    config = configured(path, strategy)
    recorded = replayed(path, config, monkeypatch)
    convert(ConvertOptions(files=(path,), out=tmp_path / "ticks"), lambda: 0, lambda *_: None)
    (folder,) = (tmp_path / "ticks").glob("*/*")
    header = read_header(folder)
    ended = replay_ticks(folder, config, instrument_of(header), header, lambda _: None)
    first = recorded.sent[0][2] - 1
    assert rows(ended.sent, SENT) == [(*told[:2], told[2] - first, *told[3:]) for told in recorded.sent]
    assert rows(ended.fills, FILLS) == [(*told[:2], told[2] - first, *told[3:]) for told in recorded.fills]
    assert len(ended.fills) > 3
    assert ended.events == 3_000
    assert ended.memory.tobytes() == recorded.core.runtimes[0].memory.tobytes()
    assert ended.refusals == recorded.core.engine.risk.refusals
    assert not ended.halted


def test_nothing_to_replay_is_a_sentence(booked, monkeypatch, tmp_path):
    header = read_header(booked)
    monkeypatch.setattr("daemon.research.replayed.read_ticks", lambda _: iter(()))
    path = write(tmp_path / "one.gz", lively(20, seed=1))
    with pytest.raises(FileFormatError, match="holds no ticks"):
        replay_ticks(booked, configured(path, "ema_cross"), instrument_of(header), header, lambda _: None)

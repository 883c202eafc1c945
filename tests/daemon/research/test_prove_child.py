"""The other process of a proof: its clock, and what it answers."""

from __future__ import annotations

import datetime
import time

import msgspec
import pytest

from daemon.research import prove_child as module
from daemon.research.prove_child import AHEAD_S, Answer, Ask, move_clock


@pytest.fixture
def clock(monkeypatch):
    """Put the clock back afterwards."""
    for name in ("time", "time_ns", "gmtime", "localtime"):
        monkeypatch.setattr(time, name, getattr(time, name))
    monkeypatch.setattr(datetime, "datetime", datetime.datetime)


def test_whoever_asks_for_the_time_is_told_a_later_one(clock):
    before, plain = time.time(), datetime.datetime
    move_clock(AHEAD_S)
    ahead = pytest.approx(before + AHEAD_S, abs=5)
    assert time.time() == ahead
    assert time.time_ns() / 1e9 == ahead
    assert time.mktime(time.localtime()) == ahead
    assert time.gmtime()[:5] == time.gmtime(time.time())[:5]
    assert time.gmtime(0)[0] == 1970
    for now in (
        datetime.datetime.now(datetime.UTC).timestamp(),
        datetime.datetime.now().timestamp(),  # noqa: DTZ005 - each way to ask, as are the next two
        datetime.datetime.utcnow().replace(tzinfo=datetime.UTC).timestamp(),  # noqa: DTZ003
        datetime.datetime.today().timestamp(),  # noqa: DTZ002
    ):
        assert now == pytest.approx(before + AHEAD_S, abs=3_605)  # a zone may have changed its hour
    assert isinstance(plain(2024, 1, 1, tzinfo=datetime.UTC), datetime.datetime)


def test_what_is_ahead_differs_in_each_part_of_a_time():
    one = datetime.datetime(2024, 3, 5, 1, 2, 3, tzinfo=datetime.UTC)
    other = one + datetime.timedelta(seconds=AHEAD_S)
    for part in ("month", "day", "hour", "minute", "second"):
        assert getattr(one, part) != getattr(other, part)
    assert one.weekday() != other.weekday()


def test_a_folder_that_is_none_is_its_answer(tmp_path, monkeypatch, clock):
    monkeypatch.setattr("daemon.research.reads.Reads.listen", lambda _: None)
    ask = Ask(path=str(tmp_path), strategy="ema_cross", model=None, config=b"", digests=b"")
    answer = module.run(ask)
    assert "holds no ticks" in answer.error
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(answer), type=Answer) == answer


def test_a_strategy_and_its_helpers_are_the_user_s(tmp_path):
    (tmp_path / "helper.py").write_text("X = 1\n")
    (tmp_path / "mine.py").write_text("import helper\nimport numpy\n")
    own = module._own(str(tmp_path / "mine.py:decide"))
    assert [own(name) for name in ("helper", "tickd_strategy_mine_0", "numpy", "daemon.disk")] == [
        True,
        True,
        False,
        False,
    ]
    assert not module._own(None)("helper")
    assert not module._own(str(tmp_path / "none.py"))("helper")

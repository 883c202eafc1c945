from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.clock import VirtualTime
from daemon.faces.http_limits import IDS_MAX, Bucket, Taken

S = 1_000_000_000


@given(st.lists(st.integers(0, 3 * S), max_size=60), st.integers(1, 5), st.integers(1, 4))
def test_no_span_of_time_has_more_than_its_burst_and_what_has_come_since(waits, burst, per_s):
    time = VirtualTime()
    bucket = Bucket(burst, per_s, time.mono_ns)
    taken = []
    for wait_ns in waits:
        time.advance(time.now_ns() + wait_ns)
        if bucket.take():
            taken.append(time.now_ns())
    for first, begin_ns in enumerate(taken):
        for last in range(first, len(taken)):
            allowed = burst + (taken[last] - begin_ns) * per_s / S
            assert last - first + 1 <= allowed + 1e-6


def test_who_waits_long_enough_is_never_refused():
    time = VirtualTime()
    bucket = Bucket(2, 4.0, time.mono_ns)
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    for _ in range(100):
        time.advance(time.now_ns() + S // 4)
        assert bucket.take()
    assert not bucket.take()


def test_the_newest_ids_are_remembered_and_no_more():
    taken = Taken()
    for number in range(IDS_MAX + 1):
        taken.add(f"id-{number}")
    assert "id-0" not in taken
    assert "id-1" in taken
    taken.discard("id-1")
    taken.discard("never")
    assert "id-1" not in taken

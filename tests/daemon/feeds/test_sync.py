"""The exchange's id rules: chains of ticks, and the sync of a book under Spot's and the futures' rule."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.events import Depth
from daemon.feeds.sync import APPLY, DROP, GAP, HELD_MAX, HOLD, RUN_MIN, BookSync, IdChain, new_chain


def spot(first: int, last: int) -> Depth:
    return Depth(0, 0, 0, first, last, -1, b"")


def future(first: int, last: int, prev: int) -> Depth:
    return Depth(0, 0, 0, first, last, prev, b"")


# --- chains of ids -----------------------------------------------------------------------------------------
def trades() -> IdChain:
    return IdChain(contiguous=True, step_max=1000)


def test_the_first_id_may_be_any() -> None:
    chain = trades()
    assert chain.admit(5_000_000)
    assert (chain.last, chain.gaps, chain.older) == (5_000_000, 0, 0)


def test_missing_trade_ids_are_counted_and_the_trade_is_news() -> None:
    chain = trades()
    assert [chain.admit(i) for i in (10, 11, 15)] == [True, True, True]
    assert (chain.gaps, chain.missed) == (1, 3)


def test_quotes_may_jump_without_a_gap() -> None:
    chain = IdChain(contiguous=False, step_max=1000)
    assert [chain.admit(i) for i in (10, 500, 1500)] == [True, True, True]
    assert chain.gaps == 0


def test_repeated_and_older_ids_are_dropped_and_counted() -> None:
    chain = trades()
    assert [chain.admit(i) for i in (10, 10, 9, 11)] == [True, False, False, True]
    assert (chain.repeated, chain.older, chain.last) == (1, 1, 11)


def test_one_stray_id_far_ahead_does_not_silence_the_feed() -> None:
    chain = trades()
    chain.admit(10)
    assert not chain.admit(1 << 60)
    assert chain.admit(11)
    assert chain.older == 1


def test_a_sequence_that_starts_over_is_followed_after_a_run() -> None:
    chain = trades()
    chain.admit(1_000_000)
    admitted = [chain.admit(i) for i in range(1, RUN_MIN + 6)]
    assert admitted == [False] * (RUN_MIN - 1) + [True] * 6


def test_strays_that_are_in_no_order_never_make_a_run() -> None:
    chain = trades()
    chain.admit(1_000_000)
    assert not any(chain.admit(10 + i % 2) for i in range(10 * RUN_MIN))


def test_after_a_cut_any_number_may_be_missing_once() -> None:
    chain = trades()
    chain.admit(10)
    chain.resume()
    assert chain.admit(1_000_000)
    assert (chain.gaps, chain.missed) == (1, 999_989)
    assert not chain.admit(5_000_000)


@given(st.lists(st.integers(0, 30), max_size=60))
def test_admitted_ids_only_ever_grow(ids: list[int]) -> None:
    chain = trades()
    admitted = [i for i in ids if chain.admit(i)]
    assert admitted == sorted(set(admitted))
    assert len(admitted) + chain.repeated + chain.older == len(ids)


# --- books -------------------------------------------------------------------------------------------------
def test_spot_holds_then_starts_at_the_update_that_straddles_the_snapshot() -> None:
    sync = BookSync()
    held = [spot(1, 5), spot(6, 9), spot(10, 14), spot(15, 15)]
    assert [sync.offer(one) for one in held] == [HOLD] * 4
    assert sync.adopt(11) == held[2:]
    assert (sync.synced, sync.last_id, sync.held) == (True, 15, 0)
    assert sync.offer(spot(16, 20)) == APPLY


def test_spot_drops_what_the_snapshot_has_and_takes_the_next() -> None:
    sync = BookSync()
    assert sync.adopt(11) == []
    assert sync.offer(spot(5, 11)) == DROP
    assert sync.offer(spot(10, 12)) == APPLY
    assert sync.offer(spot(13, 13)) == APPLY


def test_a_snapshot_older_than_the_held_updates_is_refused() -> None:
    sync = BookSync()
    sync.offer(spot(10, 14))
    assert sync.adopt(8) is None
    assert not sync.synced
    assert sync.adopt(9) == [spot(10, 14)]


def test_a_spot_gap_ends_the_sync_and_holds_from_there() -> None:
    sync = BookSync()
    sync.adopt(11)
    sync.offer(spot(12, 13))
    assert sync.offer(spot(15, 16)) == GAP
    assert not sync.synced
    assert sync.offer(spot(17, 18)) == HOLD
    assert sync.adopt(16) == [spot(17, 18)]


def test_a_gap_right_after_a_snapshot_is_found() -> None:
    sync = BookSync()
    sync.adopt(11)
    assert sync.offer(spot(13, 14)) == GAP


def test_futures_follow_by_pu() -> None:
    sync = BookSync()
    held = [future(100, 110, 95), future(130, 140, 110), future(150, 170, 140)]
    for one in held:
        sync.offer(one)
    assert sync.adopt(135) == held[1:]
    assert sync.offer(future(190, 200, 170)) == APPLY
    assert sync.offer(future(230, 240, 210)) == GAP


def test_futures_start_even_when_the_snapshot_falls_between_two_updates() -> None:
    sync = BookSync()
    held = [future(100, 110, 95), future(130, 140, 110)]
    for one in held:
        sync.offer(one)
    assert sync.adopt(120) == held[1:]


def test_futures_refuse_a_snapshot_older_than_the_held_updates() -> None:
    sync = BookSync()
    sync.offer(future(130, 140, 110))
    assert sync.adopt(109) is None


def test_futures_after_a_bare_snapshot_skip_the_old_and_start_at_the_straddling_update() -> None:
    sync = BookSync()
    assert sync.adopt(135) == []
    assert sync.offer(future(100, 110, 95)) == DROP
    assert sync.offer(future(130, 140, 110)) == APPLY
    assert sync.offer(future(141, 150, 140)) == APPLY


def test_a_repeated_update_is_dropped() -> None:
    sync = BookSync()
    sync.adopt(11)
    sync.offer(spot(12, 13))
    assert sync.offer(spot(12, 13)) == DROP
    assert sync.offer(spot(14, 15)) == APPLY


def test_an_update_that_lies_about_its_end_cannot_freeze_the_book() -> None:
    sync = BookSync()
    sync.adopt(11)
    assert sync.offer(spot(12, 1 << 60)) == APPLY
    verdicts = [sync.offer(spot(13 + i, 13 + i)) for i in range(RUN_MIN)]
    assert verdicts == [DROP] * (RUN_MIN - 1) + [GAP]


def test_a_snapshot_far_ahead_of_a_lagging_stream_is_waited_for() -> None:
    sync = BookSync()
    sync.adopt(1_000)
    assert all(sync.offer(spot(i, i)) == DROP for i in range(1, 1_001))
    assert sync.offer(spot(1_001, 1_001)) == APPLY


def test_held_updates_are_one_unbroken_chain() -> None:
    sync = BookSync()
    for one in (spot(1, 2), spot(3, 4), spot(9, 9), spot(10, 12)):
        sync.offer(one)
    assert sync.held == 2
    assert sync.held_dropped == 2
    assert sync.adopt(8) == [spot(9, 9), spot(10, 12)]


def test_held_updates_are_bounded() -> None:
    sync = BookSync()
    for i in range(1, HELD_MAX + 11):
        sync.offer(spot(i, i))
    assert sync.held == HELD_MAX
    assert sync.held_dropped == 10
    assert sync.adopt(9) is None
    assert len(sync.adopt(10) or []) == HELD_MAX


@given(st.lists(st.integers(1, 4), min_size=5, max_size=40), st.data())
def test_whatever_is_lost_the_book_is_right_or_known_to_be_wrong(
    sizes: list[int], data: st.DataObject
) -> None:
    updates, at = [], 1
    for size in sizes:
        updates.append(spot(at, at + size - 1))
        at += size
    kept = [one for one in updates if data.draw(st.integers(0, 9)) > 0]
    snapshot_at = data.draw(st.integers(0, len(kept)))
    sync = BookSync()
    applied: int | None = None  # the id up to which the book is whole
    for step, one in enumerate(kept):
        if step == snapshot_at:
            number = data.draw(st.integers(1, at))
            following = sync.adopt(number)
            if following is not None:
                applied = number
                for held in following:
                    assert held.first_id <= applied + 1 <= held.last_id
                    applied = held.last_id
        verdict = sync.offer(one)
        if verdict == APPLY:
            assert applied is not None
            assert one.first_id <= applied + 1 <= one.last_id
            applied = one.last_id
        elif verdict == GAP:
            assert applied is not None
            assert one.first_id > applied + 1
            applied = None
        elif verdict == DROP:
            assert applied is not None
            assert one.last_id <= applied


def test_strays_among_ids_that_a_kernel_takes_are_no_row_of_their_own() -> None:
    chain = new_chain()
    ids = IdChain(contiguous=True, step_max=1000, chain=chain)
    ids.admit(1000)
    for number in range(3 * RUN_MIN):
        chain[0] += 1  # the kernel takes the plain next one
        assert not ids.admit(100 + number)
    assert (ids.last, ids.gaps, ids.older) == (1000 + 3 * RUN_MIN, 0, 3 * RUN_MIN)
    assert [ids.admit(500 + number) for number in range(RUN_MIN)][-1]  # a row at last

"""Books whose exchange brings them in the stream, with sequences and checksums of its own."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from daemon.events import Depth, Snapshot
from daemon.feeds.bookkeeper import Bookkeeper
from daemon.feeds.lane import Lane, new_records
from kernels import book as books
from kernels.dtypes import BUY, SELL
from kernels.ring import new_rings
from tests.daemon.feeds.conftest import Sink

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.errors import FrameError

#: of the best ask and bid that `level` makes, at two and five decimals
WHOLE = zlib.crc32(b"1000110000010000100000")


class Keeper:
    """A keeper of one instrument's book, and what it says."""

    def __init__(self, one, depth_max: int = 0) -> None:
        one = replace(one, checksum_places=(2, 5))
        self.lane = Lane(one, new_records(1)[0], 8, 1_000_000)
        self.sink = Sink(new_rings(1))
        self.asked: list[int] = []
        self.errors: list[FrameError] = []
        self.keeper = Bookkeeper([self.lane], self.sink, self.asked.append, self.errors.append, depth_max)

    def snapshot(self, last: int, bids=(("100.00", "1"),), asks=(("100.01", "1"),), **more) -> None:
        payload = b'{"b":[%s],"a":[%s]}' % (level(bids), level(asks))
        self.keeper.take_snapshot(Snapshot(0, 5, last, payload, in_stream=True, **more))

    def update(self, last: int, prev: int, bids=(), asks=(), **more) -> None:
        payload = b'{"b":[%s],"a":[%s]}' % (level(bids), level(asks))
        self.keeper.take(Depth(0, 7, 0, last, last, prev, payload, **more))

    def best(self) -> tuple[int, int]:
        return books.best_bid(self.lane.book), books.best_ask(self.lane.book)


def level(levels) -> bytes:
    return ",".join(f'["{price}","{qty}"]' for price, qty in levels).encode()


@pytest.fixture
def keeper(instrument) -> Callable[..., Keeper]:
    return lambda **more: Keeper(instrument(), **more)


def test_a_book_begins_with_the_streams_own_snapshot_and_follows_it(keeper) -> None:
    it = keeper()
    it.snapshot(10)
    it.update(11, 10, bids=[("100.00", "0"), ("99.99", "1")])
    it.update(12, 11, asks=[("100.00", "2")])
    assert it.sink.statuses == [(0, True, "snapshot")]
    assert it.best() == (9999, 10000)
    assert it.asked == []


def test_a_snapshot_of_the_stream_counts_even_while_the_book_follows(keeper) -> None:
    it = keeper()
    it.snapshot(10)
    it.update(11, 10)
    it.snapshot(1, bids=[("90.00", "1")], asks=[("90.01", "1")])  # the exchange began anew
    it.update(2, 1, bids=[("90.00", "0"), ("89.00", "1")])
    assert it.best() == (8900, 9001)
    assert [synced for _, synced, _ in it.sink.statuses] == [True, True]


def test_after_a_gap_nothing_counts_until_the_stream_begins_anew(keeper) -> None:
    it = keeper()
    it.snapshot(10)
    it.update(13, 12)
    it.update(14, 13, bids=[("100.00", "7")])
    assert it.sink.statuses[-1] == (0, False, "gap")
    assert it.asked == [0]
    it.snapshot(20, bids=[("99.00", "1")])
    assert it.sink.statuses[-1] == (0, True, "snapshot")
    assert it.best() == (9900, 10001)
    it.update(21, 20)
    assert it.lane.gaps == {"gap": 1}
    assert it.lane.sync.held == 0


def test_updates_without_any_number_follow_their_snapshot(keeper) -> None:
    it = keeper()
    it.snapshot(0)
    for qty in ("2", "3"):
        it.update(0, 0, bids=[("100.00", qty)])
    assert books.levels(it.lane.book, BUY)[1].tolist() == [300_000]
    assert it.asked == []


def test_a_book_that_comes_to_its_checksum_is_right(keeper) -> None:
    it = keeper()
    it.snapshot(0, checksum=WHOLE)
    it.update(0, 0, bids=[("99.00", "1")], checksum=zlib.crc32(b"10001100000100001000009900100000"))
    assert it.sink.statuses == [(0, True, "snapshot")]
    assert len(it.sink.books) == 2


@pytest.mark.parametrize("first", [True, False])
def test_a_book_that_does_not_is_given_up_and_asked_for_again(keeper, first) -> None:
    it = keeper()
    it.snapshot(0, checksum=WHOLE + first)
    if not first:
        it.update(0, 0, bids=[("99.00", "1")], checksum=WHOLE)
    assert it.sink.statuses[-1] == (0, False, "checksum")
    assert not it.lane.sync.synced
    assert it.lane.gaps == {"checksum": 1}
    assert it.asked == [0]
    it.snapshot(0, checksum=WHOLE)
    assert it.sink.statuses[-1] == (0, True, "snapshot")


def test_what_the_exchange_tells_no_more_of_is_forgotten(keeper) -> None:
    it = keeper(depth_max=2)
    it.snapshot(0)
    it.update(0, 0, bids=[("99.99", "1")], asks=[("100.02", "1"), ("100.03", "1")])
    assert books.levels(it.lane.book, SELL)[0].tolist() == [10002, 10001]
    it.update(0, 0, bids=[("100.00", "0"), ("99.98", "1")])
    assert books.levels(it.lane.book, BUY)[0].tolist() == [9998, 9999]


def test_levels_that_are_none_are_counted_and_the_book_given_up(keeper) -> None:
    it = keeper()
    it.snapshot(10)
    it.update(11, 10, bids=[("x", "1")])
    assert [error.reason for error in it.errors] == ["levels"]
    assert it.sink.statuses[-1] == (0, False, "levels")


def test_a_book_that_may_lack_an_update_is_given_up_once(keeper) -> None:
    it = keeper()
    it.keeper.doubt(it.lane)  # there is none yet, and none is asked for before an update came
    assert it.asked == []
    it.snapshot(0)
    for _ in range(2):
        it.keeper.doubt(it.lane)
    assert it.sink.statuses[1:] == [(0, False, "refused")]
    assert it.asked == [0]
    assert it.lane.gaps == {"refused": 1}
    it.update(0, 0, bids=[("99.00", "1")])
    it.snapshot(0)
    assert it.sink.statuses[-1] == (0, True, "snapshot")


def test_a_cut_loses_a_whole_book_and_asks_for_none(keeper) -> None:
    it = keeper()
    it.snapshot(10)
    it.keeper.disconnected(it.lane)
    it.keeper.disconnected(it.lane)
    assert it.sink.statuses[1:] == [(0, False, "disconnected")]
    assert it.lane.gaps == {"disconnected": 1}
    assert it.asked == []

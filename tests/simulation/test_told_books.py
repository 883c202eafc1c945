"""What a process was told of a book, as far as update ids tell."""

from __future__ import annotations

from daemon.seams import Response
from tests.simulation.told_books import ToldBooks


def frame(first, last, before=""):
    stream = b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","s":"BTCUSDT","U":%d,"u":%d%b}}'
    return stream % (first, last, b',"pu":%d' % before if before else b"")


def snapshot(last, status=200):
    return "/api/v3/depth?symbol=BTCUSDT&limit=5000", Response(status, {}, b'{"lastUpdateId":%d}' % last)


def told(*words):
    books, found = ToldBooks(), []
    for word in words:
        books.take(word) if isinstance(word, bytes) else books.take_answer(*word)
        found.append(books.whole("BTCUSDT"))
    return found


def test_a_book_is_whole_from_a_snapshot_on_until_an_update_is_missing():
    assert told(frame(5, 6), snapshot(6), frame(7, 9), frame(11, 12), frame(13, 13), snapshot(12)) == [
        False, True, True, False, False, True,
    ]  # fmt: skip


def test_a_snapshot_from_before_the_missing_update_or_an_error_mends_nothing():
    assert told(frame(5, 6), snapshot(6), frame(9, 9), snapshot(7), snapshot(9, 503), snapshot(8)) == [
        False, True, False, False, False, True,
    ]  # fmt: skip


def test_what_a_second_connection_tells_again_is_no_gap():
    again = frame(5, 6), frame(7, 9), frame(8, 11)
    assert told(frame(5, 6), snapshot(6), frame(7, 9), *again)[1:] == [True] * 5


def test_what_is_missing_and_a_snapshot_has_told_before_is_no_gap():
    assert told(frame(5, 6), snapshot(20), frame(10, 12), frame(18, 21), frame(23, 24))[1:] == [
        True, True, True, False,
    ]  # fmt: skip


def test_of_futures_the_update_before_tells():
    assert told(frame(5, 6, 3), snapshot(6), frame(8, 9, 6), frame(12, 13, 11)) == [False, True, True, False]

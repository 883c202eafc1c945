import json
import threading

import numpy as np
import pytest

from daemon.bench import segment
from daemon.bench.floor import ORDER, answer, order_frame
from daemon.bench.market import S_HELD, S_MARK, S_OUT

MS = 1_000_000


def plan(kind, duration_ns=0, gap_ns=0, in_flight=1, symbols=1):
    return np.array([kind, duration_ns, gap_ns, in_flight, symbols], np.int64)


def run(line, ends, given, http=0):
    return segment.run(line, given, ends[0].fileno(), ends[1].fileno(), http)


@pytest.fixture
def line():
    return segment.new_line(4, 1)


@pytest.fixture
def answered(lines):
    """The exchange's ends, with a floor that answers on the others."""
    ours, theirs = lines
    answer_args = (theirs[0].fileno(), theirs[1].fileno(), False, order_frame())
    floor = threading.Thread(target=answer, args=answer_args)
    floor.start()
    yield ours
    for one in ours:
        one.close()
    floor.join()


def texts(data):
    """The payloads of unmasked frames."""
    found = []
    while data:
        size = int.from_bytes(data[2:4])
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found


@pytest.mark.parametrize(
    "given",
    [
        plan(segment.CLOSED_LOOP, 20 * MS),
        plan(segment.CLOSED_LOOP, 20 * MS, gap_ns=100_000),
        plan(segment.CLOSED_LOOP, 20 * MS, in_flight=4),
        plan(segment.POISSON, 20 * MS, gap_ns=200_000),
    ],
)
def test_every_marked_tick_is_matched_with_its_order(line, answered, given):
    assert run(line, answered, given) == segment.DONE
    tally = line.tally
    assert tally[segment.ORDERS] == tally[segment.MARKED] == len(segment.latencies(line)) > 0
    assert tally[segment.STRANGE] == 0
    assert (segment.latencies(line) > 0).all()
    assert not line.symbols[:, S_OUT].any()
    assert not line.sent_ns[:, 0].any()


def test_counts_go_on_from_segment_to_segment(line, answered):
    for _ in range(2):
        assert run(line, answered, plan(segment.CLOSED_LOOP, 5 * MS)) == segment.DONE
    assert line.tally[segment.ORDERS] > len(segment.latencies(line))


def test_an_order_is_answered_and_reported_and_its_position_kept(line, lines, masked):
    (market, api), (_, theirs) = lines
    line.sent_ns[7] = 1, 2
    line.tally[segment.MARKED] = 1
    line.symbols[2, S_OUT] = 1
    order = ORDER.replace(b"62000.00", b"62000.07").replace(b"B000USDT", b"B002USDT")
    theirs.send(masked(order))
    assert run(line, (market, api), plan(segment.CLOSED_LOOP)) == segment.DONE
    answer, new, trade = (json.loads(text) for text in texts(theirs.recv(1 << 16)))
    assert (answer["id"], answer["result"]["status"]) == (100_000_000, "FILLED")
    assert (new["event"]["x"], trade["event"]["x"], trade["event"]["s"]) == ("NEW", "TRADE", "B002USDT")
    assert line.symbols[2, S_HELD] == 30_000
    assert line.tally[segment.CASH] == 30_000 * 6_000_001


def test_an_order_of_no_outstanding_mark_is_strange(line, lines, masked):
    (market, api), (_, theirs) = lines
    theirs.send(masked(ORDER.replace(b"62000.00", b"62000.07")))
    run(line, (market, api), plan(segment.UNMARKED, 2 * MS, gap_ns=MS))
    assert line.tally[segment.STRANGE] == 1
    assert line.tally[segment.ORDERS] == 0


def test_the_time_is_told_within_a_segment(line, lines, masked):
    (market, api), (_, theirs) = lines
    theirs.send(masked(b'{"id":7,"method":"time","params":{}}'))
    run(line, (market, api), plan(segment.UNMARKED, 2 * MS, gap_ns=MS))
    (told,) = texts(theirs.recv(1 << 16))
    assert json.loads(told)["id"] == 7
    assert line.tally[segment.STRANGE] == 0


def test_an_http_order_is_answered_by_http(line, lines):
    (market, api), (_, theirs) = lines
    line.sent_ns[7] = 1, 2
    line.tally[segment.MARKED] = 1
    theirs.send(
        b"POST /api/v3/order?symbol=B002USDT&side=BUY&quantity=0.30000&price=62000.07 HTTP/1.1\r\n\r\n"
    )
    assert run(line, (market, api), plan(segment.CLOSED_LOOP), http=1) == segment.DONE
    head, _, body = theirs.recv(1 << 16).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body)["status"] == "FILLED"


def test_a_mark_that_nobody_answers_ends_the_segment(line, lines):
    ours, _ = lines
    assert run(line, ours, plan(segment.CLOSED_LOOP, MS)) == segment.UNANSWERED


def test_a_connection_that_ends_ends_the_segment(line, lines):
    ours, theirs = lines
    theirs[1].close()
    assert run(line, ours, plan(segment.CLOSED_LOOP, MS)) == segment.GONE


def test_unmarked_ticks_ask_for_nothing(line, lines):
    ours, theirs = lines
    assert run(line, ours, plan(segment.UNMARKED, 2 * MS, gap_ns=MS // 2)) == segment.DONE
    said = [json.loads(text) for text in texts(theirs[0].recv(1 << 20))]
    assert len(said) == line.tally[segment.SENT] > 0
    assert not line.symbols[:, S_MARK].any()
    assert {one["stream"].partition("@")[2] for one in said} == {"bookTicker", "trade"}


def test_quotes_are_of_one_symbol_after_the_other(line, lines):
    ours, theirs = lines
    given = plan(segment.QUOTES, 50 * MS, gap_ns=5 * MS, symbols=3)
    assert run(line, ours, given) == segment.DONE
    said = [json.loads(text) for text in texts(theirs[0].recv(1 << 20))]
    assert len(said) == line.tally[segment.SENT] > 3
    assert [one["stream"] for one in said[:4]] == [f"b00{k}usdt@bookTicker" for k in (1, 2, 0, 1)]
    assert not line.symbols[:, S_MARK].any()


def test_what_a_slow_daemon_was_not_asked_for_is_counted(line, lines):
    ours, _ = lines
    assert run(line, ours, plan(segment.POISSON, 10 * MS, gap_ns=100_000)) == segment.UNANSWERED
    assert 1 <= line.tally[segment.MARKED] <= 4  # one a symbol, of those that were not late
    assert line.tally[segment.HELD_BACK] + line.tally[segment.LATE] > 0

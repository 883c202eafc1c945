import socket

import numpy as np
import pytest

from daemon.bench import libc


@pytest.fixture
def pair():
    one, other = socket.socketpair()
    yield one, other
    one.close()
    other.close()


def test_what_was_sent_is_received_behind_what_is_there(pair):
    one, other = pair
    other.send(b"tick")
    buffer = np.zeros(16, np.uint8)
    assert libc.receive(one.fileno(), buffer, 3) == 4
    assert buffer.tobytes() == b"\0\0\0tick" + bytes(9)


def test_nothing_to_read_is_no_end_and_a_closed_line_is(pair):
    one, other = pair
    buffer = np.zeros(16, np.uint8)
    assert libc.receive(one.fileno(), buffer, 0) == libc.NOTHING
    other.close()
    assert libc.receive(one.fileno(), buffer, 0) == libc.CLOSED


def test_a_part_of_a_buffer_is_sent_and_a_closed_line_takes_nothing(pair):
    one, other = pair
    buffer = np.frombuffer(b"an order", np.uint8).copy()
    assert libc.send_all(one.fileno(), buffer, 3, 8)
    assert other.recv(16) == b"order"
    other.close()
    assert not libc.send_all(one.fileno(), buffer, 0, 8)


def test_a_full_line_takes_what_fits(pair):
    one, _ = pair
    buffer = np.zeros(1 << 20, np.uint8)
    assert 0 < libc.send_some(one.fileno(), buffer, 0, buffer.size) < buffer.size
    assert libc.send_some(one.fileno(), buffer, 0, buffer.size) == libc.NOTHING


def test_waiting_ends_when_either_line_can_be_read(pair):
    one, other = pair
    for sender, first, second in ((one, other, one), (other, other, one)):
        sender.send(b"x")
        libc.wait_readable(first.fileno(), second.fileno(), np.zeros(4, np.int32))
        assert first.recv(1) if sender is one else second.recv(1)


def test_the_clocks_run_forward():
    scratch = np.zeros(2, np.int64)
    first = libc.now_ns(scratch)
    assert first <= libc.now_ns(scratch)
    assert libc.utc_ns(scratch) > 1_700_000_000 * 10**9

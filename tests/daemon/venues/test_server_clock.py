from __future__ import annotations

from daemon.venues.server_clock import ServerClock

MS = 1_000_000


def test_before_any_measurement_our_own_clock_is_taken() -> None:
    assert ServerClock().time_ms(1234 * MS) == 1234


def test_the_offset_is_taken_at_the_middle_of_the_round_trip() -> None:
    clock = ServerClock()
    clock.measure(sent_ns=1000 * MS, server_ns=6010 * MS, received_ns=1020 * MS)
    assert clock.offset_ns == 5000 * MS
    assert clock.time_ms(2000 * MS) == 7000


def test_the_shortest_round_trip_of_the_latest_counts() -> None:
    clock = ServerClock()
    clock.measure(0, 100 * MS, 2 * MS)  # offset 99 ms within 1 ms
    clock.measure(1000 * MS, 1500 * MS, 1400 * MS)  # offset 300 ms within 200 ms
    assert clock.offset_ns == 99 * MS
    for i in range(8):
        clock.measure(i, i + 50 * MS, i + 10 * MS)
    assert clock.offset_ns == 45 * MS


def test_after_a_step_earlier_measurements_are_distrusted() -> None:
    clock = ServerClock()
    clock.measure(0, 100 * MS, 2 * MS)
    clock.forget()
    clock.measure(0, 5000 * MS, 100 * MS)
    assert clock.offset_ns == 4950 * MS


def test_a_measurement_over_a_step_of_our_clock_is_none() -> None:
    clock = ServerClock()
    clock.measure(sent_ns=100, server_ns=5, received_ns=50)
    assert clock.offset_ns == 0


def test_a_step_of_our_clock_that_is_known_is_none_of_the_exchange_s() -> None:
    clock = ServerClock()
    clock.measure(0, 100 * MS, 2 * MS)
    clock.clock_stepped(-40 * MS)
    assert clock.time_ms(60 * MS) == 100 + 99
    clock.measure(1000 * MS, 1500 * MS, 1400 * MS)  # a longer way
    assert clock.time_ms(60 * MS) == 100 + 99


def test_who_counts_by_it_is_told_how_far_it_jumps() -> None:
    steps: list[int] = []
    clock = ServerClock(steps.append)
    clock.measure(sent_ns=1000 * MS, server_ns=6010 * MS, received_ns=1020 * MS)
    clock.measure(2000 * MS, 6010 * MS, 2200 * MS)  # a longer way
    clock.clock_stepped(40 * MS)  # it goes on telling the same time
    clock.forget()
    clock.measure(3000 * MS, 2010 * MS, 3020 * MS)
    assert steps == [5000, 0, -5960]

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import ConfigError
from daemon.orders.windows import ALWAYS, day_offset_ns, parse_windows

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONDAY = datetime(2026, 7, 27, tzinfo=UTC)


def ns(when: datetime) -> int:
    return int(when.timestamp()) * 1_000_000_000


def at(day: str, clock: str) -> int:
    hours, minutes = clock.split(":")
    return ns(MONDAY + timedelta(days=DAYS.index(day), hours=int(hours), minutes=int(minutes)))


@pytest.mark.parametrize(
    ("text", "when", "is_open"),
    [
        ("mon-fri 08:00-16:30", ("mon", "08:00"), True),
        ("mon-fri 08:00-16:30", ("mon", "07:59"), False),
        ("mon-fri 08:00-16:30", ("fri", "16:29"), True),
        ("mon-fri 08:00-16:30", ("fri", "16:30"), False),
        ("mon-fri 08:00-16:30", ("sat", "12:00"), False),
        ("sat 00:00-24:00", ("sat", "23:59"), True),
        ("sat 00:00-24:00", ("sun", "00:00"), False),
        ("sun 22:00-02:00", ("sun", "23:00"), True),
        ("sun 22:00-02:00", ("mon", "01:59"), True),  # over the week's end
        ("sun 22:00-02:00", ("mon", "02:00"), False),
        ("fri-mon 10:00-11:00", ("sun", "10:30"), True),
        ("fri-mon 10:00-11:00", ("tue", "10:30"), False),
        ("Mon 10:00-11:00", ("mon", "10:00"), True),
    ],
)
def test_a_window_is_open_when_it_says_so(text, when, is_open):
    assert parse_windows([text]).open(at(*when)) is is_open


def test_windows_that_meet_or_overlap_are_one():
    windows = parse_windows(["mon 08:00-12:00", "mon 12:00-14:00", "mon 10:00-11:00"])
    assert windows.open(at("mon", "12:00"))
    assert windows.open(at("mon", "11:30"))
    assert not windows.open(at("mon", "14:00"))


def test_without_any_it_is_always_open():
    assert ALWAYS.open(at("sun", "03:00"))
    assert parse_windows([]).open(0)


spans = st.tuples(st.sampled_from(DAYS), st.sampled_from(DAYS), st.integers(0, 1439), st.integers(0, 1440))


@given(
    st.lists(spans.filter(lambda one: one[2] != one[3]), min_size=1, max_size=4),
    st.integers(0, 2 * 7 * 1440),
)
def test_any_windows_at_any_minute_are_as_a_slow_reading_says(listed, minute):
    def reads(first, last, begin, end):
        moment = MONDAY + timedelta(minutes=minute)
        for back in (0, 1):  # it began today, or yesterday
            day = moment.date() - timedelta(days=back)
            named = (day.weekday() - DAYS.index(first)) % 7 <= (DAYS.index(last) - DAYS.index(first)) % 7
            since = moment.hour * 60 + moment.minute + back * 1440
            if named and begin <= since < (end if end > begin else end + 1440):
                return True
        return False

    texts = [f"{a}-{b} {c // 60:02d}:{c % 60:02d}-{e // 60:02d}:{e % 60:02d}" for a, b, c, e in listed]
    when = ns(MONDAY + timedelta(minutes=minute))
    assert parse_windows(texts).open(when) is any(reads(*one) for one in listed)


@pytest.mark.parametrize(
    "text", ["", "always", "mon", "08:00-16:00", "mon-fry 08:00-16:00", "mon 8-16", "mon 08:60-09:00"]
)
def test_what_is_no_window_is_one_sentence(text):
    with pytest.raises(ConfigError, match="is no window; write it like"):
        parse_windows([text])


@pytest.mark.parametrize("text", ["mon 24:00-24:00", "mon 08:00-08:00", "mon 08:00-25:00", "mon 24:00-01:00"])
def test_hours_that_no_day_has_are_one_sentence(text):
    with pytest.raises(ConfigError, match="names no hours of a day"):
        parse_windows([text])


def test_a_days_beginning_is_counted_from_midnight():
    assert day_offset_ns("00:00") == 0
    assert day_offset_ns("17:30") == (17 * 60 + 30) * 60 * 1_000_000_000

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.venues.binance_limits import Budget
from daemon.venues.binance_wire import RateLimit
from daemon.venues.server_clock import ServerClock

MINUTE = 60_000
NOW = 1_700_000_040_000  # the beginning of a minute


def weight(count: int, limit: int = 6000) -> RateLimit:
    return RateLimit("REQUEST_WEIGHT", "MINUTE", 1, limit, count)


def orders(count: int, limit: int = 50) -> RateLimit:
    return RateLimit("ORDERS", "SECOND", 10, limit, count)


def test_nothing_is_refused_before_a_limit_is_known() -> None:
    budget = Budget()
    assert not any(budget.take(NOW, 100, order=True) for _ in range(1000))


def test_new_orders_leave_a_part_of_the_weight_to_cancels_and_queries() -> None:
    budget = Budget()
    budget.learn([weight(4800)], NOW)
    assert budget.take(NOW, 1, order=True) == "request weight used up (4800 of 6000 in 60 s)"
    assert budget.take(NOW, 1) == ""
    budget.learn([weight(6000)], NOW)
    assert "request weight" in budget.take(NOW, 1)


def test_what_is_sent_counts_before_the_exchange_says_so() -> None:
    budget = Budget()
    budget.learn([weight(4000), orders(48)], NOW)
    assert budget.take(NOW, 1, order=True, reduces=True) == ""
    assert budget.take(NOW, 1, order=True, reduces=True) == ""
    assert budget.used(NOW) == {"request_weight_60s": (4002, 6000), "orders_10s": (50, 50)}
    assert budget.take(NOW, 1, order=True, reduces=True) == "order count used up (50 of 50 in 10 s)"
    assert budget.take(NOW, 4) == ""


def test_snapshots_wait_for_the_next_minute_once_they_have_used_half_of_one() -> None:
    budget = Budget()
    budget.learn([weight(2300)], NOW)  # by others: it is not theirs
    assert budget.reading_waits_ms(NOW, 2980) == budget.reading_waits_ms(NOW, 20) == 0
    assert budget.reading_waits_ms(NOW + 1, 1) == MINUTE - 1
    assert budget.reading_waits_ms(NOW + MINUTE, 10_000) == 0  # what never fits does not wait for ever
    assert budget.reading_waits_ms(NOW + MINUTE, 1) == MINUTE


def test_snapshots_wait_while_hardly_any_weight_is_left_or_the_exchange_limits_us() -> None:
    budget = Budget()
    budget.take(NOW, 2100)
    assert budget.reading_waits_ms(NOW, 60) == 0  # no limit is known yet, so it may be the lower one
    assert budget.reading_waits_ms(NOW, 61) == MINUTE
    budget.learn([weight(5380)], NOW)
    assert budget.reading_waits_ms(NOW, 20) == 0
    assert budget.reading_waits_ms(NOW, 21) == MINUTE
    budget.block(429, NOW + MINUTE, NOW + MINUTE + 5_000)
    assert budget.reading_waits_ms(NOW + MINUTE, 21) == 5_500


def test_a_new_interval_begins_at_nothing() -> None:
    budget = Budget()
    budget.learn([weight(6000), orders(50)], NOW)
    assert budget.take(NOW + 9_999, 1, order=True) != ""
    assert "weight" in budget.take(NOW + 10_000, 1, order=True)
    assert budget.take(NOW + MINUTE, 1, order=True) == ""


def test_one_latch_stops_everything_until_the_time_the_exchange_names() -> None:
    budget = Budget()
    budget.block(418, NOW, NOW + 90_000)
    budget.block(429, NOW, NOW + 5_000)  # an earlier end does not shorten it
    for order in (True, False):
        assert budget.take(NOW + 80_500, 1, order=order) == "rate limited for 10.0 s more"
        assert budget.take(NOW + 90_499, 1, order=order) != ""  # the exchange's clock may be behind
        assert budget.take(NOW + 90_500, 1, order=order) == ""


@pytest.mark.parametrize("step_ms", [-54_000, 54_000])
def test_a_latch_lasts_as_long_when_the_exchanges_clock_is_found_to_be_another(step_ms) -> None:
    budget = Budget()
    budget.block(429, NOW, wait_ms=5_000)
    assert budget.blocked_ms(NOW) == 5_500
    budget.clock_moved(step_ms)
    assert budget.blocked_ms(NOW + step_ms) == 5_500
    assert budget.blocked_ms(NOW + step_ms + 5_500) == 0


@pytest.mark.parametrize("ahead_ms", [-3_000, 3_000, 90_000])
def test_a_latch_until_a_time_of_the_exchange_lasts_until_then_however_wrong_our_clock_was(ahead_ms) -> None:
    budget = Budget()
    server = ServerClock(budget.clock_moved)
    ours_ns = (NOW + ahead_ms) * 1_000_000
    budget.block(429, server.time_ms(ours_ns), NOW + 60_000)  # 90 s ahead it seems to be over
    assert budget.take(server.time_ms(ours_ns), 1) != ""
    server.measure(ours_ns, (NOW + 10) * 1_000_000, ours_ns + 20_000_000)
    assert server.time_ms(ours_ns) == NOW
    assert budget.take(NOW + 60_499, 1) != ""
    assert budget.take(NOW + 60_500, 1) == ""


def test_it_is_short_once_new_orders_have_used_up_their_share() -> None:
    budget = Budget()
    assert not budget.is_short(NOW)
    budget.learn([weight(4799)], NOW)
    assert not budget.is_short(NOW)
    assert budget.take(NOW, 1) == ""
    assert budget.is_short(NOW)
    assert budget.take(NOW, 1) == ""  # cancels and queries have the rest
    assert not budget.is_short(NOW + MINUTE)


def test_orders_that_add_risk_leave_a_part_of_the_counts_to_those_that_reduce_it() -> None:
    budget = Budget()
    budget.learn([orders(0), RateLimit("ORDERS", "DAY", 1, 200_000, 179_999)], NOW)
    assert budget.take_order(NOW, 1) == ""
    assert budget.take_order(NOW, 1) == "order count used up (180000 of 200000 in 86400 s)"
    assert budget.is_short(NOW)  # for the rest of the day quotes could not be moved
    assert budget.take_order(NOW, 1, reduces=True) == ""
    assert budget.take_order(NOW + 1, 1) == "order count used up (180001 of 200000 in 86400 s)"
    budget.learn([RateLimit("ORDERS", "DAY", 1, 200_000, 200_000)], NOW + 2)
    assert "200000 of 200000" in budget.take_order(NOW + 2, 1, reduces=True)


def test_a_count_that_soon_starts_again_leaves_quotes_where_they_are() -> None:
    budget = Budget()
    budget.learn([orders(50)], NOW)
    assert budget.take_order(NOW, 1) != ""
    assert not budget.is_short(NOW)


def test_an_order_that_is_refused_counts_nowhere() -> None:
    budget = Budget()
    budget.learn([weight(0), orders(0), RateLimit("ORDERS", "DAY", 1, 200_000, 200_000)], NOW)
    assert budget.take_order(NOW, 1) != ""
    assert budget.used(NOW) == {
        "request_weight_60s": (0, 6000), "orders_10s": (0, 50), "orders_86400s": (200_000, 200_000)
    }  # fmt: skip


def test_a_latch_tells_for_how_long() -> None:
    budget, told = Budget(), []
    budget.on_block = told.append
    budget.block(429, NOW, NOW + 5_000)
    budget.block(429, NOW + 1_000, NOW + 2_000)  # what is left of the longer one
    assert told == [5_500, 4_500]


def test_a_limit_without_a_time_is_waited_out_all_the_same() -> None:
    budget = Budget()
    budget.block(429, NOW)
    assert budget.take(NOW + 9_999, 1) != ""
    assert budget.take(NOW + 10_000, 1) == ""
    budget.block(418, NOW, NOW - 1)
    assert budget.take(NOW + 119_999, 1) != ""
    assert budget.take(NOW + 120_000, 1) == ""


def test_the_counts_of_http_headers_are_learned() -> None:
    budget = Budget()
    budget.learn([weight(10), orders(0)], NOW)
    budget.learn_headers(
        {
            "X-MBX-USED-WEIGHT": "7",  # of which interval it does not say
            "X-MBX-USED-WEIGHT-1M": "5900",
            "X-MBX-ORDER-COUNT-10S": "12",
            "X-MBX-ORDER-COUNT-1D": "300",
            "X-MBX-ORDER-COUNT-XY": "1",
            "X-MBX-USED-WEIGHT-1H": "many",
            "Content-Length": "5",
        },
        NOW,
    )
    assert budget.used(NOW) == {
        "request_weight_60s": (5900, 6000),
        "orders_10s": (12, 50),
        "orders_86400s": (300, 0),
    }


def test_limits_of_other_kinds_are_not_ours() -> None:
    budget = Budget()
    budget.learn([RateLimit("CONNECTIONS", "MINUTE", 5, 300, 300), RateLimit("ORDERS", "YEAR", 1, 1, 1)], NOW)
    assert budget.take(NOW, 1, order=True) == ""
    assert budget.used(NOW) == {"request_weight_60s": (1, 0)}


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["order", "cancel", "learn"]), st.integers(0, 4_000)), max_size=200
    ),
    limit=st.integers(1, 60),
)
def test_orders_that_are_granted_are_those_that_a_look_at_each_would_grant(
    steps: list[tuple[str, int]], limit: int
) -> None:
    granting, looking = Budget(), Budget()
    time_ms = NOW
    for budget in (granting, looking):
        budget.learn([weight(0, 10 * limit), orders(0, limit)], NOW)
    for what, later_ms in steps:
        time_ms += later_ms
        if what == "order":
            assert granting.take_order(time_ms, 1) == looking.take(time_ms, 1, order=True)
        elif what == "cancel":
            assert granting.take(time_ms, 1) == looking.take(time_ms, 1)
        else:
            for budget in (granting, looking):
                budget.learn([orders(limit // 2, limit)], time_ms)
    assert granting.used(time_ms) == looking.used(time_ms)


def test_a_grant_ends_with_a_latch_and_with_a_clock_set_back() -> None:
    budget = Budget()
    budget.learn([orders(0)], NOW)
    assert budget.take_order(NOW + 5, 1) == ""
    assert budget.take_order(NOW + 4, 1) == ""
    assert budget.used(NOW) == {"request_weight_60s": (2, 0), "orders_10s": (2, 50)}
    assert budget.take_order(NOW + 6, 1) == ""
    budget.block(429, NOW + 7)
    assert "rate limited" in budget.take_order(NOW + 8, 1)


def test_an_answer_does_not_make_what_is_still_on_its_way_forgotten() -> None:
    budget = Budget()
    budget.learn([orders(0, 100)], NOW)
    for _ in range(60):
        assert budget.take_order(NOW + 1, 1) == ""
    budget.learn([orders(1, 100)], NOW + 2)  # the first one's answer, the other 59 being on their way
    assert budget.used(NOW + 2)["orders_10s"] == (60, 100)
    budget.learn_headers({"X-MBX-ORDER-COUNT-10S": "2"}, NOW + 2)
    assert budget.used(NOW + 2)["orders_10s"] == (60, 100)
    sent = sum(budget.take_order(NOW + 3, 1) == "" for _ in range(100))
    assert sent == 30  # the rest are for orders that reduce
    budget.learn([orders(3, 100)], NOW + 10_000)
    assert budget.used(NOW + 10_000)["orders_10s"] == (3, 100)

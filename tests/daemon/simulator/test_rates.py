import pytest

from daemon.simulator.errors import ApiError
from daemon.simulator.rates import STRIKES_MAX, AddressLimits, Limits, OrderLimits, Window

MINUTE_NS = 60_000_000_000
NOW_NS = 1_700_000_000 * 10**9 // MINUTE_NS * MINUTE_NS


def refusal(call) -> ApiError:
    with pytest.raises(ApiError) as error:
        call()
    return error.value


def test_a_window_counts_by_the_calendar():
    window = Window(10)
    window.roll(25)
    window.count += 3
    assert window.ends_ns() == 30
    window.roll(29)
    assert window.count == 3
    window.roll(30)
    assert window.count == 0


def test_weight_over_the_limit_is_429_until_the_minute_ends():
    used = AddressLimits(Limits(weight_1m=100))
    used.spend(100, NOW_NS)
    error = refusal(lambda: used.spend(1, NOW_NS + 1))
    assert (error.code, error.status) == (-1003, 429)
    assert error.data == {"serverTime": NOW_NS // 10**6, "retryAfter": (NOW_NS + MINUTE_NS) // 10**6}
    used.spend(1, NOW_NS + MINUTE_NS)
    assert used.used(NOW_NS + MINUTE_NS) == 1


def test_going_on_after_429_bans_the_address_and_a_second_ban_is_longer():
    used = AddressLimits(Limits(weight_1m=1))
    used.spend(1, NOW_NS)
    for _ in range(STRIKES_MAX):
        assert refusal(lambda: used.spend(1, NOW_NS)).status == 429
    assert refusal(lambda: used.spend(1, NOW_NS)).status == 418
    first_ns = used.banned_until_ns - NOW_NS
    assert refusal(lambda: used.spend(1, used.banned_until_ns - 1)).status == 418
    later_ns = used.banned_until_ns
    used.spend(1, later_ns)
    for _ in range(STRIKES_MAX):
        refusal(lambda: used.spend(1, later_ns))
    assert refusal(lambda: used.spend(1, later_ns)).status == 418
    assert used.banned_until_ns - later_ns == 2 * first_ns


def test_connections_are_limited_per_five_minutes_and_refused_while_banned():
    used = AddressLimits(Limits(connections_5m=2))
    assert [used.connect(NOW_NS) for _ in range(3)] == [True, True, False]
    assert used.connect(NOW_NS + 5 * MINUTE_NS)
    used.ban(MINUTE_NS, NOW_NS + 5 * MINUTE_NS)
    assert not used.connect(NOW_NS + 5 * MINUTE_NS)


def test_unfilled_orders_are_limited_and_a_fill_gives_one_back():
    orders = OrderLimits(Limits(orders_10s=2, orders_1d=3))
    orders.count(NOW_NS)
    orders.count(NOW_NS)
    error = refusal(lambda: orders.check(NOW_NS))
    assert (error.code, error.status) == (-1015, 429)
    assert "2 orders per 10 SECOND" in error.message
    orders.filled(NOW_NS)
    orders.check(NOW_NS)
    assert [row["count"] for row in orders.rows(NOW_NS)] == [1, 1]
    orders.count(NOW_NS + MINUTE_NS)
    orders.count(NOW_NS + MINUTE_NS)
    assert "3 orders per 1 DAY" in refusal(lambda: orders.check(NOW_NS + 2 * MINUTE_NS)).message


def test_no_limit_means_none():
    used = AddressLimits(Limits(weight_1m=0, connections_5m=0))
    for _ in range(20):
        used.spend(10_000, NOW_NS)
        assert used.connect(NOW_NS)
    orders = OrderLimits(Limits(orders_10s=0, orders_1d=0))
    for _ in range(500):
        orders.count(NOW_NS)
    orders.check(NOW_NS)


def test_each_door_publishes_its_own_limits_beside_the_common_ones():
    def kinds(**which):
        rows = Limits().published(**which)
        return [(row["rateLimitType"], row["interval"], row["intervalNum"]) for row in rows]

    common = [("REQUEST_WEIGHT", "MINUTE", 1), ("ORDERS", "SECOND", 10), ("ORDERS", "DAY", 1)]
    assert kinds(rest=True, futures=False) == [*common, ("RAW_REQUESTS", "MINUTE", 5)]
    assert kinds(rest=False, futures=False) == [*common, ("CONNECTIONS", "MINUTE", 5)]
    assert kinds(rest=True, futures=True) == common


def test_limits_are_shown_with_their_counts():
    used = AddressLimits(Limits())
    used.spend(7, NOW_NS)
    assert [row["count"] for row in used.rows(NOW_NS)] == [7]
    assert [row["count"] for row in OrderLimits(Limits()).rows(NOW_NS)] == [0, 0]
    assert list(OrderLimits(Limits()).headers(NOW_NS)) == ["X-MBX-ORDER-COUNT-10S", "X-MBX-ORDER-COUNT-1D"]
    futures = OrderLimits(Limits(orders_1d=0, orders_1m=2))
    futures.count(NOW_NS)
    assert futures.headers(NOW_NS) == {"X-MBX-ORDER-COUNT-10S": "1", "X-MBX-ORDER-COUNT-1M": "1"}


def test_of_what_has_no_limit_nothing_is_told():
    nothing = Limits(weight_1m=0, orders_10s=0, orders_1d=0)
    used, orders = AddressLimits(nothing), OrderLimits(nothing)
    used.spend(7, NOW_NS)
    orders.count(NOW_NS)
    assert (used.rows(NOW_NS), used.headers(NOW_NS)) == ([], {})
    assert (orders.rows(NOW_NS), orders.headers(NOW_NS)) == ([], {})
    assert nothing.published(rest=True, futures=False) == []

from hypothesis import given
from hypothesis import strategies as st

from daemon.simulator.bars import INTERVALS, Bars, length_ms, opens
from daemon.simulator.symbols import UNIT

trades = st.lists(
    st.tuples(st.integers(1, 10**12), st.integers(1, 10**10), st.booleans(), st.integers(0, 400_000)),
    min_size=1,
)


@given(trades, st.sampled_from(["1s", "1m", "3m", "5m"]))
def test_bars_equal_those_summed_trade_by_trade(rows, interval):
    rows = sorted(rows, key=lambda row: row[3])
    bars = Bars()
    slow: dict[int, list] = {}
    for number, (price, qty, maker, time_ms) in enumerate(rows):
        bars.add(number, price, qty, maker, time_ms)
        slow.setdefault(opens(time_ms, interval), []).append((number, price, qty, maker))
    got = bars.rows(interval)
    assert [bar.open_ms for bar in got] == sorted(slow)
    for bar in got:
        inside = slow[bar.open_ms]
        prices = [price for _, price, _, _ in inside]
        assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
        assert bar.volume == sum(qty for _, _, qty, _ in inside)
        assert bar.taker_volume == sum(qty for _, _, qty, maker in inside if not maker)
        assert (bar.first_id, bar.last_id, bar.count) == (inside[0][0], inside[-1][0], len(inside))
    assert bars.current(interval).row(1) == got[-1].row(1)


def test_a_week_opens_on_monday():
    monday_ms = 1_699_833_600_000  # 2023-11-13 00:00 UTC
    assert opens(monday_ms, "1w") == monday_ms
    assert opens(monday_ms - 1, "1w") == monday_ms - INTERVALS["1w"]


def test_a_month_opens_on_its_first_day_and_is_as_long_as_it_is():
    february_ms, march_ms = 1_706_745_600_000, 1_709_251_200_000  # 2024-02-01 and 2024-03-01 00:00 UTC
    assert opens(february_ms, "1M") == opens(march_ms - 1, "1M") == february_ms
    assert opens(march_ms, "1M") == march_ms
    assert length_ms(february_ms, "1M") == 29 * 86_400_000
    assert length_ms(march_ms, "1M") == 31 * 86_400_000
    assert length_ms(march_ms, "1d") == 86_400_000


def test_there_is_no_current_bar_before_the_first_trade():
    assert Bars().current("1m") is None
    assert Bars().current("1h") is None


def test_rows_and_events_are_in_the_exchanges_form():
    bars = Bars()
    bars.add(5, 2 * UNIT, UNIT, False, 61_000)
    bar = bars.rows("1m")[0]
    assert bar.row(60_000)[:7] == [60_000, *["2.00000000"] * 4, "1.00000000", 119_999]
    event = bar.event("BTCUSDT", "1m", 61_500, closed=False)
    assert (event["e"], event["k"]["t"], event["k"]["T"], event["k"]["x"]) == (
        "kline",
        60_000,
        119_999,
        False,
    )
    assert (event["k"]["V"], event["k"]["Q"]) == ("1.00000000", "2.00000000")

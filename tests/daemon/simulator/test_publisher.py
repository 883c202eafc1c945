import pytest

from daemon.simulator.marketdata import MarketData, Trade
from daemon.simulator.publisher import Publisher
from daemon.simulator.streams import Hub, MarketSession
from daemon.simulator.symbols import UNIT
from tests.daemon.simulator.conftest import Outbox


class Desk:
    """A market, its publisher and one raw listener."""

    def __init__(self, symbol, *kinds, native=()):
        self.market = MarketData(symbol)
        self.hub = Hub()
        self.outbox = Outbox()
        name = symbol.stream
        self.session = MarketSession(self.hub, self.outbox, [f"{name}@{kind}" for kind in kinds], False, 1024)
        self.publisher = Publisher(self.hub, self.market, [f"{name}@{kind}" for kind in native])

    def trade(self, number, price, time_ms, *, maker=False):
        self.market.trade(number, price * UNIT, UNIT, maker, time_ms)
        self.publisher.trade(self.market.trades[-1], time_ms + 1)


@pytest.fixture
def desk(make_symbol):
    return lambda *kinds, market="spot", native=(): Desk(
        make_symbol("BTC/USDT", market), *kinds, native=native
    )


def test_a_spot_trade_is_written_as_documented(desk):
    one = desk("trade", "aggTrade")
    one.trade(5, 100, 1_000, maker=True)
    trade, aggregate = one.outbox.take()
    assert trade == {
        "e": "trade",
        "E": 1_001,
        "s": "BTCUSDT",
        "t": 5,
        "p": "100.00000000",
        "q": "1.00000000",
        "T": 1_000,
        "m": True,
        "M": True,
    }
    assert (aggregate["a"], aggregate["f"], aggregate["l"]) == (5, 5, 5)


def test_the_average_price_is_written_once_a_second(desk):
    one = desk("avgPrice")
    one.trade(5, 100, 1_000)
    one.trade(6, 102, 1_001)
    one.trade(7, 104, 2_000)
    first, second = one.outbox.take()
    average = {"e": "avgPrice", "E": 1_001, "s": "BTCUSDT", "i": "5m", "w": "100.00000000", "T": 1_000}
    assert first == average
    assert second["w"] == "102.00000000"


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_the_tickers_of_all_symbols_are_lists_and_spot_has_only_the_short_ones(desk, market):
    one = desk(market=market)
    one.session.receive(b'{"method":"SUBSCRIBE","params":["!miniTicker@arr","!ticker@arr"],"id":1}')
    one.outbox.take()
    one.trade(5, 100, 1_000)
    one.trade(6, 102, 1_001)
    one.trade(7, 104, 2_000)
    told = [(event["e"], event["s"], event["c"]) for (event,) in one.outbox.take()]
    assert [row for row in told if "Mini" in row[0]] == [
        ("24hrMiniTicker", "BTCUSDT", "100.00000000"),
        ("24hrMiniTicker", "BTCUSDT", "104.00000000"),
    ]
    assert len(told) == (2 if market == "spot" else 4)


def test_marks_are_written_at_their_two_paces(desk):
    one = desk("markPrice", "markPrice@1s", market="usdm")
    one.publisher.mark = lambda market, event_ms: {"E": event_ms, "p": market.last_price // UNIT}
    for number, time_ms in enumerate((2_999, 3_000, 3_001, 4_000), 1):
        one.trade(number, 100 + number, time_ms - 1)
    told = one.outbox.take()
    assert [event["E"] for event in told] == [2_999, 2_999, 3_000, 3_000, 4_000]
    assert told[-1]["p"] == 104


def test_the_futures_partial_book_is_an_update_by_its_form(desk):
    one = desk("depth5@100ms", market="usdm")
    one.market.snapshot(8, b'{"bids":[["100.0","1.000"]],"asks":[["101.0","2.000"]]}')
    one.publisher.depth(6, 8, 5, [["100.0", "1.000"]], [], 1_003)
    (book,) = one.outbox.take()
    assert (book["e"], book["U"], book["u"], book["pu"]) == ("depthUpdate", 6, 8, 5)
    assert (book["b"], book["a"]) == ([["100.0", "1.000"]], [["101.0", "2.000"]])


def test_futures_write_their_own_fields(desk):
    one = desk("trade", "bookTicker", "depth@0ms", market="usdm")
    one.trade(5, 100, 1_000)
    one.market.quote(100 * UNIT, UNIT, 101 * UNIT, UNIT)
    one.publisher.quote(7, 1_002)
    one.publisher.depth(6, 8, 5, [["100.0", "1.000"]], [], 1_003)
    trade, quote, depth = one.outbox.take()
    assert (trade["X"], trade["p"]) == ("MARKET", "100.0")
    assert (quote["e"], quote["u"], quote["T"]) == ("bookTicker", 7, 1_002)
    assert (depth["U"], depth["u"], depth["pu"], depth["T"]) == (6, 8, 5, 1_003)


def test_a_spot_quote_has_no_event_time(desk):
    one = desk("bookTicker")
    one.market.quote(100 * UNIT, UNIT, 101 * UNIT, 2 * UNIT)
    one.publisher.quote(7, 1)
    assert list(one.outbox.take()[0]) == ["u", "s", "b", "B", "a", "A"]


def test_klines_tell_the_open_bar_now_and_then_and_the_closed_one_once(desk):
    one = desk("kline_1m")
    for number, (price, time_ms) in enumerate([(100, 0), (101, 500), (99, 2_500), (105, 60_100)]):
        one.trade(number, price, time_ms)
    told = [(event["k"]["x"], event["k"]["c"].split(".")[0], event["k"]["n"]) for event in one.outbox.take()]
    assert told == [(False, "100", 1), (False, "99", 3), (True, "99", 3), (False, "105", 1)]


def test_an_hourly_kline_heard_late_starts_from_the_whole_hour(desk):
    one = desk("kline_1h")
    one.session.receive(b'{"method":"UNSUBSCRIBE","params":["btcusdt@kline_1h"],"id":1}')
    one.trade(1, 100, 0)
    one.trade(2, 90, 61_000)
    one.session.receive(b'{"method":"SUBSCRIBE","params":["btcusdt@kline_1h"],"id":1}')
    one.outbox.take()
    one.trade(3, 95, 122_000)
    one.trade(4, 96, 124_100)
    first, second = (event["k"] for event in one.outbox.take())
    assert (first["o"], first["l"], first["n"]) == ("100.00000000", "90.00000000", 3)
    assert (second["c"], second["n"]) == ("96.00000000", 4)


def test_depth_comes_every_update_or_merged_each_second(desk):
    one = desk("depth@100ms", "depth")
    for number in range(12):
        one.publisher.depth(
            2 * number + 1,
            2 * number + 2,
            2 * number,
            [["100.00", str(number)]],
            [[f"{101 + number}", "1"]],
            100 * number,
        )
    events = one.outbox.take()
    fast = [event for event in events if event["u"] == event["U"] + 1]
    slow = [event for event in events if event not in fast]
    assert len(fast) == 13  # twelve, and the first second's merge of one
    assert [(event["U"], event["u"], len(event["a"])) for event in slow] == [(3, 22, 10)]
    assert slow[0]["b"] == [["100.00", "10"]]


def test_partial_books_show_the_best_levels(desk):
    one = desk("depth5", "depth10@100ms")
    one.market.snapshot(1, b'{"bids":[["100.00","1"],["99.00","1"]],"asks":[["101.00","1"]]}')
    for time_ms in (0, 50, 100):
        one.publisher.depth(2, 2, 1, [], [], time_ms)
    books = one.outbox.take()
    assert len(books) == 3  # depth5 once a second, depth10@100ms twice
    assert books[0]["bids"] == [["100.00000000", "1.00000000"], ["99.00000000", "1.00000000"]]


def test_tickers_come_once_a_second(desk):
    one = desk("miniTicker", "ticker")
    for time_ms in (0, 500, 1_200):
        one.trade(time_ms, 100, time_ms)
    assert [event["E"] for event in one.outbox.take()] == [1, 1, 1_201, 1_201]


def test_what_a_tape_brings_is_not_written_again(desk):
    one = desk("trade", "aggTrade", native=["trade"])
    one.trade(1, 100, 0)
    assert [event["e"] for event in one.outbox.take()] == ["aggTrade"]
    assert not one.publisher.needs_levels
    assert desk("depth5", native=["depth@100ms"]).publisher.needs_levels


def test_nothing_is_written_when_nobody_listens(desk):
    one = desk()
    one.publisher.trade(Trade(1, UNIT, UNIT, False, 0), 0)
    one.publisher.quote(1, 0)
    one.publisher.depth(1, 1, 0, [], [], 0)
    assert one.outbox.sent == []

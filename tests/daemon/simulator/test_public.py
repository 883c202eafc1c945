import msgspec
import pytest

from daemon.simulator.public import FUTURES


def get(kit, path, **params):
    answer = kit.rest("GET", path, **params)
    return msgspec.json.decode(answer.body)


def test_the_exchange_answers_pings_and_tells_its_time(kit):
    assert get(kit, "ping") == {}
    assert get(kit, "time") == {"serverTime": kit.now_ms}
    assert get(kit, "time", timeUnit="MICROSECOND") == {"serverTime": kit.now_ms * 1_000}


def test_the_rules_of_one_or_all_symbols_are_published(kit):
    everything = get(kit, "exchangeInfo")
    assert [row["symbol"] for row in everything["symbols"]] == ["BTCUSDT", "ETHBTC"]
    assert [row["symbol"] for row in get(kit, "exchangeInfo", symbol="ETHBTC")["symbols"]] == ["ETHBTC"]
    assert get(kit, "exchangeInfo", symbol="NOPE")["code"] == -1121
    assert everything["rateLimits"][0]["limit"] == 6_000


def test_the_book_is_served_to_the_depth_asked_for(kit):
    served = []
    kit.exchange.on_depth_served = served.append
    book = get(kit, "depth", symbol="BTCUSDT", limit=2)
    assert book["lastUpdateId"] == 1
    assert book["bids"] == [["100.00000000", "1.00000000"], ["99.99000000", "2.00000000"]]
    assert len(book["asks"]) == 2
    assert served == ["BTCUSDT"]


def test_trades_are_listed_oldest_first_from_an_id_or_the_latest(kit):
    for number in range(5):
        kit.trade(f"10{number}", "1", buyer_is_maker=number % 2 == 0)
    assert [row["id"] for row in get(kit, "trades", symbol="BTCUSDT", limit=2)] == [4, 5]
    assert [row["id"] for row in get(kit, "historicalTrades", symbol="BTCUSDT", fromId=2, limit=2)] == [2, 3]
    assert [row["id"] for row in get(kit, "historicalTrades", symbol="BTCUSDT", limit=1)] == [5]
    row = get(kit, "aggTrades", symbol="BTCUSDT", fromId=3, limit=1)[0]
    assert (row["a"], row["p"], row["m"]) == (3, "102.00000000", True)
    assert get(kit, "aggTrades", symbol="BTCUSDT", startTime=kit.now_ms + 1) == []


def test_klines_are_bars_of_the_interval(kit):
    kit.trade("100", "1", buyer_is_maker=False)
    kit.time.advance(kit.time.now_ns() + 60_000_000_000)
    kit.trade("110", "2", buyer_is_maker=False)
    rows = get(kit, "klines", symbol="BTCUSDT", interval="1m")
    assert [row[4] for row in rows] == ["100.00000000", "110.00000000"]
    assert get(kit, "klines", symbol="BTCUSDT", interval="1m", limit=1)[0][4] == "110.00000000"
    assert len(get(kit, "uiKlines", symbol="BTCUSDT", interval="1m", startTime=rows[1][0])) == 1
    assert get(kit, "klines", symbol="BTCUSDT", interval="7m")["code"] == -1120


@pytest.mark.parametrize("path", ["ticker/price", "ticker/bookTicker", "ticker/24hr"])
def test_a_ticker_is_one_row_for_one_symbol_and_a_list_for_many(kit, path):
    kit.trade("100", "1", buyer_is_maker=False)
    assert get(kit, path, symbol="BTCUSDT")["symbol"] == "BTCUSDT"
    assert [row["symbol"] for row in get(kit, path)] == ["BTCUSDT", "ETHBTC"]
    assert [row["symbol"] for row in get(kit, path, symbols='["ETHBTC"]')] == ["ETHBTC"]


def test_the_days_change_is_signed(kit):
    kit.trade("100", "1", buyer_is_maker=False)
    kit.trade("75", "1", buyer_is_maker=False)
    day = get(kit, "ticker/24hr", symbol="BTCUSDT")
    assert (day["priceChange"], day["priceChangePercent"]) == ("-25.00000000", "-25.000")
    assert get(kit, "avgPrice", symbol="BTCUSDT")["price"] == "87.50000000"


def test_the_futures_servers_answer_no_account_methods():
    assert {method.path for method in FUTURES} >= {"depth", "exchangeInfo", "klines"}
    assert all(method.security == "NONE" for method in FUTURES)

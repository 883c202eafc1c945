from __future__ import annotations

from daemon.simulator.usdm.exchange import FUNDING_NS
from daemon.simulator.usdm.public import mark_event

S = {"symbol": "BTCUSDT"}


def test_tickers_tell_their_time_and_the_days_no_quote(kit):
    now_ms = kit.time.now_ns() // 1_000_000
    price = {"symbol": "BTCUSDT", "price": "1000.5", "time": now_ms}
    assert kit.call("GET", "ticker/price", **S) == price
    assert kit.call("GET", "v2/ticker/price") == [price]
    assert kit.call("GET", "ticker/bookTicker", **S)["time"] == now_ms
    day = kit.call("GET", "ticker/24hr", **S)
    assert "lastPrice" in day
    assert "bidPrice" not in day


def test_the_mark_comes_with_when_positions_are_funded_next(kit):
    now_ns = kit.time.now_ns()
    row = kit.call("GET", "premiumIndex", **S)
    assert (row["markPrice"], row["lastFundingRate"]) == ("1000.50000000", "0.00010000")
    assert 0 < row["nextFundingTime"] - now_ns // 1_000_000 <= FUNDING_NS // 1_000_000
    event = mark_event(kit.exchange, kit.market, 7)
    assert (event["E"], event["p"], event["r"]) == (7, row["markPrice"], row["lastFundingRate"])
    assert event["T"] == row["nextFundingTime"]


def test_fundings_that_were_are_listed(kit):
    assert kit.call("GET", "fundingRate") == []
    for price in ("1000", "1001"):
        kit.time.advance(kit.time.now_ns() + FUNDING_NS)
        kit.trade(price, "0.001", buyer_is_maker=True)
    first, last = kit.call("GET", "fundingRate", **S)
    assert (last["markPrice"], last["fundingRate"]) == ("1001.00000000", "0.00010000")
    assert kit.call("GET", "fundingRate", limit=1) == [last]
    assert kit.call("GET", "fundingRate", startTime=first["fundingTime"], limit=1) == [first]
    assert kit.call("GET", "fundingRate", endTime=first["fundingTime"]) == [first]
    assert kit.call("GET", "fundingRate", symbol="ETHUSDT") == []

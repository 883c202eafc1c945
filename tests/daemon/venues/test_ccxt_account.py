"""Lists read whole from exchanges that cut them off, each at the end it likes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import msgspec
import pytest
from ccxt.base.errors import ExchangeNotAvailable, OrderNotFound
from hypothesis import given
from hypothesis import strategies as st

from daemon.clock import VirtualTime
from daemon.errors import NetError, VenueError
from daemon.venues.ccxt_account import Account, list_told, order_lists
from daemon.venues.ccxt_client import CcxtSettings, make_client
from daemon.venues.ccxt_exchanges import EXCHANGES
from daemon.venues.ccxt_ids import ClientIds
from daemon.venues.ccxt_requests import Requests
from daemon.venues.ccxt_rows import Rows
from tests.daemon.orders.conftest import btc_usdt

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000
HAS = {"fetchOrders": True, "fetchOrder": True}


class Client:
    """An account with trades and orders, that tells `limit` of a list at once, the first or the last ones."""

    id = "there"

    def __init__(self, trades=(), orders=(), *, limit=3, head=True, days=1, has=HAS):
        self.trades, self.orders = list(trades), list(orders)
        self.limit, self.head, self.has = limit, head, has
        self.options = {}
        told = {"limit": limit, "untilDays": days}
        self.features = {"spot": {"fetchMyTrades": told, "fetchOrders": told, "fetchClosedOrders": told}}
        self.days, self.asked = days, []

    def _part(self, rows, since, limit, params):
        assert params["until"] - since <= self.days * DAY_MS
        found = sorted(
            (row for row in rows if since <= row["timestamp"] <= params["until"]),
            key=lambda row: row["timestamp"],
        )
        return found[:limit] if self.head else found[-limit:]

    async def fetch_my_trades(self, symbol, since, limit, params):
        return self._part(self.trades, since, limit, params)

    async def fetch_orders(self, symbol, since, limit, params):
        return self._part(self.orders, since, limit, params)

    fetch_closed_orders = fetch_orders

    async def fetch_open_orders(self, symbol):
        return [row for row in self.orders if row["status"] == "open"]

    async def fetch_order(self, number, symbol, params=None):
        self.asked.append(number or params["clientOrderId"])
        for row in self.orders:
            if row["id"] == number or (params and row["clientOrderId"] == params["clientOrderId"]):
                return row
        raise OrderNotFound("no")

    async def fetch_balance(self):
        return {"free": {"USDT": "7"}, "used": {}, "total": {"USDT": "7"}}


def account_of(client, exchange="binance", names=None, instruments=None):
    instruments = instruments or [btc_usdt()]
    requests = Requests(client, ClientIds(EXCHANGES[exchange], "one"))
    rows = Rows(instruments, requests.ids)
    time = VirtualTime(NOW_MS * 1_000_000)
    account = Account(requests, rows, instruments, time)
    for number, name in (names or {}).items():
        account.names.remember(0, number, name)
    return account


def trade(number, time_ms, order="7"):
    return {
        "id": f"t{number}", "order": order, "timestamp": time_ms, "side": "buy", "price": "5", "amount": "1",
        "fees": [],
    }  # fmt: skip


def order(number, name, time_ms=NOW_MS - 1_000, status="closed"):
    return {
        "id": number, "clientOrderId": name, "timestamp": time_ms, "status": status, "side": "buy",
        "price": "5", "amount": "1", "filled": "0" if status == "open" else "1",
    }  # fmt: skip


@given(
    ages_ms=st.lists(st.integers(0, 2 * DAY_MS).map(lambda half: 2 * half), max_size=40, unique=True),
    head=st.booleans(),
    limit=st.integers(2, 5),
    days=st.sampled_from([1, 2, 7]),
)
def test_nothing_of_a_list_is_missed_whichever_end_is_cut_off(ages_ms, head, limit, days):
    trades = [trade(number, NOW_MS - age) for number, age in enumerate(ages_ms)]
    account = account_of(Client(trades, head=head, limit=limit, days=days))
    found = asyncio.run(account._spans("fetchMyTrades", "BTC/USDT", NOW_MS - 5 * DAY_MS))
    assert sorted(row["id"] for row in found) == sorted(row["id"] for row in trades)


def test_an_open_order_that_waits_for_its_trigger_is_listed_as_a_stop():
    waiting = order("8", "web-8", status="open") | {"price": None, "triggerPrice": "4"}
    account = account_of(Client(orders=[order("7", "web-7", status="open"), waiting]))
    listed = asyncio.run(account.snapshot(NOW_MS * 1_000_000)).open_orders
    assert [(one.price_ticks, one.stop) for one in listed] == [(500, False), (400, True)]


@pytest.mark.parametrize(("most", "asked", "noted"), [(None, (), 0), (3, (None, 3), 0), (2, (None, 2), 1)])
def test_as_many_open_orders_are_asked_for_as_are_told_at_once_and_a_full_list_is_told_of(most, asked, noted):
    client = Client(orders=[order(number, f"web-{number}", status="open") for number in "78"])
    client.features["spot"]["fetchOpenOrders"] = {"limit": most}
    words = []

    async def fetch_open_orders(symbol, *more):
        words.append(more)
        return client.orders

    client.fetch_open_orders = fetch_open_orders
    snapshot = asyncio.run(account_of(client).snapshot(NOW_MS * 1_000_000))
    assert (len(snapshot.open_orders), words, len(snapshot.notes)) == (2, [asked], noted)
    assert all("tells of 2 open orders in BTC/USDT and no more at once" in note for note in snapshot.notes)


@pytest.mark.parametrize(
    ("book", "touch"),
    [
        ({"bids": [["9.5", "1"], ["10", "2"]], "asks": [["100", "1"], ["20.5", "1"]]}, (10.0, 20.5)),
        ({"bids": [], "asks": [["11", "1"]]}, (0.0, 11.0)),
    ],
)
def test_the_best_prices_are_found_among_texts_in_any_order(book, touch):
    client = Client()

    async def fetch_order_book(symbol):
        assert symbol == "BTC/USDT"
        return book

    client.fetch_order_book = fetch_order_book
    assert asyncio.run(account_of(client).touches([btc_usdt()])) == [touch]


def test_prices_that_cannot_be_had_are_an_error_of_the_network():
    client = Client()

    async def fetch_order_book(symbol):
        raise KeyError("bids")

    client.fetch_order_book = fetch_order_book
    with pytest.raises(NetError, match=r"^there was asked for prices: KeyError: 'bids'"):
        asyncio.run(account_of(client).touches([btc_usdt()]))


def test_which_markets_are_open_is_asked_anew_and_told_in_the_exchange_s_name():
    client = Client()
    client.markets, later = {"BTC/USDT": {"active": False}}, {"BTC/USDT": {"active": None}}

    async def load_markets(reload):
        assert reload
        client.markets = later

    client.load_markets = load_markets
    account = account_of(client)
    (told,) = account.markets()
    assert (told.exchange, told.status, told.trading, told.index) == ("there", "inactive", False, 0)
    assert [one.trading for one in asyncio.run(account.ask_markets())] == [True]
    client.markets = {}
    assert [one.status for one in account.markets()] == ["not listed"]


def test_markets_that_cannot_be_had_are_an_error_of_the_network():
    client = Client()

    async def load_markets(reload):
        raise ExchangeNotAvailable("gone")

    client.load_markets = load_markets
    with pytest.raises(NetError, match=r"^there was asked for its markets: ExchangeNotAvailable: gone"):
        asyncio.run(account_of(client).ask_markets())


def test_more_trades_of_one_moment_than_a_list_holds_are_an_error_and_no_gap():
    client = Client([trade(number, NOW_MS) for number in range(5)])
    with pytest.raises(VenueError, match="lists no more than 3"):
        asyncio.run(account_of(client).snapshot((NOW_MS - 10) * 1_000_000))


def test_a_snapshot_names_each_trade_s_order_from_lists_and_the_rest_one_by_one():
    old = order("1", "one-7-1", NOW_MS - 3 * DAY_MS)
    client = Client(
        [
            trade(1, NOW_MS - 5, "1"),
            trade(2, NOW_MS - 4, "2"),
            trade(3, NOW_MS - 3, "2"),
            trade(4, NOW_MS, "9"),
        ],
        [
            old,
            order("2", "one-7-2-c"),
            order("3", "one-7-3", NOW_MS - 500, "open"),
            order("4", "", NOW_MS - 100, "open"),
        ],
    )
    names = {"9": "one-7-9"}
    snapshot = asyncio.run(account_of(client, names=names).snapshot((NOW_MS - 60_000) * 1_000_000))
    told = {report.trade_id: report.client_order_id for report in snapshot.trades}
    assert sorted(told.values()) == ["one-7-1", "one-7-2", "one-7-2", "one-7-9"]
    assert [one.client_order_id for one in snapshot.open_orders] == ["one-7-3", "4"]
    assert client.asked == ["1"]
    assert snapshot.balances["USDT"].free == 7


@pytest.mark.parametrize("has", [HAS, {"fetchOrders": True}])
def test_orders_of_two_symbols_with_one_number_are_told_apart(has):
    of = {"BTC/USDT": "one-7-1", "ETH/USDT": "one-7-2"}

    class Two(Client):
        async def fetch_my_trades(self, symbol, *words):
            return [trade(1, NOW_MS, "7")]

        async def fetch_orders(self, symbol, *words):
            return [order("7", of[symbol])]

        async def fetch_open_orders(self, symbol):
            return []

    pair = [btc_usdt(), msgspec.structs.replace(btc_usdt(), index=1, symbol="ETH/USDT")]
    account = account_of(Two(has=has), instruments=pair)
    for _ in range(2):
        told = asyncio.run(account.snapshot((NOW_MS - 60_000) * 1_000_000)).trades
        assert [(one.instrument, one.client_order_id) for one in told] == [(0, "one-7-1"), (1, "one-7-2")]


def test_an_open_order_off_our_grid_is_noted_and_an_unreadable_trade_spoils_the_snapshot():
    strange = {**order("3", "web", status="open"), "price": "5.001"}
    snapshot = asyncio.run(account_of(Client([], [strange])).snapshot(NOW_MS * 1_000_000))
    assert snapshot.open_orders == []
    assert "order web in BTC/USDT, which cannot be read" in snapshot.notes[0]
    bad = {**trade(1, NOW_MS), "price": "5.001"}
    with pytest.raises(VenueError, match="could not be read"):
        asyncio.run(account_of(Client([bad], [order("7", "x")])).snapshot((NOW_MS - 10) * 1_000_000))


@pytest.mark.parametrize("has", [HAS, {"fetchClosedOrders": True}])
def test_an_order_whose_number_is_unknown_is_looked_for_in_lists_where_our_id_does_not_ask(has):
    ours = SimpleNamespace(
        instrument=0, client_order_id="a-7-2", venue_order_id="", sent_ns=(NOW_MS - 2_000) * 1_000_000
    )
    client = Client([], [order("1", "a-7-1", status="open"), order("2", "a-7-2")], has=has)
    account = account_of(client, "bybit")
    assert asyncio.run(account.find(ours, "BTC/USDT"))["id"] == "2"
    assert client.asked == []
    ours.client_order_id = "a-7-3"
    with pytest.raises(OrderNotFound):
        asyncio.run(account.find(ours, "BTC/USDT"))


def test_where_our_id_asks_no_list_is_read():
    ours = SimpleNamespace(instrument=0, client_order_id="a-7-2", venue_order_id="", sent_ns=0)
    client = Client([], [order("2", "a-7-2")])
    account = account_of(client)
    account._requests.tells_by_id = True
    assert asyncio.run(account.find(ours, "BTC/USDT"))["id"] == "2"
    ours.venue_order_id = "2"
    assert asyncio.run(account.find(ours, "BTC/USDT"))["id"] == "2"
    assert client.asked == ["a-7-2", "2"]


def test_the_trades_of_an_order_are_those_of_its_number():
    ours = SimpleNamespace(instrument=0, client_order_id="a-7-2", sent_ns=(NOW_MS - 1_000) * 1_000_000)
    client = Client([trade(1, NOW_MS - 5, "1"), trade(2, NOW_MS - 4, "2")])
    found = asyncio.run(account_of(client).trades_of("2", ours, "BTC/USDT"))
    assert [row["id"] for row in found] == ["t2"]


def test_where_two_orders_of_one_account_met_both_sides_of_their_trade_are_read():
    bought = trade(1, NOW_MS, "1")
    client = Client([bought, bought | {"order": "2", "side": "sell"}])
    account = account_of(client, names={"1": "one-7-1", "2": "web-2"})
    told = asyncio.run(account.snapshot((NOW_MS - 10) * 1_000_000)).trades
    assert sorted((one.client_order_id, one.side) for one in told) == [("one-7-1", 1), ("web-2", -1)]


@pytest.mark.parametrize("ahead_ms", [600_000, -600_000])
def test_lists_are_asked_for_by_the_exchange_s_clock_where_ours_is_another(ahead_ms):
    ours = SimpleNamespace(
        instrument=0, client_order_id="a-7-2", venue_order_id="", sent_ns=(NOW_MS - 1_000) * 1_000_000
    )
    there_ms = NOW_MS - ahead_ms
    client = Client([trade(1, there_ms, "2")], [order("2", "a-7-2", there_ms)], has={"fetchOrders": True})
    client.options["timeDifference"] = ahead_ms
    account = account_of(client, "bybit")
    assert asyncio.run(account.find(ours, "BTC/USDT"))["id"] == "2"
    assert len(asyncio.run(account.trades_of("2", ours, "BTC/USDT"))) == 1
    assert len(asyncio.run(account.snapshot((NOW_MS - 60_000) * 1_000_000)).trades) == 1


def test_where_no_single_order_is_told_its_number_is_looked_for_in_lists():
    ours = SimpleNamespace(
        instrument=0, client_order_id="a-7-2", venue_order_id="2", sent_ns=NOW_MS * 1_000_000
    )
    client = Client([trade(1, NOW_MS, "2")], [order("2", "")], has={"fetchOrders": True})
    account = account_of(client)
    assert asyncio.run(account.find(ours, "BTC/USDT"))["id"] == "2"
    snapshot = asyncio.run(account.snapshot((NOW_MS - 10) * 1_000_000))
    assert [report.client_order_id for report in snapshot.trades] == ["2"]  # it names none
    assert client.asked == []


@pytest.mark.parametrize(
    ("has", "spot", "lists"),
    [
        (("fetchOrders", "fetchClosedOrders"), {}, ("fetchOrders",)),
        (("fetchOrders", "fetchClosedOrders"), {"fetchOrders": None}, ("fetchClosedOrders",)),
        (("fetchClosedOrders", "fetchCanceledOrders"), {"fetchCanceledOrders": None}, (...,)),
        (("fetchCanceledAndClosedOrders",), {}, ("fetchCanceledAndClosedOrders",)),
        (("fetchCanceledOrders",), {}, ()),  # of what was filled none
        (("fetchClosedOrders",), {"fetchClosedOrders": None}, ()),
    ],
)
def test_the_lists_of_ended_orders_are_those_of_spot(has, spot, lists):
    client = SimpleNamespace(has=dict.fromkeys(has, True), features={"spot": spot})
    assert order_lists(client) == (has if lists == (...,) else lists)


def test_cancelled_orders_are_as_many_at_once_as_ended_ones():
    told = {"fetchClosedOrders": {"limit": 50}, "fetchCanceledOrders": None, "fetchMyTrades": {"limit": 100}}
    client = SimpleNamespace(features={"spot": told})
    rows = [list_told(client, verb).get("limit") for verb in ("fetchCanceledOrders", "fetchMyTrades", "x")]
    assert rows == [50, 100, None]


# --- an exchange that lists all symbols together ------------------------------------------------------------
def kraken(trades):
    """ccxt's own client of Kraken, whose exchange tells 50 trades at once, the latest, of all its pairs."""
    settings = CcxtSettings(exchange="kraken", name="one", credentials={"apiKey": "k", "secret": "s"})
    client = make_client(settings, {}, VirtualTime(NOW_MS * 1_000_000))
    pairs = {"XBTUSDT": ("BTC/USDT", "BTC"), "ETHUSDT": ("ETH/USDT", "ETH")}
    client.set_markets([
        client.safe_market_structure({
            "id": pair, "altname": pair, "symbol": symbol, "base": base, "quote": "USDT", "spot": True,
            "type": "spot", "active": True, "info": {"altname": pair, "wsname": symbol},
        })
        for pair, (symbol, base) in pairs.items()
    ])  # fmt: skip
    asked = []

    async def history(params):
        asked.append(params)
        start, end = int(params["start"]), int(params["end"])
        found = [one for one in trades if start < float(one[1]["time"]) <= end][-50:]
        return {"error": [], "result": {"trades": {number: dict(one) for number, one in found}}}

    client.privatePostTradesHistory = history
    return client, asked


def krakens_trade(number, pair, age_s):
    row = {
        "ordertxid": f"O{number}", "pair": pair, "time": f"{NOW_MS / 1000 - age_s:.4f}", "type": "buy",
        "ordertype": "limit", "price": "5", "cost": "5", "fee": "0.01", "vol": "1.00000000", "maker": True,
    }  # fmt: skip
    return f"T{number}", row


@pytest.mark.parametrize("of_another", [0, 1, 30, 49, 50, 200])
def test_trades_that_other_symbols_fill_a_list_in_front_of_are_found_too(of_another):
    ours = [krakens_trade(number, "XBTUSDT", 3_600 + 60 * number) for number in range(40, 0, -1)]
    others = [krakens_trade(f"x{number}", "ETHUSDT", 1_800 - number) for number in range(of_another)]
    client, asked = kraken(ours + others)
    account = account_of(client, "kraken")
    found = asyncio.run(account._spans("fetchMyTrades", "BTC/USDT", NOW_MS - DAY_MS // 2))
    assert sorted(row["id"] for row in found) == sorted(number for number, _ in ours)
    assert len(asked) < 40


def test_an_order_with_more_fills_than_a_list_has_rows_is_no_full_list():
    settings = CcxtSettings(exchange="binance", name="one", credentials={"apiKey": "k", "secret": "s"})
    client = make_client(settings, {}, VirtualTime(NOW_MS * 1_000_000))
    market = {
        "id": "BTCUSDT",
        "symbol": "BTC/USDT",
        "base": "BTC",
        "quote": "USDT",
        "spot": True,
        "type": "spot",
    }
    client.set_markets([client.safe_market_structure(market)])
    client.features = {"spot": {"fetchOrders": {"limit": 3}}}
    fill = {"price": "5", "qty": "1", "commission": "0", "commissionAsset": "BTC"}
    raw = {
        "symbol": "BTCUSDT", "orderId": 7, "clientOrderId": "one-7-1", "price": "5", "origQty": "4",
        "executedQty": "4", "cummulativeQuoteQty": "20", "status": "FILLED", "type": "LIMIT", "side": "BUY",
        "time": NOW_MS - 60_000, "updateTime": NOW_MS - 60_000,
        "fills": [{**fill, "tradeId": number} for number in range(4)],
    }  # fmt: skip

    async def listed(params):
        return [dict(raw)]

    client.privateGetAllOrders = listed
    account = account_of(client)
    (row,) = asyncio.run(account._spans("fetchOrders", "BTC/USDT", NOW_MS - DAY_MS // 2))
    assert (row["id"], len(row["trades"])) == ("7", 4)

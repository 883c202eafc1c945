"""Fidelity, judged by a client that is not ours: ccxt.pro trades, watches and is refused."""

import asyncio
from decimal import Decimal
from functools import partial

import pytest
from ccxt.base.errors import (
    BadRequest,
    BaseError,
    DDoSProtection,
    ExchangeNotAvailable,
    InsufficientFunds,
    OperationFailed,
    OrderImmediatelyFillable,
    OrderNotFound,
    RequestTimeout,
)

from tests.clients.conftest import connected, run


@pytest.fixture
def ccxt_client(spot):
    return partial(connected, spot, "ccxt")


def test_ccxt_reads_the_rules_the_market_and_the_account(spot, ccxt_client):
    async def work():
        async with ccxt_client() as client:
            markets = await client.load_markets()
            rules = markets["BTC/USDT"]
            assert (rules["precision"]["price"], rules["precision"]["amount"]) == (0.01, 0.00001)
            assert rules["limits"]["cost"]["min"] == 5
            assert abs(await client.fetch_time() - client.milliseconds()) < 5_000
            book = await client.fetch_order_book("BTC/USDT", 20)
            assert book["bids"][0][0] < book["asks"][0][0]
            assert len(book["bids"]) == 20
            ticker = await client.fetch_ticker("BTC/USDT")
            assert ticker["bid"] < ticker["ask"]
            assert (await client.fetch_trading_fee("BTC/USDT"))["maker"] == 0.001
            months = await client.fetch_ohlcv("BTC/USDT", "1M")
            assert client.iso8601(months[-1][0]).endswith("-01T00:00:00.000Z")
            balance = await client.fetch_balance()
            for asset in ("USDT", "BTC"):
                assert balance[asset]["total"] == float(spot.exchange.balance(asset))

    run(work())


def test_ccxt_trades_by_rest(ccxt_client):
    async def work():
        async with ccxt_client() as client:
            await client.load_markets()
            bought = await client.create_order("BTC/USDT", "market", "buy", 0.01)
            assert (bought["status"], bought["filled"]) == ("closed", 0.01)
            assert bought["fees"][0]["currency"] == "BTC"
            resting = await client.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000)
            assert resting["id"] in [order["id"] for order in await client.fetch_open_orders("BTC/USDT")]
            assert (await client.cancel_order(resting["id"], "BTC/USDT"))["status"] == "canceled"
            trades = await client.fetch_order_trades(bought["id"], "BTC/USDT")
            assert sum(trade["amount"] for trade in trades) == pytest.approx(0.01)
            orders = {order["id"]: order for order in await client.fetch_orders("BTC/USDT")}
            assert [orders[one["id"]]["status"] for one in (bought, resting)] == ["closed", "canceled"]
            stop = await client.create_order(
                "BTC/USDT", "STOP_LOSS_LIMIT", "sell", 0.01, 40_000, {"stopPrice": 41_000}
            )
            assert (await client.fetch_order(stop["id"], "BTC/USDT"))["stopPrice"] == 41_000
            edited = await client.edit_order(stop["id"], "BTC/USDT", "limit", "sell", 0.01, 90_000)
            assert edited["id"] != stop["id"]
            assert edited["id"] in [one["id"] for one in await client.cancel_all_orders("BTC/USDT")]

    run(work())


def test_ccxt_meets_faults_in_its_own_exceptions_and_three_of_five_orders_live(spot, ccxt_client):
    kinds = ("-1007", "http_5xx", "rate_429", "lose_answer", "-1006")
    faults = [{"kind": kind, "method": "order.place", "count": 1} for kind in kinds]
    faults[-1]["executed"] = False

    async def work():
        async with ccxt_client() as client:
            await client.load_markets()
            before = len(await client.fetch_open_orders("BTC/USDT"))
            spot.faults(*faults)
            client.timeout = 1_000
            raised = []
            for _ in faults:
                with pytest.raises(BaseError) as error:
                    await client.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000)
                raised.append(type(error.value))
            assert raised == [
                RequestTimeout,
                ExchangeNotAvailable,
                DDoSProtection,
                RequestTimeout,
                OperationFailed,
            ]
            assert len(await client.fetch_open_orders("BTC/USDT")) == before + 3
            await client.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000)
            await client.cancel_all_orders("BTC/USDT")

    run(work())


def test_ccxt_is_refused_in_its_own_exceptions(ccxt_client):
    async def work():
        async with ccxt_client() as client:
            await client.load_markets()
            with pytest.raises(InsufficientFunds):
                await client.create_order("BTC/USDT", "limit", "buy", 100, 60_000)
            with pytest.raises(BadRequest, match="NOTIONAL"):
                await client.create_order("BTC/USDT", "limit", "buy", 0.00001, 60_000)
            with pytest.raises(OrderNotFound):
                await client.cancel_order("4711", "BTC/USDT")
            with pytest.raises(OrderNotFound):
                await client.fetch_order("4711", "BTC/USDT")
            with pytest.raises(OrderImmediatelyFillable):
                await client.create_order("BTC/USDT", "limit", "buy", 0.01, 90_000, {"postOnly": True})
            with pytest.raises(BadRequest, match="-1020"):  # no order lists
                await client.private_post_orderlist_oco({"symbol": "BTCUSDT"})
            client.secret = "wrong"
            with pytest.raises(Exception, match="-1022"):
                await client.fetch_balance()

    run(work())


def test_ccxt_watches_the_market(ccxt_client):
    async def work():
        async with ccxt_client() as client:
            await client.load_markets()
            trades = await client.watch_trades("BTC/USDT")
            assert trades[0]["symbol"] == "BTC/USDT"
            quote = await client.watch_bids_asks(["BTC/USDT"])
            assert quote["BTC/USDT"]["bid"] < quote["BTC/USDT"]["ask"]
            for _ in range(15):
                book = await client.watch_order_book("BTC/USDT")
            assert book["bids"][0][0] < book["asks"][0][0]
            bars = await client.watch_ohlcv("BTC/USDT", "1s")
            assert bars[-1][2] >= bars[-1][3]

    run(work())


def test_ccxt_trades_by_websocket_and_hears_of_it(spot, ccxt_client):
    async def work():
        async with ccxt_client() as client:
            await client.load_markets()
            before = spot.exchange.balance("BTC")
            watching = asyncio.ensure_future(client.watch_orders("BTC/USDT"))
            await asyncio.sleep(0.5)
            placed = await client.create_order_ws("BTC/USDT", "limit", "buy", 0.01, 50_000)
            heard = await watching
            assert heard[-1]["id"] == placed["id"]
            assert heard[-1]["status"] == "open"
            watching = asyncio.ensure_future(client.watch_orders("BTC/USDT"))
            await asyncio.sleep(0)
            await client.cancel_order_ws(placed["id"], "BTC/USDT")
            assert (await watching)[-1]["status"] == "canceled"
            fills = asyncio.ensure_future(client.watch_my_trades("BTC/USDT"))
            await asyncio.sleep(0.2)
            await client.create_order_ws("BTC/USDT", "market", "buy", 0.01)
            assert (await fills)[-1]["fee"]["currency"] == "BTC"
            balance = await client.fetch_balance_ws()
            held = {
                row["asset"]: row["free"] for row in balance["info"]["balances"]
            }  # it parses futures' only
            assert Decimal(held["BTC"]) == before + Decimal("0.00999")

    run(work())

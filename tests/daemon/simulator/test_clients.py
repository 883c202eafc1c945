"""Fidelity, judged by a client that is not ours: ccxt.pro trades, watches and is refused."""

import asyncio
from contextlib import asynccontextmanager
from random import Random

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

from daemon.clock import SystemClock
from daemon.simulator.auth import Key
from daemon.simulator.fault import Fault
from daemon.simulator.server import running
from daemon.simulator.settings import SimulatorSettings
from daemon.simulator.warm import warm_up

KEY = Key("k" * 64, "main", secret=b"s" * 64)


@pytest.fixture(scope="module", autouse=True)
def _warm():
    """Compile before anyone waits for an answer."""
    warm_up(synthetic=True)


@asynccontextmanager
async def ccxt_client(key=KEY, **changes):
    """Run an exchange and point ccxt.pro's Binance at it."""
    from ccxt.pro import binance

    settings = SimulatorSettings(key=key, symbols=("BTC/USDT",), **changes)
    async with running(settings, SystemClock(), Random(1), lambda message: None) as urls:
        rest, stream = urls["spot"], urls["spot"].replace("http", "ws")
        client = binance({"apiKey": key.api_key, "secret": key.secret.decode()})
        client.urls["api"].update(public=rest + "/api/v3", private=rest + "/api/v3")
        client.urls["api"]["ws"]["spot"] = stream + "/ws"
        client.urls["api"]["ws"]["ws-api"]["spot"] = stream + "/ws-api/v3"
        client.options |= {
            "fetchMarkets": {"types": ["spot"]},
            "fetchCurrencies": False,
            "fetchMargins": False,
        }
        client.has["fetchCurrencies"] = False
        try:
            yield client
        finally:
            await client.close()


def run(work):
    asyncio.run(asyncio.wait_for(work, 60))


def test_ccxt_reads_the_rules_the_market_and_the_account():
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
            balance = await client.fetch_balance()
            assert (balance["USDT"]["free"], balance["BTC"]["free"]) == (100_000, 1)

    run(work())


def test_ccxt_trades_by_rest():
    async def work():
        async with ccxt_client() as client:
            await client.load_markets()
            bought = await client.create_order("BTC/USDT", "market", "buy", 0.01)
            assert (bought["status"], bought["filled"]) == ("closed", 0.01)
            assert bought["fees"][0]["currency"] == "BTC"
            resting = await client.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000)
            assert [order["id"] for order in await client.fetch_open_orders("BTC/USDT")] == [resting["id"]]
            assert (await client.cancel_order(resting["id"], "BTC/USDT"))["status"] == "canceled"
            trades = await client.fetch_my_trades("BTC/USDT")
            assert {trade["order"] for trade in trades} == {bought["id"]}
            assert sum(trade["amount"] for trade in trades) == pytest.approx(0.01)
            orders = await client.fetch_orders("BTC/USDT")
            assert [order["status"] for order in orders] == ["closed", "canceled"]
            stop = await client.create_order(
                "BTC/USDT", "STOP_LOSS_LIMIT", "sell", 0.01, 40_000, {"stopPrice": 41_000}
            )
            assert (await client.fetch_order(stop["id"], "BTC/USDT"))["stopPrice"] == 41_000
            edited = await client.edit_order(stop["id"], "BTC/USDT", "limit", "sell", 0.01, 90_000)
            assert edited["id"] != stop["id"]
            assert len(await client.cancel_all_orders("BTC/USDT")) == 1

    run(work())


def test_ccxt_meets_faults_in_its_own_exceptions_and_three_of_five_orders_live():
    kinds = ({"kind": "-1007"}, {"kind": "http_5xx"}, {"kind": "rate_429"}, {"kind": "lose_answer"})
    faults = [Fault(**kind, method="order.place", count=1) for kind in kinds]
    faults.append(Fault(kind="-1006", method="order.place", count=1, executed=False))

    async def work():
        async with ccxt_client(faults=tuple(faults)) as client:
            await client.load_markets()
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
            assert len(await client.fetch_open_orders("BTC/USDT")) == 3
            await client.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000)

    run(work())


def test_ccxt_is_refused_in_its_own_exceptions():
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
            client.secret = "wrong"
            with pytest.raises(Exception, match="-1022"):
                await client.fetch_balance()

    run(work())


def test_ccxt_watches_the_market():
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


def test_ccxt_trades_by_websocket_and_hears_of_it():
    async def work():
        async with ccxt_client() as client:
            await client.load_markets()
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
            assert held["BTC"] == "1.00999000"

    run(work())

"""python-binance, on which many bots stand: REST, the WebSocket API, raw and combined sockets, user data."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from tests.clients.conftest import Place

S = "BTCUSDT"
LIMIT = {"symbol": S, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what it imports


@asynccontextmanager
async def connected(place):
    """Give a client and its sockets; it ends once its own reading has timed out."""
    names = place.client("python-binance")
    from binance.ws.reconnecting_websocket import ReconnectingWebsocket

    ReconnectingWebsocket.TIMEOUT = 2.0
    client = await names["Client"].create(place.key, place.secret)
    try:
        yield client, names["Sockets"](client)
    finally:
        await client.close_connection()


def run(work):
    asyncio.run(asyncio.wait_for(work, 60))


async def first(socket):
    """Return the first message of a socket."""
    async with socket as one:
        return await one.recv()


def test_it_reads_the_market_and_the_account(spot):
    async def work():
        async with connected(spot) as (client, _):
            assert (await client.get_symbol_info(S))["baseAsset"] == "BTC"
            book = await client.get_order_book(symbol=S, limit=5)
            assert float(book["bids"][0][0]) < float(book["asks"][0][0])
            assert await client.get_klines(symbol=S, interval="1m")
            assert (await client.get_ticker(symbol=S))["symbol"] == S
            assert (await client.get_trade_fee(symbol=S))[0]["makerCommission"] == "0.001"
            assert (await client.get_asset_balance(asset="BTC"))["asset"] == "BTC"
            assert (await client.get_account_api_permissions())["enableWithdrawals"] is False

    run(work())


def test_it_trades_by_rest_and_by_websocket_and_is_refused(spot):
    from binance.exceptions import BinanceAPIException

    async def work():
        async with connected(spot) as (client, sockets):
            assert await client.create_test_order(**LIMIT, price="50000") == {}
            bought = await client.order_market_buy(symbol=S, quantity="0.01")
            assert bought["status"] == "FILLED"
            trades = await client.get_my_trades(symbol=S, orderId=bought["orderId"])
            assert sum(float(one["qty"]) for one in trades) == pytest.approx(0.01)
            async with sockets.user_socket() as events:
                order = await client.ws_create_order(**LIMIT, price="50000")
                told = await events.recv()
                assert (told["e"], told["i"], told["X"]) == ("executionReport", order["orderId"], "NEW")
            found = await client.ws_get_order(symbol=S, orderId=order["orderId"])
            assert found["status"] == "NEW"
            gone = await client.cancel_order(symbol=S, orderId=order["orderId"])
            assert gone["status"] == "CANCELED"
            with pytest.raises(BinanceAPIException) as error:
                await client.cancel_order(symbol=S, orderId=order["orderId"])
            assert (error.value.code, error.value.status_code) == (-2011, 400)
            with pytest.raises(BinanceAPIException) as error:
                await client.ws_create_order(**(LIMIT | {"quantity": "100"}), price="50000")
            assert error.value.code == -2010
            order = await client.create_order(**LIMIT, price="50000")
            half = {"cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": order["orderId"]}
            with pytest.raises(BinanceAPIException) as error:
                await client.cancel_replace_order(**(LIMIT | {"quantity": "5000"}), price="50000", **half)
            assert (error.value.code, error.value.status_code) == (-2021, 409)
            client.API_SECRET = "wrong"
            with pytest.raises(BinanceAPIException) as error:
                await client.get_account()
            assert error.value.code == -1022

    run(work())


def test_raw_and_combined_sockets_bring_the_market(spot):
    async def work():
        async with connected(spot) as (_, sockets):
            trade, quote, book, bar, combined, day = await asyncio.gather(
                first(sockets.trade_socket(S)),
                first(sockets.symbol_book_ticker_socket(S)),
                first(sockets.depth_socket(S, depth="5", interval=100)),
                first(sockets.kline_socket(S)),
                first(sockets.multiplex_socket(["btcusdt@aggTrade"])),
                first(sockets.multiplex_socket(["!miniTicker@arr"])),
            )
            assert (trade["e"], trade["s"], bar["e"]) == ("trade", S, "kline")
            assert float(quote["b"]) < float(quote["a"])
            assert len(book["bids"]) == 5
            assert [one["s"] for one in day["data"]] == [S]
            assert (combined["stream"], combined["data"]["e"]) == ("btcusdt@aggTrade", "aggTrade")

    run(work())


def test_it_trades_futures_and_its_listen_key_tells_of_it(usdm):
    async def work():
        async with connected(Place(usdm.exchange, "spot")) as (client, sockets):
            assert (await client.futures_change_leverage(symbol=S, leverage=5))["leverage"] == 5
            assert float((await client.futures_mark_price(symbol=S))["markPrice"]) > 0
            price = round(float((await client.futures_symbol_ticker(symbol=S))["price"]) * 0.97)
            async with sockets.futures_user_socket() as events:
                order = await client.futures_create_order(**LIMIT, price=price)
                told = await events.recv()
                assert (told["e"], told["o"]["i"]) == ("ORDER_TRADE_UPDATE", order["orderId"])
            found = await client.futures_get_open_orders(symbol=S)
            assert order["orderId"] in [one["orderId"] for one in found]
            gone = await client.futures_cancel_order(symbol=S, orderId=order["orderId"])
            assert gone["status"] == "CANCELED"
            market = {"symbol": S, "type": "MARKET", "quantity": "0.01"}
            await client.futures_create_order(side="BUY", **market)
            (held,) = await client.futures_position_information(symbol=S)
            assert held["positionAmt"] == "0.010"
            await client.futures_create_order(side="SELL", **market)
            quote = await first(sockets.symbol_ticker_futures_socket(S))
            assert quote["data"]["e"] == "bookTicker"
            mark = await first(sockets.symbol_mark_price_socket(S))
            assert mark["data"]["e"] == "markPriceUpdate"

    run(work())

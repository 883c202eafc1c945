"""Fidelity, judged by a client that is not ours: ccxt.pro's binanceusdm trades, watches and is refused."""

import asyncio
from functools import partial

import pytest
from ccxt.base.errors import ExchangeError, InvalidOrder, OrderNotFound

from tests.clients.conftest import connected, run

SYMBOL = "BTC/USDT:USDT"


@pytest.fixture
def ccxt_client(usdm):
    return partial(connected, usdm, "ccxt-usdm")


def test_ccxt_reads_the_rules_and_the_account(ccxt_client):
    async def work():
        async with ccxt_client() as client:
            rules = (await client.load_markets())[SYMBOL]
            assert (rules["precision"]["price"], rules["precision"]["amount"]) == (0.1, 0.001)
            assert (rules["limits"]["cost"]["min"], rules["settle"], rules["linear"]) == (100, "USDT", True)
            assert abs(await client.fetch_time() - client.milliseconds()) < 5_000
            balance = await client.fetch_balance()
            assert 99_000 < balance["USDT"]["total"] <= 100_000
            assert (await client.fetch_position_mode(SYMBOL))["hedged"] is False
            assert await client.fetch_positions([SYMBOL]) == []

    run(work())


def test_ccxt_opens_holds_and_closes_a_position_by_rest(ccxt_client):
    async def work():
        async with ccxt_client() as client:
            await client.load_markets()
            assert (await client.set_leverage(5, SYMBOL))["leverage"] == 5
            await client.set_margin_mode("isolated", SYMBOL)
            assert (await client.fetch_leverage(SYMBOL))["longLeverage"] == 5
            before = await client.fetch_balance()
            since_ms = client.milliseconds()
            bought = await client.create_order(SYMBOL, "market", "buy", 0.01)
            assert (bought["status"], bought["filled"]) == ("closed", 0.01)
            (position,) = await client.fetch_positions([SYMBOL])
            assert (position["side"], position["contracts"]) == ("long", 0.01)
            assert position["entryPrice"] == pytest.approx(bought["average"])
            assert position["initialMargin"] == pytest.approx(position["notional"] / 5, rel=1e-3)
            held = await client.fetch_balance()
            assert held["USDT"]["used"] > 0
            sold = await client.create_order(SYMBOL, "market", "sell", 0.02, None, {"reduceOnly": True})
            assert sold["filled"] == 0.01, "it is cut to the position"
            assert await client.fetch_positions([SYMBOL]) == []
            mine = {bought["id"], sold["id"]}
            trades = [trade for trade in await client.fetch_my_trades(SYMBOL) if trade["order"] in mine]
            assert {trade["order"] for trade in trades} == mine
            paid = sum(trade["fee"]["cost"] for trade in trades)
            made = sum(float(trade["info"]["realizedPnl"]) for trade in trades)
            funded = sum(row["amount"] for row in await client.fetch_funding_history(SYMBOL, since_ms))
            after = await client.fetch_balance()
            whole = before["USDT"]["total"] + made - paid + funded
            assert after["USDT"]["total"] == pytest.approx(whole, abs=1e-6)
            assert after["USDT"]["used"] == 0

    run(work())


def test_ccxt_rests_modifies_and_cancels_and_holds_stops_apart(ccxt_client):
    async def work():
        async with ccxt_client() as client:
            await client.load_markets()
            price = round((await client.fetch_ticker(SYMBOL))["last"] * 0.97)
            resting = await client.create_order(SYMBOL, "limit", "buy", 0.01, price, {"postOnly": True})
            assert (resting["status"], resting["timeInForce"]) == ("open", "PO")
            edited = await client.edit_order(resting["id"], SYMBOL, "limit", "buy", 0.005, price - 10)
            assert (edited["id"], edited["amount"], edited["price"]) == (resting["id"], 0.005, price - 10)
            assert resting["id"] in [one["id"] for one in await client.fetch_open_orders(SYMBOL)]
            assert (await client.cancel_order(resting["id"], SYMBOL))["status"] == "canceled"
            await client.create_order(SYMBOL, "market", "buy", 0.01)
            stop = await client.create_order(
                SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": price, "reduceOnly": True}
            )
            found = [one["id"] for one in await client.fetch_open_orders(SYMBOL)]
            assert (stop["id"] in found, stop["triggerPrice"]) == (False, price)
            waiting = await client.fetch_open_orders(SYMBOL, params={"trigger": True})
            assert [one["id"] for one in waiting] == [stop["id"]]
            await client.cancel_order(stop["id"], SYMBOL, {"trigger": True})
            assert await client.fetch_open_orders(SYMBOL, params={"trigger": True}) == []
            await client.create_order(SYMBOL, "limit", "buy", 0.01, price)
            await client.cancel_all_orders(SYMBOL)
            assert await client.fetch_open_orders(SYMBOL) == []
            await client.create_order(SYMBOL, "market", "sell", 0.01, None, {"reduceOnly": True})

    run(work())


def test_ccxt_is_refused_in_its_own_exceptions(ccxt_client):
    async def work():
        async with ccxt_client() as client:
            await client.load_markets()
            last = (await client.fetch_ticker(SYMBOL))["last"]
            with pytest.raises(ExchangeError, match="-2019"):
                await client.create_order(SYMBOL, "limit", "buy", 40, last)
            with pytest.raises(ExchangeError, match="-2022"):
                await client.create_order(SYMBOL, "market", "sell", 0.01, None, {"reduceOnly": True})
            with pytest.raises(InvalidOrder, match="-5022"):
                await client.create_order(SYMBOL, "limit", "buy", 0.01, last * 1.01, {"postOnly": True})
            with pytest.raises(ExchangeError, match="-4164"):
                await client.create_order(SYMBOL, "limit", "buy", 0.001, last * 0.99)
            with pytest.raises(OrderNotFound):
                await client.cancel_order("4711", SYMBOL)
            with pytest.raises(OrderNotFound):
                await client.fetch_order("4711", SYMBOL)

    run(work())


def test_ccxt_trades_by_websocket_and_hears_of_it(ccxt_client):
    async def work():
        async with ccxt_client() as client:
            await client.load_markets()
            price = round((await client.fetch_ticker(SYMBOL))["last"] * 0.97)
            watching = asyncio.ensure_future(client.watch_orders(SYMBOL))
            await asyncio.sleep(0.5)
            placed = await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, price)
            heard = await watching
            assert (heard[-1]["id"], heard[-1]["status"]) == (placed["id"], "open")
            watching = asyncio.ensure_future(client.watch_orders(SYMBOL))
            await asyncio.sleep(0)
            await client.cancel_order_ws(placed["id"], SYMBOL)
            assert (await watching)[-1]["status"] == "canceled"
            fills = asyncio.ensure_future(client.watch_my_trades(SYMBOL))
            positions = asyncio.ensure_future(client.watch_positions([SYMBOL]))
            await asyncio.sleep(0.2)
            await client.create_order_ws(SYMBOL, "market", "buy", 0.01)
            assert (await fills)[-1]["fee"]["currency"] == "USDT"
            (position,) = await positions
            assert (position["side"], position["contracts"]) == ("long", 0.01)
            assert (await client.fetch_balance_ws())["USDT"]["used"] > 0
            assert [one["contracts"] for one in await client.fetch_positions_ws([SYMBOL])] == [0.01]
            await client.create_order_ws(SYMBOL, "market", "sell", 0.01, None, {"reduceOnly": True})

    run(work())

"""The control port, and faults as they look over real sockets of the loopback."""

import asyncio

import aiohttp
import msgspec
import pytest

from daemon.errors import UsageError
from daemon.simulator.fault import Fault
from daemon.simulator.warm import warm_up
from tests.daemon.simulator.test_server import exchange, run, signed


@pytest.fixture(scope="module", autouse=True)
def _warm():
    """Compile before anyone waits for an answer."""
    warm_up(synthetic=True)


async def post(client, url, *faults, **options):
    """Post faults; returns (status, what is told)."""
    body = msgspec.json.encode(list(faults))
    async with client.post(url + "/_simulator/faults", data=body, **options) as answer:
        return answer.status, await answer.json()


async def report(client, url, verb="get"):
    async with getattr(client, verb)(url + "/_simulator/faults") as answer:
        assert answer.status == 200
        return await answer.json()


async def place(api, **changes):
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"} | changes
    await api.send_json({"id": 2, "method": "order.place", "params": signed(order)})


def test_faults_are_posted_told_and_taken_off():
    async def work():
        async with exchange() as (urls, client, _):
            url = urls["spot"]
            assert (await report(client, url))["faults"] == []
            status, told = await post(
                client, url, {"kind": "lose_answer", "count": 1, "method": "order.place"}
            )
            assert (status, told["faults"][0]["state"]) == (200, "live")
            api = await client.ws_connect(url.replace("http", "ws") + "/ws-api/v3")
            await api.send_json(
                {"id": 1, "method": "userDataStream.subscribe.signature", "params": signed({})}
            )
            assert (await api.receive_json())["id"] == 1
            await place(api)
            event = await api.receive_json()
            assert event["event"]["x"] == "NEW"
            assert (await report(client, url))["struck"] == {"lose_answer": 1}
            async with client.post(
                url + "/_simulator/faults", data='[[fault]]\nkind = "stall"\nlasts_s = 60'
            ) as answer:
                assert len((await answer.json())["faults"]) == 2
            told = await report(client, url, "delete")
            assert (told["faults"], told["struck"]) == ([], {"lose_answer": 1, "stall": 1})
            await api.close()

    run(work())


def test_what_is_wrong_is_answered_with_a_sentence():
    async def work():
        async with exchange() as (urls, client, _):
            status, told = await post(client, urls["spot"], {"kind": "crash"}, {"kind": "drop"})
            assert (status, told["error"]) == (
                400,
                "the request: fault 2 (drop): it needs count, lasts_s or both",
            )
            status, told = await post(client, urls["spot"], {"kind": "break", "symbol": "X", "lasts_s": 1})
            assert (status, told["error"]) == (400, "the fault break names X, which is not listed")
            assert (await report(client, urls["spot"]))["faults"] == []

    run(work())


def test_no_web_page_may_change_anything():
    async def work():
        async with exchange() as (urls, client, _):
            page = {"headers": {"Origin": "http://example.com"}}
            status, told = await post(client, urls["spot"], {"kind": "crash"}, **page)
            assert (status, told["error"]) == (403, "this is not for web pages")
            async with client.get(urls["spot"] + "/_simulator/state", **page) as answer:
                assert (await answer.json())["tape"] is None
            async with client.post(urls["spot"] + "/_simulator/start") as answer:
                assert (answer.status, await answer.json()) == (409, {"error": "there is no tape to start"})

    run(work())


def test_a_lost_answer_over_rest_lasts_until_the_client_gives_up():
    async def work():
        async with exchange() as (urls, client, _):
            await post(client, urls["spot"], {"kind": "lose_answer", "of": "rest", "count": 1})
            with pytest.raises(asyncio.TimeoutError):
                async with client.get(
                    urls["spot"] + "/api/v3/ping", timeout=aiohttp.ClientTimeout(total=0.3)
                ):
                    pass
            async with client.get(urls["spot"] + "/api/v3/ping") as answer:
                assert answer.status == 200

    run(work())


def test_an_answer_over_rest_is_late():
    async def work():
        async with exchange() as (urls, client, _):
            await post(client, urls["spot"], {"kind": "delay", "of": "answers", "delay_s": 0.2, "count": 1})

            async def ping():
                async with client.get(urls["spot"] + "/api/v3/ping") as answer:
                    return answer.status

            slow = asyncio.ensure_future(ping())
            while not (await report(client, urls["spot"]))["struck"]:
                pass
            assert await ping() == 200
            assert not slow.done()
            assert await slow == 200

    run(work())


def test_connections_are_cut_without_a_close_or_closed_with_a_code_or_refused():
    async def work():
        async with exchange() as (urls, client, _):
            base = urls["spot"].replace("http", "ws") + "/ws/btcusdt@bookTicker"
            for fault, code in (({}, 1006), ({"code": 1001}, 1001)):
                market = await client.ws_connect(base)
                await market.receive()
                await post(client, urls["spot"], {"kind": "disconnect"} | fault)
                while not market.closed:
                    await market.receive()
                assert market.close_code == code
            await post(client, urls["spot"], {"kind": "refuse_connect", "lasts_s": 60})
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await client.ws_connect(base)
            await report(client, urls["spot"], "delete")
            await post(client, urls["spot"], {"kind": "refuse_connect", "count": 1, "code": 502})
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.ws_connect(base)
            assert refused.value.status == 502
            market = await client.ws_connect(base)
            assert (await market.receive_json())["s"] == "BTCUSDT"
            await market.close()

    run(work())


def test_a_stalled_connection_says_nothing_but_pongs():
    async def work():
        async with exchange() as (urls, client, _):
            market = await client.ws_connect(
                urls["spot"].replace("http", "ws") + "/ws/btcusdt@bookTicker", autoping=False
            )
            await market.receive()
            await post(client, urls["spot"], {"kind": "stall", "lasts_s": 60})
            await market.ping(b"there?")
            while (message := await market.receive()).type is aiohttp.WSMsgType.TEXT:
                pass  # what was written before
            assert (message.type, message.data) == (aiohttp.WSMsgType.PONG, b"there?")
            with pytest.raises(asyncio.TimeoutError):
                await market.receive(timeout=0.3)
            await report(client, urls["spot"], "delete")
            assert (await market.receive()).type is aiohttp.WSMsgType.TEXT
            await market.close()

    run(work())


def test_faults_of_the_settings_are_in_force_from_the_start():
    async def work():
        async with exchange(faults=(Fault(kind="http_5xx", code=502, count=1),)) as (urls, client, _):
            async with client.get(urls["spot"] + "/api/v3/ping") as answer:
                assert answer.status == 502
            async with client.get(urls["spot"] + "/api/v3/ping") as answer:
                assert answer.status == 200

    run(work())


def test_faults_of_the_settings_that_could_never_strike_are_refused_before_a_port_is_taken():
    async def work():
        with pytest.raises(UsageError, match="names the market usdm"):
            async with exchange(faults=(Fault(kind="stall", market="usdm", lasts_s=1),)):
                pass

    run(work())

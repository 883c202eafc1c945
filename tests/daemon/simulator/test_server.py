"""The shell on real sockets of the loopback."""

import asyncio
import hashlib
import hmac
import socket
from contextlib import asynccontextmanager
from random import Random
from urllib.parse import urlencode

import aiohttp
import msgspec
import pytest

from daemon.clock import SystemClock
from daemon.errors import NetError
from daemon.simulator import server
from daemon.simulator.auth import Key, sorted_payload
from daemon.simulator.rates import Limits
from daemon.simulator.server import SocketOutbox, running
from daemon.simulator.settings import SimulatorSettings
from daemon.simulator.warm import warm_up
from tests.daemon.simulator.conftest import DEPTH, QUOTE, SNAPSHOT, TRADE


@pytest.fixture(scope="module", autouse=True)
def _warm():
    """Compile before anyone waits for an answer."""
    warm_up(synthetic=True)


KEY = Key("k" * 64, "main", secret=b"s" * 64)


@asynccontextmanager
async def exchange(**changes):
    """Run an exchange; gives (urls, client session, messages said)."""
    said = []
    settings = SimulatorSettings(key=KEY, **({"symbols": ("BTC/USDT",)} | changes))
    async with (
        running(settings, SystemClock(), Random(1), said.append) as urls,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session,
    ):
        yield urls, session, said


def run(work):
    asyncio.run(asyncio.wait_for(work, 60))


def signed(params):
    full = {"apiKey": KEY.api_key, "timestamp": SystemClock().now_ns() // 10**6} | params
    payload = sorted_payload({name: str(value) for name, value in full.items()})
    return full | {"signature": hmac.new(KEY.secret, payload, hashlib.sha256).hexdigest()}


def test_rest_is_answered_with_status_headers_and_json():
    async def work():
        async with exchange() as (urls, client, _):
            async with client.get(urls["spot"] + "/api/v3/depth", params={"symbol": "BTCUSDT"}) as answer:
                assert answer.status == 200
                assert answer.content_type == "application/json"
                assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "5"
                assert (await answer.json())["bids"]
            async with client.get(urls["spot"] + "/api/v3/depth", params={"symbol": "NOPE"}) as answer:
                assert (answer.status, (await answer.json())["code"]) == (400, -1121)
            query = urlencode({"timestamp": SystemClock().now_ns() // 10**6})
            signature = hmac.new(KEY.secret, query.encode(), hashlib.sha256).hexdigest()
            url = f"{urls['spot']}/api/v3/account?{query}&signature={signature}"
            async with client.get(url, headers={"X-MBX-APIKEY": KEY.api_key}) as answer:
                assert answer.status == 200

    run(work())


def test_orders_go_over_the_websocket_api_while_the_market_streams():
    async def work():
        async with exchange() as (urls, client, _):
            base = urls["spot"].replace("http", "ws")
            market = await client.ws_connect(base + "/stream?streams=btcusdt@trade/btcusdt@bookTicker")
            quote = await market.receive_json()
            while not quote["stream"].endswith("bookTicker"):
                quote = await market.receive_json()
            api = await client.ws_connect(base + "/ws-api/v3")
            await api.send_json(
                {"id": 1, "method": "userDataStream.subscribe.signature", "params": signed({})}
            )
            assert (await api.receive_json())["result"] == {"subscriptionId": 0}
            order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}
            await api.send_json({"id": 2, "method": "order.place", "params": signed(order)})
            answer = await api.receive_json()
            assert (answer["id"], answer["status"], answer["result"]["status"]) == (2, 200, "FILLED")
            events = [(await api.receive_json())["event"] for _ in range(3)]
            assert [event["e"] for event in events] == [
                "executionReport",
                "executionReport",
                "outboundAccountPosition",
            ]
            assert not market.closed
            await market.close()
            await api.close()

    run(work())


def test_a_tape_at_full_speed_arrives_whole_and_in_order(write):
    quotes = [QUOTE.replace('"u":1', f'"u":{number}') for number in range(3_000)]
    path = write(QUOTE, DEPTH % (8, 9, "99.00", "5"), SNAPSHOT, TRADE, *quotes)

    async def work():
        async with exchange(tape=path, speed=0.0) as (urls, client, said):
            base = urls["spot"].replace("http", "ws")
            names = "btcusdt@bookTicker/btcusdt@trade/btcusdt@depth@100ms"
            market = await client.ws_connect(f"{base}/stream?streams={names}")
            first = [(await market.receive()).data for _ in range(2)]
            assert first == [QUOTE, DEPTH % (8, 9, "99.00", "5")]
            async with client.get(urls["spot"] + "/api/v3/depth", params={"symbol": "BTCUSDT"}) as answer:
                assert (await answer.json())["lastUpdateId"] == 10
            rest = [(await market.receive()).data for _ in range(3_001)]
            assert rest == [TRADE, *quotes]
            async with client.get(urls["spot"] + "/_simulator/state") as answer:
                state = await answer.json()
            assert (state["tape"], state["frames"]) == ("ended", 3_003)
            assert said[-1]["event"] == "tape_ended"
            assert not market.closed
            await market.close()

    run(work())


def test_a_tape_can_be_started_by_the_control_port(write):
    async def work():
        async with exchange(tape=write(QUOTE, QUOTE), speed=0.0) as (urls, client, said):
            async with client.post(urls["spot"] + "/_simulator/start") as answer:
                assert answer.status == 200
            while not said or said[-1]["event"] != "tape_ended":  # noqa: ASYNC110 - a list wakes nobody
                await asyncio.sleep(0.01)
            assert said[-1]["frames"] == 2
        async with exchange() as (urls, client, _), client.post(urls["spot"] + "/_simulator/start") as answer:
            assert answer.status == 409

    run(work())


def test_a_paced_tape_does_not_hurry(write):
    async def work():
        async with exchange(tape=write(*[QUOTE] * 4), speed=2e-5) as (urls, client, _):
            began = asyncio.get_running_loop().time()
            base = urls["spot"].replace("http", "ws")
            market = await client.ws_connect(f"{base}/ws/btcusdt@bookTicker")
            payloads = [msgspec.json.decode((await market.receive()).data) for _ in range(4)]
            assert all("stream" not in payload for payload in payloads)
            assert (
                asyncio.get_running_loop().time() - began >= 0.15
            )  # three steps of a microsecond at 1/50,000
            await market.close()

    run(work())


def test_who_says_too_much_on_a_market_socket_is_cut_off():
    async def work():
        async with exchange(limits=Limits(messages_1s=5)) as (urls, client, _):
            market = await client.ws_connect(urls["spot"].replace("http", "ws") + "/ws")
            for number in range(20):
                await market.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
            answers = 0
            async for _message in market:
                answers += 1
            assert answers <= 10  # five in this second, five more if it ended meanwhile
            assert market.close_code == 1008

    run(work())


def test_pings_of_the_client_are_answered_and_the_servers_are_sent(monkeypatch):
    monkeypatch.setattr(server, "PING_S", 0.05)

    async def work():
        async with exchange() as (urls, client, _):
            market = await client.ws_connect(urls["spot"].replace("http", "ws") + "/ws", autoping=False)
            await market.ping(b"mine")
            kinds = set()
            while kinds != {aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG}:
                message = await market.receive()
                kinds.add(message.type)
                if message.type is aiohttp.WSMsgType.PONG:
                    assert message.data == b"mine"
            await market.close()

    run(work())


@pytest.mark.parametrize(("changes", "code"), [({}, 1008), ({"lifetime_s": 0.01}, 1001)])
def test_the_silent_and_the_old_are_disconnected(monkeypatch, changes, code):
    monkeypatch.setattr(server, "PING_S", 0.1)
    monkeypatch.setattr(server, "PONG_S_MAX", 0.15 if not changes else 60.0)

    async def work():
        async with exchange(**changes) as (urls, client, _):
            market = await client.ws_connect(urls["spot"].replace("http", "ws") + "/ws", autoping=False)
            async for _message in market:
                pass
            assert market.close_code == code

    run(work())


def test_a_refused_upgrade_is_an_http_status():
    async def work():
        async with exchange() as (urls, client, _):
            for path, status in (
                ("/nowhere", 404),
                ("/stream?streams=" + "/".join(["a@trade"] * 1_025), 400),
            ):
                with pytest.raises(aiohttp.WSServerHandshakeError) as error:
                    await client.ws_connect(urls["spot"].replace("http", "ws") + path)
                assert error.value.status == status
            async with client.get(urls["spot"] + "/ws", headers={"Upgrade": "websocket"}) as answer:
                assert answer.status == 400

    run(work())


def test_a_taken_port_is_one_sentence():
    async def work():
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(NetError, match=f"127.0.0.1:{port}.*choose another port"):
                async with exchange(port=port):
                    pass

    run(work())


def test_the_end_is_announced_and_closes_every_socket():
    async def work():
        async with exchange() as (urls, client, _):
            market = await client.ws_connect(urls["spot"].replace("http", "ws") + "/ws")
            stop = asyncio.get_running_loop().create_future()

            async def read():
                stop.set_result([message.data async for message in market])

            reading = asyncio.ensure_future(read())
            await asyncio.sleep(0)
        # the client's session closes first; the announcement has been read by then or the socket is gone
        await reading
        assert market.closed

    run(work())


# --- the outbox ---
class Transport:
    def __init__(self):
        self.written = []
        self.unread = 0

    def write(self, data):
        self.written.append(data)

    def get_write_buffer_size(self):
        return self.unread

    def is_closing(self):
        return False


def test_frames_of_one_turn_are_one_write_and_none_precedes_the_upgrade():
    async def work():
        transport = Transport()
        outbox = SocketOutbox(transport)
        outbox.send(b"early")
        await asyncio.sleep(0)
        assert transport.written == []
        outbox.open(lambda code, reason: None)
        assert transport.written == [b"\x81\x05early"]
        outbox.send(b"a")
        outbox.send(b"b" * 200)
        outbox.send(b"c" * 70_000)
        assert outbox.backlog == 3 + 204 + 70_010
        await asyncio.sleep(0)
        assert transport.written[1] == b"".join(
            [
                b"\x81\x01a",
                b"\x81\x7e\x00\xc8" + b"b" * 200,
                b"\x81\x7f" + (70_000).to_bytes(8, "big") + b"c" * 70_000,
            ]
        )

    run(work())


def test_a_close_is_asked_for_once_and_after_what_was_queued():
    async def work():
        transport, closed = Transport(), []
        outbox = SocketOutbox(transport)
        outbox.open(lambda code, reason: closed.append((code, len(transport.written))))
        outbox.send(b"last")
        outbox.close(1008, "x")
        outbox.close(1008, "x")
        assert closed == [(1008, 1)]

    run(work())

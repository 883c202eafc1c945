"""What stands between ccxt and the wire, against a small server that counts what comes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import ccxt.pro
import pytest
from aiohttp import web
from ccxt.base.errors import (
    DDoSProtection,
    ExchangeError,
    ExchangeNotAvailable,
    NetworkError,
    RateLimitExceeded,
    RequestTimeout,
)

from daemon.clock import SystemClock
from daemon.errors import ConfigError, NetError
from daemon.venues.ccxt_client import (
    TICKET,
    CcxtSettings,
    DryError,
    Ticket,
    connect_client,
    fields,
    make_client,
    numbers,
)


class Clock(SystemClock):
    """A clock of which the monotonic part can be moved on."""

    later_ns = 0

    def mono_ns(self):
        return super().mono_ns() + self.later_ns


def client_of(exchange="binance", **more):
    keys = {"apiKey": "k", "secret": "s"}
    settings = CcxtSettings(exchange=exchange, name="one", credentials=keys, timeout_ms=300, **more)
    return make_client(settings, {}, Clock())


class Server:
    """Answers as it is told, and writes down what comes."""

    def __init__(self):
        self.came = []
        self.answer = lambda request: web.json_response({"price": 0.00001, "n": 12345678901234567890})

    async def _take(self, request):
        await request.read()
        self.came.append(request.method)
        answer = self.answer(request)
        return await answer if asyncio.iscoroutine(answer) else answer


@asynccontextmanager
async def client_and_server(exchange="binance"):
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server._take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    client = client_of(exchange, rest_url=url)
    session = connect_client(client, "", None)
    try:
        yield client, server, url
    finally:
        await client.close()
        await session.close()
        await runner.cleanup()


def run(work, exchange="binance"):
    async def main():
        async with client_and_server(exchange) as (client, server, url):
            await asyncio.wait_for(work(client, server, url), 20)

    asyncio.run(main())


def hold(*, patient=True, dry=""):
    ticket = Ticket(patient=patient, dry=dry)
    TICKET.set(ticket)
    return ticket


def cut(request):
    request.transport.close()
    return web.Response()


def test_no_other_host_than_the_exchange_s_is_asked_and_an_order_has_not_left():
    async def work(client, server, url):
        ticket = hold()
        for method in ("GET", "POST"):
            with pytest.raises(ConfigError, match="ccxt would ask localhost for binance"):
                await client.fetch(url.replace("127.0.0.1", "localhost"), method, body="a=1")
        assert (ticket.left, server.came) == (False, [])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daemon.venues.ccxt_hosts.LOOPBACK", ())
        run(work)


def test_numbers_stay_the_text_that_came():
    async def work(client, server, url):
        server.answer = lambda request: web.Response(text='{"price": 0.100000000000000000001, "n": 1e-7}')
        assert await client.fetch(url) == {"price": "0.100000000000000000001", "n": "1e-7"}
        assert client.parse_number("0.100000000000000000001") == "0.100000000000000000001"

    run(work)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_kept_connection_that_was_closed_is_no_reason_to_send_again(method):
    async def work(client, server, url):
        await client.fetch(url)  # the connection is kept
        server.answer = cut
        ticket = hold()
        with pytest.raises((ExchangeNotAvailable, NetError)):
            await client.fetch(url, method, {}, "x=1")
        assert server.came == ["GET", method]
        assert ticket.left
        assert not ticket.answered

    run(work)


def test_aiohttp_by_itself_would_send_again():
    """So that the test above can fail."""

    async def work(client, server, url):
        await client.fetch(url)
        server.answer = cut
        with pytest.raises(ExchangeNotAvailable):
            await client.fetch(url, "DELETE", {}, "x=1")
        assert server.came == ["GET", "DELETE", "DELETE"]

    run(work)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status):
    async def work(client, server, url):
        server.answer = lambda request: web.Response(status=status, headers={"Location": "/elsewhere"})
        ticket = hold()
        with pytest.raises(ExchangeError):
            await client.fetch(url, "POST", {}, "x=1")
        assert server.came == ["POST"]
        assert (ticket.left, ticket.status, ticket.answered) == (True, status, False)

    run(work)


def test_a_second_request_that_writes_is_kept_back():
    async def work(client, server, url):
        ticket = hold()
        await client.fetch(url)
        assert not ticket.left
        await client.fetch(url, "POST", {}, "x=1")
        assert (ticket.left, ticket.answered) == (True, True)
        for method in ("POST", "PUT", "DELETE"):
            with pytest.raises(NetError, match="second request"):
                await client.fetch(url, method, {}, "x=1")
        assert server.came == ["GET", "POST"]

    run(work)


def test_ccxt_does_not_try_again_whatever_its_options_say():
    async def work(client, server, url):
        server.answer = cut
        hold()
        with pytest.raises(ExchangeNotAvailable):
            await client.private_post_order({"symbol": "BTCUSDT"})
        assert server.came == ["POST"]
        client.options["maxRetriesOnFailure"] = (
            3  # somebody turns it on: the second is kept back all the same
        )
        hold()
        with pytest.raises(NetError, match="second request"):
            await client.private_post_order({"symbol": "BTCUSDT"})
        assert server.came == ["POST", "POST"]

    run(work)


def test_an_order_has_the_venue_s_time_and_a_reading_more():
    async def work(client, server, url):
        async def late(request):
            await asyncio.sleep(0.6)
            return web.json_response({})

        server.answer = late
        assert client.timeout == 10_000
        assert await client.fetch(url) == {}
        ticket = hold()
        assert client.timeout == 300
        with pytest.raises(RequestTimeout):
            await client.fetch(url, "POST", {}, "x=1")
        assert ticket.left

    run(work)


def test_without_a_connection_nothing_left():
    async def work(client, server, url):
        ticket = hold()
        with pytest.raises(ExchangeNotAvailable):
            await client.fetch("http://127.0.0.1:1", "POST", {}, "x=1")
        assert not ticket.left

    run(work)


def test_what_left_has_left_whatever_comes_after():
    async def work(client, server, url):
        ticket = hold()
        await client.fetch(url, "POST", {}, "x=1")
        with pytest.raises(ExchangeNotAvailable):
            await client.fetch("http://127.0.0.1:1")
        assert (ticket.left, ticket.answered) == (True, True)

    run(work)


def test_a_dry_request_reads_what_it_must_and_sends_nothing_of_the_order():
    async def work(client, server, url):
        ticket = hold(dry="one-7-1")
        await client.fetch(url + "/mode")
        with pytest.raises(DryError):
            await client.fetch(url + "/order?id=one%2D7-1")
        assert "one-7-1" in ticket.request
        with pytest.raises(DryError):
            await client.fetch(url + "/order", "POST", {}, "x=1")
        assert server.came == ["GET"]

    run(work)


def test_an_order_does_not_wait_for_the_rate_limit_and_what_is_patient_does():
    async def work(client, server, url):
        client.throttler.timestamps = []
        client.throttler.config["maxWeight"] = 1.0
        hold(patient=False)
        await client.throttle(1.0)
        with pytest.raises(NetError, match="would have to wait"):
            await client.throttle(1.0)
        hold(patient=True)
        waiting = asyncio.ensure_future(client.throttle(1.0))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        waiting.cancel()

    run(work)


def test_every_host_is_replaced_and_no_path_is():
    there = ccxt.pro.binance().urls["api"]
    client = client_of(rest_url="https://a:1", ws_url="wss://b:2")
    here = client.urls["api"]
    assert here["private"] == "https://a:1/api/v3"
    assert here["ws"]["ws-api"]["spot"] == "wss://b:2/ws-api/v3"
    assert here.keys() == there.keys()
    assert client_of().urls["api"] == there


def test_the_numbers_of_a_request():
    assert numbers('POST https://x1/v3?price=60000.10&q=0.0230&z="5"&id=ab-7-12') == {"60000.1", "0.023", "5"}


@pytest.mark.parametrize(
    ("url", "body", "found"),
    [
        ("https://x/order?a=b&n=1", "", {("a", "b"), ("n", "1")}),
        ("https://x/order", "id=t-7&price=5", {("id", "t-7"), ("price", "5")}),
        (
            "https://x/order?k=v",
            '{"id": "c", "ioc": true, "in": {"at": [{"px": "5"}, "y"]}}',
            {
                ("k", "v"),
                ("", ""),
                ("id", "c"),
                ("ioc", "true"),
                ("in", ""),
                ("at", ""),
                ("px", "5"),
                ("at", "y"),
            },
        ),
    ],
)
def test_what_a_request_says_is_found_by_name(url, body, found):
    assert fields(url, body) == found


@pytest.mark.parametrize(
    ("exchange", "status", "headers", "body", "still_s"),
    [
        ("binance", 429, {"Retry-After": "7"}, "", 7),
        ("binance", 429, {}, '{"code": -1015}', 10),  # its orders are counted over ten seconds
        ("okx", 429, {}, "", 10),  # to ccxt it is an exchange that is not there
        ("binance", 418, {"Retry-After": "3600"}, "", 3600),
        ("binance", 418, {}, "", 600),
        ("bybit", 403, {}, "", 600),  # its way to ban an address
        ("kraken", 200, {}, '{"error": ["EGeneral:Temporary lockout"]}', 600),
    ],
)
def test_told_to_keep_still_nothing_is_sent_until_then(exchange, status, headers, body, still_s):
    async def work(client, server, url):
        server.answer = lambda request: web.Response(status=status, headers=headers, text=body)
        with pytest.raises(NetworkError):
            await client.fetch(url)
        assert still_s - 1 < client.still_s <= still_s
        ticket = hold()
        said = rf"{exchange} wants us to keep still for \d+\.\d s more"
        for method in ("GET", "POST", "DELETE"):
            with pytest.raises(RateLimitExceeded, match=said):
                await client.fetch(url, method)
        with pytest.raises(RateLimitExceeded):
            await client.session.ws_connect(url)
        assert (server.came, ticket.left) == (["GET"], False)
        client.clock.later_ns = still_s * 1_000_000_000
        server.answer = lambda request: web.Response(text='{"code": "0", "retCode": 0, "error": []}')
        await client.fetch(url, "POST")
        assert server.came == ["GET", "POST"]

    run(work, exchange)


@pytest.mark.parametrize(
    ("exchange", "status", "body"),
    [
        ("binance", 400, '{"code": -1015, "msg": "Too many new orders."}'),
        ("kraken", 200, '{"error": ["EOrder:Rate limit exceeded"]}'),
        ("binance", 403, "<html>forbidden</html>"),  # not a word of ours: a wall before the exchange
    ],
)
def test_a_refusal_of_one_request_keeps_nobody_still(exchange, status, body):
    async def work(client, server, url):
        server.answer = lambda request: web.Response(status=status, text=body)
        with pytest.raises((NetworkError, ExchangeError)) as refused:
            await client.fetch(url, "POST")
        assert isinstance(refused.value, (RateLimitExceeded, DDoSProtection)) is (status != 403)
        assert client.still_s == 0

    run(work, exchange)


def test_the_longest_of_two_words_to_keep_still_counts():
    client = client_of()
    client.keep_still(9)
    client.keep_still(2)
    assert client.still_s > 8

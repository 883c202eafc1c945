"""The network above its transports, whose tests are test_wire.py: HTTP, and who may be spoken to."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest
from aiohttp import web

from daemon import net as net_module
from daemon.config import FeedConfig
from daemon.errors import ConfigError, NetError
from daemon.net import RealNet, make_net
from tests.daemon.sockets import Heard, certificate, echo_server, http_server, proxy_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., None]


def test_a_request_arrives_byte_for_byte_and_its_answer_is_whole(run: Run) -> None:
    async def main() -> None:
        async def page(request: web.Request) -> web.Response:
            key = request.headers["X-MBX-APIKEY"]
            told = f"{request.method} {request.raw_path} {key} {await request.text()}"
            return web.Response(text=told, status=418, headers={"Retry-After": "7"})

        async with http_server(page) as url:
            net = RealNet()
            # a library that tidied %2B or %3D up would break the signature
            query = "symbol=BTCUSDT&signature=a%2Bb%2Fc%3D%3D&x=%7e"
            answer = await net.request(
                "POST", f"{url}/api/v3/order?{query}", {"X-MBX-APIKEY": "k"}, b"b", 5.0
            )
            assert answer.status == 418
            assert answer.headers["retry-after"] == "7"
            assert answer.body == f"POST /api/v3/order?{query} k b".encode()
            await net.close()

    run(main())


def test_a_download_is_given_on_part_by_part_whatever_its_size(run: Run) -> None:
    async def main() -> None:
        async def page(request: web.Request) -> web.StreamResponse:
            if request.path == "/none":
                return web.Response(status=404, text="no")
            answer = web.StreamResponse(headers={"Content-Length": "300000"})
            await answer.prepare(request)
            await answer.write(b"x" * 200_000)
            if request.path == "/cut":
                assert request.transport is not None
                request.transport.close()
            elif request.path == "/silent":
                await asyncio.sleep(0.6)
            else:
                await answer.write(b"y" * 100_000)
            return answer

        parts: list[bytes] = []
        async with http_server(page) as url:
            net = RealNet(body_bytes_max=1000)
            answer = await net.download(f"{url}/all", parts.append, 5.0)
            assert (answer.status, answer.body) == (200, b"")
            assert b"".join(parts) == b"x" * 200_000 + b"y" * 100_000
            assert max(map(len, parts)) <= 1 << 16
            parts.clear()
            answer = await net.download(f"{url}/none", parts.append, 5.0)
            assert (answer.status, answer.body, parts) == (404, b"no", [])
            with pytest.raises(NetError, match=r"GET .*/cut failed"):
                await net.download(f"{url}/cut", parts.append, 5.0)
            with pytest.raises(NetError, match=r"/silent was not answered within 0.2 s"):
                await net.download(f"{url}/silent", parts.append, 0.2)
            await net.close()

    run(main())


def test_a_redirect_is_not_followed_and_a_huge_answer_is_refused(run: Run) -> None:
    async def main() -> None:
        async def page(request: web.Request) -> web.Response:
            if request.path == "/moved":
                raise web.HTTPFound("http://elsewhere.invalid/")
            return web.Response(body=b"x" * 1001)

        async with http_server(page) as url:
            net = RealNet(body_bytes_max=1000)
            assert (await net.request("GET", f"{url}/moved", {}, b"", 5.0)).status == 302
            with pytest.raises(NetError, match="exceeds 1000 bytes"):
                await net.request("GET", f"{url}/big", {}, b"", 5.0)
            await net.close()
            net = RealNet(body_bytes_max=0)  # only the status is wanted
            assert (await net.request("GET", f"{url}/big", {}, b"", 5.0))[::2] == (200, b"")
            await net.close()

    run(main())


def test_a_host_outside_the_allowlist_is_never_spoken_to(run: Run) -> None:
    async def main() -> None:
        net = RealNet(hosts={"127.0.0.1"})
        with pytest.raises(ConfigError, match=r"api\.binance\.com is not among .* \(127\.0\.0\.1\)"):
            await net.connect("wss://api.binance.com/ws", Heard())
        with pytest.raises(ConfigError, match="not among"):
            await net.request("GET", "https://api.binance.com/api/v3/time", {}, b"", 1.0)

    run(main())


@pytest.mark.parametrize("url", ["http://127.0.0.1/ws", "127.0.0.1:80", "ws:///ws", ""])
def test_an_address_of_another_kind_is_refused(run: Run, url: str) -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match="is no ws/wss address"):
            await RealNet().connect(url, Heard())

    run(main())


def test_a_request_refused_or_not_answered_is_one_sentence_without_the_query(run: Run) -> None:
    async def main() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        net = RealNet()
        with pytest.raises(NetError) as failed:
            await net.request("GET", "http://127.0.0.1:1/x?signature=canary-canary", {}, b"", 1.0)
        assert str(failed.value).startswith("GET http://127.0.0.1:1/x failed: ")
        assert "canary" not in str(failed.value)
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NetError, match=r"was not answered within 0\.1 s"):
            await net.request("GET", f"http://127.0.0.1:{port}/x", {}, b"", 0.1)
        await net.close()
        server.close()
        await server.wait_closed()

    run(main())


def test_a_section_of_the_configuration_says_how_the_other_side_is_reached(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        tls, _ = certificate(tmp_path)
        feed = FeedConfig(symbols=("BTC/USDT",), transport="websockets", ca_file=str(tmp_path / "cert.pem"))
        async with echo_server(tls) as url, proxy_server() as proxy:
            for config in (feed, msgspec.structs.replace(feed, proxy=f"http://{proxy.url}")):
                net, handler = make_net(config, {"localhost", "127.0.0.1"}), Heard()
                wire = await net.connect(url, handler)
                assert type(wire).__module__ == "daemon.net_websockets"
                wire.send(b"x")
                await handler.until(lambda heard=handler: bool(heard.frames))
                await net.close()
            assert len(proxy.heads) == 1

    run(main())


@pytest.mark.parametrize(
    ("text", "then"), [("", "does not exist; check the name$"), ("no certificate", r"cannot be read \(")]
)
def test_certificates_that_cannot_be_read_are_one_sentence(tmp_path: Path, text: str, then: str) -> None:
    path = tmp_path / "ca.pem"
    if text:
        path.write_text(text)
    with pytest.raises(ConfigError, match=rf"^the file of certificates .*ca\.pem {then}"):
        make_net(FeedConfig(symbols=("BTC/USDT",), ca_file=str(path)))


def test_a_feed_through_ccxt_is_made_as_the_section_says(tmp_path: Path) -> None:
    feed = FeedConfig(symbols=("BTC/USDT",), exchange="ccxt:kraken")
    assert type(make_net(feed)).__module__ == "daemon.feeds.ccxt_net"
    with pytest.raises(ConfigError, match="does not exist"):
        make_net(msgspec.structs.replace(feed, ca_file=str(tmp_path / "none.pem")))
    with pytest.raises(ConfigError, match="proxy"):
        make_net(msgspec.structs.replace(feed, proxy="socks://x"))


def test_where_ccxt_is_not_installed_a_feed_through_it_says_how_to_have_it(monkeypatch) -> None:
    monkeypatch.setattr(net_module, "find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"'ccxt:kraken' needs the package ccxt; install it: scripts/setup ccxt"
    ):
        make_net(FeedConfig(symbols=("BTC/USDT",), exchange="ccxt:kraken"))


def test_ccxt_is_imported_by_who_uses_it_alone() -> None:
    code = (
        "import sys; from daemon.net import make_net; from daemon.config import FeedConfig; "
        "make_net(FeedConfig(symbols=('BTC/USDT',))); print('ccxt' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


def test_only_the_transport_that_is_chosen_is_imported() -> None:
    code = "import sys; from daemon.net import RealNet; RealNet(); print('websockets' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


def test_a_request_goes_through_the_proxy_with_its_password(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async def page(request: web.Request) -> web.Response:
            return web.Response(text="here")

        tls, trusting = certificate(tmp_path)
        async with http_server(page, tls) as url, proxy_server() as proxy:
            net = RealNet(tls=trusting, proxy=f"http://me:p%40ss@{proxy.url}")
            assert (await net.request("GET", f"{url}/x", {}, b"", 5.0)).body == b"here"
            assert proxy.heads[0].startswith("CONNECT localhost:")
            assert "Proxy-Authorization: Basic bWU6cEBzcw==" in proxy.heads[0]
            await net.close()

    run(main())


def test_a_proxy_is_told_who_asks_where_nothing_is_encrypted_too(run: Run) -> None:
    async def main() -> None:
        async def proxy(request: web.Request) -> web.Response:
            return web.Response(text=f"{request.url} {request.headers['Proxy-Authorization']}")

        async with http_server(proxy) as url:
            net = RealNet(proxy=url.replace("//", "//me:canary@"))
            answer = await net.request("GET", "http://example.org/x", {}, b"", 5.0)
            assert answer.body == b"http://example.org/x Basic bWU6Y2FuYXJ5"
            await net.close()

    run(main())


def test_a_proxy_outside_the_allowlist_is_never_spoken_to() -> None:
    with pytest.raises(ConfigError, match=r"host proxy\.example is not among"):
        RealNet(hosts={"127.0.0.1"}, proxy="http://proxy.example:3128")

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from daemon.errors import ConfigError
from daemon.proxy import Proxy, parse_proxy, tunnel
from tests.daemon.sockets import proxy_server

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://127.0.0.1:3128", Proxy("http://127.0.0.1:3128", "127.0.0.1", 3128, {})),
        ("http://proxy.example/", Proxy("http://proxy.example/", "proxy.example", 80, {})),
        (
            "http://me:p%40ss@[::1]:8080",
            Proxy("http://[::1]:8080", "::1", 8080, {"Proxy-Authorization": "Basic bWU6cEBzcw=="}),
        ),
    ],
)
def test_an_address_is_read_and_its_password_kept_out_of_what_is_shown(url: str, proxy: Proxy) -> None:
    assert parse_proxy(url) == proxy


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:3128",
        "https://proxy.example",
        "socks5://proxy.example",
        "http://",
        "http://me:canary@x:99999",
        "http://x/path",
        "http://x?a=canary",
    ],
)
def test_an_address_of_another_kind_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError, match="must be given as http://host:port") as refused:
        parse_proxy(url)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nVia: x\r\n\r\n", "answers 'HTTP/1.1 403 Forbidden'"),
        (b"SSH-2.0\r\n\r\n", "answers 'SSH-2.0'"),
        (b"HTTP/1.1 204 x\r\n\r\nmore", "sends more than its answer"),
        (b"HTTP/1.1 403 cut", "answers nothing"),
        (b"x" * 40_000, "answers at too great length"),
    ],
)
def test_what_is_no_consent_is_one_sentence(run: Callable[..., None], answer: bytes, fault: str) -> None:
    async def main() -> None:
        async with proxy_server(answer) as proxy:
            with pytest.raises(ConnectionError) as refused:
                await tunnel(parse_proxy(f"http://{proxy.url}"), "example.org", 443)
            assert str(refused.value) == f"the proxy http://{proxy.url} {fault}"
            assert proxy.heads == ["CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n"]

    run(main())


def test_a_consent_in_single_bytes_gives_a_socket(run: Callable[..., None]) -> None:
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            for byte in b"HTTP/1.0 200 OK\r\n\r\n":
                writer.write(bytes([byte]))
                await asyncio.sleep(0.001)
            writer.write(await reader.readexactly(4))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        proxy = parse_proxy(f"http://localhost:{server.sockets[0].getsockname()[1]}")
        line = await tunnel(proxy, "::1", 443)
        loop = asyncio.get_running_loop()
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await loop.sock_sendall(line, b"ping")
        assert await loop.sock_recv(line, 10) == b"ping"
        line.close()
        server.close()
        await server.wait_closed()

    run(main())


def test_a_proxy_that_is_not_there_is_said_so(run: Callable[..., None]) -> None:
    async def main() -> None:
        with pytest.raises(ConnectionError, match=r"^the proxy http://127\.0\.0\.1:1 cannot be reached: "):
            await tunnel(parse_proxy("http://127.0.0.1:1"), "example.org", 443)

    run(main())

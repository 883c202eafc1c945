"""An HTTP proxy: its address, and the CONNECT that asks it for a connection to somewhere else."""

from __future__ import annotations

import asyncio
import base64
import socket
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from daemon.errors import ConfigError
from daemon.redact import bare_url

_ANSWER_BYTES_MAX: Final = 16 << 10


class Proxy(NamedTuple):
    """Where it is, and what it must be told. `bare` is its address without the password."""

    bare: str
    host: str
    port: int
    headers: dict[str, str]


def parse_proxy(url: str) -> Proxy:
    """Read http://[user:password@]host[:port]; raises ConfigError."""
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigError("the proxy must be given as http://host:port, or http://user:password@host:port")
    headers = {}
    if parts.username:
        account = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(account.encode()).decode()}"
    return Proxy(bare_url(url), parts.hostname, port, headers)


async def tunnel(proxy: Proxy, host: str, port: int) -> socket.socket:
    """Return a socket connected to `host` through the proxy; raises OSError."""
    line = await _connect(proxy)
    try:
        await _ask(proxy, line, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except BaseException:
        line.close()
        raise
    return line


async def _connect(proxy: Proxy) -> socket.socket:
    loop = asyncio.get_running_loop()
    fault: OSError | None = None
    for family, kind, number, _, address in await loop.getaddrinfo(
        proxy.host, proxy.port, type=socket.SOCK_STREAM
    ):
        line = socket.socket(family, kind, number)
        try:
            line.setblocking(False)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(line, address)
        except OSError as error:
            line.close()
            fault = error
        except BaseException:
            line.close()
            raise
        else:
            return line
    raise ConnectionError(f"the proxy {proxy.bare} cannot be reached: {fault and fault.strerror}")


async def _ask(proxy: Proxy, line: socket.socket, place: str) -> None:
    """Ask for `place`; the other side says nothing of its own before we speak."""
    loop = asyncio.get_running_loop()
    lines = [f"{name}: {value}\r\n" for name, value in {"Host": place, **proxy.headers}.items()]
    await loop.sock_sendall(line, f"CONNECT {place} HTTP/1.1\r\n{''.join(lines)}\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = await loop.sock_recv(line, _ANSWER_BYTES_MAX)
        if not part or len(answer) > _ANSWER_BYTES_MAX:
            raise ConnectionError(
                f"the proxy {proxy.bare} answers {'at too great length' if part else 'nothing'}"
            )
        answer += part
    first = answer.partition(b"\r\n")[0].decode("latin-1")
    version, _, status = first.partition(" ")
    if not version.startswith("HTTP/1.") or not status.startswith("2"):
        raise ConnectionError(f"the proxy {proxy.bare} answers {first[:100]!r}")
    if not answer.endswith(b"\r\n\r\n"):
        raise ConnectionError(f"the proxy {proxy.bare} sends more than its answer")

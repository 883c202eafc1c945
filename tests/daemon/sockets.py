"""The other side of a real socket: servers of literal bytes, echoes, pages, proxies, and certificates."""

from __future__ import annotations

import asyncio
import base64
import datetime
import hashlib
import ssl
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import websockets
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from daemon.net import RealNet

TEXT, PING, CLOSE, CONTINUATION = 0x1, 0x9, 0x8, 0x0


class Heard:
    """A handler that remembers, and that a test can wait for."""

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, bool]] = []
        self.reasons: list[str] = []
        self._changed = asyncio.Event()

    def on_frame(self, payload: bytes, last: bool) -> None:
        self.frames.append((payload, last))
        self._changed.set()

    def on_close(self, reason: str) -> None:
        self.reasons.append(reason)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()


def frame(kind: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    head = bytes([kind | (0x80 if fin else 0)])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    if len(payload) < 1 << 16:
        return head + bytes([126]) + struct.pack(">H", len(payload)) + payload
    return head + bytes([127]) + struct.pack(">Q", len(payload)) + payload


async def write(writer: asyncio.StreamWriter, *parts: bytes) -> None:
    """Send each part so that it is a read of its own on the other side, which shares our loop."""
    for part in parts:
        await asyncio.sleep(0.002)
        writer.write(part)
        await writer.drain()


class RawServer(NamedTuple):
    url: str
    received: asyncio.Queue[bytes]


@asynccontextmanager
async def raw_server(
    net: RealNet,
    *sent: bytes,
    tls: ssl.SSLContext | None = None,
    answer: Callable[[asyncio.StreamWriter, bytes], Awaitable[None]] = write,
    hang_up: bool = False,
) -> AsyncIterator[RawServer]:
    """Serve one websocket: each of `sent` goes out as a read of its own, after the handshake's."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            await answer(writer, handshake(request))
            await write(writer, *sent)
            if hang_up:
                writer.transport.abort()
            while part := await reader.read(1 << 16):
                received.put_nowait(part)
        finally:
            writer.close()
            gone.set()

    gone = asyncio.Event()
    received = asyncio.Queue[bytes]()
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield RawServer(f"{'wss' if tls else 'ws'}://localhost:{port}/ws", received)
    finally:
        await net.close()
        await gone.wait()
        server.close()
        await server.wait_closed()


def handshake(request: str) -> bytes:
    """Answer a client's request to speak websocket."""
    lines = (line.split(": ") for line in request.split("\r\n"))
    key = next(line[1] for line in lines if line[0].lower() == "sec-websocket-key")
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    accept = base64.b64encode(digest).decode()
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ).encode()


@asynccontextmanager
async def echo_server(
    tls: ssl.SSLContext | None = None, compression: str | None = None
) -> AsyncIterator[str]:
    async def serve(socket: websockets.ServerConnection) -> None:
        async for message in socket:
            await socket.send(message, text=True)

    async with websockets.serve(
        serve, "127.0.0.1", 0, ssl=tls, compression=compression, max_size=1 << 24
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"{'wss' if tls else 'ws'}://localhost:{port}/ws?signature=canary-canary"


@asynccontextmanager
async def http_server(
    page: Callable[[web.Request], Awaitable[web.StreamResponse]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield f"{'https' if tls else 'http'}://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Proxied(NamedTuple):
    url: str
    heads: list[str]


@asynccontextmanager
async def proxy_server(answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> AsyncIterator[Proxied]:
    """An HTTP proxy that gives this answer to every CONNECT, and then passes bytes on either way."""
    heads: list[str] = []
    pipes: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        heads.append(head)
        writer.write(answer)
        if answer.startswith(b"HTTP/1.1 200"):
            host, _, port = head.split()[1].rpartition(":")
            there, onward = await asyncio.open_connection(host, int(port))
            back = asyncio.ensure_future(_pipe(there, writer))
            pipes.add(back)
            await _pipe(reader, onward)
            await back
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Proxied(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heads)
    finally:
        await asyncio.gather(*pipes)
        server.close()
        await server.wait_closed()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while part := await reader.read(1 << 16):
            writer.write(part)
    except OSError:  # the other pipe has closed it
        pass
    writer.close()


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate of its own for localhost, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "localhost")])
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(signed.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return server, ssl.create_default_context(cafile=str(folder / "cert.pem"))

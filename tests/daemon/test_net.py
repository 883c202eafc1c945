from __future__ import annotations

import asyncio
import base64
import datetime
import hashlib
import ssl
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import uvloop
import websockets
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from daemon.errors import ConfigError, NetError
from daemon.net import RealNet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from pathlib import Path

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
TEXT, PING, CLOSE, CONTINUATION = 0x1, 0x9, 0x8, 0x0


@pytest.fixture(params=sorted(LOOPS))
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Runs a coroutine on either loop, with a limit on everything."""

    def runner(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as active:
            active.run(asyncio.wait_for(main, 20))

    return runner


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


class RawServer(NamedTuple):
    """A server of literal bytes, and a net to reach it with."""

    url: str
    received: asyncio.Queue[bytes]
    net: RealNet


@asynccontextmanager
async def raw_server(sent: bytes, frame_bytes_max: int = 1 << 20) -> AsyncIterator[RawServer]:
    """Serve one websocket: `sent` goes out in one write, in a read of its own after the handshake's."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(
            line.split(": ")[1]
            for line in request.split("\r\n")
            if line.lower().startswith("sec-websocket-key")
        )
        digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
        accept = base64.b64encode(digest).decode()
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        await writer.drain()
        await asyncio.sleep(0.02)  # so that the frames come in a read of their own
        writer.write(sent)
        while part := await reader.read(1 << 16):
            received.put_nowait(part)
        writer.close()
        gone.set()

    gone = asyncio.Event()
    received = asyncio.Queue[bytes]()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    net = RealNet(frame_bytes_max=frame_bytes_max)
    try:
        yield RawServer(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws", received, net)
    finally:
        await net.close()
        await gone.wait()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        (frame(TEXT, b"a"), [(b"a", True)]),
        (frame(TEXT, b"a") + frame(TEXT, b"b"), [(b"a", False), (b"b", True)]),
        (frame(TEXT, b"a") + frame(PING, b"p"), [(b"a", True)]),
        (frame(TEXT, b"a") + frame(PING) + frame(TEXT, b"b"), [(b"a", False), (b"b", True)]),
        (frame(TEXT, b"a") + frame(TEXT, b"b", fin=False), [(b"a", True)]),
        (
            frame(TEXT, b"a", fin=False) + frame(PING) + frame(CONTINUATION, b"b") + frame(TEXT, b"c"),
            [(b"ab", False), (b"c", True)],
        ),
        (frame(TEXT, b"x" * 200_000), [(b"x" * 200_000, True)]),
        (frame(TEXT, b"a") + b"\x81\x05half", [(b"a", True)]),
        (frame(TEXT, b"a") + b"\xff\xff", [(b"a", True)]),  # followed by nonsense
    ],
    ids=[
        "one",
        "two",
        "ping-ends",
        "ping-between",
        "fragment-ends",
        "fragments",
        "large",
        "half",
        "nonsense",
    ],
)
def test_every_read_ends_with_exactly_one_last_message(
    run: Callable[..., None], sent: bytes, heard: list[tuple[bytes, bool]]
) -> None:
    async def main() -> None:
        async with raw_server(sent) as server:
            handler = Heard()
            await server.net.connect(server.url, handler)
            await handler.until(lambda: len(handler.frames) >= len(heard))
            assert handler.frames == heard

    run(main())


def test_a_ping_is_answered_with_its_payload(run: Callable[..., None]) -> None:
    async def main() -> None:
        async with raw_server(frame(PING, b"1722")) as server:
            await server.net.connect(server.url, Heard())
            pong = await server.received.get()
            assert pong[0] == 0x8A
            assert bytes(b ^ pong[2 + i % 4] for i, b in enumerate(pong[6:])) == b"1722"

    run(main())


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (frame(CONTINUATION, b"stray"), "a fragment came out of order"),
        (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), "a fragment came out of order"),
        (
            frame(TEXT, b"x" * 700, fin=False) + frame(CONTINUATION, b"x" * 700),
            "a message exceeds 1000 bytes",
        ),
        (frame(TEXT, b"x" * 1001), "exceeding max allowed size"),
        (b"\xff\xff", "invalid opcode"),
        (frame(CLOSE, struct.pack(">H", 1008) + b"Pong timeout"), "code 1008 (Pong timeout)"),
    ],
    ids=["stray", "interleaved", "long-in-parts", "long", "opcode", "closed-by-server"],
)
def test_a_connection_that_breaks_the_protocol_is_closed_and_says_why(
    run: Callable[..., None], sent: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.net.CLOSE_TIMEOUT_S", 0.05)

    async def main() -> None:
        async with raw_server(sent, frame_bytes_max=1000) as server:
            handler = Heard()
            wire = await server.net.connect(server.url, handler)
            # this server never answers a close frame: the connection ends all the same
            await handler.until(lambda: bool(handler.reasons))
            assert len(handler.reasons) == 1
            assert reason in handler.reasons[0]
            assert handler.frames == []
            with pytest.raises(NetError, match="takes nothing now"):
                wire.send(b"late")

    run(main())


@asynccontextmanager
async def echo_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    async def serve(socket: websockets.ServerConnection) -> None:
        async for message in socket:
            await socket.send(message)

    async with websockets.serve(serve, "127.0.0.1", 0, ssl=tls) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"{'wss' if tls else 'ws'}://localhost:{port}/ws?signature=canary-canary"


async def _round_trip(net: RealNet, url: str) -> None:
    handler = Heard()
    wire = await net.connect(url, handler)
    for i in range(1000):
        wire.send(b'{"id":%d}' % i)
    await handler.until(lambda: len(handler.frames) == 1000)
    assert [payload for payload, _ in handler.frames] == [b'{"id":%d}' % i for i in range(1000)]
    assert handler.frames[-1][1]
    wire.close()
    await handler.until(lambda: bool(handler.reasons))
    assert handler.reasons == ["closed by us"]


def test_a_thousand_frames_come_back_whole_and_in_order(run: Callable[..., None]) -> None:
    async def main() -> None:
        async with echo_server() as url:
            await _round_trip(RealNet(), url)

    run(main())


def _certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate of its own for localhost, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "localhost")])
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
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
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return server, ssl.create_default_context(cafile=str(folder / "cert.pem"))


def test_an_encrypted_connection_is_verified(run: Callable[..., None], tmp_path: Path) -> None:
    async def main() -> None:
        server, trusting = _certificate(tmp_path)
        async with echo_server(server) as url:
            await _round_trip(RealNet(tls=trusting), url)
            with pytest.raises(NetError, match="certificate"):
                await RealNet().connect(url, Heard())

    run(main())


def test_a_handler_that_raises_ends_its_connection_and_is_reported(run: Callable[..., None]) -> None:
    class Broken(Heard):
        def on_frame(self, payload: bytes, last: bool) -> None:
            raise ZeroDivisionError("bug")

    async def main() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        async with echo_server() as url:
            handler = Broken()
            wire = await RealNet().connect(url, handler)
            wire.send(b"x")
            wire.send(b"y")
            await handler.until(lambda: bool(handler.reasons))
            assert handler.reasons == ["our handler raised ZeroDivisionError"]
            assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]

    run(main())


def test_nothing_is_sent_while_the_other_side_does_not_read(run: Callable[..., None]) -> None:
    async def main() -> None:
        async with echo_server() as url:
            handler = Heard()
            wire = await RealNet().connect(url, handler)
            wire.pause_writing()
            with pytest.raises(NetError, match="does not read"):
                wire.send(b"x")
            wire.resume_writing()
            wire.send(b"y")
            await handler.until(lambda: bool(handler.frames))
            assert handler.frames == [(b"y", True)]
            wire.close()
            await handler.until(lambda: bool(handler.reasons))

    run(main())


def test_nothing_is_sent_on_a_connection_lost_but_not_yet_told(run: Callable[..., None]) -> None:
    async def main() -> None:
        async with raw_server(b"") as server:
            handler = Heard()
            wire = await server.net.connect(server.url, handler)
            assert wire._transport is not None
            wire._transport.disconnect(graceful=False)
            assert handler.reasons == []
            with pytest.raises(NetError, match="the connection was lost"):
                wire.send(b"x")
            await handler.until(lambda: bool(handler.reasons))

    run(main())


def test_a_stalled_reader_pauses_writing_by_itself(run: Callable[..., None]) -> None:
    async def main() -> None:
        async with raw_server(b"") as server:
            wire = await server.net.connect(server.url, Heard())

            def flood() -> None:
                # the server reads nothing in this turn of the loop, so only buffers take what is written
                for _ in range(20_000):
                    wire.send(b"x" * 10_000)

            with pytest.raises(NetError, match="does not read"):
                flood()

    run(main())


def test_a_connection_refused_is_one_sentence_without_the_query(run: Callable[..., None]) -> None:
    async def main() -> None:
        net = RealNet()
        with pytest.raises(NetError) as refused:
            await net.connect("ws://127.0.0.1:1/ws?signature=canary-canary", Heard())
        assert str(refused.value).startswith("cannot connect to ws://127.0.0.1:1/ws: ")
        assert "canary" not in str(refused.value)
        with pytest.raises(NetError) as failed:
            await net.request("GET", "http://127.0.0.1:1/x?signature=canary-canary", {}, b"", 1.0)
        assert str(failed.value).startswith("GET http://127.0.0.1:1/x failed: ")
        assert "canary" not in str(failed.value)
        await net.close()

    run(main())


def test_a_server_that_is_no_websocket_is_said_so(run: Callable[..., None]) -> None:
    async def main() -> None:
        async def page(request: web.Request) -> web.Response:
            return web.Response(status=429, text="slow down canary-canary")

        async with http_server(page) as url:
            with pytest.raises(NetError, match="429") as refused:
                await RealNet().connect(url.replace("http", "ws") + "/ws", Heard())
            assert "canary" not in str(refused.value)

    run(main())


def test_a_server_that_does_not_answer_is_given_up(run: Callable[..., None]) -> None:
    async def main() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        net = RealNet(connect_timeout_s=0.1)
        with pytest.raises(NetError, match=r"did not answer within 0\.1 s"):
            await net.connect(f"ws://127.0.0.1:{port}/ws", Heard())
        with pytest.raises(NetError, match=r"was not answered within 0\.1 s"):
            await net.request("GET", f"http://127.0.0.1:{port}/x", {}, b"", 0.1)
        await net.close()
        server.close()
        await server.wait_closed()

    run(main())


@asynccontextmanager
async def http_server(page: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def test_a_request_arrives_byte_for_byte_and_its_answer_is_whole(run: Callable[..., None]) -> None:
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


def test_a_redirect_is_not_followed_and_a_huge_answer_is_refused(run: Callable[..., None]) -> None:
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

    run(main())


def test_a_host_outside_the_allowlist_is_never_spoken_to(run: Callable[..., None]) -> None:
    async def main() -> None:
        net = RealNet(hosts={"127.0.0.1"})
        with pytest.raises(ConfigError, match=r"api\.binance\.com is not among .* \(127\.0\.0\.1\)"):
            await net.connect("wss://api.binance.com/ws", Heard())
        with pytest.raises(ConfigError, match="not among"):
            await net.request("GET", "https://api.binance.com/api/v3/time", {}, b"", 1.0)

    run(main())


@pytest.mark.parametrize("url", ["http://127.0.0.1/ws", "127.0.0.1:80", "ws:///ws", ""])
def test_an_address_of_another_kind_is_refused(run: Callable[..., None], url: str) -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match="is no ws/wss address"):
            await RealNet().connect(url, Heard())

    run(main())

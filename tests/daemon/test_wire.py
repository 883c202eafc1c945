"""Both websockets, under the same tests and on both event loops."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import socket
import struct
from collections import Counter
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from daemon.errors import NetError
from daemon.net import RealNet
from daemon.wire import failed_there, retry_after_s
from tests.daemon.sockets import (
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    Heard,
    certificate,
    echo_server,
    frame,
    http_server,
    proxy_server,
    raw_server,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., None]
    Make = Callable[..., RealNet]


@pytest.fixture(params=["picows", "websockets"])
def make(request: pytest.FixtureRequest) -> Make:
    return partial(RealNet, transport=request.param)


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        (frame(TEXT, b"a"), [(b"a", True)]),
        (frame(TEXT, b"a") + frame(TEXT, b"b"), [(b"a", False), (b"b", True)]),
        (frame(TEXT, b"a") + frame(PING, b"p"), [(b"a", True)]),
        (frame(TEXT, b"a") + frame(PING) + frame(TEXT, b"b"), [(b"a", False), (b"b", True)]),
        (frame(TEXT, b"a") + frame(TEXT, b"b", fin=False), [(b"a", True)]),
        (frame(TEXT, b"a") + frame(TEXT, b"b", fin=False) + frame(PING), [(b"a", True)]),
        (
            frame(TEXT, b"a", fin=False) + frame(PING) + frame(CONTINUATION, b"b") + frame(TEXT, b"c"),
            [(b"ab", False), (b"c", True)],
        ),
        (frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"b"), [(b"b", True)]),
        (frame(TEXT, b"x" * 200_000), [(b"x" * 200_000, True)]),
        (frame(TEXT, b"x" * (1 << 20)), [(b"x" * (1 << 20), True)]),
        (frame(TEXT, b"a") + b"\x81\x05half", [(b"a", True)]),
        (frame(TEXT, b"a") + b"\xff\xff", [(b"a", True)]),  # followed by nonsense
    ],
    ids=[
        "one",
        "two",
        "ping-ends",
        "ping-between",
        "fragment-ends",
        "fragment-and-ping-end",
        "fragments",
        "empty-fragment",
        "large",
        "a-megabyte",
        "half",
        "nonsense",
    ],
)
def test_every_read_ends_with_exactly_one_last_message(
    run: Run, make: Make, sent: bytes, heard: list[tuple[bytes, bool]]
) -> None:
    async def main() -> None:
        net = make()
        async with raw_server(net, sent) as server:
            handler = Heard()
            await net.connect(server.url, handler)
            await handler.until(lambda: len(handler.frames) >= len(heard))
            assert handler.frames == heard

    run(main())


#: what completes a message ends a part; the rest are pings and fragments
PARTS = [
    (frame(TEXT, b"one"), b"one"),
    (frame(PING, b"p") + frame(TEXT, b"two"), b"two"),
    (frame(TEXT, b"th", fin=False) + frame(PING) + frame(CONTINUATION, b"ree"), b"three"),
    (frame(TEXT), b""),
    (frame(TEXT, b"x" * 126), b"x" * 126),
    (frame(TEXT, b"y" * 20), b"y" * 20),
]


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
def test_where_the_bytes_are_cut_does_not_matter(
    run: Run, make: Make, tmp_path: Path, encrypted: bool
) -> None:
    """Cut at every byte boundary: all messages arrive, and each read's last one, and no other, is marked."""
    whole = b"".join(part for part, _ in PARTS)
    ends = list(accumulate(len(part) for part, _ in PARTS))
    sent, expected = [], []
    for cut in range(1, len(whole)):
        sent += [whole[:cut], whole[cut:]]
        lasts = {max((i for i, end in enumerate(ends) if end <= cut), default=-1), len(PARTS) - 1}
        expected += [(message, i in lasts) for i, (_, message) in enumerate(PARTS)]

    async def main() -> None:
        tls, trusting = certificate(tmp_path) if encrypted else (None, None)
        net = make(tls=trusting)
        async with raw_server(net, *sent, tls=tls) as server:
            handler = Heard()
            await net.connect(server.url, handler)
            await handler.until(lambda: len(handler.frames) >= len(expected))
            assert handler.frames == expected

    run(main())


@pytest.mark.parametrize("size", [70_000, 300])
def test_a_long_message_may_be_cut_within_its_length(run: Run, make: Make, size: int) -> None:
    whole = frame(TEXT, b"x" * size)
    sent = [part for cut in range(1, 12) for part in (whole[:cut], whole[cut:])]

    async def main() -> None:
        net = make()
        async with raw_server(net, *sent) as server:
            handler = Heard()
            await net.connect(server.url, handler)
            await handler.until(lambda: len(handler.frames) >= 11)
            assert [payload for payload, _ in handler.frames] == [b"x" * size] * 11

    run(main())


def test_a_handshake_may_come_in_single_bytes_or_with_the_first_message(run: Run, make: Make) -> None:
    async def bytewise(writer: asyncio.StreamWriter, head: bytes) -> None:
        await write(writer, *(head[i : i + 1] for i in range(len(head))))

    async def together(writer: asyncio.StreamWriter, head: bytes) -> None:
        await write(writer, head + frame(TEXT, b"early"))

    async def main() -> None:
        for answer, heard in ((bytewise, []), (together, [(b"early", True)])):
            net, handler = make(), Heard()
            async with raw_server(net, frame(TEXT, b"late"), answer=answer) as server:
                await net.connect(server.url, handler)
                await handler.until(lambda heard=handler: (b"late", True) in heard.frames)
                assert handler.frames == [*heard, (b"late", True)]

    run(main())


def test_a_ping_is_answered_with_its_payload(run: Run, make: Make) -> None:
    async def main() -> None:
        net = make()
        async with raw_server(net, frame(PING, b"1722")) as server:
            await net.connect(server.url, Heard())
            pong = await server.received.get()
            assert pong[0] == 0x8A
            assert bytes(b ^ pong[2 + i % 4] for i, b in enumerate(pong[6:])) == b"1722"

    run(main())


def closing(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack(">H", code) + reason)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (frame(CONTINUATION, b"stray"), "fragment came out of order|unexpected continuation"),
        (
            frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"),
            "fragment came out of order|expected a continuation",
        ),
        (
            frame(TEXT, b"x" * 700, fin=False) + frame(CONTINUATION, b"x" * 700),
            "a message exceeds 1000 bytes",
        ),
        (frame(TEXT, b"x" * 1001), "exceeding max allowed size|a message exceeds 1000 bytes"),
        (b"\xff\xff", "invalid opcode"),
        (closing(1000), "^the other side closed with code 1000$"),
        (closing(1001, b"bye"), r"^the other side closed with code 1001 \(bye\)$"),
        (closing(1008, b"Pong timeout"), r"^the other side closed with code 1008 \(Pong timeout\)$"),
        (closing(4321), "^the other side closed with code 4321$"),
    ],
    ids=["stray", "interleaved", "long-in-parts", "long", "opcode", "1000", "1001", "1008", "4321"],
)
def test_a_connection_that_is_closed_or_breaks_the_protocol_ends_and_says_why(
    run: Run, make: Make, sent: bytes, reason: str
) -> None:
    async def main() -> None:
        net = make(frame_bytes_max=1000, close_timeout_s=0.05)
        async with raw_server(net, sent) as server:
            handler = Heard()
            wire = await net.connect(server.url, handler)
            # this server never answers a close frame: the connection ends all the same
            await handler.until(lambda: bool(handler.reasons))
            assert len(handler.reasons) == 1
            assert re.search(reason, handler.reasons[0])
            assert handler.frames == []
            with pytest.raises(NetError, match="takes nothing now"):
                wire.send(b"late")

    run(main())


def test_what_came_before_a_close_frame_is_heard(run: Run, make: Make) -> None:
    async def main() -> None:
        net = make()
        async with raw_server(net, frame(TEXT, b"a") + frame(TEXT, b"b") + closing(1001)) as server:
            handler = Heard()
            await net.connect(server.url, handler)
            await handler.until(lambda: bool(handler.reasons))
            assert handler.frames == [(b"a", False), (b"b", True)]
            assert handler.reasons == ["the other side closed with code 1001"]

    run(main())


def test_a_close_frame_is_answered_with_one(run: Run, make: Make) -> None:
    async def main() -> None:
        net = make()
        async with raw_server(net, closing(1001)) as server:
            handler = Heard()
            await net.connect(server.url, handler)
            await handler.until(lambda: bool(handler.reasons))
            assert (await server.received.get())[0] == 0x88

    run(main())


KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}


@pytest.mark.parametrize("way", ["plain", "tls", "proxy"])
def test_the_system_watches_a_line_on_which_nothing_moves(
    run: Run, make: Make, tmp_path: Path, way: str
) -> None:
    async def main() -> None:
        tls, trusting = certificate(tmp_path) if way == "tls" else (None, None)
        async with proxy_server() as proxy, echo_server(tls) as url:
            net, handler = make(tls=trusting, proxy=f"http://{proxy.url}" if way == "proxy" else ""), Heard()
            line: Any = await net.connect(url, handler)
            transport = getattr(line._transport, "underlying_transport", line._transport)
            with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as seen:
                assert seen.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                for name, value in KEEPALIVE.items():
                    if hasattr(socket, name):
                        assert seen.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value, name
            line.send(b"still")
            await handler.until(lambda: bool(handler.frames))  # it goes on as it was
            await net.close()

    run(main())


def test_a_server_that_vanishes_is_a_connection_lost(run: Run, make: Make) -> None:
    async def main() -> None:
        net = make()
        async with raw_server(net, frame(TEXT, b"a") + b"\x81\x05half", hang_up=True) as server:
            handler = Heard()
            wire = await net.connect(server.url, handler)
            await handler.until(lambda: bool(handler.reasons))
            assert handler.reasons == ["the connection was lost"]
            assert handler.frames == [(b"a", True)]
            with pytest.raises(NetError, match="takes nothing now: the connection is closed"):
                wire.send(b"late")

    run(main())


def _alive() -> Counter[str]:
    """Count what is there of connections, whether anybody can still reach it or not."""
    parts = ("daemon.net_", "picows.", "websockets.")
    kinds = (type(one) for one in gc.get_objects())
    return Counter(kind.__qualname__ for kind in kinds if str(kind.__module__).startswith(parts))


@pytest.mark.parametrize("end", ["closed by them", "lost", "nonsense", "closed by us"])
def test_one_that_ended_is_freed_without_a_collection(run: Run, make: Make, end: str) -> None:
    """No collection frees what the daemon has frozen (daemon/garbage.py): a ring would stay for ever."""

    async def live() -> None:
        net = make(close_timeout_s=0.05)
        ends = {"closed by them": closing(1001), "nonsense": b"\xff\xff"}
        sent = frame(TEXT, b"a") + ends.get(end, b"\x81\x05half")
        async with raw_server(net, sent, hang_up=end == "lost") as server:
            handler = Heard()
            handler.wire = await net.connect(server.url, handler)  # type: ignore[attr-defined]
            await handler.until(lambda: bool(handler.frames))
            if end == "closed by us":
                handler.wire.close()  # type: ignore[attr-defined]
            await handler.until(lambda: bool(handler.reasons))
        await asyncio.sleep(0.1)  # the loop lets go of its own

    async def main() -> None:
        await live()  # what a first connection leaves is of the libraries, once
        gc.collect()
        before = _alive()
        gc.disable()
        try:
            await live()
            assert _alive() == before
        finally:
            gc.enable()

    run(main())


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


def test_a_thousand_frames_come_back_whole_and_in_order(run: Run, make: Make) -> None:
    async def main() -> None:
        async with echo_server() as url:
            await _round_trip(make(), url)

    run(main())


def test_an_encrypted_connection_is_verified(run: Run, make: Make, tmp_path: Path) -> None:
    async def main() -> None:
        server, trusting = certificate(tmp_path)
        async with echo_server(server) as url:
            await _round_trip(make(tls=trusting), url)
            with pytest.raises(NetError, match=r"^cannot connect to wss://localhost:\d+/ws: .*certificate"):
                await make().connect(url, Heard())
            with pytest.raises(NetError, match=r"(?i)certificate"):  # it is localhost's, not this address's
                await make(tls=trusting).connect(url.replace("localhost", "127.0.0.1"), Heard())

    run(main())


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
def test_a_proxy_is_asked_for_the_server_and_passes_it_on(
    run: Run, make: Make, tmp_path: Path, encrypted: bool
) -> None:
    async def main() -> None:
        tls, trusting = certificate(tmp_path) if encrypted else (None, None)
        async with echo_server(tls) as url, proxy_server() as proxy:
            await _round_trip(make(tls=trusting, proxy=f"http://{proxy.url}"), url)
            place = url.split("/")[2]
            assert [head.split("\r\n")[0] for head in proxy.heads] == [f"CONNECT {place} HTTP/1.1"]

    run(main())


def test_a_proxy_that_refuses_is_one_sentence_without_its_password(run: Run, make: Make) -> None:
    async def main() -> None:
        async with proxy_server(b"HTTP/1.1 407 Who are you\r\n\r\n") as proxy:
            with pytest.raises(NetError, match=r"answers 'HTTP/1\.1 407 Who are you'") as refused:
                await make(proxy=f"http://me:canary@{proxy.url}").connect("wss://example.org/ws", Heard())
            assert "canary" not in str(refused.value)

    run(main())


def test_a_handler_that_raises_ends_its_connection_and_is_reported(run: Run, make: Make) -> None:
    class Broken(Heard):
        def on_frame(self, payload: bytes, last: bool) -> None:
            raise ZeroDivisionError("bug")

    async def main() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        async with echo_server() as url:
            handler = Broken()
            wire = await make().connect(url, handler)
            wire.send(b"x")
            wire.send(b"y")
            await handler.until(lambda: bool(handler.reasons))
            assert handler.reasons == ["our handler raised ZeroDivisionError"]
            assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]

    run(main())


def test_nothing_is_sent_while_the_other_side_does_not_read(run: Run, make: Make) -> None:
    async def main() -> None:
        async with echo_server() as url:
            handler = Heard()
            wire = await make().connect(url, handler)
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


def test_one_that_is_closing_does_not_send_again_when_the_other_side_reads(run: Run, make: Make) -> None:
    async def main() -> None:
        net = make(close_timeout_s=0.05)
        async with raw_server(net) as server:
            handler = Heard()
            wire = await net.connect(server.url, handler)
            wire.close()
            wire.resume_writing()
            with pytest.raises(NetError, match="takes nothing now: closed by us"):
                wire.send(b"x")
            await handler.until(lambda: bool(handler.reasons))
            assert handler.reasons == ["closed by us"]

    run(main())


def test_one_that_breaks_the_protocol_while_it_does_not_read_is_cut_all_the_same(
    run: Run, make: Make
) -> None:
    async def main() -> None:
        net = make(close_timeout_s=0.05)
        async with raw_server(net, b"\xff\xff") as server:
            handler = Heard()
            wire = await net.connect(server.url, handler)
            wire.pause_writing()
            await handler.until(lambda: bool(handler.reasons))
            assert len(handler.reasons) == 1

    run(main())


def test_nothing_is_sent_on_a_connection_lost_but_not_yet_told(run: Run, make: Make) -> None:
    async def main() -> None:
        net = make()
        async with raw_server(net) as server:
            handler = Heard()
            wire = await net.connect(server.url, handler)
            cut = asyncio.ensure_future(wire.abort())
            await asyncio.sleep(0)
            assert handler.reasons == []
            with pytest.raises(NetError, match="the connection was lost"):
                wire.send(b"x")
            await cut
            assert handler.reasons == ["cut by us"]

    run(main())


def test_a_stalled_reader_pauses_writing_by_itself(run: Run, make: Make) -> None:
    async def main() -> None:
        net = make()
        async with raw_server(net) as server:
            wire = await net.connect(server.url, Heard())

            def flood() -> None:
                # the server reads nothing in this turn of the loop, so only buffers take what is written
                for _ in range(20_000):
                    wire.send(b"x" * 10_000)

            with pytest.raises(NetError, match="does not read"):
                flood()

    run(main())


def test_a_connection_refused_is_one_sentence_without_the_query(run: Run, make: Make) -> None:
    async def main() -> None:
        with pytest.raises(NetError) as refused:
            await make().connect("ws://127.0.0.1:1/ws?signature=canary-canary", Heard())
        assert str(refused.value).startswith("cannot connect to ws://127.0.0.1:1/ws: ")
        assert "canary" not in str(refused.value)

    run(main())


def test_a_server_that_is_no_websocket_is_said_so(run: Run, make: Make) -> None:
    async def main() -> None:
        async def page(request: web.Request) -> web.Response:
            return web.Response(status=429, text="slow down canary-canary", headers={"retry-after": "7"})

        async with http_server(page) as url:
            with pytest.raises(NetError, match="429") as refused:
                await make().connect(url.replace("http", "ws") + "/ws", Heard())
            assert "canary" not in str(refused.value)
            assert (refused.value.status, refused.value.retry_after_s) == (429, 7)

    run(main())


def test_a_redirect_is_not_followed(run: Run, make: Make) -> None:
    async def main() -> None:
        asked = []

        async def page(request: web.Request) -> web.Response:
            asked.append(request.path)
            raise web.HTTPFound("/elsewhere")

        async with http_server(page) as url:
            with pytest.raises(NetError, match="cannot connect"):
                await make().connect(url.replace("http", "ws") + "/ws", Heard())
            assert asked == ["/ws"]

    run(main())


def test_a_server_that_does_not_answer_is_given_up(run: Run, make: Make) -> None:
    async def main() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        for proxy in ("", f"http://127.0.0.1:{port}"):
            with pytest.raises(NetError, match=r"did not answer within 0\.1 s"):
                await make(connect_timeout_s=0.1, proxy=proxy).connect(f"ws://127.0.0.1:{port}/ws", Heard())
        server.close()
        await server.wait_closed()

    run(main())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0),
        ("99999999999999", 0),
        ("", 0),
        ("\u0667", 0),
        ("-1", 0),
    ],
)
def test_how_long_to_keep_still_is_a_number_of_seconds(text: str, seconds: int) -> None:
    assert retry_after_s({"Retry-After": text}) == seconds
    assert retry_after_s({}) == 0


@pytest.mark.parametrize(
    ("status", "failed"), [(200, False), (403, False), (408, True), (429, False), (500, True), (504, True)]
)
def test_a_failure_over_there_is_told_from_a_refusal(status: int, failed: bool) -> None:
    assert failed_there(status) is failed

"""What `websockets` alone can; what both transports can is in test_wire.py."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest

from daemon.net import RealNet
from tests.daemon.sockets import CONTINUATION, PING, TEXT, Heard, echo_server, frame, raw_server, write

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    Run = Callable[..., None]

COMPRESSED = 0x40


def deflate(payload: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


async def consent(writer: asyncio.StreamWriter, head: bytes) -> None:
    """Agree to compress, each message by itself."""
    extension = b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n"
    await write(writer, head[:-2] + extension)


def test_messages_are_compressed_where_it_is_asked_for_and_the_other_side_can(run: Run) -> None:
    sent = [b'{"id":%d,"padding":"%b"}' % (i, b"x" * 1000) for i in range(50)]

    async def main() -> None:
        for compress, compression in ((True, "deflate"), (True, None), (False, "deflate")):
            net, handler = RealNet(transport="websockets", compress=compress), Heard()
            async with echo_server(compression=compression) as url:
                wire = await net.connect(url, handler)
                for payload in sent:
                    wire.send(payload)
                await handler.until(lambda heard=handler: len(heard.frames) == 50)
                assert [payload for payload, _ in handler.frames] == sent
                assert bool(wire._protocol.extensions) == (compress and bool(compression))
                await net.close()

    run(main())


def test_compressed_bytes_may_be_cut_anywhere(run: Run) -> None:
    packed = deflate(b"long " * 50)
    whole = (
        frame(TEXT | COMPRESSED, deflate(b"one"))
        + frame(TEXT | COMPRESSED, packed[:4], fin=False)
        + frame(PING)
        + frame(CONTINUATION, packed[4:])
        + frame(TEXT, b"plain")
    )
    sent = [part for cut in range(1, len(whole)) for part in (whole[:cut], whole[cut:])]
    heard = [b"one", b"long " * 50, b"plain"] * (len(whole) - 1)

    async def main() -> None:
        net, handler = RealNet(transport="websockets", compress=True), Heard()
        async with raw_server(net, *sent, answer=consent) as server:
            await net.connect(server.url, handler)
            await handler.until(lambda: len(handler.frames) >= len(heard))
            assert [payload for payload, _ in handler.frames] == heard
            assert all(last for payload, last in handler.frames if payload == b"plain")

    run(main())


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (frame(TEXT | COMPRESSED, deflate(b"x" * 100_000)), "a message exceeds 1000 bytes"),
        (frame(TEXT | COMPRESSED, b"\xff\xff\xff"), "decompression failed"),
    ],
    ids=["bomb", "nonsense"],
)
def test_what_unpacks_to_too_much_or_to_nothing_ends_the_connection(
    run: Run, sent: bytes, reason: str
) -> None:
    async def main() -> None:
        net = RealNet(transport="websockets", compress=True, frame_bytes_max=1000, close_timeout_s=0.05)
        async with raw_server(net, sent, answer=consent) as server:
            handler = Heard()
            await net.connect(server.url, handler)
            await handler.until(lambda: bool(handler.reasons))
            assert handler.reasons == [reason]
            assert handler.frames == []

    run(main())

"""What is picows' own; what both transports can is in test_wire.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.net import RealNet
from daemon.net_picows import READ_BUFFER_BYTES
from tests.daemon.sockets import TEXT, Heard, frame, raw_server

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_burst_that_fills_the_read_buffer_is_several_drains_and_arrives_whole(
    run: Callable[..., None],
) -> None:
    async def main() -> None:
        net, handler = RealNet(), Heard()
        sent = [b"%d" % i * 300 for i in range(4 * READ_BUFFER_BYTES // 1000)]
        async with raw_server(net, b"".join(frame(TEXT, payload) for payload in sent)) as server:
            await net.connect(server.url, handler)
            await handler.until(lambda: len(handler.frames) == len(sent))
            assert [payload for payload, _ in handler.frames] == sent
            assert sum(last for _, last in handler.frames) > 1
            assert handler.frames[-1][1]

    run(main())

"""As much of an MQTT 5 broker as a client needs that publishes, which does what a test says."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import NamedTuple

CONNECT, CONNACK, PUBLISH, PUBACK, PINGREQ, DISCONNECT = 1, 2, 3, 4, 12, 14


class Told(NamedTuple):
    topic: str
    payload: bytes
    retain: bool
    qos: int


class TinyBroker:
    """Remembers every packet. `codes`: a topic's reason code; `deaf`: nothing is acknowledged."""

    def __init__(self):
        self.port = 0
        self.connects = []
        self.told = []
        self.others = []
        self.connack = 0
        self.codes = {}
        self.ends = False  # a refusal is the last word
        self.deaf = False
        self.silent = False  # not even a connection is answered
        self.writers = []

    async def serve(self, reader, writer):
        self.writers.append(writer)
        try:
            while True:
                kind, flags, body = await packet(reader)
                if kind == CONNECT:
                    self.connects.append(body)
                    if not self.silent:
                        writer.write(bytes([CONNACK << 4, 3, 0, self.connack, 0]))
                elif kind == PUBLISH:
                    size = int.from_bytes(body[:2], "big")
                    topic, mid = body[2 : 2 + size].decode(), body[2 + size : 4 + size]
                    assert body[4 + size] == 0  # no properties
                    self.told.append(Told(topic, body[5 + size :], bool(flags & 1), flags >> 1 & 3))
                    if not self.deaf:
                        code = self.codes.get(topic, 0)
                        writer.write(bytes([PUBACK << 4, 4]) + mid + bytes([code, 0]))
                        if code and self.ends:
                            writer.close()
                            return
                elif kind == PINGREQ:
                    writer.write(bytes([0xD0, 0]))
                else:
                    self.others.append(kind)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def cut(self):
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()

    def write(self, data):
        for writer in self.writers:
            writer.write(data)


async def packet(reader):
    """Read one: its kind, its flags, its body."""
    (head,) = await reader.readexactly(1)
    size = shift = 0
    while True:
        (byte,) = await reader.readexactly(1)
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return head >> 4, head & 15, await reader.readexactly(size)


@asynccontextmanager
async def tiny_broker(port=0, tls=None):
    broker = TinyBroker()
    server = await asyncio.start_server(broker.serve, "127.0.0.1", port, ssl=tls)
    broker.port = server.sockets[0].getsockname()[1]
    try:
        yield broker
    finally:
        server.close()
        broker.cut()
        await server.wait_closed()

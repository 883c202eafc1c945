"""A paper daemon on Kraken's protocol, on real sockets: it becomes READY, trades, and mends its book."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Any

from tests.daemon.feeds.loopback import mends_its_book

if TYPE_CHECKING:
    from collections.abc import Iterator

TIME = b'"timestamp":"2026-04-07T14:30:00.%06dZ"'
LEVELS = 12


class Kraken:
    """What Kraken says of one pair, as its documentation shows it."""

    listing = (
        b'{"error":[],"result":{"XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT/USD","aclass_base":"currency",'
        b'"base":"XXBT","aclass_quote":"currency","quote":"ZUSD","lot":"unit","cost_decimals":5,'
        b'"pair_decimals":1,"lot_decimals":8,"lot_multiplier":1,"ordermin":"0.0001","costmin":"0.5",'
        b'"tick_size":"0.1","status":"online"}}}'
    )

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.on: set[str] = set()
        self.number = 0
        self.lie = False  # the next update is not of this book
        #: by ticks, the lots of each side
        self.bids = {300_000 - n: 100_000_000 + n for n in range(LEVELS)}
        self.asks = {300_001 + n: 200_000_000 + n for n in range(LEVELS)}

    def hello(self) -> Iterator[bytes]:
        yield (
            b'{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online",'
            b'"api_version":"v2","connection_id":13834774380200032777}]}'
        )

    def answer(self, request: dict[str, Any]) -> Iterator[bytes]:
        method, asked = request["method"], request["params"]
        channel = asked["channel"]
        self.asked.append((method, channel))
        assert asked["symbol"] == ["BTC/USD"]
        yield (
            b'{"method":"%s","result":{"channel":"%s","symbol":"BTC/USD"},"success":true,'
            b'"time_in":"2026-04-07T14:30:00.000000Z","time_out":"2026-04-07T14:30:00.000001Z"}'
            % (method.encode(), channel.encode())
        )
        if method == "unsubscribe":
            self.on.discard(channel)
            return
        self.on.add(channel)
        if channel == "book":
            assert asked["depth"] == 1000
            yield (
                b'{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[%s],"asks":[%s],'
                b'"checksum":%d}]}'
                % (
                    levels(self.bids.items()),
                    levels(self.asks.items()),
                    self.checksum(),
                )
            )
        elif channel == "ticker":
            assert asked["event_trigger"] == "bbo"
            yield self.ticker(b"snapshot")
        else:
            assert asked["snapshot"] is False

    def go_on(self) -> Iterator[bytes]:
        self.number += 1
        if self.number % 50 == 0:
            yield b'{"channel":"heartbeat"}'
        if "trade" in self.on:
            yield (
                b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"%s","price":30000.0,'
                b'"qty":0.00100000,"ord_type":"market","trade_id":%d,%s}]}'
                % (b"buy" if self.number % 2 else b"sell", self.number, TIME % self.number)
            )
        if "ticker" in self.on:
            yield self.ticker(b"update")
        if "book" in self.on:
            self.bids[300_000 - 3] = 100_000_000 + self.number
            checksum = self.checksum() ^ self.lie
            self.lie = False
            yield (
                b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[%s],"asks":[],'
                b'"checksum":%d,%s}]}'
                % (levels([(299_997, self.bids[299_997])]), checksum, TIME % self.number)
            )

    def ticker(self, kind: bytes) -> bytes:
        return (
            b'{"channel":"ticker","type":"%s","data":[{"symbol":"BTC/USD","bid":30000.0,"bid_qty":%d.00000000,'
            b'"ask":30000.1,"ask_qty":2.00000000,"last":30000.0,"volume":163.28908096,"vwap":30000.0,'
            b'"low":29000.0,"high":31000.0,"change":250.0,"change_pct":0.24,%s}]}'
            % (kind, 1 + self.number, TIME % self.number)
        )

    def checksum(self) -> int:
        best = sorted(self.asks.items())[:10] + sorted(self.bids.items(), reverse=True)[:10]
        return zlib.crc32("".join(f"{ticks}{lots}" for ticks, lots in best).encode())


def levels(rows: Any) -> bytes:
    return ",".join(
        f'{{"price":{ticks // 10}.{ticks % 10},"qty":{lots // 10**8}.{lots % 10**8:08d}}}'
        for ticks, lots in rows
    ).encode()


def test_a_paper_daemon_trades_on_kraken_and_mends_its_book(tmp_path) -> None:
    exchange = asyncio.run(mends_its_book(tmp_path, "kraken", Kraken, "BTC/USD", "checksum"))
    begun = [("subscribe", "trade"), ("subscribe", "ticker"), ("subscribe", "book")]
    mended = [("unsubscribe", "book"), ("subscribe", "book")]
    assert [voice.asked for voice in exchange.voices] == [begun + mended, begun]

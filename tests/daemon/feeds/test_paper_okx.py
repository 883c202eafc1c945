"""A paper daemon on OKX's protocol, on real sockets: it becomes READY, trades, and mends its book."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from kernels import book as books
from kernels.dtypes import BUY
from tests.daemon.feeds.loopback import mends_its_book, paper_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANNELS = [{"channel": name, "instId": "BTC-USDT"} for name in ("trades", "bbo-tbt", "books")]


class Okx:
    """What OKX says of one pair, as its documentation shows it."""

    listing = (
        b'{"code":"0","msg":"","data":[{"baseCcy":"BTC","instId":"BTC-USDT","instType":"SPOT",'
        b'"lotSz":"0.00000001","maxLmtSz":"9999999999","minSz":"0.00001","quoteCcy":"USDT","state":"live",'
        b'"tickSz":"0.1"}]}'
    )

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.on: set[str] = set()
        self.number = 0
        self.update = 123_456
        self.lie = False  # the next update does not name the one before

    def hello(self) -> Iterator[bytes]:
        yield from ()

    def answer(self, request: Any) -> Iterator[bytes]:
        if request == "ping":
            self.asked.append(("ping", None))
            yield b"pong"
            return
        verb = request["op"]
        self.asked.append((verb, request["args"]))
        for arg in request["args"]:
            yield json.dumps({"event": verb, "arg": arg, "connId": "a4d3ae55"}).encode()
            if verb == "unsubscribe":
                self.on.discard(arg["channel"])
                continue
            self.on.add(arg["channel"])
            if arg["channel"] == "books":
                yield self.book(b"snapshot", b'["30000","1.5","0","2"],["29999","2","0","1"]', -1)

    def go_on(self) -> Iterator[bytes]:
        self.number += 1
        ts = 1_687_940_967_000 + self.number
        if "trades" in self.on:
            yield (
                b'{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"%d",'
                b'"px":"30000.5","sz":"0.001","side":"buy","ts":"%d","count":"3","seqId":%d}]}'
                % (3 * self.number, ts, self.number)
            )
        if "bbo-tbt" in self.on:
            yield (
                b'{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["30001","%d","0","1"]],'
                b'"bids":[["30000","1.5","0","2"]],"ts":"%d","seqId":%d}]}' % (self.number, ts, self.number)
            )
        if "books" in self.on:
            before = self.update + self.lie
            self.update += 7
            self.lie = False
            yield self.book(b"update", b"", before)

    def book(self, action: bytes, bids: bytes, before: int) -> bytes:
        return (
            b'{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"%s","data":[{"asks":[["30001","%d","0","1"]],'
            b'"bids":[%s],"ts":"1687940967466","checksum":0,"prevSeqId":%d,"seqId":%d}]}'
            % (action, 1 + self.number, bids, before, self.update)
        )


def test_a_paper_daemon_trades_on_okx_and_mends_its_book(tmp_path) -> None:
    told = asyncio.run(mends_its_book(tmp_path, "okx", Okx, "BTC/USDT", "gap"))
    assert told.paths[:2] == ["/api/v5/public/instruments?instType=SPOT", "/ws/v5/public"]
    first, second = (one.asked for one in told.voices)
    everything = ("subscribe", CHANNELS)
    assert [one for one in first if one[0] != "ping"] == [
        everything,
        ("unsubscribe", CHANNELS[2:]),
        ("subscribe", CHANNELS[2:]),
    ]
    assert ("ping", None) in first
    assert everything in second


class Swap(Okx):
    """What it says of a linear swap, in contracts of 0.01 BTC."""

    listing = (
        b'{"code":"0","msg":"","data":[{"baseCcy":"","instId":"BTC-USDT-SWAP","instType":"SWAP","uly":"BTC-USDT",'
        b'"settleCcy":"USDT","ctType":"linear","ctVal":"0.01","ctMult":"1","ctValCcy":"BTC","lotSz":"0.1",'
        b'"maxLmtSz":"9999","minSz":"0.1","quoteCcy":"","state":"live","tickSz":"0.1"}]}'
    )

    def answer(self, request: Any) -> Iterator[bytes]:
        asked = request if isinstance(request, str) else json.loads(json.dumps(request).replace("-SWAP", ""))
        return map(of_swap, super().answer(asked))

    def go_on(self) -> Iterator[bytes]:
        return map(of_swap, super().go_on())


def of_swap(payload: bytes) -> bytes:
    return payload.replace(b'"BTC-USDT"', b'"BTC-USDT-SWAP"')


def test_a_paper_daemon_trades_a_swap_whose_book_is_told_in_contracts(tmp_path) -> None:
    async def trade() -> None:
        async with paper_daemon(tmp_path, "okx", Swap, "BTC/USDT", market="usdm") as (one, exchange):
            await one.until(lambda: one.resting == 2)
            assert exchange.paths[0] == "/api/v5/public/instruments?instType=SWAP"
            [bids] = books.levels(one.lane.book, BUY)[1:]
            assert bids.tolist() == [20, 15]  # 2 and 1.5 contracts, in lots of 0.001 BTC
            assert (one.feed.errors, one.lane.gaps) == ({}, {})
            await one.stop()

    asyncio.run(trade())

"""A paper daemon on Coinbase's protocol, on real sockets: a book of 5 MB, and a frame that is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kernels import book as books
from kernels.dtypes import BUY, SELL
from tests.daemon.feeds.loopback import paper_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

LEVELS = 25_000


class Coinbase:
    """What Coinbase says of one product, as its documentation shows it."""

    listing = (
        b'{"products":[{"product_id":"BTC-USD","price":"30000","base_increment":"0.00000001",'
        b'"quote_increment":"0.01","quote_min_size":"1","quote_max_size":"150000000",'
        b'"base_min_size":"0.00000001","base_max_size":"3400","is_disabled":false,"status":"online",'
        b'"cancel_only":false,"limit_only":false,"post_only":false,"trading_disabled":false,'
        b'"auction_mode":false,"product_type":"SPOT","alias":"","alias_to":["BTC-USDC"],"view_only":false,'
        b'"price_increment":"0.01"}],"num_products":1,"pagination":null}'
    )
    trades = 0  # of the product, over all connections

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.on: set[str] = set()
        self.sequence = 0
        self.said = self.turns = 0
        self.lose = False  # the next frame never arrives

    def hello(self) -> Iterator[bytes]:
        yield from ()

    def frame(self, channel: bytes, events: bytes) -> Iterator[bytes]:
        self.said += 1
        payload = (
            b'{"channel":"%s","client_id":"","timestamp":"2026-04-07T14:30:00.%06d000Z","sequence_num":%d,'
            b'"events":[%s]}' % (channel, self.said, self.sequence, events)
        )
        self.sequence += 1
        if self.lose:
            self.lose = False
            return
        yield payload

    def answer(self, request: dict[str, Any]) -> Iterator[bytes]:
        kind, channel = request["type"], request["channel"]
        self.asked.append((kind, channel))
        assert request.get("product_ids", ["BTC-USD"]) == ["BTC-USD"]
        yield from self.frame(b"subscriptions", b'{"subscriptions":{"%s":["BTC-USD"]}}' % channel.encode())
        if kind == "unsubscribe":
            self.on.discard(channel)
            return
        self.on.add(channel)
        if channel == "level2":
            yield from self.frame(
                b"l2_data", b'{"type":"snapshot","product_id":"BTC-USD","updates":[%s]}' % self.book()
            )
        elif channel == "market_trades":
            yield from self.frame(b"market_trades", self.trade(b"snapshot", 1))

    def go_on(self) -> Iterator[bytes]:
        self.turns += 1
        if "heartbeats" in self.on and self.turns % 10 == 0:
            yield from self.frame(
                b"heartbeats", b'{"current_time":"2026-04-07 14:30:00 +0000 UTC","heartbeat_counter":7}'
            )
        if "market_trades" in self.on:
            type(self).trades += 1
            yield from self.frame(b"market_trades", self.trade(b"update", 1000 + self.trades))
        if "ticker" in self.on:
            yield from self.frame(
                b"ticker",
                b'{"type":"update","tickers":[{"type":"ticker","product_id":"BTC-USD","price":"30000",'
                b'"best_bid":"30000.00","best_bid_quantity":"%d","best_ask":"30000.01",'
                b'"best_ask_quantity":"2"}]}' % (1 + self.said),
            )
        if "level2" in self.on:
            change = level("bid", 3_000_000 - 3, f"1.{self.said:08d}")
            yield from self.frame(
                b"l2_data", b'{"type":"update","product_id":"BTC-USD","updates":[%s]}' % change
            )

    def trade(self, kind: bytes, number: int) -> bytes:
        return (
            b'{"type":"%s","trades":[{"trade_id":"%d","product_id":"BTC-USD","price":"30000.00","size":"0.001",'
            b'"side":"BUY","time":"2026-04-07T14:30:00.789012Z"}]}' % (kind, number)
        )

    def book(self) -> bytes:
        bids = (level("bid", 3_000_000 - n, "1.00000000") for n in range(LEVELS))
        asks = (level("offer", 3_000_001 + n, "2.00000000") for n in range(LEVELS))
        return b",".join((*bids, *asks))


def level(side: str, cents: int, qty: str) -> bytes:
    return (
        f'{{"side":"{side}","event_time":"1970-01-01T00:00:00Z",'
        f'"price_level":"{cents // 100}.{cents % 100:02d}","new_quantity":"{qty}"}}'
    ).encode()


@pytest.mark.parametrize("transport", ["picows", "websockets"])
def test_a_paper_daemon_trades_on_coinbase_and_opens_anew_what_lost_a_frame(tmp_path, transport) -> None:
    async def go():
        async with paper_daemon(tmp_path, "coinbase", Coinbase, "BTC/USD", transport=transport) as at:
            one, exchange = at
            await one.until(lambda: one.resting == 2)
            status = one.app.status()
            assert (status.state, status.feed_connected) == ("READY", True)
            [voice] = exchange.voices
            channels = ["heartbeats", "market_trades", "ticker", "level2"]
            assert voice.asked == [("subscribe", channel) for channel in channels]
            assert [len(books.levels(one.lane.book, side)[0]) for side in (BUY, SELL)] == [LEVELS] * 2
            assert one.lane.newest_ids[0] > 1000  # the snapshot of trades is history
            voice.lose = True
            await one.until(lambda: len(exchange.voices) == 2 and one.lane.resyncs == 2, 20)
            assert one.lane.gaps == {"disconnected": 1}
            assert one.app.connections.reconnects == 1
            await one.until(lambda: one.resting == 2, 20)
            assert one.feed.errors == {}
            assert one.feed.controls["heartbeat"] > 0
            await one.stop()
            return one.app

    app = asyncio.run(go())
    assert (app.last.state, app.failure) == ("STOPPED", None)

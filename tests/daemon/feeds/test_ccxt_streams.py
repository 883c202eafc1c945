"""What ccxt gives, told as frames: by a client that says what a test wants, in place of ccxt's."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from ccxt.base.errors import ChecksumError, ExchangeError, NotSupported

from daemon.clock import VirtualTime
from daemon.errors import NetError
from daemon.events import Depth, Snapshot
from daemon.feeds.ccxt import DEPTH, CcxtDecoder
from daemon.feeds.ccxt_rest import Ask
from daemon.feeds.ccxt_streams import CcxtStreams
from daemon.instruments import make_instrument

PAIR = "BTC/USDT"
NOW_MS = 1_700_000_000_000
ALL = {"watchTrades": True, "watchOrderBook": True, "watchBidsAsks": True, "unWatchOrderBook": True}


class Client:
    """ccxt's methods: what a test puts into `says` is given or raised, one after the other."""

    id = "there"

    def __init__(self, **has: bool) -> None:
        self.has = ALL | has
        self.says: dict[str, asyncio.Queue[Any]] = {}
        self.asked: list[Any] = []

    async def _give(self, what: str, *asked: Any) -> Any:
        self.asked.append((what, *asked))
        told = await self.says.setdefault(what, asyncio.Queue()).get()
        if isinstance(told, Exception):
            raise told
        return told

    async def watch_trades(self, symbol: str, since: int) -> Any:
        return await self._give("trades", symbol, since)

    async def watch_bids_asks(self, symbols: list[str]) -> Any:
        return await self._give("bids_asks", *symbols)

    async def watch_ticker(self, symbol: str) -> Any:
        return await self._give("ticker", symbol)

    async def watch_order_book(self, symbol: str) -> Any:
        return await self._give("book", symbol)

    async def un_watch_order_book(self, symbol: str) -> Any:
        return await self._give("unwatch", symbol)

    def handle_message(self, socket: Any, message: Any) -> None:
        self.asked.append(("message", socket, message["text"]))


class Heard:
    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.lasts: list[bool] = []
        self.closed: list[str] = []
        self.bug: Exception | None = None

    def on_frame(self, payload: bytes, last: bool) -> None:
        if self.bug is not None:
            raise self.bug
        self.payloads.append(payload)
        self.lasts.append(last)

    def on_close(self, reason: str) -> None:
        self.closed.append(reason)

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(one) for one in self.payloads]


class Stage:
    """Streams on a client, and who hears them."""

    def __init__(self, **has: bool) -> None:
        self.client = Client(**has)
        self.heard = Heard()
        self.released = 0
        self.streams = CcxtStreams(self.client, self.heard, VirtualTime(NOW_MS * 1_000_000), self._release)

    async def _release(self) -> None:
        self.released += 1

    async def ask(self, verb: Any, stream: str = "", symbol: str = PAIR) -> None:
        self.streams.send(msgspec.json.encode(Ask(verb, stream, symbol)))
        await self.settle()

    async def say(self, what: str, *told: Any) -> None:
        for one in told:
            self.client.says.setdefault(what, asyncio.Queue()).put_nowait(one)
            await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


def play(work: Any, **has: bool) -> Stage:
    """Run `work(stage)`; nothing of it may be left, and no error lost."""
    faults: list[Any] = []

    async def main() -> Stage:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        stage = Stage(**has)
        stage.faults = faults  # type: ignore[attr-defined]
        await work(stage)
        stage.streams.close()
        await stage.settle()
        assert (stage.released, len(stage.heard.closed)) == (1, 1)
        assert len(asyncio.all_tasks()) == 1
        return stage

    stage = asyncio.run(main())
    if not stage.heard.bug:
        assert faults == []
    return stage


def book(bids: Any, asks: Any, nonce: int | None = None, stamp: int | None = NOW_MS) -> dict[str, Any]:
    return {"symbol": PAIR, "bids": bids, "asks": asks, "nonce": nonce, "timestamp": stamp}


def decoded(stage: Stage) -> list[Any]:
    one = make_instrument(
        0, "ccxt:there", "spot", PAIR, tick_size="0.00000001", lot_size="0.00000001", qty_min="1",
        qty_max="9", notional_min="0",
    )  # fmt: skip
    decoder = CcxtDecoder([one])
    return [decoder.decode(payload, 1) for payload in stage.heard.payloads]


def test_trades_are_told_to_the_digit_and_no_history_is_asked_for() -> None:
    async def work(stage: Stage) -> None:
        await stage.ask("watch", "trade")
        row = {"id": "7", "timestamp": NOW_MS, "price": 1e-05, "amount": 0.30000000000000004, "side": "buy"}
        await stage.say("trades", [row, {**row, "id": None, "price": "61737.60", "side": "sell"}], [])

    stage = play(work)
    assert stage.heard.frames == [
        {
            "t": "trade",
            "s": PAIR,
            "d": [
                {"i": "7", "T": NOW_MS, "p": "0.00001", "q": "0.30000000000000004", "S": "buy"},
                {"i": None, "T": NOW_MS, "p": "61737.60", "q": "0.30000000000000004", "S": "sell"},
            ],
        }
    ]
    assert stage.client.asked == [("trades", PAIR, NOW_MS - 10_000)] * 3
    assert [len(one) for one in decoded(stage)] == [2]


def test_quotes_come_by_bids_and_asks_where_ccxt_has_them() -> None:
    async def work(stage: Stage) -> None:
        await stage.ask("watch", "quote")
        ticker = {"symbol": PAIR, "timestamp": None, "bid": 100.0, "bidVolume": 2.0, "ask": 100.5}
        await stage.say("bids_asks", {PAIR: ticker}, {**ticker, "askVolume": 3.0}, {"ETH/USDT": ticker})

    stage = play(work)
    told = {"t": "quote", "s": PAIR, "T": None, "b": "100.0", "B": "2.0", "a": "100.5", "A": "0"}
    assert stage.heard.frames == [told, {**told, "A": "3.0"}]
    assert [(one.a, one.d) for one in decoded(stage)] == [(100.0, 0.0), (100.0, 3.0)]


def test_quotes_are_a_book_s_best_where_ccxt_has_none_and_tickers_where_it_has_no_books() -> None:
    async def of_books(stage: Stage) -> None:
        await stage.ask("watch", "quote")
        await stage.say("book", book([[100.0, 1.0]], [[101.0, 2.0]]))

    stage = play(of_books, watchBidsAsks=False)
    assert [(one["t"], one["b"], one["A"]) for one in stage.heard.frames] == [("quote", "100.0", "2.0")]

    async def refused(stage: Stage) -> None:
        await stage.ask("watch", "quote")
        await stage.say("bids_asks", NotSupported("of spot alone"))
        await stage.say("book", book([[100.0, 1.0]], [[101.0, 2.0]]))

    stage = play(refused)
    assert [(one["t"], one["b"], one["A"]) for one in stage.heard.frames] == [("quote", "100.0", "2.0")]

    async def both(stage: Stage) -> None:
        await stage.ask("watch", "quote")
        await stage.ask("watch", "depth")
        await stage.say("book", book([[100.0, 1.0]], [[101.0, 2.0]]), book([], [[101.0, 2.0]]))

    stage = play(both, watchBidsAsks=False)
    assert [one["t"] for one in stage.heard.frames] == ["book", "quote", "depth", "quote"]
    assert stage.heard.lasts == [False, True] * 2
    assert stage.heard.frames[3]["b"] == ""  # nobody bids: no quote, and the decoder says so

    async def of_tickers(stage: Stage) -> None:
        await stage.ask("watch", "quote")
        await stage.say("ticker", {"symbol": PAIR, "bid": 1.0, "ask": 2.0, "timestamp": NOW_MS})

    stage = play(of_tickers, watchBidsAsks=False, watchOrderBook=False, watchTicker=True)
    assert [(one["b"], one["a"]) for one in stage.heard.frames] == [("1.0", "2.0")]


def test_a_book_comes_whole_and_then_as_what_changed() -> None:
    live = book([[100.0, 1.0], [99.5, 2.0]], [[101.0, 2.0, 17]], 5)

    async def work(stage: Stage) -> None:
        await stage.ask("watch", "depth")
        await stage.say("book", live)
        live["bids"][:] = [[100.5, 4.0], [100.0, 1.0], [99.0, 1.0]]  # ccxt changes its own book
        live["asks"][0][1] = 3.0
        live["nonce"] = 8
        await stage.say("book", live, live)

    stage = play(work)
    assert [(one["t"], one["n"], one["o"], one["b"], one["a"]) for one in stage.heard.frames] == [
        ("book", 1, 5, [["100.0", "1.0"], ["99.5", "2.0"]], [["101.0", "2.0"]]),
        ("depth", 2, 8, [["100.5", "4.0"], ["99.0", "1.0"], ["99.5", "0"]], [["101.0", "3.0"]]),
        ("depth", 3, 8, [], []),
    ]
    assert [type(one) for one in decoded(stage)] == [Snapshot, Depth, Depth]


def test_of_single_orders_the_sum_at_each_price_is_told_and_of_levels_the_best() -> None:
    orders = [
        [100.0, 1.0, "a"],
        [100.0, 2.5, "b"],
        *([100.0 - step, 1.0, str(step)] for step in range(1, 90)),
    ]

    async def work(stage: Stage) -> None:
        await stage.ask("watch", "depth")
        await stage.say("book", book(orders, [[101.0, 1.0, "c"]]))

    [frame] = play(work).heard.frames
    assert frame["b"][:2] == [["100.0", "3.5"], ["99.0", "1.0"]]
    assert len(frame["b"]) == DEPTH


@pytest.mark.parametrize("fault", ["checksum", "number"])
def test_a_book_that_does_not_follow_is_told_lost_and_begins_anew(fault: str) -> None:
    async def work(stage: Stage) -> None:
        await stage.ask("watch", "depth")
        await stage.say("book", book([[100.0, 1.0]], [[101.0, 2.0]], 5))
        await stage.say("book", ChecksumError("wrong") if fault == "checksum" else book([], [], 4))
        asked = len(stage.client.asked)
        await stage.settle()
        assert len(stage.client.asked) == asked  # it waits to be told
        await stage.ask("anew", "depth")
        await stage.say("unwatch", None)
        await stage.say("book", book([[100.0, 1.0]], [[101.0, 2.0]], 2))

    stage = play(work)
    assert [(one["t"], one["n"]) for one in stage.heard.frames] == [("book", 1), ("lost", 3), ("book", 4)]
    assert (
        stage.heard.frames[1]["why"]
        == {
            "checksum": "ChecksumError: wrong",
            "number": "number 4 came after 5",
        }[fault]
    )
    assert ("unwatch", PAIR) in stage.client.asked


def test_a_book_that_cannot_begin_anew_alone_takes_a_new_connection() -> None:
    async def without(stage: Stage) -> None:
        await stage.ask("watch", "depth")
        with pytest.raises(NetError, match="the book of BTC/USDT begins anew with the connection alone"):
            await stage.ask("anew", "depth")

    play(without, unWatchOrderBook=False)

    async def in_vain(stage: Stage) -> None:
        await stage.ask("watch", "depth")
        await stage.ask("anew", "depth")
        with pytest.raises(NetError, match="with the connection alone"):
            await stage.ask("anew", "depth")

    play(in_vain)


def test_a_book_that_is_only_there_for_quotes_ends_all_where_it_does_not_follow() -> None:
    async def work(stage: Stage) -> None:
        await stage.ask("watch", "quote")
        await stage.say("book", ChecksumError("wrong"))
        assert stage.heard.closed == ["ChecksumError: wrong"]

    play(work, watchBidsAsks=False)


def test_hushed_it_tells_of_books_no_more_and_of_the_rest_as_before() -> None:
    async def work(stage: Stage) -> None:
        for stream in ("depth", "quote"):
            await stage.ask("watch", stream)
        await stage.ask("hush")
        await stage.say("book", book([[100.0, 1.0]], [[101.0, 2.0]]))
        await stage.say("bids_asks", {PAIR: {"symbol": PAIR, "bid": 1.0, "ask": 2.0}})

    assert [one["t"] for one in play(work).heard.frames] == ["quote"]


def test_whatever_ccxt_raises_ends_it_with_a_sentence() -> None:
    async def work(stage: Stage) -> None:
        for stream in ("trade", "depth"):
            await stage.ask("watch", stream)
        await stage.say("trades", KeyError("price"))
        assert stage.heard.closed == ["KeyError: 'price'"]
        with pytest.raises(NetError, match="there takes nothing now: KeyError: 'price'"):
            await stage.ask("watch", "quote")

    stage = play(work)
    assert stage.released == 1


def test_a_message_that_ccxt_cannot_read_ends_it() -> None:
    async def work(stage: Stage) -> None:
        stage.client.handle_message("socket", {"text": "fine"})
        assert stage.client.asked == [("message", "socket", "fine")]
        stage.client.handle_message("socket", {})
        await stage.settle()
        assert stage.heard.closed == ["ccxt cannot read what there sent: KeyError: 'text'"]

    play(work)


def test_a_stream_that_ccxt_has_not_is_refused_by_name() -> None:
    async def work(stage: Stage) -> None:
        await stage.ask("watch", "trade")
        assert stage.heard.closed == ["ccxt has no watchTrades for there; leave 'trade' out of feed.streams"]

    play(work, watchTrades=False)


def test_what_our_handler_raises_is_told_to_the_loop_and_not_taken_for_ccxt_s() -> None:
    async def work(stage: Stage) -> None:
        await stage.ask("watch", "trade")
        stage.heard.bug = ZeroDivisionError("ours")
        await stage.say("trades", [{"id": "1", "price": 1.0, "amount": 1.0, "side": "buy"}])
        assert stage.heard.closed == ["our handler raised ZeroDivisionError"]

    stage = play(work)
    [fault] = stage.faults  # type: ignore[attr-defined]
    assert isinstance(fault["exception"], ZeroDivisionError)


def test_an_error_of_the_exchange_is_of_one_line() -> None:
    async def work(stage: Stage) -> None:
        await stage.ask("watch", "quote")
        await stage.say("bids_asks", ExchangeError("there\n{...}"))
        assert stage.heard.closed == ["ExchangeError: there {...}"]

    play(work)

"""What ccxt.pro watches for a feed, told as frames (daemon/feeds/ccxt.py): the websocket of a ccxt feed.

A task for each symbol of each stream waits for what ccxt gives next. What fails is not mended here: the whole
of it ends, as a websocket does, and whoever opened it opens another (daemon/feeds/connection.py).

- Trades: those since shortly before they were asked for, for at many exchanges some of history come first.
- The top of the book: by watchBidsAsks; where ccxt has none, of each book that it gives; else by watchTicker.
- Books: whole at first, then what changed among the best levels. Where ccxt says that its book does not
  follow, or its number goes back, a loss is told, and the book begins anew once that is asked for.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog
from ccxt.base.errors import InvalidNonce, NotSupported

from daemon.errors import NetError
from daemon.feeds.ccxt import DEPTH
from daemon.feeds.ccxt_rest import Ask
from daemon.venues.ccxt_errors import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from daemon.seams import Clock, Handler

    #: price to quantity, the best first, both as ccxt has them
    Side = dict[Any, Any]

_log = structlog.get_logger(component="feed")

#: what is older than this before it was asked for is history
_HISTORY_MS: Final = 10_000
_decode_ask = msgspec.json.Decoder(Ask).decode


class CcxtStreams:
    """One opened exchange of ccxt; a Wire (daemon/seams.py). Its methods belong to the running loop."""

    def __init__(
        self, client: Any, handler: Handler, clock: Clock, release: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """`client` has its markets already. `release` gives it and its connections back."""
        self._client = client
        self._read = client.handle_message
        client.handle_message = self._on_message
        self._handler = handler
        self._clock = clock
        self._release = release
        self._watches: dict[tuple[str, str], asyncio.Task[None]] = {}  # by stream and symbol
        self._numbers: dict[str, int] = {}  # of the last frame of each book
        self._tops: set[str] = set()  # symbols whose quotes are their books'
        self._telling: set[str] = set()  # symbols whose depth was asked for
        self._unmended: set[str] = set()  # those that begin anew, and have not come
        self.reason = ""  # why it ended
        self.ending: asyncio.Task[None] | None = None

    # --- a wire -------------------------------------------------------------------------------------------
    def send(self, payload: bytes) -> None:
        """Do what is asked (daemon/feeds/ccxt_rest.py); raises NetError where it ended, or ccxt cannot."""
        if self.reason:
            raise NetError(f"{self._client.id} takes nothing now: {self.reason}")
        ask = _decode_ask(payload)
        if ask.verb == "watch":
            self._watch(ask.stream, ask.symbol)
        elif ask.verb == "anew":
            self._begin_anew(ask.symbol)
        else:
            for stream, symbol in list(self._watches):
                if stream == "depth":
                    self._watches.pop((stream, symbol)).cancel()

    def close(self) -> None:
        """End it."""
        self._end("closed by us")

    def _end(self, reason: str) -> None:
        if self.reason:
            return
        self.reason = reason
        for task in self._watches.values():
            task.cancel()
        self.ending = asyncio.get_running_loop().create_task(self._finish())

    async def _finish(self) -> None:
        try:
            await self._release()
        finally:
            self._handler.on_close(self.reason)

    def _on_message(self, socket: Any, message: Any) -> None:
        """Let ccxt read a message; one that it cannot read would stop it, and nobody would be told."""
        try:
            self._read(socket, message)
        except Exception as error:  # a message may be odd in any way
            self._end(f"ccxt cannot read what {self._client.id} sent: {reason_of(error)}")

    # --- what is watched ------------------------------------------------------------------------------------
    def _watch(self, stream: str, symbol: str) -> None:
        has = self._client.has
        if stream == "quote" and not has.get("watchBidsAsks") and has.get("watchOrderBook"):
            self._tops.add(symbol)
            stream = "depth"
        elif stream == "depth":
            self._telling.add(symbol)
        method = {"trade": "watchTrades", "depth": "watchOrderBook"}.get(stream) or (
            "watchBidsAsks" if has.get("watchBidsAsks") else "watchTicker"
        )
        if not has.get(method):
            self._end(f"ccxt has no {method} for {self._client.id}; leave {stream!r} out of feed.streams")
        elif (stream, symbol) not in self._watches:
            work = {"trade": self._trades, "depth": self._books}.get(stream, self._quotes)
            self._spawn(stream, symbol, work(symbol))

    def _spawn(self, stream: str, symbol: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._watches[stream, symbol] = task
        task.add_done_callback(self._on_task_end)

    def _on_task_end(self, task: asyncio.Task[None]) -> None:
        """End with a task that failed; what our handler raised is a defect, and the loop's business."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, _WatchError):
            self._end(str(error))
            return
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"the handler of {self._client.id} raised", "exception": error}
        )
        self._end(f"our handler raised {type(error).__name__}")

    async def _trades(self, symbol: str) -> None:
        since_ms = self._clock.now_ns() // 1_000_000 - _HISTORY_MS
        watch = partial(self._client.watch_trades, symbol, since_ms)
        while True:
            if rows := await _given(watch):
                self._tell({"t": "trade", "s": symbol, "d": [_trade(row) for row in rows]})

    async def _quotes(self, symbol: str) -> None:
        client = self._client
        if client.has.get("watchBidsAsks"):
            watch = partial(client.watch_bids_asks, [symbol])
        else:
            watch = partial(client.watch_ticker, symbol)
        while True:
            try:
                told = await _given(watch)
            except _UnsupportedError:  # in this market: mexc and weex have them of spot alone
                self._tops.add(symbol)
                if ("depth", symbol) not in self._watches:
                    self._spawn("depth", symbol, self._books(symbol))
                return
            if (ticker := told.get(symbol, told)).get("symbol") == symbol:
                values = (ticker.get(key) for key in ("bid", "bidVolume", "ask", "askVolume"))
                self._tell(_quote(symbol, ticker.get("timestamp"), *values))

    async def _books(self, symbol: str) -> None:
        """Tell of a book until ccxt says that it does not follow."""
        watch = partial(self._client.watch_order_book, symbol)
        before: tuple[Side, Side] | None = None
        nonce = None
        while True:
            try:
                book = await _given(watch)
            except _NotFollowingError as error:
                self._tell_lost(symbol, str(error))
                return
            last, nonce = nonce, book.get("nonce")
            if last is not None and nonce is not None and nonce < last:
                self._tell_lost(symbol, f"number {nonce} came after {last}")
                return
            if before is None and nonce is None:
                _log.warning("book_unverified", symbol=symbol, exchange=self._client.id)
            sides = _best(book["bids"]), _best(book["asks"])
            tops = symbol in self._tops
            if symbol in self._telling:
                self._tell_book(symbol, book, before, sides, last=not tops)
            if tops:
                (bid, bid_qty), (ask, ask_qty) = (next(iter(side.items()), (None, None)) for side in sides)
                self._tell(_quote(symbol, book.get("timestamp"), bid, bid_qty, ask, ask_qty))
            before = sides

    def _begin_anew(self, symbol: str) -> None:
        """Let a book begin anew; raises NetError where that takes another connection."""
        client = self._client
        if not client.has.get("unWatchOrderBook") or symbol in self._unmended:
            raise NetError(f"the book of {symbol} begins anew with the connection alone")
        self._unmended.add(symbol)
        if old := self._watches.pop(("depth", symbol), None):
            old.cancel()
        self._spawn("depth", symbol, self._books_anew(symbol))

    async def _books_anew(self, symbol: str) -> None:
        await _given(partial(self._client.un_watch_order_book, symbol))
        await self._books(symbol)

    # --- telling --------------------------------------------------------------------------------------------
    def _tell(self, frame: dict[str, Any], *, last: bool = True) -> None:
        self._handler.on_frame(msgspec.json.encode(frame), last)

    def _number(self, symbol: str) -> int:
        number = self._numbers.get(symbol, 0) + 1
        self._numbers[symbol] = number
        return number

    def _tell_book(
        self,
        symbol: str,
        book: Any,
        before: tuple[Side, Side] | None,
        sides: tuple[Side, Side],
        *,
        last: bool,
    ) -> None:
        if before is None:
            self._unmended.discard(symbol)
            bids, asks = ([_level(*one) for one in side.items()] for side in sides)
        else:
            bids, asks = (_changes(*pair) for pair in zip(before, sides, strict=True))
        frame = {
            "t": "depth" if before else "book",
            "s": symbol,
            "T": book.get("timestamp"),
            "o": book.get("nonce"),
            "n": self._number(symbol),
            "b": bids,
            "a": asks,
        }
        self._tell(frame, last=last)

    def _tell_lost(self, symbol: str, why: str) -> None:
        self._number(symbol)
        self._watches.pop(("depth", symbol), None)
        if symbol in self._telling:
            self._tell({"t": "lost", "s": symbol, "n": self._number(symbol), "why": why})
        else:  # nobody would ask for it anew
            raise _WatchError(why)


class _WatchError(Exception):
    """ccxt raised: of one line, and nothing of ours."""


class _UnsupportedError(_WatchError):
    """ccxt's method is not for this market."""


class _NotFollowingError(_WatchError):
    """ccxt says that a book does not follow its exchange's sequence."""


async def _given(watch: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Return what ccxt gives next; raises _WatchError whatever it raises."""
    try:
        return await watch()
    except InvalidNonce as error:
        raise _NotFollowingError(reason_of(error)) from None
    except NotSupported as error:
        raise _UnsupportedError(reason_of(error)) from None
    except Exception as error:  # ccxt raises whatever an odd message makes of it
        raise _WatchError(reason_of(error)) from None


def _text(value: Any) -> str:
    """Return a number of ccxt, a float or text, to the digit and without an exponent; "" for none."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else repr(value)
    return f"{Decimal(text):f}" if "e" in text else text


def _trade(row: Any) -> dict[str, Any]:
    return {
        "i": row.get("id"),
        "T": row.get("timestamp"),
        "p": _text(row.get("price")),
        "q": _text(row.get("amount")),
        "S": row.get("side"),
    }


def _quote(symbol: str, stamp: Any, bid: Any, bid_qty: Any, ask: Any, ask_qty: Any) -> dict[str, Any]:
    """Return a quote's frame; a size that ccxt does not tell is 0."""
    return {
        "t": "quote",
        "s": symbol,
        "T": stamp,
        "b": _text(bid),
        "B": _text(bid_qty or 0),
        "a": _text(ask),
        "A": _text(ask_qty or 0),
    }


def _level(price: Any, qty: Any) -> list[str]:
    return [_text(price), _text(qty)]


def _best(levels: Iterable[Any]) -> Side:
    """Return the best levels of a side; of orders that are told one by one, the sum at each price."""
    found: Side = {}
    for price, qty, *_ in levels:
        if price in found:
            found[price] += qty
        elif len(found) == DEPTH:
            break
        else:
            found[price] = qty
    return found


def _changes(before: Side, now: Side) -> list[list[str]]:
    """Return the levels that differ; a quantity of 0: it is not among the best any more."""
    found = [_level(price, qty) for price, qty in now.items() if before.get(price) != qty]
    return found + [_level(price, 0) for price in before if price not in now]

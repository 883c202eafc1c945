"""The bench's market: quotes and trades as Binance streams them, made by a compiled walk from a seed.

A quote carries its symbol's newest mark in the last five digits of the bid's quantity; a strategy that sees
another one than before decides, and its order's price carries the mark back (daemon/bench/strategy.py).
Marks number the decisions that are asked for, 1 to MARKS - 1 and round again; 0 asks for none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numba import njit

from daemon.bench.frames import put_digits, put_price, write_header
from daemon.instruments import make_instrument

if TYPE_CHECKING:
    from daemon.instruments import Instrument

#: one more than the largest mark: five digits
MARKS: Final = 100_000
#: symbols are called by a number of so many digits
SYMBOL_DIGITS: Final = 3
SYMBOLS_MAX: Final = 1000
PRICE_TICK: Final = "0.01"
QTY_LOT: Final = "0.00001"

#: columns of `symbols`, int64[n, SYMBOL_COLUMNS]
S_MID: Final = 0  # the bid, in ticks
S_ASK: Final = 1
S_MARK: Final = 2  # the newest
S_OUT: Final = 3  # whether its order is still to come
S_READY_NS: Final = 4  # when it may be marked again
S_TRADE_ID: Final = 5
S_QUOTE_ID: Final = 6
S_HELD: Final = 7  # what the daemon holds of it, in lots
SYMBOL_COLUMNS: Final = 8

_LOW: Final = 5_900_000  # ticks between which the walk stays: five digits before the point
_HIGH: Final = 6_100_000
_START: Final = 6_000_000
_FIRST_ID: Final = 10_000_000_000  # ids keep their width

_QUOTE: Final = (
    b'{"stream":"bNNNusdt@bookTicker","data":{"u":UUUUUUUUUUU,"s":"BNNNUSDT",'
    b'"b":"00000.00000000","B":"00.00000000","a":"00000.00000000","A":"00.00000000"}}'
)
_TRADE: Final = (
    b'{"stream":"bNNNusdt@trade","data":{"e":"trade","E":EEEEEEEEEEEEE,"s":"BNNNUSDT","t":IIIIIIIIIII,'
    b'"p":"00000.00000000","q":"0.00000000","T":TTTTTTTTTTTTT,"m":mmmmm,"M":true}}'
)
HEAD: Final = 4  # bytes of a frame before its payload
QUOTE_BYTES: Final = HEAD + len(_QUOTE)
TRADE_BYTES: Final = HEAD + len(_TRADE)
#: where a quote's frame has its symbol's number and its mark: a floor reads no more of it
QUOTE_SYMBOL_AT: Final = HEAD + _QUOTE.index(b"NNN")
QUOTE_MARK_AT: Final = HEAD + _QUOTE.index(b'"B":"00.') + 8

_Q_SYMBOL2 = HEAD + _QUOTE.index(b"BNNN") + 1
_Q_ID = HEAD + _QUOTE.index(b"UUU")
_Q_BID = HEAD + _QUOTE.index(b'"b":"') + 5
_Q_BID_QTY = HEAD + _QUOTE.index(b'"B":"') + 5
_Q_ASK = HEAD + _QUOTE.index(b'"a":"') + 5
_Q_ASK_QTY = HEAD + _QUOTE.index(b'"A":"') + 5
_T_SYMBOL = HEAD + _TRADE.index(b"NNN")
_T_SYMBOL2 = HEAD + _TRADE.index(b"BNNN") + 1
_T_EVENT = HEAD + _TRADE.index(b"EEE")
_T_ID = HEAD + _TRADE.index(b"III")
_T_PRICE = HEAD + _TRADE.index(b'"p":"') + 5
_T_QTY = HEAD + _TRADE.index(b'"q":"') + 5
_T_TIME = HEAD + _TRADE.index(b"TTT")
_T_MAKER = HEAD + _TRADE.index(b"mmmmm")


class Texts(NamedTuple):
    """The two frames to be filled."""

    quote: np.ndarray[Any, np.dtype[np.uint8]]
    trade: np.ndarray[Any, np.dtype[np.uint8]]


def texts() -> Texts:
    """Return both frames with their headers, open places still open."""
    frames = []
    for payload in (_QUOTE, _TRADE):
        frame = np.zeros(HEAD + len(payload), np.uint8)
        frame[HEAD:] = np.frombuffer(payload, np.uint8)
        write_header(frame, HEAD, len(payload))
        frames.append(frame)
    return Texts(*frames)


def new_symbols(count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the state of `count` symbols before their first tick."""
    symbols = np.zeros((count, SYMBOL_COLUMNS), np.int64)
    symbols[:, S_MID] = _START
    symbols[:, S_ASK] = _START + 1
    symbols[:, S_TRADE_ID] = symbols[:, S_QUOTE_ID] = _FIRST_ID
    return symbols


def base_asset(symbol: int) -> str:
    """Return B007 for symbol 7."""
    return f"B{symbol:0{SYMBOL_DIGITS}d}"


def instrument(number: int) -> Instrument:
    """Return a symbol's rules."""
    return make_instrument(
        number,
        "binance",
        "spot",
        f"{base_asset(number)}/USDT",
        tick_size=PRICE_TICK,
        lot_size=QTY_LOT,
        qty_min=QTY_LOT,
        qty_max="9000",
        notional_min="5",
    )


@njit(cache=True, nogil=True)
def draw(random: Any) -> int:
    """Return the next of 2**63 numbers; random: uint64[1], never 0 (xorshift64*)."""
    x = random[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    random[0] = x
    return np.int64((x * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(1))  # type: ignore[return-value]


@njit(cache=True, nogil=True)
def write_quote(text: Any, out: Any, at: int, symbols: Any, i: int, random: Any) -> int:
    """Step symbol i and write its quote with its newest mark at `at`; return where the frame ends."""
    one = symbols[i]
    drawn = draw(random)
    mid = one[S_MID] + drawn % 7 - 3
    one[S_MID] = min(max(mid, _LOW), _HIGH)
    one[S_ASK] = one[S_MID] + 1 + (drawn >> 8) % 4
    one[S_QUOTE_ID] += 1
    out[at : at + text.size] = text
    put_digits(out, at + QUOTE_SYMBOL_AT, SYMBOL_DIGITS, i)
    put_digits(out, at + _Q_SYMBOL2, SYMBOL_DIGITS, i)
    put_digits(out, at + _Q_ID, 11, one[S_QUOTE_ID])
    put_price(out, at + _Q_BID, one[S_MID])
    put_digits(out, at + _Q_BID_QTY, 2, 10 + (drawn >> 16) % 90)
    put_digits(out, at + QUOTE_MARK_AT, 5, one[S_MARK])
    put_price(out, at + _Q_ASK, one[S_ASK])
    put_digits(out, at + _Q_ASK_QTY, 2, 10 + (drawn >> 24) % 90)
    put_digits(out, at + _Q_ASK_QTY + 3, 5, (drawn >> 32) % 100_000)
    return at + int(text.size)


@njit(cache=True, nogil=True)
def write_trade(text: Any, out: Any, at: int, symbols: Any, i: int, random: Any, time_ms: int) -> int:
    """Write a trade of symbol i at its touch; return where the frame ends."""
    one = symbols[i]
    drawn = draw(random)
    sold = drawn & 1
    one[S_TRADE_ID] += 1
    out[at : at + text.size] = text
    put_digits(out, at + _T_SYMBOL, SYMBOL_DIGITS, i)
    put_digits(out, at + _T_SYMBOL2, SYMBOL_DIGITS, i)
    put_digits(out, at + _T_EVENT, 13, time_ms)
    put_digits(out, at + _T_ID, 11, one[S_TRADE_ID])
    put_price(out, at + _T_PRICE, one[S_MID] if sold else one[S_ASK])
    put_digits(out, at + _T_QTY, 1, 1 + (drawn >> 8) % 9)
    put_digits(out, at + _T_QTY + 2, 5, (drawn >> 16) % 100_000)
    put_digits(out, at + _T_TIME, 13, time_ms)
    word = b" true" if sold else b"false"
    for k in range(5):
        out[at + _T_MAKER + k] = word[k]
    return at + int(text.size)

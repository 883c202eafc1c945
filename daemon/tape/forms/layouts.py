"""What the columns of known CSV files mean: Binance's public data, tardis.dev, streams written as CSV.

A layout is recognised by its header, or, where Binance gives none, by its first row and the file's name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal["trades", "quotes", "depth", "bars"]


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of one kind of file, and what they are."""

    form: str
    kind: Kind
    columns: tuple[str, ...]
    roles: dict[str, str]  # what daemon/tape/forms/rows.py knows -> the column that has it
    contiguous: bool = False  # trade ids follow one another

    @property
    def clock(self) -> Literal["received", "exchange"]:
        """What orders the rows."""
        return "received" if "wire" in self.roles else "exchange"


def _binance(kind: Kind, columns: str, roles: dict[str, str]) -> Layout:
    return Layout(
        form="binance", kind=kind, columns=tuple(columns.split(",")), roles=roles, contiguous=kind == "trades"
    )


_TRADE: Final = {"id": "id", "price": "price", "size": "qty", "exch": "time", "maker": "is_buyer_maker"}
_AGG: Final = {
    "id": "agg_trade_id",
    "price": "price",
    "size": "quantity",
    "exch": "transact_time",
    "maker": "is_buyer_maker",
}
_QUOTE: Final = {
    "id": "update_id",
    "bid": "best_bid_price",
    "bid_size": "best_bid_qty",
    "ask": "best_ask_price",
    "ask_size": "best_ask_qty",
    "exch": "transaction_time",
}
_BAR: Final = {
    "open_time": "open_time",
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "volume": "volume",
    "close_time": "close_time",
    "quote_volume": "quote_volume",
    "count": "count",
    "taker_volume": "taker_buy_volume",
}

BINANCE: Final = (
    _binance("trades", "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match", _TRADE),
    _binance("trades", "id,price,qty,quote_qty,time,is_buyer_maker", _TRADE),
    _binance("trades", "id,price,qty,base_qty,time,is_buyer_maker", _TRADE),
    _binance(
        "trades",
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker,is_best_match",
        _AGG,
    ),
    _binance(
        "trades",
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
        _AGG,
    ),
    _binance(
        "quotes",
        "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time",
        _QUOTE,
    ),
    _binance(
        "bars",
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
        "taker_buy_quote_volume,ignore",
        _BAR,
    ),
)
_T_EXCH, _T_WIRE = "timestamp", "local_timestamp"
TARDIS: Final = (
    Layout(
        form="tardis",
        kind="trades",
        columns=("exchange", "symbol", _T_EXCH, _T_WIRE, "id", "side", "price", "amount"),
        roles={
            "symbol": "symbol", "exch": _T_EXCH, "wire": _T_WIRE, "id": "id", "side": "side",
            "price": "price", "size": "amount",
        },
    ),
    Layout(
        form="tardis",
        kind="quotes",
        columns=(
            "exchange", "symbol", _T_EXCH, _T_WIRE, "ask_amount", "ask_price", "bid_price", "bid_amount"
        ),
        roles={
            "symbol": "symbol", "exch": _T_EXCH, "wire": _T_WIRE, "bid": "bid_price",
            "bid_size": "bid_amount", "ask": "ask_price", "ask_size": "ask_amount",
        },
    ),
    Layout(
        form="tardis",
        kind="depth",
        columns=("exchange", "symbol", _T_EXCH, _T_WIRE, "is_snapshot", "side", "price", "amount"),
        roles={
            "symbol": "symbol", "exch": _T_EXCH, "wire": _T_WIRE, "snapshot": "is_snapshot", "side": "side",
            "price": "price", "size": "amount",
        },
    ),
)  # fmt: skip

_RECEIVED: Final = "TimestampOfReceive"
_STREAM_TRADE: Final = {
    "wire": _RECEIVED, "exch": "TransactionTime", "event": "EventTime", "symbol": "Symbol", "id": "TradeId",
    "price": "Price", "size": "Quantity", "maker": "IsBuyerMarketMaker",
}  # fmt: skip
_STREAM_DEPTH: Final = {
    "wire": _RECEIVED, "exch": "EventTime", "symbol": "Symbol", "first": "FirstUpdateId",
    "last": "FinalUpdateId", "ask_side": "IsAsk", "price": "Price", "size": "Quantity",
}  # fmt: skip
_HEAD: Final = "TimestampOfReceive,Stream,EventType,EventTime,"
_FUTURES_DEPTH: Final = {
    **_STREAM_DEPTH, "prev": "FinalUpdateIdInLastStream", "exch": "TransactionTime", "event": "EventTime"
}  # fmt: skip


def _stream(kind: Kind, columns: str, roles: dict[str, str]) -> Layout:
    return Layout(
        form="streams", kind=kind, columns=tuple(columns.split(",")), roles=roles, contiguous=kind == "trades"
    )


_STREAM_TRADE_COLUMNS: Final = _HEAD + "TransactionTime,Symbol,TradeId,Price,Quantity,IsBuyerMarketMaker,"
_LEVEL: Final = "IsAsk,Price,Quantity"
_FUTURES_IDS: Final = "TransactionTime,Symbol,FirstUpdateId,FinalUpdateId,FinalUpdateIdInLastStream,"
STREAMS: Final = (
    _stream("trades", _STREAM_TRADE_COLUMNS + "MUnknownParameter", _STREAM_TRADE),
    _stream(
        "trades",
        _STREAM_TRADE_COLUMNS + "XUnknownParameter",
        {**_STREAM_TRADE, "printed": "XUnknownParameter"},
    ),
    _stream("depth", _HEAD + "Symbol,FirstUpdateId,FinalUpdateId," + _LEVEL, _STREAM_DEPTH),
    _stream("depth", _HEAD + _FUTURES_IDS + _LEVEL, _FUTURES_DEPTH),
    _stream("depth", _HEAD + _FUTURES_IDS + _LEVEL + ",PSUnknownField", _FUTURES_DEPTH),
    _stream(
        "depth",
        "TimestampOfReceive,TimestampOfRequest,LastUpdateId,IsAsk,Price,Quantity",
        {
            "wire": _RECEIVED,
            "book": "LastUpdateId",
            "ask_side": "IsAsk",
            "price": "Price",
            "size": "Quantity",
        },
    ),
)
LAYOUTS: Final = (*BINANCE, *TARDIS, *STREAMS)
#: other spellings of Binance's headers
_ALIASES: Final = {
    "taker_buy_base_volume": "taker_buy_volume",
    "quote_asset_volume": "quote_volume",
    "number_of_trades": "count",
    "taker_buy_base_asset_volume": "taker_buy_volume",
    "taker_buy_quote_asset_volume": "taker_buy_quote_volume",
    "trade_id": "id",
    "quoteqty": "quote_qty",
    "isbuyermaker": "is_buyer_maker",
    "isbestmatch": "is_best_match",
    "aggtradeid": "agg_trade_id",
    "firstid": "first_trade_id",
    "lastid": "last_trade_id",
}
_NUMBER: Final = re.compile(r"^-?\d+(\.\d+)?$")
_TRUTH: Final = re.compile(r"^(true|false)$", re.IGNORECASE)
_NAMED: Final = re.compile(r"-(trades|aggTrades|bookTicker|\d+(?:s|m|h|d|w|mo))-\d{4}-\d{2}", re.IGNORECASE)


def by_header(cells: Sequence[str]) -> Layout | None:
    """Return the layout whose columns a header names, in their order; None: it is no header we know."""
    names = tuple(cell.strip().strip('"') for cell in cells)
    lower = tuple(_ALIASES.get(name.lower(), name.lower()) for name in names)
    for one in LAYOUTS:
        wanted = tuple(name.lower() for name in one.columns)
        if lower == wanted:
            return one
    return None


def by_first_row(cells: Sequence[str], file: str) -> Layout | None:
    """Return the layout of Binance's files without a header: by their cells, and by the file's name."""
    shape = "".join("n" if _NUMBER.match(one) else "t" if _TRUTH.match(one) else "?" for one in cells)
    named = _NAMED.search(file)
    agg = named is not None and named[1].lower() == "aggtrades"
    index = {
        "nnnnntt": 0,
        "nnnnnt": 1,
        "nnnnnntt": 3,
        "nnnnnnt": 4,
        "nnnnnnn": 5,
        "nnnnnnnnnnnn": 6,
    }.get(shape)
    if index is None or (agg and index not in {3, 4}):
        return None
    return BINANCE[index]

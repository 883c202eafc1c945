"""What the bench's exchange answers to an order that fills at once: Binance's own texts, as templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from daemon.bench.frames import (
    CLIENT_ID,
    EVENT_ID,
    FILL_TICKS,
    ID,
    ORDER_ID,
    PRICE,
    QTY,
    SIDE,
    SYMBOL,
    TIME_MS,
    TRADE_ID,
    field,
    number,
    template,
)

if TYPE_CHECKING:
    import numpy as np

#: limits as the exchange tells them with each answer, too high to be felt
_LIMITS = (
    b'"rateLimits":['
    b'{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":1000000000,"count":1},'
    b'{"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":1000000000,"count":1},'
    b'{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":1000000000,"count":1}]'
)
_RESULT = b"".join(
    [
        b'{"symbol":"',
        field(SYMBOL),
        b'","orderId":',
        number(ORDER_ID),
        b',"orderListId":-1,"clientOrderId":"',
        field(CLIENT_ID),
        b'","transactTime":',
        number(TIME_MS),
        b',"price":"',
        field(PRICE),
        b'000000","origQty":"',
        field(QTY),
        b'000","executedQty":"',
        field(QTY),
        b'000","origQuoteOrderQty":"0.00000000","cummulativeQuoteQty":"0.00000000","status":"FILLED",',
        b'"timeInForce":"IOC","type":"LIMIT","side":"',
        field(SIDE),
        b'","workingTime":',
        number(TIME_MS),
        b',"fills":[{"price":"',
        number(FILL_TICKS),
        b'000000","qty":"',
        field(QTY),
        b'000","commission":"0.00000000","commissionAsset":"BNB","tradeId":',
        number(TRADE_ID),
        b'}],"selfTradePreventionMode":"EXPIRE_TAKER"}',
    ]
)
_ANSWER = b"".join([b'{"id":', field(ID), b',"status":200,"result":', _RESULT, b",", _LIMITS, b"}"])
_TIME = b"".join(
    [b'{"id":', field(ID), b',"status":200,"result":{"serverTime":', number(TIME_MS), b"},", _LIMITS, b"}"]
)


def _report(execution: bytes, status: bytes, *, traded: bool) -> bytes:
    """Return an executionReport of the user data stream."""
    last_qty = field(QTY) + b"000" if traded else b"0.00000000"
    last_price = number(FILL_TICKS) + b"000000" if traded else b"0.00000000"
    return b"".join(
        [
            b'{"subscriptionId":0,"event":{"e":"executionReport","E":',
            number(TIME_MS),
            b',"s":"',
            field(SYMBOL),
            b'","c":"',
            field(CLIENT_ID),
            b'","S":"',
            field(SIDE),
            b'","o":"LIMIT","f":"IOC","q":"',
            field(QTY),
            b'000","p":"',
            field(PRICE),
            b'000000","P":"0.00000000","F":"0.00000000","g":-1,"C":"","x":"'
            + execution
            + b'","X":"'
            + status,
            b'","r":"NONE","i":',
            number(ORDER_ID),
            b',"l":"' + last_qty + b'","z":"' + last_qty + b'","L":"' + last_price,
            b'","n":"0","N":' + (b'"BNB"' if traded else b"null") + b',"T":',
            number(TIME_MS),
            b',"t":' + (number(TRADE_ID) if traded else b"-1") + b',"I":',
            number(EVENT_ID),
            b',"w":'
            + (b"false" if traded else b"true")
            + b',"m":false,"M":'
            + (b"true" if traded else b"false"),
            b',"O":',
            number(TIME_MS),
            b',"Z":"0.00000000","Y":"0.00000000","Q":"0.00000000","W":',
            number(TIME_MS),
            b',"V":"EXPIRE_TAKER"}}',
        ]
    )


class Answers(NamedTuple):
    """Templates for daemon.bench.frames.fill."""

    answer: np.ndarray[Any, np.dtype[np.uint8]]
    new: np.ndarray[Any, np.dtype[np.uint8]]
    trade: np.ndarray[Any, np.dtype[np.uint8]]
    time: np.ndarray[Any, np.dtype[np.uint8]]
    result: np.ndarray[Any, np.dtype[np.uint8]]  # for HTTP


def answers() -> Answers:
    """Return the texts: the answer to an order, its two reports, the answer to `time`, and HTTP's body."""
    return Answers(
        template(_ANSWER),
        template(_report(b"NEW", b"NEW", traded=False)),
        template(_report(b"TRADE", b"FILLED", traded=True)),
        template(_TIME),
        template(_RESULT),
    )

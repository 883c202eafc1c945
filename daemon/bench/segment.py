"""One segment of a measurement: the exchange's loop, compiled, spinning on its core.

It sends ticks as the plan says, reads orders, matches each to its tick by the mark in its price, stamps both
with one clock, and answers as the exchange would: the response, then the reports NEW and TRADE. A mark is
given to a symbol only when the one before was answered, because decisions coalesce: what a daemon that fell
behind was not asked for is counted in HELD_BACK.

Poisson ticks keep to their schedule: one that this loop itself is too late for is counted in LATE, not sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numba import njit

from daemon.bench import frames
from daemon.bench.answers import answers
from daemon.bench.frames import METHOD, PRICE, QTY, SIDE
from daemon.bench.libc import CLOSED, now_ns, receive, send_all, send_some, utc_ns
from daemon.bench.market import (
    MARKS,
    S_ASK,
    S_HELD,
    S_MARK,
    S_MID,
    S_OUT,
    S_READY_NS,
    draw,
    new_symbols,
    texts,
    write_quote,
    write_trade,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: columns of `plan`, int64
KIND: Final = 0
DURATION_NS: Final = 1
GAP_NS: Final = (
    2  # after an order (CLOSED_LOOP), the mean between ticks (POISSON), between ticks (UNMARKED, QUOTES)
)
IN_FLIGHT: Final = 3  # marks out at once, of a CLOSED_LOOP
SYMBOLS: Final = 4  # of QUOTES: the first so many take turns
PLAN: Final = 5

CLOSED_LOOP: Final = 0
POISSON: Final = 1
FLOOD: Final = 2
UNMARKED: Final = 3
QUOTES: Final = 4

#: columns of `tally`, int64: counts go on from segment to segment
SENT: Final = 0  # ticks
MARKED: Final = 1  # of these, that ask for an order
ORDERS: Final = 2
LATE: Final = 3
HELD_BACK: Final = 4
STRANGE: Final = 5  # requests that are no order of an outstanding mark
CASH: Final = 6  # what the daemon spent, in ticks times lots
LAST_ORDER_NS: Final = 7
STARTED_NS: Final = 8  # of the newest segment
TALLY: Final = 9

#: columns of `now`, int64: one segment's own
_TIME: Final = 0
_STOP: Final = 1
_DUE: Final = 2
_TURN: Final = 3  # the symbol that was marked last
_CLOSING: Final = 4  # a flood's last mark is away
_UTC_MS: Final = 5  # at the start
_FILLED: Final = 6  # bytes in rx
_COUNT: Final = 7  # latencies
_NOW: Final = 8

#: what `run` returns
DONE: Final = 0
GONE: Final = 1
UNANSWERED: Final = 2
FAULTS: Final = {
    GONE: "a connection was closed",
    UNANSWERED: "a marked tick was not answered within a second of the segment's end",
}

#: a tick of the schedule that is later than this is not sent
LATE_NS: Final = 50_000
_GRACE_NS: Final = 1_000_000_000
#: of a flood: frames written at once, and ticks from one mark to the next
_BATCH: Final = 64
_MARK_EVERY: Final = 1000
#: one marked quote of so many brings a trade with it
_TRADE_EVERY: Final = 4
#: an HTTP answer has this length, spaces after its JSON
_HTTP_BODY_BYTES: Final = 1024
_HTTP_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n\r\n"
_BODY_AT: Final = len(_HTTP_HEAD)

_ORDER_PLACE, _ASKS_TIME, _BUY, _RETURN, _SPACE = b"otB\r "


class Line(NamedTuple):
    """One participant's state and buffers, for the compiled functions."""

    tally: NDArray[np.int64]
    symbols: NDArray[np.int64]
    sent_ns: NDArray[np.int64]  # [MARKS, 2]: when each outstanding mark was sent, and on which symbol
    latency_ns: NDArray[np.int64]  # of the newest segment
    random: NDArray[np.uint64]  # [1]
    now: NDArray[np.int64]
    pending: NDArray[np.int64]  # start and end of what a flood has still to write of `out`
    scratch: NDArray[np.int64]
    where: NDArray[np.int64]
    fields: NDArray[np.int64]
    numbers: NDArray[np.int64]
    out: NDArray[np.uint8]
    rx: NDArray[np.uint8]
    tx: NDArray[np.uint8]
    quote: NDArray[np.uint8]
    trade: NDArray[np.uint8]
    answer: NDArray[np.uint8]
    report_new: NDArray[np.uint8]
    report_trade: NDArray[np.uint8]
    answer_time: NDArray[np.uint8]
    http_head: NDArray[np.uint8]
    http_body: NDArray[np.uint8]


def new_line(symbols: int, seed: int, latencies_max: int = 1 << 21) -> Line:
    """Return a participant's state before its first segment."""
    market, said = texts(), answers()
    return Line(
        tally=np.zeros(TALLY, np.int64),
        symbols=new_symbols(symbols),
        sent_ns=np.zeros((MARKS, 2), np.int64),
        latency_ns=np.zeros(latencies_max, np.int64),
        random=np.array([2 * seed + 1], np.uint64),
        now=np.zeros(_NOW, np.int64),
        pending=np.zeros(2, np.int64),
        scratch=np.zeros(2, np.int64),
        where=np.zeros(3, np.int64),
        fields=np.zeros((frames.REQUEST_FIELDS, 2), np.int64),
        numbers=np.zeros(frames.NUMBERS, np.int64),
        out=np.zeros(_BATCH * 512, np.uint8),
        rx=np.zeros(1 << 17, np.uint8),
        tx=np.zeros(1 << 13, np.uint8),
        quote=market.quote,
        trade=market.trade,
        answer=said.answer,
        report_new=said.new,
        report_trade=said.trade,
        answer_time=said.time,
        http_head=np.frombuffer(_HTTP_HEAD, np.uint8).copy(),
        http_body=said.result,
    )


def latencies(line: Line) -> NDArray[np.int64]:
    """Return the nanoseconds from tick to order of the newest segment, in order."""
    return line.latency_ns[: line.now[_COUNT]]


@njit(cache=True, nogil=True)
def run(line: Any, plan: Any, market_fd: int, api_fd: int, http: int) -> int:
    """Run one segment; return DONE or why it ended early. http: orders come as HTTP requests."""
    now = line.now
    now[:] = 0
    line.pending[:] = 0
    start = now_ns(line.scratch)
    now[_UTC_MS] = utc_ns(line.scratch) // 1_000_000
    now[_DUE] = start
    now[_STOP] = start + plan[DURATION_NS]
    line.tally[STARTED_NS] = line.tally[LAST_ORDER_NS] = start
    line.symbols[:, S_READY_NS] = start
    while True:
        now[_TIME] = now_ns(line.scratch)
        if now[_TIME] < now[_STOP] or (plan[KIND] == FLOOD and now[_CLOSING] == 0):
            _send_due(line, plan, market_fd)
        elif line.tally[ORDERS] == line.tally[MARKED]:
            return DONE
        if now[_TIME] > now[_STOP] + _GRACE_NS:
            return UNANSWERED
        if line.pending[0] < line.pending[1]:
            pushed = send_some(market_fd, line.out, line.pending[0], line.pending[1])
            if pushed == CLOSED:
                return GONE
            line.pending[0] += pushed
        got = receive(api_fd, line.rx, now[_FILLED])
        if got == CLOSED:
            return GONE
        if got > 0:
            now[_FILLED] += got
            if not _take(line, plan, api_fd, http, now_ns(line.scratch)):
                return GONE


# --- ticks --------------------------------------------------------------------------------------------------
@njit(cache=True, nogil=True)
def _send_due(line: Any, plan: Any, fd: int) -> None:
    """Send what the plan has for this moment."""
    now, tally = line.now, line.tally
    kind, time = plan[KIND], now[_TIME]
    if kind == FLOOD:
        if line.pending[0] == line.pending[1]:
            _flood(line, time >= now[_STOP])
    elif kind == CLOSED_LOOP:
        if tally[MARKED] - tally[ORDERS] < plan[IN_FLIGHT] and _find_free(line):
            _send_marked(line, fd)
    elif time < now[_DUE]:
        return
    elif kind == QUOTES:
        now[_TURN] = (now[_TURN] + 1) % plan[SYMBOLS]
        end = write_quote(line.quote, line.out, 0, line.symbols, now[_TURN], line.random)
        send_all(fd, line.out, 0, end)
        tally[SENT] += 1
        now[_DUE] += plan[GAP_NS]
    elif kind == UNMARKED:
        now[_TURN] = (now[_TURN] + 1) % len(line.symbols)
        end = write_quote(line.quote, line.out, 0, line.symbols, now[_TURN], line.random)
        end = write_trade(line.trade, line.out, end, line.symbols, now[_TURN], line.random, now[_UTC_MS])
        send_all(fd, line.out, 0, end)
        tally[SENT] += 2
        now[_DUE] += plan[GAP_NS]
    else:
        if time - now[_DUE] > LATE_NS:
            tally[LATE] += 1
        elif _find_free(line):
            _send_marked(line, fd)
        else:
            tally[HELD_BACK] += 1
        uniform = (draw(line.random) >> 10) * 2.0**-53
        now[_DUE] += int(-np.log(1.0 - uniform) * plan[GAP_NS])


@njit(cache=True, nogil=True)
def _find_free(line: Any) -> bool:
    """Turn to the next symbol that may be marked; return whether there is one."""
    now, symbols = line.now, line.symbols
    for k in range(1, len(symbols) + 1):
        i = (now[_TURN] + k) % len(symbols)
        if symbols[i, S_OUT] == 0 and symbols[i, S_READY_NS] <= now[_TIME]:
            now[_TURN] = i
            return True
    return False


@njit(cache=True, nogil=True)
def _mark(line: Any, i: int) -> int:
    """Give symbol i the next mark; return it."""
    mark = line.tally[MARKED] % (MARKS - 1) + 1
    line.tally[MARKED] += 1
    line.symbols[i, S_MARK] = mark
    line.symbols[i, S_OUT] = 1
    line.sent_ns[mark, 1] = i
    return int(mark)


@njit(cache=True, nogil=True)
def _send_marked(line: Any, fd: int) -> None:
    """Send a quote that asks for an order, now and then with a trade before it."""
    i = line.now[_TURN]
    mark = _mark(line, i)
    end = 0
    line.tally[SENT] += 1
    if draw(line.random) % _TRADE_EVERY == 0:
        end = write_trade(line.trade, line.out, end, line.symbols, i, line.random, line.now[_UTC_MS])
        line.tally[SENT] += 1
    end = write_quote(line.quote, line.out, end, line.symbols, i, line.random)
    line.sent_ns[mark, 0] = now_ns(line.scratch)
    send_all(fd, line.out, 0, end)


@njit(cache=True, nogil=True)
def _flood(line: Any, last: bool) -> None:
    """Write the next quotes; the very last one is marked, so that its order tells that all were taken in."""
    end = 0
    for k in range(_BATCH):
        i = draw(line.random) % len(line.symbols)
        wants = k == _BATCH - 1 if last else line.tally[SENT] % _MARK_EVERY == 0
        if wants and line.symbols[i, S_OUT] == 0:
            mark = _mark(line, i)
            line.sent_ns[mark, 0] = now_ns(line.scratch)
            if last:
                line.now[_CLOSING] = 1
        end = write_quote(line.quote, line.out, end, line.symbols, i, line.random)
        line.tally[SENT] += 1
    line.pending[0] = 0
    line.pending[1] = end


# --- orders -------------------------------------------------------------------------------------------------
@njit(cache=True, nogil=True)
def _take(line: Any, plan: Any, fd: int, http: int, received: int) -> bool:
    """Answer every whole request that was received; return False for a frame that ends the connection."""
    now, rx = line.now, line.rx
    line.numbers[frames.TIME_MS] = now[_UTC_MS] + (received - line.tally[STARTED_NS]) // 1_000_000
    at = 0
    while True:
        opcode = _next(line, at, http)
        if opcode == frames.PARTIAL:
            break
        if opcode != frames.TEXT:
            return False
        at = line.where[2]
        latency = _answer(line, fd, http, received)
        if latency > 0 and now[_COUNT] < line.latency_ns.size:
            line.latency_ns[now[_COUNT]] = latency
            now[_COUNT] += 1
            if plan[KIND] == CLOSED_LOOP and plan[GAP_NS] > 0:
                line.symbols[:, S_READY_NS] = now_ns(line.scratch) + plan[GAP_NS]
    rest = now[_FILLED] - at
    for k in range(rest):
        rx[k] = rx[at + k]
    now[_FILLED] = rest
    return True


@njit(cache=True, nogil=True)
def _next(line: Any, at: int, http: int) -> int:
    """Find the next request and its fields; return its opcode (TEXT for HTTP) or PARTIAL."""
    rx, filled = line.rx, line.now[_FILLED]
    if http == 0:
        opcode = frames.frame_at(rx, at, filled, line.where)
        if opcode == frames.TEXT:
            frames.read_request(rx, line.where[0], line.where[1], line.fields)
        return opcode
    for i in range(at, filled - 3):
        if rx[i] == _RETURN and rx[i + 2] == _RETURN:
            line.where[2] = i + 4
            frames.read_query(rx, at, i, line.fields)
            return frames.TEXT
    return frames.PARTIAL


@njit(cache=True, nogil=True)
def _answer(line: Any, fd: int, http: int, received: int) -> int:
    """Answer one request; return how long after its tick an order came, 0 for what is none."""
    rx, fields, numbers, tally = line.rx, line.fields, line.numbers, line.tally
    method = rx[fields[METHOD, 0]]
    if http == 0 and method == _ASKS_TIME:
        send_all(fd, line.tx, 0, _write_text(line, line.answer_time, 0))
        return 0
    mark = frames.digits(rx, fields[PRICE, 0], fields[PRICE, 1]) % MARKS
    if (http == 0 and method != _ORDER_PLACE) or line.sent_ns[mark, 0] == 0:
        tally[STRANGE] += 1
        return 0
    latency = received - line.sent_ns[mark, 0]
    i = line.sent_ns[mark, 1]
    line.sent_ns[mark, 0] = 0
    tally[ORDERS] += 1
    tally[LAST_ORDER_NS] = received
    _fill_order(line, line.symbols[i])
    if http == 0:
        send_all(fd, line.tx, 0, _write_text(line, line.answer, 0))
        end = _write_text(line, line.report_trade, _write_text(line, line.report_new, 0))
    else:
        end = _BODY_AT + _HTTP_BODY_BYTES
        line.tx[:_BODY_AT] = line.http_head
        line.tx[_BODY_AT:end] = _SPACE
        frames.fill(line.http_body, line.tx, _BODY_AT, rx, fields, numbers)
    send_all(fd, line.tx, 0, end)
    line.symbols[i, S_OUT] = 0
    return int(latency)


@njit(cache=True, nogil=True)
def _fill_order(line: Any, symbol: Any) -> None:
    """Trade an order whole at its symbol's touch."""
    rx, fields, numbers, tally = line.rx, line.fields, line.numbers, line.tally
    lots = frames.digits(rx, fields[QTY, 0], fields[QTY, 1])
    buys = rx[fields[SIDE, 0]] == _BUY
    signed = lots if buys else -lots
    ticks = symbol[S_ASK] if buys else symbol[S_MID]
    symbol[S_HELD] += signed
    tally[CASH] += signed * ticks
    numbers[frames.FILL_TICKS] = ticks
    numbers[frames.ORDER_ID] = numbers[frames.TRADE_ID] = numbers[frames.EVENT_ID] = tally[ORDERS]


@njit(cache=True, nogil=True)
def _write_text(line: Any, text: Any, at: int) -> int:
    """Write one frame at `at`; return where it ends."""
    end = frames.fill(text, line.tx, at + 4, line.rx, line.fields, line.numbers)
    frames.write_header(line.tx, at + 4, end - at - 4)
    return end

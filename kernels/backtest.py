"""The backtest's loop: the market's events, what is due between them, and the decisions that are due.

    while (why := advance(...)) > 0:                   a strategy's decision is due, at test["decide_ns"]
        count = drain(mem, rings, account, now_ns, why)        the live call (daemon/compile.py)
        answer(test, front, trips, mem[0].actions, count)

`advance` is a machine that stops wherever the strategy is to be asked, so that the same compiled call answers
as in the live daemon, and a plain Python one can. It also stops where features are to see something: a
strategy's memory has a type of its own, and whatever takes it is compiled for each. It returns a WHY_* mask,
or else

    TELL_BOOK      let the strategy take the changed book, of test["book_ns"]
    ABSORB         the ring is full: let it take what waits
    FORGET         let it begin anew
    MISS           the bar being made lacks trades: it is not complete
    BAR_DUE        set test["bar_ended"] to 1 where the bar being made has ended by test["now_ns"]
    NEED_EVENTS    all events were taken: give it the next ones, from test["at"] = 0 on, or `end`
    NEED_ROOM      fills, sent or points are nearly full: take them away, and set their counts to 0
    FAILED         test["error"] says what
    <= books.FULL  the book must grow (kernels.book): give it the grown one, and the old one as `shown`

Time is that of daemon/clock.py's VirtualTime: before an event everything is done that is due up to its time,
each at its own, and of what is due at one time what was asked for first. `test` is an array of length 1 of
kernels.backtest_state.BACKTEST, which daemon/research makes; `rings` has one ring.
"""

from typing import Any, Final

import numpy as np
from numba import njit

from kernels import book as books
from kernels import gates, orders, paper, watch, worth
from kernels.backtest_state import (
    EV_END,
    EV_FRESH,
    EV_GAP,
    EV_LOST,
    EV_SYNCED,
    EV_TOLD,
    EV_WHOLE,
    L_LOTS,
    L_TICKS,
    NOTHING,
    REPORTS_MAX,
    REQUESTS_MAX,
    ROOM,
    ROWS,
    SAY_TRADE,
    SHUT_BOOK_GAP,
    SHUT_WARMING,
    W_KIND,
    W_NUMBER,
    W_WHEN_NS,
)
from kernels.dtypes import (
    B_ASK_TICKS,
    B_BID_TICKS,
    DEPTH,
    QUOTE,
    WHY_BAR,
    WHY_DRAIN,
    WHY_FILL,
    WHY_TIMER,
)
from kernels.inner import inner
from kernels.levels import S_ASK_LOTS, S_ASK_TICKS, S_BID_LOTS, S_BID_TICKS
from kernels.ring import MASK, push

NEED_EVENTS: Final = -1
NEED_ROOM: Final = -2
FAILED: Final = -3
ABSORB: Final = -4
TELL_BOOK: Final = -5
FORGET: Final = -6
MISS: Final = -8
BAR_DUE: Final = -9
#: of test["error"], beside those of kernels.paper and kernels.orders
ERROR_CROSSED: Final = 4
ERROR_CONTRACT: Final = 5

_NEVER_NS: Final = 2**63 - 1
_FILLED: Final[Any] = np.int64(WHY_FILL)
_RANG: Final[Any] = np.int64(WHY_TIMER)
_CLOSED: Final[Any] = np.int64(WHY_BAR)
#: virtual time that is moved on by more is a machine that slept (daemon/clock.py)
_SLEPT_NS: Final = 3_600_000_000_000
_AWAKE_NS: Final = 60_000_000_000
# stages
_NEXT: Final = 0  # the next event has not been looked at
_TIMERS: Final = 1  # what is due before it is done
_EVENT: Final = 2  # it is to be taken
_TOLD: Final = 3  # so is what follows: its gap or its book was told
_OVER: Final = 4
# who is due
_REQUEST: Final = 0
_REPORT: Final = 1
_WATCH: Final = 2
_TIMER: Final = 3
_BAR: Final = 4


@njit(cache=True)
def begin(test: Any, front: Any, rings: Any, book: Any, shown: Any, trips: Any, now_ns: int) -> None:
    """Begin to trade at the time of the first event: balances are set, everything else is as it was made."""
    t, f = test[0], front[0]
    t.now_ns = now_ns
    t.answer_ns = -1
    paper.open_account(t, f)
    gates.shut(t, SHUT_WARMING, t.cold_ticks)
    gates.shut(t, SHUT_BOOK_GAP, 1 if t.synced == 0 else 0)
    watch.look(t, f, rings, book, shown, trips)
    t.timer_ns = t.bar_ns = t.watch_ns = _NEVER_NS
    if t.timer_period_ns > 0:
        _arm_timer(t)
    if t.bar_period_ns > 0:
        _arm_bar(t)
    _arm_watch(t)
    _settle_due(t)


@njit(cache=True)
def end(test: Any, after_ns: int) -> None:
    """Let what is on its way arrive for so long: nothing new is sent, and nobody looks at the market."""
    t = test[0]
    gates.shut(t, SHUT_WARMING, gates.YES)
    t.ending = 1
    t.timer_ns = t.bar_ns = t.watch_ns = _NEVER_NS
    _settle_due(t)
    t.to_ns = t.now_ns + after_ns
    t.limit_ns = t.to_ns
    t.stage = _OVER


@njit(cache=True)
def advance(
    test: Any,
    front: Any,
    matcher: Any,
    rings: Any,
    book: Any,
    shown: Any,
    scratch: Any,
    events: Any,
    levels: Any,
    trips: Any,
) -> int:
    """Go on to the next decision; return why it is due, or what is missing."""
    t, f = test[0], front[0]
    if t.bar_ended != 0:
        t.bar_ended = 0
        why = _drain(t, matcher, rings, book, shown, trips, _CLOSED, t.now_ns)
        _settle_due(t)
        return int(why)
    while True:
        if t.error != 0:
            return FAILED
        if max(t.fills, t.sent, t.points) > ROWS - ROOM:
            return NEED_ROOM
        if t.stage == _NEXT:
            if t.at == events.size:
                return NEED_EVENTS
            t.to_ns = events[t.at].tick.wire_ns
            slept = t.due_ns <= t.to_ns and t.to_ns - t.now_ns > _SLEPT_NS
            t.limit_ns = t.now_ns + _AWAKE_NS if slept else t.to_ns
            t.stage = _TIMERS
        if t.stage == _EVENT or t.stage == _TOLD:  # noqa: PLR1714
            code = _take(t, f, matcher, rings, book, shown, scratch, events, levels, trips)
            if code != 0:
                return code
        elif t.due_ns <= t.limit_ns:
            why = _run(t, f, matcher, rings, book, shown, trips)
            if why != 0:
                return why
        elif t.limit_ns < t.to_ns:
            t.now_ns = t.to_ns
            t.limit_ns = t.to_ns
        else:
            t.now_ns = max(t.now_ns, t.to_ns)
            if t.stage == _OVER:
                return NEED_EVENTS
            t.stage = _EVENT


@njit(cache=True)
def answer(test: Any, front: Any, trips: Any, actions: Any, count: int) -> None:
    """Do what a decision wants."""
    t = test[0]
    if count > 0:
        if t.ending == 0 and t.cold_ticks == 0:
            orders.act(t, front[0], trips, actions, count)
    elif count < 0:
        t.error = ERROR_CONTRACT


# --- what is due -------------------------------------------------------------------------------------------
@inner
def _arm_watch(t: Any) -> None:
    t.number += 1
    t.watch_number = t.number
    t.watch_ns = (t.now_ns // watch.PERIOD_NS + 1) * watch.PERIOD_NS


@inner
def _arm_timer(t: Any) -> None:
    t.number += 1
    t.timer_number = t.number
    t.timer_ns = (t.now_ns // t.timer_period_ns + 1) * t.timer_period_ns


@inner
def _arm_bar(t: Any) -> None:
    t.number += 1
    t.bar_number = t.number
    t.bar_ns = (t.now_ns // t.bar_period_ns + 1) * t.bar_period_ns


@inner
def _settle_due(t: Any) -> None:
    """Find when something is next due."""
    t.due_ns = min(t.watch_ns, t.timer_ns, t.bar_ns)
    if t.requests_end > t.requests_first:
        t.due_ns = min(t.due_ns, t.requests[t.requests_first % REQUESTS_MAX, W_WHEN_NS])
    if t.reports_end > t.reports_first:
        t.due_ns = min(t.due_ns, t.reports[t.reports_first % REPORTS_MAX, W_WHEN_NS])


@inner
def _who(t: Any) -> int:
    """Return who is due at `due_ns`; of several, who asked first."""
    found, number = -1, _NEVER_NS
    if t.requests_end > t.requests_first:
        one = t.requests[t.requests_first % REQUESTS_MAX]
        if one[W_WHEN_NS] == t.due_ns and one[W_NUMBER] < number:
            found, number = _REQUEST, one[W_NUMBER]
    if t.reports_end > t.reports_first:
        one = t.reports[t.reports_first % REPORTS_MAX]
        if one[W_WHEN_NS] == t.due_ns and one[W_NUMBER] < number:
            found, number = _REPORT, one[W_NUMBER]
    if t.watch_ns == t.due_ns and t.watch_number < number:
        found, number = _WATCH, t.watch_number
    if t.timer_ns == t.due_ns and t.timer_number < number:
        found, number = _TIMER, t.timer_number
    if t.bar_ns == t.due_ns and t.bar_number < number:
        found = _BAR
    return found


@njit(cache=True, inline="always")
def _run(t: Any, front: Any, matcher: Any, rings: Any, book: Any, shown: Any, trips: Any) -> int:
    """Do the first thing that is due; return why a decision is due then, BAR_DUE, or 0."""
    t.now_ns = max(t.now_ns, t.due_ns)
    who = _who(t)
    why = gates.NO
    if who == _REQUEST:
        paper.arrive(t, matcher, rings, book, shown, trips)
    elif who == _REPORT:
        if t.reports[t.reports_first % REPORTS_MAX, W_KIND] == SAY_TRADE:
            # a fill is valued at the market it met
            worth.mark(t, front, watch.mid(t, rings, book, shown))
        if orders.take(t, front, trips):
            why = _FILLED
    elif who == _WATCH:
        _arm_watch(t)
        watch.look(t, front, rings, book, shown, trips)
    elif who == _BAR:  # a trade may have closed it, or there is none yet: the strategy's memory tells
        _arm_bar(t)
        _settle_due(t)
        return BAR_DUE
    else:
        _arm_timer(t)
        why = _RANG
    if why != 0:
        why = _drain(t, matcher, rings, book, shown, trips, why, t.now_ns)
    _settle_due(t)
    return int(why)


@njit(cache=True, inline="always")
def _drain(
    t: Any, matcher: Any, rings: Any, book: Any, shown: Any, trips: Any, why: int, decide_ns: int
) -> int:
    """Let everybody see what came, and count it towards the warm-up; return why a decision is due, or 0."""
    if t.fresh != 0:
        if t.open > 0:
            paper.absorb(t, matcher, rings, book, shown, trips)
        why |= WHY_DRAIN
        if t.cold_ticks > 0:
            head = rings[0].head
            t.cold_ticks = max(0, t.cold_ticks - (head - t.counted))
            t.counted = head
            if t.cold_ticks == 0 and t.ending == 0:
                gates.shut(t, SHUT_WARMING, gates.NO)
        t.fresh = 0
    t.decide_ns = decide_ns
    return why


# --- the market --------------------------------------------------------------------------------------------
@njit(cache=True, inline="always")
def _take(
    t: Any,
    front: Any,
    matcher: Any,
    rings: Any,
    book: Any,
    shown: Any,
    scratch: Any,
    events: Any,
    levels: Any,
    trips: Any,
) -> int:
    """Take the next event; return why a decision is due then, 0, or what is missing."""
    event = events[t.at]
    tick, flags = event.tick, event.flags
    full = False
    if tick.kind == DEPTH:
        if t.stage != _TOLD:
            code = _take_book(t, matcher, rings, book, shown, scratch, levels, trips, event)
            if code != 0:
                return code
    elif tick.kind != NOTHING:
        if flags & EV_GAP and t.stage != _TOLD:
            watch.gap(t, front, rings, trips)
            if t.resets != 0:
                t.stage = _TOLD
                return FORGET
            if t.bar_period_ns > 0:
                t.stage = _TOLD
                return MISS
        if tick.kind == QUOTE:
            t.quote_ns = tick.wire_ns
        else:
            t.trade_ns = tick.wire_ns
        came = push(rings, 0, tick.kind, tick.wire_ns, tick.exch_ns, tick.id, tick.a, tick.b, tick.c, tick.d)
        t.fresh = 1
        if came & MASK == 0:
            paper.absorb(t, matcher, rings, book, shown, trips)
            full = True
    t.at += 1
    t.stage = _NEXT
    if flags & EV_END:  # who decides takes what waits
        return _drain(t, matcher, rings, book, shown, trips, gates.NO, tick.wire_ns)
    return ABSORB if full else 0


@njit(cache=True, inline="always")
def _take_book(
    t: Any, matcher: Any, rings: Any, book: Any, shown: Any, scratch: Any, levels: Any, trips: Any, event: Any
) -> int:
    """Change the feed's book; return 0, or what is missing: TELL_BOOK where it is to be told of."""
    flags, wire_ns = event.flags, event.tick.wire_ns
    if event.bids + event.asks > 0 or flags & EV_WHOLE:
        code = _change(book, scratch, levels, event.first, event.bids, event.asks, flags & EV_WHOLE)
        if code == books.CROSSED:
            t.error = ERROR_CROSSED
            return FAILED
        if code < 0:
            return code
    if flags & EV_FRESH:
        t.depth_ns = wire_ns
    if flags & EV_LOST:
        paper.absorb(t, matcher, rings, book, shown, trips)
        books.clear(shown)
        t.book_shown = t.book_told = t.synced = 0
        gates.shut(t, SHUT_BOOK_GAP, gates.YES)
    if flags & EV_SYNCED:
        t.synced = 1
        gates.shut(t, SHUT_BOOK_GAP, gates.NO)
    if flags & EV_TOLD:
        paper.on_book(t, matcher, rings, book, shown, trips)
        t.book_told = 1
        t.book_ns = max(wire_ns, t.depth_ns)
        t.fresh = 1
        t.stage = _TOLD
        return TELL_BOOK
    return 0


@inner
def _change(book: Any, scratch: Any, levels: Any, first: int, bids: int, asks: int, whole: int) -> int:
    """Apply levels to the book; return how many, books.CROSSED, or books.FULL: then nothing was done."""
    full = books.room(book, bids, asks)
    if not whole:
        full = books.room(book, book[B_BID_TICKS, 0] + bids, book[B_ASK_TICKS, 0] + asks)
    if full < 0:
        return int(full)
    for k in range(bids):
        scratch[S_BID_TICKS, k] = levels[first + k, L_TICKS]
        scratch[S_BID_LOTS, k] = levels[first + k, L_LOTS]
    for k in range(asks):
        scratch[S_ASK_TICKS, k] = levels[first + bids + k, L_TICKS]
        scratch[S_ASK_LOTS, k] = levels[first + bids + k, L_LOTS]
    if whole:
        books.clear(book)
        return int(books.apply(book, scratch, bids, asks))
    return int(books.change(book, scratch, bids, asks))

"""Bars of trades, by time, number of trades, quantity or notional: one kernel for one trade and for arrays.

    state = new_state(TIME, 60_000_000_000)                      or TICKS, LOTS, NOTIONAL and how many
    n = step(state, at_ns, price, lots, side, id, out)           the bars it closed: out[:n], BAR
    n = take(state, at_ns, prices, lots, sides, ids, out)        the same over arrays
    n = close_until(state, now_ns, out)                          bars that time alone closes
    n = roll(state, bars, out)                                   short bars of time into longer ones

`out` has two rows or more. Where it is full, `step`, `take` and `roll` stop: state["taken"] says how many
trades (or bars) are in, and the caller goes on with the next. All is whole: prices in ticks, quantities in
lots, notionals in ticks times lots. So sums are exact in any order, and a minute that is rolled up from its
seconds is the minute of its trades.

*Time* bars lie on the grid of whole lengths since 1970 UTC: a trade at `open_ns` is in, one at `end_ns` is in
the next, as in an exchange's klines. Intervals without a trade are bars of their own: count 0, quantities 0,
all four prices the last close. Nothing is known of the time before the first trade, so there is no bar of it.
A trade whose time lies before the bar being made is counted in that bar, and in state["backwards"].

The *other* bars open at their first trade, at its time, and end at their last: `end_ns` is its time. A bar
closes at the trade that brings it to the size or beyond, and that trade is whole in it: nothing is split and
nothing carried over, so that the trades of all bars are the trades there were.

`complete` is 0 for a bar of time that began before we looked, the very first: trades may be missing in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

# --- what closes a bar ------------------------------------------------------------------------------------
TIME: Final = 0  # nanoseconds
TICKS: Final = 1  # trades
LOTS: Final = 2
NOTIONAL: Final = 3  # ticks times lots

BAR: Final = np.dtype(
    [
        ("open_ns", "i8"),
        ("end_ns", "i8"),
        ("open", "i8"),
        ("high", "i8"),
        ("low", "i8"),
        ("close", "i8"),
        ("lots", "i8"),
        ("notional", "i8"),
        ("buy_lots", "i8"),  # that takers bought
        ("buy_notional", "i8"),
        ("count", "i8"),  # trades
        ("first_id", "i8"),  # the exchange's; -1 in a bar without trades
        ("last_id", "i8"),
        ("complete", "i8"),
    ],
    align=True,
)
STATE: Final = np.dtype(
    [
        ("kind", "i8"),
        ("size", "i8"),
        ("bar", BAR),  # being made
        ("begun", "i8"),  # 0: none is
        ("last_ns", "i8"),
        ("taken", "i8"),  # trades or bars
        ("backwards", "i8"),  # of them stamped before the one before
        ("ignored", "i8"),  # that cannot be: no price, no quantity, no side
    ],
    align=True,
)

#: notionals are kept below this by an error: beyond, 64 bits would wrap around in silence
_NOTIONAL_MAX: Final = 9.2e18


def new_state(kind: int, size: int) -> NDArray[np.void]:
    """Return STATE[1] before the first trade; raises ValueError for a size that is not positive."""
    if size <= 0:
        raise ValueError(f"a bar's size must be positive, not {size}")
    state = np.zeros(1, STATE)
    state["kind"] = kind
    state["size"] = size
    state["last_ns"] = np.iinfo(np.int64).min
    return state


@njit(cache=True, nogil=True)
def step(state: Any, at_ns: int, price: int, lots: int, side: int, number: int, out: Any) -> int:
    """Take one trade, `side` +1 where its taker bought; return how many bars are in `out`.

    Raises OverflowError for a bar whose notional does not fit into 64 bits.
    """
    _check_room(out)
    return int(_step(state[0], at_ns, price, lots, side, number, out, 0))


@njit(cache=True, nogil=True)
def take(state: Any, at_ns: Any, prices: Any, lots: Any, sides: Any, ids: Any, out: Any) -> int:
    """Take the trades from number state["taken"] on; return how many bars are in `out`."""
    _check_room(out)
    s = state[0]
    n = 0
    while s.taken < at_ns.size:
        k = s.taken
        n = _step(s, at_ns[k], prices[k], lots[k], sides[k], ids[k], out, n)
        if s.taken == k:
            break
    return n


@njit(cache=True, nogil=True)
def close_until(state: Any, now_ns: int, out: Any) -> int:
    """Close the bars of time that ended at or before `now_ns`; return how many: `out.size` may not be all."""
    s = state[0]
    return int(_close_until(s, now_ns, out, 0)) if s.kind == TIME else 0


@njit(cache=True, nogil=True)
def roll(state: Any, bars: Any, out: Any) -> int:
    """Take the bars from number state["taken"] on, in order of time, into those of `state`, which are longer.

    `state` is of TIME, its size a whole number of theirs. Bars without trades only let time pass.
    """
    _check_room(out)
    s = state[0]
    n = 0
    while s.taken < bars.size and n < out.size - 1:
        bar = bars[s.taken]
        n = _close_until(s, bar.open_ns, out, n)
        if s.begun == 1 and bar.open_ns >= s.bar.end_ns:
            break
        if s.begun == 0:
            _begin(s, bar.open_ns, bar.open)
            s.bar.complete = 1 if bar.open_ns == s.bar.open_ns else 0
        if bar.complete == 0:
            s.bar.complete = 0
        if bar.count > 0 or bar.lots > 0:
            _put(s.bar, bar.open, bar.high, bar.low, bar.close)
            _add(s.bar, bar.lots, bar.notional, bar.buy_lots, bar.buy_notional, bar.count)
            _number(s.bar, bar.first_id, bar.last_id)
        s.taken += 1
    return n


@njit(cache=True)
def _check_room(out: Any) -> None:
    if out.size < 2:
        raise ValueError("bars need room for two rows or more")


@njit(cache=True)
def _step(s: Any, at_ns: int, price: int, lots: int, side: int, number: int, out: Any, n: int) -> int:
    """Take one trade where its bars have room behind `out[n]`; return the next free row."""
    if price <= 0 or lots <= 0 or abs(side) != 1:
        s.ignored += 1
        s.taken += 1
        return n
    if s.kind == TIME:
        n = _close_until(s, at_ns, out, n)
        if s.begun == 1 and at_ns >= s.bar.end_ns:
            return n
    if n >= out.size - 1:
        return n
    if at_ns < s.last_ns:
        s.backwards += 1
    if s.begun == 0:
        _begin(s, at_ns, price)
    notional = price * lots
    if float(price) * float(lots) + float(s.bar.notional) > _NOTIONAL_MAX:
        raise OverflowError("a bar's notional does not fit into 64 bits: make shorter bars")
    _put(s.bar, price, price, price, price)
    bought = 1 if side > 0 else 0
    _add(s.bar, lots, notional, lots * bought, notional * bought, 1)
    _number(s.bar, number, number)
    s.last_ns = at_ns
    s.taken += 1
    if s.kind != TIME and _is_full(s):
        s.bar.end_ns = at_ns
        _copy(s.bar, out[n])
        s.begun = 0
        n += 1
    return n


@njit(cache=True)
def _is_full(s: Any) -> bool:
    if s.kind == TICKS:
        return bool(s.bar.count >= s.size)
    if s.kind == LOTS:
        return bool(s.bar.lots >= s.size)
    return bool(s.bar.notional >= s.size)


@njit(cache=True)
def _begin(s: Any, at_ns: int, price: int) -> None:
    """Begin the first bar, or one that a trade opens."""
    s.begun = 1
    s.bar.open_ns = at_ns
    s.bar.end_ns = at_ns
    s.bar.complete = 1
    if s.kind == TIME:
        s.bar.open_ns = at_ns // s.size * s.size
        s.bar.end_ns = s.bar.open_ns + s.size
        s.bar.complete = 0
    _empty(s.bar, price)


@njit(cache=True)
def _close_until(s: Any, now_ns: int, out: Any, n: int) -> int:
    """Close the bars that ended, as far as there is room; return the next free row."""
    while s.begun == 1 and now_ns >= s.bar.end_ns and n < out.size:
        _copy(s.bar, out[n])
        n += 1
        s.bar.open_ns = s.bar.end_ns
        s.bar.end_ns += s.size
        s.bar.complete = 1
        _empty(s.bar, s.bar.close)
    return n


@njit(cache=True)
def _empty(bar: Any, price: int) -> None:
    """Make a bar one without trades, at the price before it."""
    bar.open = bar.high = bar.low = bar.close = price
    bar.lots = bar.notional = bar.buy_lots = bar.buy_notional = bar.count = 0
    bar.first_id = bar.last_id = -1


@njit(cache=True)
def _put(bar: Any, first: int, high: int, low: int, last: int) -> None:
    """Take prices that follow those in the bar; the first ones take the place of the price before it."""
    if bar.count == 0 and bar.lots == 0:
        bar.open = first
        bar.high = high
        bar.low = low
    bar.high = max(bar.high, high)
    bar.low = min(bar.low, low)
    bar.close = last


@njit(cache=True)
def _add(bar: Any, lots: int, notional: int, buy_lots: int, buy_notional: int, count: int) -> None:
    bar.lots += lots
    bar.notional += notional
    bar.buy_lots += buy_lots
    bar.buy_notional += buy_notional
    bar.count += count


@njit(cache=True)
def _number(bar: Any, first: int, last: int) -> None:
    if bar.first_id < 0:
        bar.first_id = first
    bar.last_id = last


@njit(cache=True)
def _copy(bar: Any, out: Any) -> None:
    out.open_ns = bar.open_ns
    out.end_ns = bar.end_ns
    out.open = bar.open
    out.high = bar.high
    out.low = bar.low
    out.close = bar.close
    out.lots = bar.lots
    out.notional = bar.notional
    out.buy_lots = bar.buy_lots
    out.buy_notional = bar.buy_notional
    out.count = bar.count
    out.first_id = bar.first_id
    out.last_id = bar.last_id
    out.complete = bar.complete

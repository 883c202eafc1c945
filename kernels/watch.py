"""What no event announces in a compiled backtest, looked at ten times a second, and gaps in the ticks.

The twin of the engine's watch (daemon/engine.py, market_watch.py, readiness.py): a silent feed, the account
at the market's mid, the day's loss and the drawdown, the distance from liquidation, quotes that nobody can
move.

`t` is a BACKTEST and `front` a FRONT of kernels.backtest_state.
"""

import math
from typing import Any, Final

from numba import njit

from kernels import gates, orders, worth
from kernels.backtest_state import (
    K_ASKED_NS,
    K_KEY,
    K_KIND,
    K_STATE,
    PARTIALLY_FILLED,
    SHUT_HALTED,
    SHUT_LIQUIDATION,
    SHUT_STALE,
    SHUT_WARMING,
    WHY_HALTED_DAY,
    WHY_HALTED_DRAWDOWN,
    WORKING,
)
from kernels.dtypes import B_ASK_TICKS, B_BID_TICKS, P_FEES, P_QTY, REST
from kernels.inner import inner

#: how often it is looked at
PERIOD_NS: Final = 100_000_000
#: an order is cancelled again so long after something was last asked of it
_AGAIN_NS: Final = 1_000_000_000
_STREAM_TRADES: Final = 1
_STREAM_QUOTES: Final = 2
_STREAM_DEPTH: Final = 4


@njit(cache=True)
def mid(t: Any, rings: Any, book: Any, shown: Any) -> float:
    """Return the middle of the newest quote, or of the book where there was none; NaN without either."""
    quote = rings[0].quote
    if not math.isnan(quote.a):
        return float(0.5 * (quote.a + quote.c))
    if t.book_told == 0:
        return math.nan
    levels = book if t.book_shown != 0 else shown
    bids, asks = levels[B_BID_TICKS, 0], levels[B_ASK_TICKS, 0]
    if bids == 0 or asks == 0:
        return math.nan
    bid = levels[B_BID_TICKS, bids] * t.tick_num / t.tick_base
    ask = levels[B_ASK_TICKS, asks] * t.tick_num / t.tick_base
    return float(0.5 * (bid + ask))


@inner
def _is_stale(t: Any) -> bool:
    """Whether a stream that counts has been silent for too long, or never spoke."""
    spoken_ns = t.trade_ns
    if t.streams & (_STREAM_QUOTES | _STREAM_DEPTH) == _STREAM_QUOTES | _STREAM_DEPTH:
        spoken_ns = min(t.quote_ns, t.depth_ns)
    elif t.streams & _STREAM_QUOTES:
        spoken_ns = t.quote_ns
    elif t.streams & _STREAM_DEPTH:
        spoken_ns = t.depth_ns
    return bool(spoken_ns == 0 or t.now_ns - spoken_ns > t.stale_ns)


@njit(cache=True)
def look(t: Any, front: Any, rings: Any, book: Any, shown: Any, trips: Any) -> None:
    """Look at it."""
    led = t.ledger
    stale = _is_stale(t)
    if stale != (t.shut & SHUT_STALE != 0):
        gates.shut(t, SHUT_STALE, 1 if stale else 0)
    worth.mark_all(t, front, mid(t, rings, book, shown))
    worth.roll(t)
    near = worth.liquidation_distance(led) < t.distance_min
    if near != (t.shut & SHUT_LIQUIDATION != 0):
        gates.shut(t, SHUT_LIQUIDATION, 1 if near else 0)
    if -worth.day_pnl(led) > t.daily_loss_max:
        orders.halt(t, front, trips, WHY_HALTED_DAY)
    elif worth.drawdown(led) > t.drawdown_max:
        orders.halt(t, front, trips, WHY_HALTED_DRAWDOWN)
    t.blind = 1 if t.leaves_quotes == 0 and (stale or t.synced == 0) else 0
    if t.cold_ticks > 0 or t.halted_ns != 0 or t.blind != 0:
        _withdraw(t, front, trips, gates.NO)
    if t.now_ns >= t.point_ns:
        t.point_ns = (t.now_ns // t.point_period_ns + 1) * t.point_period_ns
        _point(t, front)


@inner
def _point(t: Any, front: Any) -> None:
    """Add a point to the equity curve."""
    row = t.point_rows[t.points]
    row.now_ns = t.now_ns
    row.equity = t.ledger.value
    row.position = front.position[P_QTY]
    row.mid = t.ledger.mid
    row.fees = front.position[P_FEES]
    t.points += 1


@njit(cache=True)
def gap(t: Any, front: Any, rings: Any, trips: Any) -> None:
    """Take that ticks are missing from here on; a strategy that resets forgets (kernels.backtest.serve)."""
    t.gaps += 1
    t.counted = rings[0].head
    if t.resets != 0:
        t.cold_ticks = t.warmup_ticks
        gates.shut(t, SHUT_WARMING, t.cold_ticks)
        _withdraw(t, front, trips, gates.YES)


@inner
def _withdraw(t: Any, front: Any, trips: Any, all_of_them: int) -> None:
    """Cancel again what should be gone and stands.

    all_of_them: as at a gap, whatever was asked lately; else as the regular look does.
    """
    key = gates.NO
    while True:
        slot = orders.next_slot(t, key)
        if slot < 0:
            return
        order = t.orders[slot]
        key = order[K_KEY]
        standing = order[K_STATE] == WORKING or order[K_STATE] == PARTIALLY_FILLED
        unwanted = standing and t.shut & (SHUT_HALTED | SHUT_WARMING) != 0
        if order[K_KIND] == REST:
            unwanted = standing and not gates.may_quote(t)
        if all_of_them != 0 or (unwanted and not 0 <= t.now_ns - order[K_ASKED_NS] < _AGAIN_NS):
            orders.cancel(t, front, trips, slot, t.now_ns)

"""What the matching kernels (kernels.fills) keep: one record holds one instrument's orders of one account.

Quantities are in lots, prices in ticks, both int64; only a place in the queue may be fractional.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kernels.book import make as make_book

# --- time in force -----------------------------------------------------------------------------------------
GTC: Final = 1  # takes what it can, the rest rests
POST_ONLY: Final = 2  # rests, or is rejected when it would take
IOC: Final = 3  # takes what it can, the rest expires
FOK: Final = 4  # takes all or expires
MARKET: Final = 5  # an IOC at any price

# --- how the queue ahead of a resting order shrinks when the displayed quantity does -----------------------
#: only trades move us forward, until less is displayed than was ahead of us: never optimistic
RISK_ADVERSE: Final = 0
#: of a decrease f(back) / (f(back) + f(front)) is behind and the rest ahead, f(x) = log(1 + x)
LOG_PROB: Final = 1
#: the same with f(x) = x ** queue_power
POWER_PROB: Final = 2
#: f(back) / f(back + front) is behind, f(x) = log(1 + x)
LOG_PROB_2: Final = 3
#: the same with f(x) = x ** queue_power
POWER_PROB_2: Final = 4
#: 1 - (front / (back + front)) ** queue_power is behind
POWER_PROB_3: Final = 5

# --- events[n, EV]: what happened --------------------------------------------------------------------------
EV_KIND: Final = 0
EV_KEY: Final = 1
EV_SIDE: Final = 2
EV_TICKS: Final = 3  # of the fill; else of the order
EV_LOTS: Final = 4  # of the fill; what expired or was canceled; else of the order
EV_LEAVES: Final = 5  # what is left of the order afterwards
EV_MAKER: Final = 6
EV_REASON: Final = 7
EVENT_COLUMNS: Final = 8

ACCEPTED: Final = 1
REJECTED: Final = 2  # a new order, a cancel or an amend did not happen; EV_REASON says why
FILL: Final = 3
EXPIRED: Final = 4  # the rest of an IOC, FOK or MARKET order
CANCELED: Final = 5
AMENDED: Final = 6
TRIGGERED: Final = 7  # an armed order became live; its ACCEPTED came when it was armed

REASON_WOULD_TAKE: Final = 1  # post-only, and the price crosses
REASON_FULL: Final = 2  # ORDERS_MAX orders are open
REASON_DUPLICATE: Final = 3  # an open order has this key
REASON_UNKNOWN: Final = 4  # no open order has this key
REASON_QTY: Final = 5  # not positive; or an amend that does not lower
REASON_WOULD_TRIGGER: Final = 6  # the last trade is already past the trigger

# --- orders[n, Q]: open orders, oldest first ---------------------------------------------------------------
Q_KEY: Final = 0
Q_SIDE: Final = 1
Q_TICKS: Final = 2
Q_LEAVES: Final = 3
Q_TIF: Final = 4
Q_TRIGGER: Final = 5  # ticks; meaningful while armed
Q_ARMED: Final = 6  # 0 live; +1 waits for a trade at or above its trigger, -1 at or below
Q_SHOWN: Final = 7  # quantity last displayed at its price; UNKNOWN until seen
Q_TRADED: Final = 8  # traded at its price since then (probabilistic queues)
ORDER_COLUMNS: Final = 9

#: open orders of one matcher; Binance allows 200 an account and symbol
ORDERS_MAX: Final = 256
#: price levels a side whose taken quantity is remembered; past that the one furthest out is forgotten
TAKEN_MAX: Final = 64
#: levels that the aggressive orders of one call may fill at; what is left then expires or rests
TAKES_MAX: Final = 1024
EVENTS_MAX: Final = TAKES_MAX + 4 * ORDERS_MAX

UNKNOWN: Final = -1
NO_BID: Final = -(2**62)
NO_ASK: Final = 2**62

MATCHER: Final = np.dtype(
    [
        ("tick_size", "f8"),
        ("lot_size", "f8"),
        ("queue_model", "i8"),
        ("queue_power", "f8"),
        ("quoted", "i8"),  # 1 once a quote was seen
        ("bid_ticks", "i8"),  # the touch; NO_BID and NO_ASK where a side is empty
        ("bid_lots", "i8"),
        ("ask_ticks", "i8"),
        ("ask_lots", "i8"),
        ("last_ticks", "i8"),  # of the last trade; 0 before the first
        ("n_orders", "i8"),
        ("n_armed", "i8"),
        ("own_bid", "i8"),  # our best resting prices: most ticks touch none of our orders
        ("own_ask", "i8"),
        ("seen", "i8"),  # ticks taken from the instrument's ring (kernels.ring)
        ("n_events", "i8"),
        ("n_takes", "i8"),
        ("n_taken", "i8", (2,)),
        ("taken_ticks", "i8", (2, TAKEN_MAX)),  # [0 bids, 1 asks]
        ("taken_lots", "i8", (2, TAKEN_MAX)),
        # twice the rows: a trade that sets off armed orders appends them anew before the old rows are dropped
        ("orders", "i8", (2 * ORDERS_MAX, ORDER_COLUMNS)),
        ("front", "f8", (2 * ORDERS_MAX,)),  # lots ahead of it in the queue; inf: not known
        ("events", "i8", (EVENTS_MAX, EVENT_COLUMNS)),
    ],
    align=True,
)

EMPTY_BOOK: Final = make_book(0)


def new_matcher(
    tick_size: float,
    lot_size: float,
    queue_model: int = RISK_ADVERSE,
    queue_power: float = 3.0,
    memory: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Return an empty matcher for an instrument of that tick and lot size, in `memory` where it is given."""
    matcher = np.zeros(1, dtype=MATCHER) if memory is None else memory
    matcher["tick_size"] = tick_size
    matcher["lot_size"] = lot_size
    matcher["queue_model"] = queue_model
    matcher["queue_power"] = queue_power
    matcher["bid_ticks"] = matcher["own_bid"] = NO_BID
    matcher["ask_ticks"] = matcher["own_ask"] = NO_ASK
    return matcher

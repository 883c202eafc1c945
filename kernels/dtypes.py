"""The records every kernel reads and writes: one layout for live, paper, replay and backtest.

A strategy's whole memory is *one* numpy record (`memory_dtype`), so that a kernel is called from Python
with one array and a few scalars (0.15 us) instead of a dozen arrays (1.2 us), and so that a checkpoint is
one `tobytes()` (whoever restores one keeps his own `ring` and `seen`). Inside kernels the parts are plain
float64 or int64 arrays whose columns are named here.

Units: prices in quote currency, quantities in base currency, times in int64 nanoseconds UTC; `*_ticks` and
`*_lots` are integers of the instrument's tick size and lot size.
"""

from functools import cache
from typing import Any, Final

import numpy as np

# --- ticks: what a feed yields; the meaning of the four numbers a, b, c, d depends on the kind -------------
#: a public print: a price, b quantity, c taker's side (+1 bought, -1 sold), d unused
TRADE: Final = 1
#: best bid and ask: a bid price, b bid quantity, c ask price, d ask quantity
QUOTE: Final = 2
#: the book's depth changed: a best bid, b summed bid quantity, c best ask, d summed ask quantity (L levels)
DEPTH: Final = 3

BUY: Final = 1
SELL: Final = -1

#: levels a side that `decide` sees of the book
BOOK_LEVELS: Final = 10

# --- why a strategy is woken (a bit mask) ------------------------------------------------------------------
WHY_DRAIN: Final = 1
WHY_TIMER: Final = 2
WHY_FILL: Final = 4
WHY_BAR: Final = 8  # a bar of one of its instruments closed, or several did

# --- out[N, C]: what a strategy wants standing -------------------------------------------------------------
#: be at the signed position `O_QTY`, taking up to the worst price `O_PRICE`
TARGET: Final = 1
#: stand at `O_PRICE` with `O_QTY` on side `O_SIDE`, post-only
REST: Final = 2
#: a protective stop held at the venue: trigger `O_PRICE`, quantity `O_QTY`, side `O_SIDE`, reduce-only
STOP: Final = 3

O_KIND: Final = 0
O_INSTRUMENT: Final = 1
O_LEVEL: Final = 2
O_SIDE: Final = 3
O_PRICE: Final = 4
O_QTY: Final = 5
OUT_COLUMNS: Final = 6
#: rows of `out` a strategy gets for each of its instruments
OUT_PER_INSTRUMENT: Final = 8

NO_OPINION: Final = -1

# --- bars[k, B], the end of `state` where a strategy makes bars: of each instrument the newest closed -------
BAR_CLOSED: Final = 0  # bars that closed since the strategy was last asked
BAR_OPEN_S: Final = 1  # when it began, seconds since 1970 UTC; 0: none has closed yet
BAR_OPEN: Final = 2
BAR_HIGH: Final = 3
BAR_LOW: Final = 4
BAR_CLOSE: Final = 5
BAR_VOLUME: Final = 6  # base currency
BAR_BOUGHT: Final = 7  # of it, what takers bought
BAR_TRADES: Final = 8
BAR_COMPLETE: Final = 9  # 0: trades may be missing in it
BAR_COLUMNS: Final = 10

# --- position[k, P] ----------------------------------------------------------------------------------------
P_QTY: Final = 0  # signed net position, base currency
P_AVG_PRICE: Final = 1  # average entry price; 0 when flat
P_REALISED: Final = 2  # realised PnL before fees, quote currency
P_UNREALISED: Final = 3  # marked at mid, quote currency
P_FEES: Final = 4  # fees paid, converted to quote currency
P_FREE_BASE: Final = 5  # base currency free to sell at the venue (spot), net of commissions
POSITION_COLUMNS: Final = 6

# --- working[k, W, C]: the slots of orders at the venue or on their way ------------------------------------
W_STATE: Final = 0  # one of the SLOT_* values; 0 is an empty slot
W_KIND: Final = 1  # TARGET, REST or STOP
W_LEVEL: Final = 2  # the strategy's level id
W_SIDE: Final = 3
W_PRICE_TICKS: Final = 4
W_LEAVES_LOTS: Final = 5
W_SINCE_NS: Final = 6  # when it was placed or last amended (float64: good to 256 ns)
WORKING_COLUMNS: Final = 7
#: slots an instrument has in one strategy; an order needs a free one
WORKING_SLOTS: Final = 16

SLOT_EMPTY: Final = 0
SLOT_PENDING_NEW: Final = 1
SLOT_WORKING: Final = 2  # also partially filled
SLOT_PENDING_REPLACE: Final = 3
SLOT_PENDING_CANCEL: Final = 4
SLOT_UNKNOWN: Final = 5

# --- account[A] --------------------------------------------------------------------------------------------
A_EQUITY: Final = 0  # in the reporting currency
A_DAY_PNL: Final = 1
A_DRAWDOWN: Final = 2  # peak equity minus equity, >= 0
#: quote currency free at the venue, net of reserves; of derivatives what is left to be initial margin
A_FREE_QUOTE: Final = 3
#: of derivatives: the wallet, in cross margin with what open positions would realise
A_MARGIN_BALANCE: Final = 4
A_EXPOSURE: Final = 5  # the worst case of positions and orders at the mid, summed without netting instruments
A_MAINTENANCE_RATE: Final = 6  # the part of a position's value below which the venue liquidates, the highest
ACCOUNT_COLUMNS: Final = 7

# --- rules[k, R]: the instrument's rules, and how reconcile treats it --------------------------------------
R_TICK_SIZE: Final = 0
R_LOT_SIZE: Final = 1
R_QTY_MIN_LOTS: Final = 2
R_QTY_MAX_LOTS: Final = 3
R_NOTIONAL_MIN: Final = 4
R_SPOT: Final = 5  # 1.0: a position cannot go below zero
R_CAN_AMEND: Final = 6  # 1.0: the venue amends down in size and keeps priority
R_PRICE_TOLERANCE_TICKS: Final = 7  # a resting order this near its wanted price is left alone
R_QTY_TOLERANCE_LOTS: Final = 8
R_REST_NS_MIN: Final = 9  # a resting order younger than this is not moved
R_FEE_MAKER: Final = 10  # fractions of notional
R_FEE_TAKER: Final = 11
#: the venue's filters as whole numbers, so that comparing is exact; notionals in lots times ticks
R_PRICE_MIN_TICKS: Final = 12
R_PRICE_MAX_TICKS: Final = 13  # 0: no largest price
R_NOTIONAL_MIN_STEPS: Final = 14
R_NOTIONAL_MAX_STEPS: Final = 15  # 0: no largest notional
R_MARGIN_RATE: Final = 16  # initial margin as a fraction of notional: one over the leverage; 0 on spot
R_ISOLATED: Final = 17  # 1.0: a position is liquidated by its own margin, not by the account's
R_CAN_REPLACE: Final = 18  # 1.0: one request cancels a resting order and places another
R_STOP_QTY_MAX_LOTS: Final = 19  # of a stop, which becomes a market order
RULES_COLUMNS: Final = 20

# --- limits[k, M]: the numeric risk limits of an instrument -----------------------------------------------
M_ORDER_NOTIONAL_MAX: Final = 0
M_POSITION_NOTIONAL_MAX: Final = 1  # worst case: position and all working orders of one side
M_OPEN_ORDERS_MAX: Final = 2
M_COLLAR: Final = 3  # fraction a price may lie through the opposite side or away from mid
M_MARGIN_USED_MAX: Final = 4  # share of the margin balance that initial margin may take
M_LIQUIDATION_DISTANCE_MIN: Final = 5  # fraction all prices may move against us before liquidation
LIMITS_COLUMNS: Final = 6

# --- actions[n, X]: what reconcile asks for, each approved or refused by limits (int64) --------------------
X_VERB: Final = 0  # PLACE, AMEND, CANCEL or REPLACE
X_INSTRUMENT: Final = 1
X_SLOT: Final = 2  # the slot to amend or cancel; for PLACE and REPLACE the free slot it takes
X_KIND: Final = 3
X_LEVEL: Final = 4
X_SIDE: Final = 5
X_PRICE_TICKS: Final = 6
X_QTY_LOTS: Final = 7
X_REDUCES: Final = 8  # 1: this can only bring the position nearer to zero
X_REFUSAL: Final = 9  # 0: approved; else a Refusal code
#: of an approved PLACE, what slippage is measured from: the mid that was decided on, of a STOP its trigger
X_DECIDED_HALF_TICKS: Final = 10
X_REPLACES: Final = 11  # of a REPLACE: the slot of the order that it cancels
ACTION_COLUMNS: Final = 12
ACTIONS_PER_INSTRUMENT: Final = 24

PLACE: Final = 1
AMEND: Final = 2
CANCEL: Final = 3
#: cancel one order and, where that succeeds, place another: two orders, one request
REPLACE: Final = 4

# --- plan[4]: what one reconcile keeps count of ------------------------------------------------------------
PLAN_COUNT: Final = 0  # actions
PLAN_KEPT: Final = 1  # bits: slots of the instrument that a row of `out` speaks for
PLAN_FILLED: Final = 2  # bits: empty slots given to an order of this call
PLAN_SPARE: Final = 3  # lots free to sell
PLAN: Final = 4

# --- refusals: why an action may not leave; the daemon counts each by its name -----------------------------
APPROVED: Final = 0
REFUSED_NO_MARKET: Final = 1  # no quote yet, or NaN
REFUSED_PRICE: Final = 2  # not a positive price, or none that the venue takes
REFUSED_QTY: Final = 3  # below the smallest or above the largest lot
REFUSED_NOTIONAL_MIN: Final = 4
REFUSED_ORDER_NOTIONAL: Final = 5
REFUSED_POSITION_NOTIONAL: Final = 6
REFUSED_OPEN_ORDERS: Final = 7
REFUSED_COLLAR: Final = 8
REFUSED_FREE_BALANCE: Final = 9
REFUSED_NO_SLOT: Final = 10
REFUSED_NOTIONAL_MAX: Final = 11  # the venue's
REFUSED_MARGIN_USED: Final = 12
REFUSED_LIQUIDATION_DISTANCE: Final = 13
# gates the daemon sets per instrument (`gate`); they close risk-adding actions only
GATE_NOT_READY: Final = 20
GATE_HALTED: Final = 21
GATE_STALE_FEED: Final = 22
GATE_BOOK_GAP: Final = 23
GATE_UNKNOWN_ORDER: Final = 24
GATE_VENUE_DOWN: Final = 25
GATE_TICK_AGE: Final = 26
GATE_FEED_LAG: Final = 27
GATE_WINDOW: Final = 28
GATE_LIQUIDATION: Final = 29
GATE_MARKET_CLOSED: Final = 36  # the exchange has the symbol closed: it would take nothing
GATE_UNPRICED: Final = 37  # nobody knows what the account is worth, so no limit on losses can act
GATE_LOW_BUDGET: Final = 35  # what the venue's rate limits leave is for cancels and queries
# refused by the daemon after the kernels
REFUSED_ORDER_RATE: Final = 30
REFUSED_SELF_TRADE: Final = 31
REFUSED_DUPLICATE: Final = 32
REFUSED_JOURNAL: Final = 33  # it could not be recorded, so it was not sent

REFUSAL_NAMES: Final[dict[int, str]] = {
    APPROVED: "approved",
    REFUSED_NO_MARKET: "no_market",
    REFUSED_PRICE: "price",
    REFUSED_QTY: "qty",
    REFUSED_NOTIONAL_MIN: "notional_min",
    REFUSED_ORDER_NOTIONAL: "order_notional_max",
    REFUSED_POSITION_NOTIONAL: "position_notional_max",
    REFUSED_OPEN_ORDERS: "open_orders_max",
    REFUSED_COLLAR: "collar",
    REFUSED_FREE_BALANCE: "free_balance",
    REFUSED_NO_SLOT: "no_slot",
    REFUSED_NOTIONAL_MAX: "notional_max",
    REFUSED_MARGIN_USED: "margin_used_max",
    REFUSED_LIQUIDATION_DISTANCE: "liquidation_distance_min",
    GATE_NOT_READY: "not_ready",
    GATE_HALTED: "halted",
    GATE_STALE_FEED: "stale_feed",
    GATE_BOOK_GAP: "book_gap",
    GATE_UNKNOWN_ORDER: "unknown_order",
    GATE_VENUE_DOWN: "venue_down",
    GATE_TICK_AGE: "tick_age",
    GATE_FEED_LAG: "feed_lag",
    GATE_WINDOW: "window",
    GATE_LIQUIDATION: "liquidation",
    GATE_LOW_BUDGET: "low_budget",
    GATE_MARKET_CLOSED: "market_closed",
    GATE_UNPRICED: "unpriced",
    REFUSED_ORDER_RATE: "order_rate",
    REFUSED_SELF_TRADE: "self_trade",
    REFUSED_DUPLICATE: "duplicate",
    REFUSED_JOURNAL: "journal",
}

# --- book[B, 1 + capacity], int64: both sides sorted so that the best price is the LAST column of its side
# (inserts near the top move little); column 0 of a side's ticks says how many levels it has ---
B_BID_TICKS: Final = 0  # ascending: best (highest) last
B_BID_LOTS: Final = 1
B_ASK_TICKS: Final = 2  # descending: best (lowest) last
B_ASK_LOTS: Final = 3
BOOK_ROWS: Final = 4
#: levels a side a book can grow to: what the largest message has room for (kernels.levels.LEVELS_MAX)
BOOK_CAPACITY: Final = 65_536

# --- the tick of the rings (kernels.ring); a, b, c, d by kind as said above ---------------------------------
TICK = np.dtype(
    [
        ("kind", "i8"),
        ("wire_ns", "i8"),
        ("exch_ns", "i8"),  # 0 where the exchange stamps nothing
        ("id", "i8"),  # the exchange's trade or update id
        ("a", "f8"),
        ("b", "f8"),
        ("c", "f8"),
        ("d", "f8"),
    ],
    align=True,
)


@cache
def memory_dtype(
    instruments: int,
    feature_count: int,
    feature_floats: int,
    feature_ints: int,
    states: int,
    params: int,
    bars: np.dtype[Any] | None = None,
) -> np.dtype[Any]:
    """Return the record that is a strategy's whole memory: one for all of a shape, of 6 kB by itself.

    `rows` has one column more than there are features: the last is the model's prediction (NaN without one).
    `feature_floats` and `feature_ints` are the sizes of one instrument's indicator state (kernels.features).
    `bars` is what an instrument's bars are made in (kernels.wake_bars.WAKE), of a strategy that makes some.
    """
    k = instruments
    return np.dtype(
        [
            ("now_ns", "i8"),
            ("wanted", "i8"),  # what decide returned
            ("digest", "u8"),  # rolling digest over rows and decisions
            ("decisions", "i8"),
            ("ring", "i8", (k,)),  # each instrument's ring (kernels.ring): of this process, as `seen` is
            ("seen", "i8", (k,)),  # ticks taken from it
            ("feature_f", "f8", (k, feature_floats)),
            ("feature_i", "i8", (k, feature_ints)),
            ("rows", "f8", (k, feature_count + 1)),
            ("book", "f8", (k, 2, BOOK_LEVELS, 2)),  # [side: 0 bids, 1 asks][level][0 price, 1 quantity]
            ("position", "f8", (k, POSITION_COLUMNS)),
            ("working", "f8", (k, WORKING_SLOTS, WORKING_COLUMNS)),
            ("account", "f8", (ACCOUNT_COLUMNS,)),
            ("state", "f8", (max(states, 1),)),
            ("params", "f8", (max(params, 1),)),
            ("out", "f8", (k * OUT_PER_INSTRUMENT, OUT_COLUMNS)),
            ("rules", "f8", (k, RULES_COLUMNS)),
            ("limits", "f8", (k, LIMITS_COLUMNS)),
            ("clamped", "i8", (k,)),  # wants cut to what spot can hold or sell, since the start
            ("gate", "i8", (k,)),  # 0: open; else the GATE_* that closes risk-adding actions
            ("plan", "i8", (PLAN,)),  # scratch of reconcile
            ("actions", "i8", (k * ACTIONS_PER_INSTRUMENT, ACTION_COLUMNS)),
            *([] if bars is None else [("bars", bars, (k,))]),
        ],
        align=True,
    )

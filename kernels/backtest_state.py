"""What a compiled backtest remembers between two events: one record, of one strategy in one instrument.

It holds what a daemon's clock, engine, order side and paper venue hold (kernels.backtest says how they meet).
Times are int64 nanoseconds UTC, prices ticks, quantities lots. Numbers that travel as arguments are numpy's,
because numba compiles a version for each plain constant.
"""

from typing import Any, Final

import numpy as np

from kernels.dtypes import (
    ACCOUNT_COLUMNS,
    POSITION_COLUMNS,
    RULES_COLUMNS,
    TICK,
    WORKING_COLUMNS,
    WORKING_SLOTS,
)
from kernels.ledger import LEDGER, MONEY_ROWS

# --- events[n]: what the market did, in the order in which it was read -------------------------------------
#: TRADE, QUOTE or DEPTH of kernels.dtypes, or NOTHING: a repetition, which only ends a drain
NOTHING: Final = 0
EVENT: Final = np.dtype(
    [
        ("tick", TICK),  # of DEPTH only kind and wire_ns
        ("flags", "i8"),  # EV_*
        ("first", "i8"),  # of DEPTH: its levels are levels[first : first + bids + asks]
        ("bids", "i8"),
        ("asks", "i8"),
    ],
    align=True,
)
EV_END: Final = 1  # nothing more was readable after it: a drain ends
EV_GAP: Final = 2  # ticks are missing before it
EV_WHOLE: Final = 4  # of DEPTH: these levels are the whole book
EV_TOLD: Final = 8  # the book is as it should be, and whoever follows it is told
EV_SYNCED: Final = 16  # the book is in sync from here on
EV_LOST: Final = 32  # the book lost the exchange's sequence
EV_FRESH: Final = 64  # the depth stream said something new
# --- levels[m, 2] ------------------------------------------------------------------------------------------
L_TICKS: Final = 0
L_LOTS: Final = 1

# --- orders[WORKING_SLOTS, O]: one order a slot, as we and as the venue have it ----------------------------
K_KEY: Final = 0  # its number, ascending in the order of sending; 0: the slot is empty
K_STATE: Final = 1  # as daemon/orders/order.py numbers them
K_KIND: Final = 2
K_LEVEL: Final = 3
K_SIDE: Final = 4
K_TICKS: Final = 5
K_LOTS: Final = 6
K_FILLED: Final = 7
K_ASKED_LOTS: Final = 8  # the quantity an amend under way asked for
K_ASKED_NS: Final = 9  # when something was last asked of the venue
K_SINCE_NS: Final = 10
K_REDUCES: Final = 11
K_AMEND_REFUSED: Final = 12
K_RESERVED: Final = 13  # lots that are reserved for it
K_OPEN: Final = 14  # 1: the venue has it open; the next are the venue's too
K_VENUE_LOTS: Final = 15
K_VENUE_FILLED: Final = 16
K_HELD: Final = 17  # lots that the venue holds balance back for
K_AMENDS: Final = 18  # how often it was lowered
K_COLUMNS: Final = 19

# --- requests[REQUESTS_MAX, Q] and reports[REPORTS_MAX, N]: what is on its way, rings ----------------------
W_WHEN_NS: Final = 0  # when it arrives
W_NUMBER: Final = 1  # of what is due at one time the lower comes first
W_KIND: Final = 2
W_KEY: Final = 3
W_LOTS: Final = 4  # an amend's quantity; a fill's
W_BACK_NS: Final = 5  # of a request: how long its answer takes
W_TICKS: Final = 5  # of a report: a fill's price, as are the next
W_MAKER: Final = 6
W_ORDER_LOTS: Final = 7
W_EXCH_NS: Final = 8
W_COLUMNS: Final = 9
REQUESTS_MAX: Final = 1024
REPORTS_MAX: Final = 4096

ASK_PLACE: Final[Any] = np.int64(1)
ASK_CANCEL: Final[Any] = np.int64(2)
ASK_AMEND: Final[Any] = np.int64(3)
ASK_QUERY: Final[Any] = np.int64(4)

SAY_NEW: Final[Any] = np.int64(1)
SAY_REJECTED: Final[Any] = np.int64(2)
SAY_TRADE: Final[Any] = np.int64(3)
SAY_CANCELED: Final[Any] = np.int64(4)
SAY_EXPIRED: Final[Any] = np.int64(5)
SAY_REPLACED: Final[Any] = np.int64(6)
SAY_AMEND_REJECTED: Final[Any] = np.int64(7)
SAY_STATUS: Final[Any] = np.int64(8)
SAY_NOTHING: Final[Any] = np.int64(9)  # the answer to what was asked of an order that was over by then

# --- states and steps of an order, as daemon/orders numbers them; a test compares --------------------------
PENDING_NEW: Final = 1
WORKING: Final = 2
PARTIALLY_FILLED: Final = 3
PENDING_REPLACE: Final = 4
PENDING_CANCEL: Final = 5
IN_DOUBT: Final = 6
FILLED: Final = 7
STEP_ACCEPTED: Final[Any] = np.int64(0)
STEP_REJECTED: Final[Any] = np.int64(1)
STEP_PART_FILL: Final[Any] = np.int64(2)
STEP_LAST_FILL: Final[Any] = np.int64(3)
STEP_CANCEL_ASKED: Final[Any] = np.int64(4)
STEP_REPLACE_ASKED: Final[Any] = np.int64(5)
STEP_REPLACED: Final[Any] = np.int64(6)
STEP_CANCELED: Final[Any] = np.int64(7)
STEP_EXPIRED: Final[Any] = np.int64(8)
STEP_DOUBT: Final[Any] = np.int64(9)
STEP_STANDS: Final[Any] = np.int64(10)
STATES: Final = 12
STEPS: Final = 12

# --- money[n, 2]: rows behind those of kernels.ledger ------------------------------------------------------
M_VENUE_FREE: Final[Any] = np.int64(MONEY_ROWS)  # what the venue has free of the quote
M_VENUE_NOW: Final[Any] = np.int64(MONEY_ROWS + 1)  # scratch
MONEY: Final = MONEY_ROWS + 2

# --- gates, as bits; kernels.dtypes has their codes --------------------------------------------------------
SHUT_HALTED: Final[Any] = np.int64(1)
SHUT_WARMING: Final[Any] = np.int64(2)
SHUT_DOUBT: Final[Any] = np.int64(4)
SHUT_LIQUIDATION: Final[Any] = np.int64(8)
SHUT_BOOK_GAP: Final[Any] = np.int64(16)
SHUT_STALE: Final[Any] = np.int64(32)

# --- what it tells -----------------------------------------------------------------------------------------
FILL_ROW: Final = np.dtype(
    [
        ("exch_ns", "i8"),  # when the venue matched it
        ("told_ns", "i8"),  # when we heard of it
        ("key", "i8"),
        ("kind", "i8"),
        ("side", "i8"),
        ("ticks", "i8"),
        ("lots", "i8"),
        ("maker", "i8"),
        ("position", "f8"),  # afterwards
        ("realised", "f8"),  # all so far, before fees
        ("fees", "f8"),  # likewise, in the quote
        ("equity", "f8"),
    ],
    align=True,
)
SENT_ROW: Final = np.dtype(
    [
        ("now_ns", "i8"),
        ("verb", "i8"),
        ("key", "i8"),
        ("kind", "i8"),
        ("level", "i8"),
        ("side", "i8"),
        ("ticks", "i8"),
        ("lots", "i8"),  # of an AMEND the whole quantity it asks for
    ],
    align=True,
)
POINT_ROW: Final = np.dtype(
    [("now_ns", "i8"), ("equity", "f8"), ("position", "f8"), ("mid", "f8"), ("fees", "f8")], align=True
)
#: rows that are taken away at once, and room that each kind must have left before an event is taken
ROWS: Final = 1 << 14
ROOM: Final = 64

#: what a strategy sees of its instrument that orders move: a part of its memory (kernels.dtypes), of one type
#: whatever the strategy, so that all that is compiled for one is there for the next
FRONT: Final = np.dtype(
    [("position", "f8", (POSITION_COLUMNS,)), ("working", "f8", (WORKING_SLOTS, WORKING_COLUMNS))], align=True
)

BACKTEST: Final = np.dtype(
    [
        # --- time
        ("now_ns", "i8"),
        ("decide_ns", "i8"),  # the time of the decision that is due
        ("book_ns", "i8"),  # the time of the book that is to be told
        ("to_ns", "i8"),  # the event that time moves to
        ("limit_ns", "i8"),
        ("due_ns", "i8"),  # when something is next due
        ("stage", "i8"),
        ("at", "i8"),  # the next event of those given
        ("number", "i8"),
        ("watch_ns", "i8"),  # when the market is next looked at
        ("watch_number", "i8"),
        ("timer_ns", "i8"),  # the strategy's own
        ("timer_number", "i8"),
        ("timer_period_ns", "i8"),
        ("bar_ns", "i8"),  # when a bar of the strategy's may next have ended
        ("bar_number", "i8"),
        ("bar_period_ns", "i8"),  # 0: it makes no bars
        ("bar_ended", "i8"),  # 1: whoever knows its bars says that one has, at now_ns: it is to be woken
        ("ending", "i8"),  # 1: the data are over, and nothing new is sent
        # --- the market
        ("fresh", "i8"),  # something came since the last drain
        ("synced", "i8"),
        ("book_shown", "i8"),  # the venue matches by: 0 the book given as shown, 1 the feed's own
        ("book_told", "i8"),  # 1: who marks the account may look at the book
        ("quote_ns", "i8"),
        ("depth_ns", "i8"),
        ("trade_ns", "i8"),
        ("streams", "i8"),  # bits: what is streamed; 1 trades, 2 quotes, 4 depth
        ("stale_ns", "i8"),
        ("shut", "i8"),  # bits: SHUT_*
        ("gate", "i8"),  # what the strategy is to be shown of it
        ("rules", "f8", (RULES_COLUMNS,)),
        ("blind", "i8"),  # 1: quotes are withdrawn, nobody sees the market
        ("leaves_quotes", "i8"),  # 1: the strategy leaves them
        ("resets", "i8"),  # 1: a gap lets the strategy begin anew
        ("cold_ticks", "i8"),
        ("warmup_ticks", "i8"),
        ("counted", "i8"),
        ("tick_num", "f8"),  # a tick is tick_num / tick_base, exactly
        ("tick_base", "f8"),
        # --- risk
        ("tokens", "f8"),
        ("filled_ns", "i8"),  # when the budget was last filled
        ("per_s_max", "f8"),
        ("burst", "f8"),
        ("needed", "f8"),  # what an order that adds risk must find
        ("tick_age_ns", "i8"),
        ("daily_loss_max", "f8"),
        ("drawdown_max", "f8"),
        ("distance_min", "f8"),
        ("rejections", "i8"),  # in a row
        ("rejections_max", "i8"),
        ("amends_max", "i8"),  # of one order; 0: as many as one likes
        ("orders_max", "i8"),
        ("halted_ns", "i8"),  # when the kill switch was thrown; 0: it was not
        ("halted_why", "i8"),  # WHY_HALTED_*
        # --- the venue
        ("there_ns", "i8"),
        ("back_ns", "i8"),
        ("draw", "u8"),
        ("answer_ns", "i8"),  # how long what is answered now takes back; -1: nobody asked
        ("arrives_ns", "i8"),
        ("told_ns", "i8"),
        ("open", "i8"),  # orders that the venue has open
        ("venue_base", "i8"),  # steps of the base that the venue has free
        ("venue_position", "i8"),  # lots, of derivatives
        ("key", "i8"),  # of the last order
        ("requests_first", "i8"),
        ("requests_end", "i8"),
        ("reports_first", "i8"),
        ("reports_end", "i8"),
        # --- what is told of it: how many rows there are, and counts
        ("fills", "i8"),
        ("sent", "i8"),
        ("points", "i8"),
        ("point_period_ns", "i8"),
        ("point_ns", "i8"),
        ("error", "i8"),
        ("gaps", "i8"),
        ("refusals", "i8", (64,)),  # by code
        ("next", "i8", (STATES, STEPS)),  # the order table: state and step to state, 0: not in it
        ("orders", "i8", (WORKING_SLOTS, K_COLUMNS)),
        ("money", "i8", (MONEY, 2)),
        ("requests", "i8", (REQUESTS_MAX, W_COLUMNS)),
        ("reports", "i8", (REPORTS_MAX, W_COLUMNS)),
        ("ledger", LEDGER),
        ("account", "f8", (ACCOUNT_COLUMNS,)),  # as strategies see it (A_*)
        ("fill_rows", FILL_ROW, (ROWS,)),
        ("sent_rows", SENT_ROW, (ROWS,)),
        ("point_rows", POINT_ROW, (ROWS,)),
    ],
    align=True,
)
WHY_HALTED_DAY: Final[Any] = np.int64(1)
WHY_HALTED_DRAWDOWN: Final[Any] = np.int64(2)
WHY_HALTED_REJECTIONS: Final[Any] = np.int64(3)

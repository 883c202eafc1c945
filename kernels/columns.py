"""Ticks as columns: int64[columns, rows], what files of ticks are read into and written from.

Prices and sizes are counts of the series' steps (powers of ten, so that any decimal is exact), times are
nanoseconds UTC. `seq` orders everything: a trade or a quote has one of its own, the levels of a depth update
share one.
"""

from typing import Final

# --- ticks[T_COLUMNS, n]: trades and quotes ----------------------------------------------------------------
T_SEQ: Final = 0
T_ROW: Final = 1  # the line or row of the file it was read from, from 1; not stored
T_WIRE_NS: Final = 2
T_EXCH_NS: Final = 3  # 0 where the exchange stamps nothing
T_END: Final = 4  # 1: nothing more was readable after it
T_KIND: Final = 5  # TRADE or QUOTE of kernels.dtypes
T_ID: Final = 6  # -1: it has none
T_SIDE: Final = 7  # of a trade: the taker's, +1 bought, -1 sold, 0 not known
T_A: Final = 8  # a trade's price, a quote's bid
T_B: Final = 9  # a trade's size, the bid's
T_C: Final = 10  # a quote's ask
T_D: Final = 11  # the ask's size
T_COLUMNS: Final = 12

# --- depth[D_COLUMNS, m]: a row a level that changed; size 0: it is gone -----------------------------------
D_SEQ: Final = 0
D_ROW: Final = 1
D_WIRE_NS: Final = 2
D_EXCH_NS: Final = 3
D_END: Final = 4
D_SNAPSHOT: Final = 5  # 1: of a whole book, which replaces the one before
D_FIRST: Final = 6  # the update's first and last id; -1: it has none
D_LAST: Final = 7
D_PREV: Final = 8  # the last id of the update before, where the exchange says it, else -1
D_SIDE: Final = 9  # +1 bid, -1 ask, 0: an update or a book without a level, of which this row tells
D_PRICE: Final = 10
D_SIZE: Final = 11
D_COLUMNS: Final = 12

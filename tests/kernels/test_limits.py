"""The limits: each refusal by example, and the worst case that must never be passed."""

import math
import random
from collections import Counter

import numpy as np
import pytest

from kernels import limits
from kernels.dtypes import (
    A_EXPOSURE,
    A_FREE_QUOTE,
    A_MAINTENANCE_RATE,
    A_MARGIN_BALANCE,
    ACCOUNT_COLUMNS,
    ACTION_COLUMNS,
    AMEND,
    APPROVED,
    BOOK_LEVELS,
    BUY,
    CANCEL,
    GATE_HALTED,
    GATE_UNKNOWN_ORDER,
    LIMITS_COLUMNS,
    M_COLLAR,
    M_LIQUIDATION_DISTANCE_MIN,
    M_MARGIN_USED_MAX,
    M_OPEN_ORDERS_MAX,
    M_ORDER_NOTIONAL_MAX,
    M_POSITION_NOTIONAL_MAX,
    P_AVG_PRICE,
    P_FREE_BASE,
    P_QTY,
    P_UNREALISED,
    PLACE,
    POSITION_COLUMNS,
    R_ISOLATED,
    R_LOT_SIZE,
    R_MARGIN_RATE,
    R_NOTIONAL_MAX_STEPS,
    R_NOTIONAL_MIN_STEPS,
    R_PRICE_MAX_TICKS,
    R_PRICE_MIN_TICKS,
    R_QTY_MAX_LOTS,
    R_QTY_MIN_LOTS,
    R_SPOT,
    R_STOP_QTY_MAX_LOTS,
    R_TICK_SIZE,
    REFUSED_COLLAR,
    REFUSED_FREE_BALANCE,
    REFUSED_LIQUIDATION_DISTANCE,
    REFUSED_MARGIN_USED,
    REFUSED_NO_MARKET,
    REFUSED_NO_SLOT,
    REFUSED_NOTIONAL_MAX,
    REFUSED_NOTIONAL_MIN,
    REFUSED_OPEN_ORDERS,
    REFUSED_ORDER_NOTIONAL,
    REFUSED_POSITION_NOTIONAL,
    REFUSED_PRICE,
    REFUSED_QTY,
    REPLACE,
    REST,
    RULES_COLUMNS,
    SELL,
    SLOT_PENDING_CANCEL,
    SLOT_PENDING_NEW,
    SLOT_PENDING_REPLACE,
    SLOT_UNKNOWN,
    SLOT_WORKING,
    STOP,
    TARGET,
    W_STATE,
    WORKING_COLUMNS,
    WORKING_SLOTS,
    X_DECIDED_HALF_TICKS,
    X_QTY_LOTS,
    X_REDUCES,
    X_REFUSAL,
    X_SLOT,
    X_VERB,
)

INF = math.inf
LIVE = (SLOT_PENDING_NEW, SLOT_WORKING, SLOT_PENDING_REPLACE, SLOT_PENDING_CANCEL, SLOT_UNKNOWN)


class Desk:
    """k instruments of ticks 0.5 and lots 0.001 in a market of 100.0 to 101.0, without limits."""

    def __init__(self, k: int = 1, *, spot: bool = False) -> None:
        self.position = np.zeros((k, POSITION_COLUMNS))
        self.working = np.zeros((k, WORKING_SLOTS, WORKING_COLUMNS))
        self.book = np.full((k, 2, BOOK_LEVELS, 2), math.nan)
        self.book[:, 0, 0] = 100.0, 1.0
        self.book[:, 1, 0] = 101.0, 1.0
        self.rules = np.zeros((k, RULES_COLUMNS))
        self.rules[:, R_TICK_SIZE] = 0.5
        self.rules[:, R_LOT_SIZE] = 0.001
        self.rules[:, R_QTY_MIN_LOTS] = 2
        self.rules[:, R_QTY_MAX_LOTS] = 500
        self.rules[:, R_STOP_QTY_MAX_LOTS] = 400
        self.rules[:, R_SPOT] = spot
        self.limits = np.full((k, LIMITS_COLUMNS), INF)
        self.limits[:, M_LIQUIDATION_DISTANCE_MIN] = -INF
        self.gate = np.zeros(k, np.int64)
        self.account = np.zeros(ACCOUNT_COLUMNS)
        self.account[A_MARGIN_BALANCE] = 1e9

    def order(self, slot, side, lots, state=SLOT_WORKING, kind=REST, i=0):
        self.working[i, slot] = state, kind, slot, side, 200, lots, 0

    def judge(self, *actions):
        """Check (verb, kind, side, ticks, lots[, instrument]); return the refusals."""
        rows = np.zeros((max(len(actions), 1), ACTION_COLUMNS), np.int64)
        for x, (verb, kind, side, ticks, lots, *i) in enumerate(actions):
            rows[x] = verb, i[0] if i else 0, 0, kind, x, side, ticks, lots, 0, APPROVED, 0, 0
        return self.check(rows, len(actions))

    def check(self, rows, n):
        self.rows = rows
        limits.check(
            n,
            rows,
            self.position,
            self.working,
            self.book,
            self.rules,
            self.limits,
            self.gate,
            self.account,
        )
        return rows[:n, X_REFUSAL].tolist()


def place(side, ticks, lots, kind=REST, i=0):
    return (PLACE, kind, side, ticks, lots, i)


def test_an_order_within_every_limit_is_approved():
    assert Desk().judge(place(BUY, 200, 5), place(SELL, 202, 5)) == [APPROVED, APPROVED]


@pytest.mark.parametrize(
    ("order", "half_ticks"),
    [
        (place(BUY, 200, 5), 402),  # a mid of 100.5 in ticks of 0.5
        (place(BUY, 200, 5, TARGET), 402),
        (place(SELL, 190, 5, STOP), 380),
        (place(BUY, 200, 1), 0),  # too small, and refused
    ],
)
def test_an_order_says_at_what_it_was_decided(order, half_ticks):
    desk = Desk()
    desk.judge(order)
    assert desk.rows[0, X_DECIDED_HALF_TICKS] == half_ticks


def test_a_mid_beyond_counting_is_not_said():
    desk = Desk()
    desk.book[0, 1, 0, 0] = 1e300
    desk.limits[0, M_COLLAR] = 1.0
    assert desk.judge(place(BUY, 200, 5)) == [APPROVED]
    assert desk.rows[0, X_DECIDED_HALF_TICKS] == 0


def test_cancels_and_amends_always_pass():
    desk = Desk()
    desk.gate[0] = GATE_HALTED
    desk.limits[:] = 0
    desk.book[:] = math.nan
    assert desk.judge((CANCEL, REST, BUY, 0, 0), (AMEND, REST, BUY, 10**9, 10**9)) == [APPROVED, APPROVED]


def test_what_reconcile_refused_stays_refused():
    desk = Desk()
    row = np.array([[PLACE, 0, -1, REST, 0, BUY, 200, 5, 0, REFUSED_NO_SLOT, 0]])
    assert desk.check(row, 1) == [REFUSED_NO_SLOT]


@pytest.mark.parametrize(
    ("action", "refusal"),
    [
        (place(BUY, 0, 5), REFUSED_PRICE),
        (place(BUY, -3, 5), REFUSED_PRICE),
        (place(BUY, 200, 0), REFUSED_QTY),
        (place(BUY, 200, 1), REFUSED_QTY),
        (place(BUY, 200, 501), REFUSED_QTY),
    ],
)
def test_an_order_the_venue_does_not_take_is_refused(action, refusal):
    assert Desk().judge(action) == [refusal]


def test_without_a_market_nothing_is_placed():
    for side in range(2):
        desk = Desk()
        desk.book[0, side, 0, 0] = math.nan
        assert desk.judge(place(BUY, 200, 5)) == [REFUSED_NO_MARKET]


def test_a_notional_below_the_smallest_is_refused():
    desk = Desk()
    desk.rules[0, R_NOTIONAL_MIN_STEPS] = 1000
    assert desk.judge(place(BUY, 200, 5), place(BUY, 199, 5)) == [APPROVED, REFUSED_NOTIONAL_MIN]


@pytest.mark.parametrize("spot", [False, True])
def test_what_only_reduces_a_derivative_may_be_of_any_notional(spot):
    desk = Desk(spot=spot)
    desk.rules[0, R_NOTIONAL_MIN_STEPS] = 1000
    desk.position[0, [P_QTY, P_FREE_BASE]] = 0.004
    assert desk.judge(place(SELL, 202, 4)) == [REFUSED_NOTIONAL_MIN if spot else APPROVED]
    assert desk.judge(place(BUY, 200, 4)) == [REFUSED_NOTIONAL_MIN]


def test_a_notional_above_the_venues_largest_is_refused_but_of_a_stop():
    desk = Desk()
    desk.rules[0, R_NOTIONAL_MAX_STEPS] = 1000
    assert desk.judge(place(BUY, 200, 5), place(BUY, 201, 5), place(BUY, 210, 5, STOP)) == [
        APPROVED,
        REFUSED_NOTIONAL_MAX,
        APPROVED,
    ]


def test_a_stop_has_a_largest_quantity_of_its_own():
    orders = [place(BUY, 210, lots, kind) for kind in (REST, STOP) for lots in (400, 401, 500, 501)]
    assert [verdict == REFUSED_QTY for verdict in Desk().judge(*orders)] == [
        *(False, False, False, True),
        *(False, True, True, True),
    ]


def test_a_price_that_the_venue_does_not_take_is_refused():
    desk = Desk()
    desk.rules[0, R_PRICE_MIN_TICKS] = 199
    desk.rules[0, R_PRICE_MAX_TICKS] = 201
    prices = [place(BUY, ticks, 5) for ticks in (198, 199, 201, 202)]
    assert desk.judge(*prices) == [REFUSED_PRICE, APPROVED, APPROVED, REFUSED_PRICE]


@pytest.mark.parametrize(
    ("action", "sane"),
    [
        (place(BUY, 212, 5, TARGET), True),  # 106.0 is 5 % through the ask
        (place(BUY, 213, 5, TARGET), False),
        (place(BUY, 191, 5), True),  # 95.5 is 5 % below mid
        (place(BUY, 190, 5), False),
        (place(SELL, 190, 5, TARGET), True),
        (place(SELL, 189, 5, TARGET), False),
        (place(SELL, 211, 5), True),
        (place(SELL, 212, 5), False),
        (place(SELL, 100, 5, STOP), True),  # a stop may be far away
        (place(SELL, 202, 5, STOP), False),  # but not on the wrong side
        (place(BUY, 300, 5, STOP), True),
        (place(BUY, 200, 5, STOP), False),
    ],
)
def test_the_collar_keeps_prices_near_the_market(action, sane):
    desk = Desk()
    desk.limits[0, M_COLLAR] = 0.05
    assert desk.judge(action) == [APPROVED if sane else REFUSED_COLLAR]


def test_a_gate_closes_what_adds_risk_and_nothing_else():
    desk = Desk()
    desk.position[0, P_QTY] = 0.006
    desk.gate[0] = GATE_UNKNOWN_ORDER
    assert desk.judge(place(BUY, 200, 5)) == [GATE_UNKNOWN_ORDER]
    assert desk.judge(place(SELL, 202, 6)) == [APPROVED]
    assert desk.judge(place(SELL, 202, 7)) == [GATE_UNKNOWN_ORDER]
    assert desk.judge(place(SELL, 202, 4), place(SELL, 203, 3)) == [APPROVED, GATE_UNKNOWN_ORDER]
    desk.order(0, SELL, 3, state=SLOT_UNKNOWN)
    assert desk.judge(place(SELL, 202, 4)) == [GATE_UNKNOWN_ORDER]
    assert desk.judge(place(SELL, 202, 3)) == [APPROVED]
    assert desk.rows[0, X_REDUCES] == 1


def test_only_the_whole_lots_of_a_position_reduce_it():
    desk = Desk(spot=True)
    desk.position[0, P_QTY], desk.position[0, P_FREE_BASE] = 0.003995, 1.0
    desk.gate[0] = GATE_HALTED
    assert desk.judge(place(SELL, 202, 4)) == [GATE_HALTED]
    assert desk.judge(place(SELL, 202, 3)) == [APPROVED]


def test_a_stop_in_a_derivative_reduces_whatever_else_is_out():
    desk = Desk()
    desk.gate[0] = GATE_HALTED
    desk.position[0, P_QTY] = 0.006
    desk.order(0, SELL, 6)
    assert desk.judge(place(SELL, 180, 6, STOP)) == [APPROVED]
    assert desk.judge(place(SELL, 180, 7, STOP)) == [GATE_HALTED]


def spot_desk(qty):
    desk = Desk(spot=True)
    desk.position[0, P_QTY], desk.position[0, P_FREE_BASE] = qty, 1.0  # the account has coins of its own
    return desk


def test_a_stop_of_spot_reduces_no_more_than_what_nothing_else_may_sell():
    desk = spot_desk(0.006)
    desk.gate[0] = GATE_HALTED
    stops = [place(SELL, 180 - level, 6, STOP) for level in range(4)]
    assert desk.judge(*stops) == [APPROVED, *[GATE_HALTED] * 3]
    desk.order(0, SELL, 2, kind=TARGET, state=SLOT_UNKNOWN)
    assert desk.judge(place(SELL, 180, 5, STOP)) == [GATE_HALTED]
    assert desk.judge(place(SELL, 180, 4, STOP)) == [APPROVED]


@pytest.mark.parametrize("state", LIVE)
def test_stops_of_spot_together_never_exceed_the_position(state):
    desk = spot_desk(0.006)
    desk.order(0, SELL, 4, kind=STOP, state=state)
    assert desk.judge(place(SELL, 180, 3, STOP), place(SELL, 179, 2, STOP)) == [
        REFUSED_FREE_BALANCE,
        APPROVED,
    ]
    assert desk.judge(place(BUY, 210, 2, STOP)) == [REFUSED_FREE_BALANCE]


def test_a_stop_of_spot_and_an_exit_stand_side_by_side_whichever_came_first():
    desk = spot_desk(0.006)
    desk.limits[0, [M_ORDER_NOTIONAL_MAX, M_OPEN_ORDERS_MAX]] = 0.6, 1
    desk.order(0, SELL, 6)
    assert desk.judge(place(SELL, 180, 6, STOP)) == [APPROVED]  # it protects, and adds nothing
    assert desk.rows[0, X_REDUCES] == 0
    desk = spot_desk(0.006)
    desk.order(0, SELL, 6, kind=STOP)
    assert desk.judge(place(SELL, 202, 6)) == [APPROVED]


def test_what_reduces_passes_the_limits_on_size():
    desk = Desk()
    desk.limits[0, [M_ORDER_NOTIONAL_MAX, M_POSITION_NOTIONAL_MAX, M_OPEN_ORDERS_MAX]] = 0
    desk.position[0, P_QTY] = -0.05
    assert desk.judge(place(BUY, 200, 50)) == [APPROVED]
    assert desk.judge(place(BUY, 200, 51)) == [REFUSED_ORDER_NOTIONAL]


def test_one_order_is_no_larger_than_allowed():
    desk = Desk()
    desk.limits[0, M_ORDER_NOTIONAL_MAX] = 1.0
    assert desk.judge(place(BUY, 200, 10), place(BUY, 200, 11)) == [APPROVED, REFUSED_ORDER_NOTIONAL]


def test_the_worst_case_counts_orders_of_unknown_fate_and_those_of_this_call():
    desk = Desk()
    desk.limits[0, M_POSITION_NOTIONAL_MAX] = 2.02  # 20 lots at a mid of 100.5
    desk.position[0, P_QTY] = 0.004
    desk.order(0, BUY, 6, state=SLOT_UNKNOWN)
    desk.order(1, SELL, 9)
    assert desk.judge(place(BUY, 200, 8), place(BUY, 199, 3), place(BUY, 199, 2)) == [
        APPROVED,
        REFUSED_POSITION_NOTIONAL,
        APPROVED,
    ]
    assert desk.judge(place(SELL, 201, 15), place(SELL, 201, 2)) == [APPROVED, REFUSED_POSITION_NOTIONAL]


def test_the_number_of_open_orders_is_limited():
    desk = Desk()
    desk.limits[0, M_OPEN_ORDERS_MAX] = 3
    desk.order(5, SELL, 3, state=SLOT_PENDING_CANCEL)
    assert desk.judge(*[place(BUY, 200, 5)] * 3) == [APPROVED, APPROVED, REFUSED_OPEN_ORDERS]


def test_a_limit_that_is_nan_refuses():
    for column, refusal in (
        (M_COLLAR, REFUSED_COLLAR),
        (M_ORDER_NOTIONAL_MAX, REFUSED_ORDER_NOTIONAL),
        (M_POSITION_NOTIONAL_MAX, REFUSED_POSITION_NOTIONAL),
        (M_OPEN_ORDERS_MAX, REFUSED_OPEN_ORDERS),
        (M_MARGIN_USED_MAX, REFUSED_MARGIN_USED),
        (M_LIQUIDATION_DISTANCE_MIN, REFUSED_LIQUIDATION_DISTANCE),
    ):
        desk = Desk()
        desk.limits[0, column] = math.nan
        assert desk.judge(place(BUY, 200, 5)) == [refusal]


def test_on_spot_one_spends_and_sells_what_is_free():
    desk = Desk(2, spot=True)
    desk.account[A_FREE_QUOTE] = 1.0
    desk.position[:, P_FREE_BASE] = 0.006
    assert desk.judge(place(BUY, 200, 6), place(BUY, 200, 5, i=1), place(BUY, 200, 4, i=1)) == [
        APPROVED,
        REFUSED_FREE_BALANCE,
        APPROVED,
    ]
    assert desk.judge(place(SELL, 202, 4), place(SELL, 202, 3), place(SELL, 202, 6, i=1)) == [
        APPROVED,
        REFUSED_FREE_BALANCE,
        APPROVED,
    ]


class Levered(Desk):
    """Derivatives at leverage four, a wallet of 1.0, and lots worth 0.1005 at the mid."""

    def __init__(self, k: int = 1, *, isolated: bool = False) -> None:
        super().__init__(k)
        self.rules[:, R_MARGIN_RATE] = 0.25
        self.rules[:, R_ISOLATED] = isolated
        self.account[A_MARGIN_BALANCE] = 1.0


def test_initial_margin_takes_no_more_than_its_share_of_the_balance():
    desk = Levered(2)
    desk.limits[:, M_MARGIN_USED_MAX] = 0.5  # a value of 2.0, less what is there already
    desk.account[A_EXPOSURE] = 0.995
    assert desk.judge(place(BUY, 200, 11)) == [REFUSED_MARGIN_USED]
    assert desk.judge(place(BUY, 200, 10)) == [APPROVED]
    assert desk.judge(place(BUY, 200, 7), place(SELL, 201, 4, i=1), place(SELL, 201, 3, i=1)) == [
        APPROVED,
        REFUSED_MARGIN_USED,
        APPROVED,
    ]
    desk.account[A_MARGIN_BALANCE] = -0.1
    assert desk.judge(place(BUY, 200, 2)) == [REFUSED_MARGIN_USED]


def test_what_makes_no_position_larger_takes_no_margin():
    desk = Levered()
    desk.limits[:, M_MARGIN_USED_MAX] = 0.0
    desk.position[0, P_QTY] = 0.006
    desk.order(0, BUY, 4)  # so it may be 10 long
    assert desk.judge(place(SELL, 201, 6)) == [APPROVED]
    assert desk.judge(place(SELL, 201, 16)) == [APPROVED]
    assert desk.judge(place(SELL, 201, 17)) == [REFUSED_MARGIN_USED]
    assert desk.judge(place(BUY, 201, 2)) == [REFUSED_MARGIN_USED]


def test_all_prices_may_move_so_far_against_the_account_before_it_is_liquidated():
    desk = Levered()
    desk.limits[:, M_LIQUIDATION_DISTANCE_MIN] = 0.2
    desk.account[A_MAINTENANCE_RATE] = 0.05
    # (1 - 0.05 V) / (1.05 V) is 0.2 at V = 3.846: 38 lots; at 39 it is 0.193
    assert desk.judge(place(BUY, 201, 39)) == [REFUSED_LIQUIDATION_DISTANCE]
    assert desk.judge(place(BUY, 201, 38)) == [APPROVED]
    desk.account[A_EXPOSURE] = 1.005
    assert desk.judge(place(BUY, 201, 29), place(BUY, 201, 28)) == [REFUSED_LIQUIDATION_DISTANCE, APPROVED]


def test_an_isolated_position_is_as_far_from_liquidation_as_its_own_margin_reaches():
    desk = Levered(isolated=True)
    desk.account[A_MAINTENANCE_RATE] = 0.05
    desk.account[A_EXPOSURE] = 100.0  # of others, which does not matter
    desk.limits[:, M_LIQUIDATION_DISTANCE_MIN] = 0.19  # at entry it is (0.25 - 0.05) / 1.05 = 0.1905
    assert desk.judge(place(BUY, 201, 10)) == [APPROVED]
    desk.position[0, [P_QTY, P_AVG_PRICE, P_UNREALISED]] = 0.010, 110.5, -0.1
    assert desk.judge(place(BUY, 201, 10)) == [REFUSED_LIQUIDATION_DISTANCE]
    desk.position[0, [P_AVG_PRICE, P_UNREALISED]] = 90.5, 0.1
    assert desk.judge(place(BUY, 201, 10)) == [APPROVED]
    desk.limits[:, M_LIQUIDATION_DISTANCE_MIN] = 0.3
    assert desk.judge(place(BUY, 201, 10)) == [REFUSED_LIQUIDATION_DISTANCE]
    assert desk.judge(place(SELL, 201, 10)) == [APPROVED]


def test_what_is_not_known_of_margin_refuses():
    for column in (A_MARGIN_BALANCE, A_EXPOSURE):
        desk = Levered()
        desk.account[column] = math.nan
        assert desk.judge(place(BUY, 200, 5)) == [REFUSED_MARGIN_USED]
    desk = Levered()
    desk.account[A_MAINTENANCE_RATE] = math.nan
    assert desk.judge(place(BUY, 200, 5)) == [REFUSED_LIQUIDATION_DISTANCE]


def test_elsewhere_balances_are_not_asked():
    assert Desk().judge(place(BUY, 200, 6), place(SELL, 202, 6)) == [APPROVED, APPROVED]


def test_exposure_never_passes_its_limit_nor_reducing_orders_zero():
    """Ask for anything, fill any of it at any time."""
    approved: Counter[tuple[int, bool]] = Counter()
    for seed in range(1500):
        rng = random.Random(seed)
        spot = seed % 2 == 1
        desk = Desk(spot=spot)
        desk.account[A_FREE_QUOTE] = desk.position[0, P_FREE_BASE] = 1e9
        limit = rng.choice([0.5, 1.5, 4.0])
        most = limit / (0.001 * 100.5) + 1e-9  # lots at mid
        desk.limits[0, M_POSITION_NOTIONAL_MAX] = limit
        desk.position[0, P_QTY] = rng.randint(0 if spot else -int(most), int(most)) / 1000
        for _ in range(8):
            desk.gate[0] = rng.choice([0, 0, 0, GATE_HALTED])
            held = desk.position[0, P_QTY] / 0.001
            asked = [
                place(rng.choice([BUY, SELL]), ticks, rng.randint(2, 20), rng.choice([REST, REST, STOP]))
                for ticks in rng.choices(range(199, 204), k=3)
            ]
            refusals = desk.judge(*asked)
            free = [s for s in range(WORKING_SLOTS) if not desk.working[0, s, W_STATE]]
            for (_, kind, side, _, lots, _), refusal, row in zip(asked, refusals, desk.rows, strict=True):
                if refusal != APPROVED or not free:
                    continue
                approved[kind, spot] += 1
                live = [o for o in desk.working[0] if o[W_STATE] and o[3] == side]
                worst = lots + sum(o[5] for o in live)
                stops = lots + sum(o[5] for o in live if o[1] == STOP)
                opposed = -side * held + 1e-6
                if kind == STOP and spot:
                    assert stops <= opposed
                if row[X_REDUCES]:
                    assert (lots if kind == STOP and not spot else worst) <= opposed
                else:
                    assert not desk.gate[0]
                    assert (kind == STOP and spot) or worst - opposed <= most
                desk.order(free.pop(), side, lots, state=rng.choice(LIVE), kind=kind)
            for slot in range(WORKING_SLOTS):
                order = desk.working[0, slot]
                if order[W_STATE] and rng.random() < 0.3:
                    filled = rng.randint(0, int(order[5]))
                    desk.position[0, P_QTY] += order[3] * filled / 1000
                    order[:] = 0
    assert sum(approved.values()) > 3000
    assert approved[STOP, True] > 100
    assert approved[STOP, False] > 100


def test_it_has_one_signature():
    assert len(limits.check.signatures) == 1


# --- replacements -------------------------------------------------------------------------------------------
def replace(desk, side, ticks, lots, old=0, new=1):
    """Check a replacement of the order in slot `old`; return what it became: (verb, slot, lots, refusal)."""
    rows = np.zeros((1, ACTION_COLUMNS), np.int64)
    rows[0] = REPLACE, 0, new, REST, old, side, ticks, lots, 0, APPROVED, 0, old
    desk.check(rows, 1)
    return tuple(rows[0, [X_VERB, X_SLOT, X_QTY_LOTS, X_REFUSAL]].tolist())


def test_a_replacement_is_judged_with_the_old_order_still_there():
    desk = Desk()
    desk.order(0, BUY, 10)
    desk.limits[0, M_POSITION_NOTIONAL_MAX] = 0.020 * 100.5
    assert replace(desk, BUY, 200, 10) == (REPLACE, 1, 10, APPROVED)
    assert desk.rows[0, X_DECIDED_HALF_TICKS] == 402
    assert replace(desk, BUY, 200, 11) == (CANCEL, 0, 0, APPROVED)
    assert desk.rows[0, X_DECIDED_HALF_TICKS] == 0


@pytest.mark.parametrize(
    ("what", "limit"), [(M_OPEN_ORDERS_MAX, 1), (M_ORDER_NOTIONAL_MAX, 0.5), (M_COLLAR, 0.0001)]
)
def test_what_a_limit_refuses_beside_the_old_order_is_only_cancelled(what, limit):
    desk = Desk()
    desk.order(0, BUY, 10)
    desk.limits[0, what] = limit
    assert replace(desk, BUY, 190, 10) == (CANCEL, 0, 0, APPROVED)


def test_behind_a_closed_gate_a_quote_is_cancelled_even_where_it_reduces():
    desk = Desk()
    desk.position[0, P_QTY] = 1.0
    desk.order(0, SELL, 10)
    assert replace(desk, SELL, 203, 10) == (REPLACE, 1, 10, APPROVED)
    desk.gate[0] = GATE_HALTED
    assert replace(desk, SELL, 203, 10) == (CANCEL, 0, 0, APPROVED)


def test_on_spot_both_orders_must_be_covered_by_what_is_free():
    desk = Desk(spot=True)
    desk.order(0, BUY, 10)
    desk.account[A_FREE_QUOTE] = 1.0  # beside what the old order holds back
    assert replace(desk, BUY, 200, 10) == (REPLACE, 1, 10, APPROVED)
    assert replace(desk, BUY, 202, 10) == (CANCEL, 0, 0, APPROVED)


def test_what_comes_after_a_replacement_is_judged_with_both():
    desk = Desk()
    desk.order(0, BUY, 10)
    desk.limits[0, M_POSITION_NOTIONAL_MAX] = 0.025 * 100.5
    rows = np.zeros((2, ACTION_COLUMNS), np.int64)
    rows[0] = REPLACE, 0, 1, REST, 0, BUY, 200, 10, 0, APPROVED, 0, 0
    rows[1] = PLACE, 0, 2, REST, 1, BUY, 200, 10, 0, APPROVED, 0, 0
    assert desk.check(rows, 2) == [APPROVED, REFUSED_POSITION_NOTIONAL]
    rows[0, X_REFUSAL] = rows[1, X_REFUSAL] = APPROVED
    rows[0, X_QTY_LOTS] = 20  # too much beside the old one, so it counts for nothing
    assert desk.check(rows, 2) == [APPROVED, APPROVED]
    assert rows[:, X_VERB].tolist() == [CANCEL, PLACE]

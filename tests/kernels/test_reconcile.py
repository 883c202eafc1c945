"""Reconcile: examples, a plain twin, and a venue that does what it likes."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.dtypes import (
    ACTION_COLUMNS,
    ACTIONS_PER_INSTRUMENT,
    AMEND,
    APPROVED,
    BOOK_LEVELS,
    BUY,
    CANCEL,
    NO_OPINION,
    OUT_COLUMNS,
    OUT_PER_INSTRUMENT,
    P_FREE_BASE,
    P_QTY,
    PLACE,
    PLAN,
    POSITION_COLUMNS,
    R_CAN_AMEND,
    R_CAN_REPLACE,
    R_LOT_SIZE,
    R_NOTIONAL_MIN,
    R_PRICE_TOLERANCE_TICKS,
    R_QTY_MAX_LOTS,
    R_QTY_MIN_LOTS,
    R_QTY_TOLERANCE_LOTS,
    R_REST_NS_MIN,
    R_SPOT,
    R_TICK_SIZE,
    REFUSED_DUPLICATE,
    REFUSED_NO_SLOT,
    REFUSED_PRICE,
    REFUSED_QTY,
    REPLACE,
    REST,
    RULES_COLUMNS,
    SELL,
    SLOT_EMPTY,
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
    X_INSTRUMENT,
    X_KIND,
    X_LEVEL,
    X_PRICE_TICKS,
    X_QTY_LOTS,
    X_REFUSAL,
    X_REPLACES,
    X_SIDE,
    X_SLOT,
    X_VERB,
)
from kernels.reconcile import FAULT_COUNT, FAULT_ROW, reconcile

NAN = math.nan
NOW_NS = 1_700_000_000_000_000_000
LIVE = (SLOT_PENDING_NEW, SLOT_WORKING, SLOT_PENDING_REPLACE, SLOT_PENDING_CANCEL, SLOT_UNKNOWN)


class Desk:
    """The arrays of k instruments; ticks of 0.5, lots of 0.001, a market of 100.0 to 100.5."""

    def __init__(self, k: int = 1) -> None:
        self.out = np.full((k * OUT_PER_INSTRUMENT, OUT_COLUMNS), NAN)
        self.position = np.zeros((k, POSITION_COLUMNS))
        self.working = np.zeros((k, WORKING_SLOTS, WORKING_COLUMNS))
        self.book = np.full((k, 2, BOOK_LEVELS, 2), NAN)
        self.book[:, 0, 0] = 100.0, 1.0
        self.book[:, 1, 0] = 100.5, 1.0
        self.rules = np.zeros((k, RULES_COLUMNS))
        self.rules[:, R_TICK_SIZE] = 0.5
        self.rules[:, R_LOT_SIZE] = 0.001
        self.rules[:, R_QTY_MIN_LOTS] = 1
        self.rules[:, R_QTY_MAX_LOTS] = 1000
        self.actions = np.zeros((k * ACTIONS_PER_INSTRUMENT, ACTION_COLUMNS), np.int64)
        self.clamped = np.zeros(k, np.int64)
        self.plan = np.full(PLAN, 99, np.int64)  # scratch: whatever was there before

    def order(self, slot, kind, level, side, ticks, lots, state=SLOT_WORKING, since_ns=0, i=0):
        self.working[i, slot] = state, kind, level, side, ticks, lots, since_ns

    def ask(self, *rows, n=None):
        """Reconcile; return each action as (verb, slot, kind, level, side, ticks, lots, refusal)."""
        for r, row in enumerate(rows):
            self.out[r] = row
        n = reconcile(
            NOW_NS,
            len(rows) if n is None else n,
            self.out,
            self.position,
            self.working,
            self.book,
            self.rules,
            self.actions,
            self.clamped,
            self.plan,
        )
        if n < 0:
            return n
        columns = [X_VERB, X_SLOT, X_KIND, X_LEVEL, X_SIDE, X_PRICE_TICKS, X_QTY_LOTS, X_REFUSAL]
        return [tuple(action) for action in self.actions[:n][:, columns].tolist()]


def rest(level, side, price, qty, i=0):
    return (REST, i, level, side, price, qty)


def target(qty, price, i=0):
    return (TARGET, i, NAN, NAN, price, qty)


def stop(level, side, price, qty, i=0):
    return (STOP, i, level, side, price, qty)


# --- nothing, everything, nonsense -------------------------------------------------------------------------
def test_no_opinion_leaves_everything():
    desk = Desk()
    desk.order(0, REST, 0, BUY, 190, 5)
    assert desk.ask(n=NO_OPINION) == []


def test_wanting_nothing_cancels_all_that_works():
    desk = Desk(2)
    desk.order(0, REST, 0, BUY, 190, 5)
    desk.order(3, STOP, 7, SELL, 180, 4, i=1)
    desk.order(4, REST, 8, SELL, 300, 4, state=SLOT_PENDING_NEW, i=1)
    assert desk.ask() == [
        (CANCEL, 0, REST, 0, BUY, 190, 0, APPROVED),
        (CANCEL, 3, STOP, 7, SELL, 180, 0, APPROVED),
    ]
    assert desk.actions[:2, X_INSTRUMENT].tolist() == [0, 1]


@pytest.mark.parametrize(("n", "fault"), [(-2, FAULT_COUNT), (OUT_PER_INSTRUMENT + 1, FAULT_COUNT)])
def test_a_count_that_cannot_be_is_a_fault(n, fault):
    assert Desk().ask(n=n) == fault


@pytest.mark.parametrize("bad", [(NAN, 0, 0, 1, 1, 1), (REST, 1, 0, 1, 1, 1), (REST, 0, 0, 0, 1, 1)])
def test_a_row_that_names_nothing_is_a_fault_and_nothing_is_done(bad):
    desk = Desk()
    desk.order(0, REST, 0, BUY, 190, 5)
    assert desk.ask(rest(1, SELL, 110.0, 0.001), bad) == FAULT_ROW


@pytest.mark.parametrize(
    ("price", "qty", "refusal"),
    [
        (NAN, 0.01, REFUSED_PRICE),
        (-5.0, 0.01, REFUSED_PRICE),
        (99.0, NAN, REFUSED_QTY),
        (99.0, 1e300, REFUSED_QTY),
    ],
)
def test_a_senseless_rest_is_refused_and_its_order_cancelled_but_a_stop_stays(price, qty, refusal):
    desk = Desk()
    desk.position[0, P_QTY] = 1.0
    desk.order(0, REST, 1, SELL, 190, 5)
    desk.order(1, STOP, 1, SELL, 180, 5)
    got = desk.ask(rest(1, SELL, price, qty), stop(1, SELL, price, qty))
    assert [(action[0], action[2], action[-1]) for action in got] == [
        (CANCEL, REST, APPROVED),
        (PLACE, REST, refusal),
        (PLACE, STOP, refusal),
    ]


def test_the_second_row_for_a_level_is_refused():
    got = Desk().ask(rest(1, BUY, 99.0, 0.01), rest(1, BUY, 98.0, 0.01), target(0.01, 101), target(0.02, 101))
    assert [action[-1] for action in got] == [APPROVED, REFUSED_DUPLICATE, APPROVED, REFUSED_DUPLICATE]


# --- resting orders ----------------------------------------------------------------------------------------
def test_what_is_wanted_and_not_there_is_placed_in_a_free_slot():
    desk = Desk()
    desk.order(0, REST, 9, BUY, 150, 1, state=SLOT_UNKNOWN)
    assert desk.ask(rest(1, BUY, 99.9, 0.0129), rest(2, SELL, 101.1, 0.01)) == [
        (PLACE, 1, REST, 1, BUY, 199, 12, APPROVED),
        (PLACE, 2, REST, 2, SELL, 203, 10, APPROVED),
    ]


def test_an_order_within_the_tolerances_is_left():
    desk = Desk()
    desk.rules[0, R_PRICE_TOLERANCE_TICKS] = 2
    desk.rules[0, R_QTY_TOLERANCE_LOTS] = 3
    desk.order(0, REST, 1, BUY, 190, 10)
    assert desk.ask(rest(1, BUY, 96.0, 0.013)) == []
    assert desk.ask(rest(1, BUY, 96.5, 0.013)) == [(CANCEL, 0, REST, 1, BUY, 190, 0, APPROVED)]
    assert desk.ask(rest(1, BUY, 96.0, 0.014)) == [(CANCEL, 0, REST, 1, BUY, 190, 0, APPROVED)]


def test_a_young_order_is_not_moved_but_cancelled_when_unwanted():
    desk = Desk()
    desk.rules[0, R_REST_NS_MIN] = 1e9
    desk.order(0, REST, 1, BUY, 190, 10, since_ns=NOW_NS - 10**8)
    assert desk.ask(rest(1, BUY, 90.0, 0.01)) == []
    assert desk.ask() == [(CANCEL, 0, REST, 1, BUY, 190, 0, APPROVED)]
    desk.order(0, REST, 1, BUY, 190, 10, since_ns=NOW_NS - 2 * 10**9)
    assert desk.ask(rest(1, BUY, 90.0, 0.01))[0][0] == CANCEL


def test_an_order_shrinks_in_place_where_the_venue_can():
    desk = Desk()
    desk.order(0, REST, 1, BUY, 190, 10)
    assert desk.ask(rest(1, BUY, 95.0, 0.004)) == [(CANCEL, 0, REST, 1, BUY, 190, 0, APPROVED)]
    desk.rules[0, R_CAN_AMEND] = 1
    assert desk.ask(rest(1, BUY, 95.0, 0.004)) == [(AMEND, 0, REST, 1, BUY, 190, 4, APPROVED)]
    desk.rules[0, R_QTY_MIN_LOTS] = 5
    assert desk.ask(rest(1, BUY, 95.0, 0.004))[0][0] == CANCEL


@pytest.mark.parametrize("state", [state for state in LIVE if state != SLOT_WORKING])
def test_an_order_on_its_way_is_waited_for(state):
    desk = Desk()
    desk.order(0, REST, 1, BUY, 190, 10, state=state)
    assert desk.ask(rest(1, SELL, 120.0, 0.5)) == []
    assert desk.ask() == []


def test_a_price_that_would_take_is_waited_for():
    desk = Desk()
    assert desk.ask(rest(1, BUY, 100.5, 0.01), rest(2, SELL, 100.0, 0.01)) == []
    assert len(desk.ask(rest(1, BUY, 100.0, 0.01), rest(2, SELL, 100.5, 0.01))) == 2


def test_without_a_free_slot_an_order_is_refused():
    desk = Desk()
    for slot in range(WORKING_SLOTS - 1):
        desk.order(slot, REST, 100 + slot, BUY, 100, 1, state=SLOT_UNKNOWN)
    got = desk.ask(rest(1, BUY, 99.0, 0.01), rest(2, BUY, 98.0, 0.01))
    assert [(action[1], action[-1]) for action in got] == [
        (WORKING_SLOTS - 1, APPROVED),
        (-1, REFUSED_NO_SLOT),
    ]


def test_cancels_go_before_everything_else_of_an_instrument():
    desk = Desk()
    desk.order(0, REST, 5, BUY, 150, 1)
    desk.order(1, REST, 1, BUY, 150, 1)
    got = desk.ask(rest(2, BUY, 99.0, 0.01), rest(1, BUY, 90.0, 0.01), rest(3, BUY, 98.0, 0.01))
    assert [(action[0], action[3]) for action in got] == [(CANCEL, 1), (CANCEL, 5), (PLACE, 2), (PLACE, 3)]


# --- targets -----------------------------------------------------------------------------------------------
def test_a_target_takes_what_is_missing_up_to_its_worst_price():
    desk = Desk()
    desk.position[0, P_QTY] = 0.004
    assert desk.ask(target(0.01, 100.9)) == [(PLACE, 0, TARGET, 0, BUY, 201, 6, APPROVED)]
    assert desk.ask(target(-0.01, 99.6)) == [(PLACE, 0, TARGET, 0, SELL, 200, 14, APPROVED)]


def test_a_target_waits_until_the_market_is_as_good():
    assert Desk().ask(target(0.01, 100.4)) == []


def test_a_target_waits_for_the_order_that_is_out():
    for state in LIVE:
        desk = Desk()
        desk.order(2, TARGET, 0, BUY, 201, 6, state=state)
        assert desk.ask(target(0.02, 101.0)) == []
        assert desk.ask(target(-0.02, 99.0)) == []


def test_on_spot_a_short_is_clamped_and_counted():
    desk = Desk()
    desk.rules[0, R_SPOT] = 1
    desk.position[0, P_QTY] = desk.position[0, P_FREE_BASE] = 0.004
    assert desk.ask(target(-0.01, 99.0)) == [(PLACE, 0, TARGET, 0, SELL, 198, 4, APPROVED)]
    assert desk.clamped.tolist() == [1]
    desk.position[0, P_QTY] = desk.position[0, P_FREE_BASE] = 0
    assert desk.ask(target(-0.01, 99.0)) == []
    assert desk.clamped.tolist() == [2]


def test_on_spot_only_the_whole_lots_of_the_position_are_sold_whatever_the_account_holds():
    desk = Desk()
    desk.rules[0, R_SPOT] = 1
    desk.position[0, P_QTY], desk.position[0, P_FREE_BASE] = 0.003995, 1.0
    assert desk.ask(target(0.0, 99.0)) == [(PLACE, 0, TARGET, 0, SELL, 198, 3, APPROVED)]
    assert desk.ask(stop(1, SELL, 95.0, 0.01)) == [(PLACE, 0, STOP, 1, SELL, 190, 3, APPROVED)]
    desk.position[0, P_QTY] = 0.000995
    assert desk.ask(target(0.0, 99.0), stop(1, SELL, 95.0, 0.01)) == []


def test_on_spot_asks_share_what_is_free_to_sell():
    desk = Desk()
    desk.rules[0, R_SPOT] = 1
    desk.position[0, P_FREE_BASE] = 0.003
    desk.order(0, REST, 1, SELL, 210, 4)
    got = desk.ask(rest(1, SELL, 105.0, 0.004), rest(2, SELL, 106.0, 0.01), rest(3, SELL, 107.0, 0.01))
    assert got == [(PLACE, 1, REST, 2, SELL, 212, 3, APPROVED)]
    assert desk.clamped.tolist() == [2]


# --- stops -------------------------------------------------------------------------------------------------
def test_a_stop_is_no_larger_than_the_position_it_protects():
    desk = Desk()
    assert desk.ask(stop(1, SELL, 95.0, 0.01)) == []
    desk.position[0, P_QTY] = 0.004
    assert desk.ask(stop(1, SELL, 95.0, 0.01)) == [(PLACE, 0, STOP, 1, SELL, 190, 4, APPROVED)]
    assert desk.ask(stop(1, BUY, 105.0, 0.01)) == []


def test_on_spot_the_earlier_stops_leave_the_later_ones_what_they_do_not_protect():
    desk = Desk()
    desk.position[0, P_QTY], desk.position[0, P_FREE_BASE] = 0.004, 1.0
    rows = stop(1, SELL, 95.0, 0.003), stop(2, SELL, 94.0, 0.003), stop(3, SELL, 93.0, 0.003)
    assert [lots for *_, lots, _ in desk.ask(*rows)] == [3, 3, 3]
    desk.rules[0, R_SPOT] = 1
    assert [lots for *_, lots, _ in desk.ask(*rows)] == [3, 1]
    desk.order(0, STOP, 1, SELL, 190, 3)
    desk.order(1, STOP, 2, SELL, 188, 1)
    desk.position[0, P_QTY] = 0.003  # a part was sold otherwise
    assert desk.ask(*rows) == [(CANCEL, 1, STOP, 2, SELL, 188, 0, APPROVED)]


def test_a_stop_goes_with_its_position():
    desk = Desk()
    desk.order(0, STOP, 1, SELL, 190, 4)
    assert desk.ask(stop(1, SELL, 95.0, 0.01)) == [(CANCEL, 0, STOP, 1, SELL, 190, 0, APPROVED)]


# --- the twin ----------------------------------------------------------------------------------------------
def expected(desk, rows):
    """What shall be done for instrument 0, said plainly; rows are well-formed."""
    rules, position = desk.rules[0], desk.position[0]
    slots = {s: tuple(desk.working[0, s]) for s in range(WORKING_SLOTS) if desk.working[0, s, W_STATE]}
    free = [s for s in range(WORKING_SLOTS) if s not in slots]
    spare = int(position[P_FREE_BASE] / 0.001 + 1e-6) if rules[R_SPOT] else 2**52
    held = round(position[P_QTY] / 0.001)
    own = int(abs(position[P_QTY]) / 0.001 + 1e-6)  # whole lots to bring it to zero by
    spoken, todo = set(), []
    protected = {BUY: 0, SELL: 0}  # by earlier stops
    for r, (kind, _, level, asked_side, price, qty) in enumerate(rows):
        side = asked_side
        same = [s for s in slots if slots[s][1] == kind and (kind == TARGET or slots[s][2] == level)]
        slot = same[0] if same else None
        before = [row for row in rows[:r] if row[0] == kind and (kind == TARGET or row[2] == level)]
        if before:
            todo.append((PLACE, -1, kind, 0 if kind == TARGET else level, 0, 0, 0, REFUSED_DUPLICATE))
            continue
        if kind == TARGET:
            if slot is not None:
                spoken.add(slot)
                continue
            want = round(qty / 0.001)
            if rules[R_SPOT]:
                want = max(want, 0)
            side = BUY if want >= held else SELL
            lots = abs(want - held)
            if rules[R_SPOT] and side == SELL:
                lots = min(lots, own)
            if lots <= rules[R_QTY_TOLERANCE_LOTS]:
                continue
            closes = not rules[R_SPOT] and held and (side == BUY) == (held < 0) and lots <= abs(held)
            least = 0.0 if closes else rules[R_NOTIONAL_MIN]
            if held and (lots < rules[R_QTY_MIN_LOTS] or lots * 0.001 * price < least):
                continue
            lots = min(lots, int(rules[R_QTY_MAX_LOTS]), spare if side == SELL else 2**52)
            reaches = price >= 100.5 if side == BUY else price <= 100.0
            if not lots or not reaches:
                continue
        else:
            lots = round(qty / 0.001)
            if kind == STOP:
                lots = min(lots, own - protected[side]) if side * position[P_QTY] < 0 else 0
                protected[side] += lots if rules[R_SPOT] else 0
            if side == SELL:
                standing = int(slots[slot][5]) if slot is not None and slots[slot][3] == SELL else 0
                if lots > spare + standing:
                    lots = spare + standing
                    lots = lots if lots >= rules[R_QTY_MIN_LOTS] else 0
                spare -= max(lots - standing, 0)
            if not lots:
                continue
            if slot is not None:
                spoken.add(slot)
                todo += change(slot, slots[slot], rules, side, round(price * 2), lots)
                continue
            if kind == REST and (price >= 100.5 if side == BUY else price <= 100.0):
                continue
        place = (kind, 0 if kind == TARGET else level, side, round(price * 2), lots)
        todo.append((PLACE, free.pop(0), *place, APPROVED) if free else (PLACE, -1, *place, REFUSED_NO_SLOT))
    for s, (state, kind, level, side, ticks, *_) in slots.items():
        if state == SLOT_WORKING and s not in spoken:
            todo.append((CANCEL, s, kind, level, side, ticks, 0, APPROVED))
    return [a for a in todo if a[0] == CANCEL] + [a for a in todo if a[0] != CANCEL]


def change(slot, order, rules, side, ticks, lots):
    """What shall be done with the order in a slot whose level is wanted like this."""
    state, kind, level, was_side, was_ticks, leaves, since_ns = order
    cancel = [(CANCEL, slot, kind, level, was_side, was_ticks, 0, APPROVED)]
    if state != SLOT_WORKING:
        return []
    if side != was_side:
        return cancel
    near = abs(was_ticks - ticks) <= rules[R_PRICE_TOLERANCE_TICKS]
    if near and abs(leaves - lots) <= rules[R_QTY_TOLERANCE_LOTS]:
        return []
    if NOW_NS - since_ns < rules[R_REST_NS_MIN]:
        return []
    if near and lots < leaves and rules[R_CAN_AMEND] and lots >= rules[R_QTY_MIN_LOTS]:
        return [(AMEND, slot, kind, level, was_side, was_ticks, lots, APPROVED)]
    return cancel


SIDES = st.sampled_from([BUY, SELL])
LEVELS = st.integers(0, 3)
PRICES = st.integers(196, 206).map(lambda ticks: ticks / 2)
QTYS = st.integers(0, 12).map(lambda lots: lots / 1000)
ROWS = st.one_of(
    st.tuples(st.sampled_from([REST, REST, STOP]), st.just(0), LEVELS, SIDES, PRICES, QTYS),
    st.tuples(
        st.just(TARGET), st.just(0), LEVELS, SIDES, PRICES, st.integers(-12, 12).map(lambda n: n / 1000)
    ),
)


def random_desk(rng):
    """A desk whose orders often stand where the rows of `random_rows` want them."""
    desk = Desk()
    rules = desk.rules[0]
    rules[R_SPOT] = rng.random() < 0.5
    rules[R_CAN_AMEND] = rng.random() < 0.5
    rules[R_PRICE_TOLERANCE_TICKS] = rng.randrange(3)
    rules[R_QTY_TOLERANCE_LOTS] = rng.randrange(3)
    rules[R_QTY_MIN_LOTS] = rng.randint(1, 3)
    rules[R_QTY_MAX_LOTS] = rng.choice([3, 1000])
    rules[R_NOTIONAL_MIN] = rng.choice([0.0, 0.2])
    rules[R_REST_NS_MIN] = rng.choice([0, 10**9])
    desk.position[0, P_QTY] = rng.randint(0 if rules[R_SPOT] else -6, 6) / 1000
    if rules[R_SPOT] and rng.random() < 0.5:
        desk.position[0, P_QTY] -= 0.000005  # a commission
    desk.position[0, P_FREE_BASE] = rng.randint(0, 6) / 1000
    levels = [(REST, 0), (REST, 1), (STOP, 0), (TARGET, 0)]
    slots = rng.sample(range(WORKING_SLOTS), 4)
    for (kind, level), slot in zip(rng.sample(levels, rng.randint(0, 4)), slots, strict=False):
        state = rng.choice([*LIVE, *[SLOT_WORKING] * 6])
        since_ns = rng.choice([0, NOW_NS - 10**8])
        desk.order(
            slot,
            kind,
            level,
            rng.choice([BUY, SELL]),
            rng.randint(199, 202),
            rng.randint(1, 6),
            state,
            since_ns,
        )
    return desk


def random_rows(rng):
    rows = []
    for _ in range(rng.randint(0, 4)):
        price = rng.randint(199, 202) / 2
        if rng.random() < 0.3:
            rows.append((TARGET, 0, 0, BUY, price, rng.randint(-6, 6) / 1000))
        else:
            kind = rng.choice([REST, REST, STOP])
            rows.append((kind, 0, rng.randrange(2), rng.choice([BUY, SELL]), price, rng.randint(0, 6) / 1000))
    return rows


def test_every_action_is_that_of_the_twin():
    for seed in range(6000):
        rng = random.Random(seed)
        desk, rows = random_desk(rng), random_rows(rng)
        todo = [tuple(int(x) for x in action) for action in expected(desk, rows)]
        assert desk.ask(*rows) == todo, f"seed {seed}: {rows}"


# --- a venue that does what it likes -----------------------------------------------------------------------
def obey(desk, got):
    """Write what was asked for into the slots, as the daemon does."""
    for verb, slot, kind, level, side, ticks, lots, refusal in got:
        if refusal != APPROVED:
            continue
        state = desk.working[0, slot, W_STATE]
        if verb == PLACE:
            assert state == SLOT_EMPTY
            desk.order(slot, kind, level, side, ticks, lots, SLOT_PENDING_NEW)
        else:
            assert state == SLOT_WORKING
            desk.working[0, slot, W_STATE] = SLOT_PENDING_CANCEL if verb == CANCEL else SLOT_PENDING_REPLACE


@given(
    steps=st.lists(
        st.tuples(
            st.lists(ROWS, max_size=OUT_PER_INSTRUMENT),
            st.lists(
                st.tuples(st.integers(0, WORKING_SLOTS - 1), st.sampled_from([SLOT_EMPTY, *LIVE])), max_size=9
            ),
        ),
        max_size=20,
    )
)
def test_there_are_never_two_live_orders_for_one_level(steps):
    desk = Desk()
    for rows, answers in steps:
        obey(desk, desk.ask(*rows))
        live = [tuple(order[1:3]) for order in desk.working[0] if order[W_STATE] != SLOT_EMPTY]
        assert len(live) == len(set(live))
        for slot, state in answers:
            if desk.working[0, slot, W_STATE] != SLOT_EMPTY:
                desk.working[0, slot, W_STATE] = state
    for _ in range(2):  # what is on its way is cancelled once it works
        obey(desk, desk.ask())
        for order in desk.working[0]:
            ended = order[W_STATE] in (SLOT_EMPTY, SLOT_PENDING_CANCEL)
            order[W_STATE] = SLOT_EMPTY if ended else SLOT_WORKING
    assert not desk.working[0, :, W_STATE].any()


@given(values=st.lists(st.lists(st.floats(), min_size=OUT_COLUMNS, max_size=OUT_COLUMNS), max_size=8))
def test_no_nonsense_leads_to_an_approved_order_with_nonsense_in_it(values):
    desk = Desk()
    got = desk.ask(*values)
    if not isinstance(got, int):
        for verb, slot, _, _, _, ticks, lots, refusal in got:
            assert verb == PLACE
            assert refusal != APPROVED or (
                0 <= slot < WORKING_SLOTS and 0 < ticks < 2**53 and 0 < lots < 2**53
            )


@given(data=st.data(), k=st.integers(1, 3))
def test_there_is_room_for_every_action(data, k):
    desk = Desk(k)
    for i in range(k):
        for slot in range(WORKING_SLOTS):
            desk.order(slot, REST, 50 + slot, BUY, 150, 1, i=i)
    only = data.draw(st.integers(0, k - 1))
    n = k * OUT_PER_INSTRUMENT
    got = desk.ask(*[rest(level, BUY, 99.0, 0.01, i=only) for level in range(n)])
    assert len(got) == k * WORKING_SLOTS + n == len(desk.actions)


def test_it_has_one_signature():
    assert len(reconcile.signatures) == 1


# --- one request for both -----------------------------------------------------------------------------------
def replacing():
    """A desk whose venue can replace, a bid of 10 lots standing at 99.5 in slot 2."""
    desk = Desk()
    desk.rules[0, R_CAN_REPLACE] = 1
    desk.order(2, REST, 0, BUY, 199, 10)
    return desk


def test_a_quote_that_moves_is_replaced_by_an_order_in_a_free_slot():
    desk = replacing()
    assert desk.ask(rest(0, BUY, 99.0, 0.010)) == [(REPLACE, 0, REST, 0, BUY, 198, 10, APPROVED)]
    assert desk.actions[0, X_REPLACES] == 2


def test_a_quote_that_grows_is_replaced_and_one_that_shrinks_is_amended():
    desk = replacing()
    desk.rules[0, R_CAN_AMEND] = 1
    assert desk.ask(rest(0, BUY, 99.5, 0.020)) == [(REPLACE, 0, REST, 0, BUY, 199, 20, APPROVED)]
    assert desk.ask(rest(0, BUY, 99.5, 0.005)) == [(AMEND, 2, REST, 0, BUY, 199, 5, APPROVED)]


@pytest.mark.parametrize("want", [(BUY, 100.5), (BUY, 101.0), (SELL, 101.0)])
def test_what_would_take_or_changes_sides_is_only_cancelled(want):
    desk = replacing()
    desk.position[0, P_FREE_BASE] = 1.0
    assert desk.ask(rest(0, *want, 0.010)) == [(CANCEL, 2, REST, 0, BUY, 199, 0, APPROVED)]


def test_a_stop_is_not_replaced():
    desk = Desk()
    desk.rules[0, R_CAN_REPLACE] = 1
    desk.position[0, P_QTY] = desk.position[0, P_FREE_BASE] = 0.010
    desk.order(2, STOP, 0, SELL, 190, 10)
    assert [action[0] for action in desk.ask(stop(0, SELL, 96.0, 0.010))] == [CANCEL]


def test_a_young_quote_is_not_replaced():
    desk = replacing()
    desk.rules[0, R_REST_NS_MIN] = 1000
    desk.order(2, REST, 0, BUY, 199, 10, since_ns=NOW_NS)
    assert desk.ask(rest(0, BUY, 99.0, 0.010)) == []


def test_without_a_free_slot_it_is_only_cancelled():
    desk = replacing()
    for slot in range(WORKING_SLOTS):
        if slot != 2:
            desk.order(slot, REST, 100 + slot, BUY, 190, 1, state=SLOT_UNKNOWN)
    assert [action[:2] for action in desk.ask(rest(0, BUY, 99.0, 0.010))] == [(CANCEL, 2)]


def test_two_replacements_and_a_new_order_take_three_slots():
    desk = replacing()
    desk.order(1, REST, 1, BUY, 198, 10)
    got = desk.ask(rest(0, BUY, 99.0, 0.010), rest(1, BUY, 98.5, 0.010), rest(2, BUY, 98.0, 0.010))
    assert [(action[0], action[1], action[3]) for action in got] == [
        (REPLACE, 0, 0),
        (REPLACE, 3, 1),
        (PLACE, 4, 2),
    ]
    assert desk.actions[:3, X_REPLACES].tolist() == [2, 1, 0]


@pytest.mark.parametrize("first", [1, 3])  # the new order's slot, before the old one's or behind it
@pytest.mark.parametrize("old", LIVE)
@pytest.mark.parametrize("new", LIVE)
def test_while_either_half_is_on_its_way_the_level_is_waited_for(first, old, new):
    desk = replacing()
    desk.order(2, REST, 0, BUY, 199, 10, state=old)
    desk.order(first, REST, 0, BUY, 198, 10, state=new)
    got = [action[:2] for action in desk.ask(rest(0, BUY, 97.0, 0.010))]
    both = old == new == SLOT_WORKING  # which cannot be, and of which one must go
    assert got == ([(CANCEL, max(first, 2))] if both else [])


def test_a_level_that_is_wanted_no_more_loses_both_orders():
    desk = replacing()
    desk.order(3, REST, 0, BUY, 198, 10)
    assert [action[:2] for action in desk.ask(n=0)] == [(CANCEL, 2), (CANCEL, 3)]

"""Matching: examples that read as sentences, a slow obvious twin, and what must hold whatever happens."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import book as bk
from kernels import fills
from kernels.dtypes import B_ASK_TICKS, B_BID_TICKS, BUY, DEPTH, QUOTE, SELL, TRADE
from kernels.matcher import (
    ACCEPTED,
    AMENDED,
    CANCELED,
    EMPTY_BOOK,
    EXPIRED,
    FILL,
    FOK,
    GTC,
    IOC,
    LOG_PROB,
    LOG_PROB_2,
    MARKET,
    ORDERS_MAX,
    POST_ONLY,
    POWER_PROB,
    POWER_PROB_2,
    POWER_PROB_3,
    REASON_DUPLICATE,
    REASON_FULL,
    REASON_QTY,
    REASON_UNKNOWN,
    REASON_WOULD_TAKE,
    REASON_WOULD_TRIGGER,
    REJECTED,
    RISK_ADVERSE,
    TRIGGERED,
    new_matcher,
)

PROBABILISTIC = (LOG_PROB, LOG_PROB_2, POWER_PROB, POWER_PROB_2, POWER_PROB_3)


def make_book(bids: dict[int, int], asks: dict[int, int]) -> np.ndarray:
    """Return a book of {ticks: lots}."""
    book = bk.make(max(len(bids), len(asks)))
    for row, levels, ordered in (
        (B_BID_TICKS, bids, sorted(bids)),
        (B_ASK_TICKS, asks, sorted(asks, reverse=True)),
    ):
        book[row, : len(ordered) + 1] = [len(ordered), *ordered]
        book[row + 1, 1 : len(ordered) + 1] = [levels[ticks] for ticks in ordered]
    return book


class Venue:
    """A matcher with its book, answering each call with its events as tuples."""

    def __init__(self, model: int = RISK_ADVERSE) -> None:
        self.matcher = new_matcher(0.5, 0.001, model)
        self.book = EMPTY_BOOK

    def _events(self, n: int) -> list[tuple[int, ...]]:
        return [tuple(event) for event in self.matcher["events"][0, :n].tolist()]

    def trade(self, ticks: int, lots: int, side: int) -> list[tuple[int, ...]]:
        return self._events(fills.on_trade(self.matcher, self.book, ticks, lots, side))

    def quote(self, bid: int, bid_lots: int, ask: int, ask_lots: int) -> list[tuple[int, ...]]:
        return self._events(fills.on_quote(self.matcher, self.book, bid, bid_lots, ask, ask_lots))

    def depth(self, bids: dict[int, int], asks: dict[int, int]) -> list[tuple[int, ...]]:
        self.book = make_book(bids, asks)
        return self._events(fills.on_book(self.matcher, self.book))

    def place(self, key: int, side: int, tif: int, ticks: int, lots: int) -> list[tuple[int, ...]]:
        return self._events(fills.place(self.matcher, self.book, key, side, tif, ticks, lots))

    def arm(
        self, key: int, side: int, tif: int, ticks: int, lots: int, trigger: int, rises: bool
    ) -> list[tuple[int, ...]]:
        return self._events(fills.arm(self.matcher, key, side, tif, ticks, lots, trigger, rises))

    def cancel(self, key: int) -> list[tuple[int, ...]]:
        return self._events(fills.cancel(self.matcher, key))

    def amend(self, key: int, leaves: int) -> list[tuple[int, ...]]:
        return self._events(fills.amend(self.matcher, key, leaves))


@pytest.fixture
def venue() -> Venue:
    """A market of 10 lots bid at 100 and 5 lots asked at 101."""
    venue = Venue()
    venue.quote(100, 10, 101, 5)
    return venue


# --- aggressive orders -------------------------------------------------------------------------------------
def test_an_ioc_takes_what_is_displayed_and_the_rest_expires(venue):
    assert venue.place(1, BUY, IOC, 101, 8) == [
        (ACCEPTED, 1, BUY, 101, 8, 8, 0, 0),
        (FILL, 1, BUY, 101, 5, 3, 0, 0),
        (EXPIRED, 1, BUY, 101, 3, 0, 0, 0),
    ]


def test_a_displayed_lot_is_taken_once_until_more_is_displayed(venue):
    venue.place(1, BUY, IOC, 101, 4)
    assert venue.place(2, BUY, IOC, 101, 4)[1] == (FILL, 2, BUY, 101, 1, 3, 0, 0)
    venue.quote(100, 10, 101, 7)
    assert venue.place(3, BUY, IOC, 101, 4)[1] == (FILL, 3, BUY, 101, 2, 2, 0, 0)


def test_a_level_that_went_and_came_back_can_be_taken_again(venue):
    venue.place(1, BUY, IOC, 101, 5)
    venue.quote(100, 10, 102, 5)
    venue.quote(100, 10, 101, 5)
    assert venue.place(2, BUY, IOC, 101, 5)[1] == (FILL, 2, BUY, 101, 5, 0, 0, 0)


def test_an_order_walks_the_book_behind_the_quote_up_to_its_limit(venue):
    venue.depth({99: 1}, {100: 9, 101: 9, 102: 2, 103: 3})  # 100 and 101 are older than the quote
    assert venue.place(1, BUY, IOC, 102, 9)[1:] == [
        (FILL, 1, BUY, 101, 5, 4, 0, 0),
        (FILL, 1, BUY, 102, 2, 2, 0, 0),
        (EXPIRED, 1, BUY, 102, 2, 0, 0, 0),
    ]


def test_a_market_order_has_no_limit(venue):
    venue.depth({98: 1, 60: 4}, {})
    assert [event[3] for event in venue.place(1, SELL, MARKET, 0, 12) if event[0] == FILL] == [100, 98, 60]


def test_fok_takes_all_or_nothing(venue):
    assert [event[0] for event in venue.place(1, BUY, FOK, 101, 6)] == [ACCEPTED, EXPIRED]
    assert [event[0] for event in venue.place(2, BUY, FOK, 101, 5)] == [ACCEPTED, FILL]


def test_post_only_is_rejected_when_it_would_take_and_leaves_no_trace(venue):
    assert venue.place(1, BUY, POST_ONLY, 101, 1) == [(REJECTED, 1, BUY, 101, 1, 0, 0, REASON_WOULD_TAKE)]
    assert fills.idle(venue.matcher)


def test_nothing_is_taken_from_an_empty_side(venue):
    venue.quote(100, 10, 0, 0)
    assert [event[0] for event in venue.place(1, BUY, MARKET, 0, 1)] == [ACCEPTED, EXPIRED]


# --- resting orders ----------------------------------------------------------------------------------------
def test_a_trade_at_our_price_serves_the_queue_ahead_first(venue):
    venue.place(1, BUY, GTC, 100, 3)
    assert venue.trade(100, 10, SELL) == []
    assert venue.trade(100, 2, SELL) == [(FILL, 1, BUY, 100, 2, 1, 1, 0)]


def test_the_queue_ahead_is_never_longer_than_what_is_displayed(venue):
    venue.place(1, BUY, GTC, 100, 3)
    venue.quote(100, 4, 101, 5)
    assert venue.trade(100, 5, SELL) == [(FILL, 1, BUY, 100, 1, 2, 1, 0)]


def test_a_trade_through_our_price_serves_us_by_its_own_quantity(venue):
    venue.place(1, SELL, GTC, 103, 5)
    assert venue.trade(104, 2, BUY) == [(FILL, 1, SELL, 103, 2, 3, 1, 0)]


def test_a_trade_is_shared_best_price_first_then_oldest(venue):
    venue.place(1, SELL, GTC, 103, 2)
    venue.place(2, SELL, GTC, 102, 2)
    venue.place(3, SELL, GTC, 103, 2)
    assert [(event[1], event[4]) for event in venue.trade(104, 5, BUY)] == [(2, 2), (1, 2), (3, 1)]


def test_a_trade_on_the_other_side_leaves_us_alone(venue):
    venue.place(1, SELL, GTC, 103, 5)
    assert venue.trade(104, 2, SELL) == []


def test_a_quote_that_crosses_fills_at_our_price_and_only_once(venue):
    venue.place(1, BUY, GTC, 100, 9)
    assert venue.quote(98, 1, 99, 4) == [(FILL, 1, BUY, 100, 4, 5, 1, 0)]
    assert venue.quote(98, 1, 99, 4) == []
    assert venue.quote(98, 1, 99, 6) == [(FILL, 1, BUY, 100, 2, 3, 1, 0)]


def test_an_unknown_depth_is_an_endless_queue_until_the_price_is_the_touch(venue):
    venue.place(1, BUY, GTC, 98, 3)
    assert venue.trade(98, 1000, SELL) == []
    venue.quote(98, 6, 99, 5)
    assert venue.trade(98, 7, SELL) == [(FILL, 1, BUY, 98, 1, 2, 1, 0)]


def test_the_book_says_how_much_stands_ahead_behind_the_touch(venue):
    venue.depth({99: 3, 97: 8}, {})
    venue.place(1, BUY, GTC, 97, 2)
    venue.place(2, BUY, GTC, 98, 2)
    assert venue.trade(97, 9, SELL) == [(FILL, 2, BUY, 98, 2, 0, 1, 0), (FILL, 1, BUY, 97, 1, 1, 1, 0)]


def test_the_rest_of_an_order_that_took_waits_at_its_price(venue):
    venue.place(1, BUY, GTC, 101, 8)
    assert venue.trade(101, 2, SELL) == [(FILL, 1, BUY, 101, 2, 1, 1, 0)]


def test_without_quotes_the_book_is_the_touch():
    venue = Venue()
    venue.depth({100: 3}, {101: 2, 102: 4})
    assert [event[3:5] for event in venue.place(1, BUY, IOC, 102, 5) if event[0] == FILL] == [
        (101, 2),
        (102, 3),
    ]
    venue.place(2, BUY, GTC, 100, 1)
    assert venue.depth({98: 1}, {99: 5}) == [(FILL, 2, BUY, 100, 1, 0, 1, 0)]


def test_a_probabilistic_queue_moves_when_orders_ahead_are_cancelled():
    for model, ahead in ((RISK_ADVERSE, 6), *((one, None) for one in PROBABILISTIC)):
        venue = Venue(model)
        venue.quote(100, 6, 101, 5)
        venue.place(1, BUY, GTC, 100, 1)
        venue.quote(100, 10, 101, 5)  # four more behind us
        venue.quote(100, 7, 101, 5)  # three gone: before or behind?
        front = float(venue.matcher["front"][0, 0])
        assert front == ahead if ahead is not None else 3 < front < 6


# --- armed orders ------------------------------------------------------------------------------------------
def test_a_stop_goes_off_at_a_trade_and_takes_the_market(venue):
    assert venue.arm(1, SELL, MARKET, 0, 4, 99, False) == [(ACCEPTED, 1, SELL, 0, 4, 4, 0, 0)]
    assert venue.quote(98, 10, 99, 5) == []
    assert venue.trade(99, 1, SELL) == [(TRIGGERED, 1, SELL, 0, 4, 4, 0, 0), (FILL, 1, SELL, 98, 4, 0, 0, 0)]
    assert venue.trade(90, 1, SELL) == []


def test_a_rising_stop_limit_rests_after_it_went_off(venue):
    venue.arm(1, SELL, GTC, 104, 4, 103, True)
    assert venue.trade(103, 1, BUY) == [(TRIGGERED, 1, SELL, 104, 4, 4, 0, 0)]
    assert venue.trade(105, 9, BUY) == [(FILL, 1, SELL, 104, 4, 0, 1, 0)]


def test_a_stop_that_would_go_off_at_once_is_rejected(venue):
    venue.trade(100, 1, SELL)
    assert venue.arm(1, SELL, MARKET, 0, 4, 100, False)[0][7] == REASON_WOULD_TRIGGER


def test_all_of_a_full_house_of_stops_go_off_together(venue):
    for key in range(ORDERS_MAX):
        venue.arm(key, SELL, GTC, 200, 1, 99, False)
    assert len(venue.trade(99, 1, SELL)) == ORDERS_MAX
    assert [event[1] for event in venue.trade(201, 10**6, BUY)] == list(range(ORDERS_MAX))
    assert fills.idle(venue.matcher)


# --- cancel, amend, refusals -------------------------------------------------------------------------------
def test_cancel_gives_back_what_is_left(venue):
    venue.place(1, SELL, GTC, 103, 5)
    venue.trade(104, 2, BUY)
    assert venue.cancel(1) == [(CANCELED, 1, SELL, 103, 3, 0, 0, 0)]
    assert venue.cancel(1) == [(REJECTED, 1, 0, 0, 0, 0, 0, REASON_UNKNOWN)]
    assert venue.trade(104, 2, BUY) == []


def test_amend_lowers_and_keeps_the_place_in_the_queue(venue):
    venue.place(1, BUY, GTC, 100, 5)
    venue.trade(100, 9, SELL)
    assert venue.amend(1, 2) == [(AMENDED, 1, BUY, 100, 2, 2, 0, 0)]
    assert venue.trade(100, 9, SELL) == [(FILL, 1, BUY, 100, 2, 0, 1, 0)]


@pytest.mark.parametrize("leaves", [0, -1, 5, 6])
def test_amend_only_lowers(venue, leaves):
    venue.place(1, BUY, GTC, 100, 5)
    assert venue.amend(1, leaves)[0][7] == REASON_QTY
    assert venue.amend(2, 1)[0][7] == REASON_UNKNOWN


def test_orders_without_quantity_or_key_of_their_own_are_rejected(venue):
    assert venue.place(1, BUY, GTC, 100, 0)[0][7] == REASON_QTY
    venue.place(1, BUY, GTC, 100, 1)
    assert venue.place(1, BUY, GTC, 99, 1)[0][7] == REASON_DUPLICATE


def test_the_order_after_the_last_place_is_rejected(venue):
    for key in range(ORDERS_MAX):
        assert venue.place(key, BUY, GTC, 90 - key, 1)[0][0] == ACCEPTED
    assert venue.place(ORDERS_MAX, BUY, GTC, 99, 1)[0][7] == REASON_FULL


def test_ticks_in_floats_mean_the_same():
    venue = Venue()
    assert fills.on_tick(venue.matcher, EMPTY_BOOK, QUOTE, 50.0, 0.01, 50.5, 0.005) == 0
    venue.place(1, SELL, GTC, 102, 5)
    assert fills.on_tick(venue.matcher, EMPTY_BOOK, DEPTH, 51.5, 0.002, 52.0, 1.0) == 0
    assert fills.on_tick(venue.matcher, EMPTY_BOOK, TRADE, 51.5, 0.002, 1.0, 0.0) == 1
    assert venue.matcher["events"][0, 0].tolist() == [FILL, 1, SELL, 102, 2, 3, 1, 0]


# --- the twin ----------------------------------------------------------------------------------------------
class Twin:
    """The same rules with dicts and lists, as plainly as they can be said."""

    def __init__(self, model: int) -> None:
        self.model = model
        self.quoted = False
        self.touch = {BUY: None, SELL: None}  # (ticks, lots) of the best bid and ask
        self.book = {BUY: {}, SELL: {}}
        self.taken = {BUY: {}, SELL: {}}
        self.orders = []
        self.last = 0
        self.events = []

    def emit(self, kind, key, side, ticks, lots, leaves, maker=0, reason=0):
        self.events.append((kind, key, side, ticks, lots, leaves, maker, reason))

    def shown(self, side, ticks):
        """Lots displayed on the bids (BUY) or asks (SELL), None where nobody knows."""
        best = self.touch[side]
        if best is None or (ticks - best[0]) * side > 0:
            return 0
        if ticks == best[0]:
            return best[1]
        levels = self.book[side]
        if not levels or (min(levels) > ticks if side == BUY else max(levels) < ticks):
            return None
        return levels.get(ticks, 0)

    def display(self, side):
        """The levels one can take from, best first."""
        best = self.touch[side]
        if best is None:
            return []
        behind = {ticks: lots for ticks, lots in self.book[side].items() if (best[0] - ticks) * side > 0}
        return [best, *sorted(behind.items(), reverse=side == BUY)]

    def take(self, side, limit, lots):
        """Which levels an aggressive order gets: [(ticks, lots)]."""
        got = []
        for ticks, shown in self.display(-side):
            if limit is not None and (limit - ticks) * side < 0:
                break
            part = min(lots - sum(x[1] for x in got), shown - self.taken[-side].get(ticks, 0))
            if part > 0:
                got.append((ticks, part))
        return got

    def note_taken(self, side, got):
        for ticks, lots in got:
            self.taken[-side][ticks] = self.taken[-side].get(ticks, 0) + lots

    def resting(self, side):
        """Our resting orders of a side, best price first, then oldest."""
        live = [o for o in self.orders if o["side"] == side and not o["armed"]]
        return sorted(live, key=lambda o: -side * o["ticks"])

    def drop_done(self):
        self.orders = [o for o in self.orders if o["leaves"] > 0]

    def trade(self, ticks, lots, taker):
        self.last = ticks
        side = -taker
        budget = lots
        reached = [o for o in self.resting(side) if (o["ticks"] - ticks) * side >= 0]
        for level in dict.fromkeys(o["ticks"] for o in reached):
            if budget == 0:
                break
            for o in (o for o in reached if o["ticks"] == level):
                most = lots
                if level == ticks:
                    o["front"] -= lots
                    o["traded"] += lots
                    most = 0
                    if o["front"] < 0:
                        most = math.floor(0.5 - o["front"])
                        if most > 0:
                            o["front"] = 0.0
                part = min(most, o["leaves"], budget)
                if part > 0:
                    budget -= part
                    o["leaves"] -= part
                    self.emit(FILL, o["key"], side, level, part, o["leaves"], 1)
        self.drop_done()
        for o in [o for o in self.orders if o["armed"]]:
            if (ticks - o["trigger"]) * o["armed"] >= 0:
                self.orders.remove(o)
                self.emit(TRIGGERED, o["key"], o["side"], o["ticks"], o["leaves"], o["leaves"])
                self.live(o["key"], o["side"], o["tif"], o["ticks"], o["leaves"])

    def quote(self, bid, bid_lots, ask, ask_lots):
        self.quoted = True
        self.touch = {BUY: (bid, bid_lots) if bid_lots else None, SELL: (ask, ask_lots) if ask_lots else None}
        self.moved(by_quote=True)

    def depth(self, bids, asks):
        self.book = {BUY: dict(bids), SELL: dict(asks)}
        if not self.quoted:
            self.touch = {
                BUY: max(bids.items()) if bids else None,
                SELL: min(asks.items()) if asks else None,
            }
        self.moved(by_quote=False)

    def behind(self, side, ticks):
        best = self.touch[side]
        return best is not None and (best[0] - ticks) * side > 0

    def moved(self, by_quote):
        for side in (BUY, SELL):
            for ticks in list(self.taken[side]):
                shown = self.shown(side, ticks)
                if shown is not None and not (by_quote and self.behind(side, ticks)):
                    self.taken[side][ticks] = min(self.taken[side][ticks], shown)
                if self.taken[side][ticks] == 0:
                    del self.taken[side][ticks]
        for o in self.orders:
            if not o["armed"] and not (by_quote and self.behind(o["side"], o["ticks"])):
                shown = self.shown(o["side"], o["ticks"])
                if shown is not None:
                    self.advance(o, shown)
        for side in (BUY, SELL):
            for o in self.resting(side):
                got = self.take(side, o["ticks"], o["leaves"])
                self.note_taken(side, got)
                part = sum(x[1] for x in got)
                if part:
                    o["leaves"] -= part
                    self.emit(FILL, o["key"], side, o["ticks"], part, o["leaves"], 1)
        self.drop_done()

    def advance(self, o, shown):
        if self.model != RISK_ADVERSE and o["shown"] is not None:
            gone = o["shown"] - shown - o["traded"]
            front, back = max(o["front"], 0.0), max(o["shown"] - o["front"], 0.0)
            if gone > 0 and front + back > 0:
                behind = {
                    LOG_PROB: lambda f, b: math.log1p(b) / (math.log1p(b) + math.log1p(f)),
                    LOG_PROB_2: lambda f, b: math.log1p(b) / math.log1p(b + f),
                    POWER_PROB: lambda f, b: b**3.0 / (b**3.0 + f**3.0),
                    POWER_PROB_2: lambda f, b: b**3.0 / (b + f) ** 3.0,
                    POWER_PROB_3: lambda f, b: 1.0 - (f / (f + b)) ** 3.0,
                }[self.model](front, back)
                o["front"] += min(o["shown"] - o["front"] - behind * gone, 0.0) - (1.0 - behind) * gone
        o["front"] = min(o["front"], float(shown))
        o["shown"], o["traded"] = shown, 0

    def refused(self, key, lots):
        if lots <= 0:
            return REASON_QTY
        return REASON_DUPLICATE if any(o["key"] == key for o in self.orders) else 0

    def place(self, key, side, tif, ticks, lots):
        reason = self.refused(key, lots)
        best = self.touch[-side]
        if not reason and tif == POST_ONLY and best is not None and (ticks - best[0]) * side >= 0:
            reason = REASON_WOULD_TAKE
        if reason:
            self.emit(REJECTED, key, side, ticks, lots, 0, 0, reason)
            return
        self.emit(ACCEPTED, key, side, ticks, lots, lots)
        self.live(key, side, tif, ticks, lots)

    def live(self, key, side, tif, ticks, lots):
        got = self.take(side, None if tif == MARKET else ticks, lots)
        if tif == FOK and sum(x[1] for x in got) < lots:
            got = []
        self.note_taken(side, got)
        left = lots
        for level, part in got:
            left -= part
            self.emit(FILL, key, side, level, part, left)
        if left and tif not in (GTC, POST_ONLY):
            self.emit(EXPIRED, key, side, ticks, left, 0)
        elif left:
            shown = self.shown(side, ticks)
            front = math.inf if shown is None else float(shown)
            self.add(key, side, tif, ticks, left, front=front, shown=shown)

    def add(self, key, side, tif, ticks, leaves, armed=0, trigger=0, front=math.inf, shown=None):
        order = {"key": key, "side": side, "tif": tif, "ticks": ticks, "leaves": leaves, "armed": armed}
        self.orders.append(order | {"trigger": trigger, "front": front, "shown": shown, "traded": 0})

    def arm(self, key, side, tif, ticks, lots, trigger, rises):
        reason = self.refused(key, lots)
        if not reason and self.last and (self.last >= trigger if rises else self.last <= trigger):
            reason = REASON_WOULD_TRIGGER
        if reason:
            self.emit(REJECTED, key, side, ticks, lots, 0, 0, reason)
            return
        self.emit(ACCEPTED, key, side, ticks, lots, lots)
        self.add(key, side, tif, ticks, lots, 1 if rises else -1, trigger)

    def cancel(self, key):
        found = [o for o in self.orders if o["key"] == key]
        if not found:
            self.emit(REJECTED, key, 0, 0, 0, 0, 0, REASON_UNKNOWN)
            return
        o = found[0]
        self.orders.remove(o)
        self.emit(CANCELED, key, o["side"], o["ticks"], o["leaves"], 0)

    def amend(self, key, leaves):
        found = [o for o in self.orders if o["key"] == key]
        if not found:
            self.emit(REJECTED, key, 0, 0, 0, 0, 0, REASON_UNKNOWN)
        elif not 0 < leaves < found[0]["leaves"]:
            o = found[0]
            self.emit(REJECTED, key, o["side"], o["ticks"], leaves, o["leaves"], 0, REASON_QTY)
        else:
            found[0]["leaves"] = leaves
            self.emit(AMENDED, key, found[0]["side"], found[0]["ticks"], leaves, leaves)


TICKS = st.integers(98, 103)
LOTS = st.integers(1, 9)
SIDES = st.sampled_from([BUY, SELL])
KEYS = st.integers(1, 6)


@st.composite
def quotes(draw):
    bid = draw(TICKS)
    return ("quote", bid, draw(st.integers(0, 9)), bid + draw(st.integers(1, 3)), draw(st.integers(0, 9)))


@st.composite
def depths(draw):
    middle = draw(TICKS)
    bids = draw(st.dictionaries(st.integers(middle - 8, middle - 1), LOTS, max_size=6))
    return ("depth", bids, draw(st.dictionaries(st.integers(middle, middle + 8), LOTS, max_size=6)))


TIFS = st.sampled_from([GTC, GTC, POST_ONLY, IOC, FOK, MARKET])
STEPS = st.one_of(
    quotes(),
    depths(),
    st.tuples(st.just("trade"), TICKS, LOTS, SIDES),
    st.tuples(st.just("trade"), TICKS, st.integers(0, 12), SIDES),
    st.tuples(st.just("place"), KEYS, SIDES, TIFS, TICKS, st.integers(0, 9)),
    st.tuples(st.just("place"), KEYS, SIDES, st.just(GTC), TICKS, LOTS),
    st.tuples(st.just("arm"), KEYS, SIDES, TIFS, TICKS, LOTS, TICKS, st.booleans()),
    st.tuples(st.just("cancel"), KEYS),
    st.tuples(st.just("amend"), KEYS, st.integers(0, 9)),
)


def random_step(rng):
    """A step among few prices and keys, so that orders meet the market and each other."""
    side, key, lots = rng.choice([BUY, SELL]), rng.randint(1, 6), rng.randint(1, 9)
    ticks = rng.randint(98, 103)
    match rng.randrange(8):
        case 0 | 1:
            return ("quote", ticks, rng.randint(0, 9), ticks + rng.randint(1, 3), rng.randint(0, 9))
        case 2:
            bids = {rng.randint(ticks - 6, ticks): rng.randint(1, 9) for _ in range(rng.randrange(5))}
            asks = {rng.randint(ticks + 1, ticks + 7): rng.randint(1, 9) for _ in range(rng.randrange(5))}
            return ("depth", bids, asks)
        case 3 | 4:
            return ("trade", ticks, rng.randint(0, 12), side)
        case 5 | 6:
            tif = rng.choice([GTC, GTC, GTC, POST_ONLY, IOC, FOK, MARKET])
            return ("place", key, side, tif, ticks, rng.randint(0, 9))
        case _:
            tif = rng.choice([GTC, IOC, FOK, MARKET])
            arm = ("arm", key, side, tif, ticks, lots, rng.randint(98, 103), rng.random() < 0.5)
            return rng.choice([arm, ("cancel", key), ("amend", key, lots)])


@pytest.mark.parametrize("model", [RISK_ADVERSE, *PROBABILISTIC])
def test_every_event_is_that_of_the_twin(model):
    for seed in range(400):
        rng = random.Random(seed)
        venue, twin = Venue(model), Twin(model)
        for number in range(60):
            name, *args = random_step(rng)
            twin.events = []
            getattr(twin, name)(*args)
            assert getattr(venue, name)(*args) == twin.events, f"seed {seed}, step {number}: {name} {args}"
        assert int(venue.matcher["n_orders"][0]) == len(twin.orders)


# --- what must hold ----------------------------------------------------------------------------------------
@given(steps=st.lists(STEPS, max_size=80))
def test_what_is_placed_is_filled_ended_or_open_and_never_at_a_worse_price(steps):
    venue = Venue()
    limits, left = {}, {}
    for name, *args in steps:
        events = getattr(venue, name)(*args)
        for kind, key, side, ticks, lots, leaves, _, _ in events:
            if kind == ACCEPTED:
                limits[key] = None if args[2] == MARKET else (args[3] * side)
                left[key] = lots
            elif kind == FILL:
                left[key] -= lots
                assert lots > 0
                assert left[key] == leaves >= 0
                assert limits[key] is None or ticks * side <= limits[key]
            elif kind in (CANCELED, EXPIRED):
                left[key] -= lots
                assert left[key] == 0
            elif kind == AMENDED:
                left[key] = leaves
        if name == "trade":
            triggered = next((n for n, event in enumerate(events) if event[0] == TRIGGERED), len(events))
            assert sum(event[4] for event in events[:triggered]) <= args[1]
    open_orders = venue.matcher["orders"][0, : int(venue.matcher["n_orders"][0])]
    assert {int(order[0]): int(order[3]) for order in open_orders} == {k: v for k, v in left.items() if v}


@given(
    bids=st.dictionaries(st.integers(90, 99), LOTS, min_size=1),
    asks=st.dictionaries(st.integers(100, 109), LOTS, min_size=1),
    orders=st.lists(st.tuples(SIDES, st.sampled_from([IOC, FOK, MARKET, GTC]), TICKS, LOTS), max_size=40),
)
def test_a_still_market_never_gives_more_than_it_displays(bids, asks, orders):
    venue = Venue()
    venue.depth(bids, asks)
    got = {}
    for key, order in enumerate(orders):
        for event in venue.place(key, *order):
            if event[0] == FILL:
                got[event[2], event[3]] = got.get((event[2], event[3]), 0) + event[4]
    for (side, ticks), lots in got.items():
        assert lots <= (asks if side == BUY else bids)[ticks]


def test_each_call_has_one_signature():
    for call in (
        fills.on_trade,
        fills.on_quote,
        fills.on_book,
        fills.place,
        fills.arm,
        fills.cancel,
        fills.amend,
    ):
        assert len(call.signatures) == 1, call

"""The paper venue on virtual time: what is reported, when, and that nothing is lost."""

import asyncio
import random
from decimal import Decimal

import pytest

from daemon.clock import VirtualTime
from daemon.errors import ConfigError
from daemon.instruments import make_instrument
from daemon.orders.order import Order
from daemon.venues.paper import PaperVenue
from daemon.venues.paper_latency import fixed
from kernels.book import make as make_book
from kernels.dtypes import B_ASK_LOTS, B_ASK_TICKS, BUY, DEPTH, QUOTE, REST, SELL, STOP, TARGET, TRADE
from kernels.ring import new_rings, push

START_NS = 1_700_000_000_000_000_000
IN_NS = 3_000_000
OUT_NS = 2_000_000
MAKER, TAKER = Decimal("0.001"), Decimal("0.002")


class Sink:
    """Keeps what it is told."""

    def __init__(self):
        self.reports = []
        self.statuses = []

    def on_report(self, report):
        self.reports.append(report)

    def on_venue_status(self, status):
        self.statuses.append(status)


class Stage:
    """A paper venue of one instrument: ticks of 0.1, lots of 0.001."""

    def __init__(self, market="spot", balances=None):
        self.time = VirtualTime(START_NS)
        self.instrument = make_instrument(
            0,
            "binance",
            market,
            "BTC/USDT",
            tick_size="0.1",
            lot_size="0.001",
            qty_min="0.002",
            qty_max="5",
            notional_min="0.1",
        )
        self.rings = new_rings(1)
        self.venue = PaperVenue(
            [self.instrument],
            self.rings,
            self.time,
            self.time,
            balances={"USDT": Decimal(1000), "BTC": Decimal(2)} if balances is None else balances,
            fee_maker=MAKER,
            fee_taker=TAKER,
            delays=fixed(IN_NS, OUT_NS),
        )
        self.sink = Sink()
        self.number = 0
        asyncio.run(self.venue.start(self.sink))

    def tick(self, kind, a, b, c, d=0.0):
        """Let a tick come, and the drain that the engine makes of it."""
        push(self.rings, 0, kind, self.time.now_ns(), 0, 0, float(a), float(b), float(c), float(d))
        if 0 in self.venue.watching:
            self.venue.absorb(0)

    def quote(self, bid, bid_qty, ask, ask_qty):
        self.tick(QUOTE, bid, bid_qty, ask, ask_qty)

    def trade(self, price, qty, side):
        self.tick(TRADE, price, qty, float(side))

    def order(self, kind, side, ticks, lots):
        self.number += 1
        name = f"t-1-{self.number}"
        return Order(
            client_order_id=name,
            seq=self.number,
            strategy=0,
            instrument=0,
            slot=0,
            row=0,
            kind=kind,
            level=0,
            side=side,
            price_ticks=ticks,
            qty_lots=lots,
            reduces=False,
        )

    def place(self, kind, side, ticks, lots):
        order = self.order(kind, side, ticks, lots)
        self.venue.place(order)
        return order

    def wait(self, ns=IN_NS + OUT_NS):
        """Let time pass; return what is newly reported, as (kind, number of the order)."""
        seen = len(self.sink.reports)
        self.time.advance(self.time.now_ns() + ns)
        return [
            (report.kind, int(report.client_order_id.rpartition("-")[2]))
            for report in self.sink.reports[seen:]
        ]

    def snapshot(self, since_ns=0):
        return asyncio.run(self.venue.snapshot(since_ns))

    def funds(self):
        return {asset: (balance.free, balance.locked) for asset, balance in self.snapshot().balances.items()}


@pytest.fixture
def stage():
    """A spot market of 100.0 to 100.2."""
    stage = Stage()
    stage.quote(100.0, 1.0, 100.2, 0.01)
    return stage


@pytest.fixture
def perpetual():
    """The same as a USD-M perpetual."""
    stage = Stage("usdm", {"USDT": Decimal(1000)})
    stage.quote(100.0, 1.0, 100.2, 1.0)
    return stage


# --- latency -----------------------------------------------------------------------------------------------
def test_an_order_meets_the_market_after_one_latency_and_is_reported_after_the_other(stage):
    stage.place(TARGET, BUY, 1005, 10)
    assert stage.wait(IN_NS - 1) == []
    stage.quote(100.1, 1.0, 100.4, 1.0)
    assert stage.wait(1) == []
    stage.quote(50.0, 1.0, 50.1, 1.0)  # too late for it
    assert stage.wait(OUT_NS) == [("NEW", 1), ("TRADE", 1)]
    new, trade = stage.sink.reports
    assert (new.exch_ns, new.wire_ns) == (START_NS + IN_NS, START_NS + IN_NS + OUT_NS)
    assert (trade.last_ticks, trade.last_lots, trade.cum_lots, trade.status) == (1004, 10, 10, "FILLED")


def test_it_is_up_from_start_to_stop_and_then_silent(stage):
    assert stage.venue.up
    assert [status.up for status in stage.sink.statuses] == [True]
    stage.place(TARGET, BUY, 1005, 10)
    asyncio.run(stage.venue.stop())
    assert stage.wait() == []
    assert not stage.venue.up


# --- kinds -------------------------------------------------------------------------------------------------
def test_a_target_takes_and_what_is_missing_expires(stage):
    stage.place(TARGET, BUY, 1002, 15)
    assert stage.wait() == [("NEW", 1), ("TRADE", 1), ("EXPIRED", 1)]
    assert [report.status for report in stage.sink.reports] == ["NEW", "PARTIALLY_FILLED", "EXPIRED"]
    assert [report.cum_lots for report in stage.sink.reports] == [0, 10, 10]


def test_a_rest_waits_its_turn_and_pays_the_makers_fee(stage):
    stage.place(REST, BUY, 1000, 10)
    assert stage.wait() == [("NEW", 1)]
    stage.trade(100.0, 1.004, SELL)
    assert stage.wait() == [("TRADE", 1)]
    trade = stage.sink.reports[-1]
    assert (trade.is_maker, trade.last_lots) == (True, 4)
    assert (trade.commission, trade.commission_asset) == (Decimal("0.004") * MAKER, "BTC")


def test_a_rest_that_would_take_is_rejected(stage):
    stage.place(REST, BUY, 1002, 10)
    assert stage.wait() == [("REJECTED", 1)]
    assert stage.sink.reports[0].reason == "Order would immediately match and take."
    assert stage.funds()["USDT"] == (1000, 0)


def test_a_stop_sells_at_the_market_once_a_trade_reaches_it(stage):
    stage.place(STOP, SELL, 950, 10)
    assert stage.wait() == [("NEW", 1)]
    stage.quote(94.0, 1.0, 94.1, 1.0)
    assert stage.wait() == []
    stage.trade(95.0, 0.001, SELL)
    assert stage.wait() == [("TRADE", 1)]
    assert stage.sink.reports[-1].last_ticks == 940


def test_a_stop_that_would_go_off_at_once_is_rejected(stage):
    stage.trade(95.0, 0.001, SELL)
    stage.place(STOP, SELL, 950, 10)
    assert stage.wait() == [("REJECTED", 1)]
    assert stage.sink.reports[0].reason == "Stop price would trigger immediately."


def test_the_book_is_walked_behind_the_quote_while_it_is_in_sync(stage):
    book = make_book(2)
    book[B_ASK_TICKS] = 2, 1004, 1003
    book[B_ASK_LOTS, 1:] = 3, 2
    stage.venue.on_book(0, START_NS, book)
    stage.place(TARGET, BUY, 1004, 15)
    stage.wait()
    assert [(r.last_ticks, r.last_lots) for r in stage.sink.reports if r.kind == "TRADE"] == [
        (1002, 10),
        (1003, 2),
        (1004, 3),
    ]
    stage.venue.on_book_status(0, False, "gap")
    stage.quote(100.0, 1.0, 100.2, 0.02)
    stage.place(TARGET, BUY, 1004, 15)
    assert stage.wait()[-1] == ("EXPIRED", 2)


# --- refusals ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "side", "ticks", "lots", "code"),
    [
        (TARGET, BUY, 1002, 1, -1013),
        (TARGET, BUY, 1002, 5001, -1013),
        (REST, BUY, 100, 9, -1013),
        (REST, SELL, 1010, 2001, -2010),
        (REST, BUY, 999, 4999, None),
        (REST, BUY, 1001, 5000, None),
    ],
)
def test_an_order_the_account_or_the_filters_do_not_allow_is_rejected(kind, side, ticks, lots, code):
    stage = Stage(balances={"USDT": Decimal("499.5001"), "BTC": Decimal(2)})
    stage.quote(100.0, 1.0, 100.2, 0.01)
    stage.place(kind, side, ticks, lots)
    stage.wait()
    (report,) = stage.sink.reports
    rejected = code is not None or ticks * lots > 4_995_001
    assert (report.kind, report.code) == (("REJECTED", code or -2010) if rejected else ("NEW", 0))


def test_the_same_client_order_id_twice_is_rejected(stage):
    order = stage.place(REST, BUY, 990, 10)
    stage.venue.place(order)
    assert stage.wait() == [("NEW", 1), ("REJECTED", 1)]


def test_inverse_contracts_are_refused():
    with pytest.raises(ConfigError, match="inverse"):
        Stage("coinm")


# --- cancel, amend, query, snapshot ------------------------------------------------------------------------
def test_a_cancel_releases_what_was_held(stage):
    order = stage.place(REST, BUY, 990, 100)
    stage.wait()
    assert stage.funds()["USDT"] == (Decimal("990.1"), Decimal("9.9"))
    stage.venue.cancel(order)
    assert stage.wait() == [("CANCELED", 1)]
    assert stage.funds()["USDT"] == (1000, 0)
    stage.venue.cancel(order)
    assert stage.wait() == [("CANCEL_REJECTED", 1)]


def test_an_amend_lowers_the_whole_quantity(stage):
    order = stage.place(REST, BUY, 1000, 100)
    stage.wait()
    stage.trade(100.0, 1.04, SELL)
    stage.wait()
    stage.venue.amend(order, 60)
    assert stage.wait() == [("REPLACED", 1)]
    replaced = stage.sink.reports[-1]
    assert (replaced.qty_lots, replaced.cum_lots) == (60, 40)
    assert stage.funds()["USDT"] == (Decimal("994.0"), Decimal("2.0"))
    for qty_lots in (60, 61, 40, 0):
        stage.venue.amend(order, qty_lots)
    assert stage.wait() == [("AMEND_REJECTED", 1)] * 4
    stage.venue.amend(stage.order(REST, BUY, 1, 1), 1)
    assert stage.wait() == [("AMEND_REJECTED", 2)]


def test_a_query_tells_what_became_of_an_order(stage):
    order = stage.place(TARGET, BUY, 1002, 15)
    stage.wait()
    stage.venue.query(order)
    stage.venue.query(stage.order(REST, BUY, 1, 1))
    assert stage.wait() == [("STATUS", 1), ("NOT_FOUND", 2)]
    assert (stage.sink.reports[-2].status, stage.sink.reports[-2].cum_lots) == ("EXPIRED", 10)


def test_a_snapshot_tells_balances_open_orders_and_trades(stage):
    stage.place(TARGET, BUY, 1002, 5)
    resting = stage.place(REST, SELL, 1010, 7)
    stage.wait()
    snapshot = stage.snapshot(START_NS)
    assert [order.client_order_id for order in snapshot.open_orders] == [resting.client_order_id]
    assert snapshot.open_orders[0].qty_lots == 7
    assert [trade.last_lots for trade in snapshot.trades] == [5]
    assert stage.snapshot(START_NS + 10 * IN_NS).trades == []
    bought = Decimal("0.005") * (1 - TAKER)
    assert stage.funds() == {
        "BTC": (2 + bought - Decimal("0.007"), Decimal("0.007")),
        "USDT": (1000 - Decimal("0.501"), 0),
    }


def test_trades_of_a_later_run_have_later_ids(stage):
    stage.place(TARGET, BUY, 1002, 5)
    stage.wait()
    later = Stage()
    later.time.advance(START_NS + 10**9)
    later = PaperVenue(
        [stage.instrument],
        new_rings(1),
        later.time,
        later.time,
        balances={},
        fee_maker=MAKER,
        fee_taker=TAKER,
        delays=fixed(0, 0),
    )
    assert later._last_id > stage.sink.reports[-1].trade_id


# --- what waits in the ring --------------------------------------------------------------------------------
def through(stage):
    """Let a trade go through a resting bid, and wait in the ring."""
    order = stage.place(REST, BUY, 999, 5)
    stage.wait()
    push(stage.rings, 0, TRADE, stage.time.now_ns(), 0, 0, 99.0, 1.0, -1.0, 0.0)
    return order


@pytest.mark.parametrize("ask", ["cancel", "amend", "query"])
def test_what_is_asked_of_an_order_meets_the_market_as_it_is(stage, ask):
    order = through(stage)
    if ask == "amend":
        stage.venue.amend(order, 2)
    else:
        getattr(stage.venue, ask)(order)
    assert stage.wait()[0] == ("TRADE", 1)


def test_a_snapshot_knows_what_waits(stage):
    through(stage)
    snapshot = stage.snapshot()
    assert snapshot.open_orders == []
    assert len(snapshot.trades) == 1


def test_a_book_that_is_lost_is_lost_after_the_ticks_before_it(stage):
    through(stage)
    stage.venue.on_book_status(0, False, "gap")
    assert stage.wait() == [("TRADE", 1)]


# --- derivatives -------------------------------------------------------------------------------------------
def test_a_derivative_settles_profit_and_fees_into_its_quote_currency(perpetual):
    perpetual.place(TARGET, SELL, 1000, 100)
    perpetual.wait()
    perpetual.quote(89.9, 1.0, 90.0, 1.0)
    perpetual.place(TARGET, BUY, 900, 40)
    perpetual.wait()
    fees = TAKER * (Decimal("10.0") + Decimal("3.6"))
    assert perpetual.funds() == {"USDT": (1000 + Decimal("0.4") - fees, 0)}
    assert perpetual.venue.account.positions == [-60]


def test_a_stop_on_a_derivative_shrinks_with_the_position_and_goes_with_it(perpetual):
    perpetual.place(TARGET, BUY, 1002, 10)
    perpetual.wait()
    perpetual.place(STOP, SELL, 950, 10)
    perpetual.place(STOP, SELL, 950, 11)
    assert perpetual.wait() == [("NEW", 2), ("REJECTED", 3)]
    perpetual.place(TARGET, SELL, 1000, 4)
    assert perpetual.wait() == [("NEW", 4), ("TRADE", 4), ("REPLACED", 2)]
    assert perpetual.sink.reports[-1].qty_lots == 6
    perpetual.place(TARGET, SELL, 1000, 6)
    assert perpetual.wait() == [("NEW", 5), ("TRADE", 5), ("CANCELED", 2)]


# --- what must hold ----------------------------------------------------------------------------------------
def play(seed, market="spot"):
    """A day at random; returns the stage."""
    rng = random.Random(seed)
    stage = Stage(market)
    orders = []
    mid = 1000
    for _ in range(300):
        mid = max(900, mid + rng.randint(-2, 2))
        match rng.randrange(6):
            case 0 | 1:
                stage.quote(mid / 10, rng.randint(1, 50) / 1000, (mid + rng.randint(1, 3)) / 10, 0.02)
            case 2:
                stage.trade(mid / 10, rng.randint(1, 50) / 1000, rng.choice([BUY, SELL]))
            case 3 | 4:
                kind = rng.choice([TARGET, REST, REST, STOP])
                orders.append(
                    stage.place(kind, rng.choice([BUY, SELL]), mid + rng.randint(-5, 5), rng.randint(11, 90))
                )
            case 5 if orders:
                order = rng.choice(orders)
                if rng.random() < 0.5:
                    stage.venue.cancel(order)
                else:
                    stage.venue.amend(order, rng.randint(1, order.qty_lots))
        stage.tick(DEPTH, 1.0, 1.0, 2.0, 1.0)
        stage.wait(rng.randint(0, 4_000_000))
    stage.wait()
    return stage


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_the_same_day_twice_is_reported_the_same(market):
    assert play(5, market).sink.reports == play(5, market).sink.reports


@pytest.mark.parametrize("seed", range(12))
def test_no_money_is_made_or_lost_but_by_trades_and_fees(seed):
    stage = play(seed)
    for entry in [entry for market in stage.venue._markets for entry in list(market.entries.values())]:
        stage.venue.cancel(stage.order(entry.kind, entry.side, 1, 1))
        stage.venue._on_cancel(entry.client_order_id, 0)
    stage.wait()
    expected = {"USDT": Decimal(1000), "BTC": Decimal(2)}
    trades = [report for report in stage.sink.reports if report.kind == "TRADE"]
    for trade in trades:
        qty = stage.instrument.qty.decimal(trade.last_lots)
        expected["BTC"] += trade.side * qty
        expected["USDT"] -= trade.side * qty * stage.instrument.price.decimal(trade.last_ticks)
        expected[trade.commission_asset] -= trade.commission
    assert len(trades) > 20
    assert len({trade.trade_id for trade in trades}) == len(trades)
    assert stage.funds() == {asset: (amount, 0) for asset, amount in sorted(expected.items())}


@pytest.mark.parametrize("seed", range(12))
def test_every_order_is_told_a_life_that_ends_once(seed):
    stage = play(seed)
    lives = {}
    for report in stage.sink.reports:
        lives.setdefault(report.client_order_id, []).append(report)
    for reports in lives.values():
        told = [report for report in reports if "_REJECTED" not in report.kind]
        kinds = [report.kind for report in told]
        assert kinds[0] in ("NEW", "REJECTED")
        assert sum(report.last_lots for report in told) == told[-1].cum_lots <= told[-1].qty_lots
        ends = [n for n, r in enumerate(kinds) if r in ("REJECTED", "CANCELED", "EXPIRED")]
        assert ends in ([], [len(kinds) - 1])
        assert sorted(reports, key=lambda report: report.wire_ns) == reports

"""The compiled books against the daemon's own: the same floats, to the last bit, after every trade."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config import Config, FeedConfig, JournalConfig, PaperConfig, StrategyConfig, VenueConfig
from daemon.events import Balance, ExecutionReport
from daemon.instruments import make_instrument
from daemon.orders.desk import Account, Desk
from daemon.orders.order import Order
from daemon.orders.portfolio import Portfolio
from daemon.research.backtest import fill_ledger, front_of
from kernels import dtypes as d
from kernels import ledger, worth
from kernels.backtest_state import BACKTEST

FEES = {False: Decimal("0.00075"), True: Decimal("0.0002")}
QUOTES = {"spot": "BTC/USDT", "usdm": "BTC/USDT:USDT"}


class Twins:
    """One account in both books."""

    def __init__(self, market: str, *, base: str = "0.5", fees: dict[bool, Decimal] | None = None) -> None:
        self.spot = market == "spot"
        self.instrument = make_instrument(
            0, "binance", market, QUOTES[market], tick_size="0.1", lot_size="0.0005", qty_min="0.0005",
            qty_max="9000", notional_min="5",
        )  # fmt: skip
        self.fees = FEES if fees is None else fees
        balances = {"BTC": Decimal(base), "USDT": Decimal(100_000)}
        config = Config(
            name="twins",
            mode="paper",
            feed=FeedConfig(symbols=(self.instrument.symbol,), market=market),
            strategy=(StrategyConfig(name="ema_cross"),),
            venue=VenueConfig(leverage=3),
            paper=PaperConfig(fee_maker=self.fees[True], fee_taker=self.fees[False], balances=balances),
            journal=JournalConfig(path="x"),
        )
        self.memory = np.zeros(1, d.memory_dtype(1, 0, 1, 1, 0, 0))
        self.shown = Account()
        self.desk = Desk(0, "twins", (0,), self.memory, self.shown)
        self.portfolio = Portfolio([self.instrument], [self.desk], "USDT", leverage=3)
        told = {asset: Balance(amount, Decimal(0)) for asset, amount in balances.items()}
        self.portfolio.adopt(told, moved=False)
        (self.t,) = np.zeros(1, BACKTEST)
        fill_ledger(self.t["ledger"], self.t["money"], config, self.instrument)
        (self.front,) = front_of(np.zeros_like(self.memory))
        ledger.open_books(self.t, self.front)
        self.trades = 0
        self.agree()

    def agree(self) -> None:
        assert self.front["position"].tobytes() == self.memory["position"][0, 0].tobytes()
        assert self.t["account"].tobytes() == self.shown.array.tobytes()

    def fill(self, side: int, ticks: int, lots: int, maker: bool) -> None:
        received = lots if side > 0 and self.spot else lots * ticks
        step = self.instrument.lot_size * (1 if side > 0 and self.spot else self.instrument.tick_size)
        self.trades += 1
        report = ExecutionReport(
            kind="TRADE",
            client_order_id="x",
            instrument=0,
            exch_ns=0,
            wire_ns=0,
            side=side,
            last_ticks=ticks,
            last_lots=lots,
            is_maker=maker,
            trade_id=self.trades,
            commission=received * step * self.fees[maker],
            commission_asset="BTC" if side > 0 and self.spot else "USDT",
        )
        self.portfolio.fill(self.desk, 0, side, report)
        ledger.fill(self.t, self.front, side, ticks, lots, int(maker))
        self.agree()

    def mark(self, mid: float) -> None:
        self.portfolio.mark_all([0], [mid])
        worth.mark_all(self.t, self.front, mid)
        self.agree()

    def order(self, side: int, ticks: int, lots: int) -> Order:
        return Order(
            client_order_id="x",
            seq=1,
            strategy=0,
            instrument=0,
            slot=0,
            row=0,
            kind=d.REST,
            level=0,
            side=side,
            price_ticks=ticks,
            qty_lots=lots,
            reduces=False,
        )

    def reserve(self, order: Order, before: int, leaves: int) -> None:
        self.portfolio.reserve(order, leaves)
        more = leaves - before
        if not self.spot:
            ledger.reserve_margin(self.t, order.side, more)
        elif order.side < 0:
            ledger.reserve_base(self.t, self.front, more)
        else:
            ledger.reserve_quote(self.t, order.price_ticks, more)
        self.agree()


TRADES = st.tuples(
    st.sampled_from([1, -1]), st.integers(100_000, 900_000), st.integers(1, 400), st.booleans()
)
STEPS = st.lists(st.one_of(TRADES, st.floats(10_000, 90_000)), max_size=30)


@pytest.mark.parametrize("market", ["spot", "usdm"])
@given(steps=STEPS)
def test_trades_and_marks_leave_both_books_the_same(market, steps):
    twins = Twins(market)
    for step in steps:
        if isinstance(step, float):
            twins.mark(step)
        else:
            twins.fill(*step)


@given(steps=STEPS)
def test_an_account_without_coins_and_fees_is_the_same_too(steps):
    twins = Twins("usdm", base="0", fees={False: Decimal(0), True: Decimal(0)})
    for step in steps:
        if isinstance(step, float):
            twins.mark(step)
        else:
            twins.fill(*step)


@pytest.mark.parametrize("market", ["spot", "usdm"])
@pytest.mark.parametrize("side", [1, -1])
def test_what_orders_hold_back_is_the_same(market, side):
    twins = Twins(market)
    twins.mark(50_000.05)
    order = twins.order(side, 500_123, 7)
    twins.reserve(order, 0, 7)
    twins.fill(side, 500_120, 3, True)
    twins.reserve(order, 7, 4)
    twins.reserve(order, 4, 0)


def test_a_fee_that_is_finer_than_an_amount_can_be_is_refused():
    with pytest.raises(Exception, match="more than 18 decimals"):
        Twins("spot", fees={False: Decimal("1e-16"), True: Decimal(0)})

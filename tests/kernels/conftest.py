"""A backtest's record with a market of a few levels around 100, and what goes into it by hand."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from daemon.compile import load_strategy
from daemon.config import Config, FeedConfig, JournalConfig, PaperConfig, RiskConfig, StrategyConfig
from daemon.instruments import make_instrument
from daemon.research.backtest import front_of, make_test
from daemon.runtime import new_memory
from kernels import backtest, gates, orders, paper, pipeline
from kernels import book as books
from kernels import dtypes as d
from kernels.backtest_state import (
    EV_END,
    EVENT,
    REPORTS_MAX,
    REQUESTS_MAX,
    SHUT_STALE,
    W_KIND,
    W_WHEN_NS,
)
from kernels.levels import make_scratch
from kernels.matcher import EMPTY_BOOK, new_matcher
from kernels.ring import new_rings, push
from strategies.base import bind_params

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000


class Ground:
    """One strategy's record and its surroundings; 1 ms to the venue and 1 ms back."""

    def __init__(
        self,
        *,
        trips: tuple[int, ...] = (),
        market: str = "spot",
        streams: tuple[str, ...] = ("trade", "quote"),
        balances: dict[str, int] | None = None,
        **risk: Any,
    ) -> None:
        symbol = "BTC/USDT" if market == "spot" else "BTC/USDT:USDT"
        self.instrument = make_instrument(
            0,
            "binance",
            market,
            symbol,
            tick_size="0.01",
            lot_size="0.001",
            qty_min="0.001",
            qty_max="100",
            notional_min="5",
        )
        balances = {"USDT": 10_000, "BTC": 5} if balances is None else balances
        self.config = Config(
            name="ground",
            mode="paper",
            feed=FeedConfig(symbols=(symbol,), market=market, streams=streams),
            strategy=(StrategyConfig(name="ema_cross", symbols=(symbol,), warmup_ticks=0),),
            paper=PaperConfig(
                latency_in_us=1000,
                latency_out_us=1000,
                balances={asset: Decimal(amount) for asset, amount in balances.items()},
            ),
            risk=RiskConfig(**risk),
            journal=JournalConfig(path="x"),
        )
        strategy = load_strategy("ema_cross")
        self.memory = new_memory(
            strategy,
            [self.instrument],
            self.config.strategy[0],
            bind_params(strategy, {}),
            self.config.risk,
            self.config.reconcile,
            self.config.venue,
            (0.001, 0.001),
            can_amend=True,
        )
        runtime = SimpleNamespace(strategy=strategy, warmup_ticks=0, memory=self.memory)
        self.test = make_test(self.config, self.instrument, runtime, trips)
        self.t, self.mem = self.test[0], self.memory[0]
        self.fronts = front_of(self.memory)
        self.front, self.account = self.fronts[0], self.t["account"]
        self.rings = new_rings(1)
        self.matcher = new_matcher(0.01, 0.001)
        self.book, self.shown = books.make(64), EMPTY_BOOK.copy()
        self.trips = np.array(trips, np.int64)
        self.filled, self.sent, self.points = (
            self.t[rows] for rows in ("fill_rows", "sent_rows", "point_rows")
        )
        self.scratch = make_scratch()
        self._ids = 0

    def begin(self) -> Ground:
        seen = self.rings, self.book, self.shown, self.trips
        backtest.begin(self.test, self.fronts, *seen, START_NS)
        return self

    # --- the market --------------------------------------------------------------------------------
    def quote(self, bid: float, ask: float, qty: float = 1.0) -> None:
        """Let a quote come now."""
        self._push(d.QUOTE, bid, qty, ask, qty)
        self.t["quote_ns"] = self.t["now_ns"]
        self.open()

    def open(self) -> None:
        """Open the gate that was shut for want of a market, as the next look does."""
        self.t["shut"] &= ~SHUT_STALE
        self.t["gate"] = gates.gravest(int(self.t["shut"]), 0)

    def trade(self, price: float, qty: float, side: int) -> None:
        """Let a trade come now."""
        self._push(d.TRADE, price, qty, float(side), 0.0)

    def _push(self, kind: int, *numbers: float) -> None:
        self._ids += 1
        push(self.rings, 0, kind, int(self.t["now_ns"]), 0, self._ids, *numbers)
        self.t["fresh"] = 1

    def event(self, kind: int, at_ns: int, *numbers: float, flags: int = EV_END) -> np.ndarray:
        """Return an event of its own."""
        self._ids += 1
        made = np.zeros(1, EVENT)
        for name, value in zip(("a", "b", "c", "d"), numbers, strict=False):
            made["tick"][name] = value
        made["tick"]["kind"], made["tick"]["wire_ns"], made["tick"]["id"] = kind, at_ns, self._ids
        made["flags"] = flags
        return made

    # --- orders --------------------------------------------------------------------------------
    def act(self, *actions: dict[int, int]) -> None:
        """Do what limits approved: each action by its columns X_*."""
        self.t["decide_ns"] = self.t["now_ns"]
        for number, action in enumerate(actions):
            self.mem["actions"][number] = 0
            for column, value in action.items():
                self.mem["actions"][number, column] = value
        orders.act(self.t, self.front, self.trips, self.mem["actions"], len(actions))

    def place(self, kind: int, side: int, price: float, lots: int, slot: int = 0, **more: int) -> None:
        """Place an order in a slot."""
        action = {
            d.X_VERB: d.PLACE,
            d.X_KIND: kind,
            d.X_SIDE: side,
            d.X_PRICE_TICKS: round(price * 100),
            d.X_QTY_LOTS: lots,
            d.X_SLOT: slot,
            d.X_LEVEL: slot,
        }
        self.act(action | {getattr(d, name.upper()): value for name, value in more.items()})

    def change(self, verb: int, slot: int, lots: int = 0) -> None:
        """Cancel or amend the order in a slot."""
        self.act({d.X_VERB: verb, d.X_SLOT: slot, d.X_QTY_LOTS: lots, d.X_REDUCES: 1})

    def arrive(self) -> None:
        """Let the oldest request arrive, at its time."""
        request = self.t["requests"][self.t["requests_first"] % REQUESTS_MAX]
        self.t["now_ns"] = request[W_WHEN_NS]
        paper.arrive(self.t, self.matcher, self.rings, self.book, self.shown, self.trips)

    def hear(self) -> bool:
        """Let the oldest report be told, at its time; return whether it was a trade."""
        report = self.t["reports"][self.t["reports_first"] % REPORTS_MAX]
        self.t["now_ns"] = report[W_WHEN_NS]
        return bool(orders.take(self.t, self.front, self.trips))

    def hear_all(self) -> None:
        """Let everything that is on its way be told."""
        while self.t["reports_first"] < self.t["reports_end"]:
            self.hear()

    @property
    def said(self) -> list[int]:
        """The kinds of reports that are on their way."""
        first, end = int(self.t["reports_first"]), int(self.t["reports_end"])
        return [int(self.t["reports"][n % REPORTS_MAX, W_KIND]) for n in range(first, end)]

    # --- the loop --------------------------------------------------------------------------------
    def advance(self, events: np.ndarray, levels: np.ndarray | None = None) -> int:
        """Go on to the next decision, or to what is missing; what its features are to see, they see."""
        levels = np.zeros((0, 2), np.int64) if levels is None else levels
        self.served = []
        while True:
            market = self.matcher, self.rings, self.book, self.shown, self.scratch, events, levels
            code = int(backtest.advance(self.test, self.fronts, *market, self.trips))
            if code == backtest.TELL_BOOK:
                pipeline.book(self.memory, self.rings, 0, self.book, 0.01, 0.001, int(self.t["book_ns"]))
            elif code == backtest.ABSORB:
                pipeline.absorb(self.memory, self.rings, 0)
            elif code != backtest.FORGET:
                return code
            self.served.append(code)


@pytest.fixture
def new_ground():
    """Make grounds."""
    return lambda **more: Ground(**more).begin()

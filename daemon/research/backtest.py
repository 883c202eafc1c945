"""A compiled backtest: the live kernels over a record, with orders, venue and account as kernels too.

What decides is the strategy's live call; what surrounds it in the daemon, the engine, the order side and the
paper venue, is kernels.backtest here, and a test holds it to the replay of the same record: the same orders,
fills and account, to the last bit. What it does not do is refused (`refuse`): several strategies or symbols,
protective stops, trading windows, and what waits for so long that the daemon would ask about it.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from daemon.compile import backtest_loop
from daemon.errors import ConfigError, TickdError
from daemon.orders.doubts import OrderRules
from daemon.orders.money import UNIT, Multipliers, to_units
from daemon.orders.purse import MAINTENANCE_RATE
from daemon.orders.risk import RiskLimits
from daemon.orders.state import TABLE
from daemon.orders.windows import day_offset_ns
from daemon.redact import redact
from daemon.venues.make import QUEUES
from kernels import backtest, exact, paper
from kernels import book as books
from kernels import orders as order_kernels
from kernels.backtest_state import (
    BACKTEST,
    EVENT,
    FRONT,
    SENT_ROW,
    WHY_HALTED_DAY,
    WHY_HALTED_DRAWDOWN,
    WHY_HALTED_REJECTIONS,
)
from kernels.dtypes import R_LOT_SIZE, R_TICK_SIZE
from kernels.ledger import M_QUOTE
from kernels.levels import make_scratch
from kernels.matcher import EMPTY_BOOK, new_matcher
from kernels.ring import new_rings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from daemon.config import Config
    from daemon.instruments import Instrument
    from daemon.research.market import Events
    from daemon.runtime import Runtime

#: after the last event time goes on for so long, as in a replay: what is on its way still arrives
AFTER_NS: Final = 1_000_000_000
#: stops of one compiled call, so that an interrupt is heard
_STOPS: Final = 1 << 20
#: a user's own `decide` may raise anything, and the sentence must stay one
_LINE_MAX: Final = 200
_STREAMS: Final = {"trade": 1, "quote": 2, "depth": 4}
#: an order in doubt is asked about once; an answer that takes longer would be asked for again
_ROUND_TRIP_NS_MAX: Final = OrderRules().query_ns_first
_HALTS: Final = {
    WHY_HALTED_DAY: "the day's loss is beyond risk.daily_loss_max",
    WHY_HALTED_DRAWDOWN: "the fall from the highest value is beyond risk.drawdown_max",
    WHY_HALTED_REJECTIONS: "too many orders in a row were rejected",
}
_ERRORS: Final = {
    paper.ERROR_QUEUE: "more orders and reports are on their way than there is room for; lower the latency",
    paper.ERROR_ORDER: "the venue contradicted itself",
    order_kernels.ERROR_STOP: "it wants a protective stop, which a compiled backtest lacks; use tickd replay",
    backtest.ERROR_CROSSED: "the book's bid is not below its ask; use tickd replay, which begins it anew",
    backtest.ERROR_CONTRACT: "it broke its contract (strategies/base.py)",
}


class Outcome(NamedTuple):
    """What a backtest found."""

    fills: NDArray[np.void]  # FILL_ROW
    sent: NDArray[np.void]  # SENT_ROW: what left for the venue
    points: NDArray[np.void]  # POINT_ROW: the equity curve
    test: NDArray[np.void]  # BACKTEST, as it ended
    events: int
    decisions: int
    halted: str  # why nothing more was traded; empty: it was not


def refuse(config: Config, instruments: Sequence[Instrument], runtimes: Sequence[Runtime]) -> None:
    """Raise ConfigError with one sentence for what a compiled backtest does not do."""
    risk, paper_account = config.risk, config.paper
    round_trip_ns = (paper_account.latency_in_us + paper_account.latency_out_us) * 1000
    odd = ""
    if len(instruments) != 1 or len(runtimes) != 1:
        odd = "takes one strategy in one instrument"
    elif instruments[0].spot and instruments[0].position_max:
        odd = "does not keep to what an account may have of a coin (MAX_POSITION)"
    elif risk.windows:
        odd = "has no trading windows (risk.windows)"
    elif risk.feed_lag_ms_max:
        odd = "does not look at the feed's lag (risk.feed_lag_ms_max)"
    elif risk.flatten_on_halt:
        odd = "does not flatten (risk.flatten_on_halt)"
    elif risk.currency not in {"", instruments[0].quote}:
        odd = f"values the account in {instruments[0].quote} alone (risk.currency)"
    elif paper_account.latency == "fixed" and round_trip_ns >= _ROUND_TRIP_NS_MAX:
        odd = f"takes round trips below {_ROUND_TRIP_NS_MAX // 1_000_000} ms (paper.latency_in_us)"
    if odd:
        raise ConfigError(f"a compiled backtest {odd}: change that, or use tickd replay")


def make_test(
    config: Config,
    instrument: Instrument,
    runtime: Runtime,
    round_trips_ns: Sequence[int] = (),
    *,
    point_s: int = 60,
) -> NDArray[np.void]:
    """Return the record of a backtest before its first event; point_s: between two points of the curve."""
    if round_trips_ns and max(round_trips_ns) >= _ROUND_TRIP_NS_MAX:
        raise ConfigError(
            f"paper.latency holds a round trip of {max(round_trips_ns) / 1e6:.0f} ms, and a compiled "
            f"backtest takes those below {_ROUND_TRIP_NS_MAX // 1_000_000} ms: use tickd replay"
        )
    test = np.zeros(1, BACKTEST)
    one, risk, strategy = test[0], config.risk, runtime.strategy
    fill_ledger(one["ledger"], one["money"], config, instrument)
    one["rules"] = runtime.memory["rules"][0, 0]
    one["there_ns"] = config.paper.latency_in_us * 1000
    one["back_ns"] = config.paper.latency_out_us * 1000
    one["draw"] = 1
    one["timer_period_ns"] = int(strategy.timer_s * 1e9)
    one["bar_period_ns"] = strategy.bar_ns
    one["streams"] = sum(_STREAMS[name] for name in config.feed.streams)
    one["synced"] = "depth" not in config.feed.streams
    one["stale_ns"] = config.feed.stale_ms * 1_000_000
    one["leaves_quotes"] = strategy.on_silence == "leave"
    one["resets"] = strategy.on_gap == "reset"
    one["cold_ticks"] = one["warmup_ticks"] = runtime.warmup_ticks
    one["tick_num"], one["tick_base"] = instrument.price.num, 10**instrument.price.places
    limits = RiskLimits(orders_per_s_max=risk.orders_per_s_max)
    one["per_s_max"] = limits.orders_per_s_max
    one["burst"] = one["tokens"] = limits.burst
    one["needed"] = limits.needed
    one["rejections_max"] = limits.rejections_max
    one["amends_max"] = instrument.amends_max
    one["tick_age_ns"] = risk.tick_age_ms_max * 1_000_000
    one["daily_loss_max"], one["drawdown_max"] = risk.daily_loss_max, risk.drawdown_max
    one["distance_min"] = risk.liquidation_distance_min
    one["orders_max"] = instrument.orders_max
    one["point_period_ns"] = point_s * 1_000_000_000
    for state, steps in TABLE.items():
        for event, after in steps.items():
            one["next"][state, event] = after
    return test


def front_of(memory: NDArray[np.void]) -> NDArray[np.void]:
    """Return a view of the part of a strategy's memory, of one instrument, that orders move: a FRONT."""
    fields = memory.dtype.fields
    assert fields is not None
    begin = fields["position"][1]
    return memory.view(np.uint8)[begin : begin + FRONT.itemsize].view(FRONT)


def fill_ledger(ledger: Any, money: Any, config: Config, instrument: Instrument) -> None:
    """Set what an amount is counted in, fees and balances."""
    by, account = Multipliers(instrument), config.paper
    fees = (account.fee_taker, account.fee_maker)
    base = to_units(account.balances.get(instrument.base, 0 * account.fee_taker))
    quote = to_units(account.balances.get(instrument.quote, 0 * account.fee_taker))
    on_quote = [_whole(by.tick_lot * Fraction(fee), instrument) for fee in fees]
    on_base = [_whole(by.lot * Fraction(fee), instrument) for fee in fees]
    step = gcd(by.lot, base, *on_base)
    while step > 10**15:  # a remainder times 256 has to fit
        step //= 10
    ledger["spot"] = instrument.spot
    ledger["step"] = step
    ledger["lot_steps"] = by.lot // step
    ledger["tick_lot"] = divmod(by.tick_lot, exact.BASE)
    ledger["fee_quote"] = [divmod(one, exact.BASE) for one in on_quote]
    ledger["fee_steps"] = [one // step for one in on_base]
    ledger["day_offset_ns"] = day_offset_ns(config.risk.day_begins)
    ledger["base"] = base // step
    ledger["leverage"], ledger["isolated"] = config.venue.leverage, config.venue.margin == "isolated"
    ledger["rate"], ledger["lot_size"] = MAINTENANCE_RATE, instrument.qty.as_float
    money[M_QUOTE] = divmod(quote, exact.BASE)


def _whole(units: Fraction, instrument: Instrument) -> int:
    if units.denominator != 1:
        raise ConfigError(
            f"a commission on one lot of {instrument.symbol} at one tick needs more than 18 decimals, beyond "
            f"1/{UNIT}: give paper.fee_maker and paper.fee_taker fewer"
        )
    return units.numerator


class Backtest:
    """One run; `take` it the events, then `finish`."""

    def __init__(
        self,
        config: Config,
        instrument: Instrument,
        runtime: Runtime,
        round_trips_ns: Sequence[int] = (),
        *,
        point_s: int = 60,
    ) -> None:
        """Wire it. Raises ConfigError for what is not done here (`refuse` says more)."""
        self.test = make_test(config, instrument, runtime, round_trips_ns, point_s=point_s)
        self.rings = new_rings(1)
        self.account = self.test["account"][0]
        self._front = front_of(runtime.memory)
        self.book = books.make(0)
        self._shown = EMPTY_BOOK.copy()
        self._matcher = new_matcher(
            instrument.price.as_float,
            instrument.qty.as_float,
            QUEUES[config.paper.queue],
            config.paper.queue_power,
        )
        self._trips = np.array(round_trips_ns, np.int64)
        self._scratch = make_scratch()
        self._kept: tuple[list[NDArray[np.void]], ...] = ([], [], [])
        self._runtime = runtime
        self._begun = False
        self._count = 0
        runtime.follow(self.rings, self.account)
        self._loop = None
        if hasattr(runtime.strategy.decide, "py_func"):
            self._loop = backtest_loop(runtime.strategy, modelled=bool(runtime.forest))

    def compile(self) -> None:
        """Compile what is to be run, or find it in the cache: as an event that is not there would."""
        self._go_on(np.zeros(0, EVENT), np.zeros((0, 2), np.int64))

    def take(self, market: Events) -> NDArray[np.void]:
        """Go through the next events; return what left for the venue meanwhile, SENT_ROW[n].

        Raises TickdError where strategy or data do not let it go on.
        """
        events, levels = market
        if not len(events):
            return np.zeros(0, SENT_ROW)
        before = len(self._kept[1])
        if not self._begun:
            self._begun = True
            seen = self.rings, self.book, self._shown, self._trips
            backtest.begin(self.test, self._front, *seen, int(events["tick"]["wire_ns"][0]))
        self._count += len(events)
        self.test["at"] = 0
        self._go_on(events, levels)
        self._take_rows()
        return np.concatenate(self._kept[1][before:])

    def finish(self) -> Outcome:
        """Let what is on its way arrive, and return what was found."""
        if self._begun:
            backtest.end(self.test, AFTER_NS)
            self._go_on(np.zeros(0, EVENT), np.zeros((0, 2), np.int64))
        self._runtime.memory["gate"] = self.test["gate"][0]
        self._take_rows()
        fills, sent, points = (np.concatenate(kept) for kept in self._kept)
        halted = _HALTS.get(int(self.test["halted_why"][0]), "")
        decisions = int(self._runtime.memory["decisions"][0])
        return Outcome(fills, sent, points, self.test, self._count, decisions, halted)

    def _go_on(self, events: NDArray[np.void], levels: NDArray[np.int64]) -> None:
        while True:
            try:
                code = self._run(events, levels)
            except Exception as error:  # whatever a strategy raises
                at_ns = int(self.test["now_ns"][0])
                said = redact(" ".join(str(error).split()))[:_LINE_MAX]
                what = f"{type(error).__name__}{f': {said}' if said else ''}"
                raise TickdError(
                    f"the backtest of {self._runtime.name} ended at {at_ns} ns: it raised {what}"
                ) from error
            if code == backtest.NEED_EVENTS:
                return
            if code == backtest.NEED_ROOM:
                self._take_rows()
            elif code == backtest.ABSORB:
                self._runtime.absorb(0)
            elif code in {backtest.FORGET, backtest.MISS}:
                self._runtime.miss(0)
                if code == backtest.FORGET:
                    self._runtime.forget(0)
            elif code <= books.FULL:
                self._grow(code)
            elif code == backtest.FAILED:
                at_ns = int(self.test["now_ns"][0])
                what = _ERRORS[int(self.test["error"][0])]
                raise TickdError(f"the backtest of {self._runtime.name} ended at {at_ns} ns: {what}")

    def _run(self, events: NDArray[np.void], levels: NDArray[np.int64]) -> int:
        test, memory, front, trips = self.test, self._runtime.memory, self._front, self._trips
        market = self._matcher, self.rings, self.book, self._shown, self._scratch, events, levels
        given = (test, front, *market, trips)
        if self._loop is not None:
            return int(self._loop(memory, self.account, *given, *self._runtime.forest, _STOPS))
        while True:
            why = int(backtest.advance(*given))
            if why > 0:
                memory["gate"] = test["gate"][0]
                count = self._runtime.decide(int(test["decide_ns"][0]), why)
                backtest.answer(test, front, trips, memory["actions"][0], count)
                if self._decided():
                    return backtest.NEED_EVENTS
            elif why == backtest.TELL_BOOK:
                rules = test["rules"][0].tolist()
                book_ns = int(test["book_ns"][0])
                self._runtime.book(0, self.book, rules[R_TICK_SIZE], rules[R_LOT_SIZE], book_ns)
            elif why == backtest.BAR_DUE:
                test["bar_ended"] = self._runtime.bar_ended(int(test["now_ns"][0]))
            else:
                return why

    def _decided(self) -> bool:
        """Hear of a decision that was not made within the compiled loop; return whether it was enough."""
        return False

    def _grow(self, code: int) -> None:
        """Make the book larger; the venue looks at the old one until it is told of a change."""
        if self.test["book_shown"][0]:
            self._shown = self.book
            self.test["book_shown"] = 0
        self.book = books.grown(self.book, code)

    def _take_rows(self) -> None:
        one = self.test[0]
        names = ("fills", "fill_rows"), ("sent", "sent_rows"), ("points", "point_rows")
        for kept, (count, rows) in zip(self._kept, names, strict=True):
            kept.append(one[rows][: one[count]].copy())
            one[count] = 0

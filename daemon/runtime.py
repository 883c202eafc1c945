"""One strategy at work: its memory, its compiled calls, its model, and what woke it."""

from __future__ import annotations

from functools import partial
from math import ceil, floor
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.compile import live_kernel
from daemon.errors import ConfigError
from kernels import bars, features
from kernels import dtypes as dt
from kernels.feature_state import F_ALPHA_FAST as TUNING_FLOATS
from kernels.wake_bars import WAKE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from daemon.compile import Forest
    from daemon.config import ReconcileConfig, RiskConfig, StrategyConfig, VenueConfig
    from daemon.feeds.base import Turn
    from daemon.instruments import Instrument
    from strategies.base import Strategy


class Runtime:
    """A strategy bound to its instruments; `follow` binds it to the feed's rings.

    `memory` is an array of length 1 of its memory_dtype; the other arrays are views into it, shared with the
    orders and the portfolio, which write what the kernels read.
    """

    __slots__ = (
        "absorb",
        "actions",
        "began",
        "book",
        "cold_ticks",
        "decide",
        "fault",
        "fault_text",
        "forest",
        "gaps",
        "gate",
        "index",
        "instruments",
        "kernel",
        "memory",
        "name",
        "strategy",
        "turn",
        "warmup_ticks",
        "why",
    )

    def __init__(
        self,
        index: int,
        strategy: Strategy,
        instruments: Sequence[Instrument],
        memory: NDArray[np.void],
        forest: Forest,
        warmup_ticks: int,
    ) -> None:
        self.index = index
        self.name = strategy.name
        self.strategy = strategy
        self.instruments = tuple(instruments)
        self.memory = memory
        self.forest = forest
        self.kernel = live_kernel(strategy, memory, forest)
        record = memory[0]
        self.actions: NDArray[np.int64] = record["actions"]
        self.gate: NDArray[np.int64] = record["gate"]
        self.warmup_ticks = warmup_ticks
        self.cold_ticks = [warmup_ticks] * len(self.instruments)
        self.why = 0  # the WHY_* that wake it at the end of this drain; 0: asleep
        self.fault = 0  # kernels.reconcile's FAULT_* once it failed: it is not asked before it is forgiven
        self.fault_text = ""  # what it did
        self.gaps = 0  # that its ticks had, the one before it was taken up from a checkpoint included
        self.began = "anew"  # how: daemon/memory_checkpoint.py says otherwise

    def follow(self, rings: NDArray[np.void], account: NDArray[np.float64]) -> None:
        """Bind the compiled calls to the rings (kernels.ring), one for each of the daemon's instruments.

        account: what strategies see of the account (A_*), which others may see too.
        """
        kernel, memory = self.kernel, self.memory
        #: (row): take what waits
        self.absorb: Callable[[int], None] = partial(kernel.absorb, memory, rings)
        #: (row, levels, tick_size, lot_size, wire_ns): take what waits, and the changed book
        self.book: Callable[..., None] = partial(kernel.book, memory, rings)
        #: (now_ns, why): decide; return how many actions wait, or a FAULT_*
        self.decide: Callable[[int, int], int] = partial(kernel.drain, memory, rings, account, *self.forest)
        #: (frame, stream, wire_ns): read it and decide on it, where both can be one call
        self.turn: Turn | None = None
        if kernel.turn is not None and len(self.instruments) == 1:
            self.turn = partial(kernel.turn, memory, rings, account, *self.forest)

    @property
    def warm(self) -> bool:
        """Whether every instrument has had its warm-up ticks."""
        return not any(self.cold_ticks)

    @property
    def periods_ns(self) -> dict[int, int]:
        """Return how often time wakes it, by what it is told as the reason (a WHY_*)."""
        strategy = self.strategy
        periods = {dt.WHY_TIMER: int(strategy.timer_s * 1e9), dt.WHY_BAR: strategy.bar_ns}
        return {why: period_ns for why, period_ns in periods.items() if period_ns}

    def forgive(self) -> None:
        """Let a strategy that failed be asked again, after it warmed up as if it had just started."""
        self.fault = 0
        self.fault_text = ""
        self.cold_ticks = [self.warmup_ticks] * len(self.instruments)

    def forget(self, row: int) -> None:
        """Begin an instrument's features and the state anew, as before the first tick, and warm up."""
        self.absorb(row)  # what came before the gap belongs to what is forgotten
        self.begin_features(row)
        self.view("state")[:] = 0.0
        if self.strategy.bar_ns:
            self.view("bars")["made"]["begun"][row] = 0

    def bar_ended(self, now_ns: int) -> bool:
        """Whether a bar being made has ended."""
        made = self.view("bars")["made"]
        return bool(np.any((made["begun"] == 1) & (made["bar"]["end_ns"] <= now_ns)))

    def miss(self, row: int) -> None:
        """Learn that ticks of an instrument were missed: the bar being made is not complete."""
        if self.strategy.bar_ns:
            self.view("bars")["made"]["bar"]["complete"][row] = 0

    def begin_features(self, row: int) -> None:
        """Begin an instrument's features anew, and warm up; the state goes on."""
        f, i = self.view("feature_f")[row], self.view("feature_i")[row]
        features.init(f, i, f[:TUNING_FLOATS])
        self.cold_ticks[row] = self.warmup_ticks

    def view(self, part: str) -> NDArray[Any]:
        """Return one part of the memory by its name in memory_dtype."""
        array: NDArray[Any] = self.memory[0][part]
        return array


def owners_of(
    instruments: Sequence[Instrument], runtimes: Sequence[Runtime]
) -> list[list[tuple[Runtime, int]]]:
    """Return, by instrument, the strategies that own it, each with the instrument's row in its memory."""
    owners: list[list[tuple[Runtime, int]]] = [[] for _ in instruments]
    for runtime in runtimes:
        for row, instrument in enumerate(runtime.instruments):
            owners[instrument.index].append((runtime, row))
    return owners


def new_memory(
    strategy: Strategy,
    instruments: Sequence[Instrument],
    config: StrategyConfig,
    params: NDArray[np.float64],
    risk: RiskConfig,
    reconcile: ReconcileConfig,
    venue: VenueConfig,
    fees: tuple[float, float],
    *,
    can_amend: bool,
    can_replace: bool = False,
) -> NDArray[np.void]:
    """Return a strategy's memory before its first tick: rules, limits and parameters set, every gate shut.

    fees: (maker, taker) as fractions of notional. Raises ConfigError where the instruments are not as many
    as the strategy owns, or a feature has no such tuning.
    """
    if len(instruments) != strategy.instruments:
        raise ConfigError(
            f"strategy {strategy.name} trades {strategy.instruments} instrument(s), "
            f"but its symbols are {', '.join(i.symbol for i in instruments) or 'none'}"
        )
    memory = np.zeros(
        1,
        dtype=dt.memory_dtype(
            len(instruments),
            len(features.FEATURES),
            features.FEATURE_FLOATS,
            features.FEATURE_INTS,
            strategy.states + (len(instruments) * dt.BAR_COLUMNS if strategy.bar_ns else 0),
            len(strategy.params),
            WAKE if strategy.bar_ns else None,
        ),
    )
    record = memory[0]
    try:
        tuning = features.bind_tuning(config.tuning)
    except ValueError as error:
        raise ConfigError(f"strategy {strategy.name}: {error}") from None
    record["rows"][:] = np.nan
    record["book"][..., 0] = np.nan
    record["gate"][:] = dt.GATE_NOT_READY
    record["params"][: len(params)] = params
    if strategy.bar_ns:
        record["bars"]["made"] = bars.new_state(bars.TIME, strategy.bar_ns)
    for row, instrument in enumerate(instruments):
        record["ring"][row] = instrument.index
        features.init(record["feature_f"][row], record["feature_i"][row], tuning)
        record["rules"][row] = rules_of(
            instrument, reconcile, fees, can_amend=can_amend, can_replace=can_replace
        )
        record["limits"][row, dt.M_ORDER_NOTIONAL_MAX] = risk.order_notional_max
        record["limits"][row, dt.M_POSITION_NOTIONAL_MAX] = risk.position_notional_max
        record["limits"][row, dt.M_OPEN_ORDERS_MAX] = risk.open_orders_max
        record["limits"][row, dt.M_COLLAR] = risk.collar
        record["limits"][row, dt.M_MARGIN_USED_MAX] = risk.margin_used_max
        record["limits"][row, dt.M_LIQUIDATION_DISTANCE_MIN] = risk.liquidation_distance_min
        if not instrument.spot:
            record["rules"][row, dt.R_MARGIN_RATE] = 1 / venue.leverage
            record["rules"][row, dt.R_ISOLATED] = float(venue.margin == "isolated")
    return memory


def rules_of(
    instrument: Instrument,
    reconcile: ReconcileConfig,
    fees: tuple[float, float],
    *,
    can_amend: bool,
    can_replace: bool = False,
) -> NDArray[np.float64]:
    """Return one row of `rules`: the exchange's, and how reconcile is to treat the instrument."""
    rules = np.zeros(dt.RULES_COLUMNS)
    rules[dt.R_TICK_SIZE] = instrument.price.as_float
    rules[dt.R_LOT_SIZE] = instrument.qty.as_float
    tick, lot = instrument.tick_size, instrument.lot_size
    rules[dt.R_QTY_MIN_LOTS] = ceil(instrument.qty_min / lot)
    rules[dt.R_QTY_MAX_LOTS] = floor(instrument.qty_max / lot)
    rules[dt.R_STOP_QTY_MAX_LOTS] = floor(
        min(instrument.qty_max, instrument.stop_qty_max or instrument.qty_max) / lot
    )
    rules[dt.R_PRICE_MIN_TICKS] = ceil(instrument.price_min / tick)
    rules[dt.R_PRICE_MAX_TICKS] = floor(instrument.price_max / tick)
    rules[dt.R_NOTIONAL_MIN_STEPS] = ceil(instrument.notional_min / (tick * lot))
    rules[dt.R_NOTIONAL_MAX_STEPS] = floor(instrument.notional_max / (tick * lot))
    rules[dt.R_NOTIONAL_MIN] = float(instrument.notional_min)
    rules[dt.R_SPOT] = float(instrument.spot)
    rules[dt.R_CAN_AMEND] = float(can_amend and instrument.spot)  # futures send it to the end of the queue
    rules[dt.R_CAN_REPLACE] = float(can_replace)
    rules[dt.R_PRICE_TOLERANCE_TICKS] = reconcile.price_tolerance_ticks
    rules[dt.R_QTY_TOLERANCE_LOTS] = reconcile.qty_tolerance_lots
    rules[dt.R_REST_NS_MIN] = reconcile.rest_ms_min * 1_000_000
    rules[dt.R_FEE_MAKER], rules[dt.R_FEE_TAKER] = fees
    return rules

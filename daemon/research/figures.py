"""What a backtest found, in figures; money is in the quote."""

from __future__ import annotations

from math import inf, isfinite
from operator import mul
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np

from daemon.orders.money import UNIT, to_text
from daemon.research import statistics
from daemon.research.trips import Terms, Trips, fills_of, terms_of
from kernels.dtypes import BUY, CANCEL, P_FEES, P_QTY, P_REALISED, P_UNREALISED, PLACE, REFUSAL_NAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from daemon.instruments import Instrument
    from daemon.options import BacktestOptions
    from daemon.research.backtest import Outcome
    from daemon.research.decided import Decided
    from daemon.research.trips import Trip
    from daemon.runtime import Runtime

_NO_MID: Final = "the record has no quote or book to value it by"


class TripRow(msgspec.Struct, kw_only=True):
    """A round trip, first in, first out; amounts that are text are exact."""

    side: str  # of the entry: long or short
    entry_ns: int
    exit_ns: int
    held_s: float
    quantity: str
    entry_price: float  # the mean, as the next
    exit_price: float
    fees: str
    pnl: str  # after fees


class BacktestResult(msgspec.Struct, kw_only=True):
    """What a backtest found. All but the seconds is the same everywhere.

    Of a figure that is None `unsaid` says why, by its name.
    """

    file: str
    symbol: str
    strategy: str
    in_training: str = ""  # how it is of the time that its model was trained on; empty: it is not
    events: int
    from_ns: int
    until_ns: int
    decisions: int
    placed: int
    cancelled: int
    refusals: dict[str, int]
    fills: int
    maker_fills: int
    turnover: float
    fees: float
    slippage: float | None  # against the mid that was decided at; above 0 a cost
    slippage_bps: float | None  # of the value of the fills that could be measured
    slippage_fills: int  # those
    net: float  # realised, and what is held at the mid of the last decision, less fees
    position: float
    exposure: float  # share of the time that something worth an order was held
    growth: float | None  # of equity, as a share of what it was
    benchmark: float | None  # likewise of the market's mid: bought at once and held, without fees
    drawdown_max: float  # the largest fall by amount, over fills and the points of the curve
    drawdown_share: float | None  # the largest by share of the peak before it, over the same
    drawdown_s: float | None  # of that: from the peak until it was regained, or until the end
    drawdown_regained: bool | None
    point_s: int
    changes: int  # of equity between instants point_s apart; the next three are of these
    sharpe: float | None  # annualised over 365 days, as all that is of a year
    sharpe_error: float | None  # its standard error, were the changes independent and normal
    sortino: float | None
    cagr: float | None
    calmar: float | None  # cagr over drawdown_share
    round_trips: int
    won: int
    win_rate: float | None
    profit_factor: float | None
    expectancy: float | None  # of a round trip, after fees
    open_pnl: float | None  # of what was not closed, at the mid of `net`, after the fees of its entry
    trips: list[TripRow]
    unsaid: dict[str, str]
    halted: str
    decision_digest: str
    seconds: float
    events_per_s: float


class _Told(NamedTuple):
    """Figures by name, and sentences for those that cannot be said."""

    said: dict[str, Any]
    unsaid: dict[str, str]

    def take(self, **figures: float | str | None) -> None:
        """Take figures, or sentences in their place."""
        for name, one in figures.items():
            self.said[name] = None if isinstance(one, str) else one
            if isinstance(one, str):
                self.unsaid[name] = one


def summarise(
    options: BacktestOptions,
    instrument: Instrument,
    runtime: Runtime,
    outcome: Outcome,
    decided: Decided,
    from_ns: int,
    seconds: float,
) -> BacktestResult:
    """Work out the figures; decided: what was followed of the same record."""
    fills, sent, one = outcome.fills, outcome.sent, outcome.test[0]
    until_ns = int(one["now_ns"])
    terms = terms_of(instrument, one["ledger"])
    traded = sum(map(mul, fills["lots"].tolist(), fills["ticks"].tolist()))
    position = runtime.view("position")[0].tolist()
    told = _Told({}, {})
    told.take(**_slippage(decided, terms, fills), **_of_curve(options, outcome, from_ns, until_ns))
    told.take(benchmark=_benchmark(decided, outcome))
    trips = _take_trips(told, terms, outcome, _last_half_ticks(instrument, runtime, outcome))
    return BacktestResult(
        file=str(options.path),
        symbol=instrument.symbol,
        strategy=runtime.name,
        in_training=options.marked,
        events=outcome.events,
        from_ns=from_ns,
        until_ns=until_ns,
        decisions=outcome.decisions,
        placed=int(np.count_nonzero(sent["verb"] == PLACE)),
        cancelled=int(np.count_nonzero(sent["verb"] == CANCEL)),
        refusals={REFUSAL_NAMES[code]: int(n) for code, n in enumerate(one["refusals"]) if n},
        fills=len(fills),
        maker_fills=int(np.count_nonzero(fills["maker"])),
        turnover=terms.to_float(traded * terms.lot * terms.tick),
        fees=float(fills["fees"][-1]) if len(fills) else 0.0,
        net=position[P_REALISED] + position[P_UNREALISED] - position[P_FEES],
        position=position[P_QTY],
        exposure=trips.exposed_ns(until_ns) / max(until_ns - from_ns, 1),  # a record may be one tick
        point_s=options.point_s,
        unsaid=told.unsaid,
        halted=outcome.halted,
        decision_digest=f"{int(runtime.memory['digest'][0]):016x}",
        seconds=seconds,
        events_per_s=outcome.events / seconds if seconds else inf,
        **told.said,
    )


def _slippage(decided: Decided, terms: Terms, fills: Any) -> dict[str, Any]:
    found = decided.slippage(fills)
    none = "too few: of no fill is the mid known that it was decided at"
    cost = terms.to_float(found.cost * terms.lot * terms.tick) / 2
    return {
        "slippage": cost if found.fills else none,
        "slippage_bps": none if found.bps is None else found.bps,
        "slippage_fills": found.fills,
    }


def curve_of(outcome: Outcome) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return equity where it is known, and when it was so: at each point, after each fill and at the end."""
    points, fills, one = outcome.points, outcome.fills, outcome.test[0]
    return statistics.known(
        np.concatenate([points["now_ns"], fills["told_ns"], [int(one["now_ns"])]]),
        np.concatenate([points["equity"], fills["equity"], one["ledger"]["value"].reshape(1)]),
    )


def _of_curve(options: BacktestOptions, outcome: Outcome, from_ns: int, until_ns: int) -> dict[str, Any]:
    times, equity = curve_of(outcome)
    lowest = float(np.min(equity, initial=inf))
    changes = statistics.on_grid(times, equity, options.point_s * 10**9)
    grown, fall = statistics.growth(equity), statistics.drawdown(times, equity)
    yearly = statistics.cagr(grown, until_ns - from_ns)
    parts = (fall,) * 3 if isinstance(fall, str) else (fall.share, fall.length_ns / 1e9, fall.regained)
    return {
        "growth": grown,
        "drawdown_max": float(np.max(np.maximum.accumulate(equity) - equity, initial=0.0)),
        **dict(zip(("drawdown_share", "drawdown_s", "drawdown_regained"), parts, strict=True)),
        "changes": changes.total,
        "sharpe": statistics.sharpe(changes, lowest),
        "sharpe_error": statistics.sharpe_error(changes, lowest),
        "sortino": statistics.sortino(changes, lowest),
        "cagr": yearly,
        "calmar": statistics.calmar(yearly, fall),
    }


def _benchmark(decided: Decided, outcome: Outcome) -> float | str:
    """Return the change of the mid: of the quotes, and where there are none of the points of the curve."""
    if decided.first:
        return decided.last / decided.first - 1
    mids = outcome.points["mid"]
    return statistics.growth(mids[np.isfinite(mids)])


def _last_half_ticks(instrument: Instrument, runtime: Runtime, outcome: Outcome) -> int:
    """Return the mid that the last decision valued its position at; 0: there was none."""
    mid = float(np.mean(runtime.view("book")[0, :, 0, 0]))
    if not mid > 0:
        mid = float(outcome.test[0]["ledger"]["mid"])
    return round(2 * mid / instrument.price.as_float) if isfinite(mid) else 0


def _take_trips(told: _Told, terms: Terms, outcome: Outcome, half_ticks: int) -> Trips:
    """Tell of round trips; half_ticks: the last mid, 0: there is none."""
    trips = Trips(terms)
    for fill in fills_of(outcome.fills):
        trips.take(fill)
    closed, carried = trips.closed()
    found = statistics.of_trips([trip.pnl for trip in closed], UNIT * terms.grain)
    open_pnl = terms.to_float(2 * carried + trips.open_pnl(half_ticks)) / 2
    told.take(
        round_trips=len(closed),
        won=found.won,
        win_rate=found.win_rate,
        profit_factor=found.profit_factor,
        expectancy=found.expectancy,
        open_pnl=open_pnl if half_ticks or not trips.held else _NO_MID,
    )
    told.said["trips"] = [_row(trip, terms) for trip in closed]
    return trips


def _row(trip: Trip, terms: Terms) -> TripRow:
    return TripRow(
        side="long" if trip.side == BUY else "short",
        entry_ns=trip.entry_ns,
        exit_ns=trip.exit_ns,
        held_s=(trip.exit_ns - trip.entry_ns) / 1e9,
        quantity=to_text(trip.quantity),
        entry_price=terms.price(trip.entry_value, trip.quantity),
        exit_price=terms.price(trip.exit_value, trip.quantity),
        fees=terms.to_text(trip.fees),
        pnl=terms.to_text(trip.pnl),
    )

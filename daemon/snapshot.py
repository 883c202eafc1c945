"""The one Status that every face reads, taken from the core and the feed when somebody asks."""

from __future__ import annotations

from collections import Counter
from math import isfinite
from typing import TYPE_CHECKING, Final

from daemon import __version__
from daemon.footprint import footprint
from daemon.latency import stage_latency
from daemon.orders.detached import left_behind
from daemon.orders.order import State
from daemon.orders.refusals import REFUSAL_NAMES
from daemon.spans import STAGES
from daemon.status import InstrumentStatus, OrderCounts, Status, StrategyStatus
from kernels import dtypes as dt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.core import Core
    from daemon.feeds.core import FeedCore
    from daemon.feeds.lane import Lane
    from daemon.runtime import Runtime
    from daemon.spans import Spans
    from daemon.status import StageLatency


#: positions that cancel to this share of themselves are flat
_FLAT: Final = 1e-9


def order_counts(core: Core) -> OrderCounts:
    """Return the orders of this run by state, and what was sent or not, filled, rejected and refused."""
    tally, life = core.tally, core.orders.life
    states: Counter[str] = Counter(order.state.name for order in life.open.values())
    states.update({state.name: count for state, count in tally.ended.items() if count})
    unknown = [order.changed_ns for order in life.open.values() if order.state is State.UNKNOWN]
    now_ns = core.orders.clock.now_ns()
    refusals = {REFUSAL_NAMES[code]: count for code, count in core.engine.risk.refusals.items()}
    return OrderCounts(
        by_state=dict(states),
        placed=tally.sent[dt.PLACE],
        amended=tally.sent[dt.AMEND],
        cancelled=tally.sent[dt.CANCEL],
        fills=tally.fills,
        rejected={str(code): count for code, count in core.engine.rejections.by_code.items()},
        unsent=core.engine.rejections.unsent,
        repeated=core.engine.repeated,
        refusals=refusals,
        alarms=dict(tally.alarms),
        unknown=len(unknown),
        unknown_age_s=(now_ns - min(unknown)) / 1e9 if unknown else 0.0,
    )


def _instrument_status(
    core: Core,
    lane: Lane,
    counts: list[int],
    newest_ns: int,
    overflow: int,
    stale: bool,
    skew_s: float | None,
    now_ns: int,
) -> InstrumentStatus:
    """Return one instrument as feed and engine have it; `counts` are of its streams, as KINDS."""
    engine, index = core.engine, lane.index
    instrument = engine.instruments[index]
    trades, quotes, depths = counts
    gate = engine.risk.gate(index) if engine.phase != "STOPPED" else 0  # nothing waits behind a gate any more
    status = InstrumentStatus(
        symbol=instrument.symbol,
        base=instrument.base,
        trades=trades,
        quotes=quotes,
        depths=depths,
        snapshots=lane.snapshots,
        feed_age_s=max(0, now_ns - newest_ns) / 1e9 if newest_ns else None,
        feed_lag_s=engine.market.found.lag_s(index),
        feed_skew_s=skew_s,
        stale=stale,
        book_synced=engine.synced[index],
        book_gaps=sum(lane.gaps.values()),
        book_resyncs=lane.resyncs,
        trades_missed=lane.trade_ids.missed,
        depths_dropped=lane.sync.held_dropped,
        ring_overflow=overflow,
        gate=REFUSAL_NAMES[gate] if gate else "",
    )
    status.bid, status.ask = (price if price > 0 else None for price in engine.touch(index))
    return status


def instrument_statuses(core: Core, feed: FeedCore, now_ns: int) -> list[InstrumentStatus]:
    """Return every instrument as feed, engine and strategies have it.

    What stands in arrays is read from all at once: the loop waits meanwhile, and may have 500.
    """
    arrays = (
        feed.records["count"],
        feed.records["newest_ns"].max(axis=1),
        core.engine.rings["overflow"],
        core.engine.market.found.stale,
    )
    statuses = [
        _instrument_status(core, lane, counts, newest_ns, overflow, stale, skew_s, now_ns)
        for lane, skew_s, counts, newest_ns, overflow, stale in zip(
            feed.lanes,
            core.engine.market.found.lowest_s(),
            *(array.tolist() for array in arrays),
            strict=True,
        )
    ]
    add_positions(core, statuses)
    return statuses


def add_positions(core: Core, statuses: Sequence[InstrumentStatus]) -> None:
    """Add what strategies hold to the status of each instrument; of those no longer configured too."""
    for desk in core.orders.desks:
        for row, index in enumerate(desk.instruments):
            at = row * dt.POSITION_COLUMNS
            position = list(desk.position[at : at + dt.POSITION_COLUMNS])
            if any(position):
                _add_position(statuses[index], position)


def _add_position(status: InstrumentStatus, position: list[float]) -> None:
    """Add what one strategy holds; several may hold the same instrument."""
    held, more = status.position, position[dt.P_QTY]
    cost = held * status.avg_price + more * position[dt.P_AVG_PRICE]
    flat = abs(held + more) <= _FLAT * (abs(held) + abs(more))  # what is left of two that cancel is rounding
    status.position = 0.0 if flat else held + more
    status.avg_price = 0.0 if flat else cost / status.position
    status.realised += position[dt.P_REALISED]
    status.unrealised += position[dt.P_UNREALISED]
    status.fees += position[dt.P_FEES]


def held(core: Core) -> list[InstrumentStatus]:
    """Return what strategies hold or once held, by instrument, and nothing of its market."""
    statuses = [InstrumentStatus(symbol=one.symbol, base=one.base) for one in core.engine.instruments]
    add_positions(core, statuses)
    return [one for one in statuses if one.position or one.realised or one.fees]


def _strategy_status(runtime: Runtime) -> StrategyStatus:
    """Return how a strategy began, and how warm it is."""
    return StrategyStatus(
        name=runtime.name,
        symbols=[one.symbol for one in runtime.instruments],
        began=runtime.began,
        cold_ticks=max(runtime.cold_ticks),
        on_gap=runtime.strategy.on_gap,
        gaps=runtime.gaps,
    )


def _latency(spans: Spans, now_ns: int) -> list[StageLatency]:
    """Return where the time goes, by stage."""
    stages = zip(STAGES, spans.histograms, spans.slowest(now_ns), strict=True)
    return [stage_latency(*one) for one in stages]


def _known(values: list[float], choose: Callable[[list[float]], float]) -> float | None:
    """Return the value that counts, of those that are known; None without any."""
    known = [value for value in values if isfinite(value)]
    return choose(known) if known else None


def take_status(core: Core, feed: FeedCore, *, name: str, mode: str, started_ns: int) -> Status:
    """Return the daemon's Status; who keeps the connections adds theirs."""
    engine, worth, margins = core.engine, core.portfolio.worth, core.portfolio.margins.values()
    now_ns = core.orders.clock.now_ns()
    latch = engine.risk.latch
    streamed = feed.frames - sum(lane.snapshots for lane in feed.lanes)  # which are asked for by REST
    return Status(
        name=name,
        mode=mode,
        version=__version__,
        state=engine.state,
        reason=latch.reason if latch is not None else "",
        now_ns=now_ns,
        uptime_s=(now_ns - started_ns) / 1e9,
        quote=worth.reporting,
        instruments=instrument_statuses(core, feed, now_ns),
        feed_frames=feed.frames,
        feed_errors=dict(feed.errors),
        drains=engine.drains,
        decisions=sum(int(one.memory[0]["decisions"]) for one in core.runtimes),
        coalesced=max(0, streamed - (engine.drains - engine.woken)),
        digest="-".join(f"{int(one.memory[0]['digest']):016x}" for one in core.runtimes),
        equity=worth.value if isfinite(worth.value) else None,
        day_pnl=worth.day_pnl,
        drawdown=worth.drawdown,
        margin_used=_known([one.used for one in margins], max),
        liquidation_distance=_known([far for one in margins for _, far in one.distances()], min),
        kill_switch=latch is not None,
        flatten_left=engine.flatten.left,
        venue=core.orders.venue.name,
        venue_up=engine.venue_up,
        venue_reconnects=core.orders.venue.losses,
        venue_meetings=core.recovery.meetings,
        venue_differences=core.recovery.differences,
        orders=order_counts(core),
        journal_records=core.journal.records,
        journal_bytes=core.journal.size,
        journal_syncs=core.journal.syncs,
        journal_unsynced=core.journal.unsynced,
        footprint=footprint(core, feed),
        strategies=[_strategy_status(one) for one in core.runtimes],
        left_behind=left_behind(core.orders),
        checkpoints=core.checkpoints.written,
        strategy_faults={one.name: one.fault_text for one in core.runtimes if one.fault},
        latency=_latency(core.spans, now_ns),
    )

"""Prometheus: a collector that reads one Status per scrape, so that trading never touches a metric object.

Names are tickd_* in base units (seconds, bytes); money is in the quote currency, positions in the base one.
Labels are bounded: symbols, order states, reasons and stages that the daemon itself names. Each that is known
beforehand has its sample from the first scrape on: of a series that begins at 1 no rate sees the first.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample

from daemon.faces.exposition import lazy, render
from daemon.faces.http_forms import KINDS
from daemon.faces.mqtt_messages import FORMS
from daemon.feeds.base import FRAME_REASONS
from daemon.latency import BOUNDS_S
from daemon.orders.audit import ALARMS
from daemon.orders.order import State
from daemon.orders.refusals import REFUSAL_NAMES
from kernels.dtypes import APPROVED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from daemon.status import Footprint, InstrumentStatus, RateLimit, StageLatency, Status

#: what the formats call themselves
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
STATES = ("STARTING", "RECOVERING", "WARMING", "READY", "HALTED", "DRAINING", "STOPPED")
_REFUSALS = [name for code, name in REFUSAL_NAMES.items() if code != APPROVED]
_ORDER_STATES = [state.name for state in State]
_BOUNDS = [repr(bound) for bound in BOUNDS_S]


class StatusCollector(Collector):
    """Turns what `read` returns into metric families, afresh at every scrape."""

    def __init__(self, read: Callable[[], Status]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        """Promise nothing at registration: the daemon need not be up by then."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every family of one snapshot."""
        status = self._read()
        yield from _daemon(status)
        yield _memory(status.footprint)
        yield from _feed(status)
        yield from _instruments(status.instruments)
        yield from _account(status)
        yield from _orders(status)
        yield from _limits(status.rate_limits)
        yield _latency(status.latency)
        yield from _loop(status)
        yield _drift(status)
        yield from _tape(status)
        yield from _mqtt(status)
        yield from _webhook(status)
        yield from _replay(status)


def expositions(read: Callable[[], Status]) -> dict[str, Callable[[], Iterator[bytes]]]:
    """Return what renders /metrics in pieces, by media type: the daemon's, and its process's."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StatusCollector(read))
    ProcessCollector(registry=registry)
    return {
        TEXT: lambda: render(registry.collect()),
        OPENMETRICS: lambda: render(registry.collect(), openmetrics=True),
    }


def media_type(accept: str) -> str:
    """Return the format that an Accept header asks for: Prometheus's, and OpenMetrics where it is named."""
    return OPENMETRICS if "application/openmetrics-text" in accept else TEXT


def _daemon(status: Status) -> Iterator[Metric]:
    about = {"name": status.name, "mode": status.mode, "version": status.version}
    yield InfoMetricFamily("tickd", "Which daemon this is", value=about)
    state = GaugeMetricFamily("tickd_state", "1 for the state the daemon is in", labels=["state"])
    for name in STATES:
        state.add_metric([name], float(name == status.state))
    yield state
    yield _gauge("tickd_uptime_seconds", "Time since the daemon started", status.uptime_s)
    yield _counter("tickd_drains", "Times everything readable had been read", status.drains)
    yield _counter("tickd_decisions", "Times a strategy was asked", status.decisions)
    faults = GaugeMetricFamily("tickd_strategy_fault", "1 for a strategy that failed", labels=["strategy"])
    gaps = CounterMetricFamily("tickd_strategy_gaps", "Gaps in a strategy's ticks", labels=["strategy"])
    cold = GaugeMetricFamily(
        "tickd_strategy_cold_ticks", "Ticks until a strategy is warm", labels=["strategy"]
    )
    for name in dict.fromkeys(one.name for one in status.strategies):  # a name may be configured twice
        faults.add_metric([name], float(name in status.strategy_faults))
        same = [one for one in status.strategies if one.name == name]
        gaps.add_metric([name], sum(one.gaps for one in same))
        cold.add_metric([name], float(max(one.cold_ticks for one in same)))
    yield faults
    yield gaps
    yield cold
    yield _counter("tickd_checkpoints", "Checkpoints of strategies' memories", status.checkpoints)
    yield _counter("tickd_coalesced_ticks", "Ticks that were not the last of their drain", status.coalesced)
    yield _counter("tickd_journal_records", "Records appended to the journal", status.journal_records)
    yield _counter("tickd_journal_bytes", "Bytes appended to the journal", status.journal_bytes)
    yield _counter("tickd_journal_syncs", "Times the journal was made durable", status.journal_syncs)
    if status.journal_unsynced is not None:
        text = "Records of the journal that no sync covers yet"
        yield _gauge("tickd_journal_unsynced_records", text, status.journal_unsynced)
    yield _gauge("tickd_tasks", "Tasks on the loop", status.tasks)
    yield _counters("tickd_http_refused", "Requests over HTTP refused", "reason", status.http_refused, KINDS)
    yield _counter("tickd_log_dropped", "Log lines dropped by rate or by a full queue", status.logs_dropped)


def _memory(parts: Footprint) -> Metric:
    text = "Memory of all instruments together that can be counted, by part"
    family = GaugeMetricFamily("tickd_memory_bytes", text, labels=["part"])
    for part in parts.__struct_fields__:
        family.add_metric([part], getattr(parts, part))
    return family


def _feed(status: Status) -> Iterator[Metric]:
    yield _gauge("tickd_feed_connected", "1 while the market data connection is up", status.feed_connected)
    yield _counter("tickd_feed_frames", "Frames received", status.feed_frames)
    yield _counter("tickd_feed_reconnects", "Market data connections made anew", status.feed_reconnects)
    text = "Frames refused, by reason"
    yield _counters("tickd_feed_errors", text, "reason", status.feed_errors, FRAME_REASONS)


def _instruments(instruments: list[InstrumentStatus]) -> Iterator[Metric]:
    events = (
        Sample("tickd_feed_events_total", {"symbol": one.symbol, "type": kind[:-1]}, getattr(one, kind))
        for one in instruments
        for kind in ("trades", "quotes", "depths", "snapshots")
    )
    yield lazy("tickd_feed_events", "Market events, by type", "counter", events)
    for name, text, attribute in (
        ("tickd_feed_age_seconds", "Time since the last event on the wire", "feed_age_s"),
        ("tickd_feed_lag_seconds", "Lag behind the exchange's stamps, above its lowest", "feed_lag_s"),
        ("tickd_feed_skew_seconds", "Lowest lag of some minutes: of the clocks and the way", "feed_skew_s"),
        ("tickd_feed_stale", "1 while the feed is silent past its limit", "stale"),
        ("tickd_book_synced", "1 while the book follows the exchange's sequence", "book_synced"),
        ("tickd_bid_price", "Best bid", "bid"),
        ("tickd_ask_price", "Best ask", "ask"),
        ("tickd_position", "Signed position, base currency", "position"),
        ("tickd_position_average_price", "Average entry price, 0 when flat", "avg_price"),
        ("tickd_realised_pnl", "Realised before fees, quote currency", "realised"),
        ("tickd_unrealised_pnl", "Unrealised, quote currency", "unrealised"),
        ("tickd_fees", "Fees paid, quote currency", "fees"),
    ):
        yield lazy(name, text, "gauge", _by_symbol(name, attribute, instruments))
    gated = (Sample("tickd_gated", {"symbol": one.symbol}, bool(one.gate)) for one in instruments)
    yield lazy("tickd_gated", "1 while nothing that adds risk may leave", "gauge", gated)
    for name, text, attribute in (
        ("tickd_book_gaps", "Jumps of the exchange's sequence", "book_gaps"),
        ("tickd_book_resyncs", "Books loaded afresh", "book_resyncs"),
        ("tickd_trades_missed", "Trade ids the exchange gave and we never saw", "trades_missed"),
        ("tickd_depths_dropped", "Depth updates that waited for a snapshot in vain", "depths_dropped"),
        ("tickd_ring_overflow", "Ticks overwritten before everybody had taken them", "ring_overflow"),
    ):
        yield lazy(name, text, "counter", _by_symbol(f"{name}_total", attribute, instruments))


def _by_symbol(name: str, attribute: str, instruments: list[InstrumentStatus]) -> Iterator[Sample]:
    for one in instruments:
        value = getattr(one, attribute)
        if value is not None:
            yield Sample(name, {"symbol": one.symbol}, value)


def _account(status: Status) -> Iterator[Metric]:
    if status.equity is not None:
        yield _gauge("tickd_equity", "Account value, quote currency", status.equity)
    yield _gauge("tickd_day_pnl", "Profit and loss of the UTC day after fees, quote currency", status.day_pnl)
    yield _gauge("tickd_drawdown", "Peak equity minus equity, quote currency", status.drawdown)
    if status.margin_used is not None:
        text = "Initial margin of derivatives and their open orders, share of the margin balance"
        yield _gauge("tickd_margin_used", text, status.margin_used)
    if status.liquidation_distance is not None:
        text = "How far prices may move against the nearest position until its liquidation, fraction"
        yield _gauge("tickd_liquidation_distance", text, status.liquidation_distance)
    yield _gauge("tickd_kill_switch", "1 while the kill switch is latched", status.kill_switch)


def _orders(status: Status) -> Iterator[Metric]:
    orders = status.orders
    yield _gauge("tickd_venue_up", "1 while orders can travel", status.venue_up)
    yield _counter("tickd_venue_reconnects", "Order connections made anew", status.venue_reconnects)
    yield _counter("tickd_venue_meetings", "Comparisons of the venue's word with ours", status.venue_meetings)
    yield _counter(
        "tickd_venue_differences", "Differences found by comparing with the venue", status.venue_differences
    )
    by_state = GaugeMetricFamily("tickd_orders", "Orders of this run, by where they stand", labels=["state"])
    for name, count in _with(_ORDER_STATES, orders.by_state).items():
        by_state.add_metric([name], count)
    yield by_state
    requests = {"place": orders.placed, "amend": orders.amended, "cancel": orders.cancelled}
    yield _counters("tickd_order_requests", "Requests to the venue, unsent ones too", "verb", requests)
    yield _counter("tickd_fills", "Fills, whole or partial", orders.fills)
    yield _counters("tickd_order_rejects", "Orders the venue refused, by its code", "code", orders.rejected)
    yield _counter("tickd_orders_unsent", "Orders that certainly did not leave for the venue", orders.unsent)
    yield _counter("tickd_order_reports_repeated", "Reports that said only what was known", orders.repeated)
    yield _counters("tickd_alarms", "Alarms, by kind", "kind", orders.alarms, ALARMS)
    text = "Actions we refused ourselves, by reason"
    yield _counters("tickd_refusals", text, "reason", orders.refusals, _REFUSALS)
    yield _gauge("tickd_orders_unknown", "Orders sent whose outcome is not known", orders.unknown)
    yield _gauge(
        "tickd_orders_unknown_age_seconds",
        "Age of the oldest order whose outcome is not known",
        orders.unknown_age_s,
    )


def _latency(stages: list[StageLatency]) -> Metric:
    family = HistogramMetricFamily("tickd_stage_latency_seconds", "Time spent in a stage", labels=["stage"])
    for one in stages:
        family.add_metric([one.stage], buckets=_buckets(one), sum_value=one.sum_s)
    return family


def _limits(limits: list[RateLimit]) -> Iterator[Metric]:
    text = "Used of a rate limit of the exchange, in its interval that runs"
    used = GaugeMetricFamily("tickd_rate_limit_used", text, labels=["limit"])
    most = GaugeMetricFamily("tickd_rate_limit", "A rate limit, as the exchange told it", labels=["limit"])
    for one in limits:
        used.add_metric([one.name], one.used)
        if one.limit:
            most.add_metric([one.name], one.limit)
    yield used
    yield most


def _loop(status: Status) -> Iterator[Metric]:
    lag = status.loop_lag
    if lag is not None:
        text = "How late the loop came to a timer"
        yield HistogramMetricFamily(
            "tickd_loop_lag_seconds", text, buckets=_buckets(lag), sum_value=lag.sum_s
        )
    pause = status.gc_pause
    if pause is None:
        return
    text = "How long a garbage collection stopped the loop"
    yield HistogramMetricFamily(
        "tickd_gc_pause_seconds", text, buckets=_buckets(pause), sum_value=pause.sum_s
    )
    yield _gauge(
        "tickd_gc_pause_max_seconds", "The longest garbage collection since it trades", pause.max_s or 0.0
    )
    yield _counters("tickd_gc_collections", "Garbage collections", "generation", status.gc_collections)


def _drift(status: Status) -> Metric:
    text = "How far a model's rows and predictions moved from its training, population stability index"
    family = GaugeMetricFamily("tickd_model_drift", text, labels=["strategy", "of"])
    found: dict[tuple[str, str], float] = {}  # of a strategy that is configured twice, the larger
    for one in status.drift:
        for name, value in one.index.items():
            found[one.strategy, name] = max(value, found.get((one.strategy, name), 0.0))
    for labels, value in found.items():
        family.add_metric(labels, value)
    return family


def _tape(status: Status) -> Iterator[Metric]:
    tape = status.tape
    if tape is None:
        return
    yield _counter("tickd_tape_entries", "Entries of the tape on disk", tape.entries)
    yield _counter("tickd_tape_bytes", "Bytes written to the tape", tape.bytes)
    yield _counter("tickd_tape_dropped", "Entries dropped: the disk was slow or full", tape.dropped)
    yield _gauge("tickd_tape_lag_seconds", "Age of the oldest entry that is not on disk", tape.lag_s)
    yield _gauge("tickd_tape_failing", "1 while the tape cannot be written", bool(tape.failure))
    yield _gauge("tickd_tape_whole", "1 while the session can be verified", tape.lost_from < 0)


def _mqtt(status: Status) -> Iterator[Metric]:
    mqtt = status.mqtt
    if mqtt is None:
        return
    yield _gauge("tickd_mqtt_connected", "1 while the broker takes what it is told", mqtt.connected)
    yield _gauge("tickd_mqtt_queued", "Orders, fills and alerts that wait for the broker", mqtt.queued)
    yield _counter("tickd_mqtt_published", "Orders, fills and alerts that the broker took", mqtt.published)
    yield _counter(
        "tickd_mqtt_dropped", "Orders, fills and alerts that found no room or were given up", mqtt.dropped
    )
    text = "Events, or other messages, that the broker refused"
    yield _counters("tickd_mqtt_refused", text, "topic", mqtt.refused, FORMS)
    yield _counter("tickd_mqtt_reconnects", "Connections to the broker made anew", mqtt.reconnects)


def _webhook(status: Status) -> Iterator[Metric]:
    hook = status.webhook
    if hook is None:
        return
    yield _gauge("tickd_webhook_failing", "1 while notifications are not taken", bool(hook.failure))
    yield _gauge("tickd_webhook_queued", "Fills, halts and alerts that it was not told of yet", hook.queued)
    yield _counter("tickd_webhook_told", "Fills, halts and alerts that the webhook took", hook.told)
    yield _counter("tickd_webhook_dropped", "Fills, halts and alerts that found no room", hook.dropped)
    yield _counter("tickd_webhook_refused", "Fills, halts and alerts that it will never take", hook.refused)


def _replay(status: Status) -> Iterator[Metric]:
    replay = status.replay
    if replay is None:
        return
    position = "When the newest entry played was received, since 1970"
    yield _gauge("tickd_replay_position_seconds", position, replay.position_ns / 1e9)
    if replay.end_ns:
        text = "When the last entry of the record was received, since 1970"
        yield _gauge("tickd_replay_end_seconds", text, replay.end_ns / 1e9)
    yield _counter("tickd_replay_entries", "Entries played", replay.entries)
    yield _gauge(
        "tickd_replay_entries_per_second",
        "Entries played a second, since the replay began",
        replay.entries_per_s,
    )
    yield _gauge("tickd_replay_speed", "Seconds of the record a second, since the replay began", replay.speed)


def _buckets(one: StageLatency) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
    """Return the buckets, the one of the slowest tick with where that is found on the tape."""
    found: list[tuple[str, float] | tuple[str, float, Exemplar]] = [*zip(_BOUNDS, one.buckets, strict=True)]
    found.append(("+Inf", one.count))
    slow = one.slowest
    if slow is not None:
        place = bisect_left(BOUNDS_S, slow.span_s)
        bound, count = found[place][:2]
        found[place] = bound, count, Exemplar({"seq": str(slow.seq)}, slow.span_s, slow.at_s)
    return found


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))


def _counter(name: str, text: str, value: int) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _counters(name: str, text: str, label: str, values: dict[str, int], known: Iterable[str] = ()) -> Metric:
    """Return a counter by one label; known: the values of it that there can be, where they are known."""
    family = CounterMetricFamily(name, text, labels=[label])
    for key, count in _with(known, values).items():
        family.add_metric([key], count)
    return family


def _with(known: Iterable[str], values: dict[str, int]) -> dict[str, int]:
    return {**dict.fromkeys(known, 0), **values}

"""What a daemon tells about itself: one snapshot that the terminal, /state and /metrics all read.

The engine fills it when asked, never per tick, from plain counters it keeps anyway; nothing is measured
twice. Counters only ever grow in one run: rates are differences between two snapshots, taken by whoever
shows them. A quantity that is not known yet is None, which is JSON's null.
"""

from __future__ import annotations

from typing import Literal

import msgspec

DaemonState = Literal["STARTING", "RECOVERING", "WARMING", "READY", "HALTED", "DRAINING", "STOPPED"]


class InstrumentStatus(msgspec.Struct, kw_only=True):
    """One instrument: its feed, its book, and what we hold of it, in base and quote units."""

    symbol: str
    trades: int = 0
    quotes: int = 0
    depths: int = 0
    snapshots: int = 0
    feed_age_s: float | None = None  # since the last event on the wire
    feed_lag_s: float | None = None  # behind the exchange's stamps, above its lowest of some minutes
    feed_skew_s: float | None = None  # that lowest itself: the difference of the clocks and the shortest way
    stale: bool = False
    book_synced: bool = False
    book_gaps: int = 0
    book_resyncs: int = 0
    trades_missed: int = 0  # ids the exchange gave and we never saw
    depths_dropped: int = 0  # updates that a book waited with for its snapshot, in vain
    ring_overflow: int = 0  # ticks overwritten before everybody had taken them
    gate: str = ""  # why no order that adds risk may leave; empty: open
    bid: float | None = None
    ask: float | None = None
    base: str = ""
    position: float = 0.0  # signed, base
    avg_price: float = 0.0
    realised: float = 0.0  # quote, before fees
    unrealised: float = 0.0  # quote
    fees: float = 0.0  # quote


class StrategyStatus(msgspec.Struct, kw_only=True):
    """One strategy: how it began, and what it does about ticks that were missed."""

    name: str
    symbols: list[str]
    began: str  # anew, and why not from its checkpoint; or restored, and from when
    cold_ticks: int = 0  # still missing until every instrument is warm
    on_gap: str = "reset"
    gaps: int = 0  # its restart from a checkpoint included


class SlowTick(msgspec.Struct):
    """The slowest tick of a stage lately: where to find it on the tape, and what it took."""

    seq: int  # its entry in the session's tape
    span_s: float
    at_s: float  # when it was measured, since 1970


class StageLatency(msgspec.Struct, kw_only=True):
    """Spans of one stage, in seconds. `buckets` are cumulative counts at daemon.latency.BOUNDS_S."""

    stage: str
    count: int
    sum_s: float
    p50_s: float | None
    p99_s: float | None
    p999_s: float | None
    max_s: float | None
    buckets: list[int]
    slowest: SlowTick | None = None  # of the last 15 to 30 s; a session that is not recorded has none


class DriftStatus(msgspec.Struct):
    """How far what a model sees and says has moved from its training: population stability indices."""

    strategy: str
    samples: int  # of the last 6 to 12 hours, one a second at most
    index: dict[str, float]  # by feature, and of the prediction; empty: too few samples


class RateLimit(msgspec.Struct, kw_only=True):
    """One of the exchange's limits on what may be asked, as its own answers tell."""

    name: str  # what is counted and in how many seconds: request_weight_60s, orders_10s
    used: int  # in its interval that runs
    limit: int  # 0: the exchange has not told it


class OrderCounts(msgspec.Struct, kw_only=True):
    """Orders of this run. `by_state` counts where each stands now, finished ones included."""

    by_state: dict[str, int] = {}
    placed: int = 0
    amended: int = 0
    cancelled: int = 0  # cancellations asked for
    fills: int = 0
    rejected: dict[str, int] = {}  # by the venue's code
    unsent: int = 0  # placed, and REJECTED because they certainly did not leave: no word of the venue's
    repeated: int = 0  # reports that said only what was known
    refusals: dict[str, int] = {}  # by our own reason, as daemon.orders.refusals
    alarms: dict[str, int] = {}  # by kind, as daemon.orders.audit.ALARMS
    unknown: int = 0
    unknown_age_s: float = 0.0  # of the oldest; 0 with none


class Footprint(msgspec.Struct, kw_only=True):
    """Bytes of all instruments together that can be counted (daemon/footprint.py); rings and frames first."""

    rings: int = 0  # of typed ticks
    frames: int = 0  # trades and quotes kept as they came
    streams: int = 0  # what the feed knows of each stream
    books: int = 0
    strategies: int = 0  # their memories


class TapeStatus(msgspec.Struct, kw_only=True):
    """The recorder of this run."""

    entries: int  # on disk
    bytes: int  # written of live segments
    dropped: int  # entries that found no room while the disk was slow or full
    lost_from: int  # the entry from which on the session cannot be verified; -1: none is missing
    lag_s: float  # age of the oldest entry that is not on disk
    failure: str = ""  # why it cannot write


class MqttStatus(msgspec.Struct, kw_only=True):
    """The bus of this run."""

    broker: str  # host:port
    connected: bool
    queued: int  # orders, fills and alerts that it was not told of yet
    published: int  # likewise, that it took
    dropped: int  # that found no room, or were given up
    refused: dict[str, int] = {}  # that it may not be told, by topic; of what is no event, messages
    reconnects: int = 0
    failure: str = ""  # why there is no connection


class WebhookStatus(msgspec.Struct, kw_only=True):
    """The notifications of this run."""

    host: str
    queued: int  # fills, halts and alerts that it was not told of yet
    told: int  # likewise, that it took
    dropped: int  # that found no room
    refused: int = 0  # that it will never take
    failure: str = ""  # why the last was not taken


class ReplayStatus(msgspec.Struct, kw_only=True):
    """How far a replay is."""

    position_ns: int  # when the newest entry was received
    end_ns: int  # when the last one was; 0: nobody knows
    entries: int  # played
    entries_per_s: float  # since it began
    speed: float  # seconds of the record a second, likewise


class Status(msgspec.Struct, kw_only=True):
    """The whole snapshot."""

    name: str
    mode: str
    version: str
    state: DaemonState
    reason: str = ""  # of HALTED or DRAINING
    now_ns: int
    uptime_s: float
    quote: str = ""  # the currency that money below is counted in
    instruments: list[InstrumentStatus] = []
    # feed
    feed_connected: bool = False
    feed_frames: int = 0
    feed_errors: dict[str, int] = {}
    feed_reconnects: int = 0
    # engine
    drains: int = 0
    decisions: int = 0
    coalesced: int = 0  # ticks that were not the last of their drain
    digest: str = ""  # over every decision, hexadecimal
    strategies: list[StrategyStatus] = []
    left_behind: list[str] = []  # what no strategy minds any more, held or open, in sentences
    checkpoints: int = 0  # of the strategies' memories, written
    strategy_faults: dict[str, str] = {}  # what each strategy did that is not asked any more, until a resume
    # account
    equity: float | None = None
    day_pnl: float = 0.0
    drawdown: float = 0.0
    margin_used: float | None = None  # of derivatives: the share of the margin balance, open orders included
    liquidation_distance: float | None = None  # the nearest position's, as a fraction; None: nothing is held
    kill_switch: bool = False
    flatten_left: list[str] | None = None  # of a flatten: what it has not closed yet; empty: it is done
    # orders
    venue: str = ""
    venue_up: bool = False
    venue_reconnects: int = 0
    venue_meetings: int = 0  # comparisons of its orders, trades and balances with ours
    venue_differences: int = 0  # that these found
    rate_limits: list[RateLimit] = []  # empty where the venue tells of none
    orders: OrderCounts = msgspec.field(default_factory=OrderCounts)
    journal_records: int = 0
    journal_bytes: int = 0
    journal_syncs: int = 0
    journal_unsynced: int | None = None  # records that no sync covers yet; None: it is left to the system
    drift: list[DriftStatus] = []  # of strategies with a model that says what it was trained on
    tape: TapeStatus | None = None  # None: nothing is recorded
    mqtt: MqttStatus | None = None  # None: no broker is told
    webhook: WebhookStatus | None = None  # None: nobody is notified
    replay: ReplayStatus | None = None  # None: it is no replay
    logs_dropped: int = 0
    http_refused: dict[str, int] = {}  # requests, by why; of the face that tells this
    tasks: int = 0  # of the loop
    footprint: Footprint = msgspec.field(default_factory=Footprint)
    latency: list[StageLatency] = []
    loop_lag: StageLatency | None = None  # by how much a timer of the loop came too late
    gc_pause: StageLatency | None = None  # collections while trading; each stops the loop
    gc_collections: dict[str, int] = {}  # by generation

    @property
    def events(self) -> int:
        """Market events taken in, of every type."""
        return sum(one.trades + one.quotes + one.depths for one in self.instruments)

    @property
    def pnl(self) -> float:
        """Realised and unrealised, after fees, in `quote`."""
        return sum(one.realised + one.unrealised - one.fees for one in self.instruments)

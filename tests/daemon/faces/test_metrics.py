from __future__ import annotations

import re

import msgspec
import numpy as np
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Exemplar, Timestamp

from daemon.faces.metrics import OPENMETRICS, STATES, TEXT, expositions, media_type
from daemon.feeds.base import FRAME_REASONS
from daemon.latency import BOUNDS_S, stage_latency
from daemon.orders.audit import ALARMS
from daemon.orders.order import State
from daemon.orders.refusals import REFUSAL_NAMES
from daemon.status import (
    DaemonState,
    DriftStatus,
    Footprint,
    InstrumentStatus,
    MqttStatus,
    OrderCounts,
    RateLimit,
    ReplayStatus,
    SlowTick,
    Status,
    StrategyStatus,
    TapeStatus,
    WebhookStatus,
)
from kernels import stats

EXPECTED = """\
tickd_info{mode="paper",name="t",version="1"} 1.0
tickd_state{state="READY"} 1.0
tickd_state{state="HALTED"} 0.0
tickd_uptime_seconds 2.5
tickd_feed_events_total{symbol="BTC/USDT",type="trade"} 1.0
tickd_feed_events_total{symbol="BTC/USDT",type="quote"} 2.0
tickd_feed_events_total{symbol="BTC/USDT",type="depth"} 3.0
tickd_feed_events_total{symbol="BTC/USDT",type="snapshot"} 4.0
tickd_feed_age_seconds{symbol="BTC/USDT"} 0.5
tickd_feed_lag_seconds{symbol="BTC/USDT"} 0.75
tickd_feed_skew_seconds{symbol="BTC/USDT"} -0.125
tickd_feed_stale{symbol="BTC/USDT"} 1.0
tickd_book_synced{symbol="BTC/USDT"} 1.0
tickd_book_gaps_total{symbol="BTC/USDT"} 5.0
tickd_book_resyncs_total{symbol="BTC/USDT"} 6.0
tickd_trades_missed_total{symbol="BTC/USDT"} 7.0
tickd_depths_dropped_total{symbol="BTC/USDT"} 8.0
tickd_ring_overflow_total{symbol="BTC/USDT"} 9.0
tickd_bid_price{symbol="BTC/USDT"} 10.0
tickd_ask_price{symbol="BTC/USDT"} 11.0
tickd_position{symbol="BTC/USDT"} -0.5
tickd_position_average_price{symbol="BTC/USDT"} 9.0
tickd_realised_pnl{symbol="BTC/USDT"} 1.5
tickd_unrealised_pnl{symbol="BTC/USDT"} 2.5
tickd_fees{symbol="BTC/USDT"} 0.25
tickd_orders{state="WORKING"} 1.0
tickd_order_requests_total{verb="place"} 2.0
tickd_order_requests_total{verb="amend"} 3.0
tickd_order_requests_total{verb="cancel"} 4.0
tickd_fills_total 5.0
tickd_order_rejects_total{code="-2010"} 6.0
tickd_orders_unsent_total 10.0
tickd_refusals_total{reason="collar"} 7.0
tickd_alarms_total{kind="gap"} 50.0
tickd_rate_limit_used{limit="orders_10s"} 51.0
tickd_rate_limit_used{limit="request_weight_60s"} 52.0
tickd_rate_limit{limit="orders_10s"} 100.0
tickd_loop_lag_seconds_count 2.0
tickd_orders_unknown 8.0
tickd_orders_unknown_age_seconds 9.0
tickd_feed_connected 1.0
tickd_feed_frames_total 11.0
tickd_feed_errors_total{reason="json"} 12.0
tickd_feed_reconnects_total 13.0
tickd_drains_total 14.0
tickd_decisions_total 15.0
tickd_coalesced_ticks_total 16.0
tickd_strategy_fault{strategy="ema_cross"} 1.0
tickd_equity 17.0
tickd_day_pnl 18.0
tickd_drawdown 19.0
tickd_margin_used 0.25
tickd_liquidation_distance 0.5
tickd_kill_switch 1.0
tickd_venue_up 1.0
tickd_venue_reconnects_total 20.0
tickd_journal_records_total 21.0
tickd_journal_bytes_total 22.0
tickd_log_dropped_total 23.0
tickd_http_refused_total{reason="host"} 45.0
tickd_journal_syncs_total 41.0
tickd_journal_unsynced_records 42.0
tickd_memory_bytes{part="rings"} 43.0
tickd_memory_bytes{part="books"} 44.0
tickd_gated{symbol="BTC/USDT"} 1.0
tickd_strategy_gaps_total{strategy="ema_cross"} 5.0
tickd_strategy_cold_ticks{strategy="ema_cross"} 24.0
tickd_checkpoints_total 25.0
tickd_venue_meetings_total 26.0
tickd_venue_differences_total 27.0
tickd_model_drift{of="prediction",strategy="ml"} 0.125
tickd_model_drift{of="rsi",strategy="ml"} 0.5
tickd_tape_entries_total 28.0
tickd_tape_bytes_total 29.0
tickd_tape_dropped_total 30.0
tickd_tape_lag_seconds 0.25
tickd_tape_failing 1.0
tickd_tape_whole 0.0
tickd_mqtt_connected 1.0
tickd_mqtt_queued 36.0
tickd_mqtt_published_total 37.0
tickd_mqtt_dropped_total 38.0
tickd_mqtt_refused_total{topic="fills"} 39.0
tickd_mqtt_reconnects_total 40.0
tickd_webhook_failing 1.0
tickd_webhook_queued 46.0
tickd_webhook_told_total 47.0
tickd_webhook_dropped_total 48.0
tickd_webhook_refused_total 49.0
tickd_replay_position_seconds 1.5
tickd_replay_end_seconds 2.5
tickd_replay_entries_total 33.0
tickd_replay_entries_per_second 34.0
tickd_replay_speed 35.0
"""


def make(**changes):
    return Status(
        **{
            "name": "t",
            "mode": "paper",
            "version": "1",
            "state": "READY",
            "now_ns": 1,
            "uptime_s": 2.5,
            **changes,
        }
    )


def text_of(read):
    return b"".join(expositions(read)[TEXT]()).decode()


def scrape(status):
    families = text_string_to_metric_families(text_of(lambda: status))
    samples = [sample for family in families for sample in family.samples]
    return {(one.name, *(one.labels[key] for key in sorted(one.labels))): one.value for one in samples}


def spans(stage, *values_ns):
    h = np.zeros(stats.HISTOGRAM_SIZE, dtype=np.int64)
    for ns in values_ns:
        stats.observe(h, ns)
    return stage_latency(stage, h)


def everything():
    """Return a status that leaves nothing out."""
    instrument = InstrumentStatus(
        symbol="BTC/USDT",
        trades=1,
        quotes=2,
        depths=3,
        snapshots=4,
        feed_age_s=0.5,
        feed_lag_s=0.75,
        feed_skew_s=-0.125,
        stale=True,
        book_synced=True,
        book_gaps=5,
        book_resyncs=6,
        trades_missed=7,
        depths_dropped=8,
        ring_overflow=9,
        gate="halted",
        bid=10.0,
        ask=11.0,
        base="BTC",
        position=-0.5,
        avg_price=9.0,
        realised=1.5,
        unrealised=2.5,
        fees=0.25,
    )
    orders = OrderCounts(
        by_state={"WORKING": 1},
        placed=2,
        amended=3,
        cancelled=4,
        fills=5,
        rejected={"-2010": 6},
        unsent=10,
        refusals={"collar": 7},
        alarms={"gap": 50},
        unknown=8,
        unknown_age_s=9.0,
    )
    return make(
        instruments=[instrument],
        feed_connected=True,
        feed_frames=11,
        feed_errors={"json": 12},
        feed_reconnects=13,
        drains=14,
        decisions=15,
        coalesced=16,
        strategy_faults={"ema_cross": "raised ValueError: x"},
        equity=17.0,
        day_pnl=18.0,
        drawdown=19.0,
        margin_used=0.25,
        liquidation_distance=0.5,
        kill_switch=True,
        venue="paper",
        venue_up=True,
        venue_reconnects=20,
        orders=orders,
        journal_records=21,
        journal_bytes=22,
        logs_dropped=23,
        http_refused={"host": 45},
        journal_syncs=41,
        journal_unsynced=42,
        footprint=Footprint(rings=43, books=44),
        strategies=[
            StrategyStatus(name="ema_cross", symbols=["A/B"], began="anew", cold_ticks=24, gaps=2),
            StrategyStatus(name="ema_cross", symbols=["C/B"], began="anew", gaps=3),
        ],
        checkpoints=25,
        venue_meetings=26,
        venue_differences=27,
        latency=[spans("order", 3_000)],
        rate_limits=[
            RateLimit(name="orders_10s", used=51, limit=100),
            RateLimit(name="request_weight_60s", used=52, limit=0),  # not told
        ],
        loop_lag=spans("loop lag", 500, 250_000),
        gc_pause=spans("gc pause", 250_000),
        gc_collections={"0": 1},
        replay=ReplayStatus(
            position_ns=1_500_000_000, end_ns=2_500_000_000, entries=33, entries_per_s=34.0, speed=35.0
        ),
        webhook=WebhookStatus(host="h", queued=46, told=47, dropped=48, refused=49, failure="it is gone"),
        mqtt=MqttStatus(
            broker="h:1",
            connected=True,
            queued=36,
            published=37,
            dropped=38,
            refused={"fills": 39},
            reconnects=40,
        ),
        drift=[
            DriftStatus("ml", 2_000, {"rsi": 0.5, "prediction": 0.125}),
            DriftStatus("ml", 2_000, {"rsi": 0.25}),
            DriftStatus("new", 7, {}),
        ],
        tape=TapeStatus(entries=28, bytes=29, dropped=30, lost_from=31, lag_s=0.25, failure="full"),
    )


def test_every_field_reaches_the_scrape():
    text = text_of(everything)
    assert [line for line in EXPECTED.splitlines() if line not in text.splitlines()] == []
    assert 'tickd_rate_limit{limit="request_weight_60s"}' not in text


def test_what_is_not_known_yet_has_no_sample():
    got = scrape(make(instruments=[InstrumentStatus(symbol="BTC/USDT")]))
    assert ("tickd_feed_age_seconds", "BTC/USDT") not in got
    assert ("tickd_equity",) not in got
    assert ("tickd_journal_unsynced_records",) not in got  # left to the system
    assert ("tickd_tape_entries_total",) not in got
    assert ("tickd_mqtt_connected",) not in got
    assert ("tickd_replay_entries_total",) not in got


@pytest.mark.parametrize(
    ("metric", "some", "zeros"),
    [
        ("tickd_http_refused_total", {"token", "rate", "failed"}, 11),
        ("tickd_feed_errors_total", {"json", "crossed", "levels"}, len(FRAME_REASONS)),
        ("tickd_refusals_total", {"collar", "stale_feed", "halted", "position_max"}, len(REFUSAL_NAMES) - 1),
        ("tickd_alarms_total", {"feed_silent", "void"}, len(ALARMS)),
        ("tickd_orders", {"WORKING", "UNKNOWN", "VOID"}, len(State)),
        ("tickd_mqtt_refused_total", {"orders", "fills", "alerts"}, 6),
        ("tickd_strategy_fault", {"ml"}, 1),
    ],
)
def test_what_can_be_counted_is_told_before_it_is(metric, some, zeros):
    told = make(
        mqtt=MqttStatus(broker="h:1", connected=False, queued=0, published=0, dropped=0),
        strategies=[StrategyStatus(name="ml", symbols=["A/B"], began="anew")],
    )
    found = {key[1]: value for key, value in scrape(told).items() if key[0] == metric}
    assert some <= found.keys()
    assert list(found.values()) == [0.0] * zeros


def test_what_is_counted_is_told_once_beside_what_is_not():
    one = make(http_refused={"token": 2}, orders=OrderCounts(refusals={"collar": 3}))
    text = text_of(lambda: one)
    for metric, count in (
        ('tickd_http_refused_total{reason="token"}', 2),
        ('tickd_refusals_total{reason="collar"}', 3),
    ):
        assert [line for line in text.splitlines() if line.startswith(metric)] == [f"{metric} {count}.0"]


def test_a_stage_is_a_whole_cumulative_histogram():
    got = scrape(make(latency=[spans("decode", 500, 3_000, 3_000, 20_000_000_000)]))
    buckets = {key[1]: value for key, value in got.items() if key[0].endswith("_bucket")}
    assert len(buckets) == len(BOUNDS_S) + 1
    assert buckets[repr(BOUNDS_S[0])] == 1
    assert buckets["+Inf"] == got["tickd_stage_latency_seconds_count", "decode"] == 4
    assert list(buckets.values()) == sorted(buckets.values())
    assert got["tickd_stage_latency_seconds_sum", "decode"] == pytest.approx(20.0000065)


def test_collections_are_told_by_how_long_they_took_and_how_many_there_were():
    counts = {"0": 0, "1": 2, "2": 0}
    got = scrape(make(gc_pause=spans("gc pause", 500, 250_000), gc_collections=counts))
    assert got["tickd_gc_pause_seconds_bucket", repr(BOUNDS_S[0])] == 1
    assert got["tickd_gc_pause_seconds_count",] == got["tickd_gc_collections_total", "1"] == 2
    assert got["tickd_gc_pause_max_seconds",] == 0.00025
    assert "tickd_gc_pause_max_seconds" not in text_of(make)


def test_names_follow_the_conventions():
    text = text_of(everything)
    names = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    assert len(names) == len(set(names))
    for name, kind in names:
        assert re.fullmatch(r"(tickd|process)_[a-z_]+", name)
        assert name.endswith("_total") == (kind == "counter")
        assert not re.search(r"_(ms|us|ns|millis|kb|mb)(_|$)", name)


def test_every_state_the_daemon_can_be_in_is_a_label():
    assert msgspec.inspect.type_info(DaemonState).values == tuple(sorted(STATES))


def told(text):
    """Return every family of an exposition: name -> (type, labels, help)."""
    found = {}
    for one in text_string_to_metric_families(text):
        labels = {key for sample in one.samples for key in sample.labels} - {"le"}
        name = one.name + "_total" * (one.type == "counter")
        found[name] = (one.type, tuple(sorted(labels)), one.documentation)
    return found


def written(page):
    """Return the rows of the page's tables, likewise."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*) \|$", page, re.MULTILINE)
    assert len(rows) == len({row[0] for row in rows})
    return {
        name: (kind, tuple(sorted(re.findall(r"`(\w+)`", labels))), what) for name, kind, labels, what in rows
    }


def test_the_page_names_every_metric_as_it_is_told_and_no_other(root):
    page = (root / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert written(page) == told(text_of(everything))


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3", OPENMETRICS),
    ],
)
def test_openmetrics_is_for_who_asks_for_it(accept, kind):
    assert media_type(accept) == kind


def test_the_slowest_tick_is_an_exemplar_of_its_bucket_in_openmetrics():
    h = np.zeros(stats.HISTOGRAM_SIZE, np.int64)
    for span_ns in (900, 1_000, 70_000):
        stats.observe(h, span_ns)
    slow = SlowTick(4711, 7e-5, 1_700_000_000.25)
    status = make(latency=[stage_latency("turn", h, slow)])
    text = b"".join(expositions(lambda: status)[OPENMETRICS]()).decode()
    families = {one.name: one for one in openmetrics(text)}
    told = [one for one in families["tickd_stage_latency_seconds"].samples if one.exemplar]
    edges = [bound for bound in BOUNDS_S if bound >= 7e-5]
    assert [(float(one.labels["le"]), one.value) for one in told] == [(edges[0], 3)]
    assert told[0].exemplar == Exemplar({"seq": "4711"}, 7e-5, Timestamp(1_700_000_000, 250_000_000))
    assert "4711" not in text_of(lambda: status)
    beyond = make(latency=[stage_latency("turn", h, SlowTick(1, 1e9, 2.0))])
    text = b"".join(expositions(lambda: beyond)[OPENMETRICS]()).decode()
    assert 'le="+Inf",stage="turn"} 3.0 # {seq="1"} 1e+09 2.0\n' in text

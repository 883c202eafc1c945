"""Makes dashboards/*.json.

    python deploy/grafana/make.py       after a change here

A dashboard is rows of panels, a panel a title, a unit and queries; the rest (ids, places, variables) follows.
Every query goes through `of`, so that each honours the dashboard's choice of instances.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).resolve().parent / "dashboards"
WIDTH = 24
STAGES = ("order", "turn", "decode", "decide", "risk", "record", "send", "ack")
QUANTILES = ((0.5, "p50"), (0.99, "p99"), (0.999, "p99.9"))
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


class Panel(NamedTuple):
    """One panel. `queries` are (PromQL, legend); `unit` is Grafana's name of it."""

    title: str
    unit: str
    queries: list[tuple[str, str]]
    kind: str = "timeseries"
    what: str = ""


def of(metric: str, *matchers: str) -> str:
    """Return the selector of a metric for the chosen instances."""
    chosen = ", ".join(['instance=~"$instance"', *matchers])
    return f"{metric}{{{chosen}}}"


def rate(metric: str, by: str = "", *matchers: str) -> str:
    """Return a counter's rate an instance, and whatever else it is told apart by."""
    labels = ", ".join(["instance", by] if by else ["instance"])
    return f"sum by ({labels}) (rate({of(metric, *matchers)}[$__rate_interval]))"


def quantile(q: float, metric: str, *matchers: str) -> str:
    """Return a histogram's quantile an instance."""
    return f"histogram_quantile({q}, {rate(f'{metric}_bucket', 'le', *matchers)})"


def stage(name: str) -> Panel:
    """Return the quantiles of one stage."""
    queries = [
        (quantile(q, "tickd_stage_latency_seconds", f'stage="{name}"'), f"{{{{instance}}}} {label}")
        for q, label in QUANTILES
    ]
    return Panel("Tick to order" if name == "order" else f"Stage {name}", "s", queries)


def gauges(title: str, unit: str, *metrics: str, by: str = "", kind: str = "timeseries") -> Panel:
    """Return gauges as they are, told apart by a label."""
    legend = "{{instance}}" + (f" {{{{{by}}}}}" if by else "")
    several = len(metrics) > 1
    queries = [(of(one), f"{legend} {one.removeprefix('tickd_')}" if several else legend) for one in metrics]
    return Panel(title, unit, queries, kind)


def rates(title: str, unit: str, *metrics: str, by: str = "") -> Panel:
    """Return rates of counters, told apart by a label."""
    legend = "{{instance}}" + (f" {{{{{by}}}}}" if by else "")
    several = len(metrics) > 1
    names = [one.removeprefix("tickd_").removesuffix("_total") for one in metrics]
    queries = [
        (rate(one, by), f"{legend} {name}" if several else legend)
        for one, name in zip(metrics, names, strict=True)
    ]
    return Panel(title, unit, queries)


def status() -> list[Panel]:
    """Return the row that every dashboard begins with."""
    return [
        gauges("Kill switch", "bool_on_off", "tickd_kill_switch", kind="stat"),
        Panel("State", "none", [(f"{of('tickd_state')} == 1", "{{instance}} {{state}}")], "stat"),
        Panel(
            "Oldest feed",
            "s",
            [(f"max by (instance) ({of('tickd_feed_age_seconds')})", "{{instance}}")],
            "stat",
        ),
        gauges("Feed and venue", "bool_on_off", "tickd_feed_connected", "tickd_venue_up", kind="stat"),
        gauges("Orders in doubt", "short", "tickd_orders_unknown", kind="stat"),
        gauges("Profit of the day", "none", "tickd_day_pnl", kind="stat"),
    ]


def latency() -> dict[str, list[Panel]]:
    """Return the rows of the dashboard of latency."""
    buckets = of("tickd_stage_latency_seconds_bucket", 'stage="order"')
    heat = Panel(
        "Tick to order, heat map",
        "s",
        [(f"sum by (le) (increase({buckets}[$__rate_interval]))", "{{le}}")],
        "heatmap",
        "Frame on the wire until the order is written: how many orders took how long, all instances together",
    )
    stages = [stage(name) for name in STAGES]
    pause = "tickd_gc_pause_seconds"
    return {
        "Tick to order": [heat, stages[0]],
        "Status": status(),
        "On every tick": stages[1:4],
        "On every order": stages[4:],
        "What stops the loop": [
            Panel(
                "Garbage collections",
                "s",
                [(quantile(q, pause), f"{{{{instance}}}} {label}") for q, label in QUANTILES],
            ),
            Panel(
                "Lag of the loop",
                "s",
                [
                    (quantile(q, "tickd_loop_lag_seconds"), f"{{{{instance}}}} {label}")
                    for q, label in QUANTILES
                ],
            ),
            gauges("The longest of them", "s", "tickd_gc_pause_max_seconds"),
            Panel("Share of time collecting", "percentunit", [(rate(f"{pause}_sum"), "{{instance}}")]),
        ],
        "What there is to do": [
            rates("Market events", "ops", "tickd_feed_events_total", by="type"),
            rates("Drains and decisions", "ops", "tickd_drains_total", "tickd_decisions_total"),
            rates("Ticks that were not the last of their drain", "ops", "tickd_coalesced_ticks_total"),
        ],
    }


def trading() -> dict[str, list[Panel]]:
    """Return the rows of the dashboard of trading."""
    per_symbol = (
        f"sum by (instance, symbol) ({of('tickd_realised_pnl')} + {of('tickd_unrealised_pnl')}"
        f" - {of('tickd_fees')})"
    )
    return {
        "Status": status(),
        "The account": [
            gauges("Equity", "none", "tickd_equity"),
            gauges("Drawdown", "none", "tickd_drawdown"),
            Panel("Profit after fees", "none", [(per_symbol, "{{instance}} {{symbol}}")]),
        ],
        "Positions": [
            gauges("Position", "none", "tickd_position", by="symbol"),
            gauges("Fees", "none", "tickd_fees", by="symbol"),
            gauges("Best bid and ask", "none", "tickd_bid_price", "tickd_ask_price", by="symbol"),
        ],
        "Derivatives": [
            gauges("Margin used", "percentunit", "tickd_margin_used"),
            gauges("Distance to liquidation", "percentunit", "tickd_liquidation_distance"),
        ],
        "Orders": [
            gauges("Orders by state", "short", "tickd_orders", by="state"),
            rates("Requests", "reqps", "tickd_order_requests_total", by="verb"),
            rates("Fills", "ops", "tickd_fills_total"),
            stage("ack")._replace(title="Until the venue's first word"),
        ],
        "What goes wrong": [
            rates("Rejected by the venue", "ops", "tickd_order_rejects_total", by="code"),
            rates("Never sent", "ops", "tickd_orders_unsent_total"),
            rates("Refused by ourselves", "ops", "tickd_refusals_total", by="reason"),
            gauges("Age of the oldest order in doubt", "s", "tickd_orders_unknown_age_seconds"),
            gauges("Gates", "bool_on_off", "tickd_gated", by="symbol"),
            rates("Alarms", "ops", "tickd_alarms_total", by="kind"),
        ],
        "The venue": [
            rates("Reconnects of orders", "ops", "tickd_venue_reconnects_total"),
            rates(
                "Comparisons, and differences",
                "ops",
                "tickd_venue_meetings_total",
                "tickd_venue_differences_total",
            ),
            rates("Reports repeated", "ops", "tickd_order_reports_repeated_total"),
            gauges("Rate limits", "short", "tickd_rate_limit_used", "tickd_rate_limit", by="limit"),
        ],
        "Strategies": [
            gauges("Ticks until warm", "short", "tickd_strategy_cold_ticks", by="strategy"),
            rates("Gaps", "ops", "tickd_strategy_gaps_total", by="strategy"),
            gauges("Failed", "bool_on_off", "tickd_strategy_fault", by="strategy"),
            Panel(
                "Drift of models",
                "none",
                [(f"topk(8, {of('tickd_model_drift')})", "{{instance}} {{strategy}} {{of}}")],
            ),
        ],
    }


def runtime() -> dict[str, list[Panel]]:
    """Return the rows of the dashboard of feed, queues and process."""
    return {
        "Status": status(),
        "The feed": [
            gauges("Age", "s", "tickd_feed_age_seconds", by="symbol"),
            gauges("Lag behind the exchange", "s", "tickd_feed_lag_seconds", by="symbol"),
            gauges("Clocks differ, and the way", "s", "tickd_feed_skew_seconds", by="symbol"),
            gauges("Silent", "bool_on_off", "tickd_feed_stale", by="symbol"),
            gauges("Book follows", "bool_on_off", "tickd_book_synced", by="symbol"),
        ],
        "Losses of the feed": [
            rates("Reconnects of the feed", "ops", "tickd_feed_reconnects_total"),
            rates("Frames refused", "ops", "tickd_feed_errors_total", by="reason"),
            rates(
                "Gaps and new books", "ops", "tickd_book_gaps_total", "tickd_book_resyncs_total", by="symbol"
            ),
            rates(
                "Trades missed, updates dropped",
                "ops",
                "tickd_trades_missed_total",
                "tickd_depths_dropped_total",
            ),
        ],
        "Queues": [
            rates("Ring overflow", "ops", "tickd_ring_overflow_total", by="symbol"),
            gauges("Journal, not durable yet", "short", "tickd_journal_unsynced_records"),
            gauges("Tape, age of what waits", "s", "tickd_tape_lag_seconds"),
            rates(
                "Drops",
                "ops",
                "tickd_tape_dropped_total",
                "tickd_mqtt_dropped_total",
                "tickd_log_dropped_total",
            ),
        ],
        "Disk": [
            rates("Bytes written", "Bps", "tickd_journal_bytes_total", "tickd_tape_bytes_total"),
            rates("Syncs of the journal", "ops", "tickd_journal_syncs_total"),
            gauges("Tape", "bool_on_off", "tickd_tape_failing", "tickd_tape_whole"),
            rates("Checkpoints", "ops", "tickd_checkpoints_total"),
        ],
        "The process": [
            Panel("Processors used", "short", [(rate("process_cpu_seconds_total"), "{{instance}}")]),
            gauges("Memory", "bytes", "process_resident_memory_bytes"),
            gauges("Memory by part", "bytes", "tickd_memory_bytes", by="part"),
            gauges("Descriptors", "short", "process_open_fds"),
            gauges("Tasks", "short", "tickd_tasks"),
            rates("Collections", "ops", "tickd_gc_collections_total", by="generation"),
        ],
        "MQTT": [
            gauges("Connected", "bool_on_off", "tickd_mqtt_connected"),
            gauges("Waiting", "short", "tickd_mqtt_queued"),
            rates("Published", "ops", "tickd_mqtt_published_total", "tickd_mqtt_reconnects_total"),
            rates("Refused by the broker", "ops", "tickd_mqtt_refused_total", by="topic"),
        ],
        "Notifications and commands": [
            gauges("Webhook", "short", "tickd_webhook_failing", "tickd_webhook_queued"),
            rates(
                "Notifications",
                "ops",
                "tickd_webhook_told_total",
                "tickd_webhook_dropped_total",
                "tickd_webhook_refused_total",
            ),
            rates("Refused over HTTP", "ops", "tickd_http_refused_total", by="reason"),
        ],
    }


def place(rows: dict[str, list[Panel]]) -> list[dict[str, Any]]:
    """Return Grafana's panels: each row's name, and below it its panels side by side, wide as they fit."""
    made: list[dict[str, Any]] = []
    y = 0
    for name, panels in rows.items():
        made.append(
            {
                "id": len(made) + 1,
                "type": "row",
                "title": name,
                "collapsed": False,
                "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
                "panels": [],
            }
        )
        height = 4 if panels[0].kind == "stat" else 9
        width = WIDTH // len(panels)
        for at, panel in enumerate(panels):
            where = {"x": at * width, "y": y + 1, "w": width, "h": height}
            made.append(draw(panel, len(made) + 1, where))
        y += 1 + height
    return made


def draw(panel: Panel, number: int, where: dict[str, int]) -> dict[str, Any]:
    """Return one panel as Grafana has it."""
    heat = panel.kind == "heatmap"
    targets = [
        {
            "refId": chr(ord("A") + at),
            "datasource": SOURCE,
            "expr": query,
            "legendFormat": legend,
            "format": "heatmap" if heat else "time_series",
            "instant": panel.kind == "stat",
            "range": panel.kind != "stat",
            # the slowest ticks, as dots: where Prometheus keeps them and the daemon records
            "exemplar": panel.kind != "stat" and "tickd_stage_latency_seconds_bucket" in query,
        }
        for at, (query, legend) in enumerate(panel.queries)
    ]
    options: dict[str, Any] = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}}
    if panel.kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "value_and_name"}
    elif heat:
        options = {"calculate": False, "yAxis": {"unit": panel.unit}, "color": {"scheme": "Spectral"}}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.what,
        "datasource": SOURCE,
        "gridPos": where,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": options,
        "targets": targets,
    }


def dashboard(name: str, rows: dict[str, list[Panel]]) -> dict[str, Any]:
    """Return a whole dashboard."""
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    instance = {
        "name": "instance",
        "label": "Instance",
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": "label_values(tickd_info, instance)", "refId": "instance"},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"]},
        "sort": 1,
    }
    return {
        "uid": f"tickd-{name}",
        "title": f"tickd: {name}",
        "tags": ["tickd"],
        "schemaVersion": 36,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "timezone": "utc",
        "templating": {"list": [source, instance]},
        "annotations": {"list": []},
        "links": [
            {
                "type": "dashboards",
                "tags": ["tickd"],
                "title": "tickd",
                "asDropdown": False,
                "keepTime": True,
                "includeVars": True,
            }
        ],
        "panels": place(rows),
    }


def texts() -> dict[str, str]:
    """Return what each file is to hold, by its name."""
    boards = {"latency": latency(), "trading": trading(), "runtime": runtime()}
    return {
        f"{name}.json": json.dumps(dashboard(name, rows), indent=1) + "\n" for name, rows in boards.items()
    }


if __name__ == "__main__":
    for file, text in texts().items():
        (FOLDER / file).write_text(text, encoding="utf-8")

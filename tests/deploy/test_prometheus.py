"""deploy/prometheus: what it scrapes, its rules and alerts, as promtool judges them, and the runbook."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest

HERE = 'instance="spot",job="tickd"'
OF = f'{HERE},symbol="BTC/USDT"'
#: alert -> (series: values every 10 s from 0 on, labels it fires with beside instance and job, when it fires,
#: when it does not)
CASES = {
    "TickdDown": ({f"up{{{HERE}}}": "1x6 0x20"}, {}, "2m", "1m20s"),
    "TickdRestarts": ({f"process_start_time_seconds{{{HERE}}}": "1x5 2x5 3x5 4x20"}, {}, "5m", "2m"),
    "TickdKillSwitch": ({f"tickd_kill_switch{{{HERE}}}": "0x5 1x5"}, {}, "1m", "40s"),
    "TickdNotReady": (
        {
            f'tickd_state{{{HERE},state="READY"}}': "1x5 0x60",
            f"tickd_kill_switch{{{HERE}}}": "0x60",
            'tickd_state{instance="halted",job="tickd",state="READY"}': "0x60",
            'tickd_kill_switch{instance="halted",job="tickd"}': "1x60",
        },
        {"state": "READY"},
        "7m",
        "5m",
    ),
    "TickdFeedStale": ({f"tickd_feed_stale{{{OF}}}": "0x5 1x10"}, {"symbol": "BTC/USDT"}, "1m20s", "1m10s"),
    "TickdFeedDown": ({f"tickd_feed_connected{{{HERE}}}": "1x5 0x20"}, {}, "2m30s", "1m30s"),
    "TickdFeedLag": ({f"tickd_feed_lag_seconds{{{OF}}}": "1x5 1.1x20"}, {"symbol": "BTC/USDT"}, "3m", "1m"),
    "TickdFeedErrors": (
        {
            f'tickd_feed_errors_total{{{HERE},reason="json"}}': "0x30 0+2x60",
            f'tickd_feed_errors_total{{{HERE},reason="size"}}': "7x90",
        },
        {},
        "10m",
        "5m",
    ),
    "TickdBookUnsynced": (
        {
            f"tickd_book_synced{{{OF}}}": "1x5 0x60",
            f'tickd_feed_events_total{{{OF},type="depth"}}': "0+3x60",
            f'tickd_book_synced{{{HERE},symbol="no/depth"}}': "0x60",
            f'tickd_feed_events_total{{{HERE},symbol="no/depth",type="depth"}}': "0x60",
        },
        {"symbol": "BTC/USDT"},
        "3m",
        "1m30s",
    ),
    "TickdReconnects": (
        {
            f"tickd_feed_reconnects_total{{{HERE}}}": "0x30 1 2 3x60",
            f"tickd_venue_reconnects_total{{{HERE}}}": "0x40 1 2 3 4 5x60",
        },
        {},
        "9m",
        "6m50s",
    ),
    "TickdRingOverflow": (
        {f"tickd_ring_overflow_total{{{OF}}}": "0x20 9x60"},
        {"symbol": "BTC/USDT"},
        "4m",
        "9m20s",
    ),
    "TickdVenueDown": ({f"tickd_venue_up{{{HERE}}}": "1x5 0x20"}, {}, "2m30s", "1m30s"),
    "TickdOrdersUnknown": (
        {f"tickd_orders_unknown_age_seconds{{{HERE}}}": "0 10 20 30 40"},
        {},
        "40s",
        "30s",
    ),
    # the first rejection makes the series, so nothing grows from zero
    "TickdRejects": (
        {
            f'tickd_order_rejects_total{{{HERE},code="-2010"}}': "_x80 15x80",
            f'tickd_order_rejects_total{{{HERE},code="-1013"}}': "_x90 6x80",
            f"tickd_uptime_seconds{{{HERE}}}": "0+10x200",
        },
        {},
        "15m20s",
        "14m50s",
    ),
    "TickdVenueDifferences": ({f"tickd_venue_differences_total{{{HERE}}}": "0x20 1x80"}, {}, "4m", "15m"),
    "TickdStrategyFault": (
        {f'tickd_strategy_fault{{{HERE},strategy="ml"}}': "0x5 1x20"},
        {"strategy": "ml"},
        "1m10s",
        "40s",
    ),
    "TickdModelDrift": (
        {
            f'tickd_model_drift{{{HERE},strategy="ml",of="prediction"}}': "0.25x60 0.26x600",
            f'tickd_model_drift{{{HERE},strategy="ml",of="rsi"}}': "0.9x700",
        },
        {"strategy": "ml", "of": "prediction"},
        "71m",
        "69m",
    ),
    "TickdLiquidation": ({f"tickd_liquidation_distance{{{HERE}}}": "0.1x5 0.09x5"}, {}, "1m", "50s"),
    # 1 in 50 takes more than 1 ms
    "TickdLatencyBudget": (
        {
            f'tickd_stage_latency_seconds_bucket{{{HERE},stage="order",le="0.0005"}}': "0+98x120",
            f'tickd_stage_latency_seconds_bucket{{{HERE},stage="order",le="0.002"}}': "0+98x6 688+100x114",
            f'tickd_stage_latency_seconds_bucket{{{HERE},stage="order",le="+Inf"}}': "0+98x6 688+100x114",
        },
        {"stage": "order"},
        "8m",
        "5m50s",
    ),
    "TickdGarbagePauses": ({f"tickd_gc_pause_seconds_sum{{{HERE}}}": "0x30 0+0.5x120"}, {}, "14m", "8m"),
    "TickdJournalSyncLag": (
        {
            f"tickd_journal_unsynced_records{{{HERE}}}": "3x60",
            f"tickd_journal_syncs_total{{{HERE}}}": "0+40x12 480x40",
        },
        {},
        "4m",
        "2m30s",
    ),
    "TickdTapeFailing": ({f"tickd_tape_failing{{{HERE}}}": "0x5 1x5"}, {}, "1m", "50s"),
    "TickdTapeLag": ({f"tickd_tape_lag_seconds{{{HERE}}}": "10x5 11x20"}, {}, "2m30s", "1m30s"),
    "TickdTapeDropped": ({f"tickd_tape_dropped_total{{{HERE}}}": "0x20 5x60"}, {}, "4m", "9m20s"),
    "TickdMqttDown": ({f"tickd_mqtt_connected{{{HERE}}}": "1x5 0x20"}, {}, "2m30s", "1m30s"),
    "TickdMqttDropped": ({f"tickd_mqtt_dropped_total{{{HERE}}}": "0x20 5x60"}, {}, "4m", "9m20s"),
    "TickdLogDropped": ({f"tickd_log_dropped_total{{{HERE}}}": "0x20 5x60"}, {}, "4m", "9m20s"),
    "TickdDescriptors": (
        {f"process_open_fds{{{HERE}}}": "80x5 81x20", f"process_max_fds{{{HERE}}}": "100x30"},
        {},
        "2m30s",
        "1m30s",
    ),
}
#: which daemon it is
SPOT = {"instance": "spot", "job": "tickd"}


def promtool():
    """Return where it is; without it a test is skipped, and with CI in the environment fails."""
    found = shutil.which("promtool")
    if found is None:
        missing = "no promtool here (on Debian: apt-get install prometheus)"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def rules(text):
    """Return the rules of a file of this shape: each key on a line of its own."""
    parts = re.split(r"^ +- (?=alert:|record:)", text, flags=re.MULTILINE)[1:]
    return [dict(re.findall(r"^ *(\w+): (.+)$", part, re.MULTILINE)) for part in parts]


@pytest.fixture(scope="module")
def folder(root):
    return root / "deploy" / "prometheus"


@pytest.fixture(scope="module")
def alerts(folder):
    return {one["alert"]: one for one in rules((folder / "alerts.yml").read_text(encoding="utf-8"))}


def test_promtool_takes_the_configuration_and_finds_every_rule(folder, alerts):
    done = subprocess.run(
        [promtool(), "check", "config", "prometheus.yml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    recorded = len(rules((folder / "rules.yml").read_text(encoding="utf-8")))
    assert re.findall(r"(\d+) rules found", done.stdout) == [str(recorded), str(len(alerts))]


def expected(alert, labels):
    """Return the alert as it fires with these labels."""
    severity = re.search(r"severity: (\w+)", alert["labels"]).group(1)
    summary = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda at: labels[at[1]], alert["summary"].strip('"'))
    return {
        "exp_labels": {**labels, "severity": severity},
        "exp_annotations": {"summary": summary, "runbook": alert["runbook"]},
    }


def test_every_alert_fires_when_it_should_and_not_before(folder, alerts, tmp_path):
    """One run of promtool judges all: what it reads is written from CASES, as JSON, which is YAML."""
    assert list(CASES) == list(alerts)
    cases = []
    for name, (series, more, fires, quiet) in CASES.items():
        firing = expected(alerts[name], {**SPOT, **more})
        cases.append(
            {
                "name": name,
                "interval": "10s",
                "input_series": [{"series": one, "values": values} for one, values in series.items()],
                "alert_rule_test": [
                    {"eval_time": fires, "alertname": name, "exp_alerts": [firing]},
                    {"eval_time": quiet, "alertname": name, "exp_alerts": []},
                ],
            }
        )
    file = tmp_path / "alerts_test.yml"
    files = [str(folder / name) for name in ("rules.yml", "alerts.yml")]
    file.write_text(json.dumps({"rule_files": files, "evaluation_interval": "10s", "tests": cases}))
    done = subprocess.run([promtool(), "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_its_entry_in_the_runbook_with_a_command(root, alerts):
    page = (root / "docs" / "runbook.md").read_text(encoding="utf-8")
    entries = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert list(entries) == list(alerts)
    assert [
        name for name, entry in entries.items() if not re.search(r"^    tickd ", entry, re.MULTILINE)
    ] == []
    for name, alert in alerts.items():
        assert alert["runbook"] == f"docs/runbook.md#{name.lower()}"


def test_every_metric_that_a_rule_asks_for_is_one_that_the_daemon_tells(root, folder):
    page = (root / "docs" / "metrics.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(\w+)` ", page, re.MULTILINE))
    for name in ("rules.yml", "alerts.yml"):
        for rule in rules((folder / name).read_text(encoding="utf-8")):
            asked = set(re.findall(r"\b(?:tickd|process)_\w+", rule["expr"]))
            assert {re.sub(r"_(bucket|sum|count)$", "", one) for one in asked} <= told, rule

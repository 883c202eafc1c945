"""deploy/grafana: the dashboards are what their code makes, and hold together.

A live Prometheus answers their queries in tests/end_to_end/test_dashboards.py.
"""

from __future__ import annotations

import importlib.util
import json
import re

import pytest

BOARDS = ("latency", "trading", "runtime")


@pytest.fixture(scope="module")
def folder(root):
    return root / "deploy" / "grafana"


@pytest.fixture(scope="module")
def boards(folder):
    return {
        name: json.loads((folder / "dashboards" / f"{name}.json").read_text(encoding="utf-8"))
        for name in BOARDS
    }


@pytest.fixture(params=BOARDS)
def panels(request, boards):
    return boards[request.param]["panels"]


def test_the_files_are_what_the_code_makes(folder):
    spec = importlib.util.spec_from_file_location("make_dashboards", folder / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    files = {path.name: path.read_text(encoding="utf-8") for path in (folder / "dashboards").iterdir()}
    assert files == module.texts()


def test_ids_are_each_a_panel_s_own_and_titles_too(panels):
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids)
    titles = [panel["title"] for panel in panels if panel["type"] != "row"]
    assert len(set(titles)) == len(titles)


def test_no_panel_lies_on_another_or_beyond_the_edge(panels):
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_panel_has_a_unit_and_asks_the_chosen_instances_of_the_chosen_prometheus(panels):
    for panel in panels:
        if panel["type"] == "row":
            continue
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        assert [one["refId"] for one in panel["targets"]] == list("ABC"[: len(panel["targets"])])
        for target in panel["targets"]:
            asked = re.findall(r"\b(?:tickd|process)_\w+", target["expr"])
            assert asked
            assert target["expr"].count('{instance=~"$instance"') == len(asked), target["expr"]
            assert (
                target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            )


def test_the_dashboards_are_apart_and_know_of_each_other(boards):
    assert len({board["uid"] for board in boards.values()}) == len(BOARDS)
    for board in boards.values():
        variables = {one["name"]: one for one in board["templating"]["list"]}
        assert list(variables) == ["datasource", "instance"]
        assert variables["instance"]["multi"]
        assert board["links"][0]["tags"] == board["tags"] == ["tickd"]


def test_the_latency_s_dashboard_begins_with_what_it_is_about(boards):
    first = [panel for panel in boards["latency"]["panels"] if panel["type"] != "row"][:2]
    assert [panel["type"] for panel in first] == ["heatmap", "timeseries"]
    assert [one["legendFormat"].split()[-1] for one in first[1]["targets"]] == ["p50", "p99", "p99.9"]


def test_every_metric_that_a_panel_asks_for_is_told_and_all_but_a_replay_s_are_shown(root, boards):
    page = (root / "docs" / "metrics.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(\w+)` ", page, re.MULTILINE))
    text = json.dumps(boards)
    asked = {re.sub(r"_(bucket|sum|count)$", "", one) for one in re.findall(r"\b(?:tickd|process)_\w+", text)}
    assert asked <= told
    mine = {one for one in told if one.startswith("tickd_") and not one.startswith("tickd_replay")}
    #: counts that others say better: frames of events, entries of bytes, prices of profit
    unseen = {
        "tickd_feed_frames_total",
        "tickd_journal_records_total",
        "tickd_position_average_price",
        "tickd_tape_entries_total",
        "tickd_uptime_seconds",
    }
    assert mine - asked == unseen

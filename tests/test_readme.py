"""Every command of the README, and of the pages below docs/, exists as written and is run by a test."""

from __future__ import annotations

import re
import shlex
from typing import get_args

import pytest

from daemon.grammar import parse
from daemon.orders.audit import ALARMS
from daemon.orders.gates import GRAVITY
from daemon.status import DaemonState
from kernels.dtypes import REFUSAL_NAMES
from kernels.features import FEATURES, TUNING

_E2E = "tests/end_to_end/"
#: the first words of each command -> the test that runs it
RUN_BY = {
    "git": "tests/test_setup.py::test_a_fresh_clone_sets_itself_up_and_answers_at_once",
    "make": "tests/test_setup.py::test_make_alone_lists_every_command",
    "curl": f"{_E2E}test_trading.py::test_it_answers_over_its_socket_and_its_port_while_it_trades",
    "tickd demo": f"{_E2E}test_demos.py::test_it_trades_until_interrupted_and_sums_up_in_json",
    "tickd state": f"{_E2E}test_trading.py::test_halt_cancels_and_lasts_until_resume_and_flatten_ends_flat",
    "tickd top": f"{_E2E}test_trading.py::test_top_shows_it_line_by_line_until_it_is_gone",
    "tickd halt": f"{_E2E}test_trading.py::test_halt_cancels_and_lasts_until_resume_and_flatten_ends_flat",
    "tickd resume": f"{_E2E}test_trading.py::test_halt_cancels_and_lasts_until_resume_and_flatten_ends_flat",
    "tickd flatten": f"{_E2E}test_direct.py::test_it_leaves_nothing_and_the_next_daemon_knows_of_it",
    "tickd paper": f"{_E2E}test_trading.py::test_paper_trades_on_the_exchanges_feed_without_keys",
    "tickd run": f"{_E2E}test_refusals.py::test_real_orders_want_the_file_and_the_command_line_to_say_so",
    "tickd record": f"{_E2E}test_record.py::test_a_recording_is_stopped_and_replayed",
    "tickd replay": "tests/daemon/tape/test_replay.py::"
    "test_two_processes_that_hash_differently_agree_on_all_but_time",
    "tickd fetch": "tests/daemon/fetch/test_verb.py::test_days_appear_and_are_not_asked_for_again",
    "tickd convert": "tests/daemon/tape/test_convert.py::test_the_command_reports_in_json_and_in_words",
    "tickd backtest": "tests/daemon/research/test_backtest_verb.py::test_people_and_programs_are_told",
    "tickd sweep": "tests/daemon/research/test_sweep_verb.py::"
    "test_people_see_the_ranking_the_map_and_the_settings",
    "tickd bars": "tests/daemon/tape/test_bars.py::test_the_verb_writes_every_bar_and_prints_the_last",
    "tickd new": "tests/daemon/test_new_strategy.py::test_the_command_says_what_to_do_next",
    "tickd train": f"{_E2E}test_verbs.py::test_a_model_is_trained_and_then_replayed_by_two_commands",
    "tickd simulate": f"{_E2E}test_verbs.py::"
    "test_the_exchange_speaks_json_to_programs_and_ends_with_a_signal",
    "tickd bench": "tests/daemon/bench/test_latency.py::test_a_whole_run_skips_nothing",
    "tickd config": f"{_E2E}test_refusals.py::test_shown_configurations_hold_no_secret",
    "tickd journal": f"{_E2E}test_trading.py::test_the_summary_is_json_and_the_journal_lists_every_order",
    "tickd report": "tests/daemon/faces/test_report_verb.py::"
    "test_a_session_of_a_tape_is_its_run_with_the_gaps_of_its_feed",
}


@pytest.fixture(scope="module")
def commands(root):
    """The indented lines of all that are commands, their explanations cut off, as words."""
    return [
        shlex.split(re.split(r"\s{3,}", line.strip())[0])
        for name in (
            "README.md",
            *(
                f"docs/{page}.md"
                for page in (
                    "configuration",
                    "data",
                    "journal",
                    "operating",
                    "performance",
                    "runbook",
                    "simulator",
                    "strategies",
                    "sweeps",
                    "systemd",
                    "tape",
                )
            ),
        )
        for line in (root / name).read_text(encoding="utf-8").splitlines()
        if re.match(r"    (\.venv/bin/tickd|tickd|make|curl|git)\b", line)
    ]


def head(words):
    name = words[0].removeprefix(".venv/bin/")
    return f"{name} {words[1]}" if name == "tickd" else name


def test_the_readme_shows_how_to_use_every_verb_that_trades(commands):
    assert {head(words) for words in commands} == set(RUN_BY)


def test_every_command_of_tickd_is_understood_as_it_is_written(commands):
    mine = [words for words in commands if head(words).startswith("tickd")]
    assert mine
    for words in mine:
        assert parse(words[1:]).verb == words[1]


def test_every_target_of_make_is_in_the_makefile(root, commands):
    targets = re.findall(r"^([a-z]+):", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    asked = [word for words in commands if words[0] == "make" for word in words[1:] if "=" not in word]
    assert {"demo", "test", "verify", "lint"} <= set(asked)
    assert set(asked) <= set(targets)


@pytest.mark.parametrize("command", sorted(RUN_BY))
def test_a_test_runs_it(root, command):
    path, _, name = RUN_BY[command].partition("::")
    assert f"\ndef {name}(" in (root / path).read_text(encoding="utf-8")


def test_the_page_for_when_something_is_wrong_has_every_state_and_gate_and_no_alarm_there_is_not(root):
    page = (root / "docs" / "operating.md").read_text(encoding="utf-8")
    states = set(
        re.findall(r"\b[A-Z]{5,}\b", "\n".join(re.findall(r"^\| ([A-Z, ]+) \|", page, re.MULTILINE)))
    )
    assert states == set(get_args(DaemonState))
    words = set(re.findall(r"`([a-z_]+)`", page))
    assert {REFUSAL_NAMES[gate] for gate in GRAVITY} <= words
    alarms = re.findall(r"alarms?\s((?:`[a-z_]+`(?: and |, or |, )?)+)", page)
    named = {word for one in alarms for word in re.findall(r"`([a-z_]+)`", one)}
    assert {"in_doubt", "tape", "unprotected"} <= named <= set(ALARMS)


def test_every_feature_and_tuning_is_in_the_list_of_them(root):
    page = (root / "docs" / "features.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+)`", page))
    assert set(FEATURES) | set(TUNING) <= named


def anchors(text):
    """Return what links may name within a page: its headings, as they are named on the web."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_link_between_pages_leads_somewhere(root):
    pages = [*root.glob("*.md"), *(root / "docs").glob("*.md")]
    missing = []
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if "://" in link:
                continue
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
                missing.append(f"{page.name}: {link}")
    assert len(pages) > 10
    assert missing == []

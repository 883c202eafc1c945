from __future__ import annotations

from daemon.spans import STAGES, NoSpans, Spans
from kernels import stats


def recorded(spans):
    """Return what each stage counted and summed, in ns."""
    return {
        stage: (int(row[stats.HIST_COUNT]), int(row[stats.HIST_SUM]))
        for stage, row in zip(STAGES, spans.histograms, strict=True)
        if row.any()
    }


def test_a_drain_is_split_into_decoding_and_deciding():
    spans = Spans()
    spans.decided(1000, 1300, 1900)
    spans.decided(2000, 2100, 2200)
    assert recorded(spans) == {"decode": (2, 400), "decide": (2, 700)}


def test_a_turn_is_one_span():
    spans = Spans()
    spans.turned(1000, 1900)
    assert recorded(spans) == {"turn": (1, 900)}


def test_what_left_is_split_into_risk_record_and_sending_and_summed_from_the_wire():
    spans = Spans()
    spans.sent(1000, 1900, 2000, 2200, 2500)
    assert recorded(spans) == {"risk": (1, 100), "record": (1, 200), "send": (1, 300), "order": (1, 1500)}


def test_the_venues_first_word_has_a_stage_of_its_own():
    spans = Spans()
    spans.acknowledged(7_000_000)
    assert recorded(spans) == {"ack": (1, 7_000_000)}


def test_on_virtual_time_nothing_is_recorded():
    spans = NoSpans()
    spans.decided(1000, 1300, 1900)
    spans.sent(1000, 1900, 2000, 2200, 2500)
    spans.acknowledged(7)
    assert recorded(spans) == {}

from __future__ import annotations

from daemon.spans import SLOWEST_NS, STAGES, NoSpans, Spans
from daemon.status import SlowTick
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


def slowest(spans, now_ns=0):
    return {
        stage: (one.seq, round(one.span_s * 1e9))
        for stage, one in zip(STAGES, spans.slowest(now_ns), strict=True)
        if one is not None
    }


def test_off_the_record_no_tick_is_the_slowest():
    spans = Spans()
    spans.turned(1000, 1900)
    spans.decided(1000, 1300, 1900)
    spans.sent(1000, 1900, 2000, 2200, 2500)
    assert slowest(spans) == {}


def test_the_slowest_tick_of_each_stage_is_kept_with_its_entry_on_the_tape():
    spans, seqs = Spans(), iter(range(70, 99))
    spans.find_by(lambda: next(seqs))
    spans.turned(1000, 1900)
    spans.turned(1000, 1900)  # no slower
    spans.turned(2000, 3000)
    spans.turned(3000, 3500)
    assert slowest(spans) == {"turn": (71, 1000)}
    assert spans.slowest(0)[STAGES.index("turn")] == SlowTick(71, 1e-6, 3e-6)
    spans.decided(1000, 1300, 1900)
    spans.sent(1000, 1900, 2000, 2200, 2500)
    assert slowest(spans) == {
        "turn": (71, 1000),
        "decode": (72, 300),
        "decide": (73, 600),
        "order": (74, 1500),
    }


def test_a_slow_tick_is_told_of_for_one_to_two_spells_and_then_forgotten():
    spans = Spans()
    spans.find_by(lambda: 7)
    spell = SLOWEST_NS + 1
    assert slowest(spans, spell) == {}
    spans.turned(0, 900)
    assert slowest(spans, 2 * spell) == {"turn": (7, 900)}
    spans.turned(0, 500)  # a spell of its own, and still behind the one before
    assert slowest(spans, 2 * spell + 1) == {"turn": (7, 900)}
    assert slowest(spans, 3 * spell) == {"turn": (7, 500)}
    assert slowest(spans, 4 * spell) == {}

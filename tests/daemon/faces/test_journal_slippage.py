from __future__ import annotations

import pytest

from daemon.errors import UsageError
from daemon.faces.journal import run
from daemon.faces.journal_slippage import Part, compare, comparison, span
from daemon.options import JournalOptions
from tests.daemon.faces.conftest import records_of, write_out
from tests.daemon.orders.conftest import SECOND, START_NS, World

MID = 11_999_000  # in half ticks: 59,995
NOTHING = (0, 0, None, None, None)


def traded(fills=((60, 5_999_900, True), (40, 6_000_100, False)), qty=100, answer_s=0.25, side=None):
    """One order of a hundred lots, answered after a while and filled a second later."""
    world = World()
    world.later(1)
    order = world.place(qty=qty, decided=MID)
    world.later(answer_s)
    world.report("NEW", order)
    world.later(1)
    for number, (lots, ticks, is_maker) in enumerate(fills, 1):
        world.fill(order, number, lots, last_ticks=ticks, is_maker=is_maker)
    return world


def compared(this, other, since_ns=None, until_ns=None, chosen=lambda pair: True):
    return compare(lambda: records_of(this), lambda: records_of(other), since_ns, until_ns, chosen)


def only(found) -> tuple[Part, Part]:
    (pair,) = found.pairs
    assert (pair.strategy, pair.instrument) == ("maker", "BTC/USDT")
    return pair.this, pair.other


def test_each_journals_fills_are_measured_against_the_mid_they_were_decided_on():
    this, other = only(compared(traded(), traded(((50, 6_000_500, False),), answer_s=0.5)))
    assert (this.orders, this.fills, this.filled) == (1, 2, 1.0)
    cheap, dear = 59_999 * 60, 60_001 * 40
    assert this.maker == pytest.approx(cheap / (cheap + dear))
    paid = 4 * 60 + 6 * 40  # above the mid of 59,995
    assert this.slippage_bps == pytest.approx(paid / (cheap + dear) * 1e4)
    assert this.slippage_bps_p50 == pytest.approx((4 / 59_999 + 6 / 60_001) / 2 * 1e4)
    assert this.slippage_bps_p90 == pytest.approx(6 / 60_001 * 1e4)
    assert (this.answer_ms_p50, this.fill_ms_p50) == (250.0, 1250.0)
    assert (other.orders, other.fills, other.filled, other.maker) == (1, 1, 0.5, 0.0)
    assert other.slippage_bps == pytest.approx(10 / 60_005 * 1e4)
    assert (other.answer_ms_p50, other.answer_ms_p90, other.fill_ms_p50) == (500.0, 500.0, 1500.0)


def test_an_order_that_nobody_answered_or_filled_has_no_such_times():
    this, _ = only(compared(traded(fills=()), traded()))
    assert (this.orders, this.fills, this.filled, this.maker, this.slippage_bps) == (1, 0, 0.0, None, None)
    assert (this.answer_ms_p50, this.fill_ms_p50) == (250.0, None)
    silent = World()
    silent.later(1)
    silent.place(qty=100)
    silent.later(2)
    unanswered, _ = only(compared(silent, traded()))
    assert (unanswered.orders, unanswered.answer_ms_p50) == (1, None)


def test_what_one_has_and_the_other_lacks_stands_beside_nothing():
    empty = World()
    empty.later(3)
    empty.report("CANCELED", empty.place(qty=1, level=3))
    this, other = only(compared(traded(), empty, until_ns=START_NS + 2 * SECOND))
    assert (this.orders, this.filled) == (1, 1.0)
    assert (other.orders, other.fills, other.filled, other.maker, other.slippage_bps) == NOTHING


def test_only_orders_placed_in_the_time_both_tell_of_count():
    long, short = traded(), traded()
    long.later(5)
    late = long.place(qty=100, level=2, decided=MID)
    long.fill(late, 9, 100, last_ticks=6_000_000)
    this, _ = only(compared(long, short))
    assert (this.orders, this.fills) == (1, 2)
    found = compared(long, short, since_ns=START_NS + 2 * SECOND)
    assert found is not None
    assert found.pairs == []  # the order is from before, and so are its fills
    assert compared(long, short, since_ns=START_NS + 60 * SECOND) is None


def test_a_journals_span_has_its_mode():
    world = traded()
    told = span(records_of(world))
    assert (told.begin_ns, told.end_ns, told.mode) == (START_NS, world.time.now_ns(), "")


def test_the_table_has_a_line_for_each_journal():
    found = compared(traded(), traded())
    found.this_mode, found.other_mode = "live", "paper"
    first, _, header, live, paper, *_ = comparison(found)
    assert first == "orders placed from 2023-11-14 22:13:20.000000 to 2023-11-14 22:13:22.250000 UTC"
    assert header.split()[:3] == ["strategy", "instrument", "journal"]
    assert live.split()[:7] == ["maker", "BTC/USDT", "live", "1", "100.0%", "2", "60.0%"]
    assert paper.split()[:4] == ["paper", "1", "100.0%", "2"]
    found.this_mode = "paper"
    assert [line.split()[:2] for line in list(comparison(found))[4:5]] == [["paper,", "other"]]


def test_the_verb_compares_two_folders(tmp_path, capsys):
    this, other = tmp_path / "this", tmp_path / "other"
    this.mkdir()
    other.mkdir()
    write_out(traded(), this)
    write_out(traded(), other)
    assert run(JournalOptions(folder=this, slippage=other)) == 0
    assert "100.0%" in capsys.readouterr().out
    assert run(JournalOptions(folder=this, slippage=other, json=True)) == 0
    assert '"slippage_bps_p50"' in capsys.readouterr().out
    with pytest.raises(UsageError, match="holds no strategy 'taker'"):
        run(JournalOptions(folder=this, slippage=other, strategy="taker"))
    with pytest.raises(UsageError, match="no time in common"):
        run(JournalOptions(folder=this, slippage=other, since_ns=START_NS + 60 * SECOND))
    with pytest.raises(UsageError, match="holds no journal"):
        run(JournalOptions(folder=this, slippage=tmp_path))
    with pytest.raises(UsageError, match="takes no --order"):
        run(JournalOptions(folder=this, slippage=other, order="x"))

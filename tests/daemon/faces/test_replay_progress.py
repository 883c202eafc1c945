"""A replay's progress bar."""

from __future__ import annotations

import io

from rich.console import Console

from daemon.clock import VirtualTime
from daemon.faces.replay_progress import progress

SECOND = 1_000_000_000
AT = 1_723_161_254 * SECOND


def drawn(told, last_ns, *, terminal=True):
    out, time = io.StringIO(), VirtualTime(5)
    console = Console(file=out, force_terminal=terminal, width=100)
    with progress(console, time, AT, last_ns) as tell:
        for after_s, at_ns, count in told:
            time.advance(time.now_ns() + int(after_s * SECOND))
            tell(at_ns, count)
    return out.getvalue()


def test_it_is_drawn_once_it_takes_a_second_and_says_where_it_is():
    text = drawn([(0.5, AT, 10), (1.5, AT + 60 * SECOND, 4_000)], AT + 120 * SECOND)
    assert "2024-08-08 23:55:14" in text
    assert "4,000 entries, 2,000/s" in text


def test_an_end_that_nobody_knows_is_no_hindrance():
    assert "entries" in drawn([(2, AT, 10)], 0)


def test_a_short_one_is_not_drawn_and_none_where_nobody_looks():
    assert drawn([(0.5, AT, 10), (0.2, AT, 10)], 0) == ""
    assert drawn([(2, AT, 10)], 0, terminal=False) == ""

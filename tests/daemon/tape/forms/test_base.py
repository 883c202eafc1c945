"""What lasts from source to source: grids, checks, and the next seq."""

from __future__ import annotations

import pytest

from daemon.tape.forms.base import FinerGridError, Grid, Series, State, count_of, decimals_of

SERIES = Series(
    exchange="binance", market="spot", symbol="BTC/USDT", exchange_symbol="BTCUSDT", clock="received"
)


def test_a_grid_is_the_first_one_until_a_number_needs_a_finer():
    state = State({})
    assert state.grid(SERIES, Grid(2, 5)) == Grid(2, 5)
    assert state.grid(SERIES, Grid(1, 3)) == Grid(2, 5)
    with pytest.raises(FinerGridError) as finer:
        state.grid(SERIES, Grid(1, 6))
    assert (finer.value.key, finer.value.grid) == (("binance", "BTC/USDT"), Grid(2, 6))


def test_a_grid_can_be_asked_to_have_more_decimals():
    state = State({})
    state.at_least(SERIES, Grid(2, 5))
    state.at_least(SERIES, Grid(3, 1))
    assert state.grids[SERIES.key] == Grid(3, 5)
    state.widen(SERIES, Grid(4, 5))
    assert state.grid(SERIES, Grid()) == Grid(4, 5)


def test_checks_go_on_from_file_to_file():
    state = State({})
    first = state.checks_of(SERIES, "a")
    assert state.checks_of(SERIES, "b") is first
    assert first.file == "b"


def test_a_header_has_the_steps_of_the_grid():
    header = SERIES.header(Grid(2, 5, 7), "capture", "0.1.0")
    assert (header.tick, header.lot, header.money) == ("0.01", "0.00001", "0.0000001")
    assert (header.source, header.symbol, header.clock) == ("capture", "BTC/USDT", "received")


def test_floats_are_counted_by_the_shortest_text_that_gives_them():
    assert (count_of(61837.63, 2), count_of(1e-05, 5), count_of(3.0, 0)) == (6_183_763, 1, 3)
    assert [decimals_of(one) for one in (61837.63, 1e-05, 3.0, 1e15)] == [2, 5, 0, 0]
    with pytest.raises(ValueError, match="more than 1 decimals"):
        count_of(0.25, 1)

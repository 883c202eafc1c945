"""The bench of fetching fetches what it says, and its yardstick is the one that is wanted."""

from __future__ import annotations

import pytest

from tests.bench import fetch


@pytest.mark.parametrize(
    ("at_once", "least", "allowed"), [(5, 0.5, 0.625), (10, 0.25, 0.3375), (25, 0.1, 0.165)]
)
def test_what_is_wanted_is_the_waiting_and_little_more(at_once, least, allowed):
    assert fetch.least_s(at_once) == pytest.approx(least)
    assert fetch.allowed_s(at_once) == pytest.approx(allowed)


def test_a_round_asks_50_times_and_waits_at_least_as_long_as_it_must():
    with fetch.server(0.01) as url:
        (took,) = fetch.rounds(url, 25, 144, 1)
    assert took.whole_s >= took.answers_s >= 0.02


def test_trades_of_one_day_are_all_fetched():
    with fetch.server(0.0, 2_500) as url:
        found = fetch.fetch(symbols=("BTC/USDT",), end=fetch.DAY + 1, url=url, at_once=3, what="trades")
    assert (found.rows, found.days, found.findings) == (2_500, 1, {})

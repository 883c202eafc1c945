from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import ConfigError
from daemon.orders.ids import Ids, next_run

BORN_NS = 1_577_836_800_000_000_000


def test_ids_count_up_within_the_run():
    ids = Ids("maker", 7)
    assert [ids.next(), ids.next()] == ["maker-7-1", "maker-7-2"]
    assert ids.seq == 2


@given(run=st.integers(1, 10**9 - 1), seq=st.integers(1, 10**9 - 1))
def test_an_id_is_read_back_and_fits_what_exchanges_allow(run, seq):
    ids = Ids("a-name_of-16char", 1)
    text = ids.at(run, seq)
    assert len(text) <= 36
    assert ids.parse(text) == (run, seq)


@pytest.mark.parametrize(
    "text",
    ["", "web_1", "maker", "maker-", "maker-7", "maker-7-", "maker-7-x", "maker-07-1", "other-7-1",
     "xmaker-7-1", "maker-7-1-2", "maker--1", "maker-7-\u0661"],
)  # fmt: skip
def test_foreign_ids_are_not_taken_for_ours(text):
    assert Ids("maker", 1).parse(text) is None


@pytest.mark.parametrize("prefix", ["", "-x", "a b", "ä", "a" * 17, "x/y"])
def test_a_prefix_exchanges_would_refuse_is_refused(prefix):
    with pytest.raises(ConfigError, match="cannot begin a client order id"):
        Ids(prefix, 1)


def test_run_numbers_rise_with_the_journal_and_without_it():
    assert next_run(5, BORN_NS) == 6
    assert next_run(5, BORN_NS + 100 * 10**9) == 100
    assert next_run(100, BORN_NS + 100 * 10**9) == 101
    assert next_run(0, 0) == 1

"""Names of trades: numbers stay what they are, every other name is the same number everywhere."""

from __future__ import annotations

from daemon.feeds.trade_names import trade_id


def test_a_name_is_the_same_number_in_every_process() -> None:
    assert trade_id("20f43950-d8dd-5b31-9112-a178eb6023af") == 4024261522799214717
    assert trade_id("2290000000061666327") == 2290000000061666327
    for name in ("9" * 30, "\u0661", "", "a" * 64):
        assert 0 <= trade_id(name) < 1 << 62

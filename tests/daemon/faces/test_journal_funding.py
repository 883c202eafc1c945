from __future__ import annotations

from decimal import Decimal

from daemon.events import Funding
from daemon.faces.journal_funding import FundingSums
from daemon.orders.records import FundingNamed


def part(amount: str, number: int, instrument: int = 0, at: int = 10) -> Funding:
    return Funding(at, "USDT", Decimal(amount), at, number, instrument)


def sums(since_ns: int = 0) -> FundingSums:
    return FundingSums(since_ns, ["A/B", "C/B"].__getitem__)


def test_what_the_stream_told_of_all_positions_together_is_parted_by_the_list():
    funding = sums()
    assert not funding
    funding.add(Funding(10, "USDT", Decimal("-0.3"), 10))
    assert funding.told() == {"": {"USDT": "-0.3"}}
    for _ in range(2):  # the second time by a run that did not know of the first
        funding.name(FundingNamed(20, [part("-0.5", 1), part("0.2", 2, 1)]))
    assert funding.told() == {"A/B": {"USDT": "-0.5"}, "C/B": {"USDT": "0.2"}}


def test_what_was_before_the_time_that_is_told_of_is_not_named_in_it():
    funding = sums(since_ns=11)
    funding.name(FundingNamed(20, [part("-0.5", 1)]))
    assert funding.told() == {}
    assert not funding

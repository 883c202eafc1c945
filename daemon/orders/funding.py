"""Funding: what open derivatives cost or bring by themselves, journalled and then believed, once each.

The user data stream tells of it at once and without a number; the venue's list of incomes has a number and
is asked for with each snapshot, so that what came while nobody listened is found. What both tell is one
funding: the same amount within a minute, or one amount and the several that come to it, since the stream may
tell of all positions together. Where amounts come to another by chance, the balance says so at the next look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.orders.records import FundingNamed, pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from daemon.events import Funding, VenueSnapshot
    from daemon.orders.manager import Orders

#: what is one funding to both sources is stamped by them within
_NEAR_NS: Final = 60_000_000_000
#: a list asked for so long after a funding has it
_LISTED_NS: Final = 3_600_000_000_000


class Fundings:
    """Which fundings are accounted for, of both sources."""

    def __init__(self) -> None:
        self.since_ns = 0  # by the venue's clock: earlier ones are in the balances; 0: it was never met
        self.ids: dict[int, int] = {}  # the venue's number -> when it was
        self.loose: list[Funding] = []  # accounted for, and told by one of the sources only so far
        self.named: list[Funding] = []  # of the last list: what the stream had told of without an instrument

    def remember(self, funding: Funding) -> None:
        """Take note of one that is being accounted for."""
        self.loose.append(funding)
        if funding.id:
            self.ids[funding.id] = funding.exch_ns

    def is_news(self, told: Funding) -> bool:
        """Whether one that the stream tells is not accounted for yet."""
        return not self._settles(told)

    def missing(self, listed: Sequence[Funding], asked_ns: int) -> list[Funding]:
        """Return those of the venue's list that are not accounted for yet.

        asked_ns: when it was asked for by the venue's clock, which has stamped them: ours may be set anew.
        """
        self.since_ns = min(self.since_ns or asked_ns, asked_ns)  # an older version's is by our clock
        news = [one for one in listed if one.exch_ns >= self.since_ns and one.id not in self.ids]
        self.ids.update((one.id, one.exch_ns) for one in news)
        listed = news
        news = [one for one in news if not self._settles(one)]
        for told in [one for one in self.loose if not one.id]:
            parts = [one for one in news if _is_near(one, told)]
            if parts and sum(one.amount for one in parts) == told.amount:
                self.loose.remove(told)
                news = [one for one in news if one not in parts]
        self.named = [one for one in listed if one not in news and one.instrument >= 0]
        self._forget(asked_ns - _LISTED_NS)
        return news

    def _settles(self, one: Funding) -> bool:
        """Whether what the other source told comes to this one, which then is known to both."""
        others = [other for other in self.loose if _is_near(one, other)]
        same = [other for other in others if other.amount == one.amount][:1]
        if not same and others and sum(other.amount for other in others) == one.amount:
            same = others
        for other in same:
            self.loose.remove(other)
        return bool(same)

    def _forget(self, before_ns: int) -> None:
        """Count on it that the list has had what was before."""
        if before_ns > self.since_ns:
            self.since_ns = before_ns
            oldest_ns = before_ns - _NEAR_NS
            self.loose = [one for one in self.loose if one.exch_ns >= oldest_ns]
            self.ids = {number: at_ns for number, at_ns in self.ids.items() if at_ns >= oldest_ns}


def _is_near(one: Funding, other: Funding) -> bool:
    """Whether two may be the same, told by different sources."""
    return (
        one.asset == other.asset
        and bool(one.id) != bool(other.id)
        and abs(one.exch_ns - other.exch_ns) <= _NEAR_NS
    )


def take_funding(orders: Orders, funding: Funding) -> None:
    """Account for what the stream tells: the wallet moves and the day's result, no strategy's position.

    In cross margin the venue names the asset alone; which instrument it was of, its list says later.
    """
    if not orders.closed and orders.portfolio.fundings.is_news(funding):
        _account_for(orders, [funding])


def meet_fundings(orders: Orders, snapshot: VenueSnapshot, asked_ns: int) -> list[str]:
    """Account for what nobody told of, in a snapshot asked for at `asked_ns`; return a sentence for each."""
    fundings = orders.portfolio.fundings
    news = fundings.missing(snapshot.funding, snapshot.venue_ns or asked_ns)
    _account_for(orders, news)
    if fundings.named:
        orders.record(pack(FundingNamed(asked_ns, fundings.named)))
    return [
        f"funding of {one.amount.normalize():f} {one.asset} came unheard, and is accounted for now"
        for one in news
    ]


def _account_for(orders: Orders, fundings: Iterable[Funding]) -> None:
    for funding in fundings:
        orders.record(pack(funding))
        orders.portfolio.fund(funding)

"""Orders in doubt: asked about until the venue's word, or the absence rule, ends the doubt.

Queries are repeated, at growing distances: asking twice changes nothing at the venue. An order the venue
counts more trades of than we saw needs those trades: they are asked for by the order, whose answer leads to
them, and by time, with a snapshot. Absence: not found by so many queries, for so long that the venue's own
windows have closed and its queries lag no more, and in no list of orders and trades that was asked for after
that. So long is counted from the latest of these: the doubt began, the venue had word of the order, the venue
could be asked again. What was sent or last told of is before the doubt. What traded in part is absent by the
same rule, as an exchange may forget it: its trades are known by then, since that look at the trades goes back
to when it was sent, and each one found begins the count anew. One that owes trades is not: the venue has
counted what nobody listed yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from daemon.orders.audit import Alarm

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.orders.audit import Audit
    from daemon.orders.order import Order
    from daemon.seams import Clock, Scheduler, Timer
    from daemon.venues.base import Venue

#: exits are refused at every tick: the venue's word is asked for no more often for that
_REFUSED_NS: Final = 5_000_000_000
#: trades that an order owes for so long are a person's matter
_OWED_NS: Final = 60_000_000_000
#: so is a doubt that lasts so much longer than an absence takes
_LONG_NS: Final = 240_000_000_000
#: where the venue could not be asked meanwhile, it has at least so long to end it once it can
_BACK_NS: Final = 60_000_000_000


class OrderRules(msgspec.Struct, frozen=True, kw_only=True):
    """The times of an order's life at the venue; tests scale them down together with the venue's own lags."""

    answer_ns: int = 2_000_000_000  # no answer for so long makes an order UNKNOWN
    query_ns_first: int = 250_000_000  # distance of the first two queries; it doubles
    query_ns_max: int = 10_000_000_000
    #: receive window (5 s) + 10 s + skew, and 60 s at least, of a doubt without a word of the order
    absence_ns: int = 60_000_000_000
    not_found_min: int = 4  # answers "not found" it takes
    foreign: str = "cancel"  # open orders we never sent: "cancel", "adopt" or "ignore"
    ended_max: int = 4096  # ended orders kept for late reports


class Doubt(msgspec.Struct, gc=False):
    """One order asked about."""

    order: Order
    next_ns: int
    distance_ns: int
    owed_ns: int  # on the monotonic clock: a person is told when it owes trades at that time
    long_ns: int  # likewise: or when it is in doubt at that time for whatever else
    absent_ns: int = 0  # likewise: before that it is not absent, however the wall clock was set
    not_found: int = 0
    told: tuple[str, ...] = ()  # the kinds of alarms that it was


class Doubts:
    """The orders in doubt, and when each is asked about next."""

    def __init__(
        self,
        clock: Clock,
        scheduler: Scheduler,
        venue: Venue,
        rules: OrderRules,
        owes_trades: Callable[[Order], bool],
        tell: Callable[[Audit], object],
    ) -> None:
        #: asks for a snapshot of balances, open orders and trades; Recovery.meet takes the answer
        self.ask_snapshot: Callable[[], None] = _nobody
        self.trades_asked_ns = -1  # when the latest snapshot taken over was asked for
        self._refused_ns = 0  # when it may next be asked for because an exit was refused, monotonic
        self._clock = clock
        self._scheduler = scheduler
        self._venue = venue
        self._rules = rules
        self._owes_trades = owes_trades
        self._tell = tell
        self._by_id: dict[str, Doubt] = {}
        self._timer: Timer | None = None
        self._timer_ns = 0

    def add(self, order: Order, now_ns: int) -> None:
        """Begin to ask about an order, at once."""
        if order.client_order_id not in self._by_id:
            first_ns = self._rules.query_ns_first
            mono_ns = self._clock.mono_ns()
            long_ns = mono_ns + self._rules.absence_ns + _LONG_NS
            doubt = Doubt(order, now_ns + first_ns, first_ns, mono_ns + _OWED_NS, long_ns)
            self._by_id[order.client_order_id] = doubt
            self._count_anew(doubt)
            if not self._owes_trades(order) and self._venue.up:
                self._venue.query(order)
            self._arm()

    def drop(self, order: Order) -> None:
        """Stop asking: the doubt is over."""
        self._by_id.pop(order.client_order_id, None)

    def clock_stepped(self, step_ns: int) -> None:
        """Take the step of a clock that was set anew, which is no time that passed."""
        for doubt in self._by_id.values():
            doubt.next_ns += step_ns
        self._timer_ns += step_ns
        self.trades_asked_ns += step_ns

    def close(self) -> None:
        """Stop asking about anything, for good."""
        self._by_id.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def hurry(self, order: Order, now_ns: int) -> None:
        """Ask again soon: there was word of it. Not at once, lest a burst of fills be a burst of queries."""
        doubt = self._by_id.get(order.client_order_id)
        if doubt is not None:
            self._count_anew(doubt)
            self._hurry(doubt, now_ns)
            self._arm()

    def count_anew(self, order: Order) -> None:
        """Begin to count its absence anew: the venue has it."""
        doubt = self._by_id.get(order.client_order_id)
        if doubt is not None:
            self._count_anew(doubt)

    def count_all_anew(self) -> None:
        """Begin to count every absence anew: the venue is back, and while it was away nobody was asked."""
        for doubt in self._by_id.values():
            self._count_anew(doubt)
            doubt.long_ns = max(doubt.long_ns, doubt.absent_ns + _BACK_NS)

    def _count_anew(self, doubt: Doubt) -> None:
        doubt.not_found = 0
        doubt.absent_ns = self._clock.mono_ns() + self._rules.absence_ns

    def hurry_all(self, now_ns: int) -> None:
        """Ask about all again soon: the venue is back."""
        for doubt in self._by_id.values():
            self._hurry(doubt, now_ns)
        self._arm()

    def _hurry(self, doubt: Doubt, now_ns: int) -> None:
        doubt.distance_ns = self._rules.query_ns_first
        doubt.next_ns = min(doubt.next_ns, now_ns + doubt.distance_ns)

    def not_found(self, order: Order) -> bool:
        """Count an answer "not found"; return whether the absence rule is now fulfilled."""
        doubt = self._by_id.get(order.client_order_id)
        if doubt is None or self._owes_trades(order):
            return False
        doubt.not_found += 1
        over_ns = self._clock.mono_ns() - doubt.absent_ns
        if doubt.not_found < self._rules.not_found_min or over_ns < 0:
            return False
        if self.trades_asked_ns < self._clock.now_ns() - over_ns:
            self.ask_snapshot()
            return False
        return True

    def ask_after_refusal(self) -> None:
        """Ask what the account has: the venue refused an order that reduces."""
        now_ns = self._clock.mono_ns()
        if now_ns >= self._refused_ns:
            self._refused_ns = now_ns + _REFUSED_NS
            self.ask_snapshot()

    def _arm(self) -> None:
        if not self._by_id:
            return
        when_ns = min(doubt.next_ns for doubt in self._by_id.values())
        if self._timer is not None:
            if self._timer_ns <= when_ns:
                return
            self._timer.cancel()
        self._timer_ns = when_ns
        self._timer = self._scheduler.call_at(when_ns, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now_ns = self._clock.now_ns()
        wants_trades = False
        for doubt in list(self._by_id.values()):
            if doubt.next_ns > now_ns:
                continue
            doubt.distance_ns = min(2 * doubt.distance_ns, self._rules.query_ns_max)
            left_ns = doubt.absent_ns - self._clock.mono_ns()  # a market is closed meanwhile: at once then
            doubt.next_ns = now_ns + min(doubt.distance_ns, left_ns if left_ns > 0 else doubt.distance_ns)
            if not self._venue.up:
                continue
            self._venue.query(doubt.order)
            wants_trades |= self._owes_trades(doubt.order)
            self._tell_long(doubt, now_ns)
        if wants_trades:
            self.ask_snapshot()
        self._arm()

    def _tell_long(self, doubt: Doubt, now_ns: int) -> None:
        """Tell a person, once of each kind, of what the venue does not settle by itself."""
        cid, mono_ns = doubt.order.client_order_id, self._clock.mono_ns()
        if self._owes_trades(doubt.order):
            if mono_ns < doubt.owed_ns or "lost_trades" in doubt.told:
                return
            text = (
                f"the venue counts more of {cid} than the trades it lists: position and balance may be "
                "wrong, and nothing is added to them until it lists the rest"
            )
            alarm = Alarm("lost_trades", text, now_ns)
        else:
            if mono_ns < doubt.long_ns or "in_doubt" in doubt.told:
                return
            text = (
                f"the venue has not said for minutes how order {cid} stands, and nothing is added to a "
                "position in its market until it does: look at it there"
            )
            alarm = Alarm("in_doubt", text, now_ns)
        doubt.told += (alarm.kind,)
        self._tell(alarm)


def _nobody() -> None:
    """Nobody can be asked yet."""

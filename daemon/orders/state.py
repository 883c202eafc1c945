"""The life of an order, as one table: (state, event) -> state. What is not in it raises.

Two principles fill it. An order ends only on the venue's evidence, so doubt (no answer in time, a refused
cancel, missing from the venue's list) leads to UNKNOWN and never to an end. And reports come late, twice
and in any order, so whatever a legitimate stream of reports can become by that has a row, while what
contradicts itself (accepted after rejected, filled after rejected) has none.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from daemon.errors import TickdError
from daemon.orders.order import State


class Event(IntEnum):
    """What can happen to an order."""

    ACCEPTED = 0  # the venue has it
    REJECTED = 1  # the venue refused it, or its bytes certainly did not leave
    PART_FILL = 2
    LAST_FILL = 3
    CANCEL_ASKED = 4  # by us
    REPLACE_ASKED = 5  # by us
    REPLACED = 6
    CANCELED = 7
    EXPIRED = 8
    DOUBT = 9  # no answer in time, a refused cancel or amend, or missing where it should be: ask
    STANDS = 10  # the answer to a query: it is open
    ABSENT = 11  # the absence rule is fulfilled


class TransitionError(TickdError):
    """A report contradicts what the venue said before; the sentence names order, state and event."""


_S, _E = State, Event

#: one line a state, one entry an event; odd ones say why
TABLE: Final[dict[State, dict[Event, State]]] = {
    _S.PENDING_NEW: {
        _E.ACCEPTED: _S.WORKING,
        _E.REJECTED: _S.REJECTED,
        _E.PART_FILL: _S.PARTIALLY_FILLED,  # the fill overtook the acknowledgement
        _E.LAST_FILL: _S.FILLED,
        _E.CANCEL_ASKED: _S.PENDING_CANCEL,
        _E.CANCELED: _S.CANCELED,
        _E.EXPIRED: _S.EXPIRED,  # an IOC that met nothing
        _E.DOUBT: _S.UNKNOWN,
        _E.STANDS: _S.WORKING,
    },
    _S.WORKING: {
        _E.ACCEPTED: _S.WORKING,  # told twice
        _E.REJECTED: _S.REJECTED,  # a stop may be refused at the moment it triggers
        _E.PART_FILL: _S.PARTIALLY_FILLED,
        _E.LAST_FILL: _S.FILLED,
        _E.CANCEL_ASKED: _S.PENDING_CANCEL,
        _E.REPLACE_ASKED: _S.PENDING_REPLACE,
        _E.REPLACED: _S.WORKING,  # told twice
        _E.CANCELED: _S.CANCELED,
        _E.EXPIRED: _S.EXPIRED,
        _E.DOUBT: _S.UNKNOWN,
        _E.STANDS: _S.WORKING,
    },
    _S.PARTIALLY_FILLED: {
        _E.ACCEPTED: _S.PARTIALLY_FILLED,  # overtaken by the fill
        _E.REJECTED: _S.REJECTED,  # the rest of a triggered stop
        _E.PART_FILL: _S.PARTIALLY_FILLED,
        _E.LAST_FILL: _S.FILLED,
        _E.CANCEL_ASKED: _S.PENDING_CANCEL,
        _E.REPLACE_ASKED: _S.PENDING_REPLACE,
        _E.REPLACED: _S.PARTIALLY_FILLED,  # told twice
        _E.CANCELED: _S.CANCELED,
        _E.EXPIRED: _S.EXPIRED,
        _E.DOUBT: _S.UNKNOWN,
        _E.STANDS: _S.PARTIALLY_FILLED,
    },
    _S.PENDING_REPLACE: {
        _E.ACCEPTED: _S.PENDING_REPLACE,  # told twice
        _E.REJECTED: _S.REJECTED,
        _E.PART_FILL: _S.PENDING_REPLACE,  # the amend is still on its way
        _E.LAST_FILL: _S.FILLED,
        _E.CANCEL_ASKED: _S.PENDING_CANCEL,
        _E.REPLACED: _S.WORKING,
        _E.CANCELED: _S.CANCELED,
        _E.EXPIRED: _S.EXPIRED,
        _E.DOUBT: _S.UNKNOWN,
        _E.STANDS: _S.PENDING_REPLACE,  # the query was answered before the amend arrived
    },
    _S.PENDING_CANCEL: {
        _E.ACCEPTED: _S.PENDING_CANCEL,
        _E.REJECTED: _S.REJECTED,  # the placing was refused while the cancel flew
        _E.PART_FILL: _S.PENDING_CANCEL,  # the cancel is still on its way
        _E.LAST_FILL: _S.FILLED,  # the fill won the race
        _E.REPLACED: _S.PENDING_CANCEL,  # the amend asked for before the cancel
        _E.CANCELED: _S.CANCELED,
        _E.EXPIRED: _S.EXPIRED,
        _E.DOUBT: _S.UNKNOWN,
        _E.STANDS: _S.PENDING_CANCEL,  # the query was answered before the cancel arrived
    },
    # left by a query's answer or by an end: an acknowledgement or a fill may be older than the doubt
    _S.UNKNOWN: {
        _E.ACCEPTED: _S.UNKNOWN,
        _E.REJECTED: _S.REJECTED,
        _E.PART_FILL: _S.UNKNOWN,
        _E.LAST_FILL: _S.FILLED,
        _E.CANCEL_ASKED: _S.UNKNOWN,  # a cancel can do no harm, and tells nothing by itself
        _E.REPLACED: _S.UNKNOWN,
        _E.CANCELED: _S.CANCELED,
        _E.EXPIRED: _S.EXPIRED,
        _E.DOUBT: _S.UNKNOWN,
        _E.STANDS: _S.WORKING,
        _E.ABSENT: _S.VOID,
    },
    # ends: only what can still arrive late has a row
    _S.FILLED: {
        _E.ACCEPTED: _S.FILLED,
        _E.REPLACED: _S.FILLED,
        _E.DOUBT: _S.FILLED,
        _E.STANDS: _S.FILLED,
    },
    _S.CANCELED: {
        _E.ACCEPTED: _S.CANCELED,
        _E.PART_FILL: _S.CANCELED,  # traded before the cancel, told after it
        _E.LAST_FILL: _S.FILLED,
        _E.REPLACED: _S.CANCELED,
        _E.CANCELED: _S.CANCELED,
        _E.EXPIRED: _S.CANCELED,  # two words for one end
        _E.DOUBT: _S.CANCELED,
        _E.STANDS: _S.CANCELED,
    },
    _S.REJECTED: {
        _E.REJECTED: _S.REJECTED,
        _E.DOUBT: _S.REJECTED,
    },
    _S.EXPIRED: {
        _E.ACCEPTED: _S.EXPIRED,
        _E.PART_FILL: _S.EXPIRED,  # an IOC's fills may be told after its end
        _E.LAST_FILL: _S.FILLED,
        _E.REPLACED: _S.EXPIRED,
        _E.CANCELED: _S.EXPIRED,  # two words for one end
        _E.EXPIRED: _S.EXPIRED,
        _E.DOUBT: _S.EXPIRED,
        _E.STANDS: _S.EXPIRED,
    },
    # not at the venue by our rule alone: the venue's own word is worth more, and each of these alarms
    _S.VOID: {
        _E.ACCEPTED: _S.UNKNOWN,
        _E.REJECTED: _S.REJECTED,
        _E.PART_FILL: _S.UNKNOWN,
        _E.LAST_FILL: _S.FILLED,
        _E.REPLACED: _S.UNKNOWN,
        _E.CANCELED: _S.CANCELED,
        _E.EXPIRED: _S.EXPIRED,
        _E.DOUBT: _S.VOID,
        _E.STANDS: _S.UNKNOWN,
    },
}

#: the table as lists, indexed by state and event: an enum's hash costs more than the rest of a step
_NEXT: Final[list[list[State | None]]] = [
    [TABLE.get(state, {}).get(event) for event in Event]  # type: ignore[call-overload]
    for state in range(len(State) + 1)
]


def step(state: State, event: Event, filled: bool) -> State:
    """Return the state after `event`; `filled`: something of the order has traded. Raises TransitionError."""
    after = _NEXT[state][event]
    if after is None:
        raise TransitionError(f"an order that is {state.name} cannot be met by {event.name}")
    if filled and after is State.WORKING:
        return State.PARTIALLY_FILLED  # open again after a replace or a query, with its fills
    return after

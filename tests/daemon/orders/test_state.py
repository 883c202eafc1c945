from __future__ import annotations

import pytest

from daemon.orders.order import State
from daemon.orders.state import TABLE, Event, TransitionError, step

OPEN = [state for state in State if state < State.FILLED]
ENDS = [state for state in State if state >= State.FILLED]


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("event", list(Event))
def test_every_pair_is_in_the_table_or_raises(state, event):
    if event in TABLE[state]:
        assert step(state, event, filled=False) is TABLE[state][event]
    else:
        with pytest.raises(TransitionError, match=f"{state.name} cannot be met by {event.name}"):
            step(state, event, filled=False)


@pytest.mark.parametrize("state", OPEN)
def test_doubt_never_ends_an_order(state):
    assert step(state, Event.DOUBT, filled=False) is State.UNKNOWN


@pytest.mark.parametrize("state", ENDS)
def test_doubt_never_brings_an_ended_order_back(state):
    assert step(state, Event.DOUBT, filled=False) is state


@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize(
    ("event", "end"),
    [
        (Event.REJECTED, State.REJECTED),
        (Event.CANCELED, State.CANCELED),
        (Event.EXPIRED, State.EXPIRED),
        (Event.LAST_FILL, State.FILLED),
    ],
)
def test_the_venues_evidence_ends_every_open_order(state, event, end):
    assert step(state, event, filled=False) is end


def test_only_an_unknown_order_becomes_void():
    for state in State:
        assert (Event.ABSENT in TABLE[state]) is (state is State.UNKNOWN)


def test_an_end_other_than_void_is_left_only_for_filled():
    for state in (State.FILLED, State.CANCELED, State.REJECTED, State.EXPIRED):
        assert set(TABLE[state].values()) <= {state, State.FILLED}


def test_every_word_of_the_venue_about_a_void_order_is_taken():
    ours = {Event.CANCEL_ASKED, Event.REPLACE_ASKED, Event.ABSENT}
    assert set(TABLE[State.VOID]) == set(Event) - ours


def test_an_order_open_again_remembers_its_fills():
    assert step(State.PENDING_REPLACE, Event.REPLACED, filled=True) is State.PARTIALLY_FILLED
    assert step(State.UNKNOWN, Event.STANDS, filled=True) is State.PARTIALLY_FILLED
    assert step(State.UNKNOWN, Event.STANDS, filled=False) is State.WORKING


def test_nothing_is_asked_of_an_ended_order():
    for state in ENDS:
        assert Event.CANCEL_ASKED not in TABLE[state]
        assert Event.REPLACE_ASKED not in TABLE[state]

from __future__ import annotations

from array import array

import pytest

from daemon.orders.records import PLACE, Digest, Run, Voided, pack, pack_action
from daemon.session.checker import Mismatch
from daemon.session.difference import describe, event_text
from daemon.session.entries import CORE
from daemon.session.events import Event
from daemon.session.player import Difference
from daemon.tape.reader import Entry
from kernels.features import FEATURES

RUN = pack(Run(1, "s", 7, "0.1", [("ema", ["BTC/USDT"])], ["BTC/USDT"], "", [("0.01", "0.001")]))
FRAME = Event(Entry(12, 1_700_000_000_000_000_000, "feed/0", True, b'{"s":"BTC"}'), "", [], [])


def placed(seq=3, qty=100, **features):
    row = array("d", [0.0] * (len(FEATURES) + 1))
    for name, value in features.items():
        row[FEATURES.index(name)] = value
    return pack_action(PLACE, 5, seq, 0, 0, 1, 0, 0, 1, 0, 1, 10_000, qty, 0, 20_000) + row.tobytes()


def found(session, replay, *before):
    bodies = [RUN, *before, session or placed(9)]
    mismatch = Mismatch(1 + len(before), session, replay)
    return describe(Difference(FRAME, mismatch, "", 0), bodies)


def test_the_first_feature_that_differs_is_named_with_the_order_and_both_values():
    name, later = FEATURES[2], FEATURES[5]
    one = found(placed(**{name: 1.5, later: 3.0}), placed(**{name: 1.25, later: 4.0}))
    assert (one.order, one.feature, one.session, one.replay) == ("s-7-3", f"feature {name}", "1.5", "1.25")
    assert one.seq == 12
    assert f"feature {name} is 1.5 in the session and 1.25 in the replay" in one.text
    assert "at event 12 (feed/0, 2023-11-14T22:13:20" in one.text


def test_two_nans_are_the_same_and_another_quantity_is_named():
    nan = {FEATURES[0]: float("nan")}
    one = found(placed(**nan), placed(qty=200, **nan))
    assert one.feature == "action"
    assert "0.100" in one.text
    assert "0.200" in one.text


@pytest.mark.parametrize(
    ("session", "replay", "says"),
    [
        (placed(), None, "the session recorded place s-7-3 buy"),
        (None, placed(), "the session recorded nothing, and the replay place s-7-3"),
        (pack(Voided(1, "s-7-1")), pack(Voided(1, "s-7-2")), "client_order_id is s-7-1 in the session"),
    ],
)
def test_what_is_missing_too_much_or_another_is_told(session, replay, says):
    assert says in found(session, replay).text


def test_a_digest_names_the_strategy_and_the_second():
    before = pack(Digest(1_700_000_000_000_000_000, [(0, 1, 2)], 0, 0))
    session, replay = (Digest(1_700_000_001_000_000_000, [(0, 3, digest)], 0, 0) for digest in (4, 5))
    one = found(pack(session), pack(replay), before)
    assert (one.since, one.until) == ("2023-11-14T22:13:20.000000000Z", "2023-11-14T22:13:21.000000000Z")
    assert "the rows and decisions of strategy ema of BTC/USDT differ" in one.text
    steps = found(pack(Digest(9, [], 1, 2)), pack(Digest(9, [], 1, 3)))
    assert "the steps that orders took differ" in steps.text


def test_what_no_record_shows_is_told_by_what_was_read_or_raised():
    more = describe(Difference(FRAME, None, "", 2), [RUN])
    assert "the replay read 2 more times and states" in more.text
    raised = describe(Difference(FRAME._replace(raised="KeyError"), None, "", 0), [RUN])
    assert "the session raised KeyError, and the replay nothing" in raised.text


def test_events_are_told_by_what_they_are():
    entry = Entry(1, 0, CORE, False, b"")
    assert event_text(Event(entry, "timer", [4], [])).startswith("timer 4, 1970")
    assert event_text(Event(entry, "begin", [object()], [])).startswith("begin, 1970")
    assert event_text(Event(entry._replace(stream="cut/0"), "", [], [])).startswith("cut/0, 1970")
    long = Entry(1, 0, "feed/0", True, b"x" * 500)
    assert event_text(Event(long, "", [], [])).endswith("x...")
    odd = entry._replace(stream="feed/0", payload=b'{"s":\n"\x1b[2J"}')
    assert event_text(Event(odd, "", [], [])).endswith(r', {"s":\n"\x1b[2J"}')

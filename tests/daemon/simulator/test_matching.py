from daemon.simulator.matching import Matcher
from daemon.simulator.symbols import UNIT
from kernels import matcher as m


def kinds(events):
    return [int(event[m.EV_KIND]) for event in events]


def test_an_idle_matcher_is_brought_up_to_the_market_before_its_first_order(kit):
    matcher = Matcher(kit.market, lambda events: None)
    kit.market.quote(50 * UNIT, UNIT, 51 * UNIT, UNIT)
    assert not matcher.live
    events = matcher.place(1, 1, m.IOC, 51 * UNIT, UNIT)
    assert kinds(events) == [m.ACCEPTED, m.FILL]
    assert events[1][m.EV_TICKS] == 5_100


def test_a_live_matcher_hears_quotes_trades_and_depth(kit):
    heard = []
    matcher = Matcher(kit.market, lambda events: heard.extend(kinds(events)))
    matcher.place(1, 1, m.GTC, 99 * UNIT, UNIT)
    matcher.place(2, 1, m.GTC, 98 * UNIT, UNIT)
    kit.market.quote(97 * UNIT, UNIT, 99 * UNIT, UNIT)  # the ask comes down to our bid
    assert heard == [m.FILL]
    kit.trade("97", "1", buyer_is_maker=True)  # through our second
    assert heard == [m.FILL, m.FILL]


def test_a_trial_changes_nothing(kit):
    matcher = Matcher(kit.market, lambda events: None)
    first = matcher.trial(9, 1, 2 * UNIT)
    assert first == [(10_001 * UNIT // 100, UNIT), (10_002 * UNIT // 100, UNIT)]
    assert matcher.trial(9, 1, 2 * UNIT) == first


def test_displayed_quantity_is_taken_once(kit):
    matcher = Matcher(kit.market, lambda events: None)
    matcher.place(1, 1, m.IOC, 10_001 * UNIT // 100, UNIT)
    assert kinds(matcher.place(2, 1, m.IOC, 10_001 * UNIT // 100, UNIT)) == [m.ACCEPTED, m.EXPIRED]


def test_a_canceled_order_is_met_no_more_and_the_matcher_rests(kit):
    heard = []
    matcher = Matcher(kit.market, heard.append)
    matcher.place(1, 1, m.GTC, 99 * UNIT, UNIT)
    assert matcher.live
    matcher.cancel(1)
    assert not matcher.live
    kit.trade("90", "5", buyer_is_maker=True)
    assert heard == []


def test_an_amended_order_fills_by_what_is_left(kit):
    heard = []
    matcher = Matcher(kit.market, lambda events: heard.extend(events.tolist()))
    matcher.place(1, 1, m.GTC, 99 * UNIT, 2 * UNIT)
    matcher.amend(1, UNIT)
    kit.trade("90", "5", buyer_is_maker=True)
    assert [event[m.EV_LOTS] for event in heard] == [100_000]

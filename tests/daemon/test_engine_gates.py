"""What keeps risk in: gates, a strategy's fault, a command. The rest is in tests/daemon/test_engine.py."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.config import RiskConfig, StrategyConfig
from daemon.events import VenueStatus
from daemon.orders.audit import Alarm, Latched
from daemon.orders.order import State
from daemon.pulse import Pulse
from daemon.snapshot import take_status
from daemon.spans import Spans
from daemon.venues.paper import PaperVenue
from kernels import dtypes as d

BUY, SELL = d.BUY, d.SELL
MS = 1_000_000


@pytest.fixture
def script(new_script):
    return new_script()


# --- gates --------------------------------------------------------------------------------------------------
def close_stale(floor):
    floor.later(5.2)


def open_stale(floor):
    floor.quote()
    floor.later(0.1)
    assert floor.gate() == "stale_feed"  # the depth is silent yet
    floor.depth(12, "", "")
    assert floor.gate() == "stale_feed"  # the watch opens it, not the tick
    floor.later(0.1)


def close_book(floor):
    floor.depth(50, "", "")  # 12 is next


def open_book(floor):
    floor.depth(51, "", "")
    floor.snapshot(50)


def close_venue(floor):
    floor.engine.on_venue_status(VenueStatus(up=False, reason="lost", wire_ns=0))


def open_venue(floor):
    floor.engine.on_venue_status(VenueStatus(up=True, reason="back", wire_ns=floor.time.now_ns()))


GATES = {
    "stale_feed": (close_stale, open_stale),
    "book_gap": (close_book, open_book),
    "venue_down": (close_venue, open_venue),
    "halted": (lambda floor: floor.command("halt"), lambda floor: floor.command("resume")),
}


@pytest.mark.parametrize("name", GATES)
def test_a_closed_gate_keeps_risk_in_and_lets_reducing_orders_and_cancels_out(new_floor, script, name):
    close, reopen = GATES[name]
    floor = new_floor(script, streams=("trade", "quote", "depth"))
    leaves(floor)
    floor.depth(11, "", "")
    floor.snapshot(10)
    floor.go_long(2.0)
    script.rest((BUY, 99.9, 1.0))
    floor.quote()
    floor.later(0.2)
    close(floor)
    assert floor.gate() == name
    assert floor.engine.market.found.stale == [name == "stale_feed"]
    assert floor.engine.synced == [name != "book_gap"]
    floor.audits.clear()

    script.rest((BUY, 99.9, 1.0), (BUY, 99.8, 1.0))  # one more
    floor.quote()
    floor.later(0.01)
    assert floor.sent() == []
    assert floor.refused()[name] >= 1
    script.wants = []
    if name != "halted":  # which cancels by itself
        floor.engine.drain(floor.time.now_ns())
        floor.quote()
        (cancelled,) = floor.sent(d.CANCEL)
        assert cancelled.level == 0
        floor.later(0.005)
    script.target(1.5, 99.9)
    floor.quote()
    floor.later(0.01)
    (placed,) = floor.sent()
    assert (placed.side, placed.reduces, floor.position()) == (SELL, True, 1.5)

    script.wants = None
    reopen(floor)
    assert floor.gate() == ""
    script.target(2.0, 100.1)
    floor.quote()
    floor.later(0.01)
    assert floor.position() == 2.0


def leaves(floor):
    """Let the strategy leave what rests while it sees no market."""
    (runtime,) = floor.engine.runtimes
    runtime.strategy = runtime.strategy._replace(on_silence="leave")


@pytest.mark.parametrize("name", ["stale_feed", "book_gap"])
@pytest.mark.parametrize("leave", [False, True])
def test_what_rests_where_no_market_is_seen_is_withdrawn_but_for_stops_and_comes_back(
    new_floor, script, name, leave
):
    close, reopen = GATES[name]
    floor = new_floor(script, streams=("trade", "quote", "depth"))
    if leave:
        leaves(floor)
    floor.depth(11, "", "")
    floor.snapshot(10)
    floor.go_long(2.0)
    script.wants = [[d.REST, 0, 0, BUY, 99.9, 1.0], [d.STOP, 0, 1, SELL, 95.0, 1.0]]
    floor.quote()
    floor.later(0.2)
    standing = {order.kind for order in floor.core.orders.life.open.values()}
    assert standing == {d.REST, d.STOP}
    close(floor)
    floor.later(1.2)
    assert {order.kind for order in floor.core.orders.life.open.values()} == (
        {d.REST, d.STOP} if leave else {d.STOP}
    )
    script.wants = None
    reopen(floor)
    script.wants = [[d.REST, 0, 0, BUY, 99.9, 1.0], [d.STOP, 0, 1, SELL, 95.0, 1.0]]
    floor.quote()
    floor.later(0.2)
    assert {order.kind for order in floor.core.orders.life.open.values()} == {d.REST, d.STOP}


@pytest.mark.parametrize(("leave", "stands"), [(False, {d.STOP}), (True, {d.REST, d.STOP})])
def test_what_the_run_before_left_resting_is_withdrawn_while_the_start_waits(
    new_floor, script, leave, stands
):
    floor = new_floor(script)
    floor.go_long(2.0)
    script.wants = [[d.REST, 0, 0, BUY, 99.9, 1.0], [d.STOP, 0, 1, SELL, 95.0, 1.0]]
    floor.quote()
    floor.later(2)
    waiting = floor.restarted(start=False)
    if leave:
        leaves(waiting)
    waiting.engine.withdraw_unseen()
    waiting.later(0.01)
    assert {order.kind for order in waiting.core.orders.life.open.values()} == stands


def test_nothing_leaves_before_the_start(new_floor, script):
    floor = new_floor(script, start=False)
    assert (floor.engine.state, floor.gate()) == ("STARTING", "not_ready")
    script.target(1.0, 100.02)
    floor.quote()
    assert script.whys == [d.WHY_DRAIN]  # it is asked, and sees the market
    assert floor.sent() == []
    floor.start()
    assert (floor.engine.state, floor.gate()) == ("READY", "")
    floor.quote()
    assert len(floor.sent()) == 1


def test_a_feed_that_never_spoke_is_stale_from_the_start(new_floor, script):
    floor = new_floor(script)
    assert floor.gate() == "stale_feed"
    script.target(1.0, 100.02)
    floor.quote()
    assert floor.refused() == {"stale_feed": 1}
    floor.later(0.1)
    assert floor.gate() == ""


def test_a_book_that_was_never_in_sync_keeps_risk_in(new_floor, script):
    floor = new_floor(script, streams=("quote", "depth"))
    floor.depth(11, "", "")
    floor.open_market()
    assert floor.gate() == "book_gap"
    assert floor.requests == [0]
    floor.snapshot(10)
    assert floor.gate() == ""


def test_each_strategy_warms_up_for_itself(new_floor, script):
    shipped = StrategyConfig(name="ema_cross", symbols=("BTC/USDT",), warmup_ticks=3)
    floor = new_floor(shipped, script, warmup_ticks=6)
    script.target(1.0, 100.02)
    gates = []
    for _ in range(7):
        floor.quote()
        floor.later(0.1)
        gates.append([int(runtime.gate[0]) for runtime in floor.core.runtimes])
    not_ready = d.GATE_NOT_READY
    assert gates == [[not_ready, not_ready]] * 2 + [[0, not_ready]] * 3 + [[0, 0]] * 2
    assert len(floor.sent()) == 1


def test_a_strategy_that_is_not_warm_yet_neither_sells_nor_cancels(new_floor, script):
    floor = new_floor(script)
    floor.go_long(2.0)
    script.rest((BUY, 99.9, 1.0))
    floor.quote()
    floor.later(0.2)
    later = floor.restarted(warmup_ticks=3)
    later.later(0.2)
    script.target(0.0, 99.95)
    for _ in range(2):
        later.quote()
    assert (later.sent(), later.sent(d.CANCEL)) == ([], [])
    later.quote()
    assert len(later.sent(d.CANCEL)) == 1


def test_the_daemon_is_warming_until_the_slowest_strategy_is_warm(new_floor, script):
    floor = new_floor(script, warmup_ticks=2)
    states = [floor.engine.state]
    for _ in range(2):
        floor.trade()
        states.append(floor.engine.state)
    assert states == ["WARMING", "WARMING", "READY"]


def test_ticks_before_the_start_warm_a_strategy_up_too(new_floor, script):
    floor = new_floor(script, warmup_ticks=2, start=False)
    floor.quote()
    floor.quote()
    assert floor.core.runtimes[0].gate[0] == d.GATE_NOT_READY
    floor.start()
    assert floor.engine.state == "READY"


def test_a_pairs_strategy_is_warm_when_both_its_instruments_are(new_floor, new_script):
    floor = new_floor(new_script(2), bases=("BTC", "ETH"), warmup_ticks=2)
    for index, state in ((0, "WARMING"), (0, "WARMING"), (0, "WARMING"), (1, "WARMING"), (1, "READY")):
        floor.quote(index=index)
        assert floor.engine.state == state


class Late(Pulse):
    """The pulse of a loop that was stuck for as long as the test says."""

    stuck_ns = 0

    def before_ns(self, at_ns: int) -> int:
        return self.stuck_ns


def test_a_tick_that_was_read_late_adds_no_risk_by_drain_or_turn(new_floor, script):
    crossing = StrategyConfig(
        name="ema_cross", params={"qty": 1.0, "band_bps": 0.05}, tuning={"ema_slow": 20.0}, warmup_ticks=0
    )
    for strategy in (script, crossing):
        pulse = Late()
        floor = new_floor(
            strategy, risk=RiskConfig(tick_age_ms_max=500), pulse=pulse, balances={"USDT": "100000"}
        )
        floor.open_market()
        script.target(1.0, 100.9)
        for number, (stuck_ms, refused) in enumerate([(501, True), (500, False)]):
            pulse.stuck_ns = stuck_ms * MS
            for step in range(30):
                bid = 100.0 + 0.01 * (30 * number + step)
                floor.quote(bid, bid + 0.02)
            assert floor.refused()["tick_age"] > 0
            assert bool(floor.sent()) is not refused
        assert bool(floor.rings["turns"][0]) is (strategy is crossing)
        assert floor.gate() == ""


def test_a_decision_that_took_too_long_adds_no_risk(new_floor, script):
    floor = new_floor(script, risk=RiskConfig(tick_age_ms_max=500), spans=Spans())
    floor.open_market()
    script.target(1.0, 100.02)
    wants = len(script.wants)

    def think():
        floor.later(0.501)
        return wants

    script.answer = think
    floor.quote()
    assert (floor.sent(), floor.refused()["tick_age"], floor.gate()) == ([], 1, "")


def test_a_decision_on_an_old_tick_adds_no_risk(new_floor, script):
    floor = new_floor(script, risk=RiskConfig(tick_age_ms_max=500))
    floor.go_long(2.0)
    floor.audits.clear()
    script.target(3.0, 100.02)
    floor.quote(last=False)
    wire_ns = floor.time.now_ns()
    floor.later(0.501)
    floor.engine.drain(wire_ns)
    assert (floor.sent(), floor.refused()["tick_age"], floor.gate()) == ([], 1, "")
    script.target(1.0, 99.9)
    floor.quote(last=False)
    wire_ns = floor.time.now_ns()
    floor.later(0.501)
    floor.engine.drain(wire_ns)
    assert [order.side for order in floor.sent()] == [SELL]
    floor.later(0.01)
    script.target(3.0, 100.02)
    floor.quote(last=False)
    wire_ns = floor.time.now_ns()
    floor.later(0.5)  # not older than allowed
    floor.engine.drain(wire_ns)
    assert len(floor.sent()) == 2


def test_an_order_of_unknown_fate_closes_its_instrument_until_the_venue_has_spoken(new_floor, script):
    floor = new_floor(script, latency_ms=1500)
    floor.open_market()
    script.target(1.0, 100.02)
    floor.quote()
    script.wants = None
    floor.later(2.01)  # an answer was due after 2 s
    assert floor.gate() == "unknown_order"
    (order,) = floor.sent()
    assert order.state is State.UNKNOWN
    script.rest((BUY, 99.9, 1.0))
    floor.quote()
    assert floor.refused()["unknown_order"] == 1
    floor.later(1.0)
    assert (order.state, floor.gate(), floor.position()) == (State.FILLED, "", 1.0)


# --- a strategy that breaks its contract --------------------------------------------------------------------
def wrong_row(script):
    script.wants = [[9, 0, 0, 0, 100.0, 1.0]]


def too_many(script):
    script.answer = lambda: d.OUT_PER_INSTRUMENT + 1


def fewer_than_none(script):
    script.answer = lambda: -2


def raises(script):
    script.answer = lambda: 1 // 0


def returns_nothing(script):
    script.answer = lambda: None


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (wrong_row, "broke its contract: the kind, instrument, level or side of a row of out is not one"),
        (too_many, "broke its contract: it returned fewer than NO_OPINION or more rows than out has"),
        (fewer_than_none, "broke its contract: it returned fewer than NO_OPINION or more rows than out has"),
        (raises, "raised ZeroDivisionError: integer division or modulo by zero"),
        (returns_nothing, "raised TypeError: int() argument must be a string"),
    ],
)
def test_a_strategy_that_breaks_its_contract_halts_trading_with_a_sentence(
    new_floor, new_script, fault, sentence
):
    broken, other = new_script(), new_script()
    floor = new_floor(broken, other)
    floor.go_long(script=1)
    broken.rest((BUY, 99.9, 1.0))
    floor.quote()
    floor.later(0.2)
    fault(broken)
    floor.quote()
    latch = floor.core.orders.risk.latch
    assert latch.source == "strategy"
    assert latch.reason.startswith(f"strategy probe {sentence}")
    assert (floor.engine.state, floor.gate()) == ("HALTED", "halted")
    assert [order.level for order in floor.sent(d.CANCEL)] == [0]
    asked = len(broken.calls)
    other.target(0.0, 99.95)
    floor.quote()
    floor.later(0.01)
    assert floor.position(1) == 0.0  # the other one may still go home
    floor.quote()
    assert len(broken.calls) == asked  # it is not asked again
    floor.command("resume")
    floor.quote()
    assert len(broken.calls) == asked + 1  # until a person resumed
    assert floor.engine.state == "HALTED"  # and it failed again


# --- commands -----------------------------------------------------------------------------------------------
def test_a_halt_cancels_and_a_resume_trades_again(new_floor, script):
    floor = new_floor(script)
    floor.open_market()
    script.rest((BUY, 99.9, 1.0), (BUY, 99.8, 1.0))
    floor.quote()
    floor.later(0.01)
    floor.command("halt", "lunch")
    assert (floor.engine.state, floor.core.orders.risk.latch.reason) == ("HALTED", "lunch")
    floor.later(0.01)
    assert [order.state for order in floor.sent()] == [State.CANCELED] * 2
    floor.quote()
    assert floor.refused()["halted"] == 2
    floor.command("resume")
    assert floor.engine.state == "READY"
    floor.quote()
    assert len(floor.sent()) == 4


def test_a_stop_cancels_wakes_nobody_and_still_takes_reports(new_floor, new_script):
    duo, script = new_script(2), new_script()
    floor = new_floor(script, duo, bases=("BTC", "ETH"))
    floor.open_market()
    script.rest((BUY, 99.9, 1.0))
    floor.quote()
    floor.later(0.01)
    floor.engine.stop()
    floor.command("stop")
    duo.calls.clear()
    floor.later(3.0)
    assert (floor.engine.state, floor.gate(), duo.calls) == ("DRAINING", "not_ready", [])
    floor.quote()  # seen, and not acted on
    assert [order.state for order in floor.sent()] == [State.CANCELED]
    assert script.calls[-1].now_ns == floor.time.now_ns()


def test_a_loss_beyond_its_limit_halts_without_any_order(new_floor, script):
    floor = new_floor(script, risk=RiskConfig(daily_loss_max=50.0))
    floor.go_long(1.0)
    floor.later(0.1)
    floor.quote(94.0, 94.02)
    floor.later(0.1)
    (latched,) = [audit for audit in floor.audits if isinstance(audit, Latched)]
    assert (latched.source, floor.engine.state) == ("risk", "HALTED")
    assert "the day lost" in latched.reason


# --- positions nobody decides on ----------------------------------------------------------------------------
@pytest.mark.parametrize("bought", [0, 1])
def test_losses_count_whoever_owns_the_instrument(new_floor, new_script, bought):
    """What is held and whose market moves may belong to no strategy; the loss is the account's."""
    script = new_script()
    floor = new_floor(
        script,
        bases=("BTC", "ETH"),
        balances={"USDT": "100000", "BTC": "1", "ETH": "1"},
        risk=RiskConfig(daily_loss_max=50.0),
    )
    floor.open_market()
    assert floor.core.portfolio.worth.value == pytest.approx(100_200.02)
    floor.quote(40.0, 40.02, index=bought)
    floor.later(0.1)
    assert floor.engine.state == "HALTED"


# --- what goes wrong within the stack -----------------------------------------------------------------------
def test_a_send_that_raises_leaves_no_report_waiting(new_floor, script):
    floor = new_floor(script)
    floor.open_market()
    real = floor.core.orders.submit

    def failing(_):
        raise RuntimeError("a defect of ours")

    floor.core.orders.submit = failing
    script.target(1.0, 100.02)
    with pytest.raises(RuntimeError, match="defect"):
        floor.quote()
    floor.core.orders.submit = real
    floor.quote()
    script.wants = None
    floor.later(0.01)
    assert floor.position() == 1.0


def test_what_a_fill_wants_is_judged_by_the_fill_s_own_age(new_floor, script):
    floor = new_floor(script, risk=RiskConfig(tick_age_ms_max=100), latency_ms=0)
    floor.go_long(2.0)
    floor.audits.clear()
    script.target(1.0, 99.9)
    floor.quote(last=False)
    wire_ns = floor.time.now_ns()
    floor.later(0.2)
    script.answer = lambda: script.target(3.0, 100.02) or 1
    floor.engine.drain(wire_ns)
    assert [order.side for order in floor.sent()] == [SELL]
    floor.later(0.01)
    assert [order.side for order in floor.sent()] == [SELL, BUY]
    assert (floor.refused()["tick_age"], floor.gate()) == (0, "")


# --- a strategy that failed, after a person resumed ---------------------------------------------------------
def test_a_resume_asks_a_failed_strategy_again_after_it_warmed_up_anew(new_floor, script):
    floor = new_floor(script, warmup_ticks=3)
    for _ in range(3):
        floor.quote()
    floor.later(0.1)
    floor.core.runtimes[0].view("state")[0] = 7.0
    script.answer = lambda: 1 // 0
    floor.quote()
    assert floor.engine.state == "HALTED"
    assert "ZeroDivisionError" in floor.core.runtimes[0].fault_text
    script.answer = None
    script.calls.clear()
    floor.quote()
    assert script.calls == []
    script.target(1.0, 100.02)
    floor.command("resume")
    assert (floor.engine.state, floor.core.runtimes[0].fault_text) == ("WARMING", "")
    floor.quote()
    floor.quote()
    assert floor.sent() == []
    floor.quote()
    assert floor.engine.state == "READY"
    assert len(floor.sent()) == 1
    assert floor.core.runtimes[0].view("state")[0] == 7.0


def test_a_book_that_lost_its_sequence_prices_nothing_until_it_is_whole_again(new_floor, script):
    floor = new_floor(script, market="usdm", streams=("trade", "depth"))
    floor.depth(11, "", "")
    floor.snapshot(10)
    assert floor.engine.touch(0) == (100.0, 100.02)
    floor.depth(50, "", "")
    assert np.isnan(floor.engine.touch(0)).all()


# --- trading windows ----------------------------------------------------------------------------------------
def test_outside_its_windows_nothing_is_added_and_what_stood_is_gone(new_floor, script):
    # the floor's time begins on a Tuesday, at 22:13:20
    floor = new_floor(script, risk=RiskConfig(windows=("tue 20:00-22:14",)))
    floor.go_long(2.0)
    script.rest((BUY, 99.5, 1.0))
    floor.quote()
    floor.later(0.2)
    assert len(floor.core.orders.life.open) == 1
    floor.later(40)
    assert floor.core.orders.life.open == {}
    script.wants = None
    floor.open_market()
    assert floor.gate() == "window"
    orders = len(floor.sent())
    script.rest((BUY, 99.5, 1.0))
    floor.quote()
    assert (len(floor.sent()), floor.refused()["window"]) == (orders, 1)
    script.target(1.0, 99.99)  # less risk is welcome at any time
    floor.quote()
    floor.later(0.003)
    assert floor.position() == 1.0


def test_a_window_that_opens_lets_trading_begin(new_floor, script):
    floor = new_floor(script, risk=RiskConfig(windows=("tue 22:14-23:00",)))
    floor.open_market()
    assert floor.gate() == "window"
    floor.later(40)
    floor.go_long(1.0)
    assert floor.gate() == ""


# --- what should not stand ---------------------------------------------------------------------------------
class Deaf(PaperVenue):
    """Hears no cancel at first."""

    deaf = 1

    def cancel(self, order):
        self.deaf -= 1
        if self.deaf < 0:
            super().cancel(order)


@pytest.mark.parametrize("flattened", [False, True])
def test_a_halted_daemon_cancels_again_what_still_stands(new_floor, script, flattened):
    floor = new_floor(script, venue_type=Deaf)
    floor.open_market()
    script.rest((BUY, 99.5, 1.0))
    floor.quote()
    floor.later(0.2)
    (order,) = floor.core.orders.life.open.values()
    floor.command("flatten" if flattened else "halt")
    assert order.state is State.PENDING_CANCEL
    floor.later(2.5)  # no answer, so it is asked about, and stands: cancelled anew
    assert order.state is State.CANCELED


class Rationed(PaperVenue):
    """Has a budget for requests that can run low."""

    short = False

    def is_short(self):
        return self.short


def test_at_a_low_budget_quotes_are_withdrawn_rather_than_left_stale(new_floor, script):
    floor = new_floor(script, venue_type=Rationed)
    floor.go_long(1.0)
    script.wants = [[d.REST, 0, 0, BUY, 99.5, 1.0], [d.STOP, 0, 0, SELL, 95.0, 1.0]]
    floor.quote()
    floor.later(0.2)
    kinds = {order.kind: order for order in floor.core.orders.life.open.values()}
    floor.core.orders.venue.short = True
    floor.later(1.2)
    floor.quote()
    assert floor.gate() == "low_budget"
    assert kinds[d.REST].state is State.CANCELED
    assert kinds[d.STOP].state is State.WORKING  # what protects needs no more requests where it is
    assert floor.refused()["low_budget"] >= 1
    floor.core.orders.venue.short = False
    floor.later(0.2)
    floor.quote()
    floor.later(0.2)
    assert floor.gate() == ""
    assert {order.kind for order in floor.core.orders.life.open.values()} == {d.REST, d.STOP}


# --- margin -------------------------------------------------------------------------------------------------
def test_margin_and_the_distance_from_liquidation_keep_a_derivative_small_and_let_it_be_closed(
    new_floor, script
):
    floor = new_floor(script, market="usdm", balances={"USDT": "100"}, leverage=5)
    floor.go_long(3.0)  # 300 at leverage 5, on 100: 0.6 is used
    script.target(5.0, 100.02)
    floor.quote()
    assert floor.refused() == {"margin_used_max": 1}
    assert floor.position() == 3.0
    status = take_status(floor.core, floor.feed, name="x", mode="paper", started_ns=0)
    assert status.margin_used == pytest.approx(0.6, rel=1e-3)
    assert status.liquidation_distance == pytest.approx((100 - 0.025 * 300) / 307.5, rel=1e-3)

    script.wants = None
    for price in (90.0, 80.0, 71.0):
        floor.quote(price, price + 0.02)
        floor.later(0.2)
    assert floor.gate() == "liquidation"
    assert [one.kind for one in floor.audits if isinstance(one, Alarm)] == ["liquidation_near"]
    script.target(3.5, 71.02)
    floor.quote(71.0, 71.02)
    assert floor.refused()["liquidation"] == 1
    script.target(0.0, 71.0)
    floor.quote(71.0, 71.02)
    floor.later(0.2)
    assert (floor.position(), floor.gate()) == (0.0, "")
    assert take_status(floor.core, floor.feed, name="x", mode="paper", started_ns=0).margin_used == 0.0


# --- days and currencies ------------------------------------------------------------------------------------
@pytest.mark.parametrize(("day_begins", "state"), [("00:00", "HALTED"), ("22:14", "READY")])
def test_a_days_loss_is_counted_from_when_the_day_begins(new_floor, script, day_begins, state):
    risk = RiskConfig(daily_loss_max=5.0, day_begins=day_begins)
    floor = new_floor(script, risk=risk, balances={"USDT": "100000"})
    floor.go_long(2.0)
    floor.quote(98.0, 98.02)
    floor.later(40)  # over 22:14
    floor.open_market()
    floor.quote(98.0, 98.02)
    floor.later(0.2)
    floor.quote(96.0, 96.02)
    floor.later(0.2)
    assert floor.engine.state == state


def test_losses_are_counted_in_the_currency_that_is_named(new_floor, script):
    floor = new_floor(script, risk=RiskConfig(currency="BTC"), balances={"USDT": "100", "BTC": "1"})
    floor.quote(100.0, 100.0)
    floor.later(0.2)
    worth = floor.core.portfolio.worth
    assert (worth.reporting, worth.value) == ("BTC", pytest.approx(2.0))


def test_a_strategy_does_not_sell_what_another_holds(new_floor, new_script):
    holder, seller = new_script(), new_script()
    floor = new_floor(holder, seller, balances={"USDT": "100000"})
    floor.go_long(2.0, script=0)  # all BTC there is
    seller.rest((SELL, 100.05, 2.0))
    floor.quote()
    floor.later(0.2)
    seller.wants = None
    floor.trade(100.06, 50.0)
    floor.quote(100.06, 100.08)
    floor.later(0.2)
    holder.target(0.0, 99.0)
    for _ in range(5):
        floor.quote()
        floor.later(0.2)
    assert floor.position(0) == 0.0

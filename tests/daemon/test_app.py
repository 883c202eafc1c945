"""The daemon's life, within one process: against a simulated exchange on real sockets."""

from __future__ import annotations

import asyncio
import gc
import os
import time

import pytest
from msgspec.structs import replace

from daemon import app as module
from daemon import assembly, clock
from daemon.clock import SystemClock
from daemon.disk import RealDisk
from daemon.errors import ConfigError, FrameError, JournalError, NetError, TickdError, VenueError
from daemon.events import VenueStatus
from daemon.faces.http_forms import Audit
from daemon.logs import BURST_MAX
from daemon.meetings import Meetings
from daemon.orders import lasting
from daemon.orders.money import UNIT as MONEY
from daemon.orders.order import State
from daemon.orders.reader import read_all
from daemon.orders.records import Ended, Marked, Run
from daemon.rules_cache import RulesCache
from daemon.simulator import keeping
from daemon.simulator.errors import bad_symbol
from daemon.simulator.settings import ACCOUNT, build
from daemon.simulator.symbols import UNIT
from daemon.simulator.warm import warm_up
from daemon.venues.signing import HmacSigner, signed_query
from kernels.dtypes import PLACE, SELL, STOP
from tests.daemon.app_stand import KEY, MAKER, SECRET, stand

MS = 1_000_000


@pytest.fixture(autouse=True, scope="module")
def compiled():
    """Compile what the exchange needs before it shares a loop with a daemon, whose orders would time out."""
    warm_up(synthetic=True)


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("TICKD_KEY", KEY)
    monkeypatch.setenv("TICKD_SECRET", SECRET)


def ends_of(tmp_path):
    """Return of each run on record what its last record is, but for sync marks."""
    last = {}
    number = 0
    for _, _, record in read_all(RealDisk(), tmp_path / "journal"):
        number = record.run if isinstance(record, Run) else number
        if not isinstance(record, Marked):
            last[number] = type(record)
    return list(last.values())


@pytest.mark.parametrize("transport", ["picows", "websockets"])
def test_it_trades_until_asked_to_stop_and_leaves_nothing_standing(tmp_path, transport):
    async def go():
        async with stand(tmp_path, transport=transport) as one:
            life = asyncio.ensure_future(one.app.live(None))
            await one.ready(life)
            live = one.app.status()
            assert {type(wire).__module__ for wire in one.venue_net._terms.sockets} == {
                f"daemon.net_{transport}"
            }
            one.app.ask_stop("test")
            await life
            return live, one.app, one.said

    live, app, said = asyncio.run(go())
    assert (live.state, live.feed_connected, live.venue_up) == ("READY", True, True)
    assert app.last.gc_pause.count == sum(app.last.gc_collections.values())
    assert gc.get_threshold()[1] < 1000  # the collector is left as it was
    assert (app.last.state, app.last.orders.unknown, app.failure) == ("STOPPED", 0, None)
    assert app.last.orders.by_state == {"CANCELED": app.last.orders.placed}
    assert app.core.engine.risk.latch is None
    assert ends_of(tmp_path) == [Ended]
    assert "ready" in said
    assert "stopping reason='test'" in said


def test_a_stop_on_its_way_that_protects_nothing_does_not_outlive_the_run(tmp_path):
    async def go():
        async with stand(tmp_path) as one:
            life = asyncio.ensure_future(one.app.live(None))
            await one.ready(life)
            orders = one.app.core.orders
            desk = orders.desks[0]
            action = [PLACE, 0, desk.free_slot(0), STOP, 9, SELL, 1_000_000, 1000, 0, 0, 0, 0]
            stop = orders.submit(orders.risk.check(desk, action, one.app.seams.clock.now_ns()))
            one.app.ask_stop("test")
            await life
            return stop, one.app.last, one.said

    stop, last, said = asyncio.run(go())
    assert stop.state is State.CANCELED
    assert last.orders.by_state == {"CANCELED": last.orders.placed}
    assert "left order=" not in said


def test_one_that_is_held_connects_to_nothing_before_it_is_released(tmp_path, monkeypatch):
    asked = []
    fetch = module.find_instruments
    monkeypatch.setattr(
        module, "find_instruments", lambda *args, **more: asked.append(more) or fetch(*args, **more)
    )

    async def go():
        async with stand(tmp_path) as one:
            one.app.released.clear()
            life = asyncio.ensure_future(one.app.live(None))
            while not (tmp_path / "journal" / "lock").exists():  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            held = list(asked)
            one.app.released.set()
            await one.ready(life)
            one.app.ask_stop("test")
            await life
            return held

    assert asyncio.run(go()) == []
    assert asked == [{"patient": True}]


@pytest.mark.parametrize("status", ["TRADING", "BREAK"])
def test_a_live_start_that_cannot_ask_goes_by_what_was_told_and_nothing_leaves_in_what_was_closed(
    tmp_path, monkeypatch, status
):
    async def go():
        async with stand(tmp_path) as one:
            cache = RulesCache(one.config, one.app.seams, print)
            told = await module.find_instruments(one.config, one.app.seams, cache)
            await cache.keep([replace(instrument, status=status) for instrument in told])
            request, cut = one.net.request, True

            async def cut_at_times(method, url, *args):
                if cut and "exchangeInfo" in url:
                    raise NetError("the line is cut")
                return await request(method, url, *args)

            monkeypatch.setattr(one.net, "request", cut_at_times)
            life = asyncio.ensure_future(one.app.live(None))
            if status == "BREAK":
                await one.until(lambda: "ready symbols" in one.said or life.done(), 120)
                await asyncio.sleep(1.0)
                assert one.app.core.engine.risk.suspended == {0}
                assert one.app.status().orders.placed == 0
                cut = False
            await one.ready(life)
            one.app.ask_stop("test")
            await life
            return one.said

    said = asyncio.run(go())
    assert said.count("this start goes by those of 0 min ago, and asks again (the line is cut)") == 1


@pytest.mark.parametrize("days", [0, 30])
def test_old_files_of_the_journal_go_only_where_that_is_asked_for(tmp_path, monkeypatch, days):
    asked = []

    async def run(folder, days, seams, log):
        asked.append((folder, days))

    monkeypatch.setattr(module.retention, "run", run)

    async def go():
        journal = {"path": str(tmp_path / "journal"), "retention_days": days}
        async with stand(tmp_path, journal=journal) as one:
            await one.app.live(0.01)

    asyncio.run(go())
    assert asked == ([(tmp_path / "journal", 30)] if days else [])


def test_it_ends_by_itself_when_its_time_is_over(tmp_path):
    async def go():
        async with stand(tmp_path) as one:
            await one.app.live(0.01)
            return one.app.last

    assert asyncio.run(go()).state == "STOPPED"


def fail_with(tmp_path, cause):
    """Let a daemon that trades meet `cause(app)`; return the app as it ended, and what it logged."""

    async def go():
        async with stand(tmp_path) as one:
            life = asyncio.ensure_future(one.app.live(None))
            await one.ready(life)
            cause(one.app)
            await life
            return one.app, one.said

    return asyncio.run(go())


async def raising(error):
    raise error


def test_a_bug_halts_for_good_and_still_cancels_what_stands(tmp_path):
    app, said = fail_with(tmp_path, lambda app: app._spawn(raising(ValueError("odd"))))
    assert isinstance(app.failure, ValueError)
    assert app.last.reason == "ValueError: odd"
    assert (app.core.engine.risk.latch.source, app.last.orders.unknown) == ("failure", 0)
    assert set(app.last.orders.by_state) == {"CANCELED"}
    assert "Traceback" in said  # for who mends it


def test_a_bug_that_only_the_loop_hears_of_counts_as_well(tmp_path):
    def cause(app):
        context = {"message": "the handler raised", "exception": ValueError("odd")}
        asyncio.get_running_loop().call_exception_handler(context)

    app, _ = fail_with(tmp_path, cause)
    assert isinstance(app.failure, ValueError)
    assert app.last.reason == "ValueError: odd"


def test_an_error_that_was_foreseen_ends_it_without_halting(tmp_path):
    app, said = fail_with(tmp_path, lambda app: app._spawn(raising(ConfigError("ws_url is none"))))
    assert isinstance(app.failure, ConfigError)
    assert (app.last.reason, app.core.engine.risk.latch) == ("", None)
    assert "failed text='ws_url is none'" in said
    assert "Traceback" not in said


def test_what_the_loop_grumbles_about_is_logged_and_no_more(tmp_path):
    async def go():
        async with stand(tmp_path) as one:
            one.app._on_loop_exception(asyncio.get_running_loop(), {"message": "slow callback"})
            return one.app.failure, one.said

    failure, said = asyncio.run(go())
    assert failure is None
    assert "slow callback" in said


@pytest.mark.parametrize("flood", [{"accepted": False, "refusal": "the token is wrong"}, {"often": True}])
def test_no_flood_of_commands_crowds_out_the_line_of_one_that_is_taken(tmp_path, flood):
    taken = Audit(verb="resume", reason="lunch is over", via="socket", accepted=True)

    async def go():
        async with stand(tmp_path) as one:
            for _ in range(10 * BURST_MAX):
                one.app._on_http(replace(taken, verb="halt", reason="", **flood))
            one.app._on_http(taken)
            return one.said.splitlines()

    *crowd, last = asyncio.run(go())
    assert (len(crowd), "daemon: command verb='resume' reason='lunch is over'" in last) == (BURST_MAX, True)


def test_a_stop_before_it_is_ready_ends_the_start(tmp_path, monkeypatch):
    async def never(*_, **__):
        await asyncio.Event().wait()

    monkeypatch.setattr(module, "find_instruments", never)

    async def go():
        async with stand(tmp_path) as one:
            life = asyncio.ensure_future(one.app.live(None))
            await asyncio.sleep(0)
            one.app.ask_stop("test")
            await asyncio.wait_for(life, 120)  # it may compile first
            return one.app.last, one.app.failure

    assert asyncio.run(go()) == (None, None)


@pytest.mark.parametrize("error", [NetError("the line is cut"), FrameError("json", "the line is cut")])
def test_it_meets_the_venue_again_when_somebody_asks_and_after_a_failure(tmp_path, error):
    async def go():
        async with stand(tmp_path) as one:
            life = asyncio.ensure_future(one.app.live(None))
            await one.ready(life)
            venue = one.app.core.orders.venue
            answer, asked = venue.snapshot, []

            async def snapshot(since_ns):
                asked.append(since_ns)
                if len(asked) == 1:
                    raise error
                return await answer(since_ns)

            venue.snapshot = snapshot
            one.app.core.orders.doubts.ask_snapshot()
            await one.until(lambda: len(asked) == 2)
            one.app.ask_stop("test")
            await life
            return one.said

    assert "snapshot_failed reason='the line is cut'" in asyncio.run(go())


def test_a_connection_made_anew_during_the_first_meeting_asks_for_another(tmp_path, monkeypatch):
    meet, met = Meetings.meet, []

    async def lost_meanwhile(meetings):
        engine = meetings._core.engine
        met.append(engine.phase)
        if len(met) == 1:
            for up in (False, True):
                engine.on_venue_status(VenueStatus(up=up, reason="test", wire_ns=1))
        await meet(meetings)

    monkeypatch.setattr(Meetings, "meet", lost_meanwhile)

    async def go():
        async with stand(tmp_path) as one:
            life = asyncio.ensure_future(one.app.live(None))
            await one.until(lambda: len(met) == 2 or life.done(), 20)
            one.app.ask_stop("test")
            await life

    asyncio.run(go())
    assert met == ["RECOVERING", "READY"]


@pytest.mark.parametrize("fails", [True, False])
def test_a_start_that_fails_or_is_given_up_leaves_no_connection_and_no_open_journal(
    tmp_path, monkeypatch, fails
):
    met = asyncio.Event()

    async def meet(_):
        met.set()
        if fails:
            raise VenueError(-1, "the account is closed")
        await asyncio.Event().wait()

    monkeypatch.setattr(Meetings, "meet", meet)

    async def go():
        async with stand(tmp_path) as one:
            life = asyncio.ensure_future(one.app.live(None))
            await met.wait()
            one.app.ask_stop("test")
            await asyncio.wait((life,))
            core = one.app.core
            supervisor = core.orders.venue._supervisor
            assert not supervisor.done()
            await one.app.abandon()
            assert supervisor.done()
            assert (core.orders.venue.up, core.engine.phase) == (False, "DRAINING")
            with pytest.raises(JournalError, match="closed"):
                core.journal.append(b"x")
            assert all(task.done() for task in one.app._tasks)
            return life.exception()

    error = asyncio.run(go())
    assert str(error) == ("the account is closed" if fails else "None")


def test_nothing_that_could_journal_outlives_the_journal(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "DRAIN_NS", 100_000_000)

    async def go():
        async with stand(tmp_path) as one:
            life = asyncio.ensure_future(one.app.live(None))
            await one.ready(life)
            app = one.app
            close, alive = app.core.journal.close, []
            # an answer that never comes: its timer must not outlive the journal either
            app.core.orders.venue.cancel = lambda _: None

            async def closing(ended_ns):
                alive.extend(task for task in app._tasks if not task.done())
                alive.extend([] if app._beat._handle.cancelled() else [app._beat])
                alive.extend(timer for timer in (app.core.orders._timer,) if timer is not None)
                await close(ended_ns)

            app.core.journal.close = closing
            app.ask_stop("test")
            await life
            app._fail(ValueError("late"))  # has no journal to halt in, and is told none the less
            return alive, app.failure, one.said

    alive, failure, said = asyncio.run(go())
    assert alive == []
    assert said.count("left") == 2  # the two orders whose cancel was never heard
    assert isinstance(failure, ValueError)


@pytest.mark.parametrize("asked", [False, True])
def test_memory_is_locked_where_asked_for_and_trading_goes_on_where_it_is_not_permitted(
    tmp_path, monkeypatch, asked
):
    monkeypatch.setattr(module, "lock_memory", lambda: "no permission")

    async def go():
        async with stand(tmp_path, loop={"lock_memory": asked}) as one:
            await one.app.live(0.01)
            return one.app.last, one.said

    last, said = asyncio.run(go())
    assert last.state == "STOPPED"
    assert ("memory_not_locked reason='no permission'" in said) == asked


def test_a_step_of_the_systems_clock_is_logged_and_told_to_all_who_compare_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(SystemClock, "resync", lambda _: 2_000_000_000)

    async def go():
        async with stand(tmp_path) as one:
            life = asyncio.ensure_future(one.app.live(None))
            await one.ready(life)
            stepped = []
            monkeypatch.setattr(one.app.core.orders.venue, "clock_stepped", stepped.append)
            monkeypatch.setattr(one.app.meetings, "clock_stepped", stepped.append)
            await one.until(lambda: len(stepped) >= 2)
            one.app.ask_stop("test")
            await life
            return stepped, one.said

    stepped, said = asyncio.run(go())
    assert set(stepped) == {2_000_000_000}
    assert "clock_step step_ms=2000.0" in said


def test_two_do_not_share_a_journal(tmp_path):
    async def go():
        async with stand(tmp_path) as one:
            held = RealDisk()
            held.lock(tmp_path / "journal" / "lock")
            try:
                with pytest.raises(TickdError, match="another daemon is running on the journal"):
                    await one.app.start()
            finally:
                held.release()

    asyncio.run(go())


def test_a_journal_that_cannot_be_there_is_named(tmp_path):
    (tmp_path / "taken").write_text("")

    async def go():
        async with stand(tmp_path, journal={"path": str(tmp_path / "taken" / "journal")}) as one:
            with pytest.raises(TickdError, match=r"taken/journal cannot be used \(Not a directory\)"):
                await one.app.start()

    asyncio.run(go())


def test_a_core_that_this_process_may_not_use_is_refused_before_anything_opens(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 1})

    async def go():
        async with stand(tmp_path, loop={"cpu": 0}) as one:
            with pytest.raises(ConfigError, match=r"^loop.cpu is 0, and this process may use 1, 2$"):
                await one.app.start()
            assert not (tmp_path / "journal").exists()

    asyncio.run(go())


# --- the venue's word, again and again ----------------------------------------------------------------------
@pytest.fixture
def worlds(monkeypatch):
    """Return the exchanges that a stand builds, to be changed behind the daemon's back."""
    made = []

    def keep(*args):
        made.append(build(*args))
        return made[-1]

    monkeypatch.setattr(keeping, "build", keep)
    return made


def meet_after(tmp_path, change, until, **sections):
    """Let `change(exchange, app)` happen while a daemon trades, and let it meet until `until(app)`.

    Returns its Status then, and what it logged.
    """

    async def go():
        async with stand(tmp_path, **sections) as one:
            life = asyncio.ensure_future(one.app.live(None))
            await one.ready(life)
            await change(one)
            before = one.app.core.recovery.meetings

            asked_ns = 0

            def holds():  # more looks than these would soon wait for their share of the request weight
                nonlocal asked_ns
                if one.app.seams.clock.mono_ns() - asked_ns > 500 * MS:
                    asked_ns = one.app.seams.clock.mono_ns()
                    one.app.meetings.ask()
                return until(one.app, one.app.core.recovery.meetings - before)

            await one.until(holds, 30)
            status, pairs = one.app.status(), one.app.core.portfolio.purses
            totals = {asset: purse.total for asset, purse in pairs.items()}
            one.app.ask_stop("test")
            await life
            return status, totals, one.said

    return asyncio.run(go())


def test_a_balance_changed_by_hand_is_taken_over_and_told(tmp_path, worlds, monkeypatch):
    monkeypatch.setattr(lasting, "LAG_NS", 2_000 * MS)
    account = []

    async def withdraw(_):
        account.append(worlds[0].gateways["spot"].exchange.accounts[ACCOUNT])
        account[0].deposit("USDT", -5 * UNIT)  # nothing is told of it, as when a report is lost

    status, totals, said = meet_after(tmp_path, withdraw, lambda app, _: app.core.recovery.differences)
    balance = account[0].balance("USDT")
    assert totals["USDT"] * UNIT == (balance.free + balance.locked) * MONEY
    assert (status.state, status.venue_differences >= 1) == ("READY", True)
    assert "USDT where our trades make it" in said
    paths = RealDisk().list(tmp_path / "journal")
    assert any(b"USDT where our trades make it" in path.read_bytes() for path in paths)


def test_an_order_we_never_sent_is_found_and_cancelled(tmp_path, worlds):
    async def place(one):
        signer = HmacSigner(KEY, SECRET)
        order = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.001",
        }
        order |= {
            "price": "40000.00",
            "newClientOrderId": "by-hand",
            "timestamp": SystemClock().now_ns() // MS,
        }
        url = f"{one.config.venue.rest_url}/api/v3/order?{signed_query(signer, order)}"
        answer = await one.net.request("POST", url, {"X-MBX-APIKEY": KEY}, b"", 5.0)
        assert answer.status == 200, answer.body

    def gone(app, meetings):
        ended = app.core.orders.life.ended.get("by-hand")
        return meetings and ended is not None and ended.state is State.CANCELED

    status, _, said = meet_after(tmp_path, place, gone)
    assert status.state == "READY"
    assert "the venue has order by-hand, which is not ours" in said


def test_a_symbol_that_vanished_halts_and_every_face_says_why(tmp_path, worlds):
    async def delist(_):
        exchange = worlds[0].gateways["spot"].exchange

        def market(symbol):
            raise bad_symbol()

        exchange.market = market

    status, _, said = meet_after(tmp_path, delist, lambda app, _: app.core.engine.state == "HALTED")
    assert status.kill_switch
    assert status.reason.startswith(
        "the venue does not say what it holds: GET /api/v3/myTrades of BTCUSDT was refused"
    )
    assert said.count("snapshot_failed") == 1


def test_a_symbol_that_was_delisted_is_suspended_and_the_others_trade(tmp_path):
    symbols = ("ETH/USDT", "BTC/USDT")

    async def go(listed):
        maker = {**MAKER, "symbols": symbols[1:]}
        async with stand(tmp_path, {"symbols": listed}, symbols=symbols, strategy=[maker]) as one:
            life = asyncio.ensure_future(one.app.live(None))
            await one.ready(life)
            status, suspended = one.app.status(), sorted(one.app.core.engine.risk.suspended)
            one.app.ask_stop("test")
            await life
            one.app.seams.disk.release()
            return status.state, status.feed_connected, suspended, one.said

    assert asyncio.run(go(symbols))[:3] == ("READY", True, [])
    *found, said = asyncio.run(go(symbols[1:]))
    assert found == ["READY", True, [0]]
    assert "ETH/USDT is not listed at binance" in said
    assert "snapshot_failed" not in said


def test_a_clock_that_jumps_is_measured_anew_and_the_meetings_go_on(tmp_path, monkeypatch, worlds):
    async def jump(one):
        monkeypatch.setattr(clock, "_wall", lambda: time.time_ns() + 30_000_000_000)
        await one.until(lambda: b"clock_step" in b"".join(one.lines) or one.logs.flush())

    status, _, said = meet_after(tmp_path, jump, lambda _, meetings: meetings >= 2)
    assert (status.state, status.kill_switch) == ("READY", False)
    assert "irreconcilable" not in said


@pytest.mark.parametrize(("collar", "warned"), [(0.01, False), (0.9, True)])
def test_a_collar_that_reaches_beyond_the_exchange_s_own_bounds_is_told(tmp_path, collar, warned):
    async def go():
        async with stand(tmp_path, risk={"collar": collar}) as one:
            life = asyncio.ensure_future(one.app.live(None))
            await one.ready(life)
            one.app.ask_stop("test")
            await life
            return one.said

    words = "risk.collar lets orders in BTC/USDT be 0.9 away from the market, and the exchange rejects"
    assert (words in asyncio.run(go())) is warned


def test_balances_that_no_symbol_prices_are_told_to_be_no_part_of_the_value(tmp_path):
    async def go():
        async with stand(tmp_path, {"balances": {"USDT": "100000", "DOGE": "5"}}) as one:
            life = asyncio.ensure_future(one.app.live(None))
            await one.ready(life)
            one.app.ask_stop("test")
            await life
            return one.said

    assert "no symbol prices DOGE, so what the account has of it is no part of its value" in asyncio.run(go())


class Stuck:
    """The worker of a disk that answers no more."""

    async def call(self, fn, *args):
        await asyncio.Event().wait()


def test_a_tape_whose_disk_hangs_keeps_neither_the_journal_nor_the_end_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr(assembly, "TAPE_S", 0.2)

    async def go():
        async with stand(tmp_path, tape={"record": True, "path": str(tmp_path / "tape")}) as one:
            one.app._tape_worker = Stuck()
            life = asyncio.ensure_future(one.app.live(None))
            await one.ready(life)
            journal = one.app.core.journal
            await one.until(one.app._desk.tape._turn.locked)
            syncs = journal.syncs
            await one.until(lambda: journal.syncs > syncs + 1)
            one.app.ask_stop("test")
            await asyncio.wait_for(life, 30)
            return one.app, one.said

    app, said = asyncio.run(go())
    assert app.last.state == "STOPPED"
    assert app.failure is None
    assert "its disk has not taken the rest within 0.2 s: given up" in said

"""Flattening with no daemon there, over virtual time and a venue with books of its own."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest

from daemon.config import Config, FeedConfig, JournalConfig, RiskConfig, StrategyConfig, VenueConfig
from daemon.direct import Direct
from daemon.errors import NetError, TickdError, VenueError
from daemon.events import Balance, ExecutionReport, OpenOrder, VenueSnapshot, VenueStatus
from daemon.instruments import NOT_LISTED
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.no_net import NoNet
from daemon.orders.order import State
from daemon.orders.reader import read_all
from daemon.orders.records import Adopted, Ended, Placed
from daemon.seams import Seams
from kernels import dtypes as d
from tests.daemon.orders.conftest import BOOT, FOLDER, SECOND, World, btc_usdt

if TYPE_CHECKING:
    from daemon.clock import VirtualTime

BID = 6_000_000
HELD_LOTS = 500  # 0.005 BTC
CONFIG = Config(
    name="test",
    mode="live",
    feed=FeedConfig(symbols=("BTC/USDT",)),
    strategy=(StrategyConfig(name="ema_cross"),),
    venue=VenueConfig(kind="binance"),
    journal=JournalConfig(path=str(FOLDER)),
    risk=RiskConfig(collar=0.01),
)


class Market:
    """A venue that keeps its own books; `fates` says what becomes of the next orders' answers."""

    name = "model"
    losses = 0

    def __init__(self, time: VirtualTime, base: str = "10") -> None:
        self.up = False
        self.silent = False  # never connects
        self.bid = 60_000.0
        self.fates: list[str] = []  # "mute": executed, no answer; "lost": never arrived
        self.placed: list[str] = []
        self.standing: dict[str, OpenOrder] = {}
        self.trades: list[ExecutionReport] = []
        self.base = Decimal(base)
        self.elsewhere = Decimal(0)  # of that, locked by orders in other symbols
        self.asked = 0  # for a snapshot
        self.quote = Decimal(100_000)
        self._time = time

    def _say(self, kind, cid, *, mute=False, **more):
        report = ExecutionReport(
            kind=kind, client_order_id=cid, instrument=0, wire_ns=self._time.now_ns(), **more
        )
        if not mute:
            self._time.call_at(self._time.now_ns() + 1000, lambda: self._sink.on_report(report))
        return report

    def stand(self, cid, side=d.BUY, lots=100, *, stop=False, ticks=BID - 50_000):
        self.standing[cid] = OpenOrder(
            client_order_id=cid, venue_order_id="7", instrument=0, side=side, price_ticks=ticks,
            qty_lots=lots, cum_lots=0, stop=stop,
        )  # fmt: skip

    def is_short(self):
        return False

    def place(self, order):
        assert order.client_order_id not in self.placed, "sent twice"
        self.placed.append(order.client_order_id)
        fate = self.fates.pop(0) if self.fates else ""
        if fate == "lost":
            return
        lots, cid = order.qty_lots, order.client_order_id
        self.base -= Decimal("1e-5") * lots
        self.quote += Decimal("0.6") * lots
        self.trades.append(
            self._say(
                "TRADE",
                cid,
                mute=fate == "mute",
                trade_id=len(self.trades) + 100,
                last_lots=lots,
                last_ticks=BID,
                cum_lots=lots,
                qty_lots=lots,
                side=order.side,
            )
        )

    def cancel(self, order):
        found = self.standing.pop(order.client_order_id, None)
        self._say("CANCELED" if found else "CANCEL_REJECTED", order.client_order_id)

    def query(self, order):
        cid = order.client_order_id
        done = [trade for trade in self.trades if trade.client_order_id == cid]
        if done:
            for trade in done:
                self._say("TRADE", cid, **{
                    name: getattr(trade, name)
                    for name in ("trade_id", "last_lots", "last_ticks", "cum_lots", "qty_lots", "side")
                })  # fmt: skip
            self._say("STATUS", cid, status="FILLED", cum_lots=done[-1].cum_lots, qty_lots=done[-1].qty_lots)
        elif cid in self.standing:
            one = self.standing[cid]
            self._say("STATUS", cid, status="NEW", qty_lots=one.qty_lots, side=one.side)
        else:
            self._say("NOT_FOUND", cid)

    async def start(self, sink):
        self._sink = sink
        if self.silent:
            await asyncio.Event().wait()
        self.up = True
        sink.on_venue_status(VenueStatus(up=True, reason="", wire_ns=self._time.now_ns()))

    async def snapshot(self, since_ns):
        self.asked += 1
        selling = sum(one.qty_lots for one in self.standing.values() if one.side == d.SELL)
        locked = self.elsewhere + selling * Decimal("1e-5")
        balances = {"USDT": Balance(self.quote, Decimal(0)), "BTC": Balance(self.base - locked, locked)}
        return VenueSnapshot(balances, list(self.standing.values()), self.trades, self._time.now_ns())

    async def stop(self):
        self.up = False

    async def touches(self, instruments):
        return [(self.bid, self.bid + 1.0) for _ in instruments]


class Scene:
    """A dead daemon that held BTC, a market, and what flattens it."""

    def __init__(self, disk=None, **more):
        self.disk = disk or MemoryDisk()
        self.dead = World(disk=self.disk, begin=False, **more)
        self.dead.recovery.begin("0", 'mode = "live"', BOOT)
        self.dead.meet({"USDT": "100000", "BTC": "10"})
        self.dead.risk.open_all(d.GATE_NOT_READY)
        bought = self.dead.place(kind=d.TARGET, qty=HELD_LOTS)
        self.dead.fill(bought, 1, HELD_LOTS, cum_lots=HELD_LOTS)
        self.dead.report("STATUS", bought, status="FILLED", cum_lots=HELD_LOTS, qty_lots=HELD_LOTS)
        asyncio.run(self.dead.journal.sync_now())
        self.time = self.dead.time
        self.market = Market(self.time, "10.005")
        self.market.quote -= 300

    def flatten(self, foreign="cancel", **more):
        """Run it to its end; return the report."""
        venue = msgspec.structs.replace(CONFIG.venue, foreign_orders=foreign)
        config = msgspec.structs.replace(CONFIG, venue=venue)
        time = self.time
        seams = Seams(time, time, NoNet(), self.disk, InlineWorker(), random.Random(1))

        async def run():
            self.direct = Direct(
                config, self.dead.instruments, self.market, self.market.touches, seams, **more
            )
            task = asyncio.ensure_future(self.direct.run())
            while not task.done():
                for _ in range(20):
                    await asyncio.sleep(0)
                if not task.done():
                    time.advance(time.now_ns() + SECOND // 20)
            await self.direct.close()
            return task.result()

        return asyncio.run(run())

    def protect(self):
        """Let a stop stand below what is held; return its id."""
        stop = self.dead.place(
            kind=d.STOP, side=d.SELL, price=BID - 50_000, qty=HELD_LOTS, level=1, reduces=True
        )
        self.market.stand(stop.client_order_id, d.SELL, HELD_LOTS, stop=True)
        return stop.client_order_id

    def sold(self):
        return Decimal("10.005") - self.market.base


@pytest.fixture
def scene():
    return Scene()


def records(scene, kind):
    return [record for _, _, record in read_all(scene.disk, FOLDER) if isinstance(record, kind)]


def test_what_the_strategies_hold_is_sold_and_nothing_else(scene):
    report = scene.flatten()
    assert (report.left, report.dust) == ([], [])
    assert report.closed == ["sold 0.00500 BTC at 60000.00 USDT on average"]
    assert scene.sold() == Decimal("0.005")
    assert len(records(scene, Placed)) == 2  # the dead daemon's and ours
    assert len(records(scene, Ended)) == 1  # ours alone
    later = scene.dead.restarted()
    assert later.position(d.P_QTY) == 0.0
    assert later.risk.latch.source == "flatten --direct"


def test_what_the_daemon_traded_and_nobody_had_heard_of_was_not_closed_here(scene):
    bought = scene.dead.place(kind=d.TARGET, qty=200, level=1)
    asyncio.run(scene.dead.journal.sync_now())
    scene.market.base += Decimal("0.002")
    scene.market.quote -= 120
    trade = {"trade_id": 99, "last_lots": 200, "last_ticks": BID, "cum_lots": 200, "qty_lots": 200}
    scene.market.trades.append(
        scene.market._say("TRADE", bought.client_order_id, mute=True, side=d.BUY, **trade)
    )
    report = scene.flatten()
    assert report.closed == ["sold 0.00700 BTC at 60000.00 USDT on average"]


def test_every_order_is_cancelled_whoever_sent_it(scene):
    scene.market.stand("by-hand")
    mine = scene.dead.place(level=3, price=BID - 50_000)
    scene.market.stand(mine.client_order_id)
    report = scene.flatten()
    assert scene.market.standing == {}
    assert sorted(report.canceled) == sorted(["by-hand", mine.client_order_id])
    assert report.left == []


@pytest.mark.parametrize("foreign", ["ignore", "cancel", "adopt"])
@pytest.mark.parametrize("stop", [True, False])
def test_orders_of_others_are_cancelled_and_what_they_held_is_sold_whatever_the_daemon_does(
    scene, foreign, stop
):
    scene.market.stand("by-hand", d.SELL, 1_000_300, stop=stop)  # all but 0.002 BTC
    report = scene.flatten(foreign)
    assert (report.left, report.canceled, scene.market.standing) == ([], ["by-hand"], {})
    assert scene.sold() == Decimal("0.005")


def test_coins_that_orders_elsewhere_hold_are_sold_once_they_are_set_free(scene):
    scene.market.elsewhere = scene.market.base
    free = partial(setattr, scene.market, "elsewhere", Decimal(0))
    began_ns = scene.time.now_ns()
    scene.time.call_at(began_ns + 5 * SECOND, free)
    assert scene.flatten().left == []
    assert scene.sold() == Decimal("0.005")
    assert scene.time.now_ns() - began_ns < 10 * SECOND


def test_the_longer_nothing_gets_on_the_more_rarely_the_venue_is_asked(scene):
    scene.market.elsewhere = scene.market.base
    assert scene.flatten().left == ["0.005 BTC of maker"]
    assert 8 <= scene.market.asked <= 12  # in three minutes


def test_an_order_without_an_answer_is_asked_about_and_not_sent_again(scene):
    scene.market.fates = ["mute"]
    assert scene.flatten().left == []
    assert len(scene.market.placed) == 1
    assert scene.sold() == Decimal("0.005")


def test_an_order_that_never_arrived_is_replaced_only_once_it_is_known_to_be_absent(scene):
    scene.market.fates = ["lost"]
    began_ns = scene.time.now_ns()
    assert scene.flatten().left == []
    assert len(scene.market.placed) == 2
    assert scene.sold() == Decimal("0.005")
    assert scene.time.now_ns() - began_ns > 60 * SECOND
    assert scene.direct.orders.life.ended[scene.market.placed[0]].state is State.VOID


@pytest.mark.parametrize("lots", [HELD_LOTS, HELD_LOTS - 200])
def test_of_futures_what_the_exchange_nets_is_settled_and_the_rest_is_closed(lots):
    scene = Scene(instruments=[btc_usdt(market="usdm")], strategies={"old": (0,), "new": (0,)})
    scene.dead.fill(scene.dead.place(1, kind=d.TARGET, side=d.SELL, qty=lots), 2, lots)
    report = scene.flatten()
    assert report.left == []
    assert [order.qty_lots for order in scene.direct.orders.life.ended.values()][2:] == [200] * (
        lots < HELD_LOTS
    )
    assert {holding.qty for holding in scene.dead.restarted().portfolio.holdings.values()} == {0}


def test_what_has_no_price_is_left_and_told(scene):
    scene.market.bid = 0.0
    report = scene.flatten()
    assert report.left == ["0.005 BTC of maker"]
    assert "flatten cannot close 0.005 BTC of maker" in report.notes[0]
    assert scene.market.placed == []


def test_a_stop_stands_while_there_is_no_price_and_goes_before_what_it_protected_is_sold(scene):
    stop, bid = scene.protect(), scene.market.bid
    scene.market.bid = 0.0
    looked = []

    def show():
        looked.append(list(scene.market.standing))
        scene.market.bid = bid

    scene.time.call_at(scene.time.now_ns() + 5 * SECOND, show)
    report = scene.flatten()
    assert looked == [[stop]]
    assert (report.left, report.canceled, scene.market.standing) == ([], [stop], {})
    assert scene.sold() == Decimal("0.005")


def test_a_symbol_that_is_not_trading_keeps_its_position_and_stop_and_is_told_at_once(scene):
    stop, began_ns = scene.protect(), scene.time.now_ns()
    quote = scene.dead.place(level=3, price=BID - 60_000)
    scene.market.stand(quote.client_order_id)
    scene.dead.instruments[0] = msgspec.structs.replace(scene.dead.instruments[0], status="BREAK")
    report = scene.flatten()
    assert list(scene.market.standing) == [stop]
    assert report.notes == [
        "flatten cannot close 0.005 BTC of maker while BTC/USDT is not TRADING: its stop stands"
    ]
    assert report.left == [f"order {stop} in BTC/USDT is WORKING", "0.005 BTC of maker"]
    assert scene.market.placed == []
    assert scene.time.now_ns() - began_ns < 5 * SECOND


@pytest.mark.parametrize(
    ("ticks", "then"), [(BID - 50_000, "its stop stands"), (BID + 50_000, "no stop protects it")]
)
def test_what_a_person_has_waiting_protects_a_position_where_a_loss_triggers_it(scene, ticks, then):
    scene.market.stand("by-hand", d.SELL, HELD_LOTS, stop=True, ticks=ticks)
    scene.dead.instruments[0] = msgspec.structs.replace(scene.dead.instruments[0], status="BREAK")
    report = scene.flatten("adopt")
    assert list(scene.market.standing) == ["by-hand"]
    assert report.notes[-1].endswith(f"while BTC/USDT is not TRADING: {then}")


def test_a_symbol_that_is_listed_no_more_keeps_its_position_and_nobody_is_asked_about_it(scene):
    async def touches(instruments):
        assert not instruments, "the exchange refuses to tell"
        return []

    scene.market.touches = touches
    stop = scene.protect()
    scene.market.standing.clear()  # the exchange ended it
    scene.dead.instruments[0] = msgspec.structs.replace(scene.dead.instruments[0], status=NOT_LISTED)
    report = scene.flatten(everything=True)
    assert report.notes == [
        "flatten cannot close 0.005 BTC of maker while BTC/USDT is not listed: no stop protects it"
    ]
    assert report.left == ["0.005 BTC of maker"]
    assert scene.market.placed == []
    assert scene.direct.orders.life.ended[stop].state is State.VOID


def test_with_everything_a_position_that_ended_with_its_contract_is_given_up():
    scene = Scene(instruments=[btc_usdt(market="usdm")])
    scene.dead.instruments[0] = msgspec.structs.replace(scene.dead.instruments[0], status=NOT_LISTED)
    assert scene.flatten().left == ["0.005 BTC of maker"]
    assert scene.flatten(everything=True).left == []
    assert {holding.qty for holding in scene.dead.restarted().portfolio.holdings.values()} == {0}


def test_the_venue_itself_tells_which_markets_are_open_where_it_can(scene):
    stop = scene.protect()
    closed = [msgspec.structs.replace(one, status="inactive") for one in scene.dead.instruments]
    report = scene.flatten(markets=lambda: closed if scene.market.up else [])
    assert list(scene.market.standing) == [stop]
    assert report.left == [f"order {stop} in BTC/USDT is WORKING", "0.005 BTC of maker"]


def test_with_everything_what_no_strategy_bought_is_sold_too(scene):
    assert scene.flatten(everything=True).left == []
    assert scene.market.base == 0
    assert not records(scene, Adopted)
    (direct,) = (desk for desk in scene.direct.orders.desks if desk.name == "direct")
    holding = scene.direct.orders.portfolio.holdings[direct.index, 0]
    assert (holding.qty, holding.realised) == (0, 0)  # what they were bought for nobody knows


def test_a_journal_that_cannot_be_read_is_refused_without_everything(scene):
    path = scene.disk.list(FOLDER)[0]
    scene.disk._files[path].data[40] ^= 1
    with pytest.raises(TickdError, match=r"what the strategies hold is not known: .*damaged.*--everything"):
        scene.flatten()
    report = scene.flatten(everything=True)
    assert report.left == []
    assert "is not read" in report.notes[0]
    assert scene.market.base == 0


def test_a_torn_tail_of_the_journal_is_told(scene):
    (path,) = scene.disk.list(World.folder)
    scene.disk.truncate(path, len(scene.disk.read(path)) - 3)
    report = scene.flatten()
    assert [note for note in report.notes if "bytes of no whole record, cut at offset" in note]


def test_on_a_full_disk_it_goes_on_in_memory(scene):
    scene.disk.bytes_max = 0
    report = scene.flatten()
    assert report.left == []
    assert "the next daemon will find these orders by their ids" in report.notes[0]
    assert scene.sold() == Decimal("0.005")
    assert len(records(scene, Placed)) == 1
    scene.disk.bytes_max = None
    later = scene.dead.restarted()
    found = later.meet({"USDT": "100000", "BTC": "10"}, trades=scene.market.trades)
    assert (found.fatal, found.trades) == ([], 1)
    assert later.position(d.P_QTY) == 0.0


def test_with_everything_neither_a_damaged_journal_nor_a_full_disk_is_in_the_way(scene):
    path = scene.disk.list(FOLDER)[0]
    scene.disk._files[path].data[40] ^= 1
    scene.disk.bytes_max = 0
    report = scene.flatten(everything=True)
    assert report.left == []
    assert ["is not read" in note for note in report.notes[:2]] == [True, False]
    assert scene.market.base == 0


@pytest.mark.parametrize("priced", [True, False])
def test_without_a_journal_too_the_stop_of_what_cannot_be_sold_stands(scene, priced):
    stop = scene.protect()
    if priced:
        scene.dead.instruments[0] = msgspec.structs.replace(scene.dead.instruments[0], status="BREAK")
    else:
        scene.market.bid = 0.0
    scene.disk = MemoryDisk()  # it is lost
    report = scene.flatten(everything=True)
    assert (list(scene.market.standing), report.canceled, scene.market.placed) == ([stop], [], [])
    assert any("its stop stands" in note for note in report.notes)


def test_an_order_that_is_listed_after_its_end_is_looked_at_again_until_that_is_sure(
    scene,
):
    mine = scene.dead.place(level=3, price=BID - 50_000)
    scene.market.stand(mine.client_order_id)
    listed = dict(scene.market.standing)
    snapshot = scene.market.snapshot

    async def lagging(since_ns):
        told = await snapshot(since_ns)
        return msgspec.structs.replace(told, open_orders=[*listed.values()])

    scene.market.snapshot = lagging
    began_ns = scene.time.now_ns()
    report = scene.flatten()
    assert any(f"lists order {mine.client_order_id} as open" in note for note in report.notes)
    assert 20 * SECOND <= scene.time.now_ns() - began_ns < 23 * SECOND


def test_a_first_look_that_fails_is_tried_again(scene):
    snapshot, failures = scene.market.snapshot, [NetError("cut"), VenueError(-1003, "too many requests")]

    async def failing(since_ns):
        if failures:
            raise failures.pop(0)
        return await snapshot(since_ns)

    scene.market.snapshot = failing
    stop = scene.protect()
    report = scene.flatten()
    assert (report.canceled, report.left, scene.sold()) == ([stop], [], Decimal("0.005"))
    assert report.notes[:2] == ["cut", "too many requests"]


def test_an_account_that_cannot_be_looked_at_at_all_is_one_sentence(scene):
    for error, tries in ((NetError("no answer"), 61), (VenueError(-2015, "no such key"), 1)):
        asked = []

        async def never(since_ns, error=error, asked=asked):
            asked.append(since_ns)
            raise error

        scene.market.snapshot = never
        with pytest.raises(type(error), match=str(error)):
            scene.flatten()
        assert (len(asked), scene.sold()) == (tries, 0)


def test_a_venue_that_is_never_up_is_one_sentence(scene):
    scene.market.silent = True
    with pytest.raises(NetError, match="model could not be reached within 30 s; nothing was sent"):
        scene.flatten()


def test_a_person_can_end_it(scene):
    scene.market.bid = 0.0
    scene.time.call_at(scene.time.now_ns() + 2 * SECOND, lambda: scene.direct.stop())  # noqa: PLW0108 - made later
    began_ns = scene.time.now_ns()
    assert scene.flatten().left == ["0.005 BTC of maker"]
    assert scene.time.now_ns() - began_ns < 4 * SECOND

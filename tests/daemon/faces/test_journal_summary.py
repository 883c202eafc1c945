from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from decimal import Decimal

import msgspec
import pytest

from daemon.events import Funding
from daemon.faces.journal_summary import summarise
from daemon.memory_disk import MemoryDisk
from daemon.options import ReplayOptions
from daemon.orders import records as r
from daemon.orders.money import to_text
from daemon.orders.order import State
from daemon.orders.reader import read_all
from daemon.orders.risk import RiskLimits
from daemon.snapshot import instrument_statuses
from daemon.tape import replay
from daemon.tape.source import open_source
from kernels import dtypes as d
from tests.daemon.orders.conftest import START_NS, World, btc_usdt, eth_btc

SECOND = 1_000_000_000


def summed(journal, since_ns=None, until_ns=None, chosen=lambda line: True):
    return summarise(journal, since_ns, until_ns, chosen)


def only(summary):
    (line,) = summary.lines
    return line


def test_money_is_what_the_daemon_believed_to_the_last_digit(busy, told):
    line = only(summed(told(busy)))
    held = busy.portfolio.holdings[0, 0]
    assert (line.position, line.realised, line.fees) == tuple(
        map(to_text, (held.qty, held.realised, held.fees))
    )
    assert (line.mark, line.mark_time) == ("61000.00", "2023-11-14T22:13:20.000000000Z")
    assert Decimal(line.unrealised) == Decimal(line.position) * 61000 - Decimal(to_text(held.cost))
    assert line.fees_paid == {"BTC": "0.00001", "USDT": "0.12"}
    assert line.turnover == "903"


def test_what_happened_is_counted(busy, told):
    summary = summed(told(busy))
    line = only(summary)
    assert (line.orders, line.fills, line.cancels, line.maker_share) == (5, 3, 2, 0.0)
    assert (line.rejections, line.refusals) == ({"0": 1}, {"halted": 1, "no_slot": 1})
    # one from 2 s after its cancel until it was answered 1 s later, one still open, 4 s after that
    assert (line.unknown, line.unknown_s, line.unknown_s_max) == (2, 4.0, 3.0)
    assert (summary.halts, summary.halted_s, summary.halted, summary.runs) == (1, 5.0, False, 1)
    assert summary.totals[0].realised == line.realised
    assert "no funding is on record" in summary.notes[-1]


def test_what_never_left_is_no_rejection_of_the_venues(told):
    world = World()
    for reason, code in (("no money", -2010), ("not sent: the venue is down", 0), ("not sent: too many", 0)):
        world.report("REJECTED", world.place(), reason=reason, code=code)
    line = only(summed(told(world)))
    assert (line.rejections, line.unsent) == ({"-2010": 1}, 2)
    assert summed(told(world)).totals[0].unsent == 2


def test_slippage_is_what_trades_cost_more_than_at_the_mid_and_than_at_the_orders_price():
    world = World()
    bought = world.place(qty=100, decided=11_999_001)  # a mid of 59995.005
    world.report("NEW", bought)
    world.fill(bought, 1, 60, last_ticks=5_999_900, is_maker=True)
    world.fill(bought, 2, 40, last_ticks=6_000_100)
    summary = summed([record for _, _, record in read_all(world.disk, world.folder)])
    line = only(summary)
    turnover = Decimal("0.0006") * 59_999 + Decimal("0.0004") * 60_001
    for told, bps, amount in (
        (line.slippage, line.slippage_bps, turnover - Decimal("0.001") * Decimal("59995.005")),
        (line.limit_slippage, line.limit_slippage_bps, turnover - Decimal("0.001") * 60_000),
    ):
        assert Decimal(told) == amount
        assert bps == pytest.approx(float(amount / turnover) * 1e4)
    assert (summary.totals[0].slippage, summary.totals[0].slippage_bps) == (line.slippage, line.slippage_bps)
    assert line.maker_share == pytest.approx(0.6, abs=1e-4)


def test_what_was_sold_above_the_mid_is_below_zero_and_a_restart_forgets_no_mid():
    world = World()
    sold = world.place(side=d.SELL, price=6_000_000, qty=100, decided=12_000_000)
    world.report("NEW", sold)
    again = world.restarted()
    again.report("STATUS", sold, status="NEW", qty_lots=100)
    again.fill(again.orders.life.find(sold.client_order_id), 1, 100, last_ticks=6_000_300)
    line = only(summed([record for _, _, record in read_all(again.disk, again.folder)]))
    assert (line.slippage, line.limit_slippage) == ("-0.003", "-0.003")


def test_what_an_older_version_decided_is_left_out_of_slippage_and_told():
    world = World()
    for level, decided in ((0, 0), (1, 12_000_000)):
        order = world.place(level=level, qty=100, decided=decided)
        world.report("NEW", order)
        world.fill(order, level, 100, last_ticks=6_000_600)
        world.report("STATUS", order, status="FILLED", qty_lots=100, cum_lots=100)
        summary = summed([record for _, _, record in read_all(world.disk, world.folder)])
        line = only(summary)
        expected = ("0.006", 1.0) if decided else (None, None)
        assert (line.slippage, line.slippage_bps and round(line.slippage_bps, 3)) == expected
        share = "50.0%" if decided else "100.0%"
        assert summary.notes[0] == (
            f"slippage leaves out {share} of the turnover, decided at what is not on record"
        )
    assert line.limit_slippage == "0.012"


def test_a_span_holds_what_was_added_in_it(busy, told):
    journal = told(busy)
    late = only(summed(journal, since_ns=START_NS + 4 * SECOND))
    assert (late.orders, late.fills, late.realised, late.fees, late.turnover) == (0, 0, "0", "0", "0")
    assert (late.cancels, late.position) == (1, "0.00899")
    early = summed(journal, until_ns=START_NS + 6 * SECOND)
    assert (early.halted, early.halted_s, only(early).orders) == (True, 0.0, 5)
    inside = summed(journal, since_ns=START_NS + 5 * SECOND)
    assert (inside.halts, inside.halted_s) == (0, 4.0)
    assert summed(journal, until_ns=1).lines == []
    assert summed([]).begin is None


def test_several_runs_strategies_and_quotes_are_kept_apart():
    pair = [btc_usdt(), eth_btc()]
    world = World(
        pair, {"maker": (0,), "pairs": (0, 1)}, balances={"USDT": "100000", "BTC": "10", "ETH": "9"}
    )
    for strategy, row, index, lots in ((0, 0, 0, 100), (1, 0, 0, 50), (1, 1, 1, 200)):
        order = world.place(
            strategy, row=row, level=strategy, price=6_000_000 if index == 0 else 4_000, qty=lots
        )
        world.report("NEW", order)
        world.fill(order, 7 + strategy, lots, commission=Decimal("0.01"), commission_asset="BNB")
    again = world.restarted(strategies={"maker": (0,)})
    summary = summed([record for _, _, record in read_all(again.disk, again.folder)])
    assert [(one.strategy, one.instrument, one.position) for one in summary.lines] == [
        ("maker", "BTC/USDT", "0.001"),
        ("pairs", "BTC/USDT", "0.0005"),
        ("pairs", "ETH/BTC", "0.02"),
    ]
    assert [(one.quote, one.fills) for one in summary.totals] == [("BTC", 1), ("USDT", 2)]
    assert summary.runs == 2
    assert "some fees paid in BNB are no part of the fees in the quote" in "; ".join(summary.notes)
    few = summed(
        [record for _, _, record in read_all(again.disk, again.folder)], chosen=lambda one: one.quote == "BTC"
    )
    assert [one.instrument for one in few.lines] == ["ETH/BTC"]
    assert [one.quote for one in few.totals] == ["BTC"]


def test_what_is_open_without_a_trade_on_record_has_no_value():
    world = World()
    order = world.place(qty=100)
    world.report("NEW", order)
    world.fill(order, 1, 100)
    again = world.restarted()
    journal = [record for _, _, record in read_all(again.disk, again.folder)]
    begins = max(at for at, record in enumerate(journal) if isinstance(record, r.Run))
    summary = summed(journal[begins:])
    assert (only(summary).unrealised, summary.totals[0].unrealised, only(summary).position) == (
        None,
        None,
        "0.001",
    )
    assert "BTC/USDT had no trade on record" in summary.notes[0]


def test_an_order_in_doubt_when_a_run_ended_is_in_doubt_until_it_is_answered():
    world = World()
    order = world.place(qty=100)
    world.report("NEW", order)
    world.later(10)
    again = world.restarted()
    again.later(1)
    again.report("STATUS", order, status="NEW", qty_lots=100)
    line = only(summed([record for _, _, record in read_all(again.disk, again.folder)]))
    assert (line.unknown, line.unknown_s) == (1, 1.0)


def test_runs_that_did_not_end_by_themselves_are_counted_and_the_last_may_go_on():
    first = World()
    asyncio.run(first.journal.close(first.time.now_ns()))
    killed = first.restarted()
    killed.later(1)
    last = killed.restarted()

    def told(**more):
        summary = summed([record for _, _, record in read_all(last.disk, last.folder)], **more)
        return summary.runs, summary.runs_cut, summary.last_run_open

    assert told() == (3, 1, True)
    assert told(until_ns=START_NS + 1) == (2, 0, False)  # what follows is not looked at
    asyncio.run(last.journal.close(last.time.now_ns()))
    assert told() == (3, 1, False)


def test_an_older_journal_is_counted_without_money(busy, told):
    journal = [
        msgspec.structs.replace(one, steps=[]) if isinstance(one, r.Run) else one for one in told(busy)
    ]
    summary = summed(journal)
    line = only(summary)
    assert (line.orders, line.fills, line.realised, line.turnover, line.mark) == (5, 3, None, None, None)
    assert "so money is unknown" in summary.notes[0]


def test_funding_is_summed_by_the_instrument_once_that_is_told(told):
    world = World([btc_usdt(market="usdm")])
    fundings = [
        Funding(ns, "USDT", Decimal(amount), ns, number, instrument)
        for ns, amount, number, instrument in (
            (START_NS, "-0.12", 0, -1),
            (START_NS + SECOND, "0.02", 0, -1),
            (START_NS + 2 * SECOND, "0.5", 9, 0),
        )
    ]
    named = Funding(START_NS + 3 * SECOND, "USDT", Decimal("-0.12"), START_NS, 7, 0)
    for record in (*fundings, r.FundingNamed(START_NS + 3 * SECOND, [named])):
        world.orders.record(r.pack(record))
    summary = summed(told(world))
    assert summary.funding == {"": {"USDT": "0.02"}, world.instruments[0].symbol: {"USDT": "0.38"}}
    assert summary.notes == []
    assert summed(told(world), until_ns=START_NS + SECOND).funding == {"": {"USDT": "-0.12"}}
    later = summed(told(world), since_ns=START_NS + 2 * SECOND)
    assert later.funding == {world.instruments[0].symbol: {"USDT": "0.5"}}


def test_a_short_derivative_is_valued_too(told):
    world = World([btc_usdt(market="usdm")])
    order = world.place(side=d.SELL, price=6_000_000, qty=100)
    world.report("NEW", order)
    world.fill(order, 1, 60)
    world.fill(order, 2, 40, last_ticks=6_000_500)
    line = only(summed(told(world)))
    assert (line.position, line.realised, line.unrealised, line.limit_slippage) == (
        "-0.001",
        "0",
        "-0.003",
        "-0.002",
    )


@pytest.mark.parametrize("strategy", ["ema_cross", "market_maker"])
def test_a_replayed_session_comes_to_what_its_daemon_told_of_itself(captures, monkeypatch, strategy):
    path = captures / "binance-spot-btcusdt-20240808.gz"
    source = open_source(path)
    monkeypatch.setattr(replay, "NowhereDisk", MemoryDisk)  # where its journal can be read
    cores = []
    assemble = replay._assemble
    monkeypatch.setattr(replay, "_assemble", lambda *given: cores.append(made := assemble(*given)) or made)
    config = replay._config(ReplayOptions(files=(path,), strategy=strategy), source)
    result = replay.replay(source, config)
    ((core, (feed,)),) = cores
    journal = core.journal
    line = only(summed(record for _, _, record in read_all(journal._disk, journal._folder)))
    (held,) = core.portfolio.holdings.values()
    assert (line.position, line.realised, line.fees) == tuple(
        map(to_text, (held.qty, held.realised, held.fees))
    )
    (status,) = instrument_statuses(core, feed, core.orders.clock.now_ns())
    assert float(line.position) == status.position
    assert float(line.realised) == pytest.approx(status.realised, abs=1e-9)
    assert (line.slippage_bps > 0) == (strategy == "ema_cross")  # who takes pays half the spread
    assert (line.limit_slippage_bps == 0) == (strategy == "market_maker")
    counts = result.orders
    assert (line.orders, line.fills, line.cancels) == (counts.placed, counts.fills, counts.cancelled)
    assert (line.rejections, line.unknown) == (counts.rejected, 0)
    assert line.refusals.keys() == counts.refusals.keys()
    assert counts.placed > 20
    purses = core.portfolio.purses
    assert line.fees_paid == {asset: to_text(one.fees) for asset, one in purses.items() if one.fees}


# --- at length ----------------------------------------------------------------------------------------------
def grown(records, seed=1):
    """Return a world whose journal holds so many records, in several files."""
    rng = random.Random(seed)
    limits = RiskLimits(orders_per_s_max=1e9, rejections_max=10**9)
    world = World(limits=limits, balances={"USDT": "100000000", "BTC": "1000"})
    trade = 0
    while world.journal.records < records:
        world.time.advance(world.time.now_ns() + rng.randrange(1_000_000, 50_000_000))
        side = rng.choice((d.BUY, d.SELL))
        order = world.place(
            side=side, kind=d.TARGET, price=6_000_000 + rng.randrange(9000), qty=rng.randrange(20, 400)
        )
        if rng.random() < 0.01:
            world.later(3)  # no answer in time
        world.report("NEW", order)
        if rng.random() < 0.4:
            world.orders.cancel(order, world.time.now_ns())
            world.report("CANCELED", order)
        while order.leaves_lots and order.state < State.FILLED:
            trade += 1
            fee = Decimal(rng.randrange(1000)).scaleb(-8)
            lots = rng.randrange(1, order.leaves_lots + 1)
            ticks = order.price_ticks - side * rng.randrange(3)
            world.fill(
                order,
                trade,
                lots,
                last_ticks=ticks,
                commission=fee,
                commission_asset=rng.choice(("BTC", "USDT")),
            )
        if order.state is State.UNKNOWN:
            world.report("STATUS", order, status="CANCELED", cum_lots=order.filled_lots)
        if order.seq % 2000 == 0:
            world.audits.clear()
            asyncio.run(world.journal._rotate())
    return world


def write_out(world, folder):
    folder.mkdir()
    for path in world.disk.list(world.folder):
        (folder / path.name).write_bytes(world.disk.read(path))
    return folder


@pytest.mark.heavy(seconds=230)
def test_a_million_records_are_summed_exactly_in_the_memory_of_a_few(tmp_path):
    peaks = []
    for count in (100_000, 1_000_000):
        world = grown(count)
        folder = write_out(world, tmp_path / str(count))
        words = [sys.executable, "-c", PEAK, "journal", str(folder), "--summary", "--json"]
        out = subprocess.run(words, capture_output=True, text=True, check=True)
        line = json.loads(out.stdout)["lines"][0]
        held = world.portfolio.holdings[0, 0]
        assert (line["position"], line["realised"], line["fees"]) == tuple(
            map(to_text, (held.qty, held.realised, held.fees))
        )
        peaks.append(int(out.stderr))
    assert len(list(folder.iterdir())) > 2
    assert peaks[1] < 2 * peaks[0], peaks  # a file at a time: the larger journal's are full ones


PEAK = """
import sys
from pathlib import Path
from daemon.cli import main
code = main(sys.argv[1:])
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0], file=sys.stderr)
sys.exit(code)
"""

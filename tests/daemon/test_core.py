from __future__ import annotations

import asyncio
from contextlib import nullcontext
from pathlib import Path

import msgspec
import pytest

from daemon import core
from daemon.config import Config, FeedConfig, RiskConfig, StrategyConfig, VenueConfig
from daemon.config_show import to_toml
from daemon.core import load_runtimes, order_rules
from daemon.disk import RealDisk
from daemon.errors import ConfigError, JournalError
from daemon.events import Command
from daemon.instruments import make_instrument
from daemon.memory_disk import MemoryDisk, MemoryFile
from daemon.orders.audit import Alarm
from daemon.orders.order import State
from daemon.orders.reader import History
from daemon.orders.records import Run
from daemon.research.bundle import read_bundle
from daemon.runtime import Runtime
from kernels import dtypes as d
from kernels import features

DEMO = "models/demo"


@pytest.fixture
def script(new_script):
    return new_script()


def instruments(*bases):
    rules = {
        "tick_size": "0.01",
        "lot_size": "0.001",
        "qty_min": "0.001",
        "qty_max": "9",
        "notional_min": "5",
    }
    return [
        make_instrument(index, "binance", "spot", f"{base}/USDT", **rules) for index, base in enumerate(bases)
    ]


CROSS = make_instrument(
    2,
    "binance",
    "spot",
    "ETH/BTC",
    tick_size="0.01",
    lot_size="0.001",
    qty_min="0.001",
    qty_max="9",
    notional_min="5",
)


def runtimes(*strategies, bases=("BTC",), disk=None, step=lambda _: None, **sections):
    known = instruments(*bases)
    symbols = tuple(one.symbol for one in known)
    config = Config(
        name="test",
        mode="paper",
        feed=FeedConfig(symbols=symbols),
        strategy=tuple(
            one if one.symbols else msgspec.structs.replace(one, symbols=symbols) for one in strategies
        ),
        **sections,
    )
    return load_runtimes(config, known, disk or RealDisk(), (0.001, 0.002), step, can_amend=True)


def test_strategies_of_one_quote_currency_share_what_they_see_of_the_account():
    usdt, more = runtimes(
        StrategyConfig(name="ema_cross", symbols=("BTC/USDT",)),
        StrategyConfig(name="ema_cross", symbols=("ETH/USDT",)),
        bases=("BTC", "ETH"),
    )
    btc = Runtime(2, usdt.strategy, [CROSS], usdt.memory, (), 0)
    one, two, other = core.make_desks([usdt, more, btc])
    assert one.account is two.account
    assert other.account is not one.account
    assert [desk.instruments for desk in (one, two, other)] == [(0,), (1,), (2,)]


# --- loading ------------------------------------------------------------------------------------------------
def test_a_strategy_trades_the_first_of_the_feeds_symbols_unless_it_names_its_own():
    first, own, both = runtimes(
        StrategyConfig(name="ema_cross"),
        StrategyConfig(name="ema_cross", symbols=("ETH/USDT",)),
        StrategyConfig(name="pairs"),
        bases=("BTC", "ETH"),
    )
    assert [one.symbol for one in first.instruments] == ["BTC/USDT"]
    assert [one.symbol for one in own.instruments] == ["ETH/USDT"]
    assert [one.symbol for one in both.instruments] == ["BTC/USDT", "ETH/USDT"]


def test_params_tuning_and_limits_reach_the_memory():
    (one,) = runtimes(
        StrategyConfig(name="ema_cross", params={"qty": 0.5}, tuning={"ema_fast": 7.0}, warmup_ticks=9),
        risk=RiskConfig(collar=0.05, position_notional_max=77.0),
    )
    assert one.view("params").tolist() == [0.5, 0.2, 5.0]
    assert one.view("limits")[0, d.M_COLLAR] == 0.05
    assert one.view("limits")[0, d.M_POSITION_NOTIONAL_MAX] == 77.0
    assert one.view("rules")[0, [d.R_FEE_MAKER, d.R_FEE_TAKER]].tolist() == [0.001, 0.002]
    place = list(features.TUNING).index("ema_fast")
    assert one.view("feature_f")[0, place] == 7.0
    assert (one.warmup_ticks, one.warm) == (9, False)
    assert one.forest == ()


def test_the_times_of_doubt_and_what_strangers_orders_meet_with_are_configured():
    rules = order_rules(VenueConfig(timeout_ms=700, absence_s=4.5, foreign_orders="adopt"))
    assert (rules.answer_ns, rules.absence_ns, rules.foreign) == (700_000_000, 4_500_000_000, "adopt")
    assert order_rules(VenueConfig()).absence_ns == 60_000_000_000
    assert order_rules(VenueConfig(recv_window_ms=60_000)).absence_ns == 71_000_000_000


def test_a_model_brings_its_trees_and_the_tuning_it_was_trained_with(root, monkeypatch):
    monkeypatch.chdir(root)
    model = read_bundle(RealDisk(), Path(DEMO))
    key = next(iter(model.manifest.tuning))
    trained = model.manifest.tuning[key]
    bare, agreeing = runtimes(
        StrategyConfig(name="ml", model=DEMO), StrategyConfig(name="ml", model=DEMO, tuning={key: trained})
    )
    for one in (bare, agreeing):
        assert len(one.forest[1]) == len(model.forest[1]) > 0
        place = list(features.TUNING).index(key)
        assert one.view("feature_f")[0, place] == trained


# --- building -----------------------------------------------------------------------------------------------
def test_a_new_core_has_every_gate_shut_and_a_journal_begun(new_floor, script):
    floor = new_floor(script, start=False)
    made = floor.core
    assert made.engine.phase == "STARTING"
    assert floor.gate() == "not_ready"
    assert made.journal.records >= 2  # the run and its checkpoint
    assert made.runtimes[0].gate[0] == d.GATE_NOT_READY


def test_a_restart_goes_on_with_position_orders_and_ids(new_floor, script):
    floor = new_floor(script)
    floor.go_long(2.0)
    script.rest((d.BUY, 99.9, 1.0))
    floor.quote()
    floor.later(0.01)
    before = [order.client_order_id for order in floor.sent()]
    (resting,) = floor.core.orders.life.open.values()

    later = floor.restarted()
    assert later.position() == 2.0
    (found,) = later.core.orders.life.open.values()
    assert found.client_order_id == resting.client_order_id
    later.later(0.01)
    assert found.state is State.WORKING  # confirmed by the venue
    assert later.core.runtimes[0].view("working")[0, found.slot, d.W_PRICE_TICKS] == 9990
    later.open_market()
    script.target(3.0, 100.02)
    later.quote()
    later.later(0.01)
    (order,) = later.sent()
    assert later.position() == 3.0
    assert order.client_order_id not in before
    assert order.client_order_id.split("-")[1] > before[0].split("-")[1]  # a run of its own


def test_a_journal_of_another_mode_is_refused(new_floor, script):
    floor = new_floor(script)
    live = msgspec.structs.replace(floor.config, mode="live")
    with pytest.raises(ConfigError, match=r'written with mode = "paper", and this is "live"; name another'):
        core.build(
            live,
            floor.instruments,
            floor.core.runtimes,
            floor.rings,
            floor.seams,
            floor.venue,
            floor.core.spans,
        )


LIVE = Config(
    name="test",
    mode="live",
    feed=FeedConfig(symbols=("BTC/USDT",)),
    venue=VenueConfig(kind="binance"),
    strategy=(StrategyConfig(name="ema_cross"),),
)


def written(config):
    """Return the history of a run of a configuration, or of its text."""
    text = config if isinstance(config, str) else to_toml(config, {})
    run = Run(now_ns=1, prefix="t", run=1, program="0", strategies=[], instruments=[], config=text)
    return History([run], 1, [])


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({"environment": "testnet"}, 'venue.environment = "testnet", and this is "production"'),
        ({"kind": "ccxt"}, 'venue.kind = "ccxt", and this is "binance"'),
        ({"exchange": "kraken"}, 'venue.exchange = "kraken", and this is "binance"'),
        ({"rest_url": "http://127.0.0.1:8080"}, 'venue.rest_url = "this machine\'s", and this is "not this'),
    ],
)
def test_a_journal_of_live_orders_at_another_place_is_refused(there, said):
    elsewhere = msgspec.structs.replace(LIVE, venue=msgspec.structs.replace(LIVE.venue, **there))
    with pytest.raises(ConfigError, match=said):
        core.refuse_another_place(written(elsewhere), LIVE)
    core.refuse_another_place(written(elsewhere), elsewhere)


def test_a_journal_of_the_same_place_or_of_an_older_version_is_taken(new_floor, script):
    gateway = msgspec.structs.replace(LIVE.venue, rest_url="https://gateway.example", timeout_ms=1)
    core.refuse_another_place(written(LIVE), msgspec.structs.replace(LIVE, venue=gateway))
    core.refuse_another_place(written('mode = "live"\n[venue]\nkind = "binance"\n'), LIVE)
    core.refuse_another_place(History([], 0, []), LIVE)
    paper = new_floor(script).config
    other = msgspec.structs.replace(paper, feed=msgspec.structs.replace(paper.feed, exchange="kraken"))
    core.refuse_another_place(written(other), paper)  # nothing of it is anywhere


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_a_position_that_another_strategys_trades_would_be_netted_with_ends_the_start(
    new_floor, script, market
):
    floor = new_floor(script, market=market)
    floor.go_long(1.0)
    renamed = StrategyConfig(name="ema_cross")
    told = (
        "strategy probe holds 1 BTC of BTC/USDT:USDT, which ema_cross trades now.*: start with probe until "
        "nothing is open, or close it by `tickd flatten --direct`"
    )
    with pytest.raises(ConfigError, match=told) if market == "usdm" else nullcontext():
        later = floor.restarted(renamed, market=market)
        (alarm,) = [one for one in later.audits if isinstance(one, Alarm)]
        assert alarm.kind == "left_behind"
    floor.command("flatten")
    floor.later(0.01)
    floor.restarted(renamed, market=market)


def test_a_strategy_with_a_symbol_more_keeps_its_position_and_warms_up(new_floor, script):
    before = StrategyConfig(name="pairs", symbols=("BTC/USDT", "ETH/USDT"), warmup_ticks=3)
    bases = ("BTC", "ETH", "SOL")
    floor = new_floor(before, bases=bases)
    floor.open_market()
    action = [d.PLACE, 1, 0, d.TARGET, 0, d.BUY, 10_002, 10_000, 0, 0, 0, 0]
    orders = floor.core.orders
    floor.engine.risk.set_ready(orders.desks[0], True)
    orders.submit(orders.risk.check(orders.desks[0], action, floor.time.now_ns()))
    floor.later(0.01)
    assert floor.position(row=1) == 1.0
    later = floor.restarted(msgspec.structs.replace(before, symbols=("ETH/USDT", "BTC/USDT")), bases=bases)
    assert (later.position(row=0), later.position(row=1)) == (1.0, 0.0)
    assert later.engine.state == "WARMING"
    assert [one for one in later.audits if isinstance(one, Alarm)] == []


def test_a_halt_outlives_a_restart_and_only_a_person_ends_it(new_floor, script):
    floor = new_floor(script)
    floor.command("halt", "lunch")
    later = floor.restarted()
    assert (later.engine.state, later.gate()) == ("HALTED", "halted")
    later.command("resume")
    assert later.restarted().engine.state == "READY"


def test_a_journal_that_cannot_be_written_ends_the_start(new_floor, script):
    with pytest.raises(JournalError, match="No space left on device"):
        new_floor(script, disk=MemoryDisk(bytes_max=10))


def test_a_disk_that_fills_up_halts_and_loses_no_position(new_floor, script):
    disk = MemoryDisk()
    floor = new_floor(script, disk=disk)
    floor.go_long(2.0)
    disk.bytes_max = sum(len(disk.read(path)) for path in disk.list(Path("journal")))
    script.target(3.0, 100.02)
    floor.quote()
    floor.later(0.01)
    assert (floor.engine.state, floor.refused()["journal"]) == ("HALTED", 1)
    assert "cannot be written (No space left on device)" in floor.core.orders.risk.latch.reason
    assert len(floor.sent()) == 1
    disk.bytes_max = None
    assert floor.restarted().position() == 2.0


def test_a_torn_tail_costs_the_last_record_only(new_floor, script):
    floor = new_floor(script)
    floor.go_long(2.0)
    asyncio.run(floor.core.journal.close())
    (path,) = floor.disk.list(Path("journal"))
    floor.disk.truncate(path, len(floor.disk.read(path)) - 3)
    later = floor.restarted()
    assert later.position() == 2.0
    (told,) = [one.text for one in later.audits if isinstance(one, Alarm)]
    assert "bytes of no whole record, cut at offset" in told


def commanding(floor, verb):
    """Give a floor's daemon a command, as its HTTP face does."""
    floor.core.orders.doubts.ask_snapshot = bool  # of a loop that is not there
    asyncio.run(floor.core.obey(Command(verb=verb, source="http")))


def after_a_power_cut(floor):
    floor.disk.power_cut()
    return floor.restarted()


def test_a_command_is_answered_once_a_power_cut_does_not_undo_it(new_floor, new_script):
    floor = new_floor(new_script())
    for verb, halted, flatten in (("halt", True, False), ("flatten", True, True), ("resume", False, False)):
        commanding(floor, verb)
        floor = after_a_power_cut(floor)
        risk = floor.core.orders.risk
        assert (risk.halted, risk.halted and risk.latch.flatten) == (halted, flatten)


def test_a_command_that_the_disk_does_not_keep_is_answered_with_a_sentence(
    new_floor, new_script, monkeypatch
):
    def fail(_):
        raise OSError(5, "Input/output error")

    floor = new_floor(new_script())
    monkeypatch.setattr(MemoryFile, "sync", fail)
    lost = r"\(Input/output error\).*; the daemon is HALTED, which a restart may not know"
    with pytest.raises(JournalError, match=lost):
        commanding(floor, "halt")
    monkeypatch.undo()
    floor.core.orders.resume("test")
    floor.disk.bytes_max = 0
    with pytest.raises(JournalError, match=r"\(No space left on device\).*; the daemon is HALTED, which"):
        commanding(floor, "halt")


def test_what_is_said_too_often_is_done_unless_it_stands(new_floor, new_script):
    floor = new_floor(new_script())
    floor.core.orders.doubts.ask_snapshot = bool
    state = lambda: (floor.core.orders.risk.halted, floor.core.engine.flatten.active)  # noqa: E731
    for verb, stood, now in (
        ("halt", False, (True, False)),
        ("halt", True, (True, False)),
        ("flatten", False, (True, True)),  # a halt is no flatten
        ("flatten", True, (True, True)),
        ("halt", True, (True, True)),
        ("resume", False, (False, False)),  # which makes nothing safe: never taken for done
        ("resume", False, (False, False)),
        ("halt", False, (True, False)),
    ):
        before = floor.core.journal.records
        assert asyncio.run(floor.core.obey(Command(verb=verb, source="http"), often=True)) is not stood
        assert (floor.core.journal.records == before, state()) == (stood, now)
    assert after_a_power_cut(floor).core.orders.risk.halted


def test_a_halt_that_no_restart_would_know_of_does_not_stand(new_floor, new_script):
    floor = new_floor(new_script())
    floor.disk.bytes_max = 0
    for _ in range(2):
        with pytest.raises(JournalError, match="No space left on device"):
            asyncio.run(floor.core.obey(Command(verb="halt", source="http"), often=True))

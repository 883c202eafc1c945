"""The compiled backtest against the replay of the same record: the same orders, fills, account and memory."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import pytest

from daemon.config import PaperConfig
from daemon.core import load_runtimes
from daemon.disk import RealDisk
from daemon.options import ConvertOptions, ReplayOptions
from daemon.orders.audit import Filled, Sent
from daemon.research import backtest, train
from daemon.research.market import Market
from daemon.tape import replay as module
from daemon.tape.convert import convert
from daemon.tape.source import open_source
from daemon.tape.ticks import read_header, read_ticks
from kernels import backtest as kernels
from kernels.dtypes import AMEND, CANCEL, P_FEES, P_QTY, P_REALISED, PLACE

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.core import Core

START_NS = 1_723_161_254_000_000_000


class Recorded(NamedTuple):
    """What a replay did."""

    result: Any
    core: Core
    sent: list[tuple[Any, ...]]
    fills: list[tuple[Any, ...]]


def configured(path: Path, strategy: str, **more: Any) -> Config:
    """Return a replay's configuration with another strategy, and sections in place of its own."""
    bundle = Path(more["model"]) if "model" in more else None
    options = ReplayOptions(files=(path,), strategy=strategy, model=bundle)
    config = module._config(options, open_source(path))
    one = {key: more.pop(key) for key in ("params", "model", "warmup_ticks") if key in more}
    made = msgspec.structs.replace(config.strategy[0], **one)
    return msgspec.structs.replace(config, strategy=(made,), **more)


def replayed(path: Path, config: Config, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """Replay a capture, and listen to what its order side tells."""
    sent: list[tuple[Any, ...]] = []
    fills: list[tuple[Any, ...]] = []
    cores: list[Core] = []

    def listen(audit: Any) -> None:
        if isinstance(audit, Sent):
            order = audit.order
            lots = {PLACE: order.qty_lots, AMEND: order.asked_lots, CANCEL: 0}[audit.verb]
            told = order.seq, order.kind, order.level, order.side, order.price_ticks, lots
            sent.append((audit.now_ns, audit.verb, *told))
        elif isinstance(audit, Filled):
            order, report = audit.order, audit.report
            position = cores[0].runtimes[0].view("position")[0]
            told = order.seq, order.kind, order.side, report.last_ticks, report.last_lots, report.is_maker
            shown = tuple(float(position[column]) for column in (P_QTY, P_REALISED, P_FEES))
            worth = cores[0].portfolio.worth.value
            fills.append((report.exch_ns, report.wire_ns, *told, *shown, worth))

    def assemble(config: Config, source: Any, *more: Any) -> Any:
        core, feeds = module.assemble(config, source.markets, source.instruments, *more, observers=[listen])
        cores.append(core)
        return core, feeds

    with monkeypatch.context() as patch:
        patch.setattr(module, "_assemble", assemble)
        result = module.replay(open_source(path), config)
    return Recorded(result, cores[0], sent, fills)


def compiled(
    path: Path, config: Config, folder: Path, trips: list[int] | None = None
) -> tuple[backtest.Backtest, backtest.Outcome]:
    """Convert the capture to typed ticks, and run the compiled backtest on those."""
    (instrument,) = open_source(path).instruments
    convert(ConvertOptions(files=(path,), out=folder), lambda: 0, lambda *_: None)
    (ticks,) = [one for one in folder.glob("*/*") if one.is_dir()]
    fees = float(config.paper.fee_maker), float(config.paper.fee_taker)
    runtimes = load_runtimes(config, [instrument], RealDisk(), fees, lambda _: None, can_amend=True)
    backtest.refuse(config, [instrument], runtimes)
    test = backtest.Backtest(config, instrument, runtimes[0], trips or [])
    market = Market(instrument, read_header(ticks))
    for block in read_ticks(ticks):
        test.take(market.take(block))
    return test, test.finish()


def hold_to(recorded: Recorded, test: backtest.Backtest, outcome: backtest.Outcome) -> None:
    """Compare everything that is told, and everything that the strategy saw and remembers."""
    first = recorded.sent[0][2] - 1 if recorded.sent else 0
    theirs = [(ns, verb, seq - first, *told) for ns, verb, seq, *told in recorded.sent]
    columns = ("now_ns", "verb", "key", "kind", "level", "side", "ticks", "lots")
    assert rows(outcome.sent, columns) == theirs
    theirs = [(at, told, seq - first, *more) for at, told, seq, *more in recorded.fills]
    columns = ("exch_ns", "told_ns", "key", "kind", "side", "ticks", "lots", "maker")
    columns += ("position", "realised", "fees", "equity")
    assert rows(outcome.fills, columns) == theirs
    refused = {code: int(count) for code, count in enumerate(outcome.test["refusals"][0]) if count}
    assert refused == recorded.core.engine.risk.refusals
    assert bool(outcome.halted) == bool(recorded.result.halted)
    replayed, mine = recorded.core.runtimes[0].memory, test._runtime.memory
    for part in mine.dtype.names:
        assert mine[part].tobytes() == replayed[part].tobytes(), part
    assert test.account.tobytes() == recorded.core.orders.desks[0].account.array.tobytes()


def rows(table: np.ndarray, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    return list(zip(*(table[column].tolist() for column in columns), strict=True))


def lively(count: int, *, seed: int, depth: bool = True) -> list[bytes]:
    """Return lines of a made-up market that trades through its levels, one line in 3 ms."""
    rng = np.random.default_rng(seed)
    walk, trade, update = 6_000_000, 100, 1_000
    lines = []
    for number in range(count):
        stamp = START_NS + number * 3_000_000
        walk += int(rng.integers(-30, 31))
        mid = walk + int(6_000 * np.sin(number / 150))
        bid, ask = mid / 100, (mid + 1 + int(rng.integers(0, 200))) / 100
        draw = rng.random()
        if number == 4:
            bids = ",".join(f'["{(mid - 1 - 10 * k) / 100:.2f}","1.00000"]' for k in range(200))
            asks = ",".join(f'["{(mid + 1 + 10 * k) / 100:.2f}","1.00000"]' for k in range(200))
            payload = f'{{"lastUpdateId":{update},"bids":[{bids}],"asks":[{asks}]}}'
        elif number < 4 or (depth and draw < 0.2):
            first, update = update + 1, update + 3
            below = (
                f'["{(mid - 100_000 - 10 * int(rng.integers(0, 90))) / 100:.2f}","{rng.integers(0, 3)}.5"]'
            )
            above = (
                f'["{(mid + 100_000 + 10 * int(rng.integers(0, 90))) / 100:.2f}","{rng.integers(0, 3)}.5"]'
            )
            payload = (
                f'{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1723161254000,"s":"BTCUSDT",'
                f'"U":{first},"u":{update},"b":[{below}],"a":[{above}]}}}}'
            )
        elif draw < 0.5:
            trade += 1
            sells = rng.random() < 0.5
            price = bid if sells else ask
            payload = (
                f'{{"stream":"btcusdt@trade","data":{{"e":"trade","E":1723161254000,"s":"BTCUSDT","t":{trade},'
                f'"p":"{price:.2f}","q":"0.0{rng.integers(100, 900)}","T":1723161254000,'
                f'"m":{str(sells).lower()}}}}}'
            )
        else:
            payload = (
                f'{{"stream":"btcusdt@bookTicker","data":{{"u":{number + 1},"s":"BTCUSDT","b":"{bid:.2f}",'
                f'"B":"0.{rng.integers(1, 90):02d}000","a":"{ask:.2f}",'
                f'"A":"0.{rng.integers(1, 90):02d}000"}}}}'
            )
        lines.append(f"{stamp} {payload}".encode())
    return lines


def write(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n", 1))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small model's bundle."""
    folder = tmp_path_factory.mktemp("models") / "small"
    train.train_synthetic(RealDisk(), folder, seed=3, minutes=20)
    return folder


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("strategy", ["ema_cross", "market_maker"])
def test_a_made_up_market_is_traded_as_its_replay_trades_it(tmp_path, monkeypatch, strategy, seed):
    path = write(tmp_path / "one.gz", lively(6_000, seed=seed))
    config = configured(path, strategy)
    recorded = replayed(path, config, monkeypatch)
    assert len(recorded.fills) > 5
    assert len(recorded.sent) > 10
    hold_to(recorded, *compiled(path, config, tmp_path / "ticks"))


def test_a_model_decides_the_same(tmp_path, monkeypatch, model):
    path = write(tmp_path / "one.gz", lively(3_000, seed=3))
    config = configured(path, "ml", model=str(model), params={"band": 0.02})
    recorded = replayed(path, config, monkeypatch)
    assert recorded.fills
    hold_to(recorded, *compiled(path, config, tmp_path / "ticks"))


@pytest.mark.parametrize("name", ["spot-btcusdt", pytest.param("usdm-btcusdt", marks=pytest.mark.heavy)])
@pytest.mark.parametrize("strategy", ["ema_cross", "market_maker", "ml"])
def test_a_real_capture_is_traded_as_its_replay_trades_it(
    captures, tmp_path, monkeypatch, model, strategy, name
):
    path = captures / f"binance-{name}-20240808.gz"
    more = {"model": str(model), "params": {"band": 0.02}} if strategy == "ml" else {}
    config = configured(path, strategy, **more)
    recorded = replayed(path, config, monkeypatch)
    assert len(recorded.fills) > 5
    hold_to(recorded, *compiled(path, config, tmp_path / "ticks"))


def cut(lines):
    """Leave out nine seconds, a trade's id among them."""
    return [*lines[:2_000], *lines[5_000:]]


def leap(lines):
    """Let decades pass."""
    years = 40 * 365 * 86_400 * 10**9
    return [*lines[:3_000], *(b"%d %s" % (int(one[:19]) + years, one[20:]) for one in lines[3_000:])]


def backwards(lines):
    return [*lines[:3_000], *lines[3_040:3_000:-1], *lines[3_041:]]


def twice(lines):
    return [one for line in lines for one in ([line, line] if b"@depth" not in line else [line])]


def unsynced(lines):
    places = [number for number, line in enumerate(lines) if b"@depth" in line]
    return lines[: places[400]] + lines[places[400] + 1 :]


@pytest.mark.parametrize("spoil", [cut, leap, backwards, twice, unsynced])
@pytest.mark.parametrize("strategy", ["ema_cross", "market_maker"])
def test_what_is_wrong_with_a_record_is_the_same_wrong(tmp_path, monkeypatch, strategy, spoil):
    path = write(tmp_path / "one.gz", spoil(lively(6_000, seed=4)))
    config = configured(path, strategy)
    recorded = replayed(path, config, monkeypatch)
    assert recorded.fills
    hold_to(recorded, *compiled(path, config, tmp_path / "ticks"))


BALANCES = {"USDT": Decimal(500), "BTC": Decimal("0.0005")}
SETTINGS = {
    "poor": {"paper": PaperConfig(balances=BALANCES)},
    "free": {"paper": PaperConfig(fee_maker=Decimal(0), fee_taker=Decimal(0), balances=BALANCES)},
    "slow": {"paper": PaperConfig(latency_in_us=90_000, latency_out_us=120_000)},
    "at once": {"paper": PaperConfig(latency_in_us=0, latency_out_us=0)},
    "queue": {"paper": PaperConfig(queue="power_prob", queue_power=2.0)},
    "slow orders": {"risk": {"orders_per_s_max": 0.5}},
    "halted": {"risk": {"daily_loss_max": 0.3}},
    "small": {"risk": {"position_notional_max": 100.0}},
    "restless": {"reconcile": {"rest_ms_min": 0}},
    "cold": {"warmup_ticks": 3_000},
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("strategy", [pytest.param("ema_cross", marks=pytest.mark.heavy), "market_maker"])
def test_every_setting_means_the_same(tmp_path, monkeypatch, strategy, setting):
    path = write(tmp_path / "one.gz", lively(6_000, seed=5))
    given = dict(SETTINGS[setting])
    plain = configured(path, strategy)
    for section in ("risk", "reconcile"):
        if section in given:
            given[section] = msgspec.structs.replace(getattr(plain, section), **given[section])
    config = configured(path, strategy, **given)
    recorded = replayed(path, config, monkeypatch)
    assert recorded.sent
    hold_to(recorded, *compiled(path, config, tmp_path / "ticks"))


def test_drawn_delays_are_the_same(tmp_path, monkeypatch):
    trips = [2_000_000, 3_000_001, 40_000_000, 9_000_000, 200_000_000]
    path = write(tmp_path / "one.gz", lively(6_000, seed=6))
    config = configured(path, "market_maker")
    monkeypatch.setattr(module, "measure", lambda *_: trips)
    recorded = replayed(path, config, monkeypatch)
    assert len(recorded.sent) > 10
    hold_to(recorded, *compiled(path, config, tmp_path / "ticks", trips))


def before(table, column, ns):
    return table[table[column] <= ns].tobytes()  # NaN is itself


@pytest.mark.parametrize("strategy", ["ema_cross", "market_maker"])
def test_what_comes_later_changes_nothing_before(tmp_path, strategy):
    lines = lively(4_000, seed=7)
    path = write(tmp_path / "one.gz", lines)
    config = configured(path, strategy)
    _, whole = compiled(path, config, tmp_path / "whole")
    assert len(whole.sent) > 3
    for number in (500, 1_500, 2_501):
        part = write(tmp_path / "part.gz", lines[:number])
        _, outcome = compiled(part, config, tmp_path / f"{number}")
        cut_ns = int(lines[number - 1][:19])
        for table, column in (("sent", "now_ns"), ("fills", "told_ns"), ("points", "now_ns")):
            ours, theirs = getattr(outcome, table), getattr(whole, table)
            assert before(ours, column, cut_ns) == before(theirs, column, cut_ns)


def test_the_loop_has_one_signature_whatever_it_is_given(tmp_path):
    path = write(tmp_path / "one.gz", lively(1_000, seed=8))
    test, outcome = compiled(path, configured(path, "ema_cross"), tmp_path / "ticks")
    assert outcome.events == 1_000
    assert len(test._loop.signatures) == 1
    assert [len(one.signatures) for one in test._runtime.kernel.dispatchers] == [1, 1, 1, 1]


def test_what_surrounds_a_strategy_is_compiled_once_for_all(tmp_path):
    path = write(tmp_path / "one.gz", lively(1_000, seed=8))
    memories = set()
    for strategy in ("ema_cross", "market_maker"):
        test, _ = compiled(path, configured(path, strategy), tmp_path / strategy)
        memories.add(test._runtime.memory.dtype)
    assert len(memories) == 2
    for kernel in (kernels.begin, kernels.end, kernels.advance, kernels.answer):
        assert len(kernel.signatures) <= 1  # a loop from the cache has loaded none of them

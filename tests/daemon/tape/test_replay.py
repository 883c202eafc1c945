from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from daemon.config import FeedConfig, StrategyConfig, from_tree
from daemon.errors import ConfigError, FileFormatError, UsageError
from daemon.options import ReplayOptions
from daemon.tape import replay as module
from daemon.tape.replay import ReplayResult, replay, run
from daemon.tape.source import open_source

SPOT = "binance-spot-btcusdt-20240808.gz"
USDM = "binance-usdm-btcusdt-20240808.gz"
INVERSE = "binance-coinm-btcusd_perp-20240809.gz"
COUNTS = {
    SPOT: {"trade": 9_757, "quote": 28_040, "depth": 3_451, "snapshot": 1},
    USDM: {"trade": 21_313, "quote": 66_089, "depth": 6_551, "snapshot": 1},
}
#: of this machine, so different each time
TIMES = ("seconds", "events_per_s", "bare_seconds", "ratio")


def replayed(path, strategy="ema_cross", **more) -> ReplayResult:
    source = open_source(path)
    config = module._config(ReplayOptions(files=(path,), strategy=strategy), source)
    if more:
        one = msgspec.structs.replace(config.strategy[0], **more)
        config = msgspec.structs.replace(config, strategy=(one,))
    return replay(source, config)


def lasting(result: ReplayResult) -> dict:
    """Return all of a result but what is the machine's."""
    return {key: value for key, value in msgspec.to_builtins(result).items() if key not in TIMES}


@pytest.fixture(scope="module")
def results(captures):
    """Replays of the real captures, each made once."""
    made = {}

    def of(name):
        if name not in made:
            made[name] = replayed(captures / name)
        return made[name]

    return of


# --- real captures ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", COUNTS)
def test_every_frame_of_a_real_capture_is_taken_and_the_book_is_in_sync(results, name):
    result = results(name)
    assert result.events == COUNTS[name]
    assert (result.errors, result.gaps, result.resyncs, result.last_error) == ({}, {}, 1, "")
    assert result.books_unsynced == []
    assert (result.trades_missed, result.depths_dropped, result.backwards) == (0, 0, 0)
    lines = sum(COUNTS[name].values())
    # a decision a line, but for the updates that waited for the snapshot, and one more a fill
    assert lines - 50 <= result.decisions - result.orders.fills <= lines
    assert result.orders.placed > 20
    assert result.orders.by_state.keys() <= {"FILLED", "EXPIRED"}
    assert result.orders.refusals == {}


def test_the_same_capture_gives_the_same_result_again(results, captures):
    assert lasting(replayed(captures / SPOT)) == lasting(results(SPOT))


def cli_replays(root, path):
    """Return what the command prints in two processes that hash strings differently."""
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "daemon.cli", "replay", str(path), "--json"],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for seed in ("1", "2")
    ]
    found = []
    for child in children:
        out, err = child.communicate()
        said = [
            line for line in err.splitlines() if not line.startswith(b"compiling: ")
        ]  # the first ever does
        assert (child.returncode, said) == (0, [])
        found.append(msgspec.json.decode(out, type=ReplayResult))
    return found


@pytest.mark.parametrize("name", [SPOT, pytest.param(USDM, marks=pytest.mark.heavy)])
def test_two_processes_that_hash_differently_agree_on_all_but_time(results, captures, root, name):
    first, second = cli_replays(root, captures / name)
    assert first.decision_digest != first.order_digest != ""
    assert first.orders.fills > 0
    assert lasting(first) == lasting(second) == lasting(results(name))


SIGNATURES = """
import json, sys
from daemon import kernel_cache
kernel_cache.activate()
import importlib, pkgutil
from pathlib import Path
from numba.core.dispatcher import Dispatcher
import kernels
from daemon.options import ReplayOptions
from daemon.tape import replay
from daemon.tape.source import open_source

modules = [importlib.import_module(f"kernels.{one.name}") for one in pkgutil.iter_modules(kernels.__path__)]

def compiled():
    return {f"{one.__name__}.{name}": len(value.signatures)
            for one in modules for name, value in vars(one).items()
            if isinstance(value, Dispatcher) and value.__module__ == one.__name__}

assemble, seen = replay._assemble, {}

def watched(*arguments):
    core, feed = assemble(*arguments)
    seen["live"] = [one for runtime in core.runtimes for one in runtime.kernel.dispatchers]
    seen["before"] = compiled()
    return core, feed

replay._assemble = watched
path = Path(sys.argv[1])
source = open_source(path)
replay.replay(source, replay._config(ReplayOptions(files=(path,)), source))
print(json.dumps({"live": [len(one.signatures) for one in seen["live"]], "before": seen["before"],
                  "after": compiled()}))
"""


def test_no_kernel_is_compiled_while_a_capture_is_replayed_and_each_has_one_signature(
    results, captures, root
):
    results(SPOT)  # fills the cache: who compiles also lists what kernels specialise of each other
    child = subprocess.run(
        [sys.executable, "-c", SIGNATURES, str(captures / SPOT)],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(child.stdout)
    assert found["live"] == [1, 1, 1, 1]
    assert found["after"] == found["before"]
    used = {name for name, count in found["after"].items() if count}
    assert {"kernels.shapes.read_depth", "kernels.book.replace", "kernels.fills.on_ticks"} <= used
    assert max(found["after"].values()) == 1


def test_an_inverse_contract_is_refused_in_one_sentence(captures):
    with pytest.raises(ConfigError, match="does not trade inverse contracts like BTC/USD:BTC"):
        replayed(captures / INVERSE)


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.heavy
def test_ten_repeats_of_a_capture_take_no_more_memory_than_two(captures):
    sizes = []
    for _ in range(10):
        replayed(captures / SPOT)
        sizes.append(resident_bytes())
    assert sizes[-1] - sizes[2] < 8 << 20, sizes


# --- what changes a digest ----------------------------------------------------------------------------------
@pytest.fixture
def steady(lines_of):
    return lines_of(3_000)


def test_a_made_up_capture_is_whole_and_traded(steady, capture_of):
    result = replayed(capture_of(steady))
    assert sum(result.events.values()) == 3_000
    assert (result.errors, result.gaps, result.books_unsynced) == ({}, {}, [])
    assert result.orders.fills > 5


def test_another_parameter_makes_other_decisions_and_orders(steady, capture_of):
    path = capture_of(steady)
    one, other = replayed(path), replayed(path, params={"qty": 0.002})
    assert one.decision_digest != other.decision_digest
    assert one.order_digest != other.order_digest
    assert one.decisions == other.decisions


def test_another_tuning_makes_other_decisions(steady, capture_of):
    path = capture_of(steady)
    assert replayed(path).decision_digest != replayed(path, tuning={"ema_fast": 9.0}).decision_digest


def test_one_digit_of_one_frame_makes_other_decisions(steady, capture_of):
    (place,) = [n for n, line in enumerate(steady) if b"@trade" in line][200:201]
    changed = list(steady)
    changed[place] = changed[place].replace(b'"q":"0.00123"', b'"q":"0.00124"')
    assert changed[place] != steady[place]
    one, other = replayed(capture_of(steady)), replayed(capture_of(changed))
    assert one.decision_digest != other.decision_digest
    assert one.events == other.events


def test_the_receive_time_is_part_of_a_decision(steady, capture_of):
    changed = list(steady)
    stamp, _, payload = changed[1500].partition(b" ")
    changed[1500] = b"%d %s" % (int(stamp) + 1000, payload)
    assert replayed(capture_of(steady)).decision_digest != replayed(capture_of(changed)).decision_digest


def test_a_leap_of_decades_between_two_lines_takes_no_longer_than_a_minute(steady, capture_of):
    leap = 40 * 365 * 86_400 * 10**9
    moved = [b"%d %s" % (int(one[:19]) + leap, one[20:]) for one in steady[2000:]]
    result = replayed(capture_of([*steady[:2000], *moved]))
    assert sum(result.events.values()) == 3_000
    assert result.backwards == 0
    assert result.seconds < 60


def test_lines_that_run_backwards_are_counted(steady, capture_of, capsys):
    path = capture_of([*steady[:1000], *steady[1005:1000:-1], *steady[1006:]])
    assert replayed(path).backwards == 4
    assert run(ReplayOptions(files=(path,))) == 0
    assert "entries that run backwards 4" in capsys.readouterr().out


# --- what is wrong with a capture ---------------------------------------------------------------------------
BAD = {
    "json": b'{"stream":"btcusdt@trade","data":{"p":}}',
    "type": b'{"stream":"btcusdt@trade","data":[]}',
    "price": b'{"stream":"btcusdt@trade","data":{"s":"BTCUSDT","t":1,"p":"NaN","q":"1","T":1,"m":true}}',
    "qty": b'{"stream":"btcusdt@trade","data":{"s":"BTCUSDT","t":1,"p":"1","q":"-1","T":1,"m":true}}',
    "symbol": b'{"stream":"ethusdt@trade","data":{"s":"ETHUSDT","t":1,"p":"1","q":"1","T":1,"m":true}}',
    "crossed": b'{"stream":"btcusdt@bookTicker","data":{"s":"BTCUSDT","u":9,"b":"2","B":"1","a":"1",'
    b'"A":"1"}}',
}


@pytest.mark.parametrize("reason", BAD)
def test_a_malformed_frame_is_counted_and_named_and_changes_nothing_else(steady, capture_of, reason):
    stamp = steady[1000].partition(b" ")[0]
    spoiled = [*steady[:1001], stamp + b" " + BAD[reason], *steady[1001:]]
    whole, result = replayed(capture_of(steady)), replayed(capture_of(spoiled))
    assert result.errors == {reason: 1}
    assert result.last_error
    assert result.events == whole.events
    assert (result.decision_digest, result.order_digest) == (whole.decision_digest, whole.order_digest)


def test_a_capture_that_begins_with_a_malformed_frame_is_replayed_too(steady, capture_of):
    result = replayed(capture_of([b"1723161253000000000 " + BAD["json"], *steady]))
    assert result.errors == {"json": 1}
    assert sum(result.events.values()) == 3_000


def test_a_missing_depth_update_is_a_gap_and_closes_trading(lines_of, capture_of):
    lines = lines_of(600)
    places = [number for number, line in enumerate(lines) if b"@depth" in line]
    del lines[places[30]]
    result = replayed(capture_of(lines))
    assert (result.gaps, result.books_unsynced) == ({"gap": 1}, ["BTC/USDT"])


def test_a_capture_without_a_snapshot_leaves_the_book_unsynced_and_trades_nothing(
    lines_of, capture_of, capsys
):
    path = capture_of(lines_of(3_000, snapshot=False))
    result = replayed(path)
    assert (result.books_unsynced, result.resyncs, result.orders.placed) == (["BTC/USDT"], 0, 0)
    assert result.orders.refusals.keys() == {"book_gap"}
    assert run(ReplayOptions(files=(path,))) == 0
    assert "NOT in sync" in capsys.readouterr().out


def test_repeated_and_disordered_frames_are_taken_once(lines_of, capture_of):
    lines = lines_of(600)
    (place, *_) = [number for number, line in enumerate(lines) if b"@trade" in line][40:]
    twice = [*lines[: place + 1], lines[place], *lines[place + 1 :]]
    one, other = replayed(capture_of(lines)), replayed(capture_of(twice))
    assert one.decision_digest == other.decision_digest


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda data: data[:-30], "truncated gzip"),
        (lambda data: b"", "holds no frames"),
        (lambda data: b"not a capture\n", "line 1 is no frame"),
    ],
)
def test_a_file_that_is_no_capture_is_refused_in_one_sentence(steady, capture_of, spoil, sentence):
    path = capture_of(steady)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(FileFormatError, match=sentence) as caught:
        run(ReplayOptions(files=(path,)))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match=r"none\.gz does not exist"):
        run(ReplayOptions(files=(tmp_path / "none.gz",)))


# --- configurations and models ------------------------------------------------------------------------------
def configured(**sections):
    tree = {
        "name": "x",
        "mode": "paper",
        "feed": {"symbols": ["BTC/USDT"]},
        "strategy": [{"name": "ema_cross"}],
    }
    return from_tree({**tree, **sections}, {}, "x.toml")


def test_a_configuration_brings_its_strategies_risk_and_paper_account(steady, capture_of):
    path = capture_of(steady)
    source = open_source(path)
    config = module._config(
        ReplayOptions(
            files=(path,),
            config=configured(
                strategy=[{"name": "ema_cross"}, {"name": "market_maker"}],
                paper={"balances": {"USDT": 50}},
                risk={"order_notional_max": 20.0},
            ),
        ),
        source,
    )
    result = replay(source, config)
    assert result.strategies == ["ema_cross", "market_maker"]
    assert result.decision_digest.count("-") == 1
    assert result.orders.placed == 0  # 0.001 BTC are 60 USDT
    assert result.orders.refusals["order_notional_max"] > 0


def test_a_configurations_feed_is_kept_but_for_what_the_file_says(steady, capture_of):
    path = capture_of(steady)
    given = configured(
        feed={"symbols": ["BTC/USDT", "ETH/USDT"], "stale_ms": 70, "streams": ["trade", "quote"]},
        strategy=[{"name": "ema_cross", "symbols": ["BTC/USDT"]}],
    )
    config = module._config(ReplayOptions(files=(path,), config=given), open_source(path))
    assert config.feed == FeedConfig(symbols=("BTC/USDT",), stale_ms=70, streams=("trade", "quote"))


def test_a_configuration_of_another_instrument_is_refused(steady, capture_of):
    path = capture_of(steady)
    other = configured(feed={"symbols": ["ETH/USDT"]})
    with pytest.raises(
        ConfigError, match=r"holds BTC/USDT, and the configuration's strategies trade ETH/USDT"
    ):
        run(ReplayOptions(files=(path,), config=other))


@pytest.mark.parametrize("named", [{"strategy": "ema_cross"}, {"model": Path("models/demo")}])
def test_a_configuration_names_its_strategies_itself(steady, capture_of, named):
    options = ReplayOptions(files=(capture_of(steady),), config=configured(), **named)
    with pytest.raises(UsageError, match="leave --strategy and --model out"):
        run(options)


def test_a_model_is_asked_for_by_the_option_that_names_it(steady, capture_of):
    with pytest.raises(UsageError, match=r"name its bundle \(--model FOLDER\)"):
        run(ReplayOptions(files=(capture_of(steady),), strategy="ml"))


def test_a_strategy_file_and_a_model_can_be_replayed(steady, capture_of, root, monkeypatch):
    monkeypatch.chdir(root)
    path = capture_of(steady)
    config = module._config(
        ReplayOptions(files=(path,), strategy="ml", model=root / "models" / "demo"), open_source(path)
    )
    assert config.strategy == (
        StrategyConfig(name="ml", symbols=("BTC/USDT",), model=str(root / "models" / "demo")),
    )
    with_model = replay(open_source(path), config)
    assert with_model.decision_digest != replayed(path).decision_digest
    unnamed = ReplayOptions(files=(path,), strategy=None, model=root / "models" / "demo")
    assert module._config(unnamed, open_source(path)) == config


# --- what it leaves -----------------------------------------------------------------------------------------
def test_repeats_are_printed_one_a_line_and_agree(steady, capture_of, capsys):
    assert run(ReplayOptions(files=(capture_of(steady),), repeat=2, json=True)) == 0
    out = capsys.readouterr().out
    first, second = (msgspec.json.decode(line, type=ReplayResult) for line in out.splitlines())
    assert lasting(first) == lasting(second)
    assert first.ratio == pytest.approx(first.seconds / first.bare_seconds)
    assert first.events_per_s == pytest.approx(3_000 / first.seconds)


def test_a_replay_writes_no_file(steady, capture_of, tmp_path, monkeypatch):
    path = capture_of(steady)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    replayed(path)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("on_gap", ["reset", "mark"])
def test_a_gap_in_a_tape_is_taken_as_live_and_each_time_alike(lines_of, capture_of, on_gap):
    lines = lines_of(1200)
    trades = [number for number, line in enumerate(lines) if b"@trade" in line]
    path = capture_of([line for number, line in enumerate(lines) if number not in trades[100:110]])
    settings = {"on_gap": on_gap, "warmup_ticks": 50}
    first, second = replayed(path, **settings), replayed(path, **settings)
    assert lasting(first) == lasting(second)
    assert (first.trades_missed, first.tick_gaps) == (10, 1)
    whole = replayed(capture_of(lines), **settings)
    assert whole.tick_gaps == 0
    assert whole.decision_digest != first.decision_digest

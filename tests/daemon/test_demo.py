from __future__ import annotations

import asyncio
import gzip
import io
import json
from decimal import Decimal

import pytest
from rich.console import Console

from daemon import demo
from daemon.config import from_tree
from daemon.config_show import to_toml
from daemon.demo import HORIZON_S, MODEL, NOTIONAL
from daemon.errors import FileFormatError, TickdError, UsageError
from daemon.options import DemoOptions
from daemon.status import Status

PORT = 54321


@pytest.fixture(autouse=True)
def _fixed_port(monkeypatch):
    monkeypatch.setattr(demo, "free_port", lambda: PORT)


def config_of(**options):
    return demo._Market(DemoOptions(**options)).config()


def tape_of(tmp_path, symbol, price, *, market="spot", qty="1.0"):
    depth = {"e": "depthUpdate", "E": 1, "s": symbol.upper(), "U": 1, "u": 2, "b": [[price, qty]], "a": []}
    if market == "usdm":
        depth["pu"] = 1
    trade = {"e": "trade", "E": 1, "s": symbol.upper(), "t": 1, "p": price, "q": qty, "T": 1, "m": True}
    frames = [("depth@100ms", depth), ("trade", trade)]
    lines = [
        f"{n + 1} " + json.dumps({"stream": f"{symbol}@{s}", "data": d}) for n, (s, d) in enumerate(frames)
    ]
    path = tmp_path / "tape.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode() + b"\n"))
    return path


def test_by_default_the_model_trades_bitcoin_at_the_simulated_exchange():
    config = config_of()
    assert (config.mode, config.feed.symbols, config.venue.kind) == ("demo", ("BTC/USDT",), "binance")
    assert config.venue.ws_url == f"ws://127.0.0.1:{PORT}/ws-api/v3"
    (strategy,) = config.strategy
    assert (strategy.name, strategy.model) == ("ml", str(MODEL))
    assert strategy.params == {"qty": 0.005, "horizon_s": HORIZON_S}


def test_what_it_holds_for_is_what_its_model_foresees():
    manifest = json.loads((MODEL / "manifest.json").read_text())
    assert manifest["target"]["horizon_ms"] == HORIZON_S * 1000


@pytest.mark.parametrize(
    ("symbol", "price", "qty"),
    [("btcusdt", "61737.6", "0.00123"), ("dogeusdt", "0.09876", "5"), ("ethusdt", "2417.11", "0.5")],
)
@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_orders_on_a_tape_are_worth_the_same_whatever_is_traded(tmp_path, market, symbol, price, qty):
    options = {"tape": tape_of(tmp_path, symbol, price, market=market, qty=qty)}
    for strategy in ("ml", "ema_cross", "market_maker"):
        config = config_of(**options, strategy=strategy)
        worth = Decimal(str(config.strategy[0].params["qty"])) * Decimal(price)
        assert NOTIONAL <= worth <= Decimal(str(config.risk.order_notional_max))
        assert config.feed.market == market
        assert config.venue.kind == ("binance" if market == "spot" else "paper")
        assert config.feed.ws_url == f"ws://127.0.0.1:{PORT}"


def test_a_pair_gets_its_two_symbols_and_ones_own_strategy_its_own_parameters():
    (pairs,) = config_of(strategy="pairs").strategy
    assert pairs.symbols == ("BTC/USDT", "ETH/USDT")
    assert pairs.params["notional"] == float(NOTIONAL)
    assert config_of(strategy="mine.py:decide").strategy[0].params == {}


def test_the_exchange_is_asked_for_what_the_daemon_trades(tmp_path):
    command = demo._Market(DemoOptions(seed=7, strategy="pairs")).exchange_command()
    assert " ".join(command[1:]) == (
        f"-m daemon.simulator --with-parent --no-limits --port {PORT} --seed 7 "
        "--symbol BTC/USDT --symbol ETH/USDT"
    )
    for market, port in (("spot", "--port"), ("usdm", "--futures-port")):
        tape = tape_of(tmp_path, "btcusdt", "60000.0", market=market)
        for speed, word in ((20.0, "20"), (float("inf"), "max")):
            command = demo._Market(DemoOptions(tape=tape, speed=speed)).exchange_command()
            assert command[-6:] == [port, str(PORT), "--tape", str(tape), "--speed", word]


def test_the_exchange_and_the_daemon_share_a_key_that_is_made_whatever_the_environment_holds(monkeypatch):
    for name in ("TICKD_KEY", "TICKD_SECRET", "TICKD_SIMULATOR_KEY", "TICKD_SIMULATOR_SECRET"):
        monkeypatch.setenv(name, "mine")
    made = [demo._Market(DemoOptions()).keys for _ in range(2)]
    assert len({*made[0], *made[1], "mine"}) == 5


@pytest.mark.parametrize(
    ("warm", "told"),
    [
        ((), "both compile their kernels, this once: one to three minutes\n"),
        (("exchange",), "the daemon compiles its kernels, this once: one to three minutes\n"),
        (("daemon",), "the exchange compiles its kernels, this once: one to three minutes\n"),
        (("daemon", "exchange"), ""),
    ],
)
def test_who_will_compile_is_told(monkeypatch, warm, told):
    console = Console(file=io.StringIO())
    monkeypatch.setattr(demo, "is_warm", lambda kind: kind.startswith(warm))
    demo._say_compiling(console, demo._Market(DemoOptions()), config_of())
    assert console.file.getvalue() == told


def test_the_file_the_daemon_reads_says_what_was_meant():
    import tomllib

    config = config_of(port=1234)
    assert from_tree(tomllib.loads(to_toml(config, {})), {}, "demo") == config


def test_a_picture_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status = Status(name="d", mode="demo", version="1", state="STOPPED", now_ns=1, uptime_s=1.0)
    with pytest.raises(TickdError, match=r"the picture nowhere/a.svg cannot be written \(No such file"):
        demo._draw(status, tmp_path.__class__("nowhere/a.svg"))
    demo._draw(status, tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text().startswith("<svg")


def test_a_picture_that_has_no_folder_is_refused_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "_Market", pytest.fail)
    with pytest.raises(UsageError, match=r"nowhere/a.svg cannot be written: there is no such folder"):
        demo.run(DemoOptions(svg=tmp_path / "nowhere" / "a.svg"))


def test_a_tape_that_shows_no_price_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="does not exist"):
        config_of(tape=tmp_path / "no.gz")
    (tmp_path / "odd.gz").write_bytes(gzip.compress(b'1 {"stream":"btcusdt@depth","data":{}}\n'))
    with pytest.raises(FileFormatError, match="shows neither a trade nor a quote"):
        config_of(tape=tmp_path / "odd.gz")


class Exchange:
    """Says that its tape has ended, after a while or never."""

    def __init__(self, ends_after_s=None):
        self._ends_after_s = ends_after_s

    async def message(self, event):
        assert event == "tape_ended"
        await asyncio.sleep(3600 if self._ends_after_s is None else self._ends_after_s)
        return {"frames": 5}


@pytest.mark.parametrize(
    ("options", "ends_after_s"),
    [
        ({}, None),  # the endless market, for SECONDS
        ({"seconds": 0.05}, None),
        ({"seconds": 0.05, "tape": True}, None),  # a tape of hours
        ({"tape": True}, 0.05),
        ({"seconds": 3600.0, "tape": True}, 0.05),
    ],
)
def test_it_ends_with_its_time_or_its_tape_whichever_is_first(
    tmp_path, monkeypatch, capsys, options, ends_after_s
):
    if "tape" in options:
        options["tape"] = tape_of(tmp_path, "btcusdt", "60000.0")
    status = Status(name="d", mode="demo", version="1", state="READY", now_ns=1, uptime_s=1.0, feed_frames=5)
    monkeypatch.setattr(demo, "fetch_status", lambda _: status)
    monkeypatch.setattr(demo, "_LOOK_S", 0.01)
    monkeypatch.setattr(demo, "SECONDS", 0.05)
    show = demo._show(
        DemoOptions(**options), config_of(**options), Exchange(ends_after_s), None, asyncio.Event(), status
    )

    async def within():
        return await asyncio.wait_for(show, 10)

    asyncio.run(within())
    assert "READY" in capsys.readouterr().out


class Starting:
    """A process that says it is ready, or ends, after a while."""

    def __init__(self, ready_s=3600.0, ends_s=3600.0):
        self._ready_s, self._ends_s = ready_s, ends_s

    async def message(self, event):
        assert event == "ready"
        await asyncio.sleep(self._ready_s)
        return {"event": "ready"}

    async def ended(self):
        await asyncio.sleep(self._ends_s)
        return True

    def failure(self):
        return TickdError("the daemon ended by itself; start again")


def test_a_daemon_that_ends_before_the_exchange_is_ready_is_told_at_once():
    async def first(exchange, daemon):
        ready = asyncio.ensure_future(exchange.message("ready"))
        try:
            return await asyncio.wait_for(demo._first(ready, daemon), 10)
        finally:
            assert ready.done()  # nobody reads on from the exchange's output

    assert asyncio.run(first(Starting(ready_s=0.01), Starting())) == {"event": "ready"}
    with pytest.raises(TickdError, match="the daemon ended by itself"):
        asyncio.run(first(Starting(), Starting(ends_s=0.01)))

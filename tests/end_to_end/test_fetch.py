"""`tickd fetch` against the simulated exchange, as it runs: today's trades and bars, up to now."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from random import Random

import numpy as np
import pytest

from daemon.cli import main
from daemon.clock import SystemClock
from daemon.errors import EXIT_DONE
from daemon.simulator.auth import Key
from daemon.simulator.server import running
from daemon.simulator.settings import SimulatorSettings
from daemon.tape.ticks import read_header, read_ticks
from kernels.columns import T_ID
from tests.end_to_end.harness import fetch as ask
from tests.end_to_end.harness import until

KEY = Key(account="main", api_key="k" * 64, secret="s" * 64)


@contextmanager
def simulated(**settings):
    """Run an exchange in a thread; gives {market: url}."""
    loop, ready, urls = asyncio.new_event_loop(), threading.Event(), {}
    ending = asyncio.Event()

    async def serve():
        options = SimulatorSettings(key=KEY, **settings)
        async with running(options, SystemClock(), Random(1), lambda _: None) as found:
            urls.update(found)
            ready.set()
            await ending.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(60)
        yield urls
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(30)
        loop.close()


def last_id(url, path):
    status, body = ask(int(url.rpartition(":")[2]), f"{path}/aggTrades?symbol=BTCUSDT&limit=1")
    assert status == 200
    return json.loads(body)[0]["a"] if json.loads(body) else 0


@pytest.mark.parametrize(("market", "path"), [("spot", "/api/v3"), ("usdm", "/fapi/v1")])
def test_trades_and_bars_of_today_up_to_now(tmp_path, capsys, market, path):
    today = f"{datetime.now(UTC):%Y-%m-%d}"

    def fetch(what, *words):
        out = tmp_path / what
        assert main([
            "fetch", "BTC/USDT", "ETH/USDT", "--market", market, "--what", what, "--from", today,
            "--ttl", "0", "--out", str(out), "--url", urls[market], "--json", *words,
        ]) == EXIT_DONE  # fmt: skip
        return json.loads(capsys.readouterr().out), next(out.rglob("symbol=BTC-*"))

    with simulated(market=market, rate=500.0) as urls:
        before = until(lambda: last_id(urls[market], path) > 20 and last_id(urls[market], path), "trades")
        told, folder = fetch("aggTrades")
        ids = np.concatenate([one.ticks[T_ID] for one in read_ticks(folder)])
        assert ids[-1] >= before
        assert np.all(np.diff(ids) == 1)
        assert told["findings"] == {}
        header = read_header(folder)
        assert (header.market, header.clock) == (market, "exchange")
        if market == "spot":
            _, folder = fetch("trades")
            singles = np.concatenate([one.ticks[T_ID] for one in read_ticks(folder)])
            assert singles[0] == ids[0]
            assert len(singles) >= len(ids)
        told, _ = until(lambda: (found := fetch("klines", "--interval", "1s"))[0]["rows"] and found, "bars")
        assert told["asked"]["again"] == 0
        assert main(["backtest", str(folder), "--json"]) == EXIT_DONE

"""A daemon that trades futures: positions both ways, leverage, funding, and what halts it."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.end_to_end.harness import CROSS, READY_S, ROOT, fetch, secrets_in, until

MAKER = """
[[strategy]]
name = "market_maker"
params = { qty = 0.005, half_spread_bps = 50.0, volatility_weight = 0.0 }
warmup_ticks = 20
"""


@pytest.fixture
def futures(bench):
    return bench.exchange("--market", "usdm", "--symbol", "BTC/USDT", "--funding-s", "3")


def asked(exchange, path, **params):
    return exchange.signed(path, market="usdm", **params)


def position(exchange):
    rows = asked(exchange, "v3/positionRisk", symbol="BTCUSDT")
    return Decimal(rows[0]["positionAmt"]) if rows else Decimal(0)


def fundings(exchange):
    rows = asked(exchange, "v1/income", incomeType="FUNDING_FEE", limit=1000)
    return [Decimal(row["income"]) for row in rows]


def funded_of(bench):
    """The fundings in the daemon's journal, in the exchange's order."""
    lines = bench.run("journal", "var/one/journal-live", "--json").out.splitlines()
    found = [one for one in map(json.loads, lines) if one["record"] == "Funding"]
    return [Decimal(one["amount"]) for one in sorted(found, key=lambda one: one["exch_ns"])]


def live(bench, exchange, *strategies, **more):
    return bench.live(exchange, *strategies, market="usdm", **more)


def test_it_takes_positions_both_ways_accounts_for_funding_and_flattens(bench, futures):
    more = {
        "TICKD__VENUE__LEVERAGE": "3",
        "TICKD__VENUE__MARGIN": "isolated",
        "TICKD__VENUE__DEAD_MAN_S": "5",
    }
    daemon = live(bench, futures, CROSS, env=more)
    daemon.ready()
    (setup,) = asked(futures, "v1/symbolConfig", symbol="BTCUSDT")
    assert (setup["leverage"], setup["marginType"]) == (3, "ISOLATED")
    daemon.filled(6)
    until(lambda: asked(futures, "v1/income", incomeType="FUNDING_FEE"), "a position was funded", 60.0)
    fetch(daemon.socket, "/flatten", "POST")
    daemon.until(lambda state: not any(one["position"] for one in state["instruments"]), "it is flat")
    assert position(futures) == 0
    assert daemon.child.end() == 0
    summary = daemon.child.json
    assert (summary["state"], summary["reason"]) == ("STOPPED", "flatten")
    (wallet,) = asked(futures, "v3/balance")
    assert abs(Decimal(str(summary["equity"])) - Decimal(wallet["balance"])) < Decimal("0.0001")
    assert funded_of(bench) == fundings(futures)
    sides = {row["side"] for row in asked(futures, "v1/userTrades", symbol="BTCUSDT")}
    assert sides == {"BUY", "SELL"}
    assert "balance" not in daemon.log.read_text()  # what we count is what the exchange has
    assert secrets_in(bench.folder) == []


def test_what_rests_is_post_only_and_goes_when_it_ends(bench, futures):
    daemon = live(bench, futures, MAKER)
    daemon.ready()

    def standing():
        rows = asked(futures, "v1/openOrders", symbol="BTCUSDT")
        return rows if len(rows) == 2 else None

    orders = until(standing, "two orders stand")
    assert {row["timeInForce"] for row in orders} == {"GTX"}
    assert daemon.child.end() == 0
    assert asked(futures, "v1/openOrders", symbol="BTCUSDT") == []


def test_a_killed_daemon_goes_on_with_the_position_it_had(bench, futures):
    daemon = live(bench, futures, CROSS)
    daemon.ready()
    daemon.filled()
    until(lambda: position(futures), "it holds something")
    daemon.child.kill()
    heard = len(fundings(futures))
    until(lambda: len(fundings(futures)) > heard, "a funding came while it was dead", 60.0)
    again = live(bench, futures, CROSS)
    again.ready()
    state = again.filled()
    assert state["state"] == "READY"
    assert again.child.end() == 0
    assert again.child.json["reason"] == ""
    funded = funded_of(bench)
    assert len(funded) > heard
    assert funded == fundings(futures)[: len(funded)]
    log = again.log.read_text()
    assert "came unheard" in log
    assert "where our trades make it" not in log


def test_a_position_that_is_not_ours_halts_and_says_what_differs(bench, futures):
    until(lambda: asked(futures, "v1/trades", symbol="BTCUSDT"), "the market has begun")
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    futures.signed("v1/order", "POST", "usdm", **order)
    daemon = live(bench, futures, CROSS)
    state = daemon.until(lambda state: state["state"] == "HALTED", "it is HALTED", READY_S)
    assert state["reason"].startswith(
        "the venue holds a position of 0.01 BTC/USDT:USDT where our trades make it 0:"
    )
    order |= {"side": "SELL", "reduceOnly": "true"}
    futures.signed("v1/order", "POST", "usdm", **order)
    bench.run("resume")
    daemon.ready()
    assert daemon.child.end() == 0


def killed(bench, exchange):
    """Kill a daemon with a position, and let an order stand; return its file."""
    daemon = live(bench, exchange, CROSS)
    daemon.ready()
    until(lambda: position(exchange), "it holds something", 90.0)
    daemon.child.kill()
    price = round(float(asked(exchange, "v1/ticker/bookTicker", symbol="BTCUSDT")["bidPrice"]) * 0.97)
    order = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": price}
    exchange.signed("v1/order", "POST", "usdm", symbol="BTCUSDT", **order)
    return bench.folder / "one.toml"


def flatten(bench, exchange, path, *words, env=None):
    env = {**exchange.keys, **(env or {})}
    return bench.run("flatten", "--direct", path, "--yes", "--json", *words, env=env).json


def test_with_no_daemon_its_orders_are_cancelled_and_its_position_is_closed(bench, futures):
    path = killed(bench, futures)
    # the account stays as it is set up, whatever the file says by now
    report = flatten(bench, futures, path, env={"TICKD__VENUE__MARGIN": "isolated"})
    assert (report["left"], report["dust"]) == ([], [])
    assert (len(report["canceled"]), len(report["closed"])) == (1, 1)
    assert (position(futures), asked(futures, "v1/openOrders")) == (0, [])
    assert asked(futures, "v1/symbolConfig", symbol="BTCUSDT")[0]["marginType"] == "CROSSED"
    closing = asked(futures, "v1/allOrders", symbol="BTCUSDT")[-1]
    assert (closing["reduceOnly"], closing["timeInForce"]) == (True, "IOC")

    daemon = live(bench, futures, CROSS)
    state = daemon.until(lambda state: state["state"] == "HALTED", "it is HALTED", READY_S)
    assert state["instruments"][0]["position"] == 0
    assert "flatten --direct" in state["reason"]
    assert daemon.child.end() == 0


def test_with_everything_a_position_that_somebody_else_opened_is_closed_too(bench, futures):
    path = killed(bench, futures)
    order = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.031"}
    futures.signed("v1/order", "POST", "usdm", **order)
    report = flatten(bench, futures, path, "--everything")
    assert (report["left"], report["dust"]) == ([], [])
    assert (position(futures), asked(futures, "v1/openOrders")) == (0, [])


def test_a_live_futures_configuration_is_rehearsed_on_paper(bench, futures):
    child = bench.tickd("paper", bench.config(futures.urls, CROSS, market="usdm"), "--json")
    daemon = bench.daemon(child, "one")
    daemon.ready()
    daemon.filled(3)
    assert child.end() == 0
    assert position(futures) == 0


def test_the_configuration_for_futures_trades_as_it_is_shipped(bench, futures):
    rest = futures.urls["usdm"]
    ws = rest.replace("http", "ws", 1)
    here = {
        "FEED__REST_URL": rest,
        "FEED__WS_URL": ws,
        "VENUE__REST_URL": rest,
        "VENUE__WS_URL": f"{ws}/ws-fapi/v1",
        "VENUE__STREAM_URL": f"{ws}/private",
        "STRATEGY__0__PARAMS__BAND_BPS": "0.0",  # it would trade once in minutes
        "STRATEGY__0__TUNING__EMA_FAST": "2.0",
        "STRATEGY__0__TUNING__EMA_SLOW": "6.0",
    }
    env = {**futures.keys, **{f"TICKD__{key}": value for key, value in here.items()}}
    child = bench.tickd("run", ROOT / "configs" / "usdm.toml", "--live", "--json", env=env)
    daemon = bench.daemon(child, "usdm")
    daemon.ready()
    daemon.filled()
    (setup,) = asked(futures, "v1/symbolConfig", symbol="BTCUSDT")
    assert (setup["leverage"], setup["marginType"]) == (2, "ISOLATED")
    assert child.end() == 0
    assert "order_notional_max" not in child.json["orders"]["refusals"]

"""`tickd flatten --direct`: what a dead daemon left at the exchange is cancelled and closed with its keys."""

from __future__ import annotations

import signal
import time
from decimal import Decimal

import pytest

from tests.end_to_end.harness import CROSS, MAKER, fetch, until
from tests.end_to_end.lossy import Lossy
from tests.end_to_end.test_faults import post

DUST = Decimal("0.0005")  # of BTC: 30 USDT, more than the exchange's least order and less than any position


def left_behind(bench, exchange, urls=None, kind="binance"):
    """Kill a daemon that holds BTC and has orders standing; return its file and what was there before."""
    before = exchange.balance("BTC")
    path = bench.config(urls or exchange.urls, CROSS, MAKER, kind=kind)
    for _ in range(3):  # what it holds may be sold by the very order that it dies over
        child = bench.tickd("run", path, "--live", "--json", env=exchange.keys)
        bench.daemon(child).ready()
        until(
            lambda: exchange.open_orders() and exchange.balance("BTC") - before > 2 * DUST,
            "it holds something and has orders standing",
            60.0,
        )
        child.send(signal.SIGKILL)
        child.wait()
        time.sleep(0.2)
        if exchange.open_orders() and exchange.balance("BTC") - before > 2 * DUST:
            break
    return path, before


def flatten(bench, exchange, path, *words, code=0):
    return bench.run("flatten", "--direct", path, "--yes", "--json", *words, env=exchange.keys, code=code)


def test_it_leaves_nothing_and_the_next_daemon_knows_of_it(bench, exchange):
    path, before = left_behind(bench, exchange)
    report = flatten(bench, exchange, path).json
    assert report["left"] == []
    assert len(report["canceled"]) >= 1
    assert [text[:5] for text in report["closed"]] == ["sold "]
    assert exchange.open_orders() == []
    assert abs(exchange.balance("BTC") - before) < DUST

    child = bench.tickd("run", path, "--live", "--json", env=exchange.keys)
    state = bench.daemon(child).until(lambda state: state["state"] == "HALTED", "it is HALTED", 60.0)
    assert abs(state["instruments"][0]["position"]) < DUST
    assert child.end() == 0
    records = bench.run("journal", bench.folder / "var" / "one" / "journal-live").out
    assert "adopt" not in records
    assert "flatten --direct" in records


def test_through_ccxt_it_leaves_nothing_either(bench):
    exchange = bench.exchange("--symbol", "BTC/USDT")
    path, before = left_behind(bench, exchange, kind="ccxt")
    report = flatten(bench, exchange, path).json
    assert report["left"] == []
    assert len(report["canceled"]) >= 1
    assert [text[:5] for text in report["closed"]] == ["sold "]
    assert exchange.open_orders() == []
    assert abs(exchange.balance("BTC") - before) < DUST
    orders = exchange.orders()
    assert len({row["clientOrderId"] for row in orders}) == len(orders)

    child = bench.tickd("run", path, "--live", "--json", env=exchange.keys)
    state = bench.daemon(child).until(lambda state: state["state"] == "HALTED", "it is HALTED", 60.0)
    assert abs(state["instruments"][0]["position"]) < DUST
    assert child.end() == 0
    records = bench.run("journal", bench.folder / "var" / "one" / "journal-live-binance").out
    assert "adopt" not in records
    assert "flatten --direct" in records


def test_a_symbol_in_a_break_is_left_as_it_is_and_closed_after_it(bench):
    exchange = bench.exchange("--symbol", "BTC/USDT")
    path, before = left_behind(bench, exchange)
    orders = len(exchange.orders())
    port = int(exchange.urls["spot"].rpartition(":")[2])
    post(port, {"kind": "break", "lasts_s": 600})
    report = flatten(bench, exchange, path, code=1).json
    assert report["closed"] == []
    assert any("while BTC/USDT is not TRADING: no stop protects it" in note for note in report["notes"])
    assert any(" BTC of " in text for text in report["left"])
    assert len(exchange.orders()) == orders
    assert fetch(port, "/_simulator/faults", "DELETE")[0] == 200
    assert flatten(bench, exchange, path).json["left"] == []
    assert abs(exchange.balance("BTC") - before) < DUST


@pytest.mark.parametrize("how", ["cut", "mute"])
def test_an_order_whose_answer_is_lost_is_asked_about_and_never_sent_again(bench, exchange, how):
    with Lossy(exchange) as line:
        path, before = left_behind(bench, exchange, line.urls)
        numbers = {row["orderId"] for row in exchange.orders()}
        line.lose("order.place", how)
        line.lose("order.cancel", how)
        report = flatten(bench, exchange, path).json
    assert report["left"] == []
    assert exchange.open_orders() == []
    assert abs(exchange.balance("BTC") - before) < DUST
    assert len(line.lost) == 2
    sold = [row for row in exchange.orders() if row["orderId"] not in numbers]
    assert len({row["clientOrderId"] for row in sold}) == len(sold)
    filled = sum(Decimal(row["executedQty"]) for row in sold)
    assert all(row["side"] == "SELL" for row in sold)
    assert filled < Decimal("0.02")


def test_with_everything_a_damaged_journal_is_no_hindrance(bench):
    exchange = bench.exchange("--symbol", "BTC/USDT")
    path, before = left_behind(bench, exchange)
    (segment,) = (bench.folder / "var" / "one" / "journal-live").glob("*.journal")
    data = bytearray(segment.read_bytes())
    data[40] ^= 1
    segment.write_bytes(data)
    sentence = flatten(bench, exchange, path, code=1).complaint
    assert sentence.startswith("what the strategies hold is not known: the journal ")
    assert "with --everything too" in sentence
    assert exchange.open_orders() != []

    report = flatten(bench, exchange, path, "--everything").json
    assert report["left"] == []
    assert "is damaged at offset" in report["notes"][0]
    assert exchange.open_orders() == []
    assert exchange.balance("BTC") < DUST < before
    assert "nothing is left" in bench.run("flatten", "--direct", path, "--yes", env=exchange.keys).out


def test_what_it_waits_for_is_said_beside_the_report(bench, exchange):
    path = bench.config(exchange.urls, MAKER)
    port = int(exchange.urls["spot"].rpartition(":")[2])
    post(port, {"kind": "refuse_connect", "of": "api", "count": 2})
    child = flatten(bench, exchange, path)
    assert child.json["left"] == []
    assert child.err.count("venue: venue_connect_failed") == 2


def test_it_is_refused_while_a_daemon_runs(bench, exchange):
    daemon = bench.live(exchange, MAKER)
    daemon.ready()
    path = bench.folder / "one.toml"
    assert flatten(bench, exchange, path, code=2).complaint == (
        "a daemon answers on var/one/tickd.sock; use tickd flatten --socket var/one/tickd.sock"
    )
    elsewhere = {**exchange.keys, "TICKD__HTTP__SOCKET": "var/two/tickd.sock"}
    child = bench.run("flatten", "--direct", path, "--yes", env=elsewhere, code=2)
    assert child.complaint.startswith("a daemon holds the journal var/one/journal-live; use tickd flatten")
    assert daemon.state()["state"] == "READY"
    daemon.child.send(signal.SIGSTOP)
    assert flatten(bench, exchange, path, code=2).complaint == (
        "the daemon on var/one/tickd.sock did not answer within 5 s; "
        "if it is stuck, end its process first, and do this again"
    )
    daemon.child.send(signal.SIGCONT)
    assert daemon.child.end() == 0


def test_it_asks_first(bench, exchange):
    path = bench.config(exchange.urls, MAKER)
    child = bench.run("flatten", "--direct", path, env=exchange.keys, code=2)
    assert child.complaint == (
        "--direct asks before it does anything, and nobody can answer here; say --yes too"
    )
    assert not (bench.folder / "var" / "one" / "journal-live" / "00000001.journal").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--yes",), "--yes goes with --direct CONFIG"),
        (("--everything",), "--everything goes with --direct CONFIG"),
        (("--direct", "one.toml", "--name", "one"), "--direct takes its names from the configuration"),
        (("--direct", "paper.toml", "--yes"), "nothing stands at a venue here"),
    ],
)
def test_what_does_not_go_together_is_refused(bench, exchange, words, sentence):
    bench.config(exchange.urls, MAKER, name="paper", mode="paper", kind="paper")
    assert bench.run("flatten", *words, code=2).complaint.startswith(sentence)


def test_an_exchange_that_cannot_be_reached_is_named(bench):
    path = bench.config({"spot": "http://127.0.0.1:1"}, MAKER)
    child = bench.run(
        "flatten", "--direct", path, "--yes", env={"TICKD_KEY": "a" * 64, "TICKD_SECRET": "b" * 64}, code=1
    )
    assert "http://127.0.0.1:1/api/v3/exchangeInfo failed" in child.complaint

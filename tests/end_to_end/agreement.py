"""Whether a daemon and its exchange agree: position, orders, every trade, and the money to the last digit."""

from __future__ import annotations

import io
import json
from collections import Counter
from contextlib import redirect_stdout
from decimal import Decimal

from daemon.cli import main
from tests.end_to_end.harness import until

#: to the last digit that an exchange knows
EXACT = 1e-9


def shown(bench, journal, *words):
    """Return the rows that `tickd journal` tells."""
    told = io.StringIO()
    with redirect_stdout(told):
        assert main(["journal", str(bench.folder / journal), *words, "--json"]) == 0
    return [json.loads(line) for line in told.getvalue().splitlines()]


def journalled_ids(bench, journal):
    """Return the client order ids whose intents stand in a journal, run by run."""
    prefix, run, found = "", 0, []
    for record in shown(bench, journal):
        if record["record"] == "Run":
            prefix, run = record["prefix"], record["run"]
        elif record["record"] == "Placed":
            found.append(f"{prefix}-{run}-{record['seq']}")
    return found


def moved(fills):
    """Return what trades have made of each asset."""
    change = Counter()
    for fill in fills:
        sign = 1 if fill["side"] == "buy" else -1
        change[fill["instrument"].partition("/")[0]] += sign * Decimal(fill["quantity"])
        change["USDT"] -= sign * Decimal(fill["value"])
        change[fill["asset"]] -= Decimal(fill["fee"])
    return change


def check_agreement(bench, exchange, daemon, before, journal="var/one/journal-live"):
    """Halt, and compare what the daemon believes with the exchange's account, orders and trades.

    before: `exchange.holds()` before any daemon had traded there.
    """
    bench.run("halt")

    def agree():
        position = daemon.state()["instruments"][0]["position"]
        there = float(exchange.balance("BTC") - before["BTC"])
        return abs(position - there) < EXACT and not exchange.open_orders()

    until(agree, "the position is the account's")
    sent = [one["clientOrderId"] for one in exchange.orders()]
    assert len(set(sent)) == len(sent)
    assert set(sent) <= set(journalled_ids(bench, journal)), "no order without its intent in the journal"
    fills = shown(bench, journal, "--show", "fills")
    ours = Counter(fill["trade"] for fill in fills if fill["instrument"] == "BTC/USDT")
    assert ours == Counter(str(trade["id"]) for trade in exchange.trades()), "each trade once, and no other"
    assert {asset: before[asset] + moved(fills)[asset] for asset in before} == exchange.holds()
    state = daemon.state()
    assert state["orders"]["unknown"] == 0
    return state

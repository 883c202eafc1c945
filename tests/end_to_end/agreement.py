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


def journalled_ids(records):
    """Return the client order ids whose intents stand among records, run by run."""
    prefix, run, found = "", 0, []
    for record in records:
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


def differs(fills, trades, before, holds, *, numbered=True):
    """Return in which way a journal's fills are not the exchange's trades and money; empty: they are.

    numbered: a trade has the exchange's number in the journal; through ccxt each has one of our own.
    """
    ours = Counter(fill["trade"] for fill in fills if fill["instrument"] == "BTC/USDT")
    theirs = Counter(str(trade["id"]) for trade in trades)
    if not numbered:
        ours, theirs = Counter(ours.values()), Counter(theirs.values())
    if ours != theirs:
        return f"trades of ours alone, or twice: {ours - theirs}, of theirs alone: {theirs - ours}"
    made = {asset: before[asset] + moved(fills)[asset] for asset in before}
    return "" if made == holds else f"money: ours {made}, theirs {holds}"


def check_agreement(bench, exchange, daemon, before, journal="var/one/journal-live", *, numbered=True):
    """Halt, and compare position, orders, trades and money with the exchange's; all is in BTC/USDT.

    before: `exchange.holds()` before any daemon had traded there.
    """
    bench.run("halt")

    def agree():
        position = daemon.state()["instruments"][0]["position"]
        there = float(exchange.balance("BTC") - before["BTC"])
        return abs(position - there) < EXACT and not exchange.open_orders()

    def twice():
        """Return what was sent twice: while the first is open, an exchange refuses the second."""
        ids = Counter(one["clientOrderId"] for one in exchange.orders())
        again = [name for name, count in ids.items() if count > 1]
        again += [one for one in shown(bench, journal) if "Duplicate order" in str(one.get("reason"))]
        return f"sent twice: {again}" if again else ""

    until(agree, "the position is the account's", why=twice)

    def different():
        fills = shown(bench, journal, "--show", "fills")
        return differs(fills, exchange.trades(), before, exchange.holds(), numbered=numbered)

    until(lambda: not different(), "the journal's trades and money are the account's", 20, different)
    assert not twice(), twice()
    ids = {one["clientOrderId"] for one in exchange.orders()}
    assert ids <= set(journalled_ids(shown(bench, journal))), "no order without its intent in the journal"
    state = daemon.state()
    assert state["orders"]["unknown"] == 0
    return state

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from daemon.events import Command, ExecutionReport, Funding
from daemon.faces.journal_table import Row, RowReader, rows_of, stamp, table
from daemon.orders import records as r
from daemon.orders.order import Order, State
from daemon.orders.valuation import Baseline
from kernels import dtypes as d

NS = 1_700_000_000_123_456_789
RUN = r.Run(
    NS,
    "one",
    7,
    "0.1.0",
    [("maker", ["BTC/USDT"]), ("pairs", ["BTC/USDT", "ETH/USDT"])],
    ["BTC/USDT", "ETH/USDT"],
    "",
    [("0.01", "0.00001"), ("0.05", "1")],
)
ROW = b""


def action(verb=d.PLACE, *, kind=d.REST, level=2, side=d.BUY, ticks=6_000_150, lots=123):
    return (verb, 0, 0, kind, level, side, ticks, lots, 0, 0)


def only(record, *before, run=RUN):
    """Return the filled cells of the last record, without its time."""
    (_, row) = list(rows_of([run, *before, record]))[-1]
    assert row.time == "2023-11-14T22:13:20.123456789Z"
    return {name: cell for name, cell in row._asdict().items() if cell and name != "time"}


def report(kind, **more):
    return ExecutionReport(kind=kind, client_order_id="one-7-3", instrument=0, wire_ns=NS, **more)


PLACED = r.Placed(NS, 3, 0, 0, action(), ROW)


def test_an_order_is_named_with_its_price_and_quantity_in_decimals():
    assert only(PLACED) == {
        "what": "place",
        "order": "one-7-3",
        "strategy": "maker",
        "instrument": "BTC/USDT",
        "side": "buy",
        "price": "60001.50",
        "quantity": "0.00123",
        "state": "PENDING_NEW",
        "reason": "rest, level 2",
    }
    other = r.Placed(NS, 4, 1, 1, action(kind=d.TARGET, side=d.SELL, ticks=3, lots=12), ROW)
    line = only(other)
    assert (line["strategy"], line["instrument"], line["side"]) == ("pairs", "ETH/USDT", "sell")
    assert (line["price"], line["quantity"], line["reason"]) == ("0.15", "12", "target")


def test_without_the_sizes_of_tick_and_lot_counts_are_shown_as_such():
    old = msgspec.structs.replace(RUN, steps=[])
    line = only(PLACED, run=old)
    assert (line["price"], line["quantity"]) == ("6000150 ticks", "123 lots")


def test_a_fee_s_value_is_told_with_whose_it_is():
    line = only(r.FeeValued(NS, 0, 0, "BNB", str(10**15), str(5 * 10**17)))
    assert (line["what"], line["strategy"]) == ("fee valued", "maker")
    assert line["reason"] == "0.001 BNB come to 0.5 in the quote"


def test_funding_is_told_with_its_instrument_also_where_that_came_later():
    line = only(Funding(NS, "USDT", Decimal("-0.5"), NS, 7, 1))
    assert (line["what"], line["instrument"], line["reason"]) == ("funding", "ETH/USDT", "-0.5 USDT")
    line = only(Funding(NS, "USDT", Decimal("-0.5"), NS))
    assert (line["what"], line.get("instrument")) == ("funding", None)
    line = only(r.FundingNamed(NS, [Funding(NS, "USDT", Decimal("-0.5"), NS, 7, 1)]))
    assert (line["what"], line["reason"]) == ("funding named", "-0.5 USDT of ETH/USDT")


def test_a_refusal_says_what_was_refused_and_why():
    refused = r.RefusedAction(NS, d.REFUSED_COLLAR, 0, 0, action(kind=d.STOP, side=d.SELL), ROW)
    line = only(refused)
    assert (line["what"], line["side"], line["reason"]) == ("refuse place", "sell", "collar (stop, level 2)")
    assert "order" not in line


def test_what_names_only_an_id_is_told_with_what_is_known_of_the_order():
    known = {"order": "one-7-3", "strategy": "maker", "instrument": "BTC/USDT", "side": "buy"}
    cancel, amend = r.Asked(NS, "one-7-3", 0), r.Asked(NS, "one-7-3", 100)
    assert only(cancel, PLACED) == {"what": "cancel", **known, "state": "PENDING_CANCEL"}
    assert only(amend, PLACED) == {
        "what": "amend",
        **known,
        "quantity": "0.00100",
        "state": "PENDING_REPLACE",
    }
    voided = only(r.Voided(NS, "one-7-3"), PLACED)
    assert (voided["what"], voided["strategy"], voided["state"]) == ("void", "maker", "VOID")
    assert only(r.Asked(NS, "never-seen-1", 0))["order"] == "never-seen-1"


def test_a_trade_shows_its_own_price_and_quantity_and_its_fee():
    fill = report(
        "TRADE",
        side=-1,
        price_ticks=1,
        qty_lots=9,
        last_ticks=6_000_200,
        last_lots=5,
        commission=Decimal("0.00000005"),
        commission_asset="BTC",
        status="PARTIALLY_FILLED",
    )
    line = only(fill, PLACED)
    assert (line["what"], line["side"], line["strategy"]) == ("trade", "sell", "maker")
    assert (line["price"], line["quantity"]) == ("60002.00", "0.00005")
    assert (line["state"], line["reason"]) == ("PARTIALLY_FILLED", "taker, fee 0.00000005 BTC")


@pytest.mark.parametrize(
    ("told", "what", "state", "reason"),
    [
        (report("REJECTED", code=-2010, reason="no money"), "rejected", "REJECTED", "no money (-2010)"),
        (report("TIMEOUT"), "timeout", "UNKNOWN", None),
        (report("STATUS", status="FILLED"), "status", "FILLED", None),
        (report("CANCEL_REJECTED", reason="too late"), "cancel rejected", None, "too late"),
    ],
)
def test_a_report_tells_the_state_and_the_venues_reason(told, what, state, reason):
    line = only(told, PLACED)
    assert (line["what"], line.get("state"), line.get("reason")) == (what, state, reason)


def test_orders_of_a_checkpoint_and_adopted_ones_are_known_afterwards():
    order = Order(
        client_order_id="one-6-9",
        seq=9,
        strategy=1,
        instrument=1,
        slot=0,
        row=1,
        kind=d.REST,
        level=0,
        side=-1,
        price_ticks=2,
        qty_lots=3,
        reduces=False,
        state=State.WORKING,
    )
    ended = msgspec.structs.replace(order, client_order_id="one-6-8", state=State.FILLED)
    saved = r.Checkpoint(NS, None, [order, ended], [], [], {}, {}, [], Baseline(), 0)
    assert only(saved) == {"what": "checkpoint", "reason": "1 open order"}
    assert only(r.Asked(NS, "one-6-9", 0), saved)["strategy"] == "pairs"
    line = only(r.Adopted(NS, order))
    assert (line["what"], line["price"], line["quantity"], line["state"]) == ("adopt", "0.10", "3", "WORKING")


@pytest.mark.parametrize(
    ("record", "what", "reason"),
    [
        (r.CommandTaken(NS, Command("halt", "cli", "lunch")), "halt", "cli: lunch"),
        (r.CommandTaken(NS, Command("resume", "cli", rebase=True)), "resume --rebase", "cli"),
        (r.Latch(NS, True, "risk", "daily loss"), "halted", "risk: daily loss"),
        (r.Latch(NS, False, "http", ""), "resumed", "http"),
        (r.Balances(NS, {"BTC": "1500000000000000000", "USDT": "0"}), "balances", "1.5 BTC, 0 USDT"),
        (
            r.BaselineMoved(NS, Baseline(1, 1000.0, 1200.5)),
            "baseline",
            "the day began at 1,000.00, peak 1,200.50",
        ),
        (r.Met(NS, ["a", "b"], []), "reconciled", "a; b"),
        (r.Met(NS, ["a"], ["c"]), "irreconcilable", "c; a"),
        (r.Ended(NS), "end", "the run ended by itself"),
    ],
)
def test_all_else_says_in_words_what_it_is(record, what, reason):
    assert only(record) == {"what": what, "reason": reason}


def test_columns_stand_below_each_other_and_sync_marks_are_left_out():
    journal = [RUN, PLACED, r.Marked(9), r.Asked(NS, "one-7-3", 0)]
    header, run, *lines = table(Row._fields, (row for _, row in rows_of(journal)))
    assert run.startswith("2023-11-14 22:13:20.123456  run")
    assert run.endswith("number 7, tickd 0.1.0, maker on BTC/USDT, pairs on BTC/USDT ETH/USDT")
    assert len(lines) == 2
    assert {line.index("one-7-3") for line in lines} == {header.index("order")}


def test_ended_orders_are_forgotten_but_for_the_latest(monkeypatch):
    monkeypatch.setattr("daemon.faces.journal_table._ENDED_KEPT", 2)
    reader = RowReader()
    reader.row(RUN)
    for seq in range(1, 5):
        reader.row(r.Placed(NS, seq, 0, 0, action(), ROW))
        reader.row(ExecutionReport(kind="CANCELED", client_order_id=f"one-7-{seq}", instrument=0, wire_ns=NS))
    late = [reader.row(r.Asked(NS, f"one-7-{seq}", 0)).strategy for seq in range(1, 5)]
    assert late == ["", "", "maker", "maker"]


def test_a_record_bears_our_clocks_time_and_a_sync_mark_none():
    assert (stamp(PLACED), stamp(report("NEW")), stamp(r.Marked(9))) == (NS, NS, 0)

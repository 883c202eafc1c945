from __future__ import annotations

import struct
from decimal import Decimal

import msgspec
import pytest

from daemon.events import Command, ExecutionReport, Funding
from daemon.orders import records as r
from daemon.orders.order import Order, State
from daemon.orders.valuation import Baseline

ORDER = Order(
    client_order_id="t-1-1", seq=1, strategy=0, instrument=0, slot=2, row=0, kind=2, level=-1, side=1,
    price_ticks=600, qty_lots=7, reduces=False, state=State.PARTIALLY_FILLED,
)  # fmt: skip
REPORT = ExecutionReport(
    kind="TRADE", client_order_id="t-1-1", instrument=0, wire_ns=5, trade_id=9, commission=Decimal("1E-8"),
    commission_asset="BNB",
)  # fmt: skip


@pytest.mark.parametrize(
    "record",
    [
        r.Run(1, "t", 3, "0.1", [("maker", ["BTC/USDT"])], ["BTC/USDT"], "text", [("0.01", "0.001")]),
        REPORT,
        r.CommandTaken(1, Command(verb="halt", source="cli", reason="why")),
        r.Latch(1, halted=True, source="cli", reason="why"),
        r.Latch(1, halted=True, source="cli", reason="why", flatten=True),
        r.Adopted(1, ORDER),
        r.Voided(1, "t-1-1"),
        r.Balances(1, {"USDT": "100000000000000000000000"}),
        r.BaselineMoved(1, Baseline(5, 1.5, 2.5)),
        r.Met(1, ["the venue has 5 USDT"], ["the strategies hold 1 BTC"]),
        r.Checkpoint(
            1, None, [ORDER], [r.Owed("t-1-1", 7, 4)], [r.SavedHolding(0, 0, "1", "2", "3", "4")],
            {"BTC": "1"}, {"BTC": "2"}, [(-1, [3, 4])], Baseline(1, 2.0, 3.0), 77, [(0, 1, "BNB", "5")],
        ),
        r.FeeValued(1, 0, 1, "BNB", "5", "2500"),
        r.FundingNamed(1, [Funding(1, "USDT", Decimal("-0.5"), 1, 7, 0)]),
        r.Ended(1),
    ],
)  # fmt: skip
def test_a_record_is_read_as_it_was_written(record):
    assert r.unpack(r.pack(record)) == record


def test_a_run_of_an_older_version_is_read_without_the_sizes_of_tick_and_lot():
    run = r.Run(1, "t", 3, "0.1", [], ["BTC/USDT"], "text")
    fields = list(msgspec.structs.astuple(run))[:7]
    assert r.unpack(bytes([r.RUN]) + msgspec.msgpack.encode(fields)) == run


def test_a_run_of_an_older_version_waited_for_nothing_and_tells_no_end():
    run = r.Run(1, "t", 3, "0.1", [], ["BTC/USDT"], "text", [], "a start", 5, tells_end=True)
    body = r.pack(run)
    older = r.unpack(body[:1] + msgspec.msgpack.encode(msgspec.msgpack.decode(body[1:])[:-2]))
    assert (older.boot, older.listed_age_ns, older.tells_end) == ("a start", 0, False)


def test_a_placed_order_of_an_older_version_does_not_know_at_what_it_was_decided():
    older = struct.pack("<BqIHH10q", r.PLACE, 5, 6, 7, 8, 1, 0, 2, 3, -4, -1, 6_000_000, 100, 1, 0)
    assert r.unpack(older + bytes(8)).decided_half_ticks == 0


def test_the_packed_records_are_read_as_they_were_written():
    action = (1, 0, 2, 3, -4, -1, 6_000_000, 100, 1, 0)
    row = bytes(range(16))
    placed = r.unpack(r.pack_action(r.PLACE, 5, 6, 7, 8, *action[:-1], 11_999_999) + row)
    assert placed == r.Placed(5, 6, 7, 8, (*action[:-1], 11_999_999), row)
    assert placed.decided_half_ticks == 11_999_999
    refused = r.unpack(r.pack_action(r.REFUSE, 5, 9, 7, 8, *action) + row)
    assert refused == r.RefusedAction(5, 9, 7, 8, action, row)
    assert r.unpack(r.pack_ask(r.CANCEL, 5, "t-1-1", 0)) == r.Asked(5, "t-1-1", 0)
    assert r.unpack(r.pack_ask(r.AMEND, 5, "t-1-1", 3)) == r.Asked(5, "t-1-1", 3)
    assert r.unpack(r.pack_mark(77)) == r.Marked(77)


@pytest.mark.parametrize("body", [b"\xff", b"\x02short", b"\x06\xc1", b"\x10", b"\x03"])
def test_what_is_no_record_is_refused(body):
    with pytest.raises(ValueError, match=r"."):
        r.unpack(body)


def test_every_type_has_a_name():
    constants = {key: value for key, value in vars(r).items() if key.isupper() and isinstance(value, int)}
    assert {key: name.upper() for key, name in r.NAMES.items()} == {
        value: key
        for key, value in constants.items()
        if key not in {"VERSION", "BODY_BYTES_MAX", "X_REFUSAL"}
    }


def test_a_resume_of_an_older_version_says_nothing_of_losses():
    body = r.pack(r.CommandTaken(1, Command(verb="resume", source="cli", rebase=True)))
    now_ns, command = msgspec.msgpack.decode(body[1:])
    del command["rebase"]
    older = r.unpack(body[:1] + msgspec.msgpack.encode([now_ns, command]))
    assert older.command == Command(verb="resume", source="cli")


def test_a_kill_switch_of_an_older_version_flattened_nothing():
    body = r.pack(r.Latch(1, halted=True, source="cli", reason="why"))
    older = body[:1] + msgspec.msgpack.encode(msgspec.msgpack.decode(body[1:])[:4])
    assert r.unpack(older) == r.Latch(1, True, "cli", "why", flatten=False)

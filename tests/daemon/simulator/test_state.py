"""What an exchange keeps, and what another made from it knows."""

from zlib import crc32

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import FileFormatError
from daemon.simulator.state import FORMAT, Recorder, header, read, restore, save
from daemon.simulator.symbols import UNIT
from tests.daemon.simulator.conftest import START_NS, Kit
from tests.daemon.simulator.usdm.conftest import FuturesKit


def body(answer):
    return msgspec.json.decode(answer.body)


def recorded(kit, market="spot"):
    """Let the kit's exchange write its lines down; returns the list that they go to."""
    lines = [header(START_NS)]
    Recorder({market: kit.exchange}, lines.append)
    return lines


def again(lines, kit, market="spot"):
    """Bring lines back into the exchange of a new kit."""
    restore({market: kit.exchange}, read(b"".join(lines), "here"))
    return kit


def seen(kit):
    """Return what its account is told of itself, but when."""
    account = body(kit.signed("GET", "account"))
    orders = {one["symbol"]: body(kit.signed("GET", "allOrders", symbol=one["symbol"])) for one in KNOWN}
    trades = body(kit.signed("GET", "myTrades", symbol="BTCUSDT"))
    return account | {"updateTime": 0}, orders, trades, body(kit.signed("GET", "openOrders"))


KNOWN = ({"symbol": "BTCUSDT"}, {"symbol": "ETHBTC"})


def test_orders_fills_and_balances_are_known_again():
    kit = Kit()
    lines = recorded(kit)
    kit.order(price="99.00", quantity="1", newClientOrderId="rests")
    kit.order(price="100.01", quantity="0.4", newClientOrderId="filled")
    kit.order(type="STOP_LOSS", side="SELL", stopPrice="90", quantity="1", newOrderRespType="ACK")
    kit.order(price="98.00", quantity="1", newClientOrderId="gone")
    kit.signed("DELETE", "order", symbol="BTCUSDT", origClientOrderId="gone", newClientOrderId="its-cancel")
    kit.signed(
        "PUT", "order/amend/keepPriority", symbol="BTCUSDT", origClientOrderId="rests", newQty="0.5",
        newClientOrderId="amended",
    )  # fmt: skip
    kit.exchange.deposit(kit.account, "BNB", UNIT)
    other = again(lines, Kit())
    assert seen(other) == seen(kit)
    assert body(other.signed("GET", "order", symbol="BTCUSDT", origClientOrderId="amended"))["origQty"] == (
        "0.50000000"
    )
    assert body(other.signed("GET", "order", symbol="BTCUSDT", origClientOrderId="gone"))["status"] == (
        "CANCELED"
    )


def test_what_is_saved_whole_is_what_was_written_line_by_line():
    kit = Kit()
    lines = recorded(kit)
    for price in ("99.00", "100.01", "98.00"):
        kit.order(price=price, quantity="0.4")
    one = again(lines, Kit())
    other = again([header(START_NS), *save({"spot": kit.exchange})], Kit())
    assert seen(one) == seen(other) == seen(kit)


def test_numbers_go_on_and_do_not_begin_again():
    kit = Kit()
    lines = recorded(kit)
    first = kit.order(price="100.01", quantity="0.4")
    other = again(lines, Kit())
    second = other.order(price="100.02", quantity="0.4")
    assert second["orderId"] == first["orderId"] + 1
    assert second["fills"][0]["tradeId"] == first["fills"][0]["tradeId"] + 1
    assert other.exchange.reporter.execution_id == kit.exchange.reporter.execution_id + 2


def test_each_symbol_numbers_its_own_and_what_kept_them_in_one_count_is_read():
    kit = Kit()
    bought = kit.order(price="100.01", quantity="0.4")
    ether = kit.exchange.market("ETHBTC")
    ether.snapshot(9, b'{"bids":[["0.0490","9"]],"asks":[["0.0500","9"]]}')
    also = kit.order(symbol="ETHBTC", price="0.0500", quantity="1")
    ids = [(one["orderId"], one["fills"][0]["tradeId"]) for one in (bought, also)]
    assert ids[0] == ids[1]
    kept = [header(START_NS), *save({"spot": kit.exchange})]
    assert seen(again(kept, Kit())) == seen(kit)
    rows = [msgspec.json.decode(line[9:]) for line in kept]
    for row in rows[1:]:  # as format 1 had them
        if "order" in row and row["order"]["symbol"] == "ETHBTC":
            row["order"]["order_id"] = 2
        if "fill" in row and row["fill"].pop("symbol") == "ETHBTC":
            row["fill"]["order_id"] = 2
    rows[0]["format"] = 1
    lines = [b"%08x %b\n" % (crc32(one := msgspec.json.encode(row)), one) for row in rows]
    old = again(lines, Kit()).exchange
    assert [(fill.order.key, fill.qty) for fill in old.registry.fills] == [
        (("BTCUSDT", 1), 4 * UNIT // 10),
        (("ETHBTC", 2), UNIT),
    ]


def test_an_order_goes_on_waiting_and_is_filled():
    kit = Kit()
    lines = recorded(kit)
    rests = kit.order(price="99.50", quantity="1")
    stop = kit.order(type="STOP_LOSS", side="SELL", stopPrice="90", quantity="1", newOrderRespType="ACK")
    other = again(lines, Kit())
    other.trade("99.40", "5", buyer_is_maker=True)
    assert other.exchange.registry.orders["BTCUSDT", rests["orderId"]].status == "FILLED"
    assert other.exchange.registry.orders["BTCUSDT", stop["orderId"]].status == "NEW"
    other.trade("89.00", "5", buyer_is_maker=True)
    assert other.exchange.registry.orders["BTCUSDT", stop["orderId"]].status == "FILLED"
    assert other.account.balance("BTC").locked == 0


def test_an_order_that_the_market_has_passed_is_filled_at_once_and_that_is_kept_too():
    kit = Kit()
    lines = recorded(kit)
    maker = kit.order(type="LIMIT_MAKER", price="100.00", quantity="0.5", newOrderRespType="ACK")
    later = Kit()
    later.market.snapshot(9, b'{"bids":[["90.00","1.0"]],"asks":[["91.00","1.0"]]}')
    later.market.quote(90 * UNIT, UNIT, 91 * UNIT, UNIT)
    more = recorded(later)
    again(lines, later)
    (fill,) = later.exchange.registry.fills
    assert (fill.order.order_id, fill.price, fill.order.status) == (maker["orderId"], 91 * UNIT, "FILLED")
    assert any(b'"fill":' in line for line in more)


STEP = st.tuples(
    st.sampled_from(("BUY", "SELL")),
    st.sampled_from(("99.00", "100.00", "100.02", "101.00")),
    st.integers(1, 30),
)


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(STEP, min_size=1, max_size=6), cut=st.floats(0, 1))
def test_whatever_of_the_lines_is_there_is_a_whole_exchange(steps, cut):
    kit = Kit()
    lines = recorded(kit)
    for side, price, tenths in steps:
        kit.order(side=side, price=price, quantity=f"{tenths / 10}")
    data = b"".join(lines)
    torn = data[: max(len(lines[0]), int(len(data) * cut))]
    other = again([torn], Kit())
    spent = {"USDT": 0, "BTC": 0}
    for order in other.exchange.registry.open_orders(other.account):
        spent[order.spends] += order.locked
    assert {asset: other.account.balance(asset).locked for asset in spent} == spent
    got = {"USDT": 100_000 * UNIT, "BTC": 10 * UNIT}
    for fill in other.exchange.registry.fills:
        paid = fill.price * fill.qty // UNIT
        got["BTC"] += fill.order.side * fill.qty
        got["USDT"] -= fill.order.side * paid
        got[fill.order.receives] -= fill.commission
    assert {asset: one.free + one.locked for asset, one in other.account.balances.items()} == got


# --- futures ---
def test_positions_wallets_and_conditional_orders_are_known_again():
    kit = FuturesKit()
    lines = recorded(kit, "usdm")
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    kit.call("POST", "order", **order, price="1001.0", quantity="0.500")
    kit.call("POST", "order", **order, price="880.0", quantity="0.200")
    kit.call("POST", "leverage", symbol="BTCUSDT", leverage=7)
    algo = kit.call(
        "POST", "algoOrder", algoType="CONDITIONAL", symbol="BTCUSDT", side="SELL", type="STOP_MARKET",
        quantity="0.500", triggerPrice="900.0", reduceOnly="true",
    )  # fmt: skip
    other = again(lines, FuturesKit(), "usdm")
    for path in ("v3/positionRisk", "v2/account", "openOrders", "openAlgoOrders"):
        assert other.call("GET", path) == kit.call("GET", path), path
    assert other.call("GET", "userTrades", symbol="BTCUSDT") == kit.call(
        "GET", "userTrades", symbol="BTCUSDT"
    )
    assert other.position.leverage == 7
    other.trade("899.0", "1.000", buyer_is_maker=True)
    assert other.call("GET", "algoOrder", algoId=algo["algoId"])["algoStatus"] == "FINISHED"
    assert other.position.qty == 0


def test_a_conditional_order_that_was_being_triggered_is_triggered_again_unless_its_order_was_placed():
    def killed_after(word):
        kit = FuturesKit()
        lines = recorded(kit, "usdm")
        kit.call("POST", "order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.500")
        kit.call(
            "POST", "algoOrder", algoType="CONDITIONAL", symbol="BTCUSDT", side="SELL", type="STOP_MARKET",
            quantity="0.500", triggerPrice="900.0", reduceOnly="true", clientAlgoId="stop",
        )  # fmt: skip
        kit.trade("899.0", "1.000", buyer_is_maker=True)
        last = max(n for n, line in enumerate(lines) if word in line)
        other = again(lines[: last + 1], FuturesKit(), "usdm")
        other.trade("899.0", "1.000", buyer_is_maker=True)
        orders = [one for one in other.exchange.registry.orders.values() if one.client_id == "stop"]
        return other.position.qty, len(orders)

    assert killed_after(b'"TRIGGERING"') == (0, 1)
    assert killed_after(b'"client_id":"stop"') == (0, 1)


# --- files that are none ---
@pytest.mark.parametrize("data", [b"", b"nonsense\n", b'{"a":1}\n', header(1)[9:]])
def test_a_foreign_file_is_refused(data):
    with pytest.raises(FileFormatError, match="here is no state of a simulated exchange"):
        read(data, "here")


@pytest.mark.parametrize("line", [b"torn\n", b"\n", header(1).replace(b"1}", b"2}"), b"\xff {}\n"])
def test_a_damaged_line_is_named(line):
    with pytest.raises(FileFormatError, match="here is damaged in line 2"):
        read(header(1) + line, "here")


def test_a_newer_file_is_refused():
    body = header(1)[9:-1].replace(b'"format":%d' % FORMAT, b'"format":%d' % (FORMAT + 1))
    newer = b"%08x %b\n" % (crc32(body), body)
    with pytest.raises(FileFormatError, match="of format 3, and this version reads 2"):
        read(newer, "here")


def test_lines_of_a_market_or_symbol_that_is_not_there_are_passed_over():
    kit = Kit()
    lines = recorded(kit)
    kit.order(symbol="ETHBTC", side="SELL", price="0.05", quantity="1", newOrderRespType="ACK")
    kit.order(price="99.00", quantity="1")
    other = Kit()
    del other.exchange.markets["ETHBTC"]
    again(lines, other)
    assert [order.symbol.name for order in other.exchange.registry.orders.values()] == ["BTCUSDT"]
    third = Kit()
    restore({"usdm": third.exchange}, read(b"".join(lines), "here"))
    assert third.exchange.registry.orders == {}

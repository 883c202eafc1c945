"""Faults of messages and requests, on virtual time: what the other side is told, and what it is not."""

import msgspec
import pytest

from daemon.errors import UsageError
from daemon.simulator.gateway import LOST
from tests.daemon.simulator.conftest import units

RESTING = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "price": "99.00",
    "quantity": "0.5",
}
TAKING = RESTING | {"price": "100.01"}


def body(answer):
    return msgspec.json.decode(answer.body)


def listen(kit, ask):
    """Open a WebSocket API connection that hears of the account."""
    session, outbox = kit.connect()
    ask(session, outbox, "userDataStream.subscribe.signature", kit.sign())
    return session, outbox


def told(outbox):
    """Return what came: ids of answers, kinds of events."""
    return [one["id"] if "id" in one else one["event"].get("x", one["event"]["e"]) for one in outbox.take()]


def place(kit, session, number=2, **changes):
    order = {**TAKING, **changes}
    request = {"id": number, "method": "order.place", "params": kit.sign(**order)}
    session.receive(msgspec.json.encode(request))


def streams(kit, make_outbox, names="btcusdt@depth@100ms", combined=True):
    outbox = make_outbox()
    target = f"/stream?streams={names}" if combined else f"/ws/{names}"
    assert kit.gateway.connect(target, outbox, "a").session is not None
    return outbox


EVENTS = ["NEW", "TRADE", "outboundAccountPosition"]


# --- user data events ---
def test_without_faults_an_order_is_answered_and_then_reported(kit, ask):
    kit.faults()
    assert kit.gateway.faults is kit.exchange.faults is kit.gateway.hub.meddle is None
    session, outbox = listen(kit, ask)
    place(kit, session)
    assert told(outbox) == [2, *EVENTS]


def test_the_nth_report_is_dropped(kit, ask):
    faults = kit.faults({"kind": "drop", "method": "executionReport", "skip": 1, "count": 1})
    session, outbox = listen(kit, ask)
    place(kit, session)
    assert told(outbox) == [2, "NEW", "outboundAccountPosition"]
    place(kit, session)
    assert told(outbox) == [2, *EVENTS]
    assert faults.report()["struck"] == {"drop": 1}


def test_an_event_that_nobody_hears_uses_up_no_fault(kit, ask):
    faults = kit.faults({"kind": "drop", "count": 1})
    kit.order(price="99", quantity="1")
    assert faults.report()["struck"] == {}
    session, outbox = listen(kit, ask)
    place(kit, session)
    assert told(outbox) == [2, "TRADE", "outboundAccountPosition"]


def test_a_report_is_sent_twice_byte_for_byte(kit, ask):
    kit.faults({"kind": "duplicate", "method": "executionReport", "skip": 1, "count": 1})
    session, outbox = listen(kit, ask)
    place(kit, session)
    assert outbox.sent[2] == outbox.sent[3]
    assert told(outbox) == [2, "NEW", "TRADE", "TRADE", "outboundAccountPosition"]


def test_a_report_changes_places_with_the_next(kit, ask):
    kit.faults({"kind": "reorder", "method": "executionReport", "count": 1})
    session, outbox = listen(kit, ask)
    place(kit, session)
    assert told(outbox) == [2, "TRADE", "NEW", "outboundAccountPosition"]


def test_a_report_without_a_next_one_waits_its_time(kit, ask):
    kit.faults({"kind": "reorder", "method": "outboundAccountPosition", "count": 1, "delay_s": 3})
    session, outbox = listen(kit, ask)
    place(kit, session)
    assert told(outbox) == [2, "NEW", "TRADE"]
    kit.wait(2.9)
    assert told(outbox) == []
    kit.wait(0.1)
    assert told(outbox) == ["outboundAccountPosition"]


def test_reports_are_late_by_so_much_and_keep_their_order(kit, ask):
    kit.faults({"kind": "delay", "method": "executionReport", "delay_s": 2, "lasts_s": 1})
    session, outbox = listen(kit, ask)
    place(kit, session)
    assert told(outbox) == [2, "outboundAccountPosition"]
    kit.wait(1.9)
    assert told(outbox) == []
    kit.wait(0.2)
    assert told(outbox) == ["NEW", "TRADE"]
    place(kit, session)
    assert told(outbox) == [2, *EVENTS]


def test_filters_by_symbol_leave_others_alone(kit, ask):
    kit.faults({"kind": "drop", "symbol": "ETHBTC", "lasts_s": 10})
    session, outbox = listen(kit, ask)
    place(kit, session)
    assert told(outbox) == [2, *EVENTS]


# --- answers and requests over the WebSocket API ---
@pytest.mark.parametrize(
    ("fault", "came"),
    [
        ({"kind": "drop"}, [3]),
        ({"kind": "duplicate"}, [2, 2, 3]),
        ({"kind": "reorder"}, [3, 2]),
        ({"kind": "delay", "delay_s": 1}, [3, 2]),
    ],
)
def test_answers_are_meddled_with_apart_from_events(kit, ask, fault, came):
    session, outbox = listen(kit, ask)
    kit.faults(fault | {"of": "answers", "method": "order.place", "count": 1})
    place(kit, session)
    place(kit, session, number=3)
    kit.wait(1)
    seen = told(outbox)
    assert [one for one in seen if isinstance(one, int)] == came
    assert [one for one in seen if not isinstance(one, int)] == EVENTS * 2


def test_a_lost_answer_is_of_an_order_that_lives(kit, ask):
    faults = kit.faults({"kind": "lose_answer", "method": "order.place", "count": 1})
    session, outbox = listen(kit, ask)
    place(kit, session, newClientOrderId="once")
    assert told(outbox) == EVENTS
    assert kit.exchange.registry.bears(kit.account, "once").status == "FILLED"
    assert faults.report()["struck"] == {"lose_answer": 1}


def test_a_lost_request_never_was(kit, ask):
    kit.faults({"kind": "lose_request", "method": "order.place", "count": 1, "of": "api"})
    session, outbox = listen(kit, ask)
    place(kit, session, newClientOrderId="never")
    assert told(outbox) == []
    assert kit.exchange.registry.bears(kit.account, "never") is None
    place(kit, session, newClientOrderId="now")
    assert told(outbox) == [2, *EVENTS]


@pytest.mark.parametrize(
    ("kind", "status", "code"), [("-1006", 500, -1006), ("-1007", 504, -1007), ("http_5xx", 503, -1000)]
)
@pytest.mark.parametrize("executed", [True, False])
def test_an_uncertain_answer_comes_whether_it_was_executed_or_not(kit, ask, kind, status, code, executed):
    kit.faults({"kind": kind, "executed": executed, "count": 2, "method": "order.place"})
    session, outbox = listen(kit, ask)
    place(kit, session, newClientOrderId="by-ws")
    answer = msgspec.json.decode(outbox.sent.pop(0))
    assert (answer["id"], answer["status"], answer["error"]["code"]) == (2, status, code)
    assert told(outbox) == (EVENTS if executed else [])
    answer = kit.signed("POST", "order", **TAKING, newClientOrderId="by-rest")
    assert answer.status == status
    if kind == "http_5xx":
        assert answer.headers["Content-Type"] == "text/html"
        assert answer.body == b"<html><body><h1>503 Service Unavailable</h1></body></html>"
    else:
        assert body(answer)["code"] == code
    for name in ("by-ws", "by-rest"):
        assert (kit.exchange.registry.bears(kit.account, name) is not None) is executed


def test_a_5xx_has_the_status_that_is_asked_for(kit):
    kit.faults({"kind": "http_5xx", "code": 502, "count": 1, "of": "rest"})
    assert kit.rest("GET", "ping").status == 502
    assert kit.rest("GET", "ping").status == 200


def test_what_is_no_request_is_refused_as_ever(kit, ask):
    kit.faults({"kind": "lose_request", "lasts_s": 5})
    session, outbox = kit.connect()
    session.receive(b"{")
    assert outbox.take()[0]["error"]["code"] == -1135


# --- REST ---
def test_a_lost_answer_over_rest_leaves_the_client_waiting(kit):
    kit.faults({"kind": "lose_answer", "method": "order.place", "count": 1})
    assert kit.signed("POST", "order", **RESTING, newClientOrderId="once") is LOST
    assert kit.exchange.registry.bears(kit.account, "once").open


def test_a_lost_request_over_rest_is_not_executed(kit):
    kit.faults({"kind": "lose_request", "method": "order.place", "count": 1})
    assert kit.signed("POST", "order", **RESTING, newClientOrderId="never") is LOST
    assert kit.exchange.registry.bears(kit.account, "never") is None


def test_answers_over_rest_are_late(kit):
    kit.faults({"kind": "delay", "of": "answers", "delay_s": 1.5, "count": 1, "method": "depth"})
    assert kit.rest("GET", "ping").delay_s == 0.0
    answer = kit.rest("GET", "depth", symbol="BTCUSDT")
    assert (answer.status, answer.delay_s) == (200, 1.5)
    assert kit.rest("GET", "depth", symbol="BTCUSDT").delay_s == 0.0


def test_429_says_when_to_come_again(kit, ask):
    kit.faults({"kind": "rate_429", "delay_s": 7, "count": 2})
    answer = kit.signed("POST", "order", **RESTING, newClientOrderId="no")
    assert (answer.status, body(answer)["code"], answer.headers["Retry-After"]) == (429, -1003, "7")
    assert kit.exchange.registry.bears(kit.account, "no") is None
    session, outbox = kit.connect()
    refused = ask(session, outbox, "time")
    assert (refused["status"], refused["error"]["data"]["retryAfter"]) == (429, kit.now_ms + 7_000)
    assert ask(session, outbox, "time")["status"] == 200


def test_418_is_for_everything_until_its_end(kit, ask):
    faults = kit.faults({"kind": "ban_418", "lasts_s": 90, "at_s": 1})
    session, outbox = kit.connect()
    kit.wait(31)
    answer = kit.rest("GET", "ping")
    assert (answer.status, body(answer)["code"], answer.headers["Retry-After"]) == (418, -1003, "60")
    refused = ask(session, outbox, "time")
    assert (refused["status"], outbox.ended) == (418, (1008, "banned"))
    assert kit.gateway.connect("/ws-api/v3", None, "a").status == 418
    assert faults.report()["struck"] == {"ban_418": 3}
    kit.wait(60)
    assert kit.rest("GET", "ping").status == 200


# --- market frames ---
def depth(kit, number):
    kit.gateway.hub.publish_combined(
        "btcusdt@depth@100ms",
        b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":%d,"u":%d,'
        b'"b":[["99.00","2.0"]],"a":[]}}' % (number, number),
    )


def test_a_depth_frame_is_missing_for_everyone(kit, make_outbox):
    faults = kit.faults({"kind": "depth_gap", "count": 1, "symbol": "BTCUSDT"})
    one, two = streams(kit, make_outbox), streams(kit, make_outbox, combined=False)
    for number in (5, 6, 7):
        depth(kit, number)
    assert [frame["data"]["u"] for frame in one.take()] == [6, 7]
    assert [frame["u"] for frame in two.take()] == [6, 7]
    assert faults.report()["struck"] == {"depth_gap": 1}


def test_frames_pass_byte_for_byte_while_faults_are_about_others(kit, make_outbox):
    kit.faults({"kind": "depth_gap", "lasts_s": 5, "symbol": "ETHBTC"})
    combined, raw = streams(kit, make_outbox), streams(kit, make_outbox, combined=False)
    data = b'{"u":1, "a":[]}'
    kit.gateway.hub.publish("btcusdt@depth@100ms", data)
    kit.gateway.hub.publish_combined(
        "btcusdt@depth@100ms", b'{"stream":"btcusdt@depth@100ms","data":%b}' % data
    )
    assert raw.sent == [data, data]
    assert combined.sent == [b'{"stream":"btcusdt@depth@100ms","data":%b}' % data] * 2


def test_a_depth_frame_crosses_the_book_of_who_applies_it(kit, make_outbox):
    kit.faults({"kind": "crossed_book", "count": 1})
    outbox = streams(kit, make_outbox)
    depth(kit, 5)
    depth(kit, 6)
    first, second = outbox.take()
    assert first["data"]["b"] == [["99.00", "2.0"], ["100.11000000", "1.00000000"]]
    assert second["data"]["b"] == [["99.00", "2.0"]]
    assert kit.market.touch()[0] == units("100")


def test_a_quote_crosses_by_name_alone(kit, make_outbox):
    kit.faults({"kind": "crossed_book", "method": "bookTicker", "count": 1})
    outbox = streams(kit, make_outbox, "btcusdt@bookTicker/btcusdt@depth@100ms")
    depth(kit, 5)
    quote = {"u": 1, "s": "BTCUSDT", "b": "100.00", "B": "1.0", "a": "100.01", "A": "2.0"}
    kit.gateway.hub.publish("btcusdt@bookTicker", msgspec.json.encode(quote))
    book, crossed = outbox.take()
    assert book["data"]["b"] == [["99.00", "2.0"]]
    assert crossed["data"] == quote | {"b": "100.01", "B": "2.0", "a": "100.00", "A": "1.0"}


@pytest.mark.parametrize(
    ("fault", "came"),
    [
        ({"kind": "drop"}, [6, 7]),
        ({"kind": "duplicate"}, [5, 5, 6, 7]),
        ({"kind": "reorder"}, [6, 5, 7]),
        ({"kind": "delay", "delay_s": 0.5}, [6, 7, 5]),
    ],
)
def test_market_frames_are_meddled_with_too(kit, make_outbox, fault, came):
    kit.faults(fault | {"of": "market", "method": "depth@100ms", "count": 1})
    outbox = streams(kit, make_outbox)
    for number in (5, 6, 7):
        depth(kit, number)
    kit.wait(1)
    assert [frame["data"]["u"] for frame in outbox.take()] == came


# --- the exchange ---
def test_queries_lag_behind_orders_and_trades(kit):
    faults = kit.faults({"kind": "query_lag", "delay_s": 20, "lasts_s": 60})
    placed = kit.order(price="99", quantity="1", newClientOrderId="young")
    kit.order(**TAKING)
    query = {"symbol": "BTCUSDT", "origClientOrderId": "young"}
    assert body(kit.signed("GET", "order", **query))["code"] == -2013
    for path in ("openOrders", "allOrders", "myTrades"):
        assert body(kit.signed("GET", path, symbol="BTCUSDT")) == []
    assert faults.report()["struck"] == {"query_lag": 5}
    kit.wait(20)
    assert body(kit.signed("GET", "order", **query))["orderId"] == placed["orderId"]
    assert len(body(kit.signed("GET", "openOrders", symbol="BTCUSDT"))) == 1
    assert len(body(kit.signed("GET", "allOrders", symbol="BTCUSDT"))) == 2
    assert len(body(kit.signed("GET", "myTrades", symbol="BTCUSDT"))) == 1


def test_an_order_that_queries_do_not_know_can_be_cancelled(kit):
    kit.faults({"kind": "query_lag", "lasts_s": 60})
    kit.order(price="99", quantity="1", newClientOrderId="young")
    answer = kit.signed("DELETE", "order", symbol="BTCUSDT", origClientOrderId="young")
    assert body(answer)["status"] == "CANCELED"


def test_a_fill_comes_in_pieces_that_sum_up(kit, ask):
    faults = kit.faults({"kind": "partial_fill", "pieces": 4, "count": 1})
    session, outbox = listen(kit, ask)
    place(kit, session, newClientOrderId="cut")
    _, *events = outbox.take()
    trades = [one["event"] for one in events if one["event"].get("x") == "TRADE"]
    assert [trade["X"] for trade in trades] == ["PARTIALLY_FILLED"] * 3 + ["FILLED"]
    assert sum(units(trade["l"]) for trade in trades) == units("0.5")
    assert len({trade["t"] for trade in trades}) == 4
    assert kit.account.balance("BTC").free == units("10.4995")
    assert faults.report()["struck"] == {"partial_fill": 1}
    place(kit, session)
    assert told(outbox) == [2, *EVENTS]


def test_half_of_a_cancel_replace_fails(kit):
    kit.faults({"kind": "cancel_replace_half", "count": 1})
    old = kit.order(price="99", quantity="1")
    answer = kit.signed(
        "POST",
        "order/cancelReplace",
        cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrderId=old["orderId"],
        **RESTING,
    )
    refusal = body(answer)
    assert (answer.status, refusal["code"]) == (409, -2021)
    assert (refusal["data"]["cancelResult"], refusal["data"]["newOrderResult"]) == ("SUCCESS", "FAILURE")
    assert refusal["data"]["newOrderResponse"]["code"] == -2010
    assert kit.exchange.registry.open_orders(kit.account) == []


# --- the schedule ---
def test_faults_begin_at_their_time_and_end_when_they_have_lasted(kit):
    faults = kit.faults({"kind": "lose_answer", "at_s": 2, "lasts_s": 3})
    states = []
    for _ in range(6):
        states.append((faults.report()["faults"][0]["state"], kit.rest("GET", "ping") is LOST))
        kit.wait(1)
    assert states == [("waiting", False)] * 2 + [("live", True)] * 3 + [("over", False)]


def test_a_share_of_what_comes_is_struck_the_same_for_the_same_seed(make_kit):
    def struck(seed):
        kit = make_kit()
        kit.faults({"kind": "lose_answer", "lasts_s": 9, "share": 0.5}, seed=seed)
        return [kit.rest("GET", "ping") is LOST for _ in range(40)]

    assert struck(1) == struck(1) != struck(2)
    assert 10 < sum(struck(1)) < 30


def test_the_first_fault_that_matches_strikes_and_leaves_the_next_its_own(kit):
    faults = kit.faults({"kind": "-1006", "count": 1}, {"kind": "-1007", "count": 1})
    assert [kit.rest("GET", "ping").status for _ in range(3)] == [500, 504, 200]
    assert faults.report()["struck"] == {"-1006": 1, "-1007": 1}


def test_clearing_ends_what_is_in_force_and_forgets_what_waits(kit):
    faults = kit.faults({"kind": "lose_answer", "lasts_s": 60}, {"kind": "-1006", "at_s": 5, "count": 1})
    assert kit.rest("GET", "ping") is LOST
    faults.clear()
    assert kit.rest("GET", "ping").status == 200
    kit.wait(10)
    assert kit.rest("GET", "ping").status == 200
    assert faults.report() == {"now_s": 10.0, "struck": {"lose_answer": 1}, "faults": []}


def test_the_schedule_says_each_fault_as_it_was_written(kit):
    faults = kit.faults({"kind": "drop", "count": 2, "symbol": "BTCUSDT"})
    assert faults.report()["faults"] == [
        {"kind": "drop", "count": 2, "symbol": "BTCUSDT", "of": "events", "state": "live", "struck": 0}
    ]


def test_a_crash_is_the_owners_to_bring_about(kit):
    kit.faults({"kind": "crash", "at_s": 3})
    kit.wait(2.9)
    assert kit.crashes == 0
    kit.wait(1)
    assert kit.crashes == 1


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"symbol": "BTCUSD"}, "the fault drop names BTCUSD, which is not listed; did you mean 'BTCUSDT'?"),
        ({"market": "usdm"}, "the fault drop names the market usdm, and there is only spot"),
        (
            {"method": "executonReport"},
            "the fault drop names executonReport, which there is not; did you mean 'executionReport'?",
        ),
        (
            {"of": "answers", "method": "order.plase"},
            "the fault drop names order.plase, which there is not; did you mean 'order.place'?",
        ),
    ],
)
def test_a_fault_that_could_never_strike_is_refused_and_none_of_the_others_taken(kit, fault, sentence):
    with pytest.raises(UsageError) as refused:
        kit.faults({"kind": "lose_answer", "count": 1}, {"kind": "drop", "count": 1} | fault)
    assert str(refused.value) == sentence
    assert kit.gateway.faults is None
    assert kit.rest("GET", "ping").status == 200

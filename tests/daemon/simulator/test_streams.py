import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.simulator.streams import Hub, MarketSession, in_microseconds
from tests.daemon.simulator.conftest import Outbox

FRAME = b'{"stream":"btcusdt@trade","data":{"t":1}}'


def listen(hub, *streams, combined=True, most=1024):
    outbox = Outbox()
    return MarketSession(hub, outbox, list(streams), combined, most), outbox


def send(session, outbox, **request):
    session.receive(msgspec.json.encode(request))
    return outbox.take()


def test_a_payload_reaches_its_listeners_in_their_form():
    hub = Hub()
    _, combined = listen(hub, "btcusdt@trade")
    _, raw = listen(hub, "btcusdt@trade", combined=False)
    _, other = listen(hub, "ethusdt@trade")
    hub.publish("btcusdt@trade", b'{"t":1}')
    assert (combined.sent, raw.sent, other.sent) == ([FRAME], [b'{"t":1}'], [])


def test_a_list_of_events_has_its_times_in_microseconds_too():
    assert in_microseconds(b'[{"E":2},{"E":3}]') == b'[{"E":2000},{"E":3000}]'


def test_who_asked_for_microseconds_has_all_times_in_them():
    hub = Hub()
    outbox = Outbox()
    MarketSession(hub, outbox, ["btcusdt@kline_1m"], True, 1024, micro=True)
    hub.publish("btcusdt@kline_1m", b'{"e":"kline","E":5,"k":{"t":1,"T":2,"c":"3"}}')
    hub.publish_combined("btcusdt@kline_1m", b'{"stream":"btcusdt@kline_1m","data":{"E":6}}')
    bar = {"e": "kline", "E": 5_000, "k": {"t": 1_000, "T": 2_000, "c": "3"}}
    assert [one["data"] for one in outbox.take()] == [bar, {"E": 6_000}]


def test_a_recorded_frame_passes_byte_for_byte():
    hub = Hub()
    _, combined = listen(hub, "btcusdt@trade")
    _, raw = listen(hub, "btcusdt@trade", combined=False)
    hub.publish_combined("btcusdt@trade", FRAME)
    assert combined.sent[0] is FRAME
    assert raw.sent == [b'{"t":1}']
    hub.publish_combined("nobody@trade", FRAME)


def test_streams_are_subscribed_listed_and_unsubscribed_live():
    hub = Hub()
    session, outbox = listen(hub, combined=False)
    assert send(session, outbox, method="SUBSCRIBE", params=["a@trade", "a@depth"], id=1) == [
        {"result": None, "id": 1}
    ]
    assert send(session, outbox, method="LIST_SUBSCRIPTIONS", id="x") == [
        {"result": ["a@trade", "a@depth"], "id": "x"}
    ]
    assert send(session, outbox, method="UNSUBSCRIBE", params=["a@trade", "never@had"], id=None) == [
        {"result": None, "id": None}
    ]
    assert hub.streams() == ["a@depth"]


def test_a_stream_subscribed_twice_comes_once():
    hub = Hub()
    session, outbox = listen(hub, "a@trade", combined=False)
    send(session, outbox, method="SUBSCRIBE", params=["a@trade"], id=1)
    hub.publish("a@trade", b"1")
    assert outbox.sent == [b"1"]


def test_the_combined_form_is_a_property():
    hub = Hub()
    session, outbox = listen(hub, "btcusdt@trade", combined=False)
    assert send(session, outbox, method="GET_PROPERTY", params=["combined"], id=1) == [
        {"result": False, "id": 1}
    ]
    assert send(session, outbox, method="SET_PROPERTY", params=["combined", True], id=2) == [
        {"result": None, "id": 2}
    ]
    hub.publish("btcusdt@trade", b'{"t":1}')
    assert outbox.sent == [FRAME]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"method": "SUBSCRIBE", "params": "a@trade", "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": ["A B"], "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": [1], "id": 1}, 2),
        ({"method": "SHOUT", "id": 1}, 2),
        ({"id": 1}, 2),
        ({"method": "LIST_SUBSCRIPTIONS", "id": 1.5}, 2),
        ({"method": "GET_PROPERTY", "params": [], "id": 1}, 2),
        ({"method": "GET_PROPERTY", "params": ["speed"], "id": 1}, 0),
        ({"method": "GET_PROPERTY", "params": ["combined", True], "id": 1}, 2),
        ({"method": "SET_PROPERTY", "params": ["combined", "yes"], "id": 1}, 1),
    ],
)
def test_wrong_requests_are_refused_with_the_documented_codes(request_, code):
    session, outbox = listen(Hub())
    assert send(session, outbox, **request_)[0]["code"] == code


@given(st.binary(max_size=40))
def test_any_bytes_at_all_are_answered(data):
    session, outbox = listen(Hub())
    session.receive(data)
    assert len(outbox.sent) == 1


def test_more_streams_than_allowed_end_the_connection():
    session, outbox = listen(Hub(), "a@trade", most=2)
    send(session, outbox, method="SUBSCRIBE", params=["b@trade", "c@trade"], id=1)
    assert outbox.ended is not None


def test_a_closed_connection_is_forgotten():
    hub = Hub()
    changes = []
    hub.on_change = lambda: changes.append(len(hub.streams()))
    session, _ = listen(hub, "a@trade")
    session.closed()
    assert (hub.streams(), hub.sessions, changes) == ([], [], [1, 0])

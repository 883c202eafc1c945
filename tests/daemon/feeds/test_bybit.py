"""Bybit's frames, byte for byte: what they become, what is refused, and what a book does with a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from daemon.errors import FrameError
from daemon.events import Depth, Snapshot, Tick
from daemon.feeds.base import FRAME_REASONS, Control
from daemon.feeds.bybit import BybitDecoder
from daemon.feeds.refusal import FRAME_BYTES_MAX
from daemon.feeds.trade_names import trade_id
from daemon.instruments import make_instrument
from kernels.dtypes import QUOTE, TRADE

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.instruments import Instrument, Market

WIRE = 1_723_161_254_087_896_568
MS = 1_000_000


def make(market: Market = "spot", base: str = "BTC", index: int = 0) -> Instrument:
    return make_instrument(
        index, "bybit", market, f"{base}/USDT", tick_size="0.01", lot_size="0.000001", qty_min="0.000001",
        qty_max="9000", notional_min="5",
    )  # fmt: skip


def trade(
    *ids: str, price: str = "16578.50", qty: str = "0.001", side: str = "Buy", at: str = "1672304486865"
):
    rows = ",".join(
        f'{{"T":{at},"s":"BTCUSDT","S":"{side}","v":"{qty}","p":"{price}","L":"PlusTick","i":"{one}","BT":false}}'
        for one in ids
    )
    return f'{{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1672304486868,"data":[{rows}]}}'.encode()


def book(
    kind: str, u: int, bids: str = "", asks: str = "", depth: int = 50, ts: int = 1687940967466, cts: str = ""
) -> bytes:
    return (
        f'{{"topic":"orderbook.{depth}.BTCUSDT","type":"{kind}","ts":{ts},"data":{{"s":"BTCUSDT","b":[{bids}],'
        f'"a":[{asks}],"u":{u},"seq":66544703342}}{cts}}}'
    ).encode()


def top(kind: str, u: int, bids: str = "", asks: str = "", ts: int = 1687940967466) -> bytes:
    return book(kind, u, bids, asks, 1, ts, ',"cts":1687940967464')


NAME = "20f43950-d8dd-5b31-9112-a178eb6023af"
TRADE_FRAME = trade(NAME)
BID, ASK = '["16493.50","0.006"]', '["16611.00","0.029"]'
SNAPSHOT = book("snapshot", 18521288, BID, ASK)
DELTA = book("delta", 18521289, '["16493.50","0"]', '["16612.00","0.1"]', cts=',"cts":1687940967464')
TOP = top("snapshot", 18521288, BID, ASK)


def fresh() -> BybitDecoder:
    return BybitDecoder([make(), make(base="ETH", index=1)])


def reason(payload: bytes, decoder: BybitDecoder | None = None) -> str:
    with pytest.raises(FrameError) as caught:
        (decoder or fresh()).decode(payload, WIRE)
    assert caught.value.reason in FRAME_REASONS
    assert "\n" not in str(caught.value)
    return caught.value.reason


def test_a_frame_of_trades_becomes_one_event_each() -> None:
    sell = trade("2290000000061666327", "2290000000061666328", side="Sell")
    assert fresh().decode(TRADE_FRAME, WIRE) == [
        Tick(TRADE, 0, WIRE, 1672304486865 * MS, 16578.5, 0.001, 1.0, 0.0, trade_id(NAME))
    ]
    assert fresh().decode(sell, WIRE) == [
        Tick(TRADE, 0, WIRE, 1672304486865 * MS, 16578.5, 0.001, -1.0, 0.0, 2290000000061666327),
        Tick(TRADE, 0, WIRE, 1672304486865 * MS, 16578.5, 0.001, -1.0, 0.0, 2290000000061666328),
    ]


def test_a_block_agreed_on_elsewhere_is_no_print() -> None:
    two = trade("1", "2")
    first, second = fresh().decode(two.replace(b'"BT":false', b'"BT":true', 1), WIRE)
    assert (first, second.id) == (Control("no_print"), 2)
    assert reason(two.replace(b'"BT":false', b'"BT":"no"', 1)) == "type"


def test_a_book_is_a_snapshot_or_a_change_that_follows_by_one() -> None:
    assert fresh().decode(SNAPSHOT, WIRE) == Snapshot(0, WIRE, 18521288, SNAPSHOT, in_stream=True)
    made_ns = 1687940967464 * MS
    assert fresh().decode(DELTA, WIRE) == Depth(0, WIRE, made_ns, 18521289, 18521289, 18521288, DELTA)


def test_a_book_without_the_matching_engines_time_has_the_gateways() -> None:
    assert fresh().decode(book("delta", 7), WIRE).exch_ns == 1687940967466 * MS


def test_an_update_numbered_one_is_a_whole_book_whatever_it_is_called() -> None:
    anew = book("delta", 1, BID, ASK)
    assert fresh().decode(anew, WIRE) == Snapshot(0, WIRE, 1, anew, in_stream=True)


def test_the_top_is_a_quote() -> None:
    found = fresh().decode(TOP, WIRE)
    assert found == Tick(
        QUOTE, 0, WIRE, 1687940967464 * MS, 16493.5, 0.006, 16611.0, 0.029, 1687940967466_000
    )


def test_a_top_told_again_is_newer_and_a_frame_told_again_is_not() -> None:
    decoder = fresh()
    first = decoder.decode(TOP, WIRE)
    again = decoder.decode(top("snapshot", 18521288, BID, ASK, ts=1687940970466), WIRE)
    assert again.id > first.id
    assert decoder.decode(TOP, WIRE).id == first.id
    # ids begin anew after a restart of theirs, times go on
    restarted = decoder.decode(top("snapshot", 1, BID, ASK, ts=1687940990000), WIRE)
    assert restarted.id > again.id


@pytest.mark.parametrize(
    ("bids", "asks", "expected"),
    [
        ("", '["16611.00","0.5"]', (16493.5, 0.006, 16611.0, 0.5)),
        ('["16493.50","0"],["16493.00","2"]', "", (16493.0, 2.0, 16611.0, 0.029)),
        ('["16493.00","2"],["16493.50","0"]', "", (16493.0, 2.0, 16611.0, 0.029)),
        ('["16494.00","3"]', "", (16494.0, 3.0, 16611.0, 0.029)),
        ('["16490.00","0"]', '["16612.00","1"],["16611.00","0"]', (16493.5, 0.006, 16612.0, 1.0)),
    ],
)
def test_a_change_of_the_top_changes_what_it_names(bids: str, asks: str, expected: Any) -> None:
    decoder = fresh()
    decoder.decode(TOP, WIRE)
    found = decoder.decode(top("delta", 18521289, bids, asks), WIRE)
    assert (found.a, found.b, found.c, found.d) == expected


def test_a_change_of_the_top_that_does_not_follow_is_refused_until_it_is_told_whole() -> None:
    decoder = fresh()
    assert reason(top("delta", 5, BID), decoder) == "id"
    decoder.decode(TOP, WIRE)
    assert reason(top("delta", 18521290, BID), decoder) == "id"
    assert reason(top("delta", 18521291, BID), decoder) == "id"
    decoder.decode(TOP, WIRE)
    decoder.decode(top("delta", 18521289, BID), WIRE)
    decoder.decode(top("delta", 18521289, BID), WIRE)  # by the other of two connections


@pytest.mark.parametrize(("bids", "asks"), [("", ASK), (BID, ""), ('["16493.50","0"]', ASK)])
def test_a_market_that_lacks_a_side_has_no_quote(bids: str, asks: str) -> None:
    assert reason(top("snapshot", 5, bids, asks)) == "price"


def test_a_top_whose_side_went_away_has_no_quote_until_it_is_back() -> None:
    decoder = fresh()
    decoder.decode(TOP, WIRE)
    assert reason(top("delta", 18521289, '["16493.50","0"]'), decoder) == "price"
    assert decoder.decode(top("delta", 18521290, '["16480.00","1"]'), WIRE).a == 16480.0


def test_instruments_are_told_apart_by_the_topic() -> None:
    for payload in (TRADE_FRAME, SNAPSHOT, DELTA, TOP):
        decoder = fresh()
        found = decoder.decode(payload.replace(b"BTCUSDT", b"ETHUSDT"), WIRE)
        assert (found[0] if isinstance(found, list) else found).instrument == 1


def test_replies_pongs_and_refusals_are_no_market_data() -> None:
    pong = b'{"success":true,"ret_msg":"pong","conn_id":"0970e817-426e-429a-a679-ff7f55e0b16a","op":"ping"}'
    assert fresh().decode(pong, WIRE) == Control("reply", "pong")
    reply = b'{"success":true,"ret_msg":"subscribe","conn_id":"2324d924","req_id":"","op":"subscribe"}'
    assert fresh().decode(reply, WIRE) == Control("reply", "subscribe")
    refusal = b'{"success":false,"ret_msg":"error:handler not found","op":"subscribe"}'
    assert fresh().decode(refusal, WIRE) == Control("error", "error:handler not found")


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", "json"),
        (b"{", "json"),
        (b"\xff" * 50, "json"),
        (b"pong", "json"),
        (b"[]", "type"),
        (b"null", "type"),
        (b"{}", "type"),
        (b"[" * 200_000, "type"),
        (b'{"data":' + b"[" * 200_000, "json"),
        (b" " * (FRAME_BYTES_MAX + 1), "size"),
        (TRADE_FRAME + b"}", "json"),
        (TRADE_FRAME.replace(b"BTCUSDT", b"XRPUSDT"), "symbol"),
        (TRADE_FRAME.replace(b"publicTrade", b"kline.1"), "stream"),
        (SNAPSHOT.replace(b"orderbook.50", b"orderbook.200"), "stream"),
        (TRADE_FRAME.replace(b'"s":"BTCUSDT"', b'"s":"ETHUSDT"'), "symbol"),
        (SNAPSHOT.replace(b'"s":"BTCUSDT"', b'"s":"ETHUSDT"'), "symbol"),
        (TOP.replace(b'"s":"BTCUSDT"', b'"s":null'), "symbol"),
        (b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1}', "json"),
        (b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1,"data":[]}', "type"),
        (b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1,"data":[null]}', "type"),
        (b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","data":[]}', "time"),
        (b'{"topic":5}', "type"),
        (SNAPSHOT.replace(b'"snapshot"', b'"copy"'), "type"),
        (SNAPSHOT.replace(b'"ts":1687940967466', b'"ts":-1'), "time"),
        (SNAPSHOT.replace(b'"ts":1687940967466', b'"ts":null'), "time"),
        (DELTA.replace(b'"cts":1687940967464', b'"cts":1e300'), "time"),
        (trade(NAME, at="9000000000000"), "time"),
        (SNAPSHOT.replace(b"18521288", b"-1"), "id"),
        (SNAPSHOT.replace(b"18521288", b"4611686018427387904"), "id"),
        (SNAPSHOT.replace(b'"u"', b'"x"'), "type"),
        (trade(""), "id"),
        (trade("x" * 65), "id"),
        (trade(NAME, side="Hold"), "type"),
        (top("snapshot", 5, BID, '["16493.00","1"]'), "crossed"),
        (top("snapshot", 5, "null", ASK), "type"),
        (top("snapshot", 5, '["1"]', ASK), "type"),
        (TOP.replace(b"[" + BID.encode() + b"]", b"null"), "type"),
    ],
)
def test_what_is_no_frame_is_refused(payload: bytes, expected: str) -> None:
    assert reason(payload) == expected


@pytest.mark.parametrize("number", ["0", "-1", "nan", "inf", "-inf", "1e308", "1e15", "", "x", "0x1", "1,5"])
def test_what_is_no_price_is_refused(number: str) -> None:
    assert reason(trade(NAME, price=number)) == "price"
    assert reason(top("snapshot", 5, f'["{number}","1"]', ASK)) == "price"


@pytest.mark.parametrize("number", ["-1", "nan", "inf", "1e308", "", "x"])
def test_what_is_no_quantity_is_refused(number: str) -> None:
    assert reason(trade(NAME, qty=number)) == "qty"
    assert reason(trade(NAME, qty="0")) == "qty"
    assert reason(top("snapshot", 5, BID, f'["16611.00","{number}"]')) == "qty"


@pytest.mark.parametrize("payload", [TRADE_FRAME, SNAPSHOT, DELTA, TOP])
def test_every_truncation_is_refused(payload: bytes) -> None:
    for end in range(len(payload)):
        assert reason(payload[:end]) == "json"


# --- through the core ---------------------------------------------------------------------------------------


class Played:
    def __init__(self, bench, market: Market = "spot") -> None:
        one = make(market)
        self.it = bench(one, decoder=BybitDecoder([one]))
        self.core, self.sink, self.lane = self.it.core, self.it.sink, self.it.core.lanes[0]

    def play(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.core.process(payload, WIRE, True)


def test_a_missing_update_loses_the_book_and_a_snapshot_brings_it_back(bench) -> None:
    it = Played(bench)
    it.play(
        book("snapshot", 10, '["100.00","1"]', '["101.00","2"]'),
        book("delta", 11, '["100.50","1"]'),
        book("delta", 12, '["100.00","0"]', '["101.00","0"],["100.90","3"]'),
    )
    assert [one[2:] for one in it.sink.books] == [(10_000, 10_100), (10_050, 10_100), (10_050, 10_090)]
    it.play(book("delta", 14, '["100.60","1"]'), book("delta", 15, '["100.70","1"]'))
    assert it.lane.gaps == {"gap": 1}
    assert it.it.requests == [0]
    assert len(it.sink.books) == 3
    it.play(book("snapshot", 16, '["99.00","1"]', '["99.50","2"]'), book("delta", 17, '["99.10","1"]'))
    assert it.sink.statuses == [(0, True, "snapshot"), (0, False, "gap"), (0, True, "snapshot")]
    assert [one[2:] for one in it.sink.books[3:]] == [(9_900, 9_950), (9_910, 9_950)]
    assert it.core.errors == {}


def test_a_repeated_snapshot_and_one_after_a_restart_begin_anew(bench) -> None:
    it = Played(bench)
    it.play(
        book("snapshot", 10, '["100.00","1"]', '["101.00","2"]'),
        book("snapshot", 10, '["100.00","1"]', '["101.00","2"]'),
        book("delta", 11, '["100.50","1"]'),
        book("delta", 11, '["100.50","1"]'),
        book("snapshot", 1, '["90.00","1"]', '["91.00","2"]'),
        book("delta", 2, '["90.50","1"]'),
    )
    assert it.lane.gaps == {}
    assert it.it.requests == []
    assert it.sink.books[-1][2:] == (9_050, 9_100)


def test_a_book_is_no_deeper_than_what_is_told_of(bench) -> None:
    it = Played(bench)
    bids = ",".join(f'["{90 - k / 100:.2f}","1"]' for k in range(50))
    it.play(book("snapshot", 10, bids, '["101.00","2"]'), book("delta", 11, '["90.50","1"]'))
    assert it.lane.book[0, 0] == 50


def test_an_update_before_any_snapshot_asks_for_one(bench) -> None:
    it = Played(bench)
    it.play(book("delta", 11, '["100.50","1"]'))
    assert it.it.requests == [0]
    assert it.sink.books == []


def test_levels_that_are_none_lose_the_book(bench) -> None:
    it = Played(bench)
    it.play(SNAPSHOT, book("delta", 18521289, '["16493.50","x"]'))
    assert it.core.errors == {"levels": 1}
    assert it.sink.statuses[-1] == (0, False, "levels")
    it.play(SNAPSHOT, book("delta", 18521289, '["16493.505","1"]'))
    assert it.core.errors == {"levels": 1, "grid": 1}
    it.play(SNAPSHOT, SNAPSHOT.replace(b'"a":', b'"z":'))
    assert it.core.errors == {"levels": 1, "grid": 1, "side_missing": 1}


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_trades_that_a_reconnect_repeats_are_counted_once(bench, market: Market) -> None:
    it = Played(bench, market)
    names = [NAME, "a6492be8-54bb-55b2-8b46-69ad3c70a3b5"] if market == "usdm" else ["229001", "229002"]
    it.play(trade(*names))
    it.core.disconnected([0])
    it.play(trade(names[1], names[0], names[0] + "7"))
    assert [one.id for one in it.sink.ticks] == [trade_id(one) for one in (*names, names[0] + "7")]
    assert it.lane.trade_ids.repeated == 2


def test_a_reconnect_takes_a_quote_that_is_told_again_as_news(bench) -> None:
    it = Played(bench)
    it.play(TOP, TOP)
    assert len(it.sink.ticks) == 1
    it.core.disconnected([0])
    it.play(top("snapshot", 18521288, BID, ASK, ts=1687940999999))
    assert len(it.sink.ticks) == 2
    assert (it.lane.quote_ids.repeated, it.lane.quote_ids.older) == (1, 0)


def test_each_malformed_frame_is_counted_by_its_reason(bench) -> None:
    it = Played(bench)
    bad = [b"{", b"[]", TOP.replace(b"BTCUSDT", b"XRPUSDT"), trade(NAME, price="0"), trade(NAME, qty="x")]
    it.play(*bad, top("snapshot", 5, BID, '["1.00","1"]'), trade(""), trade(NAME, at="-1"))
    assert it.core.errors == {
        "json": 1, "type": 1, "symbol": 1, "price": 1, "qty": 1, "crossed": 1, "id": 1, "time": 1,
    }  # fmt: skip
    assert it.sink.ticks == []


# --- messages that other clients' tests hold ----------------------------------------------------------------


@pytest.fixture(scope="module")
def samples(samples: Path) -> Path:
    """The messages of one client's tests."""
    return samples / "bybit" / "jkorf_MIT" / "Bybit.UnitTests" / "Subscriptions" / "V5"


def frames_of(path: Path) -> tuple[bytes, bytes]:
    """What an exchange answers to a subscription, and what it then sends."""
    asked, _, sent = path.read_bytes().partition(b"\n=")
    return asked[asked.index(b"<") + 1 :], sent


@pytest.mark.parametrize("folder", ["Spot", "Linear"])
def test_others_samples_of_trades_are_read(samples: Path, folder: str) -> None:
    reply, sent = frames_of(samples / folder / "Trades.txt")
    assert fresh().decode(reply, WIRE).kind == "reply"
    [found] = fresh().decode(sent, WIRE)
    assert (found.a, found.b, found.c, found.id) == (16578.5, 0.001, 1.0, trade_id(NAME))


def test_others_sample_of_a_book_is_read_by_our_topics(samples: Path, bench) -> None:
    _, sent = frames_of(samples / "Option" / "Book.txt")
    assert reason(sent) == "stream"
    it = Played(bench)
    it.play(sent.replace(b"orderbook.25", b"orderbook.50"))
    assert it.sink.books[-1][2:] == (1_649_350, 1_661_100)
    assert fresh().decode(sent.replace(b"orderbook.25", b"orderbook.1"), WIRE).a == 16493.5


@pytest.mark.parametrize("name", ["Spot/Ticker", "Spot/PriceLimit", "Linear/Ticker", "Linear/Liquidations"])
def test_others_samples_of_what_we_do_not_ask_for_are_told_as_such(samples: Path, name: str) -> None:
    _, sent = frames_of(samples / f"{name}.txt")
    assert reason(sent) in {"stream", "symbol"}

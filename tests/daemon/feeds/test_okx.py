"""OKX's frames, byte for byte: what they become, what is refused, and what a book does with a gap."""

from __future__ import annotations

import gzip
import json
import zlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from daemon.errors import FrameError
from daemon.events import Depth, Snapshot, Tick
from daemon.feeds.base import FRAME_REASONS, Control
from daemon.feeds.okx import DEPTH, OkxDecoder
from daemon.feeds.refusal import FRAME_BYTES_MAX
from daemon.instruments import make_instrument
from kernels import book as books
from kernels.dtypes import B_BID_TICKS, BUY, QUOTE, SELL, TRADE

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.instruments import Instrument

WIRE = 1_723_161_254_087_896_568
MS = 1_000_000


def make(base: str = "BTC", index: int = 0) -> Instrument:
    return make_instrument(
        index, "okx", "spot", f"{base}/USDT", tick_size="0.1", lot_size="0.00000001", qty_min="0.00001",
        qty_max="9999999999", notional_min="0", exchange_symbol=f"{base}-USDT",
    )  # fmt: skip


def frame(channel: str, *data: str, action: str = "") -> bytes:
    acted = f'"action":"{action}",' if action else ""
    arg = f'{{"channel":"{channel}","instId":"BTC-USDT"}}'
    return f'{{"arg":{arg},{acted}"data":[{",".join(data)}]}}'.encode()


def trade(
    number: str = "674510826", price: str = "95634.9", size: str = "0.00011186", side: str = "buy"
) -> str:
    return (
        f'{{"instId":"BTC-USDT","tradeId":"{number}","px":"{price}","sz":"{size}","side":"{side}",'
        f'"ts":"1740394561685","count":"1"}}'
    )


def top(
    bids: str = '["41006.3","0.30178218","0","2"]',
    asks: str = '["41006.8","0.60038921","0","1"]',
    number: int = 363996337,
    ts: int = 1670324386802,
) -> str:
    return f'{{"asks":[{asks}],"bids":[{bids}],"ts":"{ts}","seqId":{number}}}'


def body(prev: int, number: int, bids: str = "", asks: str = "") -> str:
    return (
        f'{{"asks":[{asks}],"bids":[{bids}],"ts":"1597026383085","checksum":0,"prevSeqId":{prev},'
        f'"seqId":{number}}}'
    )


def update(prev: int, number: int, bids: str = "", asks: str = "") -> bytes:
    return frame("books", body(prev, number, bids, asks), action="update")


def whole(number: int, bids: str = '["100.0","1","0","1"]', asks: str = '["101.0","2","0","1"]') -> bytes:
    return frame("books", body(-1, number, bids, asks), action="snapshot")


TRADE_FRAME = frame("trades", trade())
TOP_FRAME = frame("bbo-tbt", top())
BODY = body(123456, 123457, '["8476.9","0","0","0"]', '["8477.0","7","0","2"]')
UPDATE_FRAME = frame("books", BODY, action="update")


def fresh() -> OkxDecoder:
    return OkxDecoder([make(), make("ETH", 1)])


def reason(payload: bytes) -> str:
    with pytest.raises(FrameError) as caught:
        fresh().decode(payload, WIRE)
    assert caught.value.reason in FRAME_REASONS
    assert "\n" not in str(caught.value)
    return caught.value.reason


def test_trades_become_one_event_each() -> None:
    at = 1740394561685 * MS
    assert fresh().decode(TRADE_FRAME, WIRE) == [
        Tick(TRADE, 0, WIRE, at, 95634.9, 0.00011186, 1.0, 0.0, 674510826)
    ]
    two = frame("trades", trade(), trade("674510828", side="sell"))
    assert [(one.c, one.id) for one in fresh().decode(two, WIRE)] == [(1.0, 674510826), (-1.0, 674510828)]


def test_the_top_is_a_quote() -> None:
    assert fresh().decode(TOP_FRAME, WIRE) == [
        Tick(QUOTE, 0, WIRE, 1670324386802 * MS, 41006.3, 0.30178218, 41006.8, 0.60038921, 1670324386802_000)
    ]


def test_a_book_is_a_snapshot_or_an_update_that_names_the_one_before() -> None:
    assert fresh().decode(UPDATE_FRAME, WIRE) == [
        Depth(0, WIRE, 1597026383085 * MS, 123457, 123457, 123456, BODY.encode())
    ]
    told = body(-1, 123456)
    for payload in (frame("books", told, action="snapshot"), frame("books", told)):
        assert fresh().decode(payload, WIRE) == [Snapshot(0, WIRE, 123456, told.encode(), in_stream=True)]


def swap(market: Any = "usdm") -> Instrument:
    lot, size = ("0.001", "0.01") if market == "usdm" else ("1", "100")
    return make_instrument(
        0, "okx", market, "BTC/USDT" if market == "usdm" else "BTC/USD", tick_size="0.1", lot_size=lot,
        qty_min=lot, qty_max="9999", notional_min="0", exchange_symbol="BTC-USDT",
        contract_size=Decimal(size),
    )  # fmt: skip


def test_contracts_of_a_linear_swap_become_so_much_of_the_base(bench) -> None:
    [told] = OkxDecoder([swap()]).decode(frame("trades", trade(size="1234.5")), WIRE)
    assert (told.a, told.b) == (95634.9, 12.345)
    [told] = OkxDecoder([swap()]).decode(
        frame("bbo-tbt", top('["1","0.3","0","1"]', '["2","7","0","1"]')), WIRE
    )
    assert (told.b, told.d) == (0.003, 0.07)
    it = Played(bench, swap())
    it.play(whole(10, '["100.0","0.1","0","1"]', '["101.0","25.3","0","1"]'))
    lots = [books.levels(it.lane.book, side)[1].tolist() for side in (BUY, SELL)]
    assert lots == [[1], [253]]  # of 0.001 BTC
    it.play(update(10, 11, '["100.0","0.7","0","1"]'))
    assert books.levels(it.lane.book, BUY)[1].tolist() == [7]
    assert it.core.errors == {}


def test_contracts_of_an_inverse_swap_stay_what_they_are(bench) -> None:
    [told] = OkxDecoder([swap("coinm")]).decode(frame("trades", trade(size="7")), WIRE)
    assert told.b == 7.0
    it = Played(bench, swap("coinm"))
    it.play(whole(10), update(10, 17, '["100.0","3","0","1"]'))
    assert books.levels(it.lane.book, BUY)[1].tolist() == [3]
    it.play(update(18, 19))
    assert it.lane.gaps == {"gap": 1}


def test_instruments_are_told_apart_by_the_argument() -> None:
    for payload in (TRADE_FRAME, TOP_FRAME, UPDATE_FRAME):
        [found] = fresh().decode(payload.replace(b"BTC-USDT", b"ETH-USDT"), WIRE)
        assert found.instrument == 1


@pytest.mark.parametrize(
    ("payload", "control"),
    [
        (b"pong", Control("reply", "pong")),
        (
            b'{"event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT"},"connId":"a4d3ae55"}',
            Control("reply"),
        ),
        (
            b'{"event":"channel-conn-count","channel":"trades","connCount":"1","connId":"abcd1234"}',
            Control("reply"),
        ),
        (
            b'{"event":"error","code":"60012","msg":"Invalid request","connId":"a4d3ae55"}',
            Control("error", "60012 Invalid request"),
        ),
        (
            b'{"event":"notice","code":"64008","msg":"The connection will be closed","connId":"a4d3ae55"}',
            Control("shutdown", "64008 The connection will be closed"),
        ),
        (b'{"event":"notice","code":"1","msg":"news"}', Control("reply", "1 news")),
    ],
)
def test_replies_pongs_and_notices_are_no_market_data(payload: bytes, control: Control) -> None:
    assert fresh().decode(payload, WIRE) == control


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", "json"),
        (b"{", "json"),
        (b"ping", "json"),
        (b"\xff" * 50, "json"),
        (b"[]", "type"),
        (b"null", "type"),
        (b"{}", "type"),
        (b"[" * 200_000, "type"),
        (b'{"data":' + b"[" * 200_000, "json"),
        (b" " * (FRAME_BYTES_MAX + 1), "size"),
        (TRADE_FRAME + b"}", "json"),
        (TRADE_FRAME.replace(b"BTC-USDT", b"XRP-USDT"), "symbol"),
        (TRADE_FRAME.replace(b'"trades"', b'"tickers"'), "stream"),
        (TRADE_FRAME.replace(b'"data":[{"instId":"BTC', b'"data":[{"instId":"ETH'), "symbol"),
        (b'{"arg":{"channel":"trades","instId":"BTC-USDT"}}', "json"),
        (b'{"arg":null}', "type"),
        (frame("trades"), "type"),
        (frame("trades", "null"), "type"),
        (frame("bbo-tbt"), "type"),
        (frame("books"), "type"),
        (frame("books", "null"), "type"),
        (frame("trades", trade(side="hold")), "type"),
        (frame("trades", trade(number="-1")), "id"),
        (frame("trades", trade(number="4611686018427387904")), "id"),
        (frame("trades", trade(number="x")), "id"),
        (TRADE_FRAME.replace(b"1740394561685", b"-1"), "time"),
        (TOP_FRAME.replace(b"1670324386802", b"9000000000000"), "time"),
        (TOP_FRAME.replace(b'"seqId"', b'"id"'), "type"),
        (frame("bbo-tbt", top(bids="")), "price"),
        (frame("bbo-tbt", top(asks="")), "price"),
        (frame("bbo-tbt", top(bids='["41007.0","1","0","1"]')), "crossed"),
        (frame("bbo-tbt", top(bids='["41007.0"]')), "type"),
        (TOP_FRAME.replace(b'"bids":[["41006.3","0.30178218","0","2"]]', b'"bids":null'), "type"),
        (update(-2, 5), "id"),
        (update(1, -1), "id"),
        (UPDATE_FRAME.replace(b"123457", b"1.5"), "id"),
        (UPDATE_FRAME.replace(b"1597026383085", b"x"), "time"),
    ],
)
def test_what_is_no_frame_is_refused(payload: bytes, expected: str) -> None:
    assert reason(payload) == expected


@pytest.mark.parametrize("number", ["0", "-1", "nan", "inf", "-inf", "1e308", "1e15", "", "x"])
def test_what_is_no_price_is_refused(number: str) -> None:
    assert reason(frame("trades", trade(price=number))) == "price"
    assert reason(frame("bbo-tbt", top(bids=f'["{number}","1","0","1"]'))) == "price"


@pytest.mark.parametrize("number", ["-1", "nan", "inf", "1e308", "", "x"])
def test_what_is_no_quantity_is_refused(number: str) -> None:
    assert reason(frame("trades", trade(size=number))) == "qty"
    assert reason(frame("trades", trade(size="0"))) == "qty"
    assert reason(frame("bbo-tbt", top(asks=f'["41006.8","{number}","0","1"]'))) == "qty"


@pytest.mark.parametrize("payload", [TRADE_FRAME, TOP_FRAME, UPDATE_FRAME])
def test_every_truncation_is_refused(payload: bytes) -> None:
    for end in range(len(payload)):
        assert reason(payload[:end]) == "json"


# --- through the core ---------------------------------------------------------------------------------------


class Played:
    def __init__(self, bench, one: Instrument | None = None) -> None:
        one = one or make()
        self.it = bench(one, decoder=OkxDecoder([one]))
        self.core, self.sink, self.lane = self.it.core, self.it.sink, self.it.core.lanes[0]

    def play(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.core.process(payload, WIRE, True)

    @property
    def tops(self) -> list[tuple[int, int]]:
        return [one[2:] for one in self.sink.books]


TWO_ASKS = update(17, 29, "", '["101.0","0","0","0"],["100.9","3","0","2"]')


def test_a_missing_update_loses_the_book_and_a_snapshot_brings_it_back(bench) -> None:
    it = Played(bench)
    it.play(
        whole(10),
        update(10, 17, '["100.5","1","0","1"]'),
        update(17, 29, "", '["101.0","0","0","0"],["100.9","3","0","2"]'),
    )
    assert it.tops == [(1_000, 1_010), (1_005, 1_010), (1_005, 1_009)]
    it.play(update(30, 42, '["100.6","1","0","1"]'), update(42, 43, '["100.7","1","0","1"]'))
    assert it.lane.gaps == {"gap": 1}
    assert it.it.requests == [0]
    assert len(it.tops) == 3
    it.play(whole(50, '["99.0","1","0","1"]', '["99.5","2","0","1"]'), update(50, 51, '["99.1","1","0","1"]'))
    assert it.sink.statuses == [(0, True, "snapshot"), (0, False, "gap"), (0, True, "snapshot")]
    assert it.tops[3:] == [(990, 995), (991, 995)]
    assert it.core.errors == {}


def test_an_update_that_brings_nothing_says_that_the_book_holds(bench) -> None:
    it = Played(bench)
    it.play(whole(10))
    it.core.process(update(10, 10), WIRE + 60, True)
    it.play(update(10, 12, '["100.5","1","0","1"]'))
    assert it.lane.gaps == {}
    assert it.tops[-1] == (1_005, 1_010)
    assert it.sink.books[1][1] == WIRE + 60


def test_ids_may_become_smaller_as_long_as_each_names_the_one_before(bench) -> None:
    it = Played(bench)
    it.play(whole(1_000), update(1_000, 3), update(3, 5, '["100.5","1","0","1"]'))
    assert it.lane.gaps == {}
    assert it.tops[-1] == (1_005, 1_010)


def test_a_repeated_snapshot_begins_anew_and_a_repeated_update_is_dropped(bench) -> None:
    it = Played(bench)
    it.play(whole(10), whole(10), update(10, 12, '["100.5","1","0","1"]'))
    it.play(update(10, 12, '["100.5","1","0","1"]'), update(12, 13, '["100.5","0","0","0"]'))
    assert it.lane.gaps == {}
    assert it.it.requests == []
    assert it.tops[-1] == (1_000, 1_010)


def test_an_update_before_any_snapshot_asks_for_one(bench) -> None:
    it = Played(bench)
    it.play(update(10, 12, '["100.5","1","0","1"]'))
    assert it.it.requests == [0]
    assert it.tops == []


def test_levels_that_are_none_lose_the_book(bench) -> None:
    it = Played(bench)
    for number, levels in enumerate(('["100.5","x","0","1"]', '["100.55","1","0","1"]', '["0","1","0","1"]')):
        it.play(whole(10), update(10, 12, levels))
        assert it.core.errors.total() == number + 1
    assert it.core.errors == {"levels": 1, "grid": 1, "not_positive": 1}
    it.play(whole(10), update(10, 12).replace(b'"asks"', b'"ask"'))
    assert it.core.errors["side_missing"] == 1
    assert it.lane.gaps == {"levels": 4}


def test_trades_that_a_reconnect_repeats_are_counted_once(bench) -> None:
    it = Played(bench)
    it.play(frame("trades", trade("5")), frame("trades", trade("9")))
    it.core.disconnected([0])
    it.play(frame("trades", trade("5"), trade("9"), trade("12")))
    assert [one.id for one in it.sink.ticks] == [5, 9, 12]
    assert it.lane.trade_ids.gaps == 0


def test_quotes_go_on_after_ids_became_smaller(bench) -> None:
    it = Played(bench)
    it.play(frame("bbo-tbt", top(number=900_000)), frame("bbo-tbt", top(number=5, ts=1670324386812)))
    it.core.disconnected([0])
    it.play(frame("bbo-tbt", top(number=3, ts=1670324387000)))
    assert len(it.sink.ticks) == 3


def test_each_malformed_frame_is_counted_by_its_reason(bench) -> None:
    it = Played(bench)
    it.play(b"{", b"[]", TOP_FRAME.replace(b"BTC-", b"XRP-"), frame("trades", trade(price="0")))
    it.play(frame("trades", trade(size="x")), frame("trades", trade(number="")), frame("tickers", "{}"))
    it.play(frame("bbo-tbt", top(ts=-1)), frame("bbo-tbt", top(bids='["41007.0","1","0","1"]')))
    assert it.core.errors == {
        "json": 1, "type": 1, "symbol": 1, "price": 1, "qty": 1, "id": 1, "stream": 1, "time": 1,
        "crossed": 1,
    }  # fmt: skip
    assert it.sink.ticks == []


# --- what others have recorded ------------------------------------------------------------------------------


def recorded(path: Path) -> list[tuple[int, dict[str, Any]]]:
    with gzip.open(path) as file:
        lines = [line.split(b" ", 1) for line in file]
    return [(int(stamp), json.loads(text)) for stamp, text in lines]


def checksum(lane: Any, one: Instrument) -> int:
    """What OKX told of a book, while it did: a CRC32 of the text of 25 levels, bids and asks in turn."""
    sides = [books.levels(lane.book, side) for side in (BUY, SELL)]
    parts = []
    for level in range(1, 26):
        for ticks, lots in sides:
            if level <= len(ticks):
                price = one.price.decimal(int(ticks[-level])).normalize()
                parts += [f"{price:f}", f"{one.qty.decimal(int(lots[-level])).normalize():f}"]
    crc = zlib.crc32(":".join(parts).encode())
    return crc - (crc >> 31 << 32)


@pytest.mark.parametrize(
    ("name", "tick", "lot"), [("BTC-USDT", "0.1", "0.00000001"), ("BTC-USD-220527", "0.1", "1")]
)
def test_books_recorded_while_there_were_checksums_come_to_them(
    captures: Path, bench, name, tick, lot
) -> None:
    """The capture is older than `seqId`: each update is told that it follows the one before."""
    one = make_instrument(
        0, "okx", "spot", "BTC/USDT", tick_size="0.1", lot_size=lot, qty_min=lot, qty_max="9",
        notional_min="0", exchange_symbol=name,
    )  # fmt: skip
    it = bench(one, decoder=OkxDecoder([one]))
    lane, checked = it.core.lanes[0], 0
    for wire_ns, message in recorded(captures / "older" / "okx.gz"):
        if "data" not in message or message["arg"] != {"channel": "books", "instId": name}:
            continue
        [told] = message["data"]
        told["prevSeqId"] = checked or -1
        told["seqId"] = checked + 1
        it.core.process(json.dumps(message).encode(), wire_ns, True)
        checked += 1
        assert checksum(lane, one) == told["checksum"]
        assert lane.book[B_BID_TICKS, 0] <= DEPTH
    assert checked == len(it.sink.books) > 90
    assert it.core.errors == {}


def test_recorded_trades_and_replies_are_read_as_they_are(captures: Path, bench) -> None:
    one = make()
    it = bench(one, decoder=OkxDecoder([one]))
    told: list[tuple[float, float, float, int]] = []
    replies = 0
    for wire_ns, message in recorded(captures / "older" / "okx.gz"):
        if message.get("arg", {}).get("channel") != "trades" or message["arg"]["instId"] != "BTC-USDT":
            continue
        it.core.process(json.dumps(message).encode(), wire_ns, True)
        replies += "event" in message
        for row in message.get("data", []):
            side = 1.0 if row["side"] == "buy" else -1.0
            told.append((float(row["px"]), float(row["sz"]), side, int(row["tradeId"])))
    assert [(tick.a, tick.b, tick.c, tick.id) for tick in it.sink.ticks] == told
    assert len(told) == len(set(told)) > 60
    assert it.core.controls == {"reply": replies}
    assert it.core.errors == {}


@pytest.fixture(scope="module")
def samples(samples: Path) -> Path:
    """OKX's messages."""
    return samples / "okx"


def sample_of(samples: Path, name: str) -> tuple[bytes, bytes]:
    """What an exchange answers to a subscription, and what it then sends."""
    folder = samples / "jkorf_MIT" / "OKX.Net.UnitTests" / "Subscriptions" / "Unified" / "ExchangeData"
    asked, _, sent = (folder / f"{name}.txt").read_bytes().partition(b"\n=")
    return asked[asked.index(b"<") + 1 :], sent


def test_others_samples_of_trades_are_read(samples: Path) -> None:
    frames = (samples / "gct_MIT" / "testdata" / "wsAllTrades.json").read_bytes().splitlines()
    found = [fresh().decode(one, WIRE) for one in frames]
    assert [(one.a, one.c, one.id) for [one] in found] == [
        (95634.9, 1.0, 674510826),
        (95635.3, -1.0, 674510827),
    ]
    reply, sent = sample_of(samples, "Trades")
    assert fresh().decode(reply, WIRE) == Control("reply")
    assert reason(sent) == "symbol"  # it is asked for ETH-USDT, and told of BTC-USDT
    [one] = fresh().decode(sent.replace(b"ETH", b"BTC"), WIRE)
    assert (one.a, one.b, one.c, one.id) == (42219.9, 0.12060306, 1.0, 130639474)


def test_others_sample_of_a_book_is_read(samples: Path, bench) -> None:
    reply, sent = sample_of(samples, "OrderBook")
    assert fresh().decode(reply, WIRE) == Control("reply")
    [told] = fresh().decode(sent, WIRE)
    assert (told.instrument, told.last_id, told.in_stream) == (1, 123456, True)
    one = make_instrument(
        0, "okx", "spot", "ETH/USDT", tick_size="0.01", lot_size="0.001", qty_min="1", qty_max="9",
        notional_min="0", exchange_symbol="ETH-USDT",
    )  # fmt: skip
    it = bench(one, decoder=OkxDecoder([one]))
    it.core.process(sent, WIRE, True)
    assert it.sink.books == [(0, WIRE, 847_697, 847_698)]


@pytest.mark.parametrize("name", ["Ticker", "MarkPrice", "FundingRate", "Klines", "Symbol", "PriceLimit"])
def test_others_samples_of_what_we_do_not_ask_for_are_told_as_such(samples: Path, name: str) -> None:
    _, sent = sample_of(samples, name)
    assert reason(sent) in {"stream", "symbol"}

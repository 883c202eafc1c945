"""Frames broken in every way that hypothesis finds: whatever comes, the core counts it and stays sound."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from daemon.clock import VirtualTime
from daemon.feeds.base import FRAME_REASONS
from daemon.feeds.binance import BinanceDecoder
from daemon.feeds.bybit import BybitDecoder
from daemon.feeds.ccxt import CcxtDecoder
from daemon.feeds.coinbase import CoinbaseDecoder
from daemon.feeds.core import FeedCore
from daemon.feeds.kraken import KrakenDecoder
from daemon.feeds.okx import OkxDecoder
from daemon.instruments import make_instrument
from kernels import book as books
from kernels.dtypes import QUOTE, TRADE
from kernels.ring import MASK, new_rings

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from daemon.feeds.base import Decoder
    from daemon.instruments import Instrument

SPOT = make_instrument(
    0,
    "binance",
    "spot",
    "BTC/USDT",
    tick_size="0.01",
    lot_size="0.00001",
    qty_min="1",
    qty_max="9",
    notional_min="5",
)
USDM = make_instrument(
    0,
    "binance",
    "usdm",
    "BTC/USDT",
    tick_size="0.1",
    lot_size="0.001",
    qty_min="1",
    qty_max="9",
    notional_min="5",
)

SNAPSHOT = (
    b'{"lastUpdateId":160,"bids":[["61800.10","3.1"],["61800.00","2"]],'
    b'"asks":[["61800.30","1.5"],["61801.00","7"]]}'
)
SPOT_FRAMES = [
    (
        b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,'
        b'"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}'
    ),
    (
        b'{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000",'
        b'"B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}'
    ),
    (
        b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT",'
        b'"U":161,"u":165,"b":[["61799.90","0.5"],["61800.10","0.00000000"]],"a":[["61800.30","0.3"]]}}'
    ),
]
USDM_FRAMES = [
    (
        b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256321,"s":"BTCUSDT",'
        b'"t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}}'
    ),
    (
        b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT","b":"61800.20",'
        b'"B":"2.507","a":"61800.30","A":"2.510","T":1723161256312,"E":1723161256313}}'
    ),
    (
        b'{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256352,"T":1723161256351,'
        b'"s":"BTCUSDT","U":170,"u":175,"pu":160,"b":[["1000.00","606.675"]],"a":[["61800.30","0.000"]]}}'
    ),
    b'{"e":"bookTicker","u":5,"s":"BTCUSDT","b":"61800.20","B":"2.5","a":"61800.30","A":"2.5","T":1,"E":2}',
]

#: Kraken's, Coinbase's, OKX's and ccxt's
BTC_USD = make_instrument(
    0,
    "any",
    "spot",
    "BTC/USD",
    tick_size="0.1",
    lot_size="0.00000001",
    qty_min="1",
    qty_max="9",
    notional_min="5",
    exchange_symbol="BTC/USD",
    checksum_places=(1, 8),
)
KRAKEN_FRAMES = [
    (
        b'{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[{"price":99.9,'
        b'"qty":1.00000000}],"asks":[{"price":100.0,"qty":0.50000000}],"checksum":%d}]}'
        % zlib.crc32(b"100050000000999100000000")
    ),
    (
        b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":99.9,'
        b'"qty":1.00000000}],"asks":[],"checksum":%d,"timestamp":"2023-07-30T15:29:58.343415Z"}]}'
        % zlib.crc32(b"100050000000999100000000")
    ),
    (
        b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":99.9,'
        b'"qty":0.5,"ord_type":"market","trade_id":41,"timestamp":"2023-09-25T07:49:37.708706Z"}]}'
    ),
    (
        b'{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":99.9,"bid_qty":2.5,'
        b'"ask":100.0,"ask_qty":0.00000000,"timestamp":"2023-09-25T07:49:37.708706Z"}]}'
    ),
]
_HEAD = b'{"channel":"%s","timestamp":"2024-10-04T07:13:31.158696693Z","sequence_num":%d,"events":['
COINBASE_FRAMES = [
    (
        _HEAD
        % (b"l2_data", 1)
        + b'{"type":"snapshot","product_id":"BTC/USD","updates":[{"side":"bid","event_time":"x",'
        b'"price_level":"99.9","new_quantity":"1"},{"side":"offer","event_time":"x","price_level":"100.0",'
        b'"new_quantity":"0.5"}]}]}'
    ),
    (
        _HEAD
        % (b"l2_data", 2)
        + b'{"type":"update","product_id":"BTC/USD","updates":[{"side":"bid","event_time":"x",'
        b'"price_level":"99.8","new_quantity":"1"}]}]}'
    ),
    (
        _HEAD
        % (b"market_trades", 3)
        + b'{"type":"update","trades":[{"product_id":"BTC/USD","trade_id":"42","price":"2375.57",'
        b'"size":"0.5","time":"2024-10-04T07:13:31.088388Z","side":"BUY"}]}]}'
    ),
    (
        _HEAD
        % (b"ticker", 4)
        + b'{"type":"update","tickers":[{"product_id":"BTC/USD","best_bid":"99.9","best_bid_quantity":"8",'
        b'"best_ask":"100.0","best_ask_quantity":"7"}]}]}'
    ),
]
BYBIT_FRAMES = [
    (
        b'{"topic":"orderbook.50.BTCUSDT","type":"snapshot","ts":1687940967466,"data":{"s":"BTCUSDT",'
        b'"b":[["61800.10","3.1"]],"a":[["61800.30","1.5"]],"u":160,"seq":66544703342},"cts":1687940967464}'
    ),
    (
        b'{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1687940967486,"data":{"s":"BTCUSDT",'
        b'"b":[["61799.90","0.5"],["61800.10","0"]],"a":[],"u":161,"seq":66544703343},"cts":1687940967484}'
    ),
    (
        b'{"topic":"orderbook.1.BTCUSDT","type":"snapshot","ts":1687940967466,"data":{"s":"BTCUSDT",'
        b'"b":[["61800.10","3.1"]],"a":[["61800.30","1.5"]],"u":9,"seq":66544703342},"cts":1687940967464}'
    ),
    (
        b'{"topic":"orderbook.1.BTCUSDT","type":"delta","ts":1687940967476,"data":{"s":"BTCUSDT",'
        b'"b":[["61800.10","3.2"]],"a":[],"u":10,"seq":66544703344},"cts":1687940967475}'
    ),
    (
        b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1687940967466,"data":[{"T":1687940967465,'
        b'"s":"BTCUSDT","S":"Buy","v":"0.001","p":"61800.3","L":"PlusTick","i":"2290000000061666327"}]}'
    ),
    b'{"success":true,"ret_msg":"pong","conn_id":"0970e817-426e-429a-a679-ff7f55e0b16a","op":"ping"}',
]
OKX_FRAMES = [
    (
        b'{"arg":{"channel":"books","instId":"BTC/USD"},"action":"snapshot","data":[{"asks":[["61800.3","1.5",'
        b'"0","1"]],"bids":[["61800.1","3.1","0","2"]],"ts":"1597026383085","prevSeqId":-1,"seqId":160}]}'
    ),
    (
        b'{"arg":{"channel":"books","instId":"BTC/USD"},"action":"update","data":[{"asks":[],"bids":[["61800.1",'
        b'"0","0","0"]],"ts":"1597026383185","checksum":0,"prevSeqId":160,"seqId":167}]}'
    ),
    (
        b'{"arg":{"channel":"bbo-tbt","instId":"BTC/USD"},"data":[{"asks":[["61800.3","1.5","0","1"]],'
        b'"bids":[["61800.1","3.1","0","2"]],"ts":"1597026383085","seqId":160}]}'
    ),
    (
        b'{"arg":{"channel":"trades","instId":"BTC/USD"},"data":[{"instId":"BTC/USD","tradeId":"130639474",'
        b'"px":"61800.3","sz":"0.12060306","side":"buy","ts":"1597026383085","count":"3"}]}'
    ),
    b'{"event":"notice","code":"64008","msg":"The connection will soon be closed","connId":"a4d3ae55"}',
    b"pong",
]
CCXT_FRAMES = [
    (
        b'{"t":"book","s":"BTC/USD","T":1597026383085,"o":160,"n":1,"b":[["61800.1","3.1"]],'
        b'"a":[["61800.3","1.5"]]}'
    ),
    b'{"t":"depth","s":"BTC/USD","T":1597026383185,"o":167,"n":2,"b":[["61800.1","0"]],"a":[]}',
    b'{"t":"quote","s":"BTC/USD","T":null,"b":"61800.1","B":"3.1","a":"61800.3","A":"0"}',
    (
        b'{"t":"trade","s":"BTC/USD","d":[{"i":"130639474","T":1597026383085,"p":"61800.3","q":"0.12060306",'
        b'"S":"buy"},{"i":null,"T":null,"p":"61800.2","q":"1","S":"sell"}]}'
    ),
    b'{"t":"lost","s":"BTC/USD","n":4,"why":"InvalidNonce"}',
]


class Strict:
    """A sink that refuses what could not be computed with."""

    def __init__(self) -> None:
        self.synced = False
        self.turns = [None]
        self.on_decided = None
        self.rings = new_rings(1)

    def on_tick(self, instrument: int) -> None:
        assert instrument == 0
        ring = self.rings[0]
        kind, _, exch_ns, number, a, b, c, d = ring["rows"][int(ring["head"]) - 1 & MASK].item()
        assert 0 < a < 1e15
        assert 0 <= b < 1e15
        assert kind == QUOTE or (kind == TRADE and b > 0 and abs(c) == 1.0)
        assert kind == TRADE or (a <= c < 1e15 and 0 <= d < 1e15)
        assert 0 <= number < 1 << 62
        assert 0 <= exch_ns < 1 << 63

    def absorb(self, instrument: int) -> None:
        """Nothing to take."""

    def on_book(self, instrument: int, wire_ns: int, book: np.ndarray) -> None:
        assert self.synced
        bid, ask = books.best_bid(book), books.best_ask(book)
        assert bid == 0 or ask == 0 or bid < ask

    def on_book_status(self, instrument: int, synced: bool, reason: str) -> None:
        assert reason in {"snapshot", "gap", "crossed", "levels", "checksum", "refused"}
        self.synced = synced

    def on_gap(self, instrument: int, reason: str) -> None:
        assert reason == "trades were missed"

    def drain(self, wire_ns: int) -> None:
        """Nothing to decide."""


class Case(NamedTuple):
    """An exchange's frames; the first makes the book. `single`: each frame is one event."""

    one: Instrument
    decoder: Callable[[list[Instrument]], Decoder]
    frames: list[bytes]
    single: bool = True


CASES = [
    Case(SPOT, BinanceDecoder, [SNAPSHOT, *SPOT_FRAMES]),
    Case(USDM, BinanceDecoder, [SNAPSHOT, *USDM_FRAMES]),
    Case(SPOT, BybitDecoder, BYBIT_FRAMES, single=False),
    Case(BTC_USD, OkxDecoder, OKX_FRAMES, single=False),
    Case(BTC_USD, CcxtDecoder, CCXT_FRAMES, single=False),
    Case(BTC_USD, KrakenDecoder, KRAKEN_FRAMES, single=False),
    Case(BTC_USD, CoinbaseDecoder, COINBASE_FRAMES, single=False),
]


def feed(case: Case, payloads: list[bytes]) -> None:
    """Send the payloads through a core whose book is in sync, and check its books of account."""
    sink = Strict()
    core = FeedCore([case.one], sink.rings, sink, case.decoder([case.one]), lambda index: None, VirtualTime())
    for payload in (case.frames[0], *payloads):
        core.process(payload, 1_000, False)
    lane = core.lanes[0]
    assert lane.resyncs
    assert core.frames == len(payloads) + 1 or (not case.single and core.frames > len(payloads) + 1)
    assert set(core.errors) <= set(FRAME_REASONS)
    counted = lane.told + core.controls.total()
    refused_levels = sum(core.errors[reason] for reason in FRAME_REASONS[-6:])
    assert counted + core.errors.total() - refused_levels == core.frames
    assert len(lane.frames) <= lane.trade.count + lane.quote.count


@st.composite
def mutated_frames(draw: st.DrawFn) -> tuple[Case, list[bytes]]:
    """Draw real frames, some of them damaged."""
    case = draw(st.sampled_from(CASES))
    payloads = []
    for _ in range(draw(st.integers(1, 5))):
        payload = bytearray(draw(st.sampled_from(case.frames)))
        for _ in range(draw(st.integers(0, 3))):
            at = draw(st.integers(0, len(payload) - 1))
            how = draw(st.sampled_from(["set", "swap", "number", "double", "delete", "cut"]))
            if how == "set":
                payload[at] = draw(st.integers(0, 255))
            elif how == "swap":
                other = draw(st.integers(0, len(payload) - 1))
                payload[at], payload[other] = payload[other], payload[at]
            elif how == "number":
                payload[at : at + 1] = draw(
                    st.sampled_from([b"-", b"e308", b"NaN", b"9" * 30, b'""', b"null", b".0", b"0", b"9"])
                )
            elif how == "double":
                payload[at:at] = payload[at : at + draw(st.integers(1, 40))]
            elif how == "delete":
                del payload[at : at + draw(st.integers(1, 20))]
            else:
                del payload[at:]
            payload = payload or bytearray(b"{")
        payloads.append(bytes(payload))
    return case, payloads


@given(mutated_frames())
def test_mutated_frames_leave_the_core_sound(drawn: tuple[Case, list[bytes]]) -> None:
    feed(*drawn)


@given(st.binary(max_size=300))
def test_random_bytes_leave_the_core_sound(payload: bytes) -> None:
    feed(CASES[0], [payload, b'{"stream":"btcusdt@trade","data":' + payload + b"}"])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("stpqTmubBaAUE"), inner, max_size=6)
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_leaves_the_core_sound(value: Any) -> None:
    text = json.dumps(value).encode()
    wrapped = [
        b'{"stream":"btcusdt@' + stream + b'","data":' + text + b"}"
        for stream in (b"trade", b"bookTicker", b"depth@100ms")
    ]
    feed(CASES[0], [text, *wrapped])


#: numbers as an exchange would send them, and as it would not
texts = st.sampled_from(
    ["61800.10", "0.5", "1", "0", "-1", "1e308", "NaN", "1.001", "9" * 25, "", "0.00000001"]
)
level_lists = st.lists(st.tuples(texts, texts), max_size=4)


@given(st.lists(st.tuples(st.integers(150, 180), st.integers(0, 9), level_lists, level_lists), max_size=12))
def test_any_depth_leaves_the_book_whole_or_known_to_be_broken(
    updates: list[tuple[int, int, list[tuple[str, str]], list[tuple[str, str]]]],
) -> None:
    payloads = []
    for first, size, bids, asks in updates:
        sides = (",".join(f'["{price}","{qty}"]' for price, qty in side) for side in (bids, asks))
        data = '"s":"BTCUSDT","E":1,"U":{},"u":{},"b":[{}],"a":[{}]'.format(first, first + size, *sides)
        payloads.append(f'{{"stream":"btcusdt@depth@100ms","data":{{{data}}}}}'.encode())
    feed(CASES[0], payloads)

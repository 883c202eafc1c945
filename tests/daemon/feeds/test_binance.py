"""Binance's frames, byte for byte: what they become, and by which reason a bad one is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from daemon.errors import FrameError
from daemon.events import Depth, Snapshot, Tick
from daemon.feeds.base import FRAME_REASONS, Control
from daemon.feeds.binance import BinanceDecoder
from daemon.feeds.refusal import FRAME_BYTES_MAX
from daemon.instruments import make_instrument
from kernels.dtypes import QUOTE, TRADE

if TYPE_CHECKING:
    from daemon.instruments import Instrument, Market

WIRE = 1_723_161_254_087_896_568

SPOT_TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,'
    b'"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}'
)
SPOT_QUOTE = (
    b'{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000",'
    b'"B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}'
)
SPOT_DEPTH = (
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT",'
    b'"U":50093239203,"u":50093239207,"b":[["55653.87000000","0.00000000"]],"a":[["61838.04000000","0.3"]]}}'
)
USDM_TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256321,"s":"BTCUSDT",'
    b'"t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}}'
)
USDM_QUOTE = (
    b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT","b":"61800.20",'
    b'"B":"2.507","a":"61800.30","A":"2.510","T":1723161256312,"E":1723161256313}}'
)
USDM_DEPTH = (
    b'{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256352,"T":1723161256351,'
    b'"s":"BTCUSDT","U":5123107837801,"u":5123107842679,"pu":5123107837557,"b":[["1000.00","606.675"]],"a":[]}}'
)
COINM_QUOTE = (
    b'{"stream":"btcusd_perp@bookTicker","data":{"u":1007198632021,"e":"bookTicker","s":"BTCUSD_PERP",'
    b'"ps":"BTCUSD","b":"61804.7","B":"35","a":"61804.8","A":"1645","T":1723161257465,"E":1723161257476}}'
)
COINM_DEPTH = (
    b'{"stream":"btcusd_perp@depth@0ms","data":{"e":"depthUpdate","E":1723161257476,"T":1723161257462,'
    b'"s":"BTCUSD_PERP","ps":"BTCUSD","U":1007198631847,"u":1007198631985,"pu":1007198631835,'
    b'"b":[["61786.5","89"]],"a":[["61801.4","0"]]}}'
)


def make(market: Market, symbol: str, index: int = 0) -> Instrument:
    return make_instrument(
        index,
        "binance",
        market,
        symbol,
        tick_size="0.1",
        lot_size="1",
        qty_min="1",
        qty_max="9",
        notional_min="5",
    )


SPOT = BinanceDecoder([make("spot", "BTC/USDT")])
USDM = BinanceDecoder([make("usdm", "BTC/USDT")])
COINM = BinanceDecoder([make("coinm", "BTC/USD")])
PAIR = BinanceDecoder([make("spot", "BTC/USDT"), make("spot", "ETH/USDT", 1)])


def reason(payload: bytes, decoder: BinanceDecoder = SPOT) -> str:
    with pytest.raises(FrameError) as caught:
        decoder.decode(payload, WIRE)
    assert caught.value.reason in FRAME_REASONS
    assert "\n" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize(
    ("decoder", "payload", "event"),
    [
        (
            SPOT,
            SPOT_TRADE,
            Tick(TRADE, 0, WIRE, 1723161255342_000_000, 61837.63, 0.02, -1.0, 0.0, 3735683259),
        ),
        (USDM, USDM_TRADE, Tick(TRADE, 0, WIRE, 1723161256321_000_000, 61800.3, 0.006, 1.0, 0.0, 5266583935)),
        (SPOT, SPOT_QUOTE, Tick(QUOTE, 0, WIRE, 0, 61837.63, 3.78826, 61837.64, 1.54698, 50093239212)),
        (
            USDM,
            USDM_QUOTE,
            Tick(QUOTE, 0, WIRE, 1723161256312_000_000, 61800.2, 2.507, 61800.3, 2.51, 5123107839020),
        ),
        (
            COINM,
            COINM_QUOTE,
            Tick(QUOTE, 0, WIRE, 1723161257465_000_000, 61804.7, 35, 61804.8, 1645, 1007198632021),
        ),
        (SPOT, SPOT_DEPTH, Depth(0, WIRE, 1723161255308_000_000, 50093239203, 50093239207, -1, SPOT_DEPTH)),
        (
            USDM,
            USDM_DEPTH,
            Depth(0, WIRE, 1723161256351_000_000, 5123107837801, 5123107842679, 5123107837557, USDM_DEPTH),
        ),
        (
            COINM,
            COINM_DEPTH,
            Depth(0, WIRE, 1723161257462_000_000, 1007198631847, 1007198631985, 1007198631835, COINM_DEPTH),
        ),
    ],
)
def test_each_markets_frames_become_events(decoder: BinanceDecoder, payload: bytes, event: Any) -> None:
    assert decoder.decode(payload, WIRE) == event


def test_instruments_are_told_apart_by_the_stream() -> None:
    eth = SPOT_TRADE.replace(b"btcusdt", b"ethusdt").replace(b"BTCUSDT", b"ETHUSDT")
    assert PAIR.decode(SPOT_TRADE, WIRE).instrument == 0
    assert PAIR.decode(eth, WIRE).instrument == 1


def test_streams_with_long_names_that_begin_alike_are_told_apart() -> None:
    long = "1000000LONGNAMEDCOIN"
    pairs = ["BTC/USDT", f"{long}A/USDT", f"{long}B/USDT"]
    decoder = BinanceDecoder([make("spot", pair, index) for index, pair in enumerate(pairs)])
    for index, pair in enumerate(pairs):
        name = pair.replace("/", "").encode()
        for payload in (SPOT_TRADE, SPOT_QUOTE, SPOT_DEPTH):
            named = payload.replace(b"BTCUSDT", name).replace(b"btcusdt", name.lower())
            assert decoder.decode(named, WIRE).instrument == index


@pytest.mark.parametrize("payload", [SPOT_TRADE, SPOT_QUOTE])
def test_white_space_and_the_order_of_keys_change_nothing(payload: bytes) -> None:
    spaced = payload.replace(b":", b" : ").replace(b",", b" ,\n")
    stream, _, data = payload[1:-1].partition(b',"data":')
    turned = b'{"data":' + data + b"," + stream + b"}"
    assert SPOT.decode(spaced, WIRE) == SPOT.decode(turned, WIRE) == SPOT.decode(payload, WIRE)


@pytest.mark.parametrize(
    ("decoder", "payload"),
    [(SPOT, SPOT_TRADE), (SPOT, SPOT_QUOTE), (USDM, USDM_QUOTE), (COINM, COINM_QUOTE), (USDM, USDM_TRADE)],
)
def test_the_raw_form_of_a_single_stream_is_understood(decoder: BinanceDecoder, payload: bytes) -> None:
    raw = payload[payload.index(b'"data":') + 7 : -1]
    assert decoder.decode(raw, WIRE) == decoder.decode(payload, WIRE)


def test_raw_depth_keeps_its_ids_and_levels() -> None:
    raw = USDM_DEPTH[USDM_DEPTH.index(b'"data":') + 7 : -1]
    event = USDM.decode(raw, WIRE)
    assert isinstance(event, Depth)
    assert (event.first_id, event.last_id, event.prev_id) == (5123107837801, 5123107842679, 5123107837557)
    assert raw in event.payload


@pytest.mark.parametrize("speed", [b"depth", b"depth@0ms", b"depth@100ms", b"depth@250ms", b"depth@500ms"])
def test_depth_is_understood_at_every_speed(speed: bytes) -> None:
    assert isinstance(SPOT.decode(SPOT_DEPTH.replace(b"depth@100ms", speed), WIRE), Depth)


def test_a_snapshot_among_frames_is_of_the_only_instrument_or_of_the_one_it_names() -> None:
    bare = b'{"lastUpdateId":50093239218,"bids":[["61837.63","3.78"]],"asks":[["61837.64","1.5"]]}'
    assert SPOT.decode(bare, WIRE) == Snapshot(0, WIRE, 50093239218, bare)
    named = bare[:-1] + b',"symbol":"BTCUSD_PERP","pair":"BTCUSD"}'
    assert COINM.decode(named, WIRE) == Snapshot(0, WIRE, 50093239218, named)
    assert reason(bare, PAIR) == "symbol"
    assert reason(named, SPOT) == "symbol"


def test_the_rest_answer_is_a_snapshot_of_the_instrument_asked_for() -> None:
    body = b'{"lastUpdateId":7,"E":1,"T":1,"bids":[],"asks":[]}'
    assert PAIR.snapshot(1, body, WIRE) == Snapshot(1, WIRE, 7, body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"code":-1121,"msg":"Invalid symbol."}', "type"),
        (b"<html>502</html>", "json"),
        (b"", "json"),
        (b'{"lastUpdateId":-5,"bids":[],"asks":[]}', "id"),
        (b'{"lastUpdateId":"x","bids":[],"asks":[]}', "id"),
        (b"[]", "type"),
        (b" " * (FRAME_BYTES_MAX + 1), "size"),
        (b'{"lastUpdateId":7,"bids":' + b"[" * 100_000, "json"),
    ],
)
def test_an_answer_that_is_no_book_is_refused(body: bytes, expected: str) -> None:
    with pytest.raises(FrameError) as caught:
        SPOT.snapshot(0, body, WIRE)
    assert caught.value.reason == expected


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b'{"result":null,"id":1}', "reply"),
        (b'{"result":["btcusdt@trade"],"id":2}', "reply"),
        (b'{"error":{"code":2,"msg":"Invalid request"},"id":3}', "error"),
        (b'{"e":"serverShutdown","E":1770123456789}', "shutdown"),
        (b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}', "shutdown"),
    ],
)
def test_frames_without_market_data_are_told_apart(payload: bytes, kind: str) -> None:
    event = SPOT.decode(payload, WIRE)
    assert isinstance(event, Control)
    assert event.kind == kind


def test_a_trade_that_is_no_print_is_not_an_error() -> None:
    payload = USDM_TRADE.replace(b'"61800.30"', b'"0"').replace(b'"0.006"', b'"0"').replace(b"MARKET", b"NA")
    assert USDM.decode(payload, WIRE) == Control("no_print")


BAD_VALUES = [
    b'"NaN"',
    b'"nan"',
    b'"inf"',
    b'"-1"',
    b'"1e308"',
    b'"1e999"',
    b'"abc"',
    b'""',
    b"null",
    b"[]",
    b"{}",
]


@pytest.mark.parametrize("value", [*BAD_VALUES, b'"0"', b"true"])
@pytest.mark.parametrize("price", [b'"61837.63000000"', b'"61837.64000000"'])
def test_a_price_that_is_no_positive_number_is_refused(price: bytes, value: bytes) -> None:
    for payload in (SPOT_TRADE, SPOT_QUOTE):
        if price in payload:
            assert reason(payload.replace(price, value)) == "price"


@pytest.mark.parametrize("value", BAD_VALUES)
def test_a_quantity_that_is_no_number_is_refused(value: bytes) -> None:
    assert reason(SPOT_TRADE.replace(b'"0.02000000"', value)) == "qty"
    assert reason(SPOT_QUOTE.replace(b'"3.78826000"', value)) == "qty"


def test_an_empty_side_of_a_quote_has_quantity_zero_and_a_trade_has_not() -> None:
    assert SPOT.decode(SPOT_QUOTE.replace(b'"3.78826000"', b'"0.00"'), WIRE).b == 0.0
    assert reason(SPOT_TRADE.replace(b'"0.02000000"', b'"0.00"')) == "qty"


@pytest.mark.parametrize(
    ("payload", "old", "new", "expected"),
    [
        (SPOT_TRADE, b"3735683259", b"-1", "id"),
        (SPOT_TRADE, b"3735683259", b"99999999999999999999", "id"),
        (SPOT_TRADE, b"3735683259", b'"x"', "id"),
        (SPOT_TRADE, b"1723161255342", b"-1", "time"),
        (SPOT_TRADE, b"1723161255342", b"1e18", "time"),
        (SPOT_TRADE, b'"m":true', b'"m":"perhaps"', "type"),
        (SPOT_TRADE, b'"p":"61837.63000000",', b"", "type"),
        (SPOT_TRADE, b'"s":"BTCUSDT"', b'"s":"ETHUSDT"', "symbol"),
        (SPOT_TRADE, b'"s":"BTCUSDT"', b'"s":"\xff\xfe"', "json"),
        (SPOT_TRADE, b'"s":"BTCUSDT"', b'"s":5', "symbol"),
        (SPOT_TRADE, b"btcusdt@trade", b"ethusdt@trade", "symbol"),
        (SPOT_TRADE, b"btcusdt@trade", b"btcusdt@kline_1m", "stream"),
        (SPOT_TRADE, b"btcusdt@trade", b"btcusdt@bookTicker", "type"),
        (SPOT_TRADE, b'"data":{', b'"data":[{', "json"),
        (SPOT_QUOTE, b"50093239212", b"-1", "id"),
        (SPOT_QUOTE, b'"a":"61837.64000000"', b'"a":"61837.62000000"', "crossed"),
        (SPOT_QUOTE, b'"s":"BTCUSDT"', b'"s":"ETHUSDT"', "symbol"),
        (SPOT_DEPTH, b"50093239203", b"50093239208", "id"),
        (SPOT_DEPTH, b"50093239203", b"1.5", "id"),
        (SPOT_DEPTH, b"1723161255308", b"null", "time"),
        (SPOT_DEPTH, b'"s":"BTCUSDT"', b'"s":"ETHUSDT"', "symbol"),
        (USDM_DEPTH, b'"pu":5123107837557', b'"pu":-1', "id"),
    ],
)
def test_a_frame_is_refused_by_what_is_wrong_with_it(
    payload: bytes, old: bytes, new: bytes, expected: str
) -> None:
    assert old in payload
    decoder = USDM if payload is USDM_DEPTH else SPOT
    assert reason(payload.replace(old, new), decoder) == expected


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", "json"),
        (b"{", "json"),
        (b"\x00\x01", "json"),
        (b"\xff" * 50, "json"),
        (b"not json", "json"),
        (b"[]", "type"),
        (b"{}", "type"),
        (b"null", "type"),
        (b'{"stream":"btcusdt@trade"}', "type"),
        (b'{"stream":"btcusdt@trade","data":null}', "type"),
        (b'{"stream":5,"data":{}}', "type"),
        (b'{"stream":"","data":{}}', "type"),
        (b'{"stream":"\xff","data":{}}', "json"),
        (b'{"e":"trade","s":"DOGEUSDT","t":1}', "symbol"),
        (b'{"e":"kline","s":"BTCUSDT"}', "stream"),
        (b"[" * 200_000, "type"),
        (b'{"x":' + b"[" * 200_000, "json"),
        (b'{"stream":"btcusdt@trade","data":{"x":' + b"[" * 200_000, "json"),
        (SPOT_TRADE + b"}", "json"),
        (b" " * (FRAME_BYTES_MAX + 1), "size"),
        (SPOT_DEPTH[:-1] + b" " * FRAME_BYTES_MAX + b"}", "size"),
    ],
)
def test_what_is_no_frame_is_refused(payload: bytes, expected: str) -> None:
    assert reason(payload) == expected


@pytest.mark.parametrize("payload", [SPOT_TRADE, SPOT_QUOTE, SPOT_DEPTH])
def test_every_truncation_is_refused(payload: bytes) -> None:
    for end in range(len(payload)):
        assert reason(payload[:end]) in {"json", "type"}


def test_a_frame_of_a_megabyte_is_decoded_when_it_is_one() -> None:
    padded = SPOT_TRADE[:-2] + b',"note":"' + b"x" * (1 << 20) + b'"}}'
    assert SPOT.decode(padded, WIRE) == SPOT.decode(SPOT_TRADE, WIRE)

"""Addresses and rules: what OKX is asked, and what its instruments become."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from daemon.errors import ConfigError, NetError
from daemon.feeds.exchanges import find_exchange
from daemon.feeds.okx import OkxDecoder
from daemon.feeds.okx_rest import CHANNELS_BYTES_MAX, Okx
from daemon.instruments import NOT_LISTED, Instrument, make_instrument

if TYPE_CHECKING:
    from pathlib import Path

OKX = Okx()

BTC: dict[str, Any] = {
    "baseCcy": "BTC",
    "ctVal": "",
    "instId": "BTC-USDT",
    "instType": "SPOT",
    "lotSz": "0.00000001",
    "maxLmtAmt": "20000000",
    "maxLmtSz": "9999999999",
    "maxMktSz": "",
    "minSz": "0.00001",
    "quoteCcy": "USDT",
    "state": "live",
    "tickSz": "0.1",
}
ETH = {**BTC, "instId": "ETH-USDT", "baseCcy": "ETH", "tickSz": "0.01", "lotSz": "0.000001", "minSz": "0.001"}


def info(*symbols: object, code: str = "0") -> bytes:
    return msgspec.json.encode({"code": code, "msg": "Busy" if code != "0" else "", "data": symbols})


def make(base: str = "BTC", index: int = 0) -> Instrument:
    return make_instrument(
        index, "okx", "spot", f"{base}/USDT", tick_size="0.1", lot_size="1", qty_min="1", qty_max="9",
        notional_min="0", exchange_symbol=f"{base}-USDT",
    )  # fmt: skip


def test_rules_come_in_the_order_asked_for() -> None:
    found = OKX.instruments("spot", ["eth-usdt", "BTCUSDT"], info(BTC, ETH))
    assert [(one.index, one.symbol, one.exchange_symbol) for one in found] == [
        (0, "ETH/USDT", "ETH-USDT"),
        (1, "BTC/USDT", "BTC-USDT"),
    ]
    one = found[1]
    assert (one.exchange, one.tick_size, one.lot_size) == ("okx", Decimal("0.1"), Decimal("0.00000001"))
    assert (one.qty_min, one.qty_max, one.notional_min) == (Decimal("0.00001"), 9999999999, 0)
    assert (one.stop_qty_max, one.status) == (0, "TRADING")


def test_what_is_not_traded_says_so_in_their_word() -> None:
    [one] = OKX.instruments("spot", ["BTC/USDT"], info({**BTC, "state": "suspend"}))
    assert (one.status, one.trading) == ("suspend", False)


def test_an_unlisted_symbol_names_its_nearest() -> None:
    with pytest.raises(ConfigError, match=r"okx spot lists no BTC/USDC; did you mean BTC/USDT\?"):
        OKX.instruments("spot", ["BTC/USDC"], info(BTC))


def test_what_is_listed_no_more_is_as_it_is_remembered() -> None:
    gone = msgspec.structs.replace(make("XRP", 7), status=NOT_LISTED)
    found = OKX.instruments("spot", ["XRP/USDT", "BTC/USDT"], info(BTC), {"XRP/USDT": gone})
    assert [(one.index, one.listed) for one in found] == [(0, False), (1, True)]


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"<html>", "told its rules as something else"),
        (b'{"code":"0","data":[{}]}', "told its rules as something else"),
        (info(code="50011"), r"refused its rules \(50011\): Busy"),
        (info({**BTC, "tickSz": ""}), "tells rules of BTC/USDT that are no numbers"),
    ],
)
def test_an_answer_that_is_none_is_one_sentence(payload: bytes, said: str) -> None:
    with pytest.raises(NetError, match=said):
        OKX.instruments("spot", ["BTC/USDT"], payload)


def test_the_rules_are_asked_for_at_once_and_no_book_is() -> None:
    url = "/api/v5/public/instruments?instType=SPOT"
    assert OKX.instruments_url("spot", ["BTC/USDT"]) == f"https://www.okx.com{url}"
    assert OKX.instruments_url("spot", [], "http://127.0.0.1:9/") == f"http://127.0.0.1:9{url}"
    assert OKX.snapshot_url(make(), "http://127.0.0.1:9") == ""


def test_one_connection_carries_the_streams_and_can_begin_a_book_anew() -> None:
    [one] = OKX.subscriptions("spot", [make()], ["trade", "quote", "depth"], "ws://127.0.0.1:9/")
    assert (one.url, one.instruments) == ("ws://127.0.0.1:9/ws/v5/public", (0,))
    [request] = one.requests
    assert request == (
        b'{"op":"subscribe","args":[{"channel":"trades","instId":"BTC-USDT"},'
        b'{"channel":"bbo-tbt","instId":"BTC-USDT"},{"channel":"books","instId":"BTC-USDT"}]}'
    )
    assert one.anew == {
        0: (
            b'{"op":"unsubscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}',
            b'{"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}',
        )
    }
    assert (one.ping, one.ping_s < 30) == (b"ping", True)
    assert (one.hush, one.overlaps) == (one.anew[0][:1], True)


def test_nothing_begins_anew_where_no_depth_is_streamed() -> None:
    [one] = OKX.subscriptions("spot", [make()], ["trade"])
    assert (one.url, one.anew, one.hush) == ("wss://ws.okx.com:8443/ws/v5/public", {}, ())
    assert one.requests == (b'{"op":"subscribe","args":[{"channel":"trades","instId":"BTC-USDT"}]}',)


def test_many_streams_are_asked_for_bit_by_bit_over_as_few_connections_as_take_them() -> None:
    many = [make(f"COIN{index:04}", index) for index in range(700)]
    found = OKX.subscriptions("spot", many, ["trade", "quote", "depth"])
    assert len(found) == 2
    assert [index for one in found for index in one.instruments] == list(range(700))
    for one in found:
        args = [arg for request in one.requests for arg in msgspec.json.decode(request)["args"]]
        assert len(msgspec.json.encode(args)) <= CHANNELS_BYTES_MAX + 1
        assert len(one.requests) < 30
        assert max(len(request) for request in one.requests) < 4_200
        assert args == [
            {"channel": channel, "instId": many[index].exchange_symbol}
            for index in one.instruments
            for channel in ("trades", "bbo-tbt", "books")
        ]
        assert one.anew.keys() == set(one.instruments)
        assert one.request_gap_s >= 1 / 3


SWAP: dict[str, Any] = {
    **BTC,
    "instId": "BTC-USDT-SWAP",
    "instType": "SWAP",
    "uly": "BTC-USDT",
    "baseCcy": "",
    "quoteCcy": "",
    "settleCcy": "USDT",
    "ctType": "linear",
    "ctVal": "0.01",
    "ctMult": "1",
    "ctValCcy": "BTC",
    "lotSz": "0.1",
    "minSz": "0.1",
    "maxLmtSz": "100000000",
}
INVERSE = {
    **SWAP, "instId": "BTC-USD-SWAP", "uly": "BTC-USD", "settleCcy": "BTC", "ctType": "inverse",
    "ctVal": "100", "ctValCcy": "USD", "lotSz": "1", "minSz": "1",
}  # fmt: skip
#: settled in dollars of several kinds, by an underlying that an inverse one has too
USD = {**SWAP, "instId": "BTC-USD_UM-SWAP", "uly": "BTC-USD", "settleCcy": "USDC"}


def test_a_linear_swap_counts_in_its_base_and_knows_what_a_contract_is() -> None:
    [one] = OKX.instruments("usdm", ["BTC/USDT"], info(INVERSE, USD, SWAP))
    assert (one.symbol, one.exchange_symbol, one.market) == ("BTC/USDT:USDT", "BTC-USDT-SWAP", "usdm")
    assert (one.lot_size, one.qty_min, one.qty_max) == (Decimal("0.001"), Decimal("0.001"), 1_000_000)
    assert (one.contract_size, one.told_size, one.told_qty.step) == (
        Decimal("0.01"),
        Decimal("0.01"),
        Decimal("0.1"),
    )
    [multiplied] = OKX.instruments("usdm", ["BTC/USDT"], info({**SWAP, "ctMult": "10"}))
    assert (multiplied.lot_size, multiplied.contract_size) == (Decimal("0.01"), Decimal("0.1"))


def test_an_inverse_swap_counts_in_contracts() -> None:
    [one] = OKX.instruments("coinm", ["BTC/USD"], info(SWAP, INVERSE, USD))
    assert (one.symbol, one.exchange_symbol) == ("BTC/USD:BTC", "BTC-USD-SWAP")
    assert (one.lot_size, one.contract_size, one.told_size) == (1, 100, 1)
    with pytest.raises(ConfigError, match="okx usdm lists no BTC/USD:USD"):
        OKX.instruments("usdm", ["BTC/USD"], info(INVERSE, USD))


def test_a_swap_whose_contract_is_no_number_is_one_sentence() -> None:
    with pytest.raises(NetError, match="tells rules of BTC/USDT:USDT that are no numbers"):
        OKX.instruments("usdm", ["BTC/USDT"], info({**SWAP, "ctMult": ""}))


def test_it_is_found_by_its_name_with_the_markets_it_has() -> None:
    for market in ("spot", "usdm", "coinm"):
        exchange = find_exchange("okx", market)
        assert isinstance(exchange.decoder([make()]), OkxDecoder)
    assert OKX.instruments_url("usdm", []).endswith("/api/v5/public/instruments?instType=SWAP")
    [one] = OKX.subscriptions("usdm", OKX.instruments("usdm", ["BTC/USDT"], info(SWAP)), ["trade"])
    assert one.requests == (b'{"op":"subscribe","args":[{"channel":"trades","instId":"BTC-USDT-SWAP"}]}',)


def test_others_sample_of_rules_is_read(samples: Path) -> None:
    folder = samples / "okx" / "jkorf_MIT" / "OKX.Net.UnitTests"
    path = folder / "Endpoints" / "UnifiedApi" / "ExchangeData" / "GetSymbols.txt"
    _, _, _, text = path.read_text("utf-8-sig").split("\n", 3)
    [one] = OKX.instruments("spot", ["BTC/USDT"], text.encode())
    assert (one.exchange_symbol, one.tick_size, one.qty_min) == (
        "BTC-USDT",
        Decimal("0.1"),
        Decimal("0.00001"),
    )

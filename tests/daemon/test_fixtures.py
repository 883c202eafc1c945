"""Our decoders on messages that other clients' tests hold: what Binance sends, from hands that are not ours.

JKorf's Binance.Net has nearly all of today's; gocryptotrader and XChange have a few more. What we do not read
is not here, nor what is in a form of years ago; JKorf's AmendOrder is an order as queries tell it, where the
exchange and its own SDK have `qty`.
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from daemon.events import Depth, Snapshot, Tick
from daemon.feeds import binance_rest
from daemon.feeds.binance import BinanceDecoder
from daemon.instruments import make_instrument
from daemon.venues import binance_usdm_wire as usdm
from daemon.venues import binance_wire as wire
from daemon.venues import key_rights

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.instruments import Market

WIRE_NS = 1_723_161_254_087_896_568


@pytest.fixture(scope="module")
def samples(samples: Path) -> Path:
    """Those of Binance."""
    return samples / "binance"


def jkorf(samples: Path, name: str) -> Any:
    """The answer or event in one of JKorf's: behind a '=', or behind verb, path and whether it is signed."""
    path = samples / "jkorf_MIT" / "Binance.Net.UnitTests" / f"{name}.txt"
    text = path.read_text("utf-8-sig")
    _, marked, body = text.rpartition("\n=")
    return json.loads(body if marked else text.split("\n", 3)[3])


@functools.cache
def _gct_routes(samples: Path) -> dict[str, Any]:
    text = (samples / "gct_MIT" / "testdata" / "http.json").read_text()
    routes: dict[str, Any] = json.loads(text)["routes"]
    return routes


def gct(samples: Path, request: str) -> list[Any]:
    """All answers that gocryptotrader keeps for a request."""
    verb, path = request.split()
    return [row["data"] for row in _gct_routes(samples)[path][verb] if row["data"] is not None]


def gct_frames(samples: Path) -> list[dict[str, Any]]:
    """Its frames."""
    lines = (samples / "gct_MIT" / "testdata" / "wsHandleData.json").read_text().splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def xchange(samples: Path, event: str) -> Any:
    """One of XChange's, whose comments are cut off."""
    folder = "xchange-stream-binance_MIT/src/test/resources/info/bitrich/xchangestream/binance/dto"
    return json.loads(re.sub(r"//.*", "", (samples / folder / f"test{event}Event.json").read_text()))


def read(body: Any, form: Any, *, strict: bool = True) -> Any:
    return msgspec.json.decode(json.dumps(body), type=form, strict=strict)


# --- answers ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("Spot/Trading/PlaceOrder", wire.PlacedRow),
        ("Spot/Trading/PlaceOrder", wire.OrderRow),
        ("Spot/Trading/CancelOrder", wire.OrderRow),
        ("Spot/Trading/GetOrder", wire.OrderRow),
        ("Spot/Trading/GetUserTrades", list[wire.TradeRow]),
        ("Spot/Trading/GetOpenOrders", list[wire.OrderRow]),
        ("Spot/Account/GetAccountInfo", wire.Account),
        ("UsdFutures/Trading/PlaceOrder", wire.OrderRow),
        ("UsdFutures/Trading/CancelOrder", wire.OrderRow),
        ("UsdFutures/Trading/GetOrder", wire.OrderRow),
        ("UsdFutures/Trading/EditOrder", wire.OrderRow),
        ("UsdFutures/Trading/PlaceConditionalOrder", usdm.AlgoRow),
        ("UsdFutures/Trading/CancelConditionalOrder", usdm.AlgoRow),
        ("UsdFutures/Account/GetAccountInfo", usdm.UsdmAccount),
    ],
)
def test_answers_of_the_websocket_api_are_read(samples: Path, name: str, form: Any) -> None:
    message = read(jkorf(samples, f"Socket/{name}") | {"id": 1}, wire.Message)
    assert (message.id, message.status, message.error) == (1, 200, None)
    if bytes(message.rateLimits):
        limits = msgspec.json.decode(message.rateLimits, type=list[wire.RateLimit])
        assert limits[-1].rateLimitType in ("REQUEST_WEIGHT", "ORDERS")
    assert msgspec.json.decode(message.result, type=form)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("Spot/Trading/PlaceOrder", wire.PlacedRow),
        ("Spot/Trading/CancelOrder", wire.OrderRow),
        ("Spot/Trading/GetOrder", wire.OrderRow),
        ("Spot/Trading/GetOrders", list[wire.OrderRow]),
        ("Spot/Trading/GetOpenOrders", list[wire.OrderRow]),
        ("Spot/Trading/GetUserTrades", list[wire.TradeRow]),
        ("Spot/Account/GetAccountInfo", wire.Account),
        ("Spot/ExchangeData/GetServerTime", wire.ServerTime),
        ("UsdFutures/Trading/PlaceOrder", wire.OrderRow),
        ("UsdFutures/Trading/CancelOrder", wire.OrderRow),
        ("UsdFutures/Trading/GetOrder", wire.OrderRow),
        ("UsdFutures/Trading/GetOrders", list[wire.OrderRow]),
        ("UsdFutures/Trading/GetOpenOrders", list[wire.OrderRow]),
        ("UsdFutures/Trading/GetUserTrades", list[usdm.UserTradeRow]),
        ("UsdFutures/Trading/GetConditionalOrder", usdm.AlgoRow),
        ("UsdFutures/Trading/GetOpenConditionalOrders", list[usdm.AlgoRow]),
        ("UsdFutures/Account/GetAccountInfoV3", usdm.UsdmAccount),
        ("UsdFutures/Account/GetSymbolConfiguration", list[usdm.SymbolSetup]),
        ("UsdFutures/Account/GetMultiAssetsMode", usdm.AssetsMode),
        ("UsdFutures/Account/StartUserStream", usdm.ListenKey),
        ("UsdFutures/ExchangeData/GetServerTime", wire.ServerTime),
    ],
)
def test_answers_of_rest_are_read(samples: Path, name: str, form: Any) -> None:
    assert read(jkorf(samples, f"Endpoints/{name}"), form)


@pytest.mark.parametrize(
    ("name", "form"),  # these have numbers as texts, which are read as numbers
    [
        ("Spot/ExchangeData/GetBookPrice", wire.BookTicker),
        ("UsdFutures/Trading/GetPositions", list[usdm.RiskRow]),
        ("UsdFutures/Account/GetIncomeHistory", list[usdm.IncomeRow]),
        ("UsdFutures/Account/GetBrackets", list[usdm.SymbolBrackets]),
    ],
)
def test_numbers_that_are_texts_are_read(samples: Path, name: str, form: Any) -> None:
    assert read(jkorf(samples, f"Endpoints/{name}"), form, strict=False)


@pytest.mark.parametrize(
    ("request_", "form"),
    [
        ("GET /api/v3/account", wire.Account),
        ("GET /api/v3/allOrders", list[wire.OrderRow]),
        ("GET /api/v3/openOrders", list[wire.OrderRow]),
        ("GET /api/v3/order", wire.OrderRow),
        ("DELETE /api/v3/order", wire.OrderRow),
        ("GET /fapi/v1/time", wire.ServerTime),
    ],
)
def test_a_third_clients_answers_are_read(samples: Path, request_: str, form: Any) -> None:
    bodies = gct(samples, request_)
    assert bodies
    for body in bodies:
        assert read(body, form)


def test_what_a_key_may_do_is_read(samples: Path) -> None:
    body = jkorf(samples, "Endpoints/Spot/Account/GetAPIKeyPermissions")
    assert key_rights._RESTRICTIONS.decode(json.dumps(body)).enableWithdrawals is body["enableWithdrawals"]


# --- events -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("Order", wire.ExecutionEvent),
        ("AccountPosition", wire.PositionEvent),
        ("Balance", wire.BalanceEvent),
        ("OcoOrder", wire.ListEvent),
    ],
)
def test_events_of_the_account_are_read(samples: Path, name: str, form: type) -> None:
    message = read(jkorf(samples, f"Subscriptions/Spot/Account/{name}"), wire.Message)
    assert type(message.event) is form


def test_a_third_clients_events_are_read(samples: Path) -> None:
    events = [frame["data"] for frame in gct_frames(samples) if not frame["stream"].startswith("BNBBTC")]
    found = [type(read({"subscriptionId": 0, "event": event}, wire.Message).event) for event in events]
    assert found == [wire.BalanceEvent, wire.ListEvent, wire.ExecutionEvent, wire.PositionEvent]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("OrderUpdate", usdm.OrderEvent),
        ("AccountUpdate", usdm.AccountEvent),
        ("AlgoOrderUpdate", usdm.AlgoEvent),
        ("TradeUpdate", usdm.LiteEvent),
        ("Leverage", usdm.ConfigEvent),
        ("MultiAssetMode", usdm.ConfigEvent),
        ("MarginUpdate", usdm.MarginEvent),
        ("StrategyUpdate", usdm.StrategyEvent),
        ("GridUpdate", usdm.GridEvent),
    ],
)
def test_events_of_the_futures_account_are_read(samples: Path, name: str, form: type) -> None:
    body = jkorf(samples, f"Subscriptions/UsdFutures/{name}")
    assert type(read(body["data"], usdm.UserEvent)) is form


# --- the market ---------------------------------------------------------------------------------------------
def decode(frame: dict[str, Any], market: Market, *, raw: bool = False) -> Any:
    """Decode a frame for the instrument that it is of: samples name another in their stream."""
    data = frame["data"]
    base, quote = re.fullmatch(r"(\w+)(USDT|BTC)", data["s"]).groups()  # type: ignore[union-attr]
    instrument = make_instrument(
        0, "binance", market, f"{base}/{quote}", tick_size="0.0001", lot_size="0.00001", qty_min="0.00001",
        qty_max="9000", notional_min="5",
    )  # fmt: skip
    _, _, kind = frame["stream"].partition("@")
    full = {"stream": f"{data['s'].lower()}@{kind}", "data": data}
    payload = json.dumps(data if raw else full, separators=(",", ":")).encode()
    return BinanceDecoder([instrument]).decode(payload, WIRE_NS)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    ("name", "market", "form"),
    [
        ("Spot/ExchangeData/Trades", "spot", Tick),
        ("Spot/ExchangeData/BookTicker", "spot", Tick),
        ("UsdFutures/BookTicker", "usdm", Tick),
        ("UsdFutures/Book", "usdm", Depth),
    ],
)
def test_frames_of_the_market_are_read(
    samples: Path, name: str, market: Market, form: type, raw: bool
) -> None:
    assert type(decode(jkorf(samples, f"Subscriptions/{name}"), market, raw=raw)) is form


def test_other_clients_frames_of_the_market_are_read(samples: Path) -> None:
    frames = [one for one in gct_frames(samples) if one["stream"] in ("BNBBTC@trade", "BNBBTC@depth")]
    frames += [
        {"stream": "@trade", "data": xchange(samples, "Trade")},
        {"stream": "@bookTicker", "data": xchange(samples, "BookTicker")},
    ]
    assert [type(decode(frame, "spot")) for frame in frames] == [Tick, Depth, Tick, Tick]


def books(samples: Path) -> list[Any]:
    """Every whole book of the samples."""
    found = [body for path in ("api/v3", "fapi/v1", "dapi/v1") for body in gct(samples, f"GET /{path}/depth")]
    found.append(jkorf(samples, "Socket/Spot/ExchangeData/GetOrderBook")["result"])
    found.append(jkorf(samples, "Endpoints/UsdFutures/ExchangeData/GetOrderBook"))
    found.append(jkorf(samples, "Endpoints/CoinFutures/ExchangeData/GetOrderBook"))
    return found


def test_whole_books_are_read(samples: Path) -> None:
    instrument = make_instrument(
        0, "binance", "spot", "BTC/USDT", tick_size="0.01", lot_size="0.001", qty_min="0.001", qty_max="9000",
        notional_min="5",
    )  # fmt: skip
    decoder = BinanceDecoder([instrument])
    bodies = books(samples)
    for body in bodies:
        book = decoder.snapshot(0, json.dumps(body).encode(), WIRE_NS)
        assert (type(book), book.last_id) == (Snapshot, body["lastUpdateId"])
    assert len(bodies) >= 8


@pytest.mark.parametrize(
    ("market", "name", "request_"),
    [
        ("spot", "Endpoints/Spot", "GET /api/v3/exchangeInfo"),
        ("usdm", "Endpoints/UsdFutures", "GET /fapi/v1/exchangeInfo"),
        ("coinm", "Endpoints/CoinFutures", "GET /dapi/v1/exchangeInfo"),
    ],
)
def test_rules_are_read(samples: Path, market: str, name: str, request_: str) -> None:
    for body in (jkorf(samples, f"{name}/ExchangeData/GetExchangeInfo"), *gct(samples, request_)):
        info = binance_rest._decode_info(json.dumps(body))
        assert [one.symbol for one in info.symbols] == [one["symbol"] for one in body["symbols"]]
        assert all(one.base and one.quote for one in info.symbols)
